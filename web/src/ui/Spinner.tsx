import styles from "./Spinner.module.css";

export function Spinner({ label }: { label: string }) {
  return (
    <span className={styles.spinner} role="status">
      <span className={styles.ring} aria-hidden />
      <span>{label}</span>
    </span>
  );
}
