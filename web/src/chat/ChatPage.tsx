import { useEffect, useMemo, useState } from "react";
import { usePathname, useSearch } from "wouter/use-browser-location";
import { whySignIn } from "../app/connection.ts";
import { useTitle } from "../app/Page.tsx";
import { useStore } from "../app/store.ts";
import { identity } from "../signin/identity.ts";
import { SignInGate } from "../signin/SignInGate.tsx";
import { Notice } from "../ui/Notice.tsx";
import styles from "./ChatPage.module.css";
import { ConnectionBanner } from "./ConnectionBanner.tsx";
import { current, startSession } from "./current.ts";
import { totalUnread } from "./model/directory.ts";
import type { Panel } from "./panel.ts";
import { PictureSource } from "./PictureSource.tsx";
import { roomOfPath, targetOf } from "./paths.ts";
import { RoomList } from "./RoomList.tsx";
import { RoomPane } from "./RoomPane.tsx";
import { SearchPanel } from "./SearchPanel.tsx";
import type { ChatSession } from "./session.ts";
import { Shortcuts } from "./Shortcuts.tsx";
import { SessionContext, useChat } from "./useChat.ts";
import { useBackCloses } from "./useBackCloses.ts";
import { Welcome } from "./Welcome.tsx";

export default function ChatPage() {
  const auth = useStore(identity);
  const session = useStore(current)?.session;

  useEffect(() => {
    if (auth) startSession(auth);
  }, [auth]);

  if (!auth) return <SignInGate error={null} />;
  if (!session) return null;
  return (
    <SessionContext value={session}>
      <PictureSource>
        <Chat session={session} />
      </PictureSource>
    </SessionContext>
  );
}

const DIRECTORY_EVERY_MS = 15_000;

function Chat({ session }: { session: ChatSession }) {
  useDropsKept();
  const room = roomOfPath(usePathname());
  const search = useSearch();
  const target = useMemo(() => targetOf(search), [search]);
  const [panel, setPanel] = usePanel(room);
  const name = useChat((state) => (room === null ? null : state.rooms.get(room)?.info?.name));
  const refused = useChat(({ connection }) => whySignIn(connection));
  const unread = useChat(({ directory, read, features }) =>
    totalUnread(directory.rooms, read, features.has("receipt:read")),
  );
  const title = room === null ? "Chat" : (name ?? room);
  useTitle(unread > 0 ? `(${unread}) ${title}` : title);

  useEffect(() => {
    // Rooms that are not one's own tell nothing by themselves.
    const refresh = () => {
      if (document.visibilityState === "visible") void session.refreshDirectory();
    };
    const timer = setInterval(refresh, DIRECTORY_EVERY_MS);
    document.addEventListener("visibilitychange", refresh);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", refresh);
    };
  }, [session]);

  return (
    <div className={styles.chat} data-room={room === null ? undefined : "open"}>
      {refused !== null && <SignInGate error={refused} />}
      <ConnectionBanner />
      <Shortcuts />
      <div className={styles.columns}>
        <div className={styles.list}>
          <RoomList
            openRoom={room}
            onSearch={() => setPanel({ kind: "search", everywhere: true })}
          />
        </div>
        <section
          className={styles.room}
          aria-label={room === null ? "No room is open" : `Room ${name ?? room}`}
          data-fills-phone={room === null ? undefined : ""}
        >
          {room === null ? (
            <Welcome />
          ) : (
            <RoomPane key={room} id={room} target={target} panel={panel} onPanel={setPanel} />
          )}
        </section>
        {panel?.kind === "search" && (
          <SearchPanel
            room={room}
            everywhere={panel.everywhere === true}
            onClose={() => setPanel(null)}
          />
        )}
      </div>
      <Notice notices={session.notices} />
    </div>
  );
}

/** A file that misses the messages would open in the place of the page. */
function useDropsKept(): void {
  useEffect(() => {
    const keep = (event: DragEvent) => {
      if (event.defaultPrevented || !event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "none";
    };
    window.addEventListener("dragover", keep);
    window.addEventListener("drop", keep);
    return () => {
      window.removeEventListener("dragover", keep);
      window.removeEventListener("drop", keep);
    };
  }, []);
}

/** What stands beside the messages. The search outlives a change of room, all else is of its room. */
function usePanel(room: string | null) {
  const [panel, setPanel] = useState<Panel | null>(null);
  const [of, setOf] = useState(room);
  if (of !== room) {
    setOf(room);
    if (panel && panel.kind !== "search") setPanel(null);
  }
  useBackCloses(panel !== null, () => setPanel(null));
  return [panel, setPanel] as const;
}
