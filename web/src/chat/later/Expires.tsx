import { Timer } from "lucide-react";
import { useEffect, useState } from "react";
import { spanText } from "../model/durations.ts";
import { fullTime } from "../model/times.ts";
import styles from "./Later.module.css";

const MINUTE_S = 60;

/** How long a message that disappears is still there. */
export function Expires({ at }: { at: number }) {
  const left = useSecondsLeft(at);
  return (
    <span className={styles.expires} title={fullTime(at)}>
      <Timer size={12} aria-hidden />
      {left > 0 ? `Disappears in ${spanText(left)}` : "Disappears now"}
    </span>
  );
}

/** Good to the minute; to the second in the last one. */
function useSecondsLeft(at: number): number {
  const [now, setNow] = useState(() => Date.now());
  const left = Math.max(0, Math.ceil((at - now) / 1000));
  useEffect(() => {
    if (left === 0) return;
    const wait = left <= MINUTE_S ? 1000 : Math.min(30_000, (left - MINUTE_S) * 1000);
    const timer = setTimeout(() => setNow(Date.now()), wait);
    return () => clearTimeout(timer);
  }, [now, left]);
  return left;
}
