/** Rooms without code: namespace `/`. A client names its own events, the server relays them. */
import type { Manager } from "socket.io-client";
import type { CursorRequests } from "./cursors.js";
import type { LockRequests } from "./locks.js";
import { NamespaceClient, type NamespaceOptions, type RequestOptions } from "./namespace.js";
import type {
  JoinAnswer,
  JoinOptions,
  LiveRequests,
  Occupancy,
  Past,
  PastRange,
  PresencePage,
  RoomNews,
  Tags,
} from "./rooms-live.js";
import { Room } from "./room.js";
import type { StateRequests, Wire } from "./state.js";
import type { User } from "./types.js";

export interface RoomMember {
  /** The id of the member's socket. */
  id: string;
  user: User;
}

/** The second argument of each event that comes from a room. */
export interface Origin {
  room: string;
  /** The id of the socket that sent it; missing if a server did. */
  from?: string;
  /** The person who sent it, where the server knows. */
  user?: User;
  /** Milliseconds since 1970, by the server's clock. */
  time: number;
  /** What filters look at. */
  tags?: Tags;
  /** The event's number in its room: from 1, without holes (but for what a filter dropped). */
  seq: number;
}

export interface RoomsRequests extends LiveRequests, StateRequests, LockRequests, CursorRequests {
  "room:join": {
    fields: { room?: string; rooms?: string[] } & Omit<JoinOptions, keyof RequestOptions>;
    answer: object;
  };
  "room:leave": { fields: { room: string }; answer: object };
  "room:emit": {
    fields: { room: string; event: string; data: unknown; echo?: boolean; tags?: Tags };
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
  /** What filters look at. */
  tags?: Tags;
}

/** What came of joining several rooms. */
export interface JoinedSeveral<O extends JoinOptions> {
  joined: Record<string, JoinAnswer<O>>;
  refused: Record<string, { code: string; message: string }>;
}

export class RoomsClient<Data extends object = RoomEvents> extends NamespaceClient<
  RoomsRequests,
  Handlers<Data> & RoomNews
> {
  constructor(manager: Manager, options: NamespaceOptions) {
    super(manager, "/", options);
  }

  /**
   * `seq` is the number of the room's last event: what comes live has higher ones. With a `rewind` the answer has what was
   * said before, up to `seq`.
   */
  async join<O extends JoinOptions>(room: string, options?: O): Promise<JoinAnswer<O>> {
    const { timeoutMs, ...fields } = options ?? ({} as JoinOptions);
    return (await this.request("room:join", { room, ...fields }, { timeoutMs })) as JoinAnswer<O>;
  }

  /** Joins up to 100 rooms. One that is refused changes nothing in the others. */
  async joinAll<O extends JoinOptions>(rooms: string[], options?: O): Promise<JoinedSeveral<O>> {
    const { timeoutMs, ...fields } = options ?? ({} as JoinOptions);
    const answer = await this.request("room:join", { rooms, ...fields }, { timeoutMs });
    return answer as JoinedSeveral<O>;
  }

  async leave(room: string, options?: RequestOptions): Promise<void> {
    await this.request("room:leave", { room }, options);
  }

  /** Resolves once the room's log has the event. Binary data goes through as it is. */
  emit<K extends keyof Data & string>(
    room: string,
    event: K,
    data: Data[K],
    { echo, tags, ...options }: EmitOptions = {},
  ): Promise<{ seq: number; time: number }> {
    const fields = {
      room,
      event,
      data,
      ...(echo === undefined ? {} : { echo }),
      ...(tags === undefined ? {} : { tags }),
    };
    return this.request("room:emit", fields, options);
  }

  members(
    room: string,
    { limit, ...options }: RequestOptions & { limit?: number } = {},
  ): Promise<{ members: RoomMember[]; count: number }> {
    return this.request("room:members", limit === undefined ? { room } : { room, limit }, options);
  }

  /** What was said in a room, the newest first to be found, in the order of numbers. */
  history(room: string, { timeoutMs, ...range }: PastRange = {}): Promise<Past & { seq: number }> {
    return this.request("history:get", { room, ...range }, { timeoutMs });
  }

  /** Who is in a room, on all nodes. */
  presence(
    room: string,
    { timeoutMs, ...page }: RequestOptions & { after?: string; limit?: number } = {},
  ): Promise<PresencePage> {
    return this.request("presence:get", { room, ...page }, { timeoutMs });
  }

  /** Asks to be told who comes and goes, as a member or not. To be asked again after each new connection. */
  async watch(room: string, options?: RequestOptions): Promise<PresencePage> {
    return (await this.request("presence:subscribe", { room }, options)) as PresencePage;
  }

  /** Asks to be told how many are there. */
  async watchCount(room: string, options?: RequestOptions): Promise<Occupancy> {
    return this.request("presence:subscribe", { room, counts: true }, options);
  }

  async unwatch(room: string, options?: RequestOptions): Promise<void> {
    await this.request("presence:unsubscribe", { room }, options);
  }

  /** Tells the others something about oneself, for as long as one is in the room. */
  async tell(room: string, data: unknown, options?: RequestOptions): Promise<void> {
    await this.request("presence:update", { room, data }, options);
  }

  /** One room: its state, locks and cursors. */
  room(name: string): Room {
    return new Room(
      name,
      this.#wire(),
      () => this.socket.id,
      (event, fields) => this.socket.volatile.emit(event, fields),
    );
  }

  #wire(): Wire {
    return {
      request: (event, fields, options) =>
        this.request(event as keyof RoomsRequests, fields, options),
      listen: (event, handler) => {
        const listener = handler as (...args: unknown[]) => void;
        this.socket.on(event, listener);
        return () => {
          this.socket.off(event, listener);
        };
      },
      onConnected: (handler) =>
        this.onState((state) => {
          if (state.status === "connected") handler(state.recovered);
        }),
    };
  }
}
