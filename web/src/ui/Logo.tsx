import styles from "./Logo.module.css";

/** The mark: a one and its five zeros, which is a lakh; and one server that speaks to many. */
export function Logo({ size = 28 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden className={styles.logo}>
      <rect width="32" height="32" rx="8" className={styles.ground} />
      <rect x="7" y="7" width="4.6" height="18" rx="2.3" className={styles.one} />
      <g className={styles.zeros}>
        <circle cx="15.9" cy="7.6" r="2.1" />
        <circle cx="21.7" cy="10.7" r="2.1" />
        <circle cx="24" cy="16" r="2.1" />
        <circle cx="21.7" cy="21.3" r="2.1" />
        <circle cx="15.9" cy="24.4" r="2.1" />
      </g>
    </svg>
  );
}
