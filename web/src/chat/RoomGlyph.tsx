import type { ChatRoomInfo } from "lakh-client";
import { Hash, Lock, MessageCircle, Newspaper } from "lucide-react";

/** The sign of a room's kind; what it means stands in words beside it or does not matter. */
export function RoomGlyph({
  room,
  size = 18,
}: {
  room: Pick<ChatRoomInfo, "kind">;
  size?: number;
}) {
  const Icon = { public: Hash, private: Lock, direct: MessageCircle, thing: Newspaper }[
    room.kind ?? "public"
  ];
  return <Icon size={size} aria-hidden />;
}
