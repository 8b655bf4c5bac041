import { Search } from "lucide-react";
import { useId, useRef, useState, type KeyboardEvent } from "react";
import { Button } from "../ui/Button.tsx";
import { Empty } from "../ui/Empty.tsx";
import { Spinner } from "../ui/Spinner.tsx";
import { filterRooms, unreadCount } from "./model/directory.ts";
import { NewRoom } from "./NewRoom.tsx";
import styles from "./RoomList.module.css";
import { RoomListItem } from "./RoomListItem.tsx";
import { useChat, useSession } from "./useChat.ts";

/** Fewer than these are found faster by eye. */
const FILTER_FROM = 6;

/** The rooms, by latest activity. Arrow keys go through them. */
export function RoomList({ openRoom }: { openRoom: string | null }) {
  const [query, setQuery] = useState("");
  const { rooms } = useChat((state) => state.directory);
  const shown = filterRooms(rooms, query);
  const titleId = useId();
  // An open room is what the page is about, and has the first heading.
  const Title = openRoom === null ? "h1" : "h2";

  return (
    <div className={styles.panel}>
      <header className={styles.head}>
        <Title id={titleId} className={styles.title}>
          Chat
        </Title>
        <NewRoom label="New room" look="plain" size="sm" />
      </header>
      {rooms.length >= FILTER_FROM && (
        <label className={styles.search}>
          <Search size={16} aria-hidden />
          <input
            type="search"
            value={query}
            aria-label="Find a room"
            placeholder="Find a room"
            onChange={(event) => setQuery(event.target.value)}
          />
        </label>
      )}
      <div className={styles.scroll}>
        <Rooms shown={shown} query={query} openRoom={openRoom} labelledBy={titleId} />
      </div>
    </div>
  );
}

interface RoomsProps {
  shown: ReturnType<typeof filterRooms>;
  query: string;
  openRoom: string | null;
  labelledBy: string;
}

function Rooms({ shown, query, openRoom, labelledBy }: RoomsProps) {
  const session = useSession();
  const { status, error, cursor, rooms } = useChat((state) => state.directory);
  const read = useChat((state) => state.read);
  const connected = useChat((state) => state.connection.status === "connected");
  const list = useRef<HTMLUListElement>(null);

  const move = (event: KeyboardEvent) => {
    const links = [...(list.current?.querySelectorAll("a") ?? [])];
    const at = links.findIndex((link) => link === document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    links[Math.min(Math.max(to, 0), links.length - 1)]?.focus();
  };

  if (rooms.length === 0) {
    if (status === "failed") {
      return (
        <Empty
          title="The rooms could not be loaded"
          action={<Button onClick={() => void session.refreshDirectory()}>Try again</Button>}
        >
          {error}
        </Empty>
      );
    }
    if (status === "loading") return connected ? <Skeleton /> : null;
    return <p className={styles.none}>No rooms yet.</p>;
  }
  if (shown.length === 0) return <p className={styles.none}>No room has “{query}” in its name.</p>;

  // One stop for the Tab key: the open room, or the first.
  const stop = shown.some((room) => room.id === openRoom) ? openRoom : shown[0]?.id;
  return (
    <>
      {/* The links inside are what is focused; the list only hears their arrow keys. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions */}
      <ul ref={list} className={styles.list} aria-labelledby={labelledBy} onKeyDown={move}>
        {shown.map((room) => (
          <li key={room.id}>
            <RoomListItem
              room={room}
              open={room.id === openRoom}
              unread={room.id === openRoom ? 0 : unreadCount(room, read[room.id])}
              tabStop={room.id === stop}
            />
          </li>
        ))}
      </ul>
      {cursor !== null && (
        <div className={styles.more}>
          <Button look="plain" size="sm" onClick={() => void session.loadMoreRooms()}>
            Show more rooms
          </Button>
        </div>
      )}
    </>
  );
}

function Skeleton() {
  return (
    <div className={styles.loading}>
      <Spinner label="Loading rooms…" />
    </div>
  );
}
