// The protocol of the load generator on socket.io with its engine for Bun, as its documentation writes servers.
import { Server as Engine } from "@socket.io/bun-engine";
import { Server } from "socket.io";

import { handle } from "../node/handlers.js";

const [hostname, port] = (process.env.LISTEN ?? "127.0.0.1:3000").split(":");
const io = new Server({
  connectionStateRecovery: process.env.RECOVERY === "1" ? {} : undefined,
});
const engine = new Engine({
  path: "/socket.io/",
  pingInterval: Number(process.env.PING_MS ?? 25000),
});
io.bind(engine);
handle(io);

export default {
  hostname,
  port: Number(port),
  ...engine.handler(),
};
