import { CircleAlert, Info, X } from "lucide-react";
import type { Notices } from "../app/notices.ts";
import { useStore } from "../app/store.ts";
import { IconButton } from "./IconButton.tsx";
import styles from "./Notice.module.css";

/** A word on what was done, or why it was not, over the foot of a page (`--notice-above` says how far), or under its head (`--notice-below`). Goes by itself. */
export function Notice({ notices }: { notices: Notices }) {
  const notice = useStore(notices);
  return (
    <div className={styles.place} role="status">
      {notice && (
        <div className={styles.notice} data-bad={notice.bad || undefined}>
          {notice.bad ? <CircleAlert size={17} aria-hidden /> : <Info size={17} aria-hidden />}
          <span className={styles.text}>{notice.text}</span>
          <IconButton label="Dismiss" className={styles.close} onClick={() => notices.quiet()}>
            <X size={15} aria-hidden />
          </IconButton>
        </div>
      )}
    </div>
  );
}
