import { Archive, LogIn, Search, UserRound } from "lucide-react";
import type { ChatRoomSummary } from "lakh-client";
import { useEffect, useId, useRef, useState, type KeyboardEvent, type RefObject } from "react";
import { isModded, MOD_NAME, MOD_SIGN } from "../app/keys.ts";
import { Avatar } from "../ui/Avatar.tsx";
import { Button } from "../ui/Button.tsx";
import { Empty } from "../ui/Empty.tsx";
import { IconButton } from "../ui/IconButton.tsx";
import { Spinner } from "../ui/Spinner.tsx";
import { filterRooms, toSections, unreadOf, type Unread } from "./model/directory.ts";
import { NewRoom } from "./NewRoom.tsx";
import { ProfileDialog } from "./ProfileDialog.tsx";
import styles from "./RoomList.module.css";
import { RoomListItem } from "./RoomListItem.tsx";
import { ArchivedDialog } from "./settings/ArchivedDialog.tsx";
import { useChat, useSession } from "./useChat.ts";
import { useGrowing } from "./useGrowing.ts";
import { Welcome } from "./Welcome.tsx";

/** Fewer than these are found faster by eye. */
const FILTER_FROM = 6;

const NOTHING_NEW: Unread = { count: 0, mentions: 0 };

interface RoomListProps {
  openRoom: string | null;
  onSearch: () => void;
}

/** The rooms in sections, by latest activity. Arrow keys go through them. */
export function RoomList({ openRoom, onSearch }: RoomListProps) {
  const [query, setQuery] = useState("");
  const [profile, setProfile] = useState(false);
  const [archived, setArchived] = useState(false);
  const { rooms } = useChat((state) => state.directory);
  const features = useChat((state) => state.features);
  const me = useChat((state) => state.me);
  const titleId = useId();
  const find = useRef<HTMLInputElement>(null);
  const panel = useRef<HTMLDivElement>(null);
  useFindKey(panel, find);
  const pressInFind = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    const first = panel.current?.querySelector<HTMLAnchorElement>("a");
    if (event.key === "Escape") setQuery("");
    else if (event.key === "ArrowDown") first?.focus();
    else if (event.key === "Enter" && query.trim() !== "") {
      first?.click();
      setQuery("");
    } else return;
    event.preventDefault();
  };
  // An open room is what the page is about, and has the first heading.
  const Title = openRoom === null ? "h1" : "h2";

  return (
    <div ref={panel} className={styles.panel}>
      <header className={styles.head}>
        {features.has("me:get") && (
          <IconButton label="Your profile" onClick={() => setProfile(true)}>
            {me.picture ? <Avatar user={me} size="sm" /> : <UserRound size={19} aria-hidden />}
          </IconButton>
        )}
        <Title id={titleId} className={styles.title}>
          Chat
        </Title>
        {features.has("message:search") && (
          <IconButton label="Search messages" onClick={onSearch}>
            <Search size={18} aria-hidden />
          </IconButton>
        )}
        <NewRoom label="New room" look="plain" size="sm" />
      </header>
      {rooms.length >= FILTER_FROM && (
        <label className={styles.search}>
          <Search size={16} aria-hidden />
          <input
            ref={find}
            type="search"
            value={query}
            aria-label="Find a room"
            aria-keyshortcuts={`${MOD_NAME}+K`}
            placeholder="Find a room"
            onChange={(event) => setQuery(event.target.value)}
            onKeyDown={pressInFind}
          />
          <kbd className={styles.key} aria-hidden>
            {MOD_SIGN} K
          </kbd>
        </label>
      )}
      <div className={styles.scroll} data-scroll>
        <Rooms
          query={query}
          openRoom={openRoom}
          labelledBy={titleId}
          onArchived={() => setArchived(true)}
        />
      </div>
      {archived && <ArchivedDialog onClose={() => setArchived(false)} />}
      {profile && <ProfileDialog onClose={() => setProfile(false)} />}
    </div>
  );
}

