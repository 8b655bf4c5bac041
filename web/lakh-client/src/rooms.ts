/** Rooms without code: namespace `/`. A client names its own events, the server relays them. */
import type { Manager } from "socket.io-client";
import { NamespaceClient, type NamespaceOptions, type RequestOptions } from "./namespace.js";
import type { User } from "./types.js";

export interface RoomMember {
  /** The id of the member's socket. */
  id: string;
  user: User;
}

/** The second argument of each event that comes from a room. */
export interface Origin {
  room: string;
  /** The id of the socket that sent it. */
  from: string;
  /** The person who sent it, where the server knows. */
  user?: User;
  /** Milliseconds since 1970, by the server's clock. */
  time: number;
  /** The event's number in its room: from 1, without holes. */
  seq: number;
}

export interface RoomsRequests {
  "room:join": {
    fields: { room: string };
    answer: { seq: number; count: number };
  };
  "room:leave": { fields: { room: string }; answer: object };
  "room:emit": {
    fields: { room: string; event: string; data: unknown; echo?: boolean };
    answer: { seq: number; time: number };
  };
  "room:members": {
    fields: { room: string; limit?: number };
    answer: { members: RoomMember[]; count: number };
  };
}

/** Your events by name, with the type of their data. */
export type RoomEvents = Record<string, unknown>;

type Handlers<Data> = { [K in keyof Data]: (data: Data[K], origin: Origin) => void };

export interface EmitOptions extends RequestOptions {
  /** False: the event does not come back to this socket. The default is true. */
  echo?: boolean;
}

export class RoomsClient<Data extends object = RoomEvents> extends NamespaceClient<
  RoomsRequests,
  Handlers<Data>
> {
  constructor(manager: Manager, options: NamespaceOptions) {
    super(manager, "/", options);
  }

  /** `seq` is the number of the room's last event, `count` its members. */
  join(room: string, options?: RequestOptions): Promise<{ seq: number; count: number }> {
    return this.request("room:join", { room }, options);
  }

  async leave(room: string, options?: RequestOptions): Promise<void> {
    await this.request("room:leave", { room }, options);
  }

  /** Resolves once the room's log has the event. Binary data goes through as it is. */
  emit<K extends keyof Data & string>(
    room: string,
    event: K,
    data: Data[K],
    { echo, ...options }: EmitOptions = {},
  ): Promise<{ seq: number; time: number }> {
    const fields = { room, event, data, ...(echo === undefined ? {} : { echo }) };
    return this.request("room:emit", fields, options);
  }

  members(
    room: string,
    { limit, ...options }: RequestOptions & { limit?: number } = {},
  ): Promise<{ members: RoomMember[]; count: number }> {
    return this.request("room:members", limit === undefined ? { room } : { room, limit }, options);
  }
}
