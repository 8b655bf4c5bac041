/** One connection to a Lakh server, shared by the namespaces of its modules. */
import { Manager, type ManagerOptions } from "socket.io-client";
import { ChatClient } from "./chat/client.js";
import type { NamespaceClient, NamespaceOptions } from "./namespace.js";
import { RoomsClient, type RoomEvents } from "./rooms.js";
import { SignIn, type Auth, type Expiring } from "./signin.js";
import { WorldClient } from "./world/client.js";

export interface LakhOptions {
  /** Asked again at each connection, when a function: so a fresh token is taken. */
  auth: Auth | (() => Auth | Promise<Auth>);
  /**
   * Gives a new token of the same person: asked when the server says that the sign-in ends
   * soon (`expiring` says when), and before a connection is made with one that has ended.
   * The connection goes on, and later ones are made with the newest token.
   */
  refreshToken?: (expiring?: Expiring) => string | Promise<string>;
  /** Hears why a sign-in could not be renewed. It is tried again until its end. */
  onRefreshError?: (error: unknown) => void;
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
  readonly #url: string | undefined;
  #rooms: RoomsClient<Data> | undefined;
  #chat: ChatClient | undefined;
  #world: WorldClient | undefined;

  /** `url` is the server's origin; in a browser the page's own origin is the default. */
  constructor(url: string | undefined, options: LakhOptions) {
    this.#url = url;
    const managerOptions = { ...options.manager, autoConnect: false };
    // The one-argument form takes the page's origin, and has no meaning outside a browser.
    this.manager =
      url === undefined ? new Manager(managerOptions) : new Manager(url, managerOptions);
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const { auth, refreshToken, onRefreshError } = options;
    this.#options = {
      timeoutMs,
      signIn: new SignIn({ auth, refreshToken, onRefreshError, timeoutMs }),
    };
    this.#autoConnect = options.autoConnect ?? true;
  }

  /** Rooms without code, namespace `/`. */
  get rooms(): RoomsClient<Data> {
    return (this.#rooms ??= this.#start(new RoomsClient<Data>(this.manager, this.#options)));
  }

  /** Chat, namespace `/chat`. */
  get chat(): ChatClient {
    return (this.#chat ??= this.#start(new ChatClient(this.manager, this.#options, this.#url)));
  }

  /** Worlds, namespace `/world`. */
  get world(): WorldClient {
    return (this.#world ??= this.#start(new WorldClient(this.manager, this.#options)));
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
    return [this.#rooms, this.#chat, this.#world].filter((one) => one !== undefined);
  }
}
