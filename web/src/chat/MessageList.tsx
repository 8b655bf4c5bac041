import clsx from "clsx";
import { ArrowDown } from "lucide-react";
import { useCallback, useEffect, useMemo, useState, type KeyboardEvent } from "react";
import { useNow } from "../app/useNow.ts";
import { Button } from "../ui/Button.tsx";
import { Spinner } from "../ui/Spinner.tsx";
import { Block } from "./Block.tsx";
import styles from "./MessageList.module.css";
import { toRows } from "./model/grouping.ts";
import type { RoomState } from "./model/room.ts";
import { lastSeq } from "./model/timeline.ts";
import { dayLabel } from "./model/times.ts";
import { useChat, useSession } from "./useChat.ts";
import { LINE, useScrollback } from "./useScrollback.ts";

/** What is kept on the page while its end is being read. */
const KEEP = 400;

/** The messages of a room. Loads older ones as the top comes near. */
export function MessageList({ room }: { room: RoomState }) {
  const session = useSession();
  const me = useChat((state) => state.me);
  const now = useNow();
  const { id, timeline, outbox, older } = room;
  const { messages } = timeline;
  const newAfter = useNewAfter(room);
  const rows = useMemo(
    () => toRows(messages, outbox, me, newAfter),
    [messages, outbox, me, newAfter],
  );

  const loadOlder = useCallback(() => {
    // A failure waits for a person to try again, or the page would ask without end.
    if (older === "more") void session.loadOlder(id);
  }, [session, id, older]);
  const { view, atBottom, onScroll, toBottom } = useScrollback({
    rows,
    ownKey: outbox.at(-1)?.key,
    onNearTop: loadOlder,
  });

  useEffect(() => {
    if (atBottom && messages.length > KEEP * 1.5) session.trim(id, KEEP);
  }, [session, id, atBottom, messages.length]);
  useReadMark(id, atBottom, lastSeq(timeline));
  const unseen = useUnseen(room, me.id, atBottom);

  return (
    <div className={styles.frame}>
      {/* It scrolls, so it takes the focus; the arrow keys go from message to message. */}
      {/* eslint-disable-next-line jsx-a11y/no-static-element-interactions */}
      <div ref={view} className={styles.view} onScroll={onScroll} onKeyDown={moveFocus}>
        <div className={styles.rows}>
          <Start room={room} />
          {rows.map((row) => {
            switch (row.kind) {
              case "day":
                return (
                  <h2 key={row.id} className={styles.day}>
                    {dayLabel(row.time, now)}
                  </h2>
                );
              case "new":
                return (
                  <p key={row.id} className={clsx(styles.day, styles.new)}>
                    New
                  </p>
                );
              case "block":
                return <Block key={row.id} roomId={id} block={row} isLast={row === rows.at(-1)} />;
            }
          })}
        </div>
      </div>
      {!atBottom && (
        <button type="button" className={styles.pill} onClick={toBottom}>
          {unseen > 0 && (unseen === 1 ? "1 new message" : `${unseen} new messages`)}
          <ArrowDown size={17} aria-hidden={unseen > 0} aria-label="To the newest message" />
        </button>
      )}
    </div>
  );
}

function Start({ room }: { room: RoomState }) {
  const session = useSession();
  switch (room.older) {
    case "loading":
    case "more":
      return (
        <div className={styles.start}>
          <Spinner label="Loading older messages…" />
        </div>
      );
    case "failed":
      return (
        <div className={styles.start}>
          Older messages could not be loaded.
          <Button look="plain" size="sm" onClick={() => void session.loadOlder(room.id)}>
            Try again
          </Button>
        </div>
      );
    case "none":
      return <p className={styles.start}>This is where “{room.info?.name ?? room.id}” begins.</p>;
    case "unknown":
      return null;
  }
}

/** Up to where the reader had read when the room was opened; null when there was nothing new. */
function useNewAfter({ id, timeline }: RoomState): number | null {
  const read = useChat((state) => state.read[id]);
  const [newAfter] = useState(read !== undefined && read < lastSeq(timeline) ? read : null);
  return newAfter;
}

/** Marks the room as read while its end is in view and the tab is in front. */
function useReadMark(id: string, atBottom: boolean, last: number): void {
  const session = useSession();
  useEffect(() => {
    const mark = () => {
      if (atBottom && document.visibilityState === "visible") session.markRead(id);
    };
    mark();
    document.addEventListener("visibilitychange", mark);
    return () => document.removeEventListener("visibilitychange", mark);
  }, [session, id, atBottom, last]);
}

/** How many messages of others came since the reader left the bottom. */
function useUnseen({ timeline }: RoomState, myId: string, atBottom: boolean): number {
  const last = lastSeq(timeline);
  const [left, setLeft] = useState({ atBottom, seq: last });
  if (left.atBottom !== atBottom) setLeft({ atBottom, seq: last });
  if (atBottom) return 0;
  return timeline.messages.filter((m) => m.seq > left.seq && m.from.id !== myId).length;
}

/** Arrow keys, Home and End, once a message has the focus. */
function moveFocus(event: KeyboardEvent<HTMLElement>): void {
  const lines = [...event.currentTarget.querySelectorAll<HTMLElement>(LINE)];
  const at = lines.findIndex((line) => line === document.activeElement);
  if (at === -1) return;
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: lines.length - 1 }[event.key];
  const line = to === undefined ? undefined : lines[to];
  if (!line) return;
  event.preventDefault();
  line.focus({ preventScroll: true });
  line.scrollIntoView({ block: "nearest" });
}
