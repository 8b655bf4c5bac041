/** What the server tells of rooms, people and messages. A field that does not apply is absent. */
import type { User } from "../types.js";

/** Your own data, beside what Lakh keeps. */
export type ChatData = Record<string, unknown>;

export type RoomKind = "public" | "private" | "direct" | "thing";
export type RoomRole = "guest" | "member" | "moderator" | "owner";
export type NotifyLevel = "all" | "mentions" | "none";
export type Status = "online" | "away" | "offline";

/** A person as others see them beside what they say. */
export interface ChatUser extends User {
  /** Where their picture is. */
  picture?: string;
}

export interface ChatPerson extends ChatUser {
  data?: ChatData;
  updated_at?: number;
  status?: Status;
  /** When they went, if they are offline. Milliseconds since 1970. */
  last_seen?: number;
}

export interface RoomSettings {
  /** Seconds that one person has to wait between two messages. 0: none. */
  slow_mode_s?: number;
  /** After how many days messages are forgotten. 0: never. */
  retention_days?: number;
  reactions?: "each" | "one" | "counted";
  words?: string[];
}

/** What one is in a room, and what one has read of it. */
export interface RoomMine {
  role: RoomRole;
  joined_at?: number;
  /** Asked in, and not yet a member. */
  invited_by?: ChatUser;
  muted_until?: number;
  notify: NotifyLevel;
  /** Number of the last message that was read; of the last one that reached a device. */
  read: number;
  delivered: number;
  unread: number;
  mentions: number;
}

export interface ChatRoomInfo {
  id: string;
  name: string;
  kind?: RoomKind;
  topic?: string;
  picture?: string;
  data?: ChatData;
  /** Milliseconds since 1970. */
  created_at: number;
  created_by?: string;
  archived?: boolean;
  settings?: RoomSettings;
  /** Of its record; `room:set` may be made conditional on it. */
  version?: number;
  /** The number of the room's last message; 0 in an empty room. */
  seq: number;
  /** The number of the room's last change; 0 if there is none. */
  rev?: number;
  members?: number;
  watching?: number;
  /** `counts`: so many are here that nobody is named any more. */
  crowd?: "none" | "thinned" | "counts";
  mine?: RoomMine;
}

export interface ChatRoomSummary extends ChatRoomInfo {
  /** How many people are in the room now. */
  online: number;
  last: ChatMessage | null;
}

export interface ChatAttachment {
  id: string;
  name: string;
  /** Bytes. */
  size: number;
  /** What the server found it to be, such as `image/png`. */
  type: string;
  /** Of a picture, in pixels. */
  width?: number;
  height?: number;
  url: string;
  thumbnail?: string;
}

export interface ChatQuote {
  seq: number;
  from: ChatUser;
  /** Its beginning. */
  text: string;
}

export interface ChatReaction {
  emoji: string;
  count: number;
  /** Some who gave it. */
  people?: ChatUser[];
  /** How many are one's own. */
  mine?: number;
}

export interface ChatReplies {
  count: number;
  last_at: number;
  /** Some who take part. */
  people?: ChatUser[];
}

export interface ChatMessage {
  room: string;
  /** The number of the message under which this one stands, in a thread. */
  thread?: number;
  /** The message's number in its room, or in its thread: from 1, ascending. */
  seq: number;
  /** Made by the client that sent it: sending twice with one key gives one message. */
  key: string;
  from: ChatUser;
  text: string;
  /** Milliseconds since 1970, by the server's clock. */
  time: number;
  data?: ChatData;
  /** Ids of people, or `*` for all. */
  mentions?: string[];
  attachments?: ChatAttachment[];
  reply_to?: ChatQuote;
  forwarded?: { room: string; thread?: number; seq: number; from: ChatUser; time: number };
  edited_at?: number;
  edits?: number;
  deleted?: { by?: ChatUser; at: number; purged?: boolean };
  pinned?: { by: ChatUser; at: number };
  reactions?: ChatReaction[];
  /** The thread under this message. */
  replies?: ChatReplies;
  expires_at?: number;
  silent?: boolean;
}

export interface ChatMember extends ChatUser {
  online: boolean;
  role?: RoomRole;
  joined_at?: number;
  muted_until?: number;
  status?: Status;
  read?: number;
}

export interface ChatBan {
  person: ChatUser;
  by?: ChatUser;
  reason?: string;
  at: number;
  until?: number;
}

export interface ChatScheduled {
  id: string;
  room: string;
  text: string;
  at: number;
  thread?: number;
}

export interface ChatReceipt extends ChatUser {
  read?: number;
  delivered?: number;
}

export interface ChatHit {
  message: ChatMessage;
  /** What was found: beginnings and ends in the text, in UTF-16 units as JavaScript counts them. */
  marks: [number, number][];
}

export interface ChatReport {
  id: string;
  room: string;
  seq: number;
  thread?: number;
  reason: string;
  by?: ChatUser;
  at: number;
  state?: string;
  outcome?: string;
  note?: string;
  message?: ChatMessage;
}

export interface ModerationEntry {
  what: string;
  by?: ChatUser;
  person?: ChatUser;
  at: number;
  [field: string]: unknown;
}
