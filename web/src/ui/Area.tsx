import clsx from "clsx";
import { useId, type ComponentProps, type ReactNode } from "react";
import styles from "./Field.module.css";

interface AreaProps extends ComponentProps<"textarea"> {
  label: string;
  hint?: ReactNode;
}

/** A labelled field of several lines. */
export function Area({ label, hint, rows = 3, ...area }: AreaProps) {
  const id = useId();
  const noteId = `${id}-note`;
  return (
    <div className={styles.field}>
      <label htmlFor={id} className={styles.label}>
        {label}
      </label>
      <textarea
        id={id}
        rows={rows}
        className={clsx(styles.input, styles.area)}
        aria-describedby={hint ? noteId : undefined}
        {...area}
      />
      {hint && (
        <p id={noteId} className={styles.hint}>
          {hint}
        </p>
      )}
    </div>
  );
}
