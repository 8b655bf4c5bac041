/** Requests on messages: what is said, changed, pinned, passed on, and how people react to it. */
import type {
  ChatData,
  ChatHit,
  ChatMessage,
  ChatReaction,
  ChatScheduled,
  ChatUser,
} from "./shapes.js";

/** Names a message: by its number in the room, or in the thread under `thread`. */
export interface OfMessage {
  room: string;
  seq: number;
  thread?: number;
}

/** What a message may carry beside its text. */
export interface Carried {
  data?: ChatData;
  /** Ids of people, or `*` for all. */
  mentions?: string[];
  /** Ids of uploads. */
  attachments?: string[];
  /** The number of the message that this one answers. */
  reply_to?: number;
  /** Says it in the thread under this message. */
  thread?: number;
  /** Sends it later: milliseconds since 1970. */
  at?: number;
  expires_in_s?: number;
  /** Nobody who is away is told. */
  silent?: boolean;
}

export interface Range {
  before?: number;
  after?: number;
  around?: number;
  /** From this time on. */
  time?: number;
  /** At most 200; the server's default is 50. */
  limit?: number;
}

export interface MessageRequests {
  /** With `at` the answer is `scheduled` alone. */
  "message:send": {
    fields: Carried & { room: string; key: string; text?: string };
    answer: { message: ChatMessage; duplicate: boolean } & { scheduled?: ChatScheduled };
  };
  "message:get": { fields: OfMessage; answer: { message: ChatMessage } };
  "message:history": {
    fields: Range & { room: string; thread?: number };
    answer: {
      messages: ChatMessage[];
      /** There are others in the direction asked for. */
      more: boolean;
      more_before?: boolean;
      more_after?: boolean;
      /** The number of the first message that is kept, of the last one, and of the last change. */
      first?: number;
      seq?: number;
      rev?: number;
    };
  };
  /** What was missed: messages after `seq`, and those changed after `rev`, whole. */
  "message:sync": {
    fields: {
      room: string;
      thread?: number;
      seq: number;
      rev: number;
      /** That of the room which the numbers are of: another of its name is told apart by it. */
      created_at?: number;
      limit?: number;
    };
    answer: {
      messages: ChatMessage[];
      changed: ChatMessage[];
      seq: number;
      rev: number;
      more: boolean;
      /** So much is missing that the room is to be loaded anew. */
      reset: boolean;
    };
  };
  "message:edit": {
    fields: OfMessage & { text?: string; data?: ChatData | null; mentions?: string[] | null };
    answer: { message: ChatMessage };
  };
  /** What it said before, the oldest first. */
  "message:edits": { fields: OfMessage; answer: { edits: { text: string; time: number }[] } };
  "message:delete": { fields: OfMessage; answer: { message: ChatMessage } };
  /** What it said before goes, too. */
  "message:purge": { fields: OfMessage; answer: { message: ChatMessage } };
  "message:pin": { fields: OfMessage & { pinned: boolean }; answer: { message: ChatMessage } };
  /** The newest pin first. */
  "pin:list": { fields: { room: string }; answer: { pins: ChatMessage[] } };
  "message:forward": {
    fields: OfMessage & { to: string[]; key: string };
    answer: { messages: ChatMessage[] };
  };
  "message:search": {
    fields: { words: string; room?: string; from?: string; cursor?: string; limit?: number };
    answer: { hits: ChatHit[]; cursor: string | null; complete: boolean };
  };
}

export interface ReactionRequests {
  "reaction:add": {
    fields: OfMessage & { emoji: string; count?: number };
    answer: { reactions: ChatReaction[] };
  };
  "reaction:remove": {
    fields: OfMessage & { emoji: string };
    answer: { reactions: ChatReaction[] };
  };
  "reaction:list": {
    fields: OfMessage & { emoji?: string; cursor?: string; limit?: number };
    answer: {
      reactions: { user: ChatUser; emoji: string; count: number }[];
      cursor?: string | null;
    };
  };
  /** Floats by, and is not stored. */
  "live:react": { fields: { room: string; emoji: string }; answer: object };
}

export interface ScheduledRequests {
  "scheduled:list": { fields: { room?: string }; answer: { scheduled: ChatScheduled[] } };
  "scheduled:cancel": { fields: { id: string }; answer: object };
  "scheduled:change": {
    fields: { id: string; text?: string; at?: number };
    answer: { scheduled: ChatScheduled };
  };
}
