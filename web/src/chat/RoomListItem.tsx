import clsx from "clsx";
import type { ChatRoomSummary } from "lakh-client";
import { Hash } from "lucide-react";
import { Link } from "wouter";
import { useNow } from "../app/useNow.ts";
import { Hidden } from "../ui/Hidden.tsx";
import { activity } from "./model/directory.ts";
import { shortTime } from "./model/times.ts";
import { roomPath } from "./paths.ts";
import styles from "./RoomList.module.css";
import { useChat } from "./useChat.ts";

interface RoomListItemProps {
  room: ChatRoomSummary;
  open: boolean;
  unread: number;
  tabStop: boolean;
}

export function RoomListItem({ room, open, unread, tabStop }: RoomListItemProps) {
  const myId = useChat((state) => state.me.id);
  const now = useNow();
  const { last } = room;
  const author = last?.from.id === myId ? "You" : last?.from.name;
  return (
    <Link
      href={roomPath(room.id)}
      className={clsx(styles.item, unread > 0 && styles.unread)}
      aria-current={open ? "page" : undefined}
      tabIndex={tabStop ? 0 : -1}
    >
      <span className={styles.glyph} aria-hidden>
        <Hash size={18} />
      </span>
      <span className={styles.texts}>
        <span className={styles.line}>
          <span className={styles.name}>{room.name}</span>
          {last && <span className={styles.time}>{shortTime(activity(room), now)}</span>}
        </span>
        <span className={styles.line}>
          <span className={styles.preview}>
            {last ? `${author}: ${last.text}` : "Nothing said yet"}
          </span>
          {unread > 0 && (
            <span className={styles.badge}>
              {unread > 99 ? "99+" : unread}
              <Hidden>unread</Hidden>
            </span>
          )}
        </span>
      </span>
    </Link>
  );
}
