// The protocol of the load generator on socket.io, as its documentation writes servers.
// RECOVERY=1 switches connection state recovery on, PING_MS changes the heartbeat. With REDIS it is one of several nodes,
// which reach each other by ADAPTER: classic, sharded or streams.
import { createServer } from "node:http";
import { Server } from "socket.io";

import { handle } from "./handlers.js";

const [host, port] = (process.env.LISTEN ?? "127.0.0.1:3000").split(":");

async function adapter(url) {
  if (!url) return undefined;
  const { Redis } = await import("ioredis");
  const client = new Redis(url);
  await client.ping();
  switch (process.env.ADAPTER) {
    case "classic":
    case "sharded": {
      const { createAdapter, createShardedAdapter } = await import("@socket.io/redis-adapter");
      const create = process.env.ADAPTER === "classic" ? createAdapter : createShardedAdapter;
      return create(client, client.duplicate());
    }
    default: {
      const { createAdapter } = await import("@socket.io/redis-streams-adapter");
      return createAdapter(client);
    }
  }
}

const httpServer = createServer();
const io = new Server(httpServer, {
  adapter: await adapter(process.env.REDIS),
  pingInterval: Number(process.env.PING_MS ?? 25000),
  connectionStateRecovery: process.env.RECOVERY === "1" ? {} : undefined,
});

handle(io);
httpServer.listen(Number(port), host, 4096);
