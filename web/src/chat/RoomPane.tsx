import type { ChatMessage, ChatRoom, ChatRoomState } from "lakh-client";
import { CircleAlert } from "lucide-react";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useLocation } from "wouter";
import { Banner } from "../ui/Banner.tsx";
import { Button } from "../ui/Button.tsx";
import { Empty } from "../ui/Empty.tsx";
import { readable } from "../ui/format.ts";
import { Spinner } from "../ui/Spinner.tsx";
import { Announcer } from "./Announcer.tsx";
import { Conversation } from "./Conversation.tsx";
import { ForwardDialog } from "./ForwardDialog.tsx";
import { Invitation } from "./Invitation.tsx";
import { JoinBar } from "./JoinBar.tsx";
import { ScheduledHint } from "./later/ScheduledHint.tsx";
import { ScheduledPanel } from "./later/ScheduledPanel.tsx";
import { LiveReactions } from "./live/LiveReactions.tsx";
import { MembersPanel } from "./MembersPanel.tsx";
import { isVisitor, mayAct } from "./model/rights.ts";
import { HistoryDialog } from "./moderation/HistoryDialog.tsx";
import { LogPanel } from "./moderation/LogPanel.tsx";
import { DeleteDialog } from "./moderation/DeleteDialog.tsx";
import { PurgeDialog } from "./moderation/PurgeDialog.tsx";
import { ReportsPanel } from "./moderation/ReportsPanel.tsx";
import type { Panel } from "./panel.ts";
import { roomPath, type Target } from "./paths.ts";
import { NoRoom, useNoRoom } from "./NoRoom.tsx";
import { PersonDialog } from "./PersonDialog.tsx";
import { PinsPanel } from "./PinsPanel.tsx";
import { RoomGlyph } from "./RoomGlyph.tsx";
import { ReportDialog } from "./ReportDialog.tsx";
import { ActsContext, type MessageActs } from "./roomContext.ts";
import { RoomHeader } from "./RoomHeader.tsx";
import styles from "./RoomPane.module.css";
import { SeenBy } from "./SeenBy.tsx";
import { ThreadPanel } from "./ThreadPanel.tsx";
import { useChat, useSession } from "./useChat.ts";

interface RoomPaneProps {
  id: string;
  /** The message that the address names. */
  target: Target | null;
  panel: Panel | null;
  onPanel: (panel: Panel | null) => void;
}

/** One room: its head, its messages, where one writes, and what stands beside. */
export function RoomPane({ id, target, panel, onPanel }: RoomPaneProps) {
  const session = useSession();
  const state = useChat((now) => now.rooms.get(id));
  const invitation = useChat(
    ({ directory }) => directory.rooms.find((one) => one.id === id)?.mine?.invited_by,
  );
  const invited = invitation !== undefined && state === undefined;

  useEffect(() => {
    if (!invited) session.open(id);
  }, [session, id, invited]);

  if (invited) return <Invitation id={id} by={invitation} />;
  const room = session.room(id);
  if (!state || !room) return null;
  return <OpenRoom room={room} state={state} target={target} panel={panel} onPanel={onPanel} />;
}

interface OpenRoomProps extends Omit<RoomPaneProps, "id"> {
  room: ChatRoom;
  state: ChatRoomState;
}

type Asked =
  | { kind: "forward"; message: ChatMessage }
  | { kind: "report" | "history" | "remove" | "purge"; message: ChatMessage }
  | { kind: "person"; id: string };

