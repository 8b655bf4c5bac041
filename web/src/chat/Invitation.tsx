import type { ChatUser } from "lakh-client";
import { MailOpen } from "lucide-react";
import { useLocation } from "wouter";
import { Button } from "../ui/Button.tsx";
import { Empty } from "../ui/Empty.tsx";
import styles from "./RoomPane.module.css";
import { useChat, useSession } from "./useChat.ts";

/** A room that one was asked into: read after one has said yes. */
export function Invitation({ id, by }: { id: string; by: ChatUser }) {
  const session = useSession();
  const [, navigate] = useLocation();
  const room = useChat(({ directory }) => directory.rooms.find((one) => one.id === id));
  const decline = async () => {
    const done = await session.attempt(() => session.chat.member.decline({ room: id }));
    if (!done) return;
    session.drop(id);
    navigate("/chat");
  };
  return (
    <Empty
      icon={<MailOpen size={26} aria-hidden />}
      title={`${by.name} invites you to ${room?.name ?? id}`}
      action={
        <div className={styles.choices}>
          <Button look="solid" onClick={() => void session.join(id)}>
            Join
          </Button>
          <Button onClick={() => void decline()}>Decline</Button>
        </div>
      }
    >
      {room?.topic ?? "You can leave whenever you like."}
    </Empty>
  );
}
