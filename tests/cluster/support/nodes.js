// Nodes of the real binary with one Redis, and stock clients of them.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { io } from "socket.io-client";
import { connected } from "../../conformance/support/sockets.js";
import { startLakh, startRedis } from "./processes.js";

export class Nodes {
  // `env` is what all of them are set to; it's read when a node is launched.
  constructor(modules, env = {}) {
    this.modules = modules;
    this.env = { LAKH_DRAIN__WINDOW_MS: "200", ...env };
    this.folder = mkdtempSync(join(tmpdir(), "lakh-nodes-"));
    this.nodes = [];
  }

  async begin(...names) {
    this.redis = await startRedis(["--appendonly", "yes"]);
    for (const name of names) this.nodes.push(await this.launch(name));
  }

  // A node that is not one of `nodes`: whoever launches it ends it.
  launch(name) {
    const env = { ...this.env, LAKH_REDIS: this.redis.url };
    return startLakh(name, { modules: this.modules, folder: this.folder, env });
  }

  async end() {
    await Promise.all(this.nodes.map((node) => node.stop()));
    await this.redis?.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

// A stock client of a node's namespace, connected; it does not come back by itself, and goes when the test `t` ends.
export async function connect(t, node, nsp, auth) {
  const socket = io(`${node.url}${nsp}`, { transports: ["websocket"], forceNew: true, reconnection: false, auth });
  t.after(() => socket.disconnect());
  return connected(socket);
}
