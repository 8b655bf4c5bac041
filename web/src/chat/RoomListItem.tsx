import clsx from "clsx";
import type { ChatRoomSummary } from "lakh-client";
import { Archive, AtSign, BellOff, Pencil } from "lucide-react";
import { memo } from "react";
import { Link } from "wouter";
import { useStore } from "../app/store.ts";
import { useNow } from "../app/useNow.ts";
import { Avatar } from "../ui/Avatar.tsx";
import { Hidden } from "../ui/Hidden.tsx";
import { activity, directPartner, type Unread } from "./model/directory.ts";
import { plainText } from "./model/text.ts";
import { shortTime } from "./model/times.ts";
import { messagePath, roomPath } from "./paths.ts";
import { RoomGlyph } from "./RoomGlyph.tsx";
import styles from "./RoomList.module.css";
import { useChat, useSession } from "./useChat.ts";
import { useStatus } from "./useStatus.ts";

interface RoomListItemProps extends Unread {
  room: ChatRoomSummary;
  open: boolean;
  tabStop: boolean;
}

/** Drawn again only when something of this room has changed: others may be many. */
export const RoomListItem = memo(function RoomListItem(props: RoomListItemProps) {
  const { room, open, count, mentions, tabStop } = props;
  const session = useSession();
  const myId = useChat((state) => state.me.id);
  const now = useNow();
  const partner = directPartner(room, myId);
  const status = useStatus(partner)?.status;
  const inThread = useStore(session.threadMentions.byRoom, (all) => all.get(room.id)?.at(-1));
  const { last, mine } = room;
  const draft = open ? "" : session.memory.draft(room.id).trim();
  const quiet = mine?.notify === "none";
  return (
    <Link
      // To where one was named, where that isn't among what the room shows by itself.
      href={inThread ? messagePath(room.id, inThread.seq, inThread.thread) : roomPath(room.id)}
      className={clsx(styles.item, count > 0 && !quiet && styles.unread)}
      aria-current={open ? "page" : undefined}
      tabIndex={tabStop ? 0 : -1}
    >
      {room.kind === "direct" || room.picture ? (
        <Avatar
          user={room}
          toneOf={partner}
          online={status === "online"}
          away={status === "away"}
        />
      ) : (
        <span className={styles.glyph} aria-hidden>
          <RoomGlyph room={room} />
        </span>
      )}
      <span className={styles.texts}>
        <span className={styles.line}>
          <span className={styles.name}>{room.name}</span>
          {room.archived && <Archive size={13} role="img" aria-label="Archived" />}
          {quiet && <BellOff size={13} role="img" aria-label="Silent" />}
          {last && <span className={styles.time}>{shortTime(activity(room), now)}</span>}
        </span>
        <span className={styles.line}>
          <span className={styles.preview}>
            {draft ? (
              <>
                <Pencil size={12} aria-hidden /> <span className={styles.draft}>Draft:</span>{" "}
                {draft}
              </>
            ) : (
              preview(room, myId)
            )}
          </span>
          {(mentions > 0 || inThread) && (
            <span className={styles.named}>
              <AtSign
                size={13}
                role="img"
                aria-label={mentions > 0 ? "You are mentioned," : "You are mentioned in a thread,"}
              />
            </span>
          )}
          {count > 0 && (
            <span className={clsx(styles.badge, quiet && styles.quiet)}>
              {count > 99 ? "99+" : count}
              <Hidden>unread</Hidden>
            </span>
          )}
        </span>
      </span>
    </Link>
  );
});

function preview({ last, kind, topic, mine }: ChatRoomSummary, myId: string): string {
  if (mine?.invited_by && mine.joined_at === undefined)
    return `${mine.invited_by.name} invites you`;
  if (!last) return topic ?? "Nothing said yet";
  if (last.deleted) return "This message was deleted";
  const file = last.attachments?.[0]?.name;
  const text = plainText(last.text.slice(0, 200)) || (file ? `📎 ${file}` : "");
  if (last.from.id === myId) return `You: ${text}`;
  return kind === "direct" ? text : `${last.from.name}: ${text}`;
}
