// Processes of the tests' own: a redis-server, Lakh nodes, Node servers. On free ports, ended by their process ids.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { createClient } from "redis";

const here = dirname(fileURLToPath(import.meta.url));
const repository = resolve(here, "../../..");
const built = join(process.env.CARGO_TARGET_DIR ?? join(repository, "target"), process.env.TEST_PROFILE ?? "debug");
const lakh = process.env.TEST_FLEET_NODE ?? join(built, "examples/fleet_node");
const START_BOUND_MS = 30_000;

export async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return port;
}

// Resolves once `found` has matched in what the child writes.
export function start(path, args, found, env = {}) {
  const child = spawn(path, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
  let log = "";
  const exited = new Promise((done) => child.once("exit", (code, signal) => done({ code, signal })));
  const killAtExit = () => child.kill("SIGKILL");
  process.once("exit", killAtExit);
  let wanted = false;
  exited.then(
    ({ code, signal }) => wanted || console.error(`${path} ${args} ended by itself (${code}, ${signal}):\n${log}`),
  );
  const stop = (signal = "SIGKILL") => {
    wanted = true;
    child.kill(signal);
    // A process that was stopped would wait for ever.
    if (signal !== "SIGSTOP") child.kill("SIGCONT");
    process.off("exit", killAtExit);
    return exited;
  };
  return new Promise((done, fail) => {
    const bound = setTimeout(() => {
      child.kill("SIGKILL");
      fail(new Error(`${path} was not there within ${START_BOUND_MS} ms:\n${log}`));
    }, START_BOUND_MS);
    const read = (chunk) => {
      log += chunk;
      const match = found.exec(log);
      if (match) {
        clearTimeout(bound);
        done({ pid: child.pid, found: match, exited, stop, log: () => log, signal: (name) => child.kill(name) });
      }
    };
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", read);
    child.once("error", fail);
    exited.then(({ code, signal }) => {
      clearTimeout(bound);
      fail(new Error(`${path} ended (${code}, ${signal}):\n${log}`));
    });
  });
}

// A redis-server in a folder of its own; `restart` brings it back on its port, with what it wrote.
export async function startRedis(args = [], port) {
  const folder = mkdtempSync(join(tmpdir(), "lakh-redis-"));
  port ??= await freePort();
  const settings = ["--port", port, "--bind", "127.0.0.1", "--dir", folder, "--save", ""];
  const begin = () => start("redis-server", [...settings, ...args].map(String), /Ready to accept connections/);
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
  while (both.length < 2) {
    const port = await freePort();
    // They talk to each other on a second port, 10,000 above.
    if (port < 55_000) both.push(await startRedis(["--cluster-enabled", "yes"], port));
  }
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

const LISTENING = /listening on (http:\S+)/;

// `kind` is `lakh` or `node`; a node's library for Redis is told by its number, so that both are there.
export async function startServer(kind, number, env) {
  const name = `${kind[0]}${number}`.padEnd(3, "0");
  const settings = { NODE: name, PORT: "0", CLIENT: number % 2 ? "redis" : "ioredis", ...env };
  const server =
    kind === "lakh"
      ? await start(lakh, [], LISTENING, settings)
      : await start(process.execPath, [join(here, "node_server.js")], LISTENING, settings);
  return { ...server, kind, name, url: server.found[1] };
}
