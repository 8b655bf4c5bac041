/**
 * A person's chat: one connection, the rooms they have open, and the rules that keep both in
 * step. Coming back after a lost connection, each room is joined again, what was missed is asked
 * for by number, and what waited is sent with the key it had.
 */
import {
  Lakh,
  LakhError,
  messageKey,
  type ChatClient,
  type ChatMessage,
  type ConnectionState,
  type LakhOptions,
  type User,
} from "lakh-client";
import type { Shelf } from "../app/storage.ts";
import { Store } from "../app/store.ts";
import { authOf, personOf, type Identity } from "../signin/identity.ts";
import { Memory } from "./memory.ts";
import { addMessage, addPage, addRoom, emptyDirectory, type Directory } from "./model/directory.ts";
import { newRoom, reduceRoom, type RoomAction, type RoomState } from "./model/room.ts";
import { firstSeq, hasGap, lastSeq } from "./model/timeline.ts";
import { stillTyping } from "./model/typing.ts";

export interface ChatState {
  readonly connection: ConnectionState;
  readonly me: User;
  readonly directory: Directory;
  readonly rooms: ReadonlyMap<string, RoomState>;
  /** How far each room was read, by the number of a message. */
  readonly read: Readonly<Record<string, number>>;
}

export interface ChatSessionOptions {
  auth: Identity;
  shelf: Shelf;
  /** Absent: the page's own origin. */
  url?: string;
  manager?: LakhOptions["manager"];
}

const PAGE = 50;
const CATCH_UP_PAGE = 200;
/** Further behind than this many pages, the newest one is a better place to go on. */
const CATCH_UP_PAGES = 5;
/** Rooms stay joined after one looks elsewhere, so that their news arrive; but not for ever. */
const MAX_JOINED = 20;
const TYPING_EVERY_MS = 3000;

export class ChatSession {
  readonly state: Store<ChatState>;
  readonly memory: Memory;
  readonly #lakh: Lakh;
  readonly #chat: ChatClient;
  /** Rooms that the server knows us in, on this connection. */
  readonly #entered = new Set<string>();
  readonly #catchingUp = new Set<string>();
  readonly #typingSent = new Map<string, number>();
  #typingTimer: ReturnType<typeof setTimeout> | undefined;

