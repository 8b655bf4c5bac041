import type { ChatMessage } from "lakh-client";
import { useState } from "react";
import { Button } from "../ui/Button.tsx";
import { DialogForm } from "../ui/DialogForm.tsx";
import { Field } from "../ui/Field.tsx";
import { Modal } from "../ui/Modal.tsx";
import styles from "./NewRoom.module.css";
import { useSession } from "./useChat.ts";

const REASONS = ["Spam", "Insult or harassment", "Violence", "Private data of somebody"];

/** Tells the moderators about a message. */
export function ReportDialog({ message, onClose }: { message: ChatMessage; onClose: () => void }) {
  const session = useSession();
  const [reason, setReason] = useState("");
  const { room, seq, thread } = message;
  const send = async () => {
    const fields = {
      room,
      seq,
      ...(thread === undefined ? {} : { thread }),
      reason: reason.trim(),
    };
    const act = () => session.chat.report.send(fields);
    if (await session.attempt(act, "Reported. A moderator will look at it.")) onClose();
  };
  return (
    <Modal
      open
      onClose={onClose}
      title="Report this message"
      description="Moderators of the room see it, and who reported it."
    >
      <DialogForm
        action="Report"
        ready={reason.trim() !== ""}
        onSubmit={() => void send()}
        onCancel={onClose}
      >
        <div className={styles.reasons}>
          {REASONS.map((one) => (
            <Button
              key={one}
              size="sm"
              aria-pressed={reason === one}
              onClick={() => setReason(one)}
            >
              {one}
            </Button>
          ))}
        </div>
        <Field
          label="Why"
          value={reason}
          maxLength={500}
          onChange={(event) => setReason(event.target.value)}
        />
      </DialogForm>
    </Modal>
  );
}
