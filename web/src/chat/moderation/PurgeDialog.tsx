import type { ChatMessage } from "lakh-client";
import { Confirm } from "../../ui/Confirm.tsx";
import { useSession } from "../useChat.ts";

/** Takes a message away with all that it said before. */
export function PurgeDialog({ message, onClose }: { message: ChatMessage; onClose: () => void }) {
  const session = useSession();
  const { room, seq, thread, from } = message;
  const purge = async () => {
    const fields = { room, seq, ...(thread === undefined ? {} : { thread }) };
    if (await session.attempt(() => session.chat.message.purge(fields), "Purged")) onClose();
  };
  return (
    <Confirm title="Purge the message?" action="Purge" onConfirm={purge} onClose={onClose}>
      What {from.name} wrote goes for good, with everything it said before it was edited. Moderators
      can’t read it any more either.
    </Confirm>
  );
}
