import type { ComponentProps, ReactNode } from "react";
import styles from "./Field.module.css";
import { Labelled } from "./Labelled.tsx";

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
  return (
    <Labelled label={label} hint={hint}>
      {(own) => (
        <select
          className={styles.input}
          value={value}
          onChange={(event) => onChoose(event.target.value as T)}
          {...own}
          {...select}
        >
          {choices.map((choice) => (
            <option key={choice.value} value={choice.value}>
              {choice.label}
            </option>
          ))}
        </select>
      )}
    </Labelled>
  );
}
