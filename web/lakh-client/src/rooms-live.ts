/** Rooms without code: what was said before, who is there, and which events somebody wants. */
import type { RequestOptions } from "./namespace.js";
import type { User } from "./types.js";

/** What an event says of itself, for filters. */
export type Tags = Record<string, string | number | boolean>;

type Scalar = string | number | boolean;

export interface TagTest {
  eq?: Scalar;
  ne?: Scalar;
  in?: readonly Scalar[];
  exists?: boolean;
  gt?: number;
  gte?: number;
  lt?: number;
  lte?: number;
}

/** Which events of a room somebody wants, by their tags: all that stands in it must hold. */
// eslint-disable-next-line @typescript-eslint/consistent-indexed-object-style -- a Record can't name itself
export interface TagFilter {
  [tag: string]: Scalar | TagTest | readonly TagFilter[];
}

/** From where on a newcomer wants to know what was said: one of the three. */
export type Rewind =
  /** The last so many. */
  | { last: number }
  /** From this time on, in milliseconds since 1970. */
  | { since: number }
  /** What came after this number: the last that was seen. */
  | { after: number };

/** An event of before: name and data, beside what is the second argument of a live one. */
export interface PastEvent<Data = unknown> {
  event: string;
  data: Data;
  room: string;
  from?: string;
  user?: User;
  tags?: Tags;
  time: number;
  seq: number;
}

export interface Past {
  /** In the order of their numbers. */
  events: PastEvent[];
  /** Nothing that was asked for has gone out of the history. */
  complete: boolean;
  /** There are more: ask with this as `before`, or as `after` with `oldest_first`. */
  next?: number;
}

/** Somebody who is in a room, on however many devices. */
export interface Present {
  /** The person's id; of somebody who is not signed in, the socket's id. */
  id: string;
  user?: User;
  /** 0: the last device lost its connection a moment ago. */
  sockets: number;
  data?: unknown;
}

export interface PresencePage {
  members: Present[];
  people: number;
  sockets: number;
  /** Give it as `after` for the next page. */
  next?: string;
}

export interface Occupancy {
  people: number;
  sockets: number;
}

export interface Joined {
  /** Number of the room's last event. */
  seq: number;
  /** Sockets in the room: on all nodes where it has presence, otherwise on the node that answers. */
  count: number;
}

export interface JoinOptions extends RequestOptions {
  rewind?: Rewind;
  filter?: TagFilter;
  /** For a private room. */
  token?: string;
  /** Whether to be told who comes and goes. */
  presence?: boolean;
}

/** What a join gives besides, by what was asked for. */
export type JoinAnswer<O extends JoinOptions> = Joined &
  (O extends { rewind: Rewind } ? Past : unknown) &
  (O extends { presence: true } ? { presence: PresencePage } : unknown);

export interface PastRange extends RequestOptions {
  after?: number;
  before?: number;
  since?: number;
  event?: string;
  oldest_first?: boolean;
  /** At most 1000; 100 if it isn't given. */
  limit?: number;
  filter?: TagFilter;
}

/** What those who watch a room are told. */
export interface RoomNews {
  "presence:join": (news: Present & { room: string; people: number; count: number }) => void;
  "presence:leave": (news: Present & { room: string; people: number; count: number }) => void;
  "presence:update": (news: Present & { room: string }) => void;
  /** Those of a tick together, where many come and go. */
  "presence:changes": (news: {
    room: string;
    joined: Present[];
    left: Present[];
    updated: Present[];
    people: number;
    count: number;
  }) => void;
  /** `named` false: who comes and goes is not told. When it turns true again, ask who is there. */
  "room:occupancy": (news: Occupancy & { room: string; named: boolean }) => void;
  /** The token for a private room is over, and so is the membership. */
  "room:expired": (news: { room: string }) => void;
  /** Somebody took the token back that let this socket in: the membership is over. */
  "room:revoked": (news: { room: string }) => void;
}

export interface LiveRequests {
  "history:get": {
    fields: { room: string } & Omit<PastRange, keyof RequestOptions>;
    answer: Past & { seq: number };
  };
  "presence:get": {
    fields: { room: string; after?: string; limit?: number };
    answer: PresencePage;
  };
  "presence:subscribe": {
    fields: { room: string; counts?: boolean };
    answer: PresencePage | Occupancy;
  };
  "presence:unsubscribe": { fields: { room: string }; answer: object };
  "presence:update": { fields: { room: string; data: unknown }; answer: object };
}
