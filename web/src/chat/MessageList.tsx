import clsx from "clsx";
import type { LogState } from "lakh-client";
import { ArrowDown, ArrowUp } from "lucide-react";
import {
  useCallback,
  useEffect,
  useMemo,
  useRef,
  useState,
  type KeyboardEvent,
  type ReactNode,
  type RefObject,
} from "react";
import { useNow } from "../app/useNow.ts";
import { Button } from "../ui/Button.tsx";
import { Spinner } from "../ui/Spinner.tsx";
import { Block } from "./Block.tsx";
import styles from "./MessageList.module.css";
import { toRows } from "./model/grouping.ts";
import { dayLabel } from "./model/times.ts";
import { useActs } from "./roomContext.ts";
import { useChat, useSession } from "./useChat.ts";
import { LINE, useScrollback } from "./useScrollback.ts";

/** What is kept on the page while its end is being read. */
const KEEP = 200;

interface MessageListProps {
  log: LogState;
  /** Stands before the first message, once that is here. */
  start: ReactNode;
  /** Up to where the reader had read when this was opened. */
  newAfter?: number | null;
  /** The message to bring into view; a new object each time. */
  target?: { seq: number } | null;
  /** Called when the end has been seen. */
  onRead?: (seq: number) => void;
}

/** The button that leads to the newest message. */
export const NEWEST = "[data-newest]";

/** Messages, of which only a window is on the page. Loads more as an end of it comes near. */
export function MessageList({ log, start, newAfter = null, target, onRead }: MessageListProps) {
  const session = useSession();
  const me = useChat((state) => state.me);
  const now = useNow();
  const acts = useActs();
  const { room, thread } = acts;
  const { messages, outbox, older, newer } = log;
  const logOf = useCallback(
    () => (thread === undefined ? room.log : room.thread(thread)),
    [room, thread],
  );
  const rows = useMemo(
    () => toRows(messages, log.atEnd ? outbox : [], me, newAfter, older === "none"),
    [messages, log.atEnd, outbox, me, newAfter, older],
  );

  // A failure waits for a person to try again, or the page would ask without end.
  const loadOlder = useCallback(() => {
    if (older === "more") void logOf().loadOlder();
  }, [logOf, older]);
  const loadNewer = useCallback(() => {
    if (newer === "more") void logOf().loadNewer();
  }, [logOf, newer]);
  const { view, atBottom, onScroll, toBottom, toMessage } = useScrollback({
    rows,
    ownKey: outbox.at(-1)?.key,
    atEnd: log.atEnd,
    onNearTop: loadOlder,
    onNearBottom: loadNewer,
  });

  useEffect(() => {
    if (atBottom && messages.length > KEEP * 1.5) logOf().trim(KEEP);
  }, [logOf, atBottom, messages.length]);
  useReadMark(atBottom, messages.at(-1)?.seq ?? 0, onRead);
  useTarget(target ?? null, messages, toMessage);
  useOwnAtEnd(log, logOf);

  const last = log.last;
  const unseen = useUnseen(log, me.id, atBottom);
  const toNewest = () => {
    if (log.atEnd) toBottom();
    else void session.attempt(() => logOf().toNewest()).then(toBottom);
  };
  const toMark = () => {
    const first = messages.find((one) => newAfter !== null && one.seq > newAfter);
    if (first) toMessage(first.seq);
  };
  const mayEdit = useChat((state) => state.features.has("message:edit"));
  const press = (event: KeyboardEvent<HTMLElement>) => {
    moveFocus(event);
    const message = focused(event, messages);
    if (!message) return;
    const own = message.from.id === me.id;
    if (event.key === "r") acts.reply(message);
    else if (event.key === "e" && own && mayEdit) acts.edit(message);
    else if (event.key === "t" && mayEdit && thread === undefined) acts.openThread(message.seq);
    else return;
    event.preventDefault();
  };
  const first = messages[0]?.seq ?? 0;
  const away = newAfter !== null && older !== "none" && newAfter + 1 < first;
  const { above, mark } = useMark(view, newAfter);

  return (
    <div className={styles.frame}>
      {/* It scrolls, so it takes the focus; the arrow keys go from message to message. */}
      {/* eslint-disable-next-line jsx-a11y/no-static-element-interactions */}
      <div ref={view} className={styles.view} data-reading onScroll={onScroll} onKeyDown={press}>
        <div className={styles.rows} data-thread={thread}>
          <Edge edge={older} what="Older" onRetry={() => void logOf().loadOlder()}>
            {start}
          </Edge>
          {rows.map((row) => {
            switch (row.kind) {
              case "day":
                return (
                  <h2 key={row.id} className={styles.day}>
                    <span>{dayLabel(row.time, now)}</span>
                  </h2>
                );
              case "new":
                return (
                  <p key={row.id} ref={mark} className={styles.new} data-new>
                    <span>New</span>
                  </p>
                );
              case "block":
                return <Block key={row.id} block={row} isLast={row === rows.at(-1)} />;
            }
          })}
          {newer !== "none" && (
            <Edge edge={newer} what="Newer" onRetry={() => void logOf().loadNewer()} />
          )}
        </div>
      </div>
      {newAfter !== null && (away || above) && (
        <button
          type="button"
          className={clsx(styles.pill, styles.pillUp)}
          onClick={() => (above ? toMark() : acts.jump(newAfter + 1))}
        >
          <ArrowUp size={17} aria-hidden />
          {last - newAfter} new messages, go to the first
        </button>
      )}
      {!atBottom && (
        <button type="button" className={styles.pill} data-newest onClick={toNewest}>
          {unseen > 0 && (unseen === 1 ? "1 new message" : `${unseen} new messages`)}
          <ArrowDown size={17} aria-hidden={unseen > 0} aria-label="To the newest message" />
        </button>
      )}
    </div>
  );
}

