import clsx from "clsx";
import type { ComponentProps, ReactNode } from "react";
import styles from "./Field.module.css";
import { Labelled } from "./Labelled.tsx";

interface AreaProps extends ComponentProps<"textarea"> {
  label: string;
  hint?: ReactNode;
}

/** A labelled field of several lines. */
export function Area({ label, hint, rows = 3, ...area }: AreaProps) {
  return (
    <Labelled label={label} hint={hint}>
      {(own) => (
        <textarea rows={rows} className={clsx(styles.input, styles.area)} {...own} {...area} />
      )}
    </Labelled>
  );
}
