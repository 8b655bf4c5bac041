// A real Socket.IO server that does what tests ask of it: the counterpart of examples/fleet_node.rs, whose first lines
// name its environment and the events of /control. CLIENT tells which library speaks to Redis: `redis` or `ioredis`.
//
// Two events more: `emit-special` sends values that JSON can't bring here from a test, and `all-rooms` asks what only the
// classic adapter can ask.

import { once } from "node:events";
import { createServer } from "node:http";
import { createAdapter as classic, createShardedAdapter as sharded } from "@socket.io/redis-adapter";
import { createAdapter as streams } from "@socket.io/redis-streams-adapter";
import { Cluster, Redis } from "ioredis";
import { createClient } from "redis";
import { Server } from "socket.io";

const { REDIS, BROKER, NODE, MODE, RECOVERY, CLIENT, PORT } = process.env;
const REQUEST_BOUND_MS = 1_500;

// Redis comes and goes in these tests.
const quiet = (client) => client.on("error", () => {});

// Of the forms that Lakh has for sentinels and clusters, `ioredis` knows no URL.
function connect() {
  const { protocol, hostname: host, port, pathname } = new URL(REDIS);
  const place = { host, port: Number(port) };
  const retry = { retryStrategy: () => 50, clusterRetryStrategy: () => 50, sentinelRetryStrategy: () => 50 };
  if (protocol === "redis+cluster:") return new Cluster([place], { ...retry, shardedSubscribers: true });
  if (protocol === "redis+sentinel:") return new Redis({ ...retry, sentinels: [place], name: pathname.slice(1) });
  return new Redis(REDIS, retry);
}

async function client() {
  if (CLIENT === "ioredis") {
    const connection = quiet(connect());
    // It asks Redis for its state first, which must not come behind a subscription.
    await once(connection, "ready");
    return connection;
  }
  return quiet(createClient({ url: REDIS, socket: { reconnectStrategy: () => 50 } })).connect();
}

async function adapter() {
  const publisher = await client();
  switch (BROKER) {
    case "redis":
      // The answers' channel is a choice of each server's, and they have to understand each other.
      return classic(publisher, await client(), {
        requestsTimeout: REQUEST_BOUND_MS,
        publishOnSpecificResponseChannel: CLIENT === "redis",
      });
    case "redis-sharded":
      return sharded(publisher, await client(), { subscriptionMode: MODE || "dynamic" });
    default:
      return streams(publisher, { blockTimeInMs: 500 });
  }
}

const http = createServer();
const io = new Server(http, {
  adapter: await adapter(),
  ...(RECOVERY && { connectionStateRecovery: { maxDisconnectionDuration: 60_000 } }),
});
const control = io.of("/control");

function seat(socket) {
  const { rooms = [], data } = socket.handshake.auth;
  socket.join(rooms);
  if (data !== undefined) socket.data = data;
}

for (const name of ["/", "/custom"]) {
  const namespace = io.of(name);
  namespace.on("connection", seat);
  for (const event of ["hello", "ask"]) {
    namespace.on(event, (...args) => {
      const answer = typeof args.at(-1) === "function" ? args.pop() : undefined;
      control.local.emit("heard", name, [event, ...args]);
      answer?.(`node ${NODE}`);
    });
  }
}
io.of(/^\/dynamic-/).on("connection", seat);

function operator(target) {
  let chosen = io.of(target.nsp ?? "/").timeout(target.timeout ?? 5_000);
  if (target.to?.length) chosen = chosen.to(target.to);
  if (target.except?.length) chosen = chosen.except(target.except);
  if (target.local) chosen = chosen.local;
  if (target.volatile) chosen = chosen.volatile;
  if (target.compress !== undefined) chosen = chosen.compress(target.compress);
  return chosen;
}

// An operator with a timeout wants answers.
function silent(target) {
  const chosen = operator(target);
  delete chosen.flags.timeout;
  return chosen;
}

function told({ id, rooms, data, handshake }) {
  const { address, issued, secure, query, auth, headers } = handshake;
  return { id, rooms: [...rooms], data, handshake: { address, issued, secure, query, auth, test: headers["x-test"] } };
}

// What Node's adapters say about who did not answer: a sentence, if anything.
const nobody = { count: 0, names: [], unreachable: false };
const missed = (error) => ({ ...nobody, count: 1, error: error.message ?? String(error) });

const special = () => [
  undefined,
  null,
  new Date(0),
  Number.NaN,
  Number.POSITIVE_INFINITY,
  -0,
  2 ** 53,
  -(2 ** 40),
  2 ** 31,
  1.5e300,
  { absent: undefined, date: new Date(86_400_000), list: [undefined, Number.NaN] },
];

control.on("connection", (socket) => {
  const on = (event, work) =>
    socket.on(event, async (...args) => {
      const answer = args.pop();
      try {
        answer((await work(...args)) ?? null);
      } catch (error) {
        console.error(event, error);
      }
    });
  on("emit", (target, event, ...args) => void silent(target).emit(event, ...args));
  on("emit-special", (target, event) => void silent(target).emit(event, ...special()));
  on(
    "emit-with-ack",
    (target, event, ...args) =>
      new Promise((done) =>
        operator(target).emit(event, ...args, (error, answers) => done({ answers, missing: error ? 1 : 0 })),
      ),
  );
  on("fetch", async (target) => {
    try {
      const found = await operator(target).fetchSockets();
      return { sockets: found.map(told), missing: nobody };
    } catch (error) {
      return { sockets: [], missing: missed(error) };
    }
  });
  on("join", (target, rooms) => operator(target).socketsJoin(rooms));
  on("leave", (target, rooms) => operator(target).socketsLeave(rooms));
  on("disconnect-sockets", (target, close) => operator(target).disconnectSockets(close));
  on("remote", async (target, what, argument) => {
    const found = await operator(target).fetchSockets();
    for (const remote of found) {
      if (what === "emit") remote.emit("remote", argument);
      else remote[what](argument);
    }
    return found.length;
  });
  on("server-side-emit", (target, event, ...args) => void io.of(target.nsp ?? "/").serverSideEmit(event, ...args));
  on(
    "server-side-emit-with-ack",
    (target, event, ...args) =>
      new Promise((done) =>
        io.of(target.nsp ?? "/").serverSideEmit(event, ...args, (error, answers) => {
          done({ answers, missing: error ? 1 : 0, error: error?.message });
        }),
      ),
  );
  on("all-rooms", async (target) => [...(await io.of(target.nsp ?? "/").adapter.allRooms())]);
  on("others", async () => (await control.adapter.serverCount()) - 1);
});

http.listen(Number(PORT ?? 0), "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${http.address().port}`);
});
