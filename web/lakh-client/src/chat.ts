/** Chat: namespace `/chat`. Rooms with numbered, stored messages, typing and presence. */
import type { Manager } from "socket.io-client";
import { NamespaceClient, type NamespaceOptions, type RequestOptions } from "./namespace.js";
import type { User } from "./types.js";

export interface ChatRoom {
  id: string;
  name: string;
  /** Milliseconds since 1970. */
  created_at: number;
  /** The number of the room's last message; 0 in an empty room. */
  seq: number;
}

export interface ChatMessage {
  room: string;
  /** The message's number in its room: from 1, ascending. */
  seq: number;
  /** Made by the client that sent it: sending twice with one key gives one message. */
  key: string;
  from: User;
  text: string;
  /** Milliseconds since 1970, by the server's clock. */
  time: number;
}

export interface ChatRoomSummary extends ChatRoom {
  /** How many people are in the room now. */
  online: number;
  last: ChatMessage | null;
}

export interface ChatMember extends User {
  online: boolean;
}

export interface ChatRequests {
  "room:join": {
    fields: { room: string };
    answer: { room: ChatRoom; members: ChatMember[]; seq: number };
  };
  "room:leave": { fields: { room: string }; answer: object };
  "room:list": {
    fields: { cursor?: string; limit?: number };
    answer: { rooms: ChatRoomSummary[]; cursor: string | null };
  };
  "message:send": {
    fields: { room: string; key: string; text: string };
    answer: { message: ChatMessage; duplicate: boolean };
  };
  "message:history": {
    fields: { room: string; before?: number; after?: number; limit?: number };
    answer: { messages: ChatMessage[]; more: boolean };
  };
  "typing:set": { fields: { room: string; typing: boolean }; answer: object };
  "presence:list": { fields: { room: string }; answer: { members: ChatMember[] } };
}

export interface TypingUpdate {
  room: string;
  user: User;
  typing: boolean;
}

export interface PresenceUpdate {
  room: string;
  user: User;
  online: boolean;
}

export interface ChatEvents {
  "message:new": (message: ChatMessage) => void;
  "typing:update": (update: TypingUpdate) => void;
  "presence:update": (update: PresenceUpdate) => void;
  "room:new": (room: ChatRoom) => void;
}

type Answer<K extends keyof ChatRequests> = Promise<ChatRequests[K]["answer"]>;

/** Where a page of history lies: before or after a message's number, or at the end. */
export interface HistoryRange extends RequestOptions {
  before?: number;
  after?: number;
  /** At most 200; the server's default is 50. */
  limit?: number;
}

export class ChatClient extends NamespaceClient<ChatRequests, ChatEvents> {
  constructor(manager: Manager, options: NamespaceOptions) {
    super(manager, "/chat", options);
  }

  /** Joins a room, and makes it when there is none. */
  join(room: string, options?: RequestOptions): Answer<"room:join"> {
    return this.request("room:join", { room }, options);
  }

  async leave(room: string, options?: RequestOptions): Promise<void> {
    await this.request("room:leave", { room }, options);
  }

  rooms({
    timeoutMs,
    ...fields
  }: RequestOptions & { cursor?: string; limit?: number } = {}): Answer<"room:list"> {
    return this.request("room:list", fields, { timeoutMs });
  }

  /**
   * Sends a message. To try again after an error, call with the same `key`: the server
   * answers with the message it already has, and `duplicate: true`.
   */
  send(
    room: string,
    text: string,
    { key = messageKey(), ...options }: RequestOptions & { key?: string } = {},
  ): Answer<"message:send"> {
    return this.request("message:send", { room, key, text }, options);
  }

  /** Messages by ascending number. `more`: there are others in the direction asked for. */
  history(room: string, { timeoutMs, ...range }: HistoryRange = {}): Answer<"message:history"> {
    return this.request("message:history", { room, ...range }, { timeoutMs });
  }

  /** The server forgets it after 6 s: say it again while it stays true. */
  async typing(room: string, typing: boolean, options?: RequestOptions): Promise<void> {
    await this.request("typing:set", { room, typing }, options);
  }

  presence(room: string, options?: RequestOptions): Answer<"presence:list"> {
    return this.request("presence:list", { room }, options);
  }
}

/** A fresh key for a message: 22 characters, 128 random bits. */
export function messageKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
