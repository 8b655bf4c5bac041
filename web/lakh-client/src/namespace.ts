/**
 * One namespace on the shared connection: typed requests, typed events, and a connection
 * state that says in one value what Socket.IO tells by five events.
 */
import type { Manager, Socket } from "socket.io-client";
import { readAnswer, readRefusal } from "./answer.js";
import { LakhError } from "./errors.js";
import type { Expiring, SignIn } from "./signin.js";

/** What a request takes and what its good answer holds. */
export interface Exchange {
  fields: object;
  answer: object;
}

export type Requests<R> = { [K in keyof R]: Exchange };
export type Events<E> = { [K in keyof E]: (...args: never[]) => void };

export type ConnectionState =
  /** Not asked to connect yet. */
  | { readonly status: "idle" }
  /** The first connection is under way. */
  | { readonly status: "connecting" }
  /** `recovered`: the server kept the session, and has sent all that was missed. */
  | { readonly status: "connected"; readonly recovered: boolean }
  /** The connection is lost or could not be made; attempts go on. `attempt` starts at 0. */
  | { readonly status: "reconnecting"; readonly attempt: number; readonly reason: string }
  /** The server said no (wrong token, unknown namespace). No further attempts are made. */
  | { readonly status: "refused"; readonly error: LakhError }
  /** Closed on purpose by either side. No further attempts are made. */
  | { readonly status: "closed"; readonly reason: string };

export interface RequestOptions {
  /** How long to wait for the answer. The default is that of the connection. */
  timeoutMs?: number;
}

export interface NamespaceOptions {
  timeoutMs: number;
  signIn: SignIn;
}

/** A limit of the server was run into: how long to wait, and what becomes of the connection. */
export interface LimitHit {
  code: "rate_limited" | "too_many_rooms" | (string & {});
  limit: "events" | "joins" | "bytes" | "rooms" | (string & {});
  scope: "person" | "address" | "node" | (string & {});
  action: "refuse" | "slow" | "disconnect" | (string & {});
  retry_in_ms: number;
}

/** What the server says of the connection itself, in every namespace. */
export interface Notices {
  "auth:expiring": (expiring: Expiring) => void;
  /** The namespace is disconnected behind it. */
  "auth:expired": (why: { code: string; expires_at: number }) => void;
  /** The sign-in was taken back. The namespace is disconnected behind it. */
  "auth:revoked": (why: { code: string }) => void;
  limit: (hit: LimitHit) => void;
}

export class NamespaceClient<R extends Requests<R>, E extends Events<E>> {
  /** The socket beneath, for whatever this wrapper leaves out. */
  readonly socket: Socket;
  readonly #manager: Manager;
  readonly #timeoutMs: number;
  readonly #watchers = new Set<(state: ConnectionState) => void>();
  #state: ConnectionState = { status: "idle" };

  constructor(manager: Manager, namespace: string, options: NamespaceOptions) {
    this.#manager = manager;
    this.#timeoutMs = options.timeoutMs;
    this.socket = manager.socket(namespace, {
      auth: (send) => {
        void this.#signIn(options.signIn, send);
      },
    });
    options.signIn.follow(this.socket);
    this.#follow();
  }

  /** Sends a request and waits for its answer. Rejects with a `LakhError`. */
  async request<K extends keyof R & string>(
    event: K,
    fields: R[K]["fields"],
    options: RequestOptions = {},
  ): Promise<R[K]["answer"]> {
    if (!this.socket.active) {
      // Socket.IO would keep the packet until somebody connects again. The caller would
      // wait for the time-out to learn what is known now.
      throw new LakhError("disconnected", `Not connected: ${event} was not sent.`);
    }
    const timeoutMs = options.timeoutMs ?? this.#timeoutMs;
    let answer: unknown;
    try {
      answer = await this.socket.timeout(timeoutMs).emitWithAck(event, fields);
    } catch (cause) {
      throw this.#lost(event, timeoutMs, cause);
    }
    return readAnswer(event, answer);
  }

  /** Hears an event of the server. The returned function stops it. */
  on<K extends keyof E & string>(event: K, handler: E[K]): () => void {
    // Wider than Socket.IO's own types, which know its reserved events only.
    const name: string = event;
    const listener = handler as unknown as (...args: unknown[]) => void;
    this.socket.on(name, listener);
    return () => {
      this.socket.off(name, listener);
    };
  }

  /** Hears what the server says of the connection. The returned function stops it. */
  onNotice<K extends keyof Notices>(notice: K, handler: Notices[K]): () => void {
    const name: string = notice;
    const listener = handler as unknown as (...args: unknown[]) => void;
    this.socket.on(name, listener);
    return () => {
      this.socket.off(name, listener);
    };
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Hears each change of `state`. The returned function stops it. */
  onState(watcher: (state: ConnectionState) => void): () => void {
    this.#watchers.add(watcher);
    return () => {
      this.#watchers.delete(watcher);
    };
  }

  /** Connects, or connects again after a refusal or a close. */
  connect(): void {
    if (this.socket.active) return;
    this.#set({ status: "connecting" });
    this.socket.connect();
  }

  disconnect(): void {
    this.socket.disconnect();
    this.#set({ status: "closed", reason: "io client disconnect" });
  }

  async #signIn(signIn: SignIn, send: (auth: object) => void): Promise<void> {
    try {
      send(await signIn.credentials());
    } catch {
      // Whoever gives tokens can't be reached: as with the server itself, it's tried again later.
      this.#manager.engine.close();
    }
  }

  #follow(): void {
    this.socket.on("connect", () => {
      this.#set({ status: "connected", recovered: this.socket.recovered });
    });
    this.socket.on("disconnect", (reason) => {
      this.#set(
        this.socket.active
          ? { status: "reconnecting", attempt: 0, reason }
          : { status: "closed", reason },
      );
    });
    this.socket.on("connect_error", (error) => {
      if (!this.socket.active) {
        this.#set({ status: "refused", error: readRefusal(error) });
        return;
      }
      const attempt = this.#state.status === "reconnecting" ? this.#state.attempt : 0;
      this.#set({ status: "reconnecting", attempt, reason: error.message });
    });
    this.#manager.on("reconnect_attempt", (attempt) => {
      if (!this.socket.active || this.#state.status !== "reconnecting") return;
      this.#set({ ...this.#state, attempt });
    });
  }

  #set(state: ConnectionState): void {
    this.#state = state;
    for (const watcher of [...this.#watchers]) watcher(state);
  }

  #lost(event: string, timeoutMs: number, cause: unknown): LakhError {
    // Socket.IO rejects with one of two plain errors and tells them apart by their text.
    const timedOut = cause instanceof Error && cause.message.includes("timed out");
    if (!timedOut) {
      const text = `The connection was lost before ${event} was answered.`;
      return new LakhError("disconnected", text, { cause });
    }
    return this.socket.connected
      ? new LakhError("timeout", `No answer to ${event} within ${timeoutMs} ms.`, { cause })
      : new LakhError("disconnected", `No connection within ${timeoutMs} ms for ${event}.`, {
          cause,
        });
  }
}
