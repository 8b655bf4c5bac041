import { CalendarClock } from "lucide-react";
import { useStore } from "../../app/store.ts";
import { useSession } from "../useChat.ts";
import styles from "./Later.module.css";

/** How many of one's messages wait in the room, and the way to them. */
export function ScheduledHint({ room, onOpen }: { room: string; onOpen: () => void }) {
  const session = useSession();
  const all = useStore(session.scheduled.list);
  const count = all?.filter((one) => one.room === room).length ?? 0;
  if (count === 0) return null;
  return (
    <button type="button" className={styles.hint} onClick={onOpen}>
      <CalendarClock size={14} aria-hidden /> {count} scheduled
    </button>
  );
}
