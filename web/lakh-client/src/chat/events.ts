/** What the server says by itself. */
import type {
  ChatMessage,
  ChatReport,
  ChatRoomInfo,
  ChatScheduled,
  ChatUser,
  Crowd,
  RoomMine,
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
  by?: ChatUser;
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

/** Told of people whom one watches by `presence:watch`, wherever they are. */
export interface PresenceChange {
  id: string;
  status: Status;
  /** When they went, rounded down to a minute: of who is offline and has been there. */
  last_seen?: number;
}

export interface PresenceCount {
  room: string;
  /** Connections, and people, each once. */
  watching: number;
  online: number;
}

export interface CrowdChanged {
  room: string;
  crowd: Crowd;
}

/** In a crowd, in the place of `typing:update`. Forgotten after 10 s. */
export interface TypingCount {
  room: string;
  thread?: number;
  /** Three of them at most; oneself may be among them. */
  users: ChatUser[];
  count: number;
}

export interface MentionNew {
  room: string;
  thread?: number;
  seq: number;
  from: ChatUser;
  /** Its first 200 characters. */
  text: string;
}

/** Summed up for a moment, for all who watch: add up what comes. */
export interface LiveReactions {
  room: string;
  counts: Record<string, number>;
}

export interface UnreadChanged {
  room: string;
  unread: number;
  mentions: number;
  last: ChatMessage;
}

/** An invitation, or, with another role than `guest`, that one was put in. */
export interface RoomInvited {
  room: Omit<ChatRoomInfo, "seq" | "rev" | "members" | "mine"> & { mine: RoomMine };
  by: ChatUser;
}

export interface RoomRemoved {
  room: string;
  why: "kicked" | "banned" | "deleted" | (string & {});
  reason?: string;
  until?: number;
}

/** A message whose time came, and that was refused: it is gone. */
export interface ScheduledFailed {
  id: string;
  scheduled: ChatScheduled;
  error: { code: string; message: string };
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
  "room:invited": (invitation: RoomInvited) => void;
  "room:removed": (removed: RoomRemoved) => void;
  "member:changed": (change: MemberChanged) => void;
  "person:changed": (person: ChatUser) => void;
  "presence:update": (update: PresenceUpdate) => void;
  "presence:change": (change: PresenceChange) => void;
  "presence:count": (count: PresenceCount) => void;
  "crowd:changed": (change: CrowdChanged) => void;
  "typing:update": (update: TypingUpdate) => void;
  "typing:count": (typing: TypingCount) => void;
  "receipt:update": (update: ReceiptUpdate) => void;
  "unread:changed": (unread: UnreadChanged) => void;
  "mention:new": (mention: MentionNew) => void;
  "live:reactions": (reactions: LiveReactions) => void;
  "scheduled:failed": (failed: ScheduledFailed) => void;
  "report:new": (report: ChatReport) => void;
}
