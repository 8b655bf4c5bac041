/**
 * A real Socket.IO server that keeps rooms and chat in memory: enough of both protocols for
 * the tests of the client and of the page, with faults on demand.
 */
import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Server, type Socket } from "socket.io";
import type { ChatMessage, ChatRoom, User } from "../src/index.js";

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

interface StoredRoom extends ChatRoom {
  messages: ChatMessage[];
}

export class TestServer {
  readonly faults: Faults = { lostAnswers: 0, refusals: { code: "rate_limited", times: 0 } };
  readonly rooms = new Map<string, StoredRoom>();
  /** Tokens that came with CONNECT, and those that came with `auth:refresh`. */
  readonly tokens: string[] = [];
  readonly refreshed: string[] = [];
  /** How long refreshed tokens live. */
  lifetimeMs = 3_600_000;
  readonly io: Server;
  readonly #http: HttpServer;
  #roomSeq = 0;

  private constructor() {
    this.#http = createServer();
    this.io = new Server(this.#http);
    this.#serveChat();
    this.#serveRooms();
  }

  static async start(): Promise<TestServer> {
    const server = new TestServer();
    await new Promise<void>((done) => server.#http.listen(0, "127.0.0.1", done));
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
    return this.#store(room, `post-${this.room(room).seq + 1}`, text, from, silent);
  }

  room(id: string): StoredRoom {
    const known = this.rooms.get(id);
    if (known) return known;
    const made = { id, name: id, created_at: 1_700_000_000_000, seq: 0, messages: [] };
    this.rooms.set(id, made);
    const { messages: _messages, ...room } = made;
    this.io.of("/chat").emit("room:new", room);
    return made;
  }

  #store(room: string, key: string, text: string, from: User, silent: boolean): ChatMessage {
    const stored = this.room(room);
    stored.seq += 1;
    const time = stored.created_at + stored.seq * 1000;
    const message = { room, seq: stored.seq, key, from, text, time };
    stored.messages.push(message);
    if (!silent) this.io.of("/chat").to(room).emit("message:new", message);
    return message;
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
      socket.on("room:join", ({ room }: { room: string }, ack: Ack) => {
        const { messages: _messages, ...info } = this.room(room);
        void socket.join(room);
        socket.to(room).emit("presence:update", { room, user, online: true });
        ack({ ok: true, room: info, members: this.#members(room), seq: info.seq });
      });
      socket.on("room:leave", ({ room }: { room: string }, ack: Ack) => {
        void socket.leave(room);
        socket.to(room).emit("presence:update", { room, user, online: false });
        ack({ ok: true });
      });
      socket.on("room:list", (_fields: object, ack: Ack) => {
        const rooms = [...this.rooms.values()].map(({ messages, ...room }) => ({
          ...room,
          online: this.#members(room.id).length,
          last: messages.at(-1) ?? null,
        }));
        ack({ ok: true, rooms, cursor: null });
      });
      socket.on("presence:list", ({ room }: { room: string }, ack: Ack) => {
        ack({ ok: true, members: this.#members(room) });
      });
      socket.on("typing:set", ({ room, typing }: { room: string; typing: boolean }, ack: Ack) => {
        socket.to(room).volatile.emit("typing:update", { room, user, typing });
        ack({ ok: true });
      });
      this.#serveMessages(socket, user);
    });
  }

  #serveMessages(socket: Socket, user: User): void {
    interface Send {
      room: string;
      key: string;
      text: string;
    }
    socket.on("message:send", ({ room, key, text }: Send, ack: Ack) => {
      if (this.faults.refusals.times > 0) {
        this.faults.refusals.times -= 1;
        ack(bad(this.faults.refusals.code, "Not now."));
        return;
      }
      if (!socket.rooms.has(room)) {
        ack(bad("not_member", "Join the room first."));
        return;
      }
      const known = this.room(room).messages.find((m) => m.key === key && m.from.id === user.id);
      const message = known ?? this.#store(room, key, text, user, false);
      if (this.faults.lostAnswers > 0) {
        this.faults.lostAnswers -= 1;
        return;
      }
      ack({ ok: true, message, duplicate: known !== undefined });
    });
    interface Range {
      room: string;
      before?: number;
      after?: number;
      limit?: number;
    }
    socket.on("message:history", ({ room, before, after, limit = 50 }: Range, ack: Ack) => {
      const all = this.room(room).messages.filter(
        (m) => (before === undefined || m.seq < before) && (after === undefined || m.seq > after),
      );
      const messages = after === undefined ? all.slice(-limit) : all.slice(0, limit);
      ack({ ok: true, messages, more: all.length > messages.length });
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
