// The protocol of the load generator on socket.io, as its documentation writes servers.
// RECOVERY=1 switches connection state recovery on, PING_MS changes the heartbeat. With REDIS it is one of several nodes,
// which reach each other by ADAPTER: classic, sharded or streams.
import { createServer } from "node:http";
import { Server } from "socket.io";

import { adapter } from "./adapter.js";
import { handle } from "./handlers.js";

const [host, port] = (process.env.LISTEN ?? "127.0.0.1:3000").split(":");

const httpServer = createServer();
const io = new Server(httpServer, {
  adapter: await adapter(process.env.REDIS),
  pingInterval: Number(process.env.PING_MS ?? 25000),
  connectionStateRecovery: process.env.RECOVERY === "1" ? {} : undefined,
});

handle(io);
httpServer.listen(Number(port), host, 4096);
