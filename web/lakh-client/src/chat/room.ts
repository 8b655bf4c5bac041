/**
 * A room as a client needs it: a window of messages kept whole and in order whatever the
 * connection does, threads, who is here, who types, who has read, and what is on its way.
 * Made by `ChatRooms.open`, which tells it what the server says.
 */
import { LakhError } from "../errors.js";
import type { User } from "../types.js";
import { MessageActions, type MessageRef } from "./actions.js";
import { replaceFields, Revisions } from "./changes.js";
import type { ChatClient } from "./client.js";
import type { MemberChanged, MessageChanged, ReceiptUpdate, RoomChanged } from "./events.js";
import { MessageLog, type LogOwner } from "./log.js";
import type { OutboxShelf, Outgoing } from "./outbox.js";
import { here, type ChatRoomState } from "./room-state.js";
import {
  roomName,
  type ChatMessage,
  type ChatRoomInfo,
  type ChatUser,
  type Crowd,
  type RoomMine,
} from "./shapes.js";
import { noTyping, RoomTyping } from "./typists.js";

/** What a room needs of `ChatRooms`. */
export interface RoomOwner {
  readonly chat: ChatClient;
  readonly me: User;
  readonly keep: number;
  readonly shelf: OutboxShelf | undefined;
  changed(room: ChatRoom): void;
  learn(me: User): void;
}

/** How one comes into a room: see `ChatRooms.open`. */
export type EnterBy = "join" | "look" | "watch";

/** Swapped changes of several nodes arrive within this; what is missing then was missed. */
const HOLE_MS = 300;
const SYNC_PAGES = 5;
const SYNC_LIMIT = 200;

export class ChatRoom implements LogOwner {
  readonly room: string;
  readonly log: MessageLog;
  readonly #owner: RoomOwner;
  readonly #threads = new Map<number, MessageLog>();
  readonly #watchers = new Set<() => void>();
  readonly #enter: EnterBy;
  /** Whether `join` was called, and the server has not answered yet. */
  #isJoining = false;
  #state: ChatRoomState;
  #entered = false;
  #entering = false;
  /** Who came and went while the answer to a join was on its way; it may be older. */
  readonly #meanwhile = new Map<string, ChatUser | null>();
  #revisions: Revisions | null = null;
  /** When the room was made that they are of: another may have its name by the time they are told. */
  #createdAt: number | undefined;
  #holeTimer: ReturnType<typeof setTimeout> | undefined;
  readonly #typing: RoomTyping;
  readonly #acts: MessageActions;