interface EdgeProps {
  edge: LogState["older"];
  what: "Older" | "Newer";
  onRetry: () => void;
  children?: ReactNode;
}

function Edge({ edge, what, onRetry, children }: EdgeProps) {
  switch (edge) {
    case "loading":
    case "more":
      return (
        <div className={styles.start}>
          <Spinner label={`Loading ${what.toLowerCase()} messages…`} />
        </div>
      );
    case "failed":
      return (
        <div className={styles.start}>
          {what} messages could not be loaded.
          <Button look="plain" size="sm" onClick={onRetry}>
            Try again
          </Button>
        </div>
      );
    case "none":
      return children;
    case "unknown":
      return null;
  }
}

/** Tells that all was read, while the end is in view and the tab is in front. */
function useReadMark(atBottom: boolean, last: number, onRead: MessageListProps["onRead"]): void {
  useEffect(() => {
    const mark = () => {
      if (atBottom && last > 0 && document.visibilityState === "visible") onRead?.(last);
    };
    mark();
    document.addEventListener("visibilitychange", mark);
    return () => document.removeEventListener("visibilitychange", mark);
  }, [atBottom, last, onRead]);
}

/** Goes to the message that was asked for, as soon as it is on the page. */
function useTarget(
  target: { seq: number } | null,
  messages: LogState["messages"],
  toMessage: (seq: number) => boolean,
): void {
  const reached = useRef<{ seq: number } | null>(null);
  useEffect(() => {
    if (!target || target === reached.current) return;
    // After the rows are drawn: this effect runs behind the one that draws them.
    if (toMessage(target.seq)) reached.current = target;
  }, [target, messages, toMessage]);
}

/** Whether the line before what is new is further up than one has looked since it was drawn. */
function useMark(view: RefObject<HTMLElement | null>, newAfter: number | null) {
  const [above, setAbove] = useState<{ of: number | null; is: boolean }>();
  const mark = useCallback(
    (element: HTMLElement | null) => {
      if (!element) return;
      const observer = new IntersectionObserver(
        ([entry]) => {
          if (!entry) return;
          const edge = entry.rootBounds?.top ?? 0;
          const isAbove = !entry.isIntersecting && entry.boundingClientRect.top < edge;
          // Once it was in view, it is known.
          setAbove((old) =>
            old?.of === newAfter && !old.is ? old : { of: newAfter, is: isAbove },
          );
          if (!isAbove && entry.isIntersecting) observer.disconnect();
        },
        { root: view.current },
      );
      observer.observe(element);
      return () => observer.disconnect();
    },
    [view, newAfter],
  );
  return { above: above?.of === newAfter && above.is, mark };
}

/** Whoever writes while reading far up goes to where it will stand. */
function useOwnAtEnd(log: LogState, logOf: () => { toNewest: () => Promise<void> }): void {
  const session = useSession();
  const key = log.outbox.at(-1)?.key;
  const seen = useRef(key);
  useEffect(() => {
    if (key === seen.current) return;
    seen.current = key;
    if (key !== undefined && !log.atEnd) void session.attempt(() => logOf().toNewest());
  }, [key, log.atEnd, logOf, session]);
}

/** How many messages of others came since the reader left the bottom. */
function useUnseen({ messages, last, atEnd }: LogState, myId: string, atBottom: boolean): number {
  const [left, setLeft] = useState({ atBottom, seq: last });
  if (left.atBottom !== atBottom) setLeft({ atBottom, seq: last });
  if (atBottom) return 0;
  if (!atEnd) return Math.max(0, last - left.seq);
  return messages.filter((one) => one.seq > left.seq && one.from.id !== myId).length;
}

/** The message that has the focus itself, for single letters; not one whose text is being edited. */
function focused(event: KeyboardEvent<HTMLElement>, messages: LogState["messages"]) {
  const { target, ctrlKey, metaKey, altKey } = event;
  if (ctrlKey || metaKey || altKey || !(target instanceof HTMLElement)) return undefined;
  if (!target.matches(LINE)) return undefined;
  const message = messages.find((one) => String(one.seq) === target.dataset.seq);
  return message?.deleted ? undefined : message;
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
