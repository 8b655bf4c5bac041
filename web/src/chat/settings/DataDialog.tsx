import { Download } from "lucide-react";
import { useState } from "react";
import { signOut } from "../../signin/session.ts";
import { Button } from "../../ui/Button.tsx";
import { Confirm } from "../../ui/Confirm.tsx";
import { Modal } from "../../ui/Modal.tsx";
import { useChat, useSession } from "../useChat.ts";
import styles from "./Settings.module.css";

/** What the server keeps of oneself: to be taken along, or to be erased. */
export function DataDialog({ onClose }: { onClose: () => void }) {
  const session = useSession();
  const name = useChat((state) => state.me.name);
  const [asking, setAsking] = useState(false);
  const [busy, setBusy] = useState(false);
  const { chat } = session;
  const fetchAll = async () => {
    setBusy(true);
    await session.attempt(async () => {
      const { url } = await chat.data.export({});
      const link = document.createElement("a");
      link.href = chat.address(url);
      link.download = "chat-data.ndjson";
      link.click();
    }, "Your data is on its way");
    setBusy(false);
  };
  const erase = async () => {
    if (!(await session.attempt(() => chat.data.erase({}, { timeoutMs: 120_000 })))) return;
    onClose();
    await signOut();
  };
  return (
    <Modal
      open
      onClose={onClose}
      title="Your data"
      description="What this server keeps of you in the chat."
    >
      <div className={styles.form}>
        <div className={styles.row}>
          <span className={styles.rowTexts}>
            <span className={styles.rowTitle}>Take a copy</span>
            <span className={styles.rowNote}>
              Your profile, rooms, messages, reactions and files by name, as lines of JSON.
            </span>
          </span>
          <Button disabled={busy} onClick={() => void fetchAll()}>
            <Download size={16} aria-hidden /> Download
          </Button>
        </div>
        <div className={styles.danger}>
          <div className={styles.row}>
            <span className={styles.rowTexts}>
              <span className={styles.rowTitle}>Erase everything</span>
              <span className={styles.rowNote}>
                Your messages become empty, your name goes from them, and you leave all rooms.
              </span>
            </span>
            <Button look="danger" onClick={() => setAsking(true)}>
              Erase…
            </Button>
          </div>
        </div>
      </div>
      {asking && (
        <Confirm
          title="Erase everything?"
          action="Erase for good"
          word={name}
          onConfirm={erase}
          onClose={() => setAsking(false)}
        >
          All that you wrote, reacted and uploaded goes, for everybody, and you are signed out. What
          others have forwarded of you stays. It can’t be taken back.
        </Confirm>
      )}
    </Modal>
  );
}
