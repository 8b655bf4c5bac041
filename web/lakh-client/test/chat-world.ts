/**
 * The chat of the test server: rooms, messages and what comes to them, in memory and without
 * rights. It speaks the protocol of docs/chat.md, so that clients can be driven through it.
 */
import type { Namespace, Socket } from "socket.io";
import { toggleReaction } from "../src/chat/changes.js";
import type {
  ChatAttachment,
  ChatMessage,
  ChatRoomInfo,
  MessageChanged,
  User,
} from "../src/index.js";

export interface StoredRoom extends Omit<ChatRoomInfo, "people"> {
  rev: number;
  messages: ChatMessage[];
  threads: Map<number, ChatMessage[]>;
  changes: MessageChanged[];
  people: Map<string, User>;
  read: Map<string, number>;
}

type Ack = (answer: object) => void;
interface Ref {
  room: string;
  seq: number;
  thread?: number;
}

export class ChatWorld {
  readonly rooms = new Map<string, StoredRoom>();
  readonly people = new Map<string, User>();
  readonly files = new Map<string, ChatAttachment & { bytes: Uint8Array }>();
  /** Requests that this server does not know. */
  readonly unknown = new Set<string>();
  /** Changes that are made but told to nobody. */
  mute = false;
  readonly #chat: Namespace;
  #fileId = 0;

  constructor(chat: Namespace) {
    this.#chat = chat;
  }

  room(id: string, made: Partial<Omit<ChatRoomInfo, "people">> = {}): StoredRoom {
    const known = this.rooms.get(id);
    if (known) return known;
    const room: StoredRoom = {
      id,
      name: id,
      kind: "public",
      created_at: 1_700_000_000_000,
      seq: 0,
      rev: 0,
      archived: false,
      settings: {},
      ...made,
      messages: [],
      threads: new Map(),
      changes: [],
      people: new Map(),
      read: new Map(),
    };
    this.rooms.set(id, room);
    if (room.kind === "public") this.#chat.emit("room:new", this.info(room));
    return room;
  }

  info(room: StoredRoom, me?: User): ChatRoomInfo {
    const { messages, threads: _t, changes: _c, people, read: reads, ...info } = room;
    if (!me || !people.has(me.id)) return { ...info, members: people.size };
    const read = reads.get(me.id) ?? 0;
    const fresh = messages.filter((one) => one.seq > read && one.from.id !== me.id);
    const named = fresh.filter((one) => one.mentions?.includes(me.id));
    return {
      ...info,
      members: people.size,
      mine: {
        role: info.created_by === me.id ? "owner" : "member",
        notify: "all",
        read,
        delivered: read,
        unread: fresh.length,
        mentions: named.length,
      },
    };
  }

  /** Numbers, keeps and tells a message. */
  add(
    room: StoredRoom,
    said: Omit<ChatMessage, "seq" | "room" | "time"> & { time?: number },
    silent = false,
  ): ChatMessage {
    const { thread } = said;
    const log = thread === undefined ? room.messages : this.thread(room, thread);
    const seq = (log.at(-1)?.seq ?? 0) + 1;
    const time = said.time ?? room.created_at + (room.seq + 1) * 1000;
    const message: ChatMessage = { ...said, room: room.id, seq, time };
    log.push(message);
    if (thread === undefined) room.seq = seq;
    if (!silent) this.#chat.to(room.id).emit("message:new", message);
    if (thread !== undefined) {
      const root = this.find({ room: room.id, seq: thread });
      const before = root.replies?.people ?? [];
      const others = before.filter((one) => one.id !== said.from.id);
      const replies = {
        count: log.length,
        last_at: time,
        people: [...others, said.from].slice(-5),
      };
      this.change({ room: room.id, seq: thread }, { replies }, "replies", said.from);
    }
    return message;
  }

  thread(room: StoredRoom, root: number): ChatMessage[] {
    const known = room.threads.get(root) ?? [];
    room.threads.set(root, known);
    return known;
  }

  find({ room, seq, thread }: Ref): ChatMessage {
    const stored = this.known(room);
    const log = thread === undefined ? stored.messages : this.thread(stored, thread);
    const message = log.find((one) => one.seq === seq);
    if (!message)
      throw Object.assign(new Error("There is no such message."), { code: "not_found" });
    return message;
  }

  /** Changes a message, numbers the change and tells it. */
  change(ref: Ref, set: MessageChanged["set"], what: string, by: User): ChatMessage {
    const room = this.known(ref.room);
    const message = this.find(ref);
    for (const [field, value] of Object.entries(set)) {
      if (value === null) Reflect.deleteProperty(message, field);
      else Reflect.set(message, field, value);
    }
    room.rev += 1;
    const { seq, thread } = ref;
    const place = thread === undefined ? { seq } : { seq, thread };
    const change = { room: room.id, rev: room.rev, ...place, set, by, what };
    room.changes.push(change);
    if (!this.mute) this.#chat.to(room.id).emit("message:changed", change);
    return message;
  }

