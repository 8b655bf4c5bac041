import styles from "./Sparkline.module.css";

interface SparklineProps {
  points: readonly number[];
  /** What may be at most; drawn as a line where it's in sight. */
  most: number;
  label: string;
}

const WIDE = 240;
const HIGH = 44;
const COUNT = 240;

/** The last minute as a line. */
export function Sparkline({ points, most, label }: SparklineProps) {
  const top = Math.max(1, ...points) * 1.15;
  const at = (value: number, index: number) => {
    const x = ((index + COUNT - points.length) / (COUNT - 1)) * WIDE;
    return `${x.toFixed(1)},${(HIGH - (value / top) * HIGH).toFixed(1)}`;
  };
  const line = points.map(at).join(" ");
  const left = ((COUNT - points.length) / (COUNT - 1)) * WIDE;
  const limit = HIGH - (most / top) * HIGH;
  return (
    <svg
      className={styles.line}
      viewBox={`0 0 ${WIDE} ${HIGH}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={label}
    >
      {points.length > 1 && (
        <>
          <polygon className={styles.ground} points={`${left},${HIGH} ${line} ${WIDE},${HIGH}`} />
          <polyline className={styles.stroke} points={line} />
        </>
      )}
      {limit > 0 && <line className={styles.limit} x1="0" x2={WIDE} y1={limit} y2={limit} />}
    </svg>
  );
}
