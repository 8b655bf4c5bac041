// A chat on socket.io that keeps its messages in Redis: what of Lakh's chat the load generator speaks. Written as one
// would for production, with what makes it fast:
//
// * One script a message gives it its number, keeps it, and knows a key that was sent before: one round trip, nothing to
//   retry, no lock. Commands of one turn of the event loop go out as one pipeline.
// * A room is a list: its length is the number of the last message, so numbers have no holes, and history is a range.
// * Who is in the room is asked of the socket's own rooms, not of Redis.
// * Answers of one connection come in the order of its commands, so a room is told in the order of its numbers.
// * The message is encoded once for all receivers (socket.io does so by itself); neither compression nor connection state
//   recovery is on, nor an adapter, unless ADAPTER says so: a single process needs none, and is the faster for it.
//
// How durable it is depends on Redis: with `appendfsync everysec` a message that was acknowledged outlives the process, and
// a power cut takes at most the last second's; with `always` it's on the disk.
//
// LISTEN, PING_MS, REDIS (needed), ADAPTER (none, classic, sharded, streams), RECOVERY=1.
import { createServer } from "node:http";
import { Redis } from "ioredis";
import { Server } from "socket.io";

import { adapter } from "./adapter.js";

const MAX_KEY = 64;
const MAX_TEXT = 8000;
const MAX_PAGE = 200;

const [host, port] = (process.env.LISTEN ?? "127.0.0.1:3000").split(":");
const redis = new Redis(process.env.REDIS, { enableAutoPipelining: true });

// KEYS: the room's messages, the room's keys. ARGV: person and key, the message without its number.
// Answers the number, and the message if it was there.
redis.defineCommand("keep", {
  numberOfKeys: 2,
  lua: `
    local known = redis.call("HGET", KEYS[2], ARGV[1])
    if known then
      return { tonumber(known), redis.call("LINDEX", KEYS[1], tonumber(known) - 1) }
    end
    local seq = redis.call("RPUSH", KEYS[1], ARGV[2])
    redis.call("HSET", KEYS[2], ARGV[1], seq)
    return { seq }
  `,
});

// The braces keep a room's keys in one slot of a cluster.
const messagesOf = (room) => `chat:{${room}}:messages`;
const keysOf = (room) => `chat:{${room}}:keys`;
const membersOf = (room) => `chat:{${room}}:members`;
const numbered = (room, seq, kept) => ({ room, seq, ...JSON.parse(kept) });

class Refused extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

const text = (value, name, most) => {
  if (typeof value !== "string" || value === "") throw new Refused("bad_request", `${name} must be a text`);
  if (value.length > most) throw new Refused("too_large", `${name} is at most ${most} characters`);
  return value;
};

const requests = {
  async "room:join"(io, socket, request) {
    const room = text(request.room, "room", 200);
    await redis.sadd(membersOf(room), socket.data.person.id);
    await socket.join(room);
    return { room, seq: await redis.llen(messagesOf(room)) };
  },

  async "room:watch"(io, socket, request) {
    const room = text(request.room, "room", 200);
    await socket.join(room);
    return { room, seq: await redis.llen(messagesOf(room)) };
  },

  async "message:send"(io, socket, request) {
    const room = text(request.room, "room", 200);
    const key = text(request.key, "key", MAX_KEY);
    const said = text(request.text, "text", MAX_TEXT);
    if (!socket.rooms.has(room)) throw new Refused("not_member", "join the room first");
    const from = socket.data.person;
    const kept = { key, from, text: said, time: Date.now() };
    const [seq, known] = await redis.keep(
      messagesOf(room),
      keysOf(room),
      `${from.id}\n${key}`,
      JSON.stringify(kept),
    );
    if (known) return { message: numbered(room, seq, known), duplicate: true };
    const message = { room, seq, ...kept };
    io.to(room).emit("message:new", message);
    return { message, duplicate: false };
  },

  async "message:history"(io, socket, request) {
    const room = text(request.room, "room", 200);
    if (!socket.rooms.has(room)) throw new Refused("not_member", "join the room first");
    const limit = Math.min(Number(request.limit ?? 50), MAX_PAGE);
    const before = Number(request.before ?? (await redis.llen(messagesOf(room))) + 1);
    const first = Math.max(before - 1 - limit, 0);
    const kept = before > first + 1 ? await redis.lrange(messagesOf(room), first, before - 2) : [];
    return { messages: kept.map((each, at) => numbered(room, first + at + 1, each)), more: first > 0 };
  },
};

const httpServer = createServer();
const io = new Server(httpServer, {
  adapter: process.env.ADAPTER ? await adapter(process.env.REDIS) : undefined,
  pingInterval: Number(process.env.PING_MS ?? 25000),
  connectionStateRecovery: process.env.RECOVERY === "1" ? {} : undefined,
}).of("/chat");

io.use((socket, next) => {
  const name = socket.handshake.auth.name;
  if (typeof name !== "string" || name === "") return next(new Error("unauthorized"));
  socket.data.person = { id: `dev:${name.toLowerCase()}`, name };
  next();
});

io.on("connection", (socket) => {
  for (const [name, handle] of Object.entries(requests)) {
    socket.on(name, async (request, ack) => {
      if (typeof ack !== "function") return;
      try {
        ack({ ok: true, ...(await handle(io, socket, request ?? {})) });
      } catch (error) {
        const known = error instanceof Refused;
        if (!known) console.error(error);
        const code = known ? error.code : "unavailable";
        ack({ ok: false, error: { code, message: known ? error.message : "try again later" } });
      }
    });
  }
});

await redis.ping();
httpServer.listen(Number(port), host, 4096);
