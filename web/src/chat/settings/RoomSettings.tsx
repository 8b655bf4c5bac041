import type { ChatRoomInfo, ChatRoomState, RoomSettings as Settings } from "lakh-client";
import { useState } from "react";
import { useLocation } from "wouter";
import { Area } from "../../ui/Area.tsx";
import { Button } from "../../ui/Button.tsx";
import { Confirm } from "../../ui/Confirm.tsx";
import { DialogForm } from "../../ui/DialogForm.tsx";
import { Field } from "../../ui/Field.tsx";
import { Modal } from "../../ui/Modal.tsx";
import { Select } from "../../ui/Select.tsx";
import { KEPT, PAUSES, withPresent } from "../model/durations.ts";
import { mayAct } from "../model/rights.ts";
import { useSession } from "../useChat.ts";
import styles from "./Settings.module.css";

const REACTIONS = [
  { value: "each", label: "Each emoji once a person" },
  { value: "one", label: "One a person" },
  { value: "counted", label: "As many as people like" },
] as const;

interface Draft {
  name: string;
  topic: string;
  picture: string;
  slow: string;
  kept: string;
  reactions: NonNullable<Settings["reactions"]>;
  words: string;
}

/** Name, topic, picture and rules of a room; and the way to close it. */
export function RoomSettings({ state, onClose }: { state: ChatRoomState; onClose: () => void }) {
  const session = useSession();
  const { id: room, info } = state;
  const [before] = useState(() => draftOf(info, room));
  const [draft, setDraft] = useState(before);
  const set = (change: Partial<Draft>) => setDraft({ ...draft, ...change });
  const direct = info?.kind === "direct";
  const version = info?.version;
  const save = async () => {
    const changes = changesOf(before, draft, direct);
    if (Object.keys(changes).length === 0) {
      onClose();
      return;
    }
    const at = version === undefined ? {} : { version };
    const act = () => session.chat.room.set({ room, ...changes, ...at });
    if (await session.attempt(act, "Saved")) onClose();
  };
  return (
    <Modal open wide onClose={onClose} title="Room settings">
      <DialogForm
        sticky
        action="Save"
        ready={direct || draft.name.trim() !== ""}
        onSubmit={() => void save()}
        onCancel={onClose}
      >
        {!direct && (
          <Field
            label="Name"
            value={draft.name}
            maxLength={128}
            autoComplete="off"
            onChange={(event) => set({ name: event.target.value })}
          />
        )}
        <Area
          label="Topic"
          rows={2}
          value={draft.topic}
          maxLength={1000}
          placeholder="What it is about"
          onChange={(event) => set({ topic: event.target.value })}
        />
        <Field
          label="Picture"
          value={draft.picture}
          inputMode="url"
          autoComplete="off"
          placeholder="https://example.com/picture.png"
          hint="The address of a picture."
          onChange={(event) => set({ picture: event.target.value })}
        />
        <Rules draft={draft} set={set} />
      </DialogForm>
      <Ends state={state} onClose={onClose} />
    </Modal>
  );
}

function Rules({ draft, set }: { draft: Draft; set: (change: Partial<Draft>) => void }) {
  const pauses = withPresent(PAUSES, Number(draft.slow));
  const kept = KEPT.some(({ days }) => String(days) === draft.kept)
    ? KEPT
    : [...KEPT, { days: Number(draft.kept), label: `${draft.kept} days` }];
  return (
    <>
      <div className={styles.pair}>
        <Select
          label="Slow mode"
          value={draft.slow}
          choices={pauses.map(({ seconds, label }) => ({ value: String(seconds), label }))}
          hint="How long one waits between two messages."
          onChoose={(slow) => set({ slow })}
        />
        <Select
          label="Keep messages"
          value={draft.kept}
          choices={kept.map(({ days, label }) => ({ value: String(days), label }))}
          hint="Older ones are removed for good."
          onChoose={(value) => set({ kept: value })}
        />
      </div>
      <Select
        label="Reactions"
        value={draft.reactions}
        choices={REACTIONS}
        onChoose={(reactions) => set({ reactions })}
      />
      <Area
        label="Words that nobody may say here"
        rows={3}
        value={draft.words}
        placeholder={"darn\ngo away\nspam*"}
        hint="One a line. * stands for any letters."
        onChange={(event) => set({ words: event.target.value })}
      />
    </>
  );
}

