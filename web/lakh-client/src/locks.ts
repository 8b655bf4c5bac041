/** Locks of a room. */
import type { RequestOptions } from "./namespace.js";
import type { Wire } from "./state.js";
import type { User } from "./types.js";

export interface LockHolder {
  /** The id of the socket that holds it. */
  id: string;
  user?: User;
  token: number;
  expires_at: number;
}

export interface LockInfo {
  name: string;
  /** Of several words on one lock the one with the highest version counts. */
  version: number;
  holder: LockHolder | null;
  /** How many wait for it. */
  waiting: number;
  why?: "expired" | "left";
}

export type LockChanged = LockInfo & { room: string };

export interface LockRequests {
  "lock:acquire": {
    fields: { room: string; name: string; ttl_ms: number; wait_ms?: number };
    answer: { token: number; expires_at: number };
  };
  "lock:renew": {
    fields: { room: string; name: string; token: number; ttl_ms: number };
    answer: { token: number; expires_at: number };
  };
  "lock:release": { fields: { room: string; name: string; token: number }; answer: object };
  "lock:watch": { fields: { room: string }; answer: { version: number; locks: LockInfo[] } };
  "lock:unwatch": { fields: { room: string }; answer: object };
}

export interface AcquireOptions {
  ttlMs: number;
  /** How long to stand in the queue; the default is not at all. */
  waitMs?: number;
}

/** More than the server's answer takes by itself. */
const SLACK_MS = 10_000;

/** A lock that was given to this socket. */
export class Lock {
  readonly room: string;
  readonly name: string;
  /** Grows from holder to holder: give it along with what you write, so that late writers can be told. */
  readonly token: number;
  #expiresAt: number;
  readonly #wire: Wire;

  constructor(wire: Wire, room: string, name: string, token: number, expiresAt: number) {
    this.#wire = wire;
    this.room = room;
    this.name = name;
    this.token = token;
    this.#expiresAt = expiresAt;
  }

  /** Milliseconds since 1970, by the server's clock. */
  get expiresAt(): number {
    return this.#expiresAt;
  }

  /** Takes a lock, or waits for it. Rejects with `conflict` or `timeout`. */
  static async acquire(
    wire: Wire,
    room: string,
    name: string,
    { ttlMs, waitMs }: AcquireOptions,
  ): Promise<Lock> {
    const fields = {
      room,
      name,
      ttl_ms: ttlMs,
      ...(waitMs === undefined ? {} : { wait_ms: waitMs }),
    };
    const options: RequestOptions = waitMs === undefined ? {} : { timeoutMs: waitMs + SLACK_MS };
    const answer = await wire.request("lock:acquire", fields, options);
    const { token, expires_at } = answer as LockRequests["lock:acquire"]["answer"];
    return new Lock(wire, room, name, token, expires_at);
  }

  /** Keeps it for so much longer from now. */
  async renew(ttlMs: number, options?: RequestOptions): Promise<void> {
    const { room, name, token } = this;
    const fields = { room, name, token, ttl_ms: ttlMs };
    const answer = await this.#wire.request("lock:renew", fields, options);
    this.#expiresAt = (answer as LockRequests["lock:renew"]["answer"]).expires_at;
  }

  async release(options?: RequestOptions): Promise<void> {
    const { room, name, token } = this;
    await this.#wire.request("lock:release", { room, name, token }, options);
  }
}
