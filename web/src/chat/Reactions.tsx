import clsx from "clsx";
import type { ChatMessage, ChatReaction } from "lakh-client";
import { SmilePlus } from "lucide-react";
import { useState } from "react";
import { Modal } from "../ui/Modal.tsx";
import { Tip } from "../ui/Tip.tsx";
import { Avatar } from "../ui/Avatar.tsx";
import { EmojiPicker } from "./EmojiPicker.tsx";
import styles from "./Message.module.css";
import { useActs } from "./roomContext.ts";
import { useChat, useSession } from "./useChat.ts";
import { useLongPress } from "./useLongPress.ts";

/** What people gave a message. A click gives or takes back; who gave shows on hover and long press. */
export function Reactions({ message }: { message: ChatMessage }) {
  const session = useSession();
  const { room } = useActs();
  const myId = useChat((state) => state.me.id);
  const may = useChat((state) => state.features.has("reaction:add"));
  const [listed, setListed] = useState(false);
  const reactions = message.reactions ?? [];
  const react = (emoji: string) => void session.attempt(() => room.react(message, emoji));
  if (reactions.length === 0) return null;
  return (
    <div className={styles.reactions} role="group" aria-label="Reactions">
      {reactions.map((reaction) => (
        <Reaction
          key={reaction.emoji}
          reaction={reaction}
          myId={myId}
          onPress={() => react(reaction.emoji)}
          onList={() => setListed(true)}
        />
      ))}
      {may && (
        <EmojiPicker
          onPick={react}
          trigger={
            <button type="button" className={styles.addReaction} aria-label="Add a reaction">
              <SmilePlus size={15} aria-hidden />
            </button>
          }
        />
      )}
      <Modal open={listed} onClose={() => setListed(false)} title="Reactions">
        <Who reactions={reactions} myId={myId} />
      </Modal>
    </div>
  );
}

interface ReactionProps {
  reaction: ChatReaction;
  myId: string;
  onPress: () => void;
  onList: () => void;
}

function Reaction({ reaction, myId, onPress, onList }: ReactionProps) {
  const { emoji, count } = reaction;
  const mine = (reaction.mine ?? 0) > 0;
  const who = whoReacted(reaction, myId);
  const longPress = useLongPress(onList);
  return (
    <Tip text={who} side="top">
      <button
        type="button"
        className={clsx(styles.reaction, mine && styles.mineToo)}
        aria-pressed={mine}
        aria-label={`${emoji} ${count}: ${who}`}
        onClick={onPress}
        {...longPress}
      >
        <span className={styles.reactionEmoji}>{emoji}</span>
        <span className={styles.reactionCount}>{count}</span>
      </button>
    </Tip>
  );
}

function Who({ reactions, myId }: { reactions: readonly ChatReaction[]; myId: string }) {
  return (
    <ul className={styles.who}>
      {reactions.flatMap(({ emoji, count, people = [] }) => [
        ...people.map((one) => (
          <li key={`${emoji} ${one.id}`} className={styles.whoLine}>
            <Avatar user={one} size="sm" />
            <span className={styles.whoName}>{one.id === myId ? "You" : one.name}</span>
            <span aria-hidden>{emoji}</span>
          </li>
        )),
        ...(count > people.length
          ? [
              <li key={`${emoji} more`} className={styles.whoLine}>
                and {count - people.length} more {emoji}
              </li>,
            ]
          : []),
      ])}
    </ul>
  );
}

/** "You, Ada and 3 others" */
export function whoReacted({ count, people = [] }: ChatReaction, myId: string): string {
  const names = [...people]
    .sort((a, b) => Number(b.id === myId) - Number(a.id === myId))
    .map((one) => (one.id === myId ? "You" : one.name));
  const others = count - names.length;
  if (others > 0) names.push(`${others} ${others === 1 ? "other" : "others"}`);
  const last = names.pop() ?? "";
  return names.length > 0 ? `${names.join(", ")} and ${last}` : last;
}
