/** The state of a room: a map that is the same for all who follow it. */
import { LakhError } from "./errors.js";
import { mergePatch } from "./merge.js";
import type { RequestOptions } from "./namespace.js";
import type { User } from "./types.js";

/** Who made a change. */
export interface ChangedBy {
  /** The id of the socket. */
  id: string;
  user?: User;
}

export interface StateEntry<T = unknown> {
  value: T;
  /** The number of the change that put it. */
  version: number;
  /** With whom it goes: a socket's id or a person's. */
  owner?: string;
  /** Milliseconds since 1970 from which it is gone. */
  expires_at?: number;
}

export interface StateChange {
  key: string;
  value?: unknown;
  /** In place of `value`: what has changed in it, as a JSON merge patch. */
  patch?: unknown;
  deleted?: true;
  version: number;
  by?: ChangedBy;
  owner?: string;
  expires_at?: number;
  why?: "expired" | "left";
}

export interface StateSnapshot {
  room: string;
  version: number;
  entries: Record<string, StateEntry>;
}

export interface StateChanged {
  room: string;
  version: number;
  changes: StateChange[];
}

/** What a write may ask for. */
export interface WriteFields {
  /** Only if the entry is at this version; 0: only if there is none. */
  if_version?: number;
  ttl_ms?: number;
  /** Removed when this socket, or the last one of this person, has left. */
  bind?: "socket" | "person";
}

type Change = { key: string } & Partial<WriteFields> & ({ value: unknown } | { delete: true });

export interface StateRequests {
  "state:join": {
    fields: { room: string; delta?: boolean; conflate?: boolean };
    answer: { version: number };
  };
  "state:leave": { fields: { room: string }; answer: object };
  "state:get": {
    fields: { room: string; keys?: string[]; prefix?: string };
    answer: { version: number; entries: Record<string, StateEntry> };
  };
  "state:since": {
    fields: { room: string; version: number };
    answer:
      | { version: number; changes: StateChange[] }
      | { version: number; entries: Record<string, StateEntry> };
  };
  "state:set": {
    fields: { room: string; key: string; value: unknown } & WriteFields;
    answer: { version: number };
  };
  "state:patch": {
    fields: { room: string; key: string; patch: unknown } & Omit<WriteFields, "bind">;
    answer: { version: number };
  };
  "state:delete": {
    fields: { room: string; key: string; if_version?: number };
    answer: { version: number; existed: boolean };
  };
  "state:update": {
    fields: { room: string; changes: Change[] };
    answer: { version: number; versions: Record<string, number> };
  };
}

/** What a room's state needs of the namespace. */
export interface Wire {
  request(event: string, fields: object, options?: RequestOptions): Promise<object>;
  listen(event: string, handler: (data: never) => void): () => void;
  /** Hears of each connection; `recovered`: the server has put this socket into its rooms again. */
  onConnected(handler: (recovered: boolean) => void): () => void;
}

/** A change as listeners hear it. */
export interface EntryChange<S, K extends keyof S = keyof S> {
  key: K;
  /** Missing where the entry is gone. */
  value?: S[K];
  /** What stood there before. */
  old?: S[K];
  version: number;
  by?: ChangedBy;
  why?: "expired" | "left";
}

export interface FollowOptions extends RequestOptions {
  /** Large changes come as patches. */
  delta?: boolean;
  /** Where this client reads slowly, it gets the newest of each key and leaves out what was between. */
  conflate?: boolean;
}

export interface WriteOptions extends RequestOptions {
  ifVersion?: number;
  ttlMs?: number;
  bind?: "socket" | "person";
}

/** `S` names the keys, with the types of their values. */
export class RoomState<S extends object = Record<string, unknown>> {
  readonly room: string;
  readonly #wire: Wire;
  readonly #options: FollowOptions;
  readonly #entries = new Map<string, StateEntry>();
  readonly #changeListeners = new Set<(change: EntryChange<S>) => void>();
  readonly #resetListeners = new Set<() => void>();
  readonly #stops: (() => void)[] = [];
  #version = 0;
  #catching: Promise<void> | undefined;
  #early: StateChanged[] = [];

  constructor(wire: Wire, room: string, options: FollowOptions = {}) {
    this.#wire = wire;
    this.room = room;
    this.#options = options;
  }

