/**
 * A person's chat: one connection, their rooms, and the list of them. What keeps rooms true over
 * lost connections is lakh-client's; here is what the page adds: the list, read marks, drafts.
 */
import {
  ChatRooms,
  Lakh,
  LakhError,
  PeopleStatus,
  roomName,
  type Carried,
  type ChatClient,
  type ChatMessage,
  type ChatRequestName,
  type ChatRoom,
  type ChatRoomInfo,
  type ChatRoomState,
  type ConnectionState,
  type Draft,
  type LakhOptions,
  type NotifyLevel,
  type User,
} from "lakh-client";
import { Notices } from "../app/notices.ts";
import type { Shelf } from "../app/storage.ts";
import { Store } from "../app/store.ts";
import { authOf, personOf, type Identity } from "../signin/identity.ts";
import { Attaching } from "./attaching.ts";
import { Blocked } from "./blocked.ts";
import { Memory } from "./memory.ts";
import * as list from "./model/directory.ts";
import { emptyDirectory, type Directory } from "./model/directory.ts";
import { fileAccess } from "./model/files.ts";
import { Scheduled } from "./later/scheduled.ts";
import { Profiles } from "./profiles.ts";
import { ThreadMentions } from "./threadMentions.ts";
import { OwnStatus } from "./presence.ts";

export interface ChatState {
  readonly connection: ConnectionState;
  readonly me: User;
  readonly directory: Directory;
  readonly rooms: ReadonlyMap<string, ChatRoomState>;
  /** How far each room was read, by the number of a message: where the server keeps no count. */
  readonly read: Readonly<Record<string, number>>;
  /** What the server has said that it does not know is not shown. */
  readonly features: Features;
}

export interface Features {
  has(request: ChatRequestName): boolean;
}

export interface ChatSessionOptions {
  auth: Identity;
  shelf: Shelf;
  /** Absent: the page's own origin. */
  url?: string;
  manager?: LakhOptions["manager"];
}

const PAGE = 50;
/** Rooms stay open after one looks elsewhere, so that coming back costs nothing; but not for ever. */
const MAX_OPEN = 20;
const READ_EVERY_MS = 400;

export class ChatSession {
  readonly state: Store<ChatState>;
  readonly memory: Memory;
  readonly notices = new Notices();
  readonly chat: ChatClient;
  readonly #lakh: Lakh;
  readonly #live: ChatRooms;
  /** People by id, as they were seen last: for names in texts. */
  readonly people = new Map<string, User>();
  readonly statuses: PeopleStatus;
  readonly own: OwnStatus;
  readonly profiles: Profiles;
  readonly scheduled: Scheduled;
  readonly blocked: Blocked;
  /** What was marked last: the room may stand open. */
  readonly markedUnread = new Store<{ room: string; seq: number } | null>(null);
  readonly threadMentions = new ThreadMentions();
  readonly #attaching = new Map<string, Attaching>();
  readonly #readTimers = new Map<string, ReturnType<typeof setTimeout>>();

