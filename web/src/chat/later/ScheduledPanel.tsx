import type { ChatRoomState, ChatScheduled } from "lakh-client";
import { CalendarClock, Paperclip } from "lucide-react";
import { useState } from "react";
import { useStore } from "../../app/store.ts";
import { Area } from "../../ui/Area.tsx";
import { Button } from "../../ui/Button.tsx";
import { Choice } from "../../ui/Choice.tsx";
import { Empty } from "../../ui/Empty.tsx";
import { Spinner } from "../../ui/Spinner.tsx";
import { fullTime } from "../model/times.ts";
import { countChars, MAX_TEXT } from "../paths.ts";
import { SidePanel } from "../SidePanel.tsx";
import styles from "../SidePanel.module.css";
import { useChat, useSession } from "../useChat.ts";
import later from "./Later.module.css";
import { WhenDialog } from "./WhenDialog.tsx";

const WHERE = [
  { value: "here", label: "This room" },
  { value: "all", label: "All rooms" },
] as const;

/** One's messages that wait for their time: to be changed, sent at once, or given up. */
export function ScheduledPanel({ state, onClose }: { state: ChatRoomState; onClose: () => void }) {
  const session = useSession();
  const all = useStore(session.scheduled.list);
  const [where, setWhere] = useState<"here" | "all">("here");
  const shown = all?.filter((one) => where === "all" || one.room === state.id);
  return (
    <SidePanel title="Scheduled messages" onClose={onClose}>
      <div className={styles.where}>
        <Choice label="Where" value={where} choices={WHERE} onChoose={setWhere} />
      </div>
      <div className={styles.scroll}>
        {shown === undefined && (
          <div className={styles.loading}>
            <Spinner label="Loading…" />
          </div>
        )}
        {shown?.length === 0 && (
          <Empty icon={<CalendarClock size={24} aria-hidden />} title="Nothing is waiting">
            Write a message, and choose “Send later” beside the button that sends.
          </Empty>
        )}
        <ul className={later.list} aria-label="Scheduled messages">
          {shown?.map((one) => (
            <Item key={one.id} one={one} named={where === "all"} />
          ))}
        </ul>
      </div>
    </SidePanel>
  );
}

function Item({ one, named }: { one: ChatScheduled; named: boolean }) {
  const session = useSession();
  const [changing, setChanging] = useState(false);
  const room = useChat(({ directory }) => directory.rooms.find(({ id }) => id === one.room)?.name);
  const files = one.attachments?.length ?? 0;
  const { scheduled } = session;
  return (
    <li className={later.item}>
      <span className={later.itemHead}>
        <CalendarClock size={15} aria-hidden />
        <time className={later.itemTime} dateTime={new Date(one.at).toISOString()}>
          {fullTime(one.at)}
        </time>
      </span>
      {(named || one.thread !== undefined) && (
        <span className={later.itemRoom}>
          {one.thread === undefined ? "" : "In a thread of "}
          {room ?? one.room}
        </span>
      )}
      {one.text && <span className={later.itemText}>{one.text}</span>}
      {files > 0 && (
        <span className={later.itemHead}>
          <Paperclip size={14} aria-hidden /> {files === 1 ? "1 file" : `${files} files`}
        </span>
      )}
      <span className={later.itemActs}>
        <Button look="plain" size="sm" onClick={() => setChanging(true)}>
          Change
        </Button>
        <Button
          look="plain"
          size="sm"
          onClick={() =>
            void session.attempt(() => scheduled.change(one.id, one.text, Date.now()), "On its way")
          }
        >
          Send now
        </Button>
        <Button
          look="danger"
          size="sm"
          onClick={() => void session.attempt(() => scheduled.cancel(one.id), "It won’t be sent")}
        >
          Cancel
        </Button>
      </span>
      {changing && <Change one={one} onClose={() => setChanging(false)} />}
    </li>
  );
}

function Change({ one, onClose }: { one: ChatScheduled; onClose: () => void }) {
  const session = useSession();
  const [text, setText] = useState(one.text);
  const hasFiles = (one.attachments?.length ?? 0) > 0;
  const ready = (text.trim() !== "" || hasFiles) && countChars(text) <= MAX_TEXT;
  return (
    <WhenDialog
      title="Change the message"
      action="Save"
      at={one.at}
      ready={ready}
      onClose={onClose}
      onDone={async (at) => {
        const act = () => session.scheduled.change(one.id, text.trim(), at);
        if (await session.attempt(act, "Changed")) onClose();
      }}
    >
      <Area
        label="Message"
        rows={4}
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
    </WhenDialog>
  );
}