  constructor({ auth, shelf, url, manager }: ChatSessionOptions) {
    const me = personOf(auth);
    this.memory = new Memory(shelf, me.id);
    this.#lakh = new Lakh(url, {
      auth: authOf(auth),
      autoConnect: false,
      ...(manager ? { manager } : {}),
    });
    this.#chat = this.#lakh.chat;
    this.state = new Store<ChatState>({
      connection: this.#chat.state,
      me,
      directory: emptyDirectory,
      rooms: new Map(),
      read: this.memory.readMarks(),
    });
    this.#listen();
    this.#chat.connect();
  }

  close(): void {
    clearTimeout(this.#typingTimer);
    this.#lakh.close();
  }

  /** Tries now, whatever kept the connection away. */
  reconnect(): void {
    this.#lakh.reconnectNow();
    this.#chat.connect();
  }

  // Rooms

  /** Joins a room, which makes it when there is none, and loads its newest messages. */
  open(id: string): void {
    const known = this.#room(id);
    this.#update((state) => {
      // Last in the map is the one opened last.
      const rooms = new Map(state.rooms);
      rooms.delete(id);
      rooms.set(id, known ?? newRoom(id, this.memory.outbox(id)));
      return { ...state, rooms };
    });
    if (!this.#entered.has(id) || known?.phase === "failed") void this.#enter(id);
    this.#leaveOldest();
  }

  async leave(id: string): Promise<void> {
    this.#forget(id);
    await this.#chat.leave(id).catch(ignore);
  }

  async loadOlder(id: string): Promise<void> {
    const room = this.#room(id);
    if (!room?.timeline.loaded || (room.older !== "more" && room.older !== "failed")) return;
    this.#dispatch(id, { type: "loading_older" });
    try {
      const before = firstSeq(room.timeline);
      const { messages, more } = await this.#chat.history(id, { before, limit: PAGE });
      this.#dispatch(id, { type: "older", page: messages, more });
    } catch {
      this.#dispatch(id, { type: "older_failed" });
    }
  }

  /** Forgets old messages of a room whose newest are being read; scrolling up loads them again. */
  trim(id: string, keep: number): void {
    this.#dispatch(id, { type: "trim", keep });
  }

  markRead(id: string): void {
    const room = this.#room(id);
    const seq = room ? lastSeq(room.timeline) : 0;
    if (!room?.timeline.loaded || (this.state.get().read[id] ?? -1) >= seq) return;
    this.#update((state) => ({ ...state, read: { ...state.read, [id]: seq } }));
    this.memory.keepReadMarks(this.state.get().read);
  }

  // Messages

  send(id: string, text: string): void {
    const message = { key: messageKey(), text, time: Date.now(), status: "waiting" } as const;
    this.#dispatch(id, { type: "send", message });
    this.#typingSent.delete(id);
    if (this.#entered.has(id)) void this.#transmit(id, message.key);
  }

  /** Sends a failed message again, with the key it had: it can't end up there twice. */
  retry(id: string, key: string): void {
    if (this.#entered.has(id)) void this.#transmit(id, key);
    else this.#dispatch(id, { type: "unsent", key, status: "waiting" });
  }

  discard(id: string, key: string): void {
    this.#dispatch(id, { type: "discard", key });
  }

  /** Call at each keystroke: the server hears of it now and then. */
  typing(id: string, typing: boolean): void {
    const now = Date.now();
    const last = this.#typingSent.get(id) ?? 0;
    if (!this.#entered.has(id) || (typing ? now - last < TYPING_EVERY_MS : last === 0)) return;
    if (typing) this.#typingSent.set(id, now);
    else this.#typingSent.delete(id);
    this.#chat.typing(id, typing).catch(ignore);
  }

  // The list of rooms

  async refreshDirectory(): Promise<void> {
    if (this.state.get().connection.status !== "connected") return;
    try {
      const { rooms, cursor } = await this.#chat.rooms({ limit: PAGE });
      this.#updateDirectory((old) => {
        // Pages further down were loaded before: their cursor stays.
        return addPage(old, rooms, old.status === "ready" ? old.cursor : cursor);
      });
    } catch (error) {
      this.#updateDirectory((old) =>
        old.status === "ready" ? old : { ...old, status: "failed", error: messageOf(error) },
      );
    }
  }

  async loadMoreRooms(): Promise<void> {
    const { cursor } = this.state.get().directory;
    if (cursor === null) return;
    const page = await this.#chat.rooms({ cursor, limit: PAGE }).catch(() => null);
    if (page) this.#updateDirectory((old) => addPage(old, page.rooms, page.cursor));
  }

  // What the server says

  #listen(): void {
    this.#chat.onState((connection) => {
      this.#update((state) => ({ ...state, connection }));
      this.#entered.clear();
      if (connection.status === "connected") this.#arrive();
    });
    this.#chat.on("message:new", (message) => this.#hear(message));
    this.#chat.on("room:new", (room) => this.#updateDirectory((old) => addRoom(old, room)));
    this.#chat.on("presence:update", ({ room, user, online }) => {
      this.#dispatch(room, { type: "presence", user, online });
    });
    this.#chat.on("typing:update", ({ room, user, typing }) => {
      if (user.id === this.state.get().me.id) return;
      this.#dispatch(room, { type: "typing", user, typing, now_ms: Date.now() });
      this.#scheduleTypingCheck();
    });
  }

  #arrive(): void {
    void this.refreshDirectory();
    // The room that is being looked at comes first.
    for (const id of [...this.state.get().rooms.keys()].reverse()) void this.#enter(id);
  }

  async #enter(id: string): Promise<void> {
    if (this.#chat.state.status !== "connected") return;
    if (this.#room(id)?.phase !== "joined") this.#dispatch(id, { type: "joining" });
    try {
      const { room, members, seq } = await this.#chat.join(id);
      this.#entered.add(id);
      this.#dispatch(id, { type: "joined", room, members });
      this.#updateDirectory((old) => addRoom(old, room));
      this.#flush(id);
      await this.#catchUp(id, seq);
    } catch (error) {
      this.#refuse(id, error);
    }
  }

  #hear(message: ChatMessage): void {
    const mine = message.from.id === this.state.get().me.id;
    this.#dispatch(message.room, { type: "message", message, mine });
    this.#updateDirectory((old) => addMessage(old, message));
    const room = this.#room(message.room);
    if (room && hasGap(room.timeline)) {
      this.#catchUp(message.room).catch((error: unknown) => this.#refuse(message.room, error));
    }
  }

  /** Asks for what is missing at the end of a room; `roomSeq` is its last number by the server. */
  async #catchUp(id: string, roomSeq = 0): Promise<void> {
    if (this.#catchingUp.has(id)) return;
    this.#catchingUp.add(id);
    try {
      await this.#fillGap(id, roomSeq);
    } finally {
      this.#catchingUp.delete(id);
    }
  }

  async #fillGap(id: string, roomSeq: number): Promise<void> {
    let target = roomSeq;
    for (let pages = 0; ; pages += 1) {
      const room = this.#room(id);
      if (!room || (room.timeline.loaded && !hasGap(room.timeline, target))) return;
      if (!room.timeline.loaded || pages >= CATCH_UP_PAGES) {
        const { messages, more } = await this.#chat.history(id, { limit: PAGE });
        this.#dispatch(id, { type: "newest", page: messages, more });
        if (pages >= CATCH_UP_PAGES) return;
      } else {
        const range = { after: lastSeq(room.timeline), limit: CATCH_UP_PAGE };
        const { messages, more } = await this.#chat.history(id, range);
        this.#dispatch(id, { type: "newer", page: messages, more });
        // The history is the authority: what it does not have is not awaited.
        if (!more) target = 0;
      }
    }
  }

  #flush(id: string): void {
    for (const { key, status } of this.#room(id)?.outbox ?? []) {
      if (status === "waiting") void this.#transmit(id, key);
    }
  }

  async #transmit(id: string, key: string): Promise<void> {
    const text = this.#room(id)?.outbox.find((one) => one.key === key)?.text;
    if (text === undefined) return;
    this.#dispatch(id, { type: "sending", key });
    try {
      const { message } = await this.#chat.send(id, text, { key });
      this.#learn(message.from);
      this.#dispatch(id, { type: "sent", message });
      this.#updateDirectory((old) => addMessage(old, message));
    } catch (error) {
      const lost = error instanceof LakhError && error.code === "disconnected";
      if (lost) this.#dispatch(id, { type: "unsent", key, status: "waiting" });
      else this.#dispatch(id, { type: "unsent", key, status: "failed", error: messageOf(error) });
    }
  }

  /** The server knows best who we are: a token's claims may call it otherwise. */
  #learn(me: User): void {
    const known = this.state.get().me;
    if (known.id !== me.id || known.name !== me.name) this.#update((state) => ({ ...state, me }));
  }

  #refuse(id: string, error: unknown): void {
    if (!(error instanceof LakhError)) throw error;
    // A lost connection is told by the connection's own state, and comes back by itself.
    if (error.code !== "disconnected") this.#dispatch(id, { type: "refused", error });
  }

  #leaveOldest(): void {
    const { rooms } = this.state.get();
    const quiet = [...rooms.values()].filter((room) => room.outbox.length === 0);
    if (rooms.size > MAX_JOINED && quiet[0]) void this.leave(quiet[0].id);
  }

  #forget(id: string): void {
    this.#entered.delete(id);
    this.#update((state) => {
      const rooms = new Map(state.rooms);
      rooms.delete(id);
      return { ...state, rooms };
    });
  }

  #scheduleTypingCheck(): void {
    clearTimeout(this.#typingTimer);
    const ends = [...this.state.get().rooms.values()].flatMap((room) =>
      room.typing.map((one) => one.until_ms),
    );
    if (ends.length === 0) return;
    this.#typingTimer = setTimeout(
      () => {
        for (const [id, room] of this.state.get().rooms) {
          const typing = stillTyping(room.typing, Date.now());
          if (typing !== room.typing) this.#dispatch(id, { type: "typing_checked", typing });
        }
        this.#scheduleTypingCheck();
      },
      Math.max(0, Math.min(...ends) - Date.now()),
    );
  }

  #room(id: string): RoomState | undefined {
    return this.state.get().rooms.get(id);
  }

  #dispatch(id: string, action: RoomAction): void {
    const room = this.#room(id);
    if (!room) return;
    const next = reduceRoom(room, action);
    if (next === room) return;
    this.#update((state) => ({ ...state, rooms: new Map(state.rooms).set(id, next) }));
    if (next.outbox !== room.outbox) this.memory.keepOutbox(id, next.outbox);
  }

  #updateDirectory(change: (directory: Directory) => Directory): void {
    this.#update((state) => ({ ...state, directory: change(state.directory) }));
  }

  #update(change: (state: ChatState) => ChatState): void {
    this.state.update(change);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : "Something went wrong.";
}

function ignore(): void {
  // Nobody waits for this answer.
}
