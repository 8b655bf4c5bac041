import type { ChatMessage, ChatRoomState } from "lakh-client";
import { Pin } from "lucide-react";
import { useEffect, useState } from "react";
import { Empty } from "../ui/Empty.tsx";
import { Spinner } from "../ui/Spinner.tsx";
import { Excerpt } from "./Excerpt.tsx";
import { plainText } from "./model/text.ts";
import { covers } from "./panel.ts";
import { useActs } from "./roomContext.ts";
import { SidePanel } from "./SidePanel.tsx";
import styles from "./SidePanel.module.css";
import { useSession } from "./useChat.ts";

/** What was pinned in the room. */
export function PinsPanel({ state, onClose }: { state: ChatRoomState; onClose: () => void }) {
  const session = useSession();
  const { jump } = useActs();
  const [pins, setPins] = useState<readonly ChatMessage[] | null>(null);
  // What is pinned or let go meanwhile shows in the messages first.
  const shown = state.messages.filter((one) => one.pinned).map((one) => one.seq);
  const change = shown.join(" ");
  const { id } = state;
  const open = (seq: number) => {
    if (covers.matches) onClose();
    jump(seq);
  };
  useEffect(() => {
    void session.attempt(async () => {
      const { pins: pinned } = await session.chat.pin.list({ room: id });
      setPins(pinned);
    });
  }, [session, id, change]);

  return (
    <SidePanel title="Pinned messages" onClose={onClose}>
      <div className={styles.scroll}>
        {pins === null && (
          <div className={styles.loading}>
            <Spinner label="Loading…" />
          </div>
        )}
        {pins?.length === 0 && (
          <Empty icon={<Pin size={24} aria-hidden />} title="Nothing is pinned">
            Pin what others should find again.
          </Empty>
        )}
        <ul className={styles.excerpts}>
          {pins?.map((message) => (
            <Excerpt key={message.seq} message={message} onOpen={() => open(message.seq)}>
              {plainText(message.text) || message.attachments?.[0]?.name}
            </Excerpt>
          ))}
        </ul>
      </div>
    </SidePanel>
  );
}