  constructor(owner: RoomOwner, room: string, { enter = "join" }: { enter?: EnterBy } = {}) {
    this.#owner = owner;
    this.room = room;
    this.#enter = enter;
    this.#acts = new MessageActions(this, (thread) => this.#logOf(thread));
    this.#typing = new RoomTyping((thread) => this.#showTyping(thread));
    const kept = owner.shelf?.outbox(room) ?? [];
    this.log = new MessageLog(
      this,
      undefined,
      kept.filter((one) => one.thread === undefined),
    );
    const roots = new Set(kept.flatMap((one) => one.thread ?? []));
    for (const root of roots) this.#makeThread(root, kept);
    this.#state = {
      ...this.log.state,
      id: room,
      info: null,
      phase: "joining",
      error: null,
      people: new Map(),
      count: 0,
      typing: noTyping,
      typists: 0,
      receipts: new Map(),
      threads: new Map(),
    };
  }

  get state(): ChatRoomState {
    return this.#state;
  }

  /** Hears each change of `state`. The returned function stops it. */
  onChange(watcher: () => void): () => void {
    this.#watchers.add(watcher);
    return () => {
      this.#watchers.delete(watcher);
    };
  }

  /** The thread under a message; its messages are loaded when it is asked for first. */
  thread(root: number): MessageLog {
    const known = this.#threads.get(root);
    const log = known ?? this.#makeThread(root, []);
    if (!log.state.loaded && this.#entered) void log.toNewest().catch(expected);
    return log;
  }

  #makeThread(root: number, kept: readonly Outgoing[]): MessageLog {
    const log = new MessageLog(
      this,
      root,
      kept.filter((one) => one.thread === root),
    );
    this.#threads.set(root, log);
    return log;
  }

  // What one does

  /** Gives a reaction, or takes it back. Shown at once, and as it was if the server refuses. */
  react(message: MessageRef, emoji: string): Promise<void> {
    return this.#acts.react(message, emoji, this.#state.info?.settings?.reactions);
  }

  /** Floats by for all who watch, and is not kept. */
  async reactLive(emoji: string): Promise<void> {
    await this.chat.live.react({ room: this.room, emoji });
  }

  edit(message: MessageRef, text: string, mentions: string[] = []): Promise<void> {
    return this.#acts.edit(message, text, mentions);
  }

  delete(message: MessageRef): Promise<void> {
    return this.#acts.delete(message);
  }

  pin(message: MessageRef, pinned: boolean): Promise<void> {
    return this.#acts.pin(message, pinned);
  }

  /** Call at each keystroke: the server hears of it now and then. */
  typing(typing: boolean, thread?: number): void {
    if (!this.#entered || !this.#typing.isDue(typing, thread)) return;
    this.chat.typing(this.room, typing, thread === undefined ? {} : { thread }).catch(expected);
  }

  /** Loads who has read how far. `receipt:update` keeps it fresh from then on. */
  async loadReceipts(): Promise<void> {
    if (!this.chat.knows("receipt:list")) return;
    try {
      const { people } = await this.chat.receipt.list({ room: this.room });
      const receipts = new Map(this.#state.receipts);
      for (const { read = 0, delivered: _delivered, ...user } of people) {
        receipts.set(user.id, { user, read });
      }
      this.#set({ receipts });
    } catch (error) {
      expected(error);
    }
  }

  /** What one is here has changed by one's own doing. */
  setMine(change: Partial<RoomMine>): void {
    const { info } = this.#state;
    if (info?.mine) this.#set({ info: { ...info, mine: { ...info.mine, ...change } } });
  }

  // What the connection does

  /** Has the server know us here, and loads what is missing. */
  async enter(): Promise<void> {
    if (this.chat.state.status !== "connected" || this.#entering) return;
    this.#entering = true;
    this.#meanwhile.clear();
    if (this.#state.phase !== "joined") this.#set({ phase: "joining", error: null });
    try {
      const { room, members, seq, rev, count } = await this.#comeIn();
      this.#entered = true;
      this.#isJoining = false;
      this.#set({ phase: "joined", error: null, info: this.#named(room), ...here(members, count) });
      for (const [id, user] of this.#meanwhile) this.#setPresence(id, user);
      this.#flush();
      await this.#load(seq, rev ?? room.rev ?? 0);
    } catch (error) {
      this.#refuse(error);
    } finally {
      this.#entering = false;
    }
  }

  /** Becomes a member of a room that one only looks at, or that isn't there yet. */
  async join(): Promise<void> {
    if (this.#state.phase !== "joined") {
      this.#isJoining = true;
      return this.enter();
    }
    const { room, members, count } = await this.chat.join(this.room);
    this.#set({ info: this.#named(room), ...here(members, count) });
  }

  /** The connection is lost; the server may keep what was there for `recover`. */
  lost(): void {
    this.#entered = false;
    this.#entering = false;
    this.#typing.forgetOwn();
  }

  /** The connection is back, and with it all that was missed. */
  recover(): void {
    if (this.#state.phase !== "joined" || !this.#state.loaded) {
      void this.enter();
      return;
    }
    this.#entered = true;
    this.#flush();
  }

  /** Asks for exactly what was missed: messages, edits, deletions, reactions. */
  async sync(seq = this.log.state.last): Promise<void> {
    const revisions = this.#revisions;
    if (revisions && this.chat.knows("message:sync")) await this.#sync(revisions);
    await this.log.catchUp(seq);
    for (const [root, log] of this.#threads) {
      if (!log.state.loaded) await log.toNewest();
      else await log.catchUp(this.log.find(root)?.replies?.count ?? 0);
    }
  }

  close(): void {
    clearTimeout(this.#holeTimer);
    this.#typing.close();
    this.#entered = false;
  }

  // What the server says

  hear(message: ChatMessage): void {
    const { thread, from } = message;
    // First: who has said it is never shown as still writing it.
    this.#typing.stopped(from.id, thread);
    this.#logOf(thread)?.hear(message);
  }

  hearChange({ rev, seq, thread, set }: MessageChanged): void {
    if (!this.#take(rev)) return;
    this.#logOf(thread)?.change(seq, set);
  }

  hearRoom({ rev, set }: RoomChanged): void {
    if (!this.#take(rev) || !this.#state.info) return;
    this.#set({ info: this.#named(replaceFields(this.#state.info, set)) });
  }

  hearMember({ rev, user, set }: MemberChanged): void {
    const { info } = this.#state;
    if (!this.#take(rev) || !info) return;
    const members = (info.members ?? 0) + (set.joined ? 1 : set.left ? -1 : 0);
    if (user.id === this.me.id && set.joined && !info.mine) void this.#askInfo();
    const { role, muted_until } = set;
    const mine =
      info.mine && user.id === this.me.id
        ? replaceFields(info.mine, {
            ...(role ? { role } : {}),
            ...(muted_until === undefined ? {} : { muted_until }),
          })
        : info.mine;
    this.#set({ info: { ...info, members: Math.max(0, members), ...(mine ? { mine } : {}) } });
  }

  hearPresence(user: ChatUser, online: boolean): void {
    if (this.#entering) this.#meanwhile.set(user.id, online ? user : null);
    this.#setPresence(user.id, online ? user : null);
  }

  hearCount(count: number, watching: number): void {
    const { info } = this.#state;
    this.#set({ count, ...(info ? { info: { ...info, watching } } : {}) });
  }

  /** Less is told of a crowd; when it is one no longer, who is here is asked for anew. */
  hearCrowd(crowd: Crowd): void {
    const { info } = this.#state;
    const people = crowd === "none" ? {} : { people: new Map<string, ChatUser>() };
    this.#typing.clear();
    this.#set({ ...(info ? { info: { ...info, crowd } } : {}), ...people });
    if (crowd === "none") void this.#askWhoIsHere();
  }

  hearPerson(person: ChatUser): void {
    if (!this.#state.people.has(person.id)) return;
    this.#set({ people: new Map(this.#state.people).set(person.id, person) });
  }

  hearReceipt({ user, read, unread, mentions }: ReceiptUpdate): void {
    if (read === undefined) return;
    const { info } = this.#state;
    if (user.id !== this.me.id) {
      this.#set({ receipts: new Map(this.#state.receipts).set(user.id, { user, read }) });
    } else if (info?.mine) {
      const mine = { ...info.mine, read, unread: unread ?? 0, mentions: mentions ?? 0 };
      this.#set({ info: { ...info, mine } });
    }
  }

  hearTyping(user: ChatUser, typing: boolean, thread?: number): void {
    if (user.id !== this.me.id) this.#typing.hear(user, typing, thread);
  }

  /** In a crowd: how many write, and some of them by name. */
  hearTypingCount(users: readonly ChatUser[], count: number, thread?: number): void {
    const others = users.filter(({ id }) => id !== this.me.id);
    this.#typing.hearCount(others, count - (users.length - others.length), thread);
  }

  // Of the logs

  get chat(): ChatClient {
    return this.#owner.chat;
  }

  get me(): User {
    return this.#owner.me;
  }

  get keep(): number {
    return this.#owner.keep;
  }

  get entered(): boolean {
    return this.#entered;
  }

  changed(log: MessageLog): void {
    if (log.thread === undefined) this.#set(log.state);
    else this.#showThread(log.thread);
  }

  outboxChanged(): void {
    const logs = [this.log, ...this.#threads.values()];
    this.#owner.shelf?.keepOutbox(
      this.room,
      logs.flatMap((log) => log.state.outbox),
    );
  }

  sent({ from }: ChatMessage): void {
    this.#typing.forgetOwn();
    this.#owner.learn(from);
  }

  #setPresence(id: string, user: ChatUser | null): void {
    const people = new Map(this.#state.people);
    if (user) people.set(id, user);
    else people.delete(id);
    if (!user) this.#typing.stopped(id);
    this.#set({ people, count: people.size });
  }

  /** One has joined on another device: what one is here now, the server knows. */
  async #askInfo(): Promise<void> {
    try {
      const { room } = await this.chat.room.get({ room: this.room });
      this.#set({ info: this.#named(room) });
    } catch (error) {
      expected(error);
    }
  }

  async #askWhoIsHere(): Promise<void> {
    try {
      this.#meanwhile.clear();
      const { members, count } = await this.chat.presence(this.room);
      this.#set(here(members, count));
    } catch (error) {
      expected(error);
    }
  }

  #showThread(root: number): void {
    const log = this.#threads.get(root);
    if (!log) return;
    const typing = this.#typing.of(root);
    this.#set({ threads: new Map(this.#state.threads).set(root, { ...log.state, typing }) });
  }

  #showTyping(thread: number | undefined): void {
    if (thread !== undefined) this.#showThread(thread);
    else this.#set({ typing: this.#typing.of(), typists: this.#typing.count });
  }

  #logOf(thread: number | undefined): MessageLog | undefined {
    return thread === undefined ? this.log : this.#threads.get(thread);
  }

  #flush(): void {
    this.log.flush();
    for (const log of this.#threads.values()) log.flush();
  }

  async #comeIn() {
    const { room } = this;
    if (this.#enter === "join" || this.#isJoining) return this.chat.join(room);
    // A room that was there, and is gone now, is not made anew.
    const mayMake = this.#enter === "look" && this.#state.phase !== "joined";
    try {
      return await this.chat.room.watch({ room });
    } catch (error) {
      if (!(error instanceof LakhError) || error.code !== "not_found" || !mayMake) throw error;
      return this.chat.join(room);
    }
  }

  #named(info: ChatRoomInfo): ChatRoomInfo {
    const name = roomName(info, this.me.id);
    return name === info.name ? info : { ...info, name };
  }

  async #load(seq: number, rev: number): Promise<void> {
    if (this.log.state.loaded) {
      await this.sync(seq);
      this.#revisions?.reach(rev);
      return;
    }
    this.#revisions = new Revisions(rev);
    this.#createdAt = this.#state.info?.created_at;
    await this.log.toNewest();
    for (const log of this.#threads.values()) if (!log.state.loaded) await log.toNewest();
  }

  async #sync(revisions: Revisions): Promise<void> {
    for (let pages = 0; pages < SYNC_PAGES; pages += 1) {
      const { atEnd, last } = this.log.state;
      const seq = atEnd ? (this.log.state.messages.at(-1)?.seq ?? 0) : last;
      const fields = {
        room: this.room,
        seq,
        rev: revisions.at,
        limit: SYNC_LIMIT,
        ...(this.#createdAt === undefined ? {} : { created_at: this.#createdAt }),
      };
      const answer = await this.chat.message.sync(fields);
      if (answer.reset) break;
      for (const message of answer.changed) this.#logOf(message.thread)?.replace(message);
      this.log.append(answer.messages, !answer.more);
      revisions.reach(answer.rev);
      if (!answer.more) return;
    }
    // Too much was missed to be told one by one.
    await this.log.toNewest();
    for (const log of this.#threads.values()) await log.toNewest();
    const { room } = await this.chat.room.get({ room: this.room });
    this.#revisions = new Revisions(room.rev ?? 0);
    this.#createdAt = room.created_at;
    this.#set({ info: this.#named(room) });
  }

  /** Whether a change is new. Where one before it is missing, it is asked for. */
  #take(rev: number | undefined): boolean {
    const revisions = this.#revisions;
    // Before the first page is here, that page will have it.
    if (!revisions || rev === undefined) return true;
    const isNew = revisions.take(rev);
    if (revisions.hasHole && this.#holeTimer === undefined) {
      this.#holeTimer = setTimeout(() => {
        this.#holeTimer = undefined;
        if (!revisions.hasHole || !this.#entered) return;
        void this.sync().catch(expected);
      }, HOLE_MS);
    }
    return isNew;
  }

  #refuse(error: unknown): void {
    if (!(error instanceof LakhError)) throw error;
    // A lost connection is told by the connection's own state, and comes back by itself.
    if (error.code === "disconnected") return;
    // What was refused is not asked for again by itself when the connection has been away.
    this.#isJoining = false;
    this.#set({ phase: "failed", error });
  }

  #set(change: Partial<ChatRoomState>): void {
    this.#state = { ...this.#state, ...change };
    this.#owner.changed(this);
    for (const watcher of [...this.#watchers]) watcher();
  }
}

/** A refusal or a lost connection shows elsewhere; anything else is a fault. */
function expected(error: unknown): void {
  if (!(error instanceof LakhError)) throw error;
}
