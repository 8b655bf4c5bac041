import clsx from "clsx";
import { Clock } from "lucide-react";
import { memo } from "react";
import { Button } from "../ui/Button.tsx";
import styles from "./Block.module.css";
import type { Line } from "./model/grouping.ts";
import { findLinks, isEmojiOnly } from "./model/links.ts";
import type { Outgoing } from "./model/room.ts";
import { clockTime, fullTime } from "./model/times.ts";
import { useSession } from "./useChat.ts";

interface MessageLineProps {
  roomId: string;
  line: Line;
  mine: boolean;
  /** The block's head tells the time of its first line already. */
  first: boolean;
  tabStop: boolean;
}

/** One message. Its time shows while it is pointed at or has the focus. */
export const MessageLine = memo(function MessageLine(props: MessageLineProps) {
  const { roomId, line, mine, first, tabStop } = props;
  const { outgoing } = line;
  return (
    <div className={styles.lineFrame}>
      {/* Focusable, so that the keyboard can go from message to message. */}
      {/* eslint-disable jsx-a11y/no-noninteractive-tabindex */}
      <div
        className={styles.line}
        data-line={line.key}
        data-status={outgoing?.status}
        tabIndex={tabStop ? 0 : -1}
      >
        <p className={clsx(styles.text, isEmojiOnly(line.text) && styles.emoji)}>
          <Text text={line.text} />
        </p>
        {outgoing ? (
          <Mark outgoing={outgoing} />
        ) : (
          !first && (
            <time
              className={clsx(styles.time, styles.hoverTime)}
              dateTime={new Date(line.time).toISOString()}
              title={fullTime(line.time)}
            >
              {clockTime(line.time)}
            </time>
          )
        )}
      </div>
      {/* eslint-enable jsx-a11y/no-noninteractive-tabindex */}
      {mine && outgoing?.status === "failed" && <Failed roomId={roomId} outgoing={outgoing} />}
    </div>
  );
});

function Text({ text }: { text: string }) {
  return findLinks(text).map((span, index) =>
    span.href ? (
      <a key={index} href={span.href} target="_blank" rel="noopener noreferrer">
        {span.text}
      </a>
    ) : (
      span.text
    ),
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

function Failed({ roomId, outgoing }: { roomId: string; outgoing: Outgoing }) {
  const session = useSession();
  return (
    <div className={styles.failed} role="alert">
      <span>Not sent{outgoing.error ? `: ${outgoing.error}` : "."}</span>
      <Button look="plain" size="sm" onClick={() => session.retry(roomId, outgoing.key)}>
        Send again
      </Button>
      <Button look="danger" size="sm" onClick={() => session.discard(roomId, outgoing.key)}>
        Delete
      </Button>
    </div>
  );
}
