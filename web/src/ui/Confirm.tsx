import { useState, type ReactNode } from "react";
import { DialogForm } from "./DialogForm.tsx";
import { Field } from "./Field.tsx";
import { Modal } from "./Modal.tsx";

interface ConfirmProps {
  title: string;
  /** What will happen. */
  children: ReactNode;
  /** What the button says that does it. */
  action: string;
  /** To be written first: for what can't be taken back. */
  word?: string;
  /** Stands above the buttons. */
  more?: ReactNode;
  onConfirm: () => Promise<unknown>;
  onClose: () => void;
}

/** Asks before something is taken away for good. */
export function Confirm(props: ConfirmProps) {
  const { title, children, action, word, more, onConfirm, onClose } = props;
  const [written, setWritten] = useState("");
  const [busy, setBusy] = useState(false);
  const ready = !busy && (word === undefined || written.trim() === word);
  const confirm = async () => {
    setBusy(true);
    await onConfirm();
    setBusy(false);
  };
  return (
    <Modal open onClose={onClose} title={title} description={children}>
      <DialogForm
        bad
        action={action}
        ready={ready}
        onSubmit={() => void confirm()}
        onCancel={onClose}
      >
        {more}
        {word !== undefined && (
          <Field
            label={`Write “${word}” to go on`}
            value={written}
            autoComplete="off"
            autoCapitalize="off"
            onChange={(event) => setWritten(event.target.value)}
          />
        )}
      </DialogForm>
    </Modal>
  );
}