  /** Follows the state: resolves when the snapshot is here. Followed again by itself after a lost connection. */
  async open(): Promise<this> {
    const { delta, conflate, ...options } = this.#options;
    this.#stops.push(
      this.#wire.listen("state:snapshot", (snapshot: StateSnapshot) => {
        if (snapshot.room === this.room) this.#reset(snapshot);
      }),
      this.#wire.listen("state:changed", (changed: StateChanged) => {
        if (changed.room === this.room) this.#changed(changed);
      }),
      this.#wire.onConnected((recovered) => {
        // A recovered socket is sent a snapshot. If joining fails the next connection tries it again.
        if (!recovered) void this.#join({ delta, conflate }, options).catch(() => undefined);
      }),
    );
    await this.#join({ delta, conflate }, options);
    return this;
  }

  /** Follows it no longer. */
  async close(): Promise<void> {
    for (const stop of this.#stops.splice(0)) stop();
    await this.#wire.request("state:leave", { room: this.room });
  }

  /** The number of the last change. */
  get version(): number {
    return this.#version;
  }

  get size(): number {
    return this.#entries.size;
  }

  get<K extends keyof S & string>(key: K): S[K] | undefined {
    return this.#entries.get(key)?.value as S[K] | undefined;
  }

  entry<K extends keyof S & string>(key: K): StateEntry<S[K]> | undefined {
    return this.#entries.get(key) as StateEntry<S[K]> | undefined;
  }

  keys(): IterableIterator<string> {
    return this.#entries.keys();
  }

  *[Symbol.iterator](): IterableIterator<[string, unknown]> {
    for (const [key, { value }] of this.#entries) yield [key, value];
  }

  /** Resolves to the new version; it is in this map by then, or will be in a moment. */
  async set<K extends keyof S & string>(
    key: K,
    value: S[K],
    { ifVersion, ttlMs, bind, ...options }: WriteOptions = {},
  ): Promise<number> {
    const fields = { room: this.room, key, value, ...written({ ifVersion, ttlMs, bind }) };
    return version(await this.#wire.request("state:set", fields, options));
  }

  /** Changes members of a value: null removes one. */
  async patch(
    key: keyof S & string,
    patch: unknown,
    { ifVersion, ttlMs, ...options }: Omit<WriteOptions, "bind"> = {},
  ): Promise<number> {
    const fields = { room: this.room, key, patch, ...written({ ifVersion, ttlMs }) };
    return version(await this.#wire.request("state:patch", fields, options));
  }

  async delete(
    key: keyof S & string,
    { ifVersion, ...options }: Pick<WriteOptions, "ifVersion"> & RequestOptions = {},
  ): Promise<number> {
    const fields = { room: this.room, key, ...written({ ifVersion }) };
    return version(await this.#wire.request("state:delete", fields, options));
  }

  /** Changes several keys together, or none. */
  async update(changes: Change[], options?: RequestOptions): Promise<number> {
    return version(await this.#wire.request("state:update", { room: this.room, changes }, options));
  }

  /** Hears each change. The returned function stops it. */
  onChange(listener: (change: EntryChange<S>) => void): () => void {
    this.#changeListeners.add(listener);
    return () => this.#changeListeners.delete(listener);
  }

  /** Hears when the whole map was replaced: at joining, and after a lost connection. */
  onReset(listener: () => void): () => void {
    this.#resetListeners.add(listener);
    return () => this.#resetListeners.delete(listener);
  }

  async #join(
    how: { delta?: boolean; conflate?: boolean },
    options: RequestOptions,
  ): Promise<void> {
    const asked = Object.entries(how).filter(([, wanted]) => wanted);
    const fields = { room: this.room, ...Object.fromEntries(asked) };
    await this.#wire.request("state:join", fields, options);
  }

  #reset({ version, entries }: Pick<StateSnapshot, "version" | "entries">): void {
    this.#entries.clear();
    for (const [key, entry] of Object.entries(entries)) this.#entries.set(key, entry);
    this.#version = version;
    for (const listener of [...this.#resetListeners]) listener();
  }

  #changed(changed: StateChanged): void {
    if (this.#catching !== undefined) {
      this.#early.push(changed);
      return;
    }
    const first = changed.changes[0];
    if (first === undefined || changed.version <= this.#version) return;
    if (first.version > this.#version + 1 && this.#options.conflate !== true) {
      this.#early.push(changed);
      this.#catchUp();
      return;
    }
    for (const change of changed.changes) this.#apply(change);
  }

  #apply(change: StateChange): void {
    if (change.version <= this.#version) return;
    this.#version = change.version;
    const old = this.#entries.get(change.key);
    const told: EntryChange<S> = { key: change.key as keyof S, version: change.version };
    if (change.by !== undefined) told.by = change.by;
    if (change.why !== undefined) told.why = change.why;
    if (old !== undefined) told.old = old.value as S[keyof S];
    if (change.deleted === true) {
      this.#entries.delete(change.key);
    } else {
      const value = "patch" in change ? mergePatch(old?.value, change.patch) : change.value;
      const entry: StateEntry = { value, version: change.version };
      if (change.owner !== undefined) entry.owner = change.owner;
      if (change.expires_at !== undefined) entry.expires_at = change.expires_at;
      this.#entries.set(change.key, entry);
      told.value = value as S[keyof S];
    }
    for (const listener of [...this.#changeListeners]) listener(told);
  }

  /** Something is missing: the server dropped it, because this client read too slowly. */
  #catchUp(): void {
    const asked = this.#wire.request("state:since", { room: this.room, version: this.#version });
    this.#catching = asked
      .then((answer) => {
        const news = answer as StateRequests["state:since"]["answer"];
        if ("entries" in news) this.#reset(news);
        else for (const change of news.changes) this.#apply(change);
      })
      // Without a connection there is nothing to ask: the next one brings a snapshot.
      .catch(() => undefined)
      .finally(() => {
        this.#catching = undefined;
        for (const changed of this.#early.splice(0)) {
          for (const change of changed.changes) this.#apply(change);
        }
      });
  }
}

function written({ ifVersion, ttlMs, bind }: WriteOptions): Partial<WriteFields> {
  return {
    ...(ifVersion === undefined ? {} : { if_version: ifVersion }),
    ...(ttlMs === undefined ? {} : { ttl_ms: ttlMs }),
    ...(bind === undefined ? {} : { bind }),
  };
}

function version(answer: object): number {
  const { version } = answer as { version?: unknown };
  if (typeof version === "number") return version;
  throw new LakhError("bad_answer", "The answer to a write of state has no version.");
}
