import clsx from "clsx";
import type { ReactNode } from "react";
import styles from "./Banner.module.css";

interface BannerProps {
  tone: "info" | "warn" | "bad";
  icon: ReactNode;
  action?: ReactNode;
  children: ReactNode;
}

/** A line across the top of a page that says what is happening to it. Read out when it changes. */
export function Banner({ tone, icon, action, children }: BannerProps) {
  return (
    <div className={clsx(styles.banner, styles[tone])} role="status">
      {icon}
      <p className={styles.text}>{children}</p>
      {action}
    </div>
  );
}
