/** What the parts of an open room share: the room, and what can be done with a message. */
import type { ChatMessage, ChatRoom } from "lakh-client";
import { createContext, useContext } from "react";

export interface MessageActs {
  readonly room: ChatRoom;
  /** Absent in the room itself. */
  readonly thread: number | undefined;
  readonly reply: (message: ChatMessage) => void;
  readonly edit: (message: ChatMessage) => void;
  readonly forward: (message: ChatMessage) => void;
  readonly report: (message: ChatMessage) => void;
  /** Shows what it said before. */
  readonly history: (message: ChatMessage) => void;
  /** Ask before it goes, and before it goes with all that it said before. */
  readonly remove: (message: ChatMessage) => void;
  readonly purge: (message: ChatMessage) => void;
  readonly openThread: (root: number) => void;
  readonly jump: (seq: number) => void;
  readonly showPerson: (id: string) => void;
}

export const ActsContext = createContext<MessageActs | null>(null);

export function useActs(): MessageActs {
  const acts = useContext(ActsContext);
  if (!acts) throw new Error("This part of the chat stands outside of a room.");
  return acts;
}

/** The message that is being written anew, by its number. */
export const EditingContext = createContext<number | null>(null);

export const StopEditingContext = createContext<() => void>(() => {
  // Nothing is being edited outside of a room.
});
