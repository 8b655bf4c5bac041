import clsx from "clsx";
import type { ReactNode } from "react";
import { Button } from "./Button.tsx";
import styles from "./DialogForm.module.css";

interface DialogFormProps {
  children?: ReactNode;
  /** What the button says that does it. */
  action: string;
  /** Whether it can be done as it stands. */
  ready?: boolean;
  /** It takes something away for good. */
  bad?: boolean;
  /** For long forms: the buttons stay in sight. */
  sticky?: boolean;
  onSubmit: () => void;
  /** Absent: there is nothing to cancel. */
  onCancel?: () => void;
}

/** What a dialog asks for, above the buttons that do it or leave it. */
export function DialogForm(props: DialogFormProps) {
  const { children, action, ready = true, bad = false, sticky = false, onSubmit, onCancel } = props;
  return (
    <form
      className={styles.form}
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        if (ready) onSubmit();
      }}
    >
      {children}
      <div className={clsx(styles.buttons, sticky && styles.sticky)}>
        {onCancel && <Button onClick={onCancel}>Cancel</Button>}
        <Button
          type="submit"
          {...(bad ? { className: styles.bad } : { look: "solid" })}
          disabled={!ready}
        >
          {action}
        </Button>
      </div>
    </form>
  );
}
