import { useId, type ReactNode } from "react";
import styles from "./Field.module.css";

interface LabelledProps {
  label: string;
  hint?: ReactNode;
  error?: string | null | undefined;
  /** The field itself, which takes these on. */
  children: (own: { id: string; "aria-describedby": string | undefined }) => ReactNode;
}

/** A field under its label, with a hint below, or an error that is read out. */
export function Labelled({ label, hint, error, children }: LabelledProps) {
  const id = useId();
  const noteId = `${id}-note`;
  const note = error ?? hint;
  return (
    <div className={styles.field}>
      <label htmlFor={id} className={styles.label}>
        {label}
      </label>
      {children({ id, "aria-describedby": note ? noteId : undefined })}
      {note && (
        <p
          id={noteId}
          className={error ? styles.error : styles.hint}
          role={error ? "alert" : undefined}
        >
          {note}
        </p>
      )}
    </div>
  );
}
