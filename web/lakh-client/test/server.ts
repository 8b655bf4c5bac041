/**
 * A real Socket.IO server that keeps rooms and chat in memory: enough of both protocols for
 * the tests of the client and of the page, with faults on demand.
 */
import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Server, type Socket } from "socket.io";
import type { Carried, ChatMessage, User } from "../src/index.js";
import { ChatWorld, type StoredRoom } from "./chat-world.js";

type Ack = (answer: object) => void;

/** What sign-in leaves at each socket. */
interface Person {
  user: User;
}

/** Each counts down as it is used. */
export interface Faults {
  /** Messages that are stored, but whose answer never leaves. */
  lostAnswers: number;
  /** Messages that are refused with this code. */
  refusals: { code: string; times: number };
}

export class TestServer {
  readonly faults: Faults = { lostAnswers: 0, refusals: { code: "rate_limited", times: 0 } };
  /** Tokens that came with CONNECT, and those that came with `auth:refresh`. */
  readonly tokens: string[] = [];
  readonly refreshed: string[] = [];
  /** How long refreshed tokens live. */
  lifetimeMs = 3_600_000;
  readonly io: Server;
  readonly world: ChatWorld;
  readonly #http: HttpServer;
  #roomSeq = 0;

  private constructor(http: HttpServer) {
    this.#http = http;
    this.io = new Server(this.#http);
    this.world = new ChatWorld(this.io.of("/chat"));
    this.#serveChat();
    this.#serveRooms();
  }

  static async start(http: HttpServer = createServer(), port = 0): Promise<TestServer> {
    const server = new TestServer(http);
    await new Promise<void>((done) => server.#http.listen(port, "127.0.0.1", done));
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  /** Cuts every connection as a lost network would; clients may come back at once. */
  cut(): void {
    for (const [, namespace] of this.io._nsps) {
      for (const [, socket] of namespace.sockets) socket.conn.close();
    }
  }

  async stop(): Promise<void> {
    await this.io.close();
  }

  /** Stores a message as if somebody had sent it. `silent`: nobody is told. */
  post(room: string, text: string, from: User = ADA, { silent = false } = {}): ChatMessage {
    const stored = this.room(room);
    return this.world.add(stored, { key: `post-${stored.seq + 1}`, text, from }, silent);
  }

  room(id: string): StoredRoom {
    return this.world.room(id);
  }

  #serveChat(): void {
    const chat = this.io.of("/chat");
    chat.use((socket, next) => {
      const { token, name = token } = socket.handshake.auth as { name?: string; token?: string };
      if (token) this.tokens.push(token);
      if (name) {
        (socket.data as Person).user = { id: `dev:${name.toLowerCase()}`, name };
        next();
        return;
      }
      next(Object.assign(new Error("Sign-in needed"), { data: { code: "unauthorized" } }));
    });
    chat.on("connection", (socket) => {
      const { user } = socket.data as Person;
      socket.on("auth:refresh", ({ token }: { token: string }, ack: Ack) => {
        if (token === "bad") {
          ack(bad("unauthorized", "No."));
          return;
        }
        this.refreshed.push(token);
        ack({ ok: true, expires_at: Date.now() + this.lifetimeMs });
      });
      this.world.serve(socket, user);
      const enter = ({ room }: { room: string }, ack: Ack) => {
        const stored = this.room(room);
        stored.people.set(user.id, user);
        const info = this.world.info(stored, user);
        void socket.join(room);
        socket.to(room).emit("presence:update", { room, user, online: true });
        const { seq, rev } = stored;
        ack({ ok: true, room: info, members: this.#members(room), seq, rev });
      };
      socket.on("room:join", enter);
      socket.on("room:watch", enter);
      socket.on("room:leave", ({ room }: { room: string }, ack: Ack) => {
        this.room(room).people.delete(user.id);
        void socket.leave(room);
        socket.to(room).emit("presence:update", { room, user, online: false });
        ack({ ok: true });
      });
      interface List {
        mine?: boolean;
        watch?: boolean;
      }
      socket.on("room:list", ({ mine = false, watch = false }: List, ack: Ack) => {
        const shown = [...this.world.rooms.values()].filter((room) =>
          mine ? room.people.has(user.id) : room.kind === "public",
        );
        const rooms = shown.map((room) => ({
          ...this.world.info(room, user),
          online: this.#members(room.id).length,
          last: room.messages.at(-1) ?? null,
        }));
        if (mine && watch) for (const { id } of rooms) void socket.join(id);
        ack({ ok: true, rooms, cursor: null });
      });
      socket.on("presence:list", ({ room }: { room: string }, ack: Ack) => {
        ack({ ok: true, members: this.#members(room) });
      });
      interface Typing {
        room: string;
        thread?: number;
        typing: boolean;
      }
      socket.on("typing:set", ({ room, ...what }: Typing, ack: Ack) => {
        socket.to(room).volatile.emit("typing:update", { room, user, ...what });
        ack({ ok: true });
      });
      this.#serveMessages(socket, user);
    });
  }

  #serveMessages(socket: Socket, user: User): void {
    interface Send extends Carried {
      room: string;
      key: string;
      text?: string;
    }
    socket.on("message:send", ({ room, key, text = "", ...carried }: Send, ack: Ack) => {
      if (this.faults.refusals.times > 0) {
        this.faults.refusals.times -= 1;
        ack(bad(this.faults.refusals.code, "Not now."));
        return;
      }
      if (!socket.rooms.has(room)) {
        ack(bad("not_member", "Join the room first."));
        return;
      }
      const stored = this.room(room);
      const { thread, mentions, reply_to, attachments = [] } = carried;
      const log = thread === undefined ? stored.messages : this.world.thread(stored, thread);
      const known = log.find((m) => m.key === key && m.from.id === user.id);
      const quoted = reply_to === undefined ? undefined : log.find((m) => m.seq === reply_to);
      const files = attachments.flatMap((id) => {
        const { bytes: _bytes, ...file } = this.world.files.get(id) ?? { id: "", bytes: null };
        return file.id === "" ? [] : [file as NonNullable<ChatMessage["attachments"]>[number]];
      });
      const message =
        known ??
        this.world.add(stored, {
          key,
          text,
          from: user,
          ...(thread === undefined ? {} : { thread }),
          ...(mentions ? { mentions } : {}),
          ...(files.length > 0 ? { attachments: files } : {}),
          ...(quoted
            ? { reply_to: { seq: quoted.seq, from: quoted.from, text: quoted.text } }
            : {}),
        });
      if (this.faults.lostAnswers > 0) {
        this.faults.lostAnswers -= 1;
        return;
      }
      ack({ ok: true, message, duplicate: known !== undefined });
    });
    interface Range {
      room: string;
      thread?: number;
      before?: number;
      after?: number;
      around?: number;
      limit?: number;
    }
    socket.on("message:history", (range: Range, ack: Ack) => {
      const { room, thread, before = Infinity, around, limit = 50 } = range;
      const stored = this.room(room);
      const log = thread === undefined ? stored.messages : this.world.thread(stored, thread);
      const after = around === undefined ? (range.after ?? 0) : Math.max(0, around - limit / 2);
      const fromStart = around !== undefined || range.after !== undefined;
      const all = log.filter((m) => m.seq < before && m.seq > after);
      const messages = fromStart ? all.slice(0, limit) : all.slice(-limit);
      const more_before = log.some((m) => m.seq < (messages[0]?.seq ?? 0));
      const more_after = log.some((m) => m.seq > (messages.at(-1)?.seq ?? Infinity));
      const more = all.length > messages.length;
      const { seq, rev } = stored;
      ack({ ok: true, messages, more, more_before, more_after, seq, rev });
    });
  }

  #members(room: string): (User & { online: boolean })[] {
    const chat = this.io.of("/chat");
    const people = new Map<string, User>();
    for (const id of chat.adapter.rooms.get(room) ?? []) {
      const socket = chat.sockets.get(id);
      const user = socket && (socket.data as Person).user;
      if (user) people.set(user.id, user);
    }
    return [...people.values()].map((user) => ({ ...user, online: true }));
  }

  #serveRooms(): void {
    this.io.on("connection", (socket) => {
      socket.on("room:join", ({ room }: { room: string }, ack: Ack) => {
        void socket.join(room);
        ack({ ok: true, seq: this.#roomSeq, count: this.io.sockets.adapter.rooms.get(room)!.size });
      });
      interface Emit {
        room: string;
        event: string;
        data: unknown;
        echo?: boolean;
      }
      socket.on("room:emit", ({ room, event, data, echo = true }: Emit, ack: Ack) => {
        if (!socket.rooms.has(room)) {
          ack(bad("not_member", "Join the room first."));
          return;
        }
        const origin = { room, from: socket.id, time: Date.now(), seq: ++this.#roomSeq };
        // A recoverable namespace ends each event with its offset.
        const to = echo ? this.io.to(room) : socket.to(room);
        to.emit(event, data, origin, "offset-1");
        ack({ ok: true, seq: origin.seq, time: origin.time });
      });
      socket.on("room:members", ({ room }: { room: string }, ack: Ack) => {
        const ids = [...(this.io.sockets.adapter.rooms.get(room) ?? [])];
        const members = ids.map((id) => ({ id, user: { id, name: id } }));
        ack({ ok: true, members, count: members.length });
      });
    });
  }
}

export const ADA: User = { id: "dev:ada", name: "Ada" };

function bad(code: string, message: string): object {
  return { ok: false, error: { code, message } };
}
