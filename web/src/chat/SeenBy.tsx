import type { ChatRoomState, ChatUser } from "lakh-client";
import { CheckCheck } from "lucide-react";
import { Avatar } from "../ui/Avatar.tsx";
import { Tip } from "../ui/Tip.tsx";
import styles from "./Conversation.module.css";
import { useChat } from "./useChat.ts";

const SHOWN = 5;

/** Who has read the last message: their pictures, and their names when pointed at. */
export function SeenBy({ state }: { state: ChatRoomState }) {
  const myId = useChat((now) => now.me.id);
  const last = state.messages.at(-1);
  if (!last || !state.atEnd) return null;
  const readers = [...state.receipts.values()].filter(
    ({ user, read }) => read >= last.seq && user.id !== myId && user.id !== last.from.id,
  );
  if (readers.length === 0) return null;
  const names = namesOf(readers.map((one) => one.user));
  return (
    <Tip text={`Read by ${names}`} side="top">
      <span className={styles.seen} role="img" aria-label={`Read by ${names}`}>
        <CheckCheck size={14} aria-hidden />
        {readers.slice(0, SHOWN).map(({ user }) => (
          <Avatar key={user.id} user={user} size="xs" />
        ))}
        {readers.length > SHOWN && <span>+{readers.length - SHOWN}</span>}
      </span>
    </Tip>
  );
}

function namesOf(people: readonly ChatUser[]): string {
  const names = people.slice(0, 10).map((one) => one.name);
  const more = people.length - names.length;
  return more > 0 ? `${names.join(", ")} and ${more} more` : names.join(", ");
}
