import type { ChatBlocked } from "lakh-client";
import { UserRoundCheck } from "lucide-react";
import { useCallback } from "react";
import { Avatar } from "../../ui/Avatar.tsx";
import { Button } from "../../ui/Button.tsx";
import { Empty } from "../../ui/Empty.tsx";
import { Modal } from "../../ui/Modal.tsx";
import { Spinner } from "../../ui/Spinner.tsx";
import { useNow } from "../../app/useNow.ts";
import { shortTime } from "../model/times.ts";
import { useSession } from "../useChat.ts";
import { ShowMore } from "../ShowMore.tsx";
import { usePages } from "../usePages.ts";
import styles from "./Settings.module.css";

/** Whom one has blocked, and the way back. */
export function BlockedDialog({ onClose }: { onClose: () => void }) {
  const session = useSession();
  const now = useNow();
  const { chat } = session;
  const load = useCallback(
    async (cursor: string | undefined) => {
      const page = await chat.block.list(cursor ? { cursor } : {});
      return { items: page.people, cursor: page.cursor };
    },
    [chat],
  );
  const pages = usePages<ChatBlocked>(load);
  const { items, change } = pages;
  const unblock = async ({ id, name }: ChatBlocked) => {
    const act = () => session.blocked.remove(id);
    if (!(await session.attempt(act, `${name} is not blocked any more`))) return;
    change((all) => all.filter((one) => one.id !== id));
  };
  return (
    <Modal
      open
      onClose={onClose}
      title="Blocked people"
      description="They can’t open a direct chat with you or invite you, nor see whether you are there."
    >
      {items === null && <Spinner label="Loading…" />}
      {items?.length === 0 && (
        <Empty icon={<UserRoundCheck size={24} aria-hidden />} title="You block nobody" />
      )}
      <ul className={styles.people} aria-label="Blocked people">
        {items?.map((person) => (
          <li key={person.id} className={styles.person}>
            <Avatar user={person} size="sm" />
            <span className={styles.personTexts}>
              <span className={styles.personName}>{person.name}</span>
              <span className={styles.small}>since {shortTime(person.at, now)}</span>
            </span>
            <Button
              size="sm"
              aria-label={`Unblock ${person.name}`}
              onClick={() => void unblock(person)}
            >
              Unblock
            </Button>
          </li>
        ))}
      </ul>
      <ShowMore pages={pages} />
    </Modal>
  );
}
