/**
 * All that the page knows of one room, and what each thing that happens does to it. Nothing here
 * sends or waits: session.ts does, and tells the outcome as an action.
 */
import type { ChatMember, ChatMessage, ChatRoom, LakhError, User } from "lakh-client";
import * as timeline from "./timeline.ts";
import type { Timeline } from "./timeline.ts";
import { noTyping, setTyping, stopTyping, type Typing } from "./typing.ts";

/** A message on its way. It leaves the list when the server's own copy arrives. */
export interface Outgoing {
  readonly key: string;
  readonly text: string;
  /** When it was written, by the page's clock. */
  readonly time: number;
  /** `waiting`: for the connection, and goes out by itself once that is back. */
  readonly status: "sending" | "waiting" | "failed";
  /** Why it failed, in the server's words. */
  readonly error?: string;
}

export interface RoomState {
  readonly id: string;
  readonly info: ChatRoom | null;
  readonly phase: "joining" | "joined" | "failed";
  readonly error: { code: string; message: string } | null;
  readonly timeline: Timeline;
  /** What lies before the run. */
  readonly older: "unknown" | "more" | "loading" | "failed" | "none";
  readonly outbox: readonly Outgoing[];
  readonly people: ReadonlyMap<string, User>;
  readonly typing: Typing;
}

export type RoomAction =
  | { type: "joining" }
  | { type: "joined"; room: ChatRoom; members: readonly ChatMember[] }
  | { type: "refused"; error: LakhError }
  | { type: "newest"; page: readonly ChatMessage[]; more: boolean }
  | { type: "loading_older" }
  | { type: "older"; page: readonly ChatMessage[]; more: boolean }
  | { type: "older_failed" }
  | { type: "newer"; page: readonly ChatMessage[]; more: boolean }
  | { type: "message"; message: ChatMessage; mine: boolean }
  | { type: "send"; message: Outgoing }
  | { type: "sending"; key: string }
  | { type: "sent"; message: ChatMessage }
  | { type: "unsent"; key: string; status: "waiting" | "failed"; error?: string }
  | { type: "discard"; key: string }
  | { type: "typing"; user: User; typing: boolean; now_ms: number }
  | { type: "typing_checked"; typing: Typing }
  | { type: "presence"; user: User; online: boolean }
  | { type: "trim"; keep: number };

export function newRoom(id: string, outbox: readonly Outgoing[] = []): RoomState {
  return {
    id,
    info: null,
    phase: "joining",
    error: null,
    timeline: timeline.emptyTimeline,
    older: "unknown",
    outbox,
    people: new Map(),
    typing: noTyping,
  };
}

export function reduceRoom(state: RoomState, action: RoomAction): RoomState {
  switch (action.type) {
    case "joining":
      return { ...state, phase: "joining", error: null };
    case "joined":
      return { ...state, phase: "joined", error: null, info: action.room, people: online(action) };
    case "refused":
      return { ...state, phase: "failed", error: action.error };
    case "typing":
      return {
        ...state,
        typing: setTyping(state.typing, action.user, action.typing, action.now_ms),
      };
    case "typing_checked":
      return { ...state, typing: action.typing };
    case "presence":
      return presence(state, action.user, action.online);
    case "send":
    case "sending":
    case "unsent":
    case "discard":
      return { ...state, outbox: reduceOutbox(state.outbox, action) };
    default:
      return reduceMessages(state, action);
  }
}

type OutboxAction = Extract<RoomAction, { type: "send" | "sending" | "unsent" | "discard" }>;

function reduceOutbox(outbox: readonly Outgoing[], action: OutboxAction): readonly Outgoing[] {
  switch (action.type) {
    case "send":
      return [...outbox, action.message];
    case "discard":
      return without(outbox, action.key);
    case "sending":
      return outbox.map((one) =>
        one.key === action.key ? { ...withoutError(one), status: "sending" } : one,
      );
    case "unsent": {
      const { key, status, error } = action;
      return outbox.map((one) => {
        if (one.key !== key) return one;
        return { ...withoutError(one), status, ...(error ? { error } : {}) };
      });
    }
  }
}

type MessagesAction = Extract<
  RoomAction,
  {
    type:
      "newest" | "loading_older" | "older" | "older_failed" | "newer" | "message" | "sent" | "trim";
  }
>;

function reduceMessages(state: RoomState, action: MessagesAction): RoomState {
  const { timeline: run } = state;
  switch (action.type) {
    case "newest": {
      const older = action.more ? "more" : "none";
      return { ...state, older, timeline: timeline.setNewest(run, action.page) };
    }
    case "loading_older":
      return { ...state, older: "loading" };
    case "older_failed":
      return { ...state, older: "failed" };
    case "older": {
      const older = action.more ? "more" : "none";
      return { ...state, older, timeline: timeline.addOlder(run, action.page) };
    }
    case "newer":
      return { ...state, timeline: timeline.addNewer(run, action.page, !action.more) };
    case "message": {
      const { message, mine } = action;
      return {
        ...state,
        timeline: timeline.addLive(run, message),
        // The broadcast may overtake the answer to the sender: either takes it out.
        outbox: mine ? without(state.outbox, message.key) : state.outbox,
        typing: stopTyping(state.typing, message.from.id),
      };
    }
    case "sent": {
      const { message } = action;
      const outbox = without(state.outbox, message.key);
      return { ...state, outbox, timeline: timeline.addLive(run, message) };
    }
    case "trim": {
      const trimmed = timeline.trim(run, action.keep);
      return trimmed === run ? state : { ...state, timeline: trimmed, older: "more" };
    }
  }
}

function presence(state: RoomState, user: User, isOnline: boolean): RoomState {
  const people = new Map(state.people);
  if (isOnline) people.set(user.id, user);
  else people.delete(user.id);
  const typing = isOnline ? state.typing : stopTyping(state.typing, user.id);
  return { ...state, people, typing };
}

function online({ members }: { members: readonly ChatMember[] }): ReadonlyMap<string, User> {
  return new Map(members.filter((one) => one.online).map(({ id, name }) => [id, { id, name }]));
}

function without(outbox: readonly Outgoing[], key: string): readonly Outgoing[] {
  return outbox.some((one) => one.key === key) ? outbox.filter((one) => one.key !== key) : outbox;
}

function withoutError(outgoing: Outgoing): Outgoing {
  const { error: _error, ...rest } = outgoing;
  return rest;
}
