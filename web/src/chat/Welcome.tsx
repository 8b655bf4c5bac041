import { MessagesSquare } from "lucide-react";
import { Empty } from "../ui/Empty.tsx";
import { NewRoom } from "./NewRoom.tsx";
import { useChat } from "./useChat.ts";

/** Stands where a room would, until one is chosen. */
export function Welcome() {
  const none = useChat(
    ({ directory }) => directory.status === "ready" && directory.rooms.length === 0,
  );
  return (
    <Empty
      icon={<MessagesSquare size={26} aria-hidden />}
      title={none ? "No rooms yet" : "Choose a room"}
      action={
        <NewRoom look={none ? "solid" : "soft"} label={none ? "Make the first room" : "New room"} />
      }
    >
      {none
        ? "A room is where people talk. Make one, and send its address to somebody."
        : "Pick one at the left, or make a new one."}
    </Empty>
  );
}
