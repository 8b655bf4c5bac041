import type { User } from "lakh-client";
import { ALL, fitting } from "./model/mentions.ts";
import { useChat } from "./useChat.ts";
import { useFoundPeople } from "./useFoundPeople.ts";

/** People who may be meant by the word behind an @; nobody while there is none. */
export function useMentionable(roomId: string, word: string | null): User[] {
  const room = useChat((state) => state.rooms.get(roomId));
  const me = useChat((state) => state.me.id);
  const found = useFoundPeople(word);
  if (word === null || !room) return [];
  const authors = room.messages.map((message) => message.from);
  const readers = [...room.receipts.values()].map((one) => one.user);
  const all = [...found, ...authors, ...readers, ...room.people.values(), ALL];
  const byId = new Map(all.map((person) => [person.id, person]));
  return fitting([...byId.values()], word, me);
}