  constructor({ auth, shelf, url, manager }: ChatSessionOptions) {
    const me = personOf(auth);
    this.memory = new Memory(shelf, me.id);
    this.#lakh = new Lakh(url, {
      auth: authOf(auth),
      autoConnect: false,
      ...(manager ? { manager } : {}),
    });
    this.chat = this.#lakh.chat;
    this.state = new Store<ChatState>({
      connection: this.chat.state,
      me,
      directory: emptyDirectory,
      rooms: new Map(),
      read: this.memory.readMarks(),
      features: this.#features(),
    });
    this.statuses = new PeopleStatus(this.chat);
    this.own = new OwnStatus(this.chat, this.memory);
    this.profiles = new Profiles(this.chat);
    this.scheduled = new Scheduled(this.chat);
    this.blocked = new Blocked(this.chat);
    this.#live = this.#start(me);
    this.#listen();
    this.chat.connect();
  }

  close(): void {
    this.notices.quiet();
    for (const timer of this.#readTimers.values()) clearTimeout(timer);
    for (const one of this.#attaching.values()) one.stop();
    this.#live.stop();
    this.statuses.stop();
    this.own.stop();
    fileAccess.stop();
    this.#lakh.close();
  }

  /** Tries now, whatever kept the connection away. */
  reconnect(): void {
    this.#lakh.reconnectNow();
    this.chat.connect();
  }

  // Rooms

  /** Looks at a room, as a visitor if one isn't in it. One that isn't there isn't made: the address may be mistyped. */
  open(id: string): void {
    const room = this.#live.open(id, { enter: "watch" });
    this.#show(room);
    this.#closeOldest();
  }

  /** Becomes a member of a room, which makes it when there is none. */
  async join(id: string): Promise<void> {
    const room = this.#live.get(id);
    if (room) await room.join();
    else this.#show(this.#live.open(id, { enter: "join" }));
  }

  room(id: string): ChatRoom | undefined {
    return this.#live.get(id);
  }

  async leave(id: string): Promise<void> {
    this.threadMentions.forget(id);
    this.#forget(id);
    this.#updateDirectory((old) => list.leaveRoom(old, id));
    await this.#live.leave(id).catch(ignore);
  }

  setNotify(id: string, notify: NotifyLevel): void {
    this.room(id)?.setMine({ notify });
    this.#updateDirectory((old) => list.setMine(old, id, { notify }));
  }

  /** Takes a room off the list. */
  drop(id: string): void {
    this.#remove(id);
  }

  /** Shows a room that was just made. */
  add(info: ChatRoomInfo): void {
    this.#updateDirectory((old) => list.addRoom(old, this.#named(info)));
  }

  /** Sends a message at a time. False if the server has refused it, and said why. */
  sendLater(id: string, text: string, at: number, carried: Carried): Promise<boolean> {
    return this.attempt(async () => {
      this.scheduled.put(await this.chat.schedule(id, text, at, carried));
    });
  }

  /** The files of what is being written there. */
  attaching(id: string, thread?: number): Attaching {
    const key = JSON.stringify([id, thread ?? null]);
    const known = this.#attaching.get(key) ?? new Attaching(this.chat, this.notices, id);
    this.#attaching.set(key, known);
    return known;
  }

  send(id: string, draft: Draft, thread?: number): void {
    const room = this.room(id);
    const log = thread === undefined ? room?.log : room?.thread(thread);
    log?.send(draft);
  }

  markRead(id: string): void {
    const room = this.state.get().rooms.get(id);
    if (!room?.loaded || !room.atEnd) return;
    const seq = room.messages.at(-1)?.seq ?? 0;
    if ((this.state.get().read[id] ?? -1) < seq) {
      this.#update((state) => ({ ...state, read: { ...state.read, [id]: seq } }));
      this.memory.keepReadMarks(this.state.get().read);
    }
    const mine = this.state.get().directory.rooms.find((one) => one.id === id)?.mine;
    if (!mine || (mine.read >= seq && mine.unread === 0)) return;
    this.#updateDirectory((old) => list.setMine(old, id, { read: seq, unread: 0, mentions: 0 }));
    if (!this.knows("receipt:read") || this.#readTimers.has(id)) return;
    const timer = setTimeout(() => {
      this.#readTimers.delete(id);
      // What came since may have come to a reader who is further up.
      const read = this.state.get().directory.rooms.find((one) => one.id === id)?.mine?.read;
      this.chat.receipt.read({ room: id, seq: read ?? seq }).catch(ignore);
    }, READ_EVERY_MS);
    this.#readTimers.set(id, timer);
  }

  /** Unread from this message on. */
  async markUnread(id: string, seq: number): Promise<void> {
    const { unread, mentions } = await this.chat.receipt.unread({ room: id, seq });
    this.#updateDirectory((old) => list.setMine(old, id, { read: seq - 1, unread, mentions }));
    this.markedUnread.set({ room: id, seq });
  }

  knows(request: ChatRequestName): boolean {
    return this.state.get().features.has(request);
  }

  /** Does what may be refused, and says why in words if it is. */
  attempt(act: () => Promise<unknown>, done?: string): Promise<boolean> {
    return this.notices.attempt(act, done);
  }

  say(text: string, bad = false): void {
    this.notices.say(text, bad);
  }

  // The list of rooms

  /** Asks for public rooms; one's own tell by themselves what is new. */
  async refreshDirectory(): Promise<void> {
    if (this.state.get().connection.status !== "connected") return;
    try {
      const { rooms, cursor } = await this.chat.rooms({ limit: PAGE });
      this.#updateDirectory((old) => {
        // Pages further down were loaded before: their cursor stays.
        const isFirst = old.cursor === null && old.rooms.length <= PAGE;
        return {
          ...list.addPage(old, this.#allNamed(rooms)),
          cursor: isFirst ? cursor : old.cursor,
        };
      });
    } catch (error) {
      this.#failDirectory(error);
    }
  }

  async loadMoreRooms(): Promise<void> {
    const { cursor } = this.state.get().directory;
    if (cursor === null) return;
    const page = await this.chat.rooms({ cursor, limit: PAGE }).catch(() => null);
    if (!page) return;
    this.#updateDirectory((old) => ({
      ...list.addPage(old, this.#allNamed(page.rooms)),
      cursor: page.cursor,
    }));
  }

  #start(me: User): ChatRooms {
    return new ChatRooms(this.chat, {
      me,
      shelf: this.memory,
      onChange: (room) => this.#show(room),
      onListed: (rooms) => this.#updateDirectory((old) => list.addPage(old, this.#allNamed(rooms))),
      onListFailed: (error) => this.#failDirectory(error),
      onMe: (known) => {
        this.profiles.learn(known);
        this.#update((state) => ({ ...state, me: known }));
      },
    });
  }

  #listen(): void {
    const { chat } = this;
    chat.onState((connection) => {
      this.#update((state) => ({ ...state, connection }));
      if (connection.status !== "connected") return;
      void this.refreshDirectory();
      void fileAccess.start(this.chat);
      void this.scheduled.load();
    });
    chat.onLacking(() => this.#update((state) => ({ ...state, features: this.#features() })));
    chat.on("message:new", (message) => this.#hear(message));
    chat.on("message:changed", (change) => {
      if (change.thread !== undefined) return;
      this.#updateDirectory((old) => list.changeLast(old, change));
    });
    chat.on("room:new", (room) => this.#updateDirectory((old) => list.addRoom(old, room)));
    chat.on("room:changed", ({ room, set }) => {
      this.#updateDirectory((old) => list.changeRoom(old, room, set));
    });
    chat.on("room:deleted", ({ room }) => this.#remove(room));
    chat.on("room:invited", ({ room }) => {
      // An invitation may not say whose direct room it is, and so not what it is called.
      if (room.kind === "direct" && !room.people) void this.#fetch(room.id);
      else this.add({ seq: 0, ...room });
    });
    chat.on("scheduled:failed", ({ id, scheduled, error }) => {
      this.scheduled.drop(id);
      // What was written is not lost: it waits where it would be written again.
      if (this.memory.draft(scheduled.room, scheduled.thread) === "") {
        this.memory.keepDraft(scheduled.room, scheduled.text, scheduled.thread);
      }
      this.say(`A scheduled message was not sent: ${error.message}`, true);
    });
    chat.on("report:new", ({ room, by, author }) => {
      const name = this.state.get().directory.rooms.find((one) => one.id === room)?.name ?? room;
      this.say(`${by.name} has reported a message of ${author.name} in ${name}`);
    });
    chat.on("room:removed", ({ room, why, reason }) => {
      const name = this.state.get().directory.rooms.find((one) => one.id === room)?.name ?? room;
      const what = why === "kicked" ? "taken out of" : why === "banned" ? "banned from" : null;
      if (what) this.say(`You were ${what} ${name}${reason ? `: ${reason}` : "."}`, true);
      this.#remove(room);
    });
    chat.on("unread:changed", ({ room, unread, mentions, last }) => {
      this.#updateDirectory((old) => {
        const counted = list.setMine(old, room, { unread, mentions });
        return list.changeRoom(counted, room, { last, seq: last.seq });
      });
    });
    chat.on("receipt:update", ({ room, user, read, unread = 0, mentions = 0 }) => {
      if (read === undefined || user.id !== this.state.get().me.id) return;
      this.#updateDirectory((old) => list.setMine(old, room, { read, unread, mentions }));
    });
    chat.on("mention:new", (mention) => this.threadMentions.hear(mention));
    chat.on("person:changed", (person) => {
      this.people.set(person.id, person);
      this.profiles.learn(person);
      this.#updateDirectory((old) => list.renamePerson(old, person, this.state.get().me.id));
    });
  }

  #hear(message: ChatMessage): void {
    const { me } = this.state.get();
    this.people.set(message.from.id, message.from);
    this.profiles.want([message.from.id]);
    if (message.from.id === me.id) this.scheduled.sent(message);
    this.#updateDirectory((old) => list.addMessage(old, message, me.id));
  }

  #show(room: ChatRoom): void {
    const { id, info, messages } = room.state;
    const before = this.state.get().rooms.get(id);
    if (before === room.state) return;
    this.#update((state) => ({ ...state, rooms: new Map(state.rooms).set(id, room.state) }));
    if (info && info !== before?.info) {
      this.#updateDirectory((old) => list.addRoom(old, info));
    }
    if (messages !== before?.messages) {
      for (const { from } of messages) this.people.set(from.id, from);
      this.profiles.want(messages.map(({ from }) => from.id));
      const last = messages.at(-1);
      const { me } = this.state.get();
      if (last && room.state.atEnd) {
        this.#updateDirectory((old) => list.addMessage(old, last, me.id));
      }
    }
  }

  async #fetch(id: string): Promise<void> {
    try {
      this.add((await this.chat.room.get({ room: id })).room);
    } catch (error) {
      if (!(error instanceof LakhError)) throw error;
    }
  }

  #features(): Features {
    return { has: (request) => this.chat.knows(request) };
  }

  /** Direct rooms have no name of their own. */
  #named<T extends ChatRoomInfo>(room: T): T {
    const { me } = this.state.get();
    const other = list.directPartner(room, me.id);
    if (other) this.profiles.want([other]);
    return { ...room, name: roomName(room, me.id) };
  }

  #allNamed<T extends ChatRoomInfo>(rooms: readonly T[]): T[] {
    return rooms.map((room) => this.#named(room));
  }

  #closeOldest(): void {
    const quiet = this.#live.rooms.filter((room) => room.state.outbox.length === 0);
    if (this.#live.rooms.length <= MAX_OPEN || !quiet[0]) return;
    this.#live.close(quiet[0].room);
    this.#forget(quiet[0].room);
  }

  #remove(id: string): void {
    this.threadMentions.forget(id);
    this.#live.close(id);
    this.#forget(id);
    this.#updateDirectory((old) => list.removeRoom(old, id));
  }

  #forget(id: string): void {
    this.#update((state) => {
      const rooms = new Map(state.rooms);
      rooms.delete(id);
      return { ...state, rooms };
    });
  }

  #failDirectory(error: unknown): void {
    this.#updateDirectory((old) =>
      old.status === "ready" ? old : { ...old, status: "failed", error: messageOf(error) },
    );
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
