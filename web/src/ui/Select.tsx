import { useId, type ComponentProps, type ReactNode } from "react";
import styles from "./Field.module.css";

interface SelectProps<T extends string> extends Omit<ComponentProps<"select">, "onChange"> {
  label: string;
  hint?: ReactNode;
  value: T;
  choices: readonly { value: T; label: string }[];
  onChoose: (value: T) => void;
}

/** A labelled choice of one of several: the platform's own, which every phone knows how to show. */
export function Select<T extends string>(props: SelectProps<T>) {
  const { label, hint, value, choices, onChoose, ...select } = props;
  const id = useId();
  const noteId = `${id}-note`;
  return (
    <div className={styles.field}>
      <label htmlFor={id} className={styles.label}>
        {label}
      </label>
      <select
        id={id}
        className={styles.input}
        value={value}
        aria-describedby={hint ? noteId : undefined}
        onChange={(event) => onChoose(event.target.value as T)}
        {...select}
      >
        {choices.map((choice) => (
          <option key={choice.value} value={choice.value}>
            {choice.label}
          </option>
        ))}
      </select>
      {hint && (
        <p id={noteId} className={styles.hint}>
          {hint}
        </p>
      )}
    </div>
  );
}
