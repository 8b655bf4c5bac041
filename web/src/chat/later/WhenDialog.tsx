import { useState, type ReactNode } from "react";
import { Button } from "../../ui/Button.tsx";
import { DialogForm } from "../../ui/DialogForm.tsx";
import { Field } from "../../ui/Field.tsx";
import { Modal } from "../../ui/Modal.tsx";
import { fromField, toField, usualTimes } from "../model/durations.ts";
import { fullTime } from "../model/times.ts";
import styles from "./Later.module.css";

interface WhenDialogProps {
  title: string;
  action: string;
  /** When it would be sent so far. */
  at?: number;
  /** Stands above the time. */
  children?: ReactNode;
  ready?: boolean;
  onDone: (at: number) => Promise<void>;
  onClose: () => void;
}

const HOUR_MS = 3_600_000;
/** The server's bound. */
const FURTHEST_MS = 366 * 24 * HOUR_MS;

/** Asks for a time ahead: one of the usual, or any. */
export function WhenDialog(props: WhenDialogProps) {
  const { title, action, at, children, ready = true, onDone, onClose } = props;
  const [now] = useState(() => Date.now());
  const [field, setField] = useState(() => toField(at ?? now + HOUR_MS));
  const [busy, setBusy] = useState(false);
  const time = fromField(field);
  const problem =
    time === null
      ? "Choose a day and a time."
      : time < now - 60_000
        ? "This time has passed."
        : time > now + FURTHEST_MS
          ? "A year ahead is the furthest."
          : null;
  const done = async () => {
    if (time === null) return;
    setBusy(true);
    await onDone(time);
    setBusy(false);
  };
  return (
    <Modal open onClose={onClose} title={title}>
      <DialogForm
        action={action}
        ready={!busy && problem === null && ready}
        onSubmit={() => void done()}
        onCancel={onClose}
      >
        {children}
        <div className={styles.times} role="group" aria-label="Usual times">
          {usualTimes(now).map(({ label, time: usual }) => (
            <Button
              key={label}
              size="sm"
              aria-pressed={time === usual}
              onClick={() => setField(toField(usual))}
            >
              {label}
            </Button>
          ))}
        </div>
        <Field
          label="When"
          type="datetime-local"
          value={field}
          min={toField(now)}
          error={problem}
          hint={time === null ? undefined : fullTime(time)}
          onChange={(event) => setField(event.target.value)}
        />
      </DialogForm>
    </Modal>
  );
}
