import clsx from "clsx";
import type { ComponentProps } from "react";
import styles from "./Button.module.css";

interface ButtonProps extends ComponentProps<"button"> {
  look?: "solid" | "soft" | "plain" | "danger";
  size?: "sm" | "md";
}

type ButtonLinkProps = ComponentProps<"a"> & Pick<ButtonProps, "look" | "size">;

/** A link that looks like a button: for what leads elsewhere. */
export function ButtonLink({ look = "soft", size = "md", className, ...rest }: ButtonLinkProps) {
  return (
    <a
      className={clsx(styles.button, styles[look], styles[size], styles.link, className)}
      {...rest}
    >
      {rest.children}
    </a>
  );
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