function OpenRoom({ room, state, target, panel, onPanel }: OpenRoomProps) {
  const session = useSession();
  const [, navigate] = useLocation();
  const [asked, setAsked] = useState<Asked | null>(null);
  const [live, setLive] = useState(false);
  const { jumped, jump, waits } = useJump(room, state.loaded, target);
  const { id } = state;

  const toMessage = useCallback(
    (seq: number) => {
      // The address is of another message from now on.
      if (window.location.search !== "") navigate(roomPath(id), { replace: true });
      void jump(seq);
    },
    [navigate, id, jump],
  );
  const acts = useMemo<MessageActs>(
    () => ({
      room,
      thread: undefined,
      reply: ignore,
      edit: ignore,
      forward: (message) => setAsked({ kind: "forward", message }),
      report: (message) => setAsked({ kind: "report", message }),
      history: (message) => setAsked({ kind: "history", message }),
      remove: (message) => setAsked({ kind: "remove", message }),
      purge: (message) => setAsked({ kind: "purge", message }),
      showPerson: (person) => setAsked({ kind: "person", id: person }),
      openThread: (root) => onPanel({ kind: "thread", root }),
      jump: toMessage,
    }),
    [room, onPanel, toMessage],
  );

  useEffect(() => {
    if (target?.thread) onPanel({ kind: "thread", root: target.thread });
  }, [target, onPanel]);

  const close = () => onPanel(null);
  return (
    <ActsContext value={acts}>
      <div className={styles.pane} data-beside={panel && panel.kind !== "search" ? "" : undefined}>
        <div className={styles.main}>
          <RoomHeader state={state} panel={panel} onPanel={onPanel} onLive={() => setLive(true)} />
          <Messages
            {...{ room, state, acts, onPanel }}
            target={jumped}
            // On the way elsewhere, the end is in view without being read.
            reads={!waits}
          />
          <LiveReactions room={room} open={live} onClose={() => setLive(false)} />
        </div>
        {panel?.kind === "thread" && (
          <ThreadPanel
            key={panel.root}
            root={panel.root}
            target={target?.thread === panel.root ? target : null}
            onClose={close}
          />
        )}
        {panel?.kind === "members" && <MembersPanel state={state} onClose={close} />}
        {panel?.kind === "pins" && <PinsPanel state={state} onClose={close} />}
        {panel?.kind === "scheduled" && <ScheduledPanel state={state} onClose={close} />}
        {panel?.kind === "reports" && <ReportsPanel state={state} onClose={close} />}
        {panel?.kind === "log" && <LogPanel state={state} onClose={close} />}
      </div>
      <Announcer log={state} />
      {asked?.kind === "forward" && (
        <ForwardDialog message={asked.message} onClose={() => setAsked(null)} />
      )}
      {asked?.kind === "report" && (
        <ReportDialog message={asked.message} onClose={() => setAsked(null)} />
      )}
      {asked?.kind === "history" && (
        <HistoryDialog message={asked.message} onClose={() => setAsked(null)} />
      )}
      {asked?.kind === "remove" && (
        <DeleteDialog message={asked.message} onClose={() => setAsked(null)} />
      )}
      {asked?.kind === "purge" && (
        <PurgeDialog message={asked.message} onClose={() => setAsked(null)} />
      )}
      {asked?.kind === "person" && (
        <PersonDialog id={asked.id} session={session} onClose={() => setAsked(null)} />
      )}
    </ActsContext>
  );
}

function ignore(): void {
  // The conversation puts its own in the place of this one.
}

/** Loads what is around a message, and says where to scroll then. */
function useJump(room: ChatRoom, loaded: boolean, target: Target | null) {
  const session = useSession();
  const [jumped, setJumped] = useState<{ seq: number } | null>(null);
  const [reached, setReached] = useState<Target | null>(null);
  const jump = useCallback(
    (seq: number) => {
      return session.attempt(async () => {
        if (await room.log.jumpTo(seq)) setJumped({ seq });
        else session.say("This message is not here any more", true);
      });
    },
    [session, room],
  );
  const wanted = target?.thread ?? target?.seq;
  useEffect(() => {
    if (loaded && wanted !== undefined) void jump(wanted).then(() => setReached(target));
    // Once a target, not whenever more is loaded.
  }, [loaded, wanted, target, jump]);
  return { jumped, jump, waits: wanted !== undefined && reached !== target };
}

interface MessagesProps {
  room: ChatRoom;
  state: ChatRoomState;
  acts: MessageActs;
  target: { seq: number } | null;
  /** Whether what is in view counts as read. */
  reads: boolean;
  onPanel: (panel: Panel | null) => void;
}

