import type { ChatMessage } from "lakh-client";
import type { ReactNode } from "react";
import { useNow } from "../app/useNow.ts";
import { Avatar } from "../ui/Avatar.tsx";
import { shortTime } from "./model/times.ts";
import styles from "./SidePanel.module.css";
import { useName } from "./useName.ts";

interface ExcerptProps {
  message: ChatMessage;
  /** The room's name, where that isn't plain. */
  room?: string;
  onOpen: () => void;
  children: ReactNode;
}

/** A message in a list: leads to where it was said. */
export function Excerpt({ message, room, onOpen, children }: ExcerptProps) {
  const now = useNow();
  const name = useName(message.from);
  return (
    <li>
      <button type="button" className={styles.excerpt} onClick={onOpen}>
        <Avatar user={{ ...message.from, name }} size="sm" />
        <span className={styles.excerptTexts}>
          <span className={styles.excerptHead}>
            <span className={styles.excerptName}>{name}</span>
            {room && <span className={styles.excerptRoom}>in {room}</span>}
            <span className={styles.excerptTime}>{shortTime(message.time, now)}</span>
          </span>
          <span className={styles.excerptText}>{children}</span>
        </span>
      </button>
    </li>
  );
}
