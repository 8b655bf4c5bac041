import type { ChatMessage } from "lakh-client";
import { Confirm } from "../../ui/Confirm.tsx";
import { useActs } from "../roomContext.ts";
import { useChat, useSession } from "../useChat.ts";

/** Takes back what a message says. */
export function DeleteDialog({ message, onClose }: { message: ChatMessage; onClose: () => void }) {
  const session = useSession();
  const { room } = useActs();
  const own = useChat((state) => state.me.id) === message.from.id;
  const remove = async () => {
    if (await session.attempt(() => room.delete(message))) onClose();
  };
  return (
    <Confirm title="Delete the message?" action="Delete" onConfirm={remove} onClose={onClose}>
      What {own ? "you" : message.from.name} wrote goes for everybody. A line stays that says so.
    </Confirm>
  );
}
