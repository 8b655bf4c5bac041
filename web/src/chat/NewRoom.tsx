import { Plus } from "lucide-react";
import { useState, type SubmitEvent } from "react";
import { useLocation } from "wouter";
import { Button } from "../ui/Button.tsx";
import { Field } from "../ui/Field.tsx";
import { Modal } from "../ui/Modal.tsx";
import styles from "./NewRoom.module.css";
import { roomNameError, roomPath } from "./paths.ts";

interface NewRoomProps {
  label: string;
  look?: "solid" | "soft" | "plain";
  size?: "sm" | "md";
}

/** A button and its dialog: names a room and goes there, which makes it when it is new. */
export function NewRoom({ label, look = "soft", size = "md" }: NewRoomProps) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <Button look={look} size={size} onClick={() => setOpen(true)}>
        <Plus size={16} aria-hidden /> {label}
      </Button>
      <Modal
        open={open}
        onClose={() => setOpen(false)}
        title="New room"
        description="Everybody on this server can see and join it."
      >
        <NewRoomForm onDone={() => setOpen(false)} />
      </Modal>
    </>
  );
}

function NewRoomForm({ onDone }: { onDone: () => void }) {
  const [, navigate] = useLocation();
  const [name, setName] = useState("");
  const [error, setError] = useState<string | null>(null);

  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const wanted = name.trim();
    const problem = roomNameError(wanted);
    setError(problem);
    if (problem) return;
    onDone();
    navigate(roomPath(wanted));
  };

  return (
    <form className={styles.form} onSubmit={submit} noValidate>
      <Field
        label="Name"
        value={name}
        placeholder="general"
        autoComplete="off"
        error={error}
        hint="If there is a room of that name already, you join it."
        onChange={(event) => setName(event.target.value)}
      />
      <div className={styles.buttons}>
        <Button onClick={onDone}>Cancel</Button>
        <Button type="submit" look="solid">
          Go to room
        </Button>
      </div>
    </form>
  );
}
