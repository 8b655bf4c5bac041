/** One connection to a Lakh server, shared by the namespaces of its modules. */
import { Manager, type ManagerOptions } from "socket.io-client";
import { ChatClient } from "./chat.js";
import type { NamespaceClient, NamespaceOptions } from "./namespace.js";
import { RoomsClient, type RoomEvents } from "./rooms.js";

/** What signs a person in: a token, or a name where the server runs in development. */
export type Auth = { token: string } | { name: string };

export interface LakhOptions {
  /** Asked again at each connection, when a function: so a fresh token is taken. */
  auth: Auth | (() => Auth);
  /** How long a request waits for its answer. The default is 10 s. */
  timeoutMs?: number;
  /** False: a module connects when its `connect()` is called, not when it is first used. */
  autoConnect?: boolean;
  /** Options of socket.io-client's Manager: path, transports, reconnection delays, … */
  manager?: Partial<ManagerOptions>;
}

const DEFAULT_TIMEOUT_MS = 10_000;

// The state and life of a namespace, whatever its requests and events are.
type AnyNamespace = Pick<
  NamespaceClient<object, object>,
  "socket" | "connect" | "disconnect" | "state"
>;

/** `Data` names your own events in rooms: `new Lakh<{ "cursor": { x: number } }>(…)`. */
export class Lakh<Data extends object = RoomEvents> {
  readonly manager: Manager;
  readonly #options: NamespaceOptions;
  readonly #autoConnect: boolean;
  #rooms: RoomsClient<Data> | undefined;
  #chat: ChatClient | undefined;

  /** `url` is the server's origin; in a browser the page's own origin is the default. */
  constructor(url: string | undefined, options: LakhOptions) {
    const managerOptions = { ...options.manager, autoConnect: false };
    // The one-argument form takes the page's origin, and has no meaning outside a browser.
    this.manager =
      url === undefined ? new Manager(managerOptions) : new Manager(url, managerOptions);
    this.#options = {
      timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      auth: authSource(options.auth),
    };
    this.#autoConnect = options.autoConnect ?? true;
  }

  /** Rooms without code, namespace `/`. */
  get rooms(): RoomsClient<Data> {
    return (this.#rooms ??= this.#start(new RoomsClient<Data>(this.manager, this.#options)));
  }

  /** Chat, namespace `/chat`. */
  get chat(): ChatClient {
    return (this.#chat ??= this.#start(new ChatClient(this.manager, this.#options)));
  }

  /**
   * Tries at once instead of at the end of the present delay: for a button, or for the
   * browser's `online` event.
   */
  reconnectNow(): void {
    const waiting = this.#namespaces().filter((one) => one.state.status === "reconnecting");
    if (waiting.length === 0) return;
    // The delay is the Manager's own, and ends only when its last socket lets go.
    for (const { socket } of waiting) socket.disconnect();
    for (const { socket } of waiting) socket.connect();
  }

  /** Leaves all namespaces and closes the connection. */
  close(): void {
    for (const one of this.#namespaces()) one.disconnect();
  }

  #start<T extends AnyNamespace>(namespace: T): T {
    if (this.#autoConnect) namespace.connect();
    return namespace;
  }

  #namespaces(): AnyNamespace[] {
    return [this.#rooms, this.#chat].filter((one) => one !== undefined);
  }
}

function authSource(auth: LakhOptions["auth"]): () => Auth {
  // The cast: TypeScript can't rule out that a `{token}` is callable as well.
  return typeof auth === "function" ? (auth as () => Auth) : () => auth;
}
