import { CircleAlert, Hash } from "lucide-react";
import { useEffect } from "react";
import { Banner } from "../ui/Banner.tsx";
import { Button } from "../ui/Button.tsx";
import { Empty } from "../ui/Empty.tsx";
import { Spinner } from "../ui/Spinner.tsx";
import { Announcer } from "./Announcer.tsx";
import { Composer } from "./Composer.tsx";
import { MessageList } from "./MessageList.tsx";
import type { RoomState } from "./model/room.ts";
import { RoomHeader } from "./RoomHeader.tsx";
import styles from "./RoomPane.module.css";
import { TypingLine } from "./TypingLine.tsx";
import { useChat, useSession } from "./useChat.ts";

/** One room: its head, its messages, and where one writes. */
export function RoomPane({ id }: { id: string }) {
  const session = useSession();
  const room = useChat((state) => state.rooms.get(id));

  useEffect(() => session.open(id), [session, id]);

  if (!room) return null;
  return (
    <>
      <RoomHeader room={room} />
      <Messages room={room} />
      <TypingLine typing={room.typing} />
      <Composer roomId={id} roomName={room.info?.name ?? id} />
      <Announcer timeline={room.timeline} />
    </>
  );
}

function Messages({ room }: { room: RoomState }) {
  const session = useSession();
  const { timeline, outbox, phase, error } = room;
  const retry = <Button onClick={() => session.open(room.id)}>Try again</Button>;

  if (!timeline.loaded && outbox.length === 0) {
    if (phase === "failed" && error) {
      return (
        <Empty
          icon={<CircleAlert size={26} aria-hidden />}
          title={
            error.code === "forbidden" ? "You may not enter this room" : "This room did not open"
          }
          action={retry}
        >
          {error.message}
        </Empty>
      );
    }
    return (
      <div className={styles.loading}>
        <Spinner label="Loading messages…" />
      </div>
    );
  }
  if (timeline.messages.length === 0 && outbox.length === 0) {
    return (
      <Empty icon={<Hash size={26} aria-hidden />} title="Nothing said here yet">
        Write the first message. Whoever has this page’s address can join in.
      </Empty>
    );
  }
  return (
    <>
      {phase === "failed" && error && (
        <Banner tone="bad" icon={<CircleAlert size={18} aria-hidden />} action={retry}>
          {error.message}
        </Banner>
      )}
      <MessageList room={room} />
    </>
  );
}
