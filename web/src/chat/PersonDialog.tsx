import { Ban, MessageCircle, UserRoundCheck } from "lucide-react";
import { useEffect } from "react";
import { useLocation } from "wouter";
import { useStore } from "../app/store.ts";
import { useNow } from "../app/useNow.ts";
import { Avatar } from "../ui/Avatar.tsx";
import { Button } from "../ui/Button.tsx";
import { Modal } from "../ui/Modal.tsx";
import styles from "./Profile.module.css";
import { statusText } from "./model/statuses.ts";
import { roomPath } from "./paths.ts";
import type { ChatSession } from "./session.ts";
import { useChat } from "./useChat.ts";
import { useStatus } from "./useStatus.ts";

interface PersonDialogProps {
  id: string;
  session: ChatSession;
  onClose: () => void;
}

/** Somebody else: who they are, and the way to talk to them alone. */
export function PersonDialog({ id, session, onClose }: PersonDialogProps) {
  const [, navigate] = useLocation();
  const { features, me } = useChat((state) => state);
  const person = id === me.id ? me : (session.people.get(id) ?? { id, name: id });
  const seen = useStatus(id);
  const status = statusText(seen, useNow());
  const open = async () => {
    await session.attempt(async () => {
      const { room } = await session.chat.room.direct({ people: [id] });
      session.add(room);
      onClose();
      navigate(roomPath(room.id));
    });
  };
  const mayBlock = features.has("block:add") && id !== me.id;
  useEffect(() => {
    if (mayBlock) void session.attempt(() => session.blocked.load());
  }, [session, mayBlock]);
  const isBlocked = useStore(session.blocked.ids, (ids) => ids?.has(id) === true);
  const block = () => session.attempt(() => session.blocked.add(id), `${person.name} is blocked`);
  const unblock = () =>
    session.attempt(() => session.blocked.remove(id), `${person.name} is not blocked any more`);
  return (
    <Modal open onClose={onClose} title={person.name}>
      <div className={styles.person}>
        <Avatar
          user={person}
          size="lg"
          online={seen?.status === "online"}
          away={seen?.status === "away"}
        />
        <div className={styles.about}>
          {isBlocked ? (
            <p className={styles.statusLine}>
              Blocked: there is no direct chat between the two of you
            </p>
          ) : (
            status && <p className={styles.statusLine}>{status}</p>
          )}
          <p className={styles.personId}>{person.id}</p>
        </div>
      </div>
      {id !== me.id && (
        <div className={styles.buttons}>
          {features.has("room:direct") && !isBlocked && (
            <Button look="solid" onClick={() => void open()}>
              <MessageCircle size={16} aria-hidden /> Message
            </Button>
          )}
          {mayBlock &&
            (isBlocked ? (
              <Button onClick={() => void unblock()}>
                <UserRoundCheck size={16} aria-hidden /> Unblock
              </Button>
            ) : (
              <Button look="danger" onClick={() => void block()}>
                <Ban size={16} aria-hidden /> Block
              </Button>
            ))}
        </div>
      )}
    </Modal>
  );
}
