import { useEffect } from "react";
import { usePathname } from "wouter/use-browser-location";
import { useTitle } from "../app/Page.tsx";
import { useStore } from "../app/store.ts";
import { identity } from "../signin/identity.ts";
import { SignInGate } from "../signin/SignInGate.tsx";
import styles from "./ChatPage.module.css";
import { ConnectionBanner } from "./ConnectionBanner.tsx";
import { current, startSession } from "./current.ts";
import { totalUnread } from "./model/directory.ts";
import { roomOfPath } from "./paths.ts";
import { RoomList } from "./RoomList.tsx";
import { RoomPane } from "./RoomPane.tsx";
import type { ChatSession } from "./session.ts";
import { SessionContext, useChat } from "./useChat.ts";
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
      <Chat session={session} />
    </SessionContext>
  );
}

const DIRECTORY_EVERY_MS = 15_000;

function Chat({ session }: { session: ChatSession }) {
  const room = roomOfPath(usePathname());
  const name = useChat((state) => (room === null ? null : state.rooms.get(room)?.info?.name));
  const refused = useChat(({ connection }) =>
    connection.status === "refused" && connection.error.code === "unauthorized"
      ? `The server did not let you in: ${connection.error.message}.`
      : null,
  );
  const unread = useChat(({ directory, read }) => totalUnread(directory.rooms, read));
  const title = room === null ? "Chat" : (name ?? room);
  useTitle(unread > 0 ? `(${unread}) ${title}` : title);

  useEffect(() => {
    // Rooms that are not joined tell nothing by themselves.
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
      <div className={styles.columns}>
        <div className={styles.list}>
          <RoomList openRoom={room} />
        </div>
        <section
          className={styles.room}
          aria-label={room === null ? "No room is open" : `Room ${name ?? room}`}
          data-fills-phone={room === null ? undefined : ""}
        >
          {room === null ? <Welcome /> : <RoomPane key={room} id={room} />}
        </section>
      </div>
    </div>
  );
}
