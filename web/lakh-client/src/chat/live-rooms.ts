/**
 * The rooms that a client has open, kept true over lost connections: what the server says goes to
 * the room it is about; after a connection that could not be recovered, one's rooms are listed
 * and watched again, open ones ask for what they missed, and what waited is sent with its key.
 */
import { LakhError } from "../errors.js";
import type { User } from "../types.js";
import type { ChatClient } from "./client.js";
import type { OutboxShelf } from "./outbox.js";
import { ChatRoom, type EnterBy, type RoomOwner } from "./room.js";
import type { ChatRoomSummary } from "./shapes.js";

export interface ChatRoomsOptions {
  /** Oneself, as far as it is known; what the server says counts. */
  me: User;
  /** Keeps messages that never left beyond the page. */
  shelf?: OutboxShelf;
  /** The most messages of a room's window. The default is 300. */
  keep?: number;
  onChange?: (room: ChatRoom) => void;
  /** Hears one's rooms at each arrival, a page at a time. */
  onListed?: (rooms: ChatRoomSummary[], isLast: boolean) => void;
  onListFailed?: (error: LakhError) => void;
  onMe?: (me: User) => void;
}

const DEFAULT_KEEP = 300;
const LIST_PAGE = 100;
const LIST_PAGES = 20;

export class ChatRooms implements RoomOwner {
  readonly chat: ChatClient;
  readonly keep: number;
  readonly shelf: OutboxShelf | undefined;
  readonly #options: ChatRoomsOptions;
  readonly #rooms = new Map<string, ChatRoom>();
  readonly #stops: (() => void)[] = [];
  #me: User;

  constructor(chat: ChatClient, options: ChatRoomsOptions) {
    this.chat = chat;
    this.#options = options;
    this.#me = options.me;
    this.keep = options.keep ?? DEFAULT_KEEP;
    this.shelf = options.shelf;
    this.#listen();
    if (chat.state.status === "connected") this.#arrive(false);
  }

  get me(): User {
    return this.#me;
  }

  get(id: string): ChatRoom | undefined {
    return this.#rooms.get(id);
  }

  /** In the order in which they were opened, the last one last. */
  get rooms(): readonly ChatRoom[] {
    return [...this.#rooms.values()];
  }

  /**
   * Opens a room and loads its newest messages. How one comes in: `join` makes one a member, and a
   * room that isn't there; `look` watches it only, and joins one that isn't there; `watch` only watches.
   */
  open(id: string, options: { enter?: EnterBy } = {}): ChatRoom {
    const known = this.#rooms.get(id);
    const room = known ?? new ChatRoom(this, id, options);
    this.#rooms.delete(id);
    this.#rooms.set(id, room);
    if (!room.entered) void room.enter();
    return room;
  }

  /** Forgets a room here; one stays its member. */
  close(id: string): void {
    this.#rooms.get(id)?.close();
    this.#rooms.delete(id);
  }

  async leave(id: string): Promise<void> {
    this.close(id);
    await this.chat.leave(id);
  }

  /** Hears nothing more. The connection stays as it is. */
  stop(): void {
    for (const stop of this.#stops) stop();
    for (const room of this.#rooms.values()) room.close();
    this.#rooms.clear();
  }

  /** Lists one's rooms and watches them. */
  async list(): Promise<void> {
    let cursor: string | null = null;
    try {
      for (let page = 1; page <= LIST_PAGES; page += 1) {
        const from: { cursor?: string } = cursor === null ? {} : { cursor };
        const fields = { mine: true, watch: true, limit: LIST_PAGE, ...from };
        const answer = await this.chat.rooms(fields);
        cursor = answer.cursor;
        this.#options.onListed?.(answer.rooms, cursor === null || page === LIST_PAGES);
        if (cursor === null) return;
      }
    } catch (error) {
      if (!(error instanceof LakhError)) throw error;
      this.#options.onListFailed?.(error);
    }
  }

  changed(room: ChatRoom): void {
    this.#options.onChange?.(room);
  }

  /** `whole`: it says all that is known of one, also that there is no picture. */
  learn(me: User, { whole = false } = {}): void {
    const { id, name, picture = whole ? undefined : this.#me.picture } = me;
    if (this.#me.id === id && this.#me.name === name && this.#me.picture === picture) return;
    this.#me = { id, name, ...(picture ? { picture } : {}) };
    this.#options.onMe?.(this.#me);
  }

  #listen(): void {
    const { chat } = this;
    const at = (id: string) => this.#rooms.get(id);
    this.#stops.push(
      chat.onState((state) => {
        if (state.status === "connected") this.#arrive(state.recovered);
        else for (const room of this.#rooms.values()) room.lost();
      }),
      chat.on("message:new", (message) => at(message.room)?.hear(message)),
      chat.on("message:changed", (change) => at(change.room)?.hearChange(change)),
      chat.on("room:changed", (change) => at(change.room)?.hearRoom(change)),
      chat.on("member:changed", (change) => at(change.room)?.hearMember(change)),
      chat.on("presence:update", ({ room, user, online }) => at(room)?.hearPresence(user, online)),
      chat.on("presence:count", ({ room, online, watching }) =>
        at(room)?.hearCount(online, watching),
      ),
      chat.on("crowd:changed", ({ room, crowd }) => at(room)?.hearCrowd(crowd)),
      chat.on("receipt:update", (update) => at(update.room)?.hearReceipt(update)),
      chat.on("typing:update", ({ room, user, typing, thread }) =>
        at(room)?.hearTyping(user, typing, thread),
      ),
      chat.on("typing:count", ({ room, users, count, thread }) =>
        at(room)?.hearTypingCount(users, count, thread),
      ),
      chat.on("person:changed", (person) => {
        if (person.id === this.#me.id) this.learn(person, { whole: true });
        for (const room of this.#rooms.values()) room.hearPerson(person);
      }),
    );
  }

  #arrive(recovered: boolean): void {
    // The room that is being looked at comes first.
    for (const room of [...this.#rooms.values()].reverse()) {
      if (recovered) room.recover();
      else void room.enter();
    }
    void this.list();
    if (!recovered) void this.#learnMe();
  }

  async #learnMe(): Promise<void> {
    try {
      const { person } = await this.chat.me.get({});
      this.learn(person, { whole: true });
    } catch (error) {
      // Without it the name of the sign-in stands.
      if (!(error instanceof LakhError)) throw error;
    }
  }
}
