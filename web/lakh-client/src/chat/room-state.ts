/** What is known of a room at a time. */
import type { LakhError } from "../errors.js";
import type { LogState } from "./log.js";
import type { ChatMember, ChatRoomInfo, ChatUser } from "./shapes.js";
import type { Typing } from "./typists.js";

export interface ThreadState extends LogState {
  readonly typing: Typing;
}

export interface ChatRoomState extends LogState {
  readonly id: string;
  readonly info: ChatRoomInfo | null;
  readonly phase: "joining" | "joined" | "failed";
  readonly error: LakhError | null;
  /** Who is here now; in a crowd only some of them, or nobody. */
  readonly people: ReadonlyMap<string, ChatUser>;
  /** How many are here, where they are not all named. */
  readonly count: number;
  readonly typing: Typing;
  /** In a crowd: how many write, also those who are not named. */
  readonly typists: number;
  /** Up to which number others have read, by their ids. */
  readonly receipts: ReadonlyMap<string, { user: ChatUser; read: number }>;
  readonly threads: ReadonlyMap<number, ThreadState>;
}

/** Those of the answer to a join who are here. */
export function here(members: readonly ChatMember[], count: number | undefined) {
  const people = new Map<string, ChatUser>();
  for (const { id, name, picture, online } of members) {
    if (online) people.set(id, picture ? { id, name, picture } : { id, name });
  }
  return { people, count: Math.max(count ?? 0, people.size) };
}
