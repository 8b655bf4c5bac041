/** What the server says by itself. */
import type {
  ChatMessage,
  ChatPerson,
  ChatReport,
  ChatRoomInfo,
  ChatUser,
  RoomRole,
  Status,
} from "./shapes.js";

export interface MessageChanged {
  room: string;
  /** The number of the change in its room. */
  rev: number;
  seq: number;
  thread?: number;
  /** Fields that replace those of the message; `null` removes one. */
  set: { [F in keyof ChatMessage]?: ChatMessage[F] | null };
  by?: ChatUser;
  what:
    | "edit"
    | "delete"
    | "purge"
    | "pin"
    | "reaction"
    | "replies"
    | "expire"
    | "erase"
    | (string & {});
}

export interface RoomChanged {
  room: string;
  rev: number;
  set: { [F in keyof ChatRoomInfo]?: ChatRoomInfo[F] | null };
}

export interface MemberChanged {
  room: string;
  rev: number;
  user: ChatUser;
  set: { role?: RoomRole; muted_until?: number | null; joined?: boolean; left?: boolean };
  by?: ChatUser;
}

export interface TypingUpdate {
  room: string;
  thread?: number;
  user: ChatUser;
  typing: boolean;
}

export interface PresenceUpdate {
  room: string;
  user: ChatUser;
  online: boolean;
}

export interface ReceiptUpdate {
  room: string;
  user: ChatUser;
  read?: number;
  delivered?: number;
  /** To one's own other devices alone. */
  unread?: number;
  mentions?: number;
}

export interface ChatEvents {
  "message:new": (message: ChatMessage) => void;
  "message:changed": (change: MessageChanged) => void;
  "room:new": (room: ChatRoomInfo) => void;
  "room:changed": (change: RoomChanged) => void;
  "room:deleted": (gone: { room: string }) => void;
  "room:invited": (invitation: { room: ChatRoomInfo; by: ChatUser }) => void;
  "room:removed": (removed: {
    room: string;
    why: "kicked" | "banned" | "deleted" | (string & {});
    reason?: string;
    until?: number;
  }) => void;
  "member:changed": (change: MemberChanged) => void;
  "person:changed": (person: ChatPerson) => void;
  "presence:update": (update: PresenceUpdate) => void;
  "presence:change": (change: { id: string; status: Status; last_seen?: number }) => void;
  "presence:count": (count: { room: string; watching: number; online: number }) => void;
  "typing:update": (update: TypingUpdate) => void;
  "typing:count": (typing: {
    room: string;
    thread?: number;
    users: ChatUser[];
    count: number;
  }) => void;
  "receipt:update": (update: ReceiptUpdate) => void;
  "mention:new": (mention: {
    room: string;
    thread?: number;
    seq: number;
    from: ChatUser;
    text: string;
  }) => void;
  "live:reactions": (reactions: { room: string; counts: Record<string, number> }) => void;
  "unread:changed": (unread: {
    room: string;
    unread: number;
    mentions: number;
    last: ChatMessage | null;
  }) => void;
  "report:new": (report: ChatReport) => void;
}
