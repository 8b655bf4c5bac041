import clsx from "clsx";
import type { Stats } from "../api/client.ts";
import styles from "./Status.module.css";

/** The node's name and, in one word, how it is. */
export function Status({ stats, lost }: { stats: Stats; lost: boolean }) {
  const [tone, word] = lost
    ? [styles.bad, "Can’t be reached"]
    : stats.ready
      ? [styles.good, "Ready"]
      : [styles.warn, "Not ready"];
  return (
    <p className={styles.line}>
      <span className={styles.node}>{stats.node}</span>
      {stats.mode === "development" && <span className={styles.mode}>development</span>}
      <span className={clsx(styles.pill, tone)}>
        <span className={styles.dot} aria-hidden />
        {word}
      </span>
    </p>
  );
}
