import type { ChatRoom } from "lakh-client";
import { X } from "lucide-react";
import { useEffect, useRef, useState, type CSSProperties } from "react";
import { IconButton } from "../../ui/IconButton.tsx";
import { QUICK } from "../model/emoji.ts";
import { useSession } from "../useChat.ts";
import styles from "./Live.module.css";

interface Floating {
  id: number;
  emoji: string;
  count: number;
  /** Where it rises: from 0 at the left to 1 at the right. */
  at: number;
}

/** More at a time is only fog. */
const MOST = 24;
const LASTS_MS = 2700;

interface LiveReactionsProps {
  room: ChatRoom;
  /** Whether the row of emoji is shown by which one takes part. */
  open: boolean;
  onClose: () => void;
}

/** Reactions that float by, to all who watch the room, and are not kept. */
export function LiveReactions({ room, open, onClose }: LiveReactionsProps) {
  const session = useSession();
  const floating = useFloating(room.room);
  return (
    <>
      <div className={styles.air} aria-hidden>
        {floating.map(({ id, emoji, count, at }) => (
          <span
            key={id}
            className={styles.floating}
            data-live={emoji}
            style={{ "--at": at, "--many": Math.min(1, Math.log10(count)) } as CSSProperties}
          >
            {emoji}
          </span>
        ))}
      </div>
      {open && (
        <div className={styles.bar} role="group" aria-label="Live reactions">
          {QUICK.map((emoji) => (
            <button
              key={emoji}
              type="button"
              className={styles.emoji}
              aria-label={`Send ${emoji} to all who watch`}
              onClick={() => void session.attempt(() => room.reactLive(emoji))}
            >
              {emoji}
            </button>
          ))}
          <IconButton label="Close live reactions" onClick={onClose}>
            <X size={16} aria-hidden />
          </IconButton>
        </div>
      )}
    </>
  );
}

function useFloating(room: string): readonly Floating[] {
  const { chat } = useSession();
  const [floating, setFloating] = useState<readonly Floating[]>([]);
  const lastId = useRef(0);
  useEffect(() => {
    const timers = new Set<ReturnType<typeof setTimeout>>();
    const stop = chat.on("live:reactions", (told) => {
      // A hidden page has nobody to show them to, and its timers sleep.
      if (told.room !== room || document.visibilityState !== "visible") return;
      const born = Object.entries(told.counts).map(([emoji, count]): Floating => {
        lastId.current += 1;
        // Spread, and the same for all who count alike: no two after each other rise in one place.
        return { id: lastId.current, emoji, count, at: ((lastId.current * 5) % 8) / 8 };
      });
      setFloating((old) => [...old, ...born].slice(-MOST));
      const ids = new Set(born.map((one) => one.id));
      const timer = setTimeout(() => {
        timers.delete(timer);
        setFloating((old) => old.filter((one) => !ids.has(one.id)));
      }, LASTS_MS);
      timers.add(timer);
    });
    return () => {
      stop();
      for (const timer of timers) clearTimeout(timer);
      setFloating([]);
    };
  }, [chat, room]);
  return floating;
}