/** What ends a room for a while or for good. */
function Ends({ state, onClose }: { state: ChatRoomState; onClose: () => void }) {
  const session = useSession();
  const [, navigate] = useLocation();
  const [asking, setAsking] = useState(false);
  const { id: room, info } = state;
  const { chat } = session;
  const archived = info?.archived === true;
  const mayArchive = mayAct(info, "archive");
  const mayDelete = mayAct(info, "delete_room");
  if (!mayArchive && !mayDelete) return null;
  const archive = () =>
    session.attempt(
      () => chat.room.archive({ room, archived: !archived }),
      archived ? "The room is open again" : "Archived",
    );
  const remove = async () => {
    if (!(await session.attempt(() => chat.room.delete({ room }), "The room is deleted"))) return;
    onClose();
    session.drop(room);
    navigate("/chat");
  };
  return (
    <div className={styles.danger}>
      {mayArchive && (
        <div className={styles.row}>
          <span className={styles.rowTexts}>
            <span className={styles.rowTitle}>{archived ? "Open again" : "Archive"}</span>
            <span className={styles.rowNote}>
              {archived
                ? "People can write and join again."
                : "All that was said can be read; nobody writes any more."}
            </span>
          </span>
          <Button onClick={() => void archive()}>{archived ? "Open again" : "Archive"}</Button>
        </div>
      )}
      {mayDelete && (
        <div className={styles.row}>
          <span className={styles.rowTexts}>
            <span className={styles.rowTitle}>Delete the room</span>
            <span className={styles.rowNote}>With all its messages and files, for everybody.</span>
          </span>
          <Button look="danger" onClick={() => setAsking(true)}>
            Delete…
          </Button>
        </div>
      )}
      {asking && (
        <Confirm
          title="Delete the room?"
          action="Delete for good"
          word={info?.name ?? room}
          onConfirm={remove}
          onClose={() => setAsking(false)}
        >
          Messages, threads, files and members go, for everybody. It can’t be taken back.
        </Confirm>
      )}
    </div>
  );
}

function draftOf(info: ChatRoomInfo | null, id: string): Draft {
  const { slow_mode_s = 0, retention_days = 0, reactions = "each", words } = info?.settings ?? {};
  return {
    name: info?.name ?? id,
    topic: info?.topic ?? "",
    picture: info?.picture ?? "",
    slow: String(slow_mode_s),
    kept: String(retention_days),
    reactions,
    words: (words ?? []).join("\n"),
  };
}

/** Only what has become another: all else may be changed by somebody else meanwhile. */
function changesOf(before: Draft, draft: Draft, direct: boolean) {
  const differs = (field: keyof Draft) => draft[field].trim() !== before[field].trim();
  const words = draft.words
    .split("\n")
    .map((word) => word.trim())
    .filter(Boolean);
  const settings = {
    ...(differs("slow") ? { slow_mode_s: Number(draft.slow) } : {}),
    ...(differs("kept") ? { retention_days: Number(draft.kept) } : {}),
    ...(differs("reactions") ? { reactions: draft.reactions } : {}),
    ...(differs("words") ? { words } : {}),
  };
  return {
    ...(!direct && differs("name") ? { name: draft.name.trim() } : {}),
    ...(differs("topic") ? { topic: draft.topic.trim() || null } : {}),
    ...(differs("picture") ? { picture: draft.picture.trim() || null } : {}),
    ...(Object.keys(settings).length > 0 ? { settings } : {}),
  };
}
