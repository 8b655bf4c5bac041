/** Live cursors of a room: where the others point, and where this client does. */
import type { Wire } from "./state.js";
import type { User } from "./types.js";

export interface CursorPlace {
  /** The id of the socket. */
  id: string;
  x: number;
  y: number;
  data?: unknown;
  user?: User;
}

/** `[id, x, y]`, or `[id, x, y, data]`. */
export type CursorTuple = [id: string, x: number, y: number, data?: unknown];

export interface CursorMoved {
  room: string;
  moved: CursorTuple[];
}

export interface CursorLeft {
  room: string;
  ids: string[];
}

export interface CursorRequests {
  "cursor:join": { fields: { room: string }; answer: { cursors: CursorPlace[] } };
  "cursor:leave": { fields: { room: string }; answer: object };
  "cursor:move": {
    fields: { room: string; x: number; y: number; data?: unknown };
    answer: object;
  };
}

/** The server tells cursors at rest every ten seconds; of one that is told no more its node is gone. */
const FORGOTTEN_MS = 30_000;

export class Cursors {
  readonly room: string;
  readonly #wire: Wire;
  readonly #own: () => string | undefined;
  readonly #send: (event: string, fields: object) => void;
  readonly #places = new Map<string, CursorPlace & { told: number }>();
  readonly #listeners = new Set<(places: ReadonlyMap<string, CursorPlace>) => void>();
  readonly #stops: (() => void)[] = [];
  #forgetting: ReturnType<typeof setInterval> | undefined;

  /** `own` gives this socket's id, `send` sends without waiting for an answer. */
  constructor(
    wire: Wire,
    room: string,
    own: () => string | undefined,
    send: (event: string, fields: object) => void,
  ) {
    this.#wire = wire;
    this.room = room;
    this.#own = own;
    this.#send = send;
  }

  async open(): Promise<this> {
    this.#stops.push(
      this.#wire.listen("cursor:moved", (moved: CursorMoved) => {
        if (moved.room === this.room) this.#moved(moved.moved);
      }),
      this.#wire.listen("cursor:left", (left: CursorLeft) => {
        if (left.room === this.room) this.#gone(left.ids);
      }),
      this.#wire.onConnected((recovered) => {
        if (!recovered) void this.#join().catch(() => undefined);
      }),
    );
    this.#forgetting = setInterval(() => this.#forget(), FORGOTTEN_MS / 3);
    await this.#join();
    return this;
  }

  async close(): Promise<void> {
    clearInterval(this.#forgetting);
    for (const stop of this.#stops.splice(0)) stop();
    await this.#wire.request("cursor:leave", { room: this.room });
  }

  /** The others' cursors, by socket. */
  get places(): ReadonlyMap<string, CursorPlace> {
    return this.#places;
  }

  /** Call it as often as you like up to the server's rate; the newest place counts. */
  move(x: number, y: number, data?: unknown): void {
    const fields = { room: this.room, x, y, ...(data === undefined ? {} : { data }) };
    this.#send("cursor:move", fields);
  }

  /** Hears when cursors have moved, come or gone: once a batch. */
  onMove(listener: (places: ReadonlyMap<string, CursorPlace>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async #join(): Promise<void> {
    const answer = await this.#wire.request("cursor:join", { room: this.room });
    const { cursors } = answer as CursorRequests["cursor:join"]["answer"];
    this.#places.clear();
    for (const place of cursors) {
      if (place.id !== this.#own()) this.#places.set(place.id, { ...place, told: Date.now() });
    }
    this.#tell();
  }

  #moved(moved: CursorTuple[]): void {
    const own = this.#own();
    for (const [id, x, y, data] of moved) {
      if (id === own) continue;
      const place: CursorPlace & { told: number } = { id, x, y, told: Date.now() };
      if (data !== undefined) place.data = data;
      const user = this.#places.get(id)?.user;
      if (user !== undefined) place.user = user;
      this.#places.set(id, place);
    }
    this.#tell();
  }

  #gone(ids: string[]): void {
    for (const id of ids) this.#places.delete(id);
    this.#tell();
  }

  #forget(): void {
    const before = Date.now() - FORGOTTEN_MS;
    const old = [...this.#places.values()].filter((place) => place.told < before);
    if (old.length > 0) this.#gone(old.map((place) => place.id));
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener(this.#places);
  }
}
