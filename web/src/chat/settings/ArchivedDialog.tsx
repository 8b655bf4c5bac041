import { roomName, type ChatRoomSummary } from "lakh-client";
import { Archive } from "lucide-react";
import { useCallback } from "react";
import { useLocation } from "wouter";
import { Button } from "../../ui/Button.tsx";
import { Empty } from "../../ui/Empty.tsx";
import { Modal } from "../../ui/Modal.tsx";
import { Spinner } from "../../ui/Spinner.tsx";
import { roomPath } from "../paths.ts";
import { RoomGlyph } from "../RoomGlyph.tsx";
import { ShowMore } from "../ShowMore.tsx";
import { useChat, useSession } from "../useChat.ts";
import { usePages } from "../usePages.ts";
import styles from "./Settings.module.css";

/** Rooms of one's own that are closed: they can be read, and aren't in the list. */
export function ArchivedDialog({ onClose }: { onClose: () => void }) {
  const { chat } = useSession();
  const [, navigate] = useLocation();
  const myId = useChat((state) => state.me.id);
  const load = useCallback(
    async (cursor: string | undefined) => {
      const page = await chat.rooms({ mine: true, archived: true, ...(cursor ? { cursor } : {}) });
      return { items: page.rooms, cursor: page.cursor };
    },
    [chat],
  );
  const pages = usePages<ChatRoomSummary>(load);
  const { items } = pages;
  const open = (id: string) => {
    onClose();
    navigate(roomPath(id));
  };
  return (
    <Modal
      open
      onClose={onClose}
      title="Archived rooms"
      description="Rooms of yours that can be read, and not written to."
    >
      {items === null && <Spinner label="Loading…" />}
      {items?.length === 0 && (
        <Empty icon={<Archive size={24} aria-hidden />} title="No room is archived" />
      )}
      <ul className={styles.people} aria-label="Archived rooms">
        {items?.map((room) => (
          <li key={room.id} className={styles.person}>
            <RoomGlyph room={room} />
            <span className={styles.personTexts}>
              <span className={styles.personName}>{roomName(room, myId)}</span>
              {room.topic && <span className={styles.small}>{room.topic}</span>}
            </span>
            <Button
              size="sm"
              aria-label={`Open ${roomName(room, myId)}`}
              onClick={() => open(room.id)}
            >
              Open
            </Button>
          </li>
        ))}
      </ul>
      <ShowMore pages={pages} />
    </Modal>
  );
}
