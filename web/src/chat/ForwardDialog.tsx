import { messageKey, type ChatMessage } from "lakh-client";
import { useState } from "react";
import { Button } from "../ui/Button.tsx";
import { Modal } from "../ui/Modal.tsx";
import { filterRooms } from "./model/directory.ts";
import { plainText } from "./model/text.ts";
import styles from "./NewRoom.module.css";
import { RoomGlyph } from "./RoomGlyph.tsx";
import { useChat, useSession } from "./useChat.ts";

const MOST = 10;

/** Passes a message on to other rooms. */
export function ForwardDialog({ message, onClose }: { message: ChatMessage; onClose: () => void }) {
  const session = useSession();
  const rooms = useChat((state) => state.directory.rooms);
  const [query, setQuery] = useState("");
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [key] = useState(messageKey);
  const mine = rooms.filter(
    (room) => room.archived !== true && (room.mine ?? room.kind === undefined),
  );
  const toggle = (id: string) => {
    const next = new Set(chosen);
    if (!next.delete(id) && next.size < MOST) next.add(id);
    setChosen(next);
  };
  const forward = async () => {
    const { room, seq, thread } = message;
    const where = thread === undefined ? {} : { thread };
    const done = await session.attempt(
      () => session.chat.message.forward({ room, seq, ...where, to: [...chosen], key }),
      chosen.size === 1 ? "Forwarded" : `Forwarded to ${chosen.size} rooms`,
    );
    if (done) onClose();
  };
  return (
    <Modal
      open
      onClose={onClose}
      title="Forward"
      description={plainText(message.text).slice(0, 120) || message.attachments?.[0]?.name}
    >
      <div className={styles.form}>
        <input
          className={styles.filter}
          type="search"
          value={query}
          aria-label="Find a room"
          placeholder="Find a room"
          onChange={(event) => setQuery(event.target.value)}
        />
        <ul className={styles.rooms}>
          {filterRooms(mine, query).map((room) => (
            <li key={room.id}>
              <label className={styles.roomChoice}>
                <input
                  type="checkbox"
                  checked={chosen.has(room.id)}
                  onChange={() => toggle(room.id)}
                />
                <RoomGlyph room={room} size={16} />
                <span className={styles.foundName}>{room.name}</span>
              </label>
            </li>
          ))}
        </ul>
        <div className={styles.buttons}>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="solid" disabled={chosen.size === 0} onClick={() => void forward()}>
            Forward
          </Button>
        </div>
      </div>
    </Modal>
  );
}
