import type { ComponentProps, ReactNode } from "react";
import styles from "./Field.module.css";
import { Labelled } from "./Labelled.tsx";

interface FieldProps extends ComponentProps<"input"> {
  label: string;
  hint?: ReactNode;
  error?: string | null;
}

/** A labelled line of text, with a hint below and an error that is read out. */
export function Field({ label, hint, error, ...input }: FieldProps) {
  return (
    <Labelled label={label} hint={hint} error={error}>
      {(own) => (
        <input
          className={styles.input}
          aria-invalid={error ? true : undefined}
          {...own}
          {...input}
        />
      )}
    </Labelled>
  );
}