  /** Answers what the older part of the protocol leaves out. */
  serve(socket: Socket, user: User): void {
    this.people.set(user.id, user);
    void socket.join(`person:${user.id}`);
    // What a request takes is said where it is handled.
    // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters
    const on = <F>(name: string, handle: (fields: F) => object): void => {
      socket.on(name, (fields: F, ack: Ack) => {
        if (this.unknown.has(name)) {
          ack({ ok: false, error: { code: "unknown_request", message: `There is no ${name}.` } });
          return;
        }
        try {
          ack({ ok: true, ...handle(fields) });
        } catch (error) {
          const { code = "bad_request", message } = error as Error & { code?: string };
          ack({ ok: false, error: { code, message } });
        }
      });
    };
    this.#serveRooms(on, user);
    this.#serveMessages(on, user);
    this.#servePeople(on, user);
    this.#serveReceipts(on, socket, user);
    this.#serveFiles(on);
  }

  #serveRooms(on: On, user: User): void {
    on<Partial<ChatRoomInfo> & { members?: string[] }>("room:create", ({ members, ...made }) => {
      const id = made.id ?? made.name ?? need<string>(made.name);
      const room = this.room(id, { ...made, created_by: user.id });
      for (const one of [user.id, ...(members ?? [])]) {
        room.people.set(one, this.people.get(one) ?? { id: one, name: one });
      }
      for (const one of members ?? []) {
        const invited = { room: this.info(room), by: user };
        this.#chat.to(`person:${one}`).emit("room:invited", invited);
      }
      return { room: this.info(room, user) };
    });
    on<{ people: string[] }>("room:direct", ({ people }) => {
      const ids = [...new Set([user.id, ...need(people)])].sort();
      const room = this.room(`direct:${ids.join("+")}`, { kind: "direct", name: ids.join(", ") });
      for (const id of ids) room.people.set(id, this.people.get(id) ?? { id, name: id });
      room.name = [...room.people.values()].map((one) => one.name).join(", ");
      return { room: this.info(room, user) };
    });
    on<{ room: string }>("room:get", ({ room }) => ({ room: this.info(this.known(room), user) }));
    on<{ room: string } & Partial<ChatRoomInfo>>("room:set", ({ room, ...set }) => {
      const stored = this.known(room);
      Object.assign(stored, set);
      stored.rev += 1;
      this.#chat.to(room).emit("room:changed", { room, rev: stored.rev, set });
      return { room: this.info(stored, user) };
    });
    on<{ room: string; archived: boolean }>("room:archive", ({ room, archived }) => {
      const stored = this.known(room);
      stored.archived = archived;
      stored.rev += 1;
      this.#chat.to(room).emit("room:changed", { room, rev: stored.rev, set: { archived } });
      return { room: this.info(stored, user) };
    });
    on<{ room: string }>("room:notify", ({ room }) => ({
      room: this.info(this.known(room), user),
    }));
    on<{ room: string }>("member:list", ({ room }) => {
      const { people, created_by } = this.known(room);
      const members = [...people.values()].map((one) => ({
        ...one,
        role: one.id === created_by ? "owner" : "member",
        online: this.#chat.adapter.rooms.has(`person:${one.id}`),
      }));
      return { members, cursor: null };
    });
    on<{ room: string; people: string[] }>("member:invite", ({ room, people }) => {
      const stored = this.known(room);
      for (const id of people) {
        stored.people.set(id, this.people.get(id) ?? { id, name: id });
        this.#chat.to(`person:${id}`).emit("room:invited", { room: this.info(stored), by: user });
      }
      return {};
    });
    for (const name of ["member:role", "member:ban", "member:mute"]) {
      on<{ room: string }>(name, ({ room }) => ({ room: this.known(room).id }));
    }
    on<{ room: string; person: string }>("member:kick", ({ room, person }) => {
      this.known(room).people.delete(person);
      this.#chat.to(`person:${person}`).emit("room:removed", { room, why: "kicked" });
      return {};
    });
  }

  #serveMessages(on: On, user: User): void {
    on<{ room: string; seq: number; rev: number; limit?: number }>(
      "message:sync",
      ({ room, seq, rev, limit = 200 }) => {
        const stored = this.known(room);
        const after = stored.messages.filter((one) => one.seq > seq);
        const changed = stored.changes.filter((one) => one.rev > rev);
        const seqs = new Set(changed.filter((one) => !one.thread).map((one) => one.seq));
        return {
          messages: after.slice(0, limit),
          changed: stored.messages.filter((one) => one.seq <= seq && seqs.has(one.seq)),
          seq: stored.seq,
          rev: stored.rev,
          more: after.length > limit,
          reset: changed.length > 500,
        };
      },
    );
    on<Ref & { text: string; mentions?: string[] }>("message:edit", ({ text, ...ref }) => {
      const { edits = 0 } = this.find(ref);
      const set = { text: need(text), edited_at: Date.now(), edits: edits + 1 };
      return { message: this.change(ref, set, "edit", user) };
    });
    on<Ref>("message:edits", (ref) => ({ edits: [{ text: "before", time: this.find(ref).time }] }));
    on<Ref>("message:delete", (ref) => {
      const deleted = { by: user, at: Date.now() };
      const set = { text: "", deleted, reactions: null, attachments: null, pinned: null };
      return { message: this.change(ref, set, "delete", user) };
    });
    on<Ref & { pinned: boolean }>("message:pin", ({ pinned, ...ref }) => {
      const set = { pinned: pinned ? { by: user, at: Date.now() } : null };
      return { message: this.change(ref, set, "pin", user) };
    });
    on<{ room: string }>("pin:list", ({ room }) => ({
      pins: this.known(room).messages.filter((one) => one.pinned),
    }));
    on<Ref & { to: string[]; key: string }>("message:forward", ({ to, key, ...ref }) => {
      const { from, text, time, attachments } = this.find(ref);
      const forwarded = { room: ref.room, seq: ref.seq, from, time };
      const said = { key, from: user, text, forwarded, ...(attachments ? { attachments } : {}) };
      return {
        messages: need(to).map((room) => this.add(this.known(room), { ...said, time: Date.now() })),
      };
    });
    const react = (wanted: boolean) => (fields: Ref & { emoji: string }) => {
      const { emoji, ...ref } = fields;
      const before = (this.find(ref).reactions ?? []).map((one) => ({
        ...one,
        mine: one.people?.some((person) => person.id === user.id) ? 1 : 0,
      }));
      const { reactions, added } = toggleReaction(before, need(emoji), user);
      if (added !== wanted) return { reactions: before };
      const told = reactions.map(({ mine: _mine, ...rest }) => rest);
      this.change(ref, { reactions: told }, "reaction", user);
      return { reactions };
    };
    on("reaction:add", react(true));
    on("reaction:remove", react(false));
    on<Ref>("reaction:list", (ref) => ({
      reactions: (this.find(ref).reactions ?? []).flatMap(({ emoji, people = [] }) =>
        people.map((one) => ({ user: one, emoji, count: 1 })),
      ),
      cursor: null,
    }));
    on<{ words: string; room?: string }>("message:search", ({ words, room }) => {
      const wanted = need(words).toLowerCase();
      const where = room ? [this.known(room)] : [...this.rooms.values()];
      const hits = where
        .flatMap((one) => [...one.messages, ...[...one.threads.values()].flat()])
        .filter((one) => one.text.toLowerCase().includes(wanted))
        .map((message) => {
          const at = message.text.toLowerCase().indexOf(wanted);
          return { message, marks: [[at, at + wanted.length]] };
        });
      return { hits: hits.reverse().slice(0, 50), cursor: null, complete: true };
    });
    on<Ref & { reason: string }>("report:send", (ref) => ({ reported: this.find(ref).seq }));
  }

  #servePeople(on: On, user: User): void {
    on("me:get", () => ({ person: this.people.get(user.id) }));
    on<Partial<User>>("me:set", (set) => {
      Object.assign(user, set);
      this.#chat.emit("person:changed", user);
      return { person: user };
    });
    on<{ status: string }>("me:status", ({ status }) => ({ status: need(status) }));
    on<{ search: string }>("person:find", ({ search }) => {
      const wanted = need(search).toLowerCase();
      const all = [...this.people.values()];
      const people = all.filter((one) => one.name.toLowerCase().startsWith(wanted));
      return { people, cursor: null };
    });
  }

  #serveReceipts(on: On, socket: Socket, user: User): void {
    on<{ room: string; seq: number }>("receipt:read", ({ room, seq }) => {
      this.known(room).read.set(user.id, Math.max(seq, this.room(room).read.get(user.id) ?? 0));
      socket.to(room).emit("receipt:update", { room, user, read: seq });
      return { unread: 0, mentions: 0 };
    });
    on<{ room: string; seq: number }>("receipt:unread", ({ room, seq }) => {
      this.known(room).read.set(user.id, seq - 1);
      return { unread: this.room(room).seq - seq + 1, mentions: 0 };
    });
    on<{ room: string }>("receipt:list", ({ room }) => ({
      people: [...this.known(room).read].map(([id, read]) => ({
        ...(this.people.get(id) ?? { id, name: id }),
        read,
      })),
      cursor: null,
    }));
  }

  #serveFiles(on: On): void {
    on<{ room: string; name: string; size: number; type: string }>(
      "attachment:upload",
      ({ room, name, size, type }) => {
        this.known(room);
        const id = `file-${++this.#fileId}`;
        const url = `/files/${id}`;
        this.files.set(id, { id, name, size, type, url, bytes: new Uint8Array() });
        return { id, url, expires_at: Date.now() + 60_000 };
      },
    );
    on("attachment:access", () => ({ access: "yes", expires_at: Date.now() + 3_600_000 }));
  }

  known(id: string | undefined): StoredRoom {
    const room = this.rooms.get(need(id));
    if (!room) throw Object.assign(new Error("There is no such room."), { code: "not_found" });
    return room;
  }
}

// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters
type On = <F>(name: string, handle: (fields: F) => object) => void;

function need<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("A field is missing.");
  return value;
}
