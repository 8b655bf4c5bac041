import clsx from "clsx";
import type { ChatMessage, Outgoing, User } from "lakh-client";
import { AtSign, Clock, Forward, MessageSquareText, Pin } from "lucide-react";
import { memo, use, useState } from "react";
import { useStore } from "../app/store.ts";
import { useNow } from "../app/useNow.ts";
import { Avatar } from "../ui/Avatar.tsx";
import { Button } from "../ui/Button.tsx";
import { readable } from "../ui/format.ts";
import { EditMessage } from "./EditMessage.tsx";
import { Files } from "./Files.tsx";
import { Expires } from "./later/Expires.tsx";
import styles from "./Message.module.css";
import { MessageMenu } from "./MessageMenu.tsx";
import type { Line } from "./model/grouping.ts";
import { isEmojiOnly, plainText } from "./model/text.ts";
import { clockTime, fullTime, shortTime } from "./model/times.ts";
import { Reactions } from "./Reactions.tsx";
import { EditingContext, useActs } from "./roomContext.ts";
import { Text } from "./Text.tsx";
import { useChat, useSession } from "./useChat.ts";
import { useName } from "./useName.ts";

interface MessageLineProps {
  line: Line;
  /** The block's head tells the time of its first line already. */
  first: boolean;
  tabStop: boolean;
}

/** One message. Its tools show while it is pointed at or has the focus. */
export const MessageLine = memo(function MessageLine({ line, first, tabStop }: MessageLineProps) {
  const { outgoing, message } = line;
  const editing = use(EditingContext);
  const myId = useChat((state) => state.me.id);
  const [pointed, setPointed] = useState(false);
  const [held, setHeld] = useState(false);
  const isEdited = message !== null && editing === message.seq;
  const named = message?.mentions?.some((id) => id === myId || id === "*") === true;
  return (
    // Focusable, so that the keyboard can go from message to message.
    /* eslint-disable jsx-a11y/no-noninteractive-tabindex */
    <div
      className={styles.line}
      data-line={line.key}
      data-seq={line.seq ?? undefined}
      data-status={outgoing?.status}
      data-named={named || undefined}
      tabIndex={tabStop ? 0 : -1}
      onPointerEnter={() => setPointed(true)}
      onPointerLeave={() => setPointed(false)}
      onFocus={() => setPointed(true)}
      onBlur={(event) => {
        if (!event.currentTarget.contains(event.relatedTarget)) setPointed(false);
      }}
    >
      {!first && (
        <time
          className={styles.sideTime}
          dateTime={new Date(line.time).toISOString()}
          title={fullTime(line.time)}
        >
          {clockTime(line.time)}
        </time>
      )}
      {message?.pinned && (
        <p className={styles.note}>
          <Pin size={12} aria-hidden /> Pinned by {message.pinned.by.name}
        </p>
      )}
      {isEdited ? <EditMessage message={message} /> : <Body line={line} />}
      {message && !isEdited && (pointed || held) && (
        <MessageMenu message={message} onHold={setHeld} />
      )}
      {outgoing?.status === "failed" && <Failed outgoing={outgoing} />}
    </div>
    /* eslint-enable jsx-a11y/no-noninteractive-tabindex */
  );
});

function Body({ line }: { line: Line }) {
  const { message, outgoing, text } = line;
  if (message?.deleted) {
    return <p className={clsx(styles.text, styles.deleted)}>This message was deleted</p>;
  }
  const quote = message?.reply_to ?? outgoing?.reply_to;
  const files = message?.attachments ?? outgoing?.attachments ?? [];
  const mentions = message?.mentions ?? outgoing?.carried?.mentions;
  return (
    <>
      {message?.forwarded && (
        <div className={styles.note}>
          <Forward size={12} aria-hidden /> Forwarded from {message.forwarded.from.name}
        </div>
      )}
      {quote && <Quote quote={quote} />}
      {text !== "" && (
        <p className={clsx(styles.text, isEmojiOnly(text) && styles.emoji)}>
          <Text text={text} mentions={mentions} />
          {message?.edited_at !== undefined && (
            <span className={styles.edited} title={fullTime(message.edited_at)}>
              {" "}
              (edited)
            </span>
          )}
          {outgoing && <Mark outgoing={outgoing} />}
        </p>
      )}
      {files.length > 0 && <Files files={files} />}
      {message?.expires_at !== undefined && <Expires at={message.expires_at} />}
      {message && <Reactions message={message} />}
      {message?.replies && <ThreadLink message={message} />}
    </>
  );
}

function Quote({ quote }: { quote: NonNullable<ChatMessage["reply_to"]> }) {
  const { jump, room, thread } = useActs();
  // It came with what was said by then, which may have been changed or taken back since.
  const quoted = useChat(() => {
    const log = thread === undefined ? room.log : room.thread(thread);
    return log.find(quote.seq);
  });
  const { from, text, deleted } = quoted ?? quote;
  return (
    <button type="button" className={styles.quote} onClick={() => jump(quote.seq)}>
      {from && <Name user={from} />}
      <span className={styles.quoteText}>
        {deleted ? "This message was deleted" : plainText(text) || "A file"}
      </span>
    </button>
  );
}

function Name({ user }: { user: User }) {
  return <span className={styles.quoteName}>{useName(user)}</span>;
}

function ThreadLink({ message }: { message: ChatMessage }) {
  const { openThread, thread } = useActs();
  const { threadMentions } = useSession();
  const named = useStore(threadMentions.byRoom, (all) =>
    all.get(message.room)?.some((one) => one.thread === message.seq),
  );
  const now = useNow();
  const { replies } = message;
  if (!replies || thread !== undefined) return null;
  const { count, people = [], last_at } = replies;
  return (
    <button type="button" className={styles.thread} onClick={() => openThread(message.seq)}>
      {people.length > 0 ? (
        <span className={styles.threadPeople}>
          {people.slice(0, 4).map((one) => (
            <Avatar key={one.id} user={one} size="xs" />
          ))}
        </span>
      ) : (
        <MessageSquareText size={15} aria-hidden />
      )}
      {named && <AtSign size={15} role="img" aria-label="You are mentioned in" />}
      <span className={styles.threadCount}>{count === 1 ? "1 reply" : `${count} replies`}</span>
      <span className={styles.threadTime}>{shortTime(last_at, now)}</span>
    </button>
  );
}

function Mark({ outgoing }: { outgoing: Outgoing }) {
  if (outgoing.status === "failed") return null;
  const label = outgoing.status === "waiting" ? "Waiting for the connection" : "Sending";
  return (
    <span className={styles.mark} title={label}>
      <Clock size={13} role="img" aria-label={label} />
    </span>
  );
}

function Failed({ outgoing }: { outgoing: Outgoing }) {
  const { room, thread } = useActs();
  const log = thread === undefined ? room.log : room.thread(thread);
  return (
    <div className={styles.failed} role="alert">
      <span>Not sent{outgoing.error ? `: ${readable(outgoing.error)}` : "."}</span>
      <Button look="plain" size="sm" onClick={() => log.retry(outgoing.key)}>
        Send again
      </Button>
      <Button look="danger" size="sm" onClick={() => log.discard(outgoing.key)}>
        Delete
      </Button>
    </div>
  );
}
