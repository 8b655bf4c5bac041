// A server of Node that speaks the events of Lakh's module rooms: to compare with, and to prove the checker, for it can be
// told to treat one message in 500 wrongly. Settings come as variables; see below.

import { createServer } from "node:http";
import { Server } from "socket.io";

const { PORT, FLAW = "none", REDIS, PING_INTERVAL_MS, PING_TIMEOUT_MS } = process.env;
const EVERY = 500;

async function adapter() {
  if (!REDIS) return undefined;
  const { createAdapter } = await import("@socket.io/redis-streams-adapter");
  const { Redis } = await import("ioredis");
  const client = new Redis(REDIS);
  client.on("error", (error) => console.error("redis:", error.message));
  return createAdapter(client, { maxLen: 1_000_000 });
}

const http = createServer();
const io = new Server(http, {
  adapter: await adapter(),
  pingInterval: Number(PING_INTERVAL_MS),
  pingTimeout: Number(PING_TIMEOUT_MS),
  connectionStateRecovery: {},
});

let count = 0;
// What is sent after the next message of that room (and, for all, of that writer): by a key of both.
const kept = new Map();

function victim(room) {
  const members = [...(io.of("/").adapter.rooms.get(room) ?? [])];
  return members.length ? io.of("/").sockets.get(members[count % members.length]) : undefined;
}

function send(room, event, data, origin) {
  count += 1;
  const wrong = FLAW !== "none" && count % EVERY === 0 && !data.mark && victim(room);
  const everybody = () => io.to(room).emit(event, data, origin);
  if (!wrong) everybody();
  else if (FLAW === "drop") io.to(room).except(wrong.id).emit(event, data, origin);
  else if (FLAW === "double") {
    everybody();
    wrong.emit(event, data, origin);
  } else if (FLAW === "swap") {
    io.to(room).except(wrong.id).emit(event, data, origin);
    kept.set(room, () => wrong.emit(event, data, origin));
    return;
  } else if (FLAW === "late") {
    kept.set(`${room} ${data.w}`, everybody);
    return;
  }
  for (const key of [room, `${room} ${data.w}`]) {
    kept.get(key)?.();
    kept.delete(key);
  }
}

io.on("connection", (socket) => {
  socket.on("room:join", async ({ room }, answer) => {
    await socket.join(room);
    answer({ ok: true });
  });
  socket.on("room:emit", ({ room, event, data }, answer) => {
    if (!socket.rooms.has(room)) return answer({ ok: false, error: { code: "not_member", message: "join first" } });
    // "late" takes a message away from the log for a moment; the others reach it before the answer.
    send(room, event, data, { room, from: socket.id });
    answer({ ok: true });
  });
});

process.once("SIGTERM", () => io.close(() => process.exit(0)));
http.listen(Number(PORT), "127.0.0.1", () => console.log(`listening on http://127.0.0.1:${http.address().port}`));
