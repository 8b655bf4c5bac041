import type { ChatMessage } from "lakh-client";
import { useEffect, useMemo } from "react";
import { Spinner } from "../ui/Spinner.tsx";
import { Conversation } from "./Conversation.tsx";
import { SidePanel } from "./SidePanel.tsx";
import styles from "./SidePanel.module.css";
import { Block } from "./Block.tsx";
import { useChat, useSession } from "./useChat.ts";
import { toRows } from "./model/grouping.ts";
import { ActsContext, useActs } from "./roomContext.ts";

interface ThreadPanelProps {
  root: number;
  target: { seq: number } | null;
  onClose: () => void;
}

/** The answers under one message. */
export function ThreadPanel({ root, target, onClose }: ThreadPanelProps) {
  const session = useSession();
  const acts = useActs();
  const { room } = acts;
  const joined = useChat((state) => state.rooms.get(room.room)?.phase === "joined");
  const state = useChat((now) => now.rooms.get(room.room));
  const thread = state?.threads.get(root);
  const rootMessage = state?.messages.find((one) => one.seq === root);

  useEffect(() => {
    if (joined) room.thread(root);
  }, [room, root, joined]);
  useEffect(() => {
    // Also what comes while it stands open.
    const seen = () => session.threadMentions.seen(room.room, root);
    seen();
    return session.threadMentions.byRoom.subscribe(seen);
  }, [session, room, root]);
  useEffect(() => {
    // A thread may be opened from afar: then its root is not on the page.
    if (joined && !room.log.find(root)) void session.attempt(() => room.log.jumpTo(root));
  }, [session, room, root, joined]);

  return (
    <SidePanel title="Thread" note={state?.info?.name} onClose={onClose}>
      {thread?.loaded ? (
        <Conversation
          room={room}
          thread={root}
          log={thread}
          typing={thread.typing}
          target={target}
          label="Reply in thread"
          mayWrite
          acts={acts}
          start={rootMessage ? <Root message={rootMessage} /> : null}
        />
      ) : (
        <div className={styles.loading}>
          <Spinner label="Loading the thread…" />
        </div>
      )}
    </SidePanel>
  );
}

/** The message that the thread is about. It stands in the room, and is acted on there. */
function Root({ message }: { message: ChatMessage }) {
  const acts = useActs();
  const me = useChat((state) => state.me);
  const count = message.replies?.count ?? 0;
  const rows = useMemo(() => {
    // The way into the thread needs no showing within it.
    const { replies: _replies, ...alone } = message;
    return toRows([alone], [], me);
  }, [message, me]);
  return (
    <ActsContext value={{ ...acts, thread: undefined }}>
      <div className={styles.root}>
        {rows.map((row) =>
          row.kind === "block" ? <Block key={row.id} block={row} isLast={false} /> : null,
        )}
      </div>
      <p className={styles.rootCount}>
        {count === 0 ? "No replies yet" : count === 1 ? "1 reply" : `${count} replies`}
      </p>
    </ActsContext>
  );
}
