// Processes of the tests' own: a redis-server, Lakh nodes, Node servers. On free ports, ended by their process ids.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createClient } from "redis";
import { freePort, lakh, program, start } from "../../conformance/support/processes.js";

const nodeServer = fileURLToPath(new URL("node_server.js", import.meta.url));
const fleetNode = () => program("TEST_FLEET_NODE", "examples/fleet_node", "cargo build --example fleet_node");

// A redis-server in a folder of its own; `restart` brings it back on its port, with what it wrote.
export async function startRedis(args = [], port) {
  const folder = mkdtempSync(join(tmpdir(), "lakh-redis-"));
  port ??= await freePort();
  const settings = ["--port", port, "--bind", "127.0.0.1", "--dir", folder, "--save", ""];
  const begin = () => start("redis-server", [...settings, ...args], /Ready to accept connections/);
  let server = await begin();
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    signal: (name) => server.signal(name),
    kill: () => server.stop(),
    async restart() {
      server = await begin();
    },
    async stop() {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

// A sentinel that watches over the master on that port, under the name `mine`.
export async function startSentinel(master) {
  const folder = mkdtempSync(join(tmpdir(), "lakh-sentinel-"));
  const file = join(folder, "sentinel.conf");
  const port = await freePort();
  const watched = `sentinel monitor mine 127.0.0.1 ${master} 1\nsentinel down-after-milliseconds mine 500\n`;
  writeFileSync(file, `port ${port}\nbind 127.0.0.1\ndir ${folder}\n${watched}sentinel failover-timeout mine 5000\n`);
  const sentinel = await start("redis-server", [file, "--sentinel"], /\+monitor master mine/);
  return {
    url: `redis+sentinel://127.0.0.1:${port}/mine`,
    port,
    log: sentinel.log,
    async stop() {
      await sentinel.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

// A cluster of two servers with half of the slots each.
export async function startRedisCluster() {
  const both = [];
  while (both.length < 2) both.push(await startRedis(["--cluster-enabled", "yes"]));
  const [one, other] = await Promise.all(both.map(({ url }) => createClient({ url }).connect()));
  await one.sendCommand(["CLUSTER", "ADDSLOTSRANGE", "0", "8191"]);
  await other.sendCommand(["CLUSTER", "ADDSLOTSRANGE", "8192", "16383"]);
  await other.sendCommand(["CLUSTER", "SET-CONFIG-EPOCH", "2"]);
  await one.sendCommand(["CLUSTER", "MEET", "127.0.0.1", String(both[1].port)]);
  for (const client of [one, other]) {
    for (let info = ""; !/cluster_state:ok[^]*cluster_size:2/.test(info);) {
      info = String(await client.sendCommand(["CLUSTER", "INFO"]));
    }
    client.destroy();
  }
  return {
    url: `redis+cluster://127.0.0.1:${both[0].port}`,
    stop: () => Promise.all(both.map((redis) => redis.stop())),
  };
}

// A node of the real binary, with its data in `folder`; `more` are arguments besides.
export async function startLakh(name, { modules = [], folder, env, more = [] }) {
  const args = ["serve", ...modules, "--bind", "127.0.0.1:0", "--node", name, "--data", join(folder, name), ...more];
  const node = await start(lakh(), args, /listening on (http:\/\/[^\s"\\]+)/, { env });
  return { ...node, name, url: node.found[1].replace(/\/$/, "") };
}

const LISTENING = /listening on (http:\S+)/;

// `kind` is `lakh` or `node`; a node's library for Redis is told by its number, so that both are there.
export async function startServer(kind, number, env) {
  const name = `${kind[0]}${number}`.padEnd(3, "0");
  const settings = { NODE: name, PORT: "0", CLIENT: number % 2 ? "redis" : "ioredis", ...env };
  const server =
    kind === "lakh"
      ? await start(fleetNode(), [], LISTENING, { env: settings })
      : await start(process.execPath, [nodeServer], LISTENING, { env: settings });
  return { ...server, kind, name, url: server.found[1] };
}
