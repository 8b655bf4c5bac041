import type { ChatMember } from "lakh-client";
import { useState } from "react";
import { DialogForm } from "../../ui/DialogForm.tsx";
import { Field } from "../../ui/Field.tsx";
import { Modal } from "../../ui/Modal.tsx";
import { Select } from "../../ui/Select.tsx";
import { PENALTIES } from "../model/durations.ts";
import { useSession } from "../useChat.ts";

export type Penalty = "mute" | "kick" | "ban";

interface PenaltyDialogProps {
  kind: Penalty;
  member: ChatMember;
  room: string;
  onDone: () => void;
  onClose: () => void;
}

const WORDS = {
  mute: {
    title: "Mute",
    note: "They can read, and say nothing, until the time is over.",
    action: "Mute",
  },
  kick: {
    title: "Take out",
    note: "They are no member any more. If the room is open to them, they may come back.",
    action: "Take out",
  },
  ban: {
    title: "Ban",
    note: "They are put out on all their devices, and can’t come back until the ban ends.",
    action: "Ban",
  },
} as const;

const SPANS = PENALTIES.map(({ seconds, label }) => ({ value: String(seconds), label }));
const FOR_GOOD = { value: "0", label: "For good" };

/** Asks for how long, and why. */
export function PenaltyDialog({ kind, member, room, onDone, onClose }: PenaltyDialogProps) {
  const session = useSession();
  const [span, setSpan] = useState("3600");
  const [reason, setReason] = useState("");
  const { title, note, action } = WORDS[kind];
  const { id: person, name } = member;
  const seconds = Number(span);
  const act = () => {
    const { chat } = session;
    const why = reason.trim() ? { reason: reason.trim() } : {};
    if (kind === "mute") return chat.member.mute({ room, person, seconds });
    if (kind === "kick") return chat.member.kick({ room, person, ...why });
    return chat.member.ban({ room, person, ...why, ...(seconds > 0 ? { seconds } : {}) });
  };
  const done = { mute: `${name} is muted`, kick: `${name} is out`, ban: `${name} is banned` }[kind];
  return (
    <Modal open onClose={onClose} title={`${title} ${name}?`} description={note}>
      <DialogForm
        action={action}
        onSubmit={() => void session.attempt(act, done).then((ok) => ok && onDone())}
        onCancel={onClose}
      >
        {kind !== "kick" && (
          <Select
            label="For how long"
            value={span}
            choices={kind === "ban" ? [...SPANS, FOR_GOOD] : SPANS}
            onChoose={setSpan}
          />
        )}
        {kind !== "mute" && (
          <Field
            label="Why (optional, they can read it)"
            value={reason}
            maxLength={500}
            onChange={(event) => setReason(event.target.value)}
          />
        )}
      </DialogForm>
    </Modal>
  );
}
