/** What the server tells of rooms, people and messages. A field that does not apply is absent. */
import type { User } from "../types.js";

/** Your own data, beside what Lakh keeps. */
export type ChatData = Record<string, unknown>;

export type RoomKind = "public" | "private" | "direct" | "thing";
export type RoomRole = "guest" | "member" | "moderator" | "owner";
export type NotifyLevel = "all" | "mentions" | "none";
export type Status = "online" | "away" | "offline";

/** How many watch a room: in crowds less is told, and without names in those of `counts`. */
export type Crowd = "none" | "thinned" | "counts";

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

/** How far one has read a room: numbers of messages, and how many come after them. */
export interface Marks {
  /** The last message that was read; the last one that reached a device. */
  read: number;
  delivered: number;
  unread: number;
  /** At most 100. */
  mentions: number;
}

/** What one is in a room, and what one has read of it. */
export interface RoomMine extends Marks {
  role: RoomRole;
  joined_at?: number;
  /** Asked in, and not yet a member. */
  invited_by?: ChatUser;
  muted_until?: number;
  notify: NotifyLevel;
}

export interface ChatRoomInfo {
  id: string;
  /** Empty in direct rooms that nobody has named: `roomName` gives one to show. */
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
  /** Whose room it is, if it is direct: oneself among them. */
  people?: ChatUser[];
  /** Of its record; `room:set` may be made conditional on it. */
  version?: number;
  /** The number of the room's last message; 0 in an empty room. */
  seq: number;
  /** The number of the room's last change; 0 if there is none. */
  rev?: number;
  members?: number;
  /** Connections that watch it now. */
  watching?: number;
  crowd?: Crowd;
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

/** What a message answers, as of when it was told or read. Who has the quoted message itself knows it as it is now. */
export interface ChatQuote {
  seq: number;
  /** Absent where the message isn't there any more. */
  from?: ChatUser;
  /** Its beginning. */
  text: string;
  deleted?: boolean;
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
  /** Watches the room now. */
  online: boolean;
  role?: RoomRole;
  joined_at?: number;
  invited_by?: ChatUser;
  muted_until?: number;
  /** Over all rooms and devices. */
  status?: Status;
  last_seen?: number;
}

export interface ChatBan {
  user: ChatUser;
  by?: ChatUser;
  reason?: string;
  at: number;
  /** Absent: for good. */
  until?: number;
}

export interface ChatBlocked extends ChatUser {
  at: number;
}

/** A message that waits for its time. */
export interface ChatScheduled {
  id: string;
  room: string;
  thread?: number;
  /** When it is sent, and when it was written. Milliseconds since 1970. */
  at: number;
  made_at: number;
  key: string;
  text: string;
  data?: ChatData;
  mentions?: string[];
  /** Ids of files. */
  attachments?: string[];
  reply_to?: number;
  expires_in_s?: number;
  silent?: boolean;
}

export interface ChatReceipt extends ChatUser {
  read: number;
  delivered: number;
}

export interface ChatHit {
  message: ChatMessage;
  /** What was found: beginnings and ends in the text, in UTF-16 units as JavaScript counts them. */
  marks: [number, number][];
}

export interface ChatReport {
  id: string;
  state: "open" | "closed";
  room: string;
  thread?: number;
  seq: number;
  /** Who wrote the message, and how it began when it was reported. */
  author: ChatUser;
  text: string;
  reason: string;
  by: ChatUser;
  time: number;
  /** A word of one's own, such as `removed` or `dismissed`. */
  outcome?: string;
  note?: string;
  closed?: { by: ChatUser; at: number };
}

/** What a moderator did. */
export interface ModerationDeed {
  id: number;
  time: number;
  kind:
    | "kick"
    | "ban"
    | "unban"
    | "mute"
    | "unmute"
    | "role"
    | "archive"
    | "unarchive"
    | "delete_room"
    | "close_report"
    | (string & {});
  by: ChatUser;
  person?: ChatUser;
  seq?: number;
  thread?: number;
  /** Of a closed report its outcome. */
  reason?: string;
  until?: number;
  role?: RoomRole;
}

/** What a room is called by whoever looks at it: a direct room by the others in it. */
export function roomName(
  { id, name, people }: Pick<ChatRoomInfo, "id" | "name" | "people">,
  myId: string,
): string {
  if (name !== "") return name;
  const others = (people ?? []).filter((one) => one.id !== myId).map((one) => one.name);
  return others.join(", ") || (people?.[0]?.name ?? id);
}
