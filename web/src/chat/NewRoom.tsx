import { LakhError, type ChatClient, type RoomKind, type User } from "lakh-client";
import { Hash, Lock, MessageCircle, Plus } from "lucide-react";
import { useState } from "react";
import { useLocation } from "wouter";
import { Button } from "../ui/Button.tsx";
import { DialogForm } from "../ui/DialogForm.tsx";
import { Field } from "../ui/Field.tsx";
import { Modal } from "../ui/Modal.tsx";
import styles from "./NewRoom.module.css";
import { roomNameError, roomPath } from "./paths.ts";
import { PeopleField } from "./PeoplePicker.tsx";
import { useChat, useSession } from "./useChat.ts";

interface NewRoomProps {
  label: string;
  look?: "solid" | "soft" | "plain";
  size?: "sm" | "md";
}

/** A button and its dialog: makes a room of any kind and goes there. */
export function NewRoom({ label, look = "soft", size = "md" }: NewRoomProps) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <Button look={look} size={size} onClick={() => setOpen(true)}>
        <Plus size={16} aria-hidden /> {label}
      </Button>
      <Modal open={open} onClose={() => setOpen(false)} title="New room">
        <NewRoomForm onDone={() => setOpen(false)} />
      </Modal>
    </>
  );
}

const KINDS = [
  {
    kind: "public",
    name: "Public",
    icon: Hash,
    note: "Everybody on this server can see and join it.",
  },
  {
    kind: "private",
    name: "Private",
    icon: Lock,
    note: "Only people who are invited can find it.",
  },
  {
    kind: "direct",
    name: "Direct",
    icon: MessageCircle,
    note: "You and up to nine others. There is one such room for each set of people.",
  },
] as const;
/** The server's bounds. */
const MOST_DIRECT = 9;
const MOST_INVITED = 100;

/** A public room by its name: made, or joined if there is one. */
async function openPublic(chat: ChatClient, room: { id: string; name: string; topic?: string }) {
  try {
    return await chat.room.create({ kind: "public", ...room });
  } catch (error) {
    if (!(error instanceof LakhError && error.code === "exists")) throw error;
    return chat.join(room.id);
  }
}

function NewRoomForm({ onDone }: { onDone: () => void }) {
  const session = useSession();
  const [, navigate] = useLocation();
  const features = useChat((state) => state.features);
  const kinds = KINDS.filter(
    ({ kind }) =>
      kind === "public" || features.has(kind === "direct" ? "room:direct" : "room:create"),
  );
  const [kind, setKind] = useState<RoomKind>("public");
  const [name, setName] = useState("");
  const [topic, setTopic] = useState("");
  const [people, setPeople] = useState<readonly User[]>([]);
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const ids = people.map((one) => one.id);

  const go = (id: string) => {
    onDone();
    navigate(roomPath(id));
  };
  const make = async () => {
    const { chat } = session;
    setBusy(true);
    const done = await session.attempt(async () => {
      const described = { name: name.trim(), ...(topic.trim() ? { topic: topic.trim() } : {}) };
      const { room } =
        kind === "direct"
          ? await chat.room.direct({ people: ids })
          : kind === "private"
            ? await chat.room.create({ kind, ...described, members: ids })
            : await openPublic(chat, { id: name.trim(), ...described });
      session.add(room);
      go(room.id);
    });
    if (!done) setBusy(false);
  };
  const submit = () => {
    if (kind === "direct") {
      void make();
      return;
    }
    const problem = roomNameError(name.trim());
    setError(problem);
    if (problem) return;
    // A public room is made by whoever enters it first.
    if (kind !== "public" || topic.trim() !== "") {
      void make();
      return;
    }
    void session.join(name.trim());
    go(name.trim());
  };

  return (
    <DialogForm
      action={kind === "public" ? "Go to room" : kind === "private" ? "Create room" : "Open chat"}
      ready={!busy && (kind !== "direct" || ids.length > 0)}
      onSubmit={submit}
      onCancel={onDone}
    >
      {kinds.length > 1 && (
        <div className={styles.kinds} role="radiogroup" aria-label="Kind">
          {kinds.map(({ kind: value, name: word, icon: Icon }) => (
            <label key={value} className={styles.kind} data-chosen={kind === value || undefined}>
              <input
                type="radio"
                name="kind"
                value={value}
                checked={kind === value}
                onChange={() => setKind(value)}
              />
              <Icon size={18} aria-hidden />
              {word}
            </label>
          ))}
        </div>
      )}
      <p className={styles.note}>{KINDS.find((one) => one.kind === kind)?.note}</p>
      {kind !== "direct" && (
        <Field
          label="Name"
          value={name}
          placeholder="general"
          autoComplete="off"
          error={error}
          hint={
            kind === "public" ? "If there is a room of that name already, you join it." : undefined
          }
          onChange={(event) => setName(event.target.value)}
        />
      )}
      {kind !== "direct" && features.has("room:create") && (
        <Field
          label="Topic"
          value={topic}
          placeholder="What it is about (optional)"
          autoComplete="off"
          onChange={(event) => setTopic(event.target.value)}
        />
      )}
      {kind !== "public" && (
        <PeopleField
          chosen={people}
          most={kind === "direct" ? MOST_DIRECT : MOST_INVITED}
          onChange={setPeople}
        />
      )}
    </DialogForm>
  );
}
