import clsx from "clsx";
import type { ComponentProps } from "react";
import styles from "./Button.module.css";

interface ButtonProps extends ComponentProps<"button"> {
  look?: "solid" | "soft" | "plain" | "danger";
  size?: "sm" | "md";
}

export function Button({ look = "soft", size = "md", className, type, ...rest }: ButtonProps) {
  return (
    <button
      type={type ?? "button"}
      className={clsx(styles.button, styles[look], styles[size], className)}
      {...rest}
    />
  );
}