function Messages({ room, state, acts, target, reads, onPanel }: MessagesProps) {
  const session = useSession();
  const { id, phase, error, loaded, outbox, info } = state;
  const name = info?.name ?? id;
  const missing = useNoRoom(state);
  const retry = <Button onClick={() => session.open(id)}>Try again</Button>;

  if (!loaded && outbox.length === 0) {
    if (missing) return <NoRoom {...missing} />;
    if (phase === "failed" && error) {
      return (
        <Empty icon={<CircleAlert size={26} aria-hidden />} title={titleOf(error)} action={retry}>
          {readable(error.message)}
        </Empty>
      );
    }
    return (
      <div className={styles.loading}>
        <Spinner label="Loading messages…" />
      </div>
    );
  }
  return (
    <>
      {phase === "failed" && error && (
        <Banner tone="bad" icon={<CircleAlert size={18} aria-hidden />} action={retry}>
          {readable(error.message)}
        </Banner>
      )}
      <LoadedMessages {...{ room, state, acts, target, reads, name, onPanel }} />
    </>
  );
}

function LoadedMessages(props: MessagesProps & { name: string }) {
  const { room, state, acts, target, reads, name, onPanel } = props;
  const session = useSession();
  const { newAfter, noteRead } = useNewAfter(state);
  const onRead = useCallback(
    (seq: number) => {
      noteRead(seq);
      session.markRead(room.room);
    },
    [session, room, noteRead],
  );
  useEffect(() => void room.loadReceipts(), [room, state.phase]);
  const { info } = state;
  const visitor = isVisitor(info) && info?.archived !== true;
  const mayWrite = info?.archived !== true && mayAct(info, "send");
  return (
    <Conversation
      room={room}
      log={state}
      typing={state.typing}
      label={`Message to ${name}`}
      start={<Start state={state} name={name} />}
      newAfter={newAfter}
      target={target}
      mayWrite={mayWrite}
      closed={
        visitor ? (
          <JoinBar state={state} />
        ) : (
          <p className={styles.closed}>
            {info?.archived
              ? "This room is archived: it can be read only."
              : "You can’t write here."}
          </p>
        )
      }
      acts={acts}
      {...(reads ? { onRead } : {})}
      aboveComposer={
        <>
          <SeenBy state={state} />
          <ScheduledHint room={room.room} onOpen={() => onPanel({ kind: "scheduled" })} />
        </>
      }
    />
  );
}

function Start({ state, name }: { state: ChatRoomState; name: string }) {
  const { info, messages } = state;
  const direct = info?.kind === "direct";
  if (messages.length > 0) {
    return <p className={styles.start}>This is where “{name}” begins.</p>;
  }
  return (
    <Empty icon={<RoomGlyph room={info ?? {}} size={26} />} title="Nothing said here yet">
      {isVisitor(info)
        ? "Join the room to write the first message."
        : direct
          ? `Only you and ${name} can read what is written here.`
          : info?.kind === "private"
            ? "Write the first message. Only members can read it."
            : "Write the first message. Whoever has this page’s address can join in."}
    </Empty>
  );
}

/**
 * Where the line “New” stands: after what had been read when the room was opened, and later after
 * what was read last before something came unseen, to a reader further up or in another window.
 */
function useNewAfter({ id, info, last, messages }: ChatRoomState) {
  const read = useChat((state) => state.read[id]);
  const myId = useChat((state) => state.me.id);
  // What the list knows is the latest; the room's own is of when it was opened.
  const mine =
    useChat((state) => state.directory.rooms.find((one) => one.id === id)?.mine) ?? info?.mine;
  const [newAfter, setNewAfter] = useState(() => {
    const seen = mine?.read ?? read ?? 0;
    const counts = mine ? mine.unread > 0 : seen > 0;
    return counts && seen < last ? seen : null;
  });
  const readTo = useRef(newAfter ?? last);
  const noteRead = useCallback((seq: number) => {
    readTo.current = seq;
  }, []);
  const own = messages.at(-1)?.from.id === myId;
  useEffect(() => {
    // Whether it was seen as it came the list has noted by now: its effects run before these.
    const seen = readTo.current;

    if (!own && seen > 0 && seen < last) setNewAfter(seen);
  }, [last, own]);
  const { markedUnread } = useSession();
  useEffect(
    () =>
      markedUnread.subscribe(() => {
        const marked = markedUnread.get();
        if (marked?.room !== id) return;
        readTo.current = marked.seq - 1;
        setNewAfter(marked.seq - 1);
      }),
    [markedUnread, id],
  );
  return { newAfter, noteRead };
}

function titleOf({ code }: { code: string }): string {
  if (code === "forbidden") return "You may not enter this room";
  if (code === "banned") return "You are banned from this room";
  return "This room did not open";
}
