import type { ChatRoomState } from "lakh-client";
import { useState } from "react";
import { Button } from "../ui/Button.tsx";
import styles from "./JoinBar.module.css";
import { useSession } from "./useChat.ts";

/** Stands where one writes, in a room that one only looks at. */
export function JoinBar({ state }: { state: ChatRoomState }) {
  const session = useSession();
  const [busy, setBusy] = useState(false);
  const { id, info } = state;
  const members = info?.members ?? 0;
  const join = async () => {
    setBusy(true);
    await session.attempt(() => session.join(id));
    setBusy(false);
  };
  return (
    <div className={styles.bar}>
      <p className={styles.text}>
        You are looking at <strong>{info?.name ?? id}</strong>
        {members > 0 && `, a room of ${members} ${members === 1 ? "member" : "members"}`}. Join to
        write, and to hear what is new.
      </p>
      <Button look="solid" disabled={busy} onClick={() => void join()}>
        Join room
      </Button>
    </div>
  );
}
