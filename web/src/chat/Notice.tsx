import { CircleAlert, Info, X } from "lucide-react";
import { IconButton } from "../ui/IconButton.tsx";
import styles from "./Notice.module.css";
import { useChat, useSession } from "./useChat.ts";

/** A word on what was done, or why it was not. Goes by itself. */
export function Notice() {
  const session = useSession();
  const notice = useChat((state) => state.notice);
  return (
    <div className={styles.place} role="status">
      {notice && (
        <div className={styles.notice} data-bad={notice.bad || undefined}>
          {notice.bad ? <CircleAlert size={17} aria-hidden /> : <Info size={17} aria-hidden />}
          <span className={styles.text}>{notice.text}</span>
          <IconButton label="Dismiss" className={styles.close} onClick={() => session.quiet()}>
            <X size={15} aria-hidden />
          </IconButton>
        </div>
      )}
    </div>
  );
}