/** Ctrl or Cmd with K, from anywhere on the page: to the field, or to the rooms if they are few. */
function useFindKey(
  panel: RefObject<HTMLElement | null>,
  find: RefObject<HTMLInputElement | null>,
): void {
  useEffect(() => {
    const press = (event: globalThis.KeyboardEvent) => {
      if (!isModded(event, "k")) return;
      // A dialog has the page for itself; a phone with an open room shows no list.
      if (document.querySelector("[role=dialog]") || !panel.current?.checkVisibility()) return;
      event.preventDefault();
      const link = panel.current.querySelector<HTMLElement>('a[tabindex="0"]');
      (find.current ?? link)?.focus();
      find.current?.select();
    };
    window.addEventListener("keydown", press);
    return () => window.removeEventListener("keydown", press);
  }, [panel, find]);
}

interface RoomsProps {
  query: string;
  openRoom: string | null;
  labelledBy: string;
  onArchived: () => void;
}

function Rooms({ query, openRoom, labelledBy, onArchived }: RoomsProps) {
  const session = useSession();
  const { status, error, cursor, rooms } = useChat((state) => state.directory);
  const features = useChat((state) => state.features);
  const connected = useChat((state) => state.connection.status === "connected");
  const list = useRef<HTMLDivElement>(null);

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
    if (status === "loading") {
      return connected ? (
        <div className={styles.loading}>
          <Spinner label="Loading rooms…" />
        </div>
      ) : null;
    }
    return (
      <>
        <p className={styles.none}>No rooms yet.</p>
        {/* On a phone there is no place beside the list that would tell what to do. */}
        <div className={styles.welcome}>
          <Welcome />
        </div>
      </>
    );
  }
  const shown = filterRooms(rooms, query);
  if (shown.length === 0) return <p className={styles.none}>No room has “{query}” in its name.</p>;

  // Where the server tells whose room is whose, it also makes rooms of all kinds.
  const { invited, direct, rooms: mine, others } = toSections(shown, features.has("room:create"));
  // One stop for the Tab key: the open room, or the first.
  const stop = shown.some((room) => room.id === openRoom) ? openRoom : shown[0]?.id;
  const section = {
    openRoom,
    stop: stop ?? null,
    heading: openRoom === null ? "h2" : "h3",
  } as const;
  const alone = invited.length + direct.length + others.length === 0;
  return (
    // The links inside are what is focused; the list only hears their arrow keys.
    // eslint-disable-next-line jsx-a11y/no-static-element-interactions
    <div ref={list} onKeyDown={move}>
      <Section title="Invitations" rooms={invited} {...section} />
      <Section title="Direct" rooms={direct} {...section} />
      <Section title="Rooms" rooms={mine} {...section} {...(alone ? { labelledBy } : {})} />
      <Section title="Others to join" rooms={others} {...section} icon />
      {cursor !== null && (
        <div className={styles.more}>
          <Button look="plain" size="sm" onClick={() => void session.loadMoreRooms()}>
            Show more rooms
          </Button>
        </div>
      )}
      {features.has("room:archive") && (
        <div className={styles.more}>
          <Button look="plain" size="sm" onClick={onArchived}>
            <Archive size={14} aria-hidden /> Archived rooms
          </Button>
        </div>
      )}
    </div>
  );
}

interface SectionProps {
  title: string;
  rooms: readonly ChatRoomSummary[];
  openRoom: string | null;
  stop: string | null;
  /** One below that of the whole list. */
  heading: "h2" | "h3";
  /** The heading that names the list, where it needs none of its own. */
  labelledBy?: string;
  icon?: boolean;
}

function Section(props: SectionProps) {
  const { title, rooms, openRoom, stop, heading: Heading, labelledBy, icon } = props;
  const id = useId();
  const read = useChat((state) => state.read);
  const counted = useChat((state) => state.features.has("receipt:read"));
  const [shown, end] = useGrowing();
  if (rooms.length === 0) return null;
  return (
    <section className={styles.section}>
      {labelledBy === undefined && (
        <Heading id={id} className={styles.sectionTitle}>
          {icon && <LogIn size={13} aria-hidden />} {title}
        </Heading>
      )}
      <ul className={styles.list} aria-labelledby={labelledBy ?? id}>
        {rooms.slice(0, shown).map((room) => (
          <li key={room.id}>
            <RoomListItem
              room={room}
              open={room.id === openRoom}
              {...(room.id === openRoom ? NOTHING_NEW : unreadOf(room, read[room.id], counted))}
              tabStop={room.id === stop}
            />
          </li>
        ))}
        {/* Another one for each piece, to be looked for anew. */}
        {shown < rooms.length && <li key={shown} ref={end} className={styles.end} aria-hidden />}
      </ul>
    </section>
  );
}
