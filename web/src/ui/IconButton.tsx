import clsx from "clsx";
import type { ComponentProps, ReactNode } from "react";
import styles from "./IconButton.module.css";
import { Tip } from "./Tip.tsx";

interface IconButtonProps extends ComponentProps<"button"> {
  /** Says what it does: for screen readers, and as its tooltip. */
  label: string;
  children: ReactNode;
}

export function IconButton({ label, className, children, type, ...rest }: IconButtonProps) {
  return (
    <Tip text={label}>
      <button
        type={type ?? "button"}
        aria-label={label}
        className={clsx(styles.button, className)}
        {...rest}
      >
        {children}
      </button>
    </Tip>
  );
}
