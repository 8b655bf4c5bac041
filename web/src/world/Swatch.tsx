import clsx from "clsx";
import styles from "./Swatch.module.css";

/** A colour, to be seen; what it's called stands beside it. */
export function Swatch({ color, small = false }: { color: number; small?: boolean }) {
  const fill = `#${color.toString(16).padStart(6, "0")}`;
  return (
    <svg className={clsx(styles.swatch, small && styles.small)} viewBox="0 0 20 20" aria-hidden>
      <rect x="1" y="1" width="18" height="18" rx={small ? 9 : 5} fill={fill} />
    </svg>
  );
}
