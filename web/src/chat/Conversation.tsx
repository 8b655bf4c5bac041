import type { ChatMessage, ChatRoom, LogState, Typing } from "lakh-client";
import { Upload as UploadIcon } from "lucide-react";
import {
  useCallback,
  useMemo,
  useRef,
  useState,
  type DragEvent,
  type KeyboardEvent,
  type ReactNode,
} from "react";
import { Composer } from "./Composer.tsx";
import styles from "./Conversation.module.css";
import { MessageList, NEWEST } from "./MessageList.tsx";
import {
  ActsContext,
  EditingContext,
  StopEditingContext,
  type MessageActs,
} from "./roomContext.ts";
import { TypingLine } from "./TypingLine.tsx";
import { useChat, useSession } from "./useChat.ts";

interface ConversationProps {
  room: ChatRoom;
  thread?: number;
  log: LogState;
  typing: Typing;
  label: string;
  /** Stands before the first message. */
  start: ReactNode;
  newAfter?: number | null;
  target: { seq: number } | null;
  mayWrite: boolean;
  /** Why one can't write here, where that is so. */
  closed?: ReactNode;
  acts: MessageActs;
  onRead?: (seq: number) => void;
  aboveComposer?: ReactNode;
}

/** Messages and where one writes: of a room, or of a thread. */
export function Conversation(props: ConversationProps) {
  const { room, thread, log, typing, label, start, newAfter, mayWrite, closed, onRead } = props;
  const myId = useChat((state) => state.me.id);
  const mayEdit = useChat((state) => state.features.has("message:edit"));
  const mayUpload = useChat((state) => state.features.has("attachment:upload"));
  const [replyTo, setReplyTo] = useState<ChatMessage | null>(null);
  const [editing, setEditing] = useState<number | null>(null);
  const [jumped, setJumped] = useState<{ seq: number } | null>(null);
  const attaching = useSession().attaching(room.room, thread);
  const frame = useRef<HTMLDivElement>(null);
  const drop = useDrop(mayWrite && mayUpload, (files) => attaching.add(files));
  const { acts } = props;

  const stopEditing = useCallback(() => {
    setEditing(null);
    frame.current?.querySelector<HTMLElement>("form textarea")?.focus();
  }, []);
  const shared = useMemo<MessageActs>(
    () => ({
      ...acts,
      thread,
      reply: (message) => {
        setEditing(null);
        setReplyTo(message);
      },
      edit: (message) => setEditing(message.seq),
      jump:
        thread === undefined
          ? acts.jump
          : (seq) =>
              void room
                .thread(thread)
                .jumpTo(seq)
                .then(() => setJumped({ seq })),
    }),
    [acts, thread, room],
  );
  const editLast = () => {
    const own = log.messages.findLast((one) => one.from.id === myId && !one.deleted);
    if (own && mayEdit) setEditing(own.seq);
  };

  return (
    <ActsContext value={shared}>
      <EditingContext value={editing}>
        <StopEditingContext value={stopEditing}>
          {/* The fields and buttons inside are what is focused; here only Escape is heard. */}
          {/* eslint-disable-next-line jsx-a11y/no-static-element-interactions */}
          <div
            ref={frame}
            className={styles.conversation}
            onKeyDown={leaveToNewest}
            {...drop.handlers}
          >
            <MessageList
              log={log}
              start={start}
              newAfter={newAfter ?? null}
              target={jumped ?? props.target}
              {...(onRead ? { onRead } : {})}
            />
            <div className={styles.foot}>
              <TypingLine
                typing={typing}
                {...(thread === undefined ? { count: room.state.typists } : {})}
              />
              {props.aboveComposer}
            </div>
            {mayWrite ? (
              <Composer
                roomId={room.room}
                label={label}
                {...(thread === undefined ? {} : { thread })}
                attaching={attaching}
                replyTo={replyTo}
                onReplyDone={() => setReplyTo(null)}
                onEditLast={editLast}
              />
            ) : (
              closed
            )}
            {drop.over && (
              <div className={styles.drop}>
                <UploadIcon size={28} aria-hidden />
                Drop files to attach them
              </div>
            )}
          </div>
        </StopEditingContext>
      </EditingContext>
    </ActsContext>
  );
}

/** Escape: from further up to the newest message, and from the messages to where one writes. */
function leaveToNewest(event: KeyboardEvent<HTMLElement>): void {
  if (event.key !== "Escape" || event.defaultPrevented) return;
  // Lists and dialogs that were opened from here stand elsewhere on the page.
  if (!event.currentTarget.contains(event.target as Node)) return;
  const newest = event.currentTarget.querySelector<HTMLElement>(NEWEST);
  const field = event.currentTarget.querySelector<HTMLElement>("form textarea");
  const elsewhere = field !== null && field !== event.target;
  if (!newest && !elsewhere) return;
  event.preventDefault();
  newest?.click();
  field?.focus({ preventScroll: true });
}

/** Files that are dragged over the conversation and let go. */
function useDrop(enabled: boolean, add: (files: File[]) => void) {
  const [over, setOver] = useState(false);
  if (!enabled) return { over: false, handlers: {} };
  const hasFiles = (event: DragEvent) => event.dataTransfer.types.includes("Files");
  const handlers = {
    onDragOver: (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      setOver(true);
    },
    onDragLeave: (event: DragEvent<HTMLElement>) => {
      if (!event.currentTarget.contains(event.relatedTarget as Node | null)) setOver(false);
    },
    onDrop: (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      setOver(false);
      add([...event.dataTransfer.files]);
    },
  };
  return { over, handlers };
}
