// Several `lakh serve` and the real nginx before them, all on free ports, ended by process id.
//
// nginx gets the files of deploy/nginx as they are, but for ports, addresses of nodes and the place of its log. It runs
// without rights: where the tests run as root, as the user nobody.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect as dial, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const repository = resolve(dirname(fileURLToPath(import.meta.url)), "../../..");
const built = join(
  process.env.CARGO_TARGET_DIR ?? join(repository, "target"),
  process.env.TEST_PROFILE ?? "debug",
);
const lakh = process.env.TEST_LAKH ?? join(built, "lakh");
const START_BOUND_MS = 30_000;
const NOBODY = 65_534;

export async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return port;
}

// Resolves once `found` has matched in what the child writes. Resolves to {pid, log(), stop(), found}.
// A process that is cut off at once must not leave children: nginx's workers outlive a killed master.
export function start(path, args, options, found, last = "SIGKILL") {
  const child = spawn(path, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
  let log = "";
  const exited = new Promise((done) => child.once("exit", (code, signal) => done({ code, signal })));
  const killAtExit = () => child.kill(last);
  process.once("exit", killAtExit);
  const stop = (signal = last) => {
    child.kill(signal);
    process.off("exit", killAtExit);
    return exited;
  };
  return new Promise((done, fail) => {
    const bound = setTimeout(() => {
      child.kill(last);
      fail(new Error(`${path} was not there within ${START_BOUND_MS} ms:\n${log}`));
    }, START_BOUND_MS);
    const read = (chunk) => {
      log += chunk;
      const match = found.exec(log);
      if (match) {
        clearTimeout(bound);
        done({ pid: child.pid, log: () => log, exited, stop, found: match });
      }
    };
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", read);
    child.once("error", fail);
    exited.then(({ code, signal }) => fail(new Error(`${path} ended (${code}, ${signal}):\n${log}`)));
  });
}

// A node behind nginx. `name` begins with the tag of its session ids.
export async function startNode(name, port, env = {}, modules = []) {
  if (!existsSync(lakh)) throw new Error(`${lakh} is missing: build it first with \`cargo build -p lakh-server\``);
  const data = mkdtempSync(join(tmpdir(), "lakh-node-"));
  const node = await start(
    lakh,
    ["serve", ...modules, "--node", name, "--bind", `127.0.0.1:${port}`, "--data", data, "--log", "warn,lakh_server=info"],
    {
      env: {
        ...process.env,
        LAKH_PROXY__TRUSTED: "127.0.0.1",
        LAKH_ROOMS__EVENTS_PER_SECOND: "1000000",
        ...env,
      },
    },
    /listening on/,
  );
  const { stop } = node;
  return {
    ...node,
    name,
    port,
    async stop(signal) {
      const end = await stop(signal);
      rmSync(data, { recursive: true, force: true });
      return end;
    },
  };
}

function shipped(name) {
  return readFileSync(join(repository, "deploy/nginx", name), "utf8");
}

// Replaces all of it, or says that the shipped file has changed.
function put(text, from, to) {
  if (!text.includes(from)) throw new Error(`deploy/nginx has no "${from}" any more`);
  return text.replaceAll(from, to);
}

// nginx before the nodes at `ports`, which stand in the place of the shipped 3001, 3002 and 3003.
// `change` is applied to each file; with `chat`, a service of its own for chat is there.
export async function startNginx(ports, { change = (conf) => conf, listen, chat } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "lakh-nginx-"));
  const port = listen ?? (await freePort());
  const file = (name) => join(folder, name);

  let nodes = shipped("lakh-nodes.conf");
  ports.forEach((node, index) => {
    nodes = put(nodes, `127.0.0.1:${3001 + index}`, `127.0.0.1:node-${node}`);
  });
  nodes = nodes.replaceAll(":node-", ":");
  let conf = put(shipped("lakh.conf"), "/var/log/nginx/lakh.log", file("access.log"));
  conf = put(conf, "listen 80;", `listen 127.0.0.1:${port};`);
  mkdirSync(file("lakh.d"));
  writeFileSync(file("lakh-nodes.conf"), nodes);
  writeFileSync(file("lakh.conf"), change(conf, file));
  writeFileSync(file("lakh.d/endpoint.inc"), change(shipped("lakh.d/endpoint.inc"), file));
  if (chat) {
    const service = put(shipped("lakh.d/chat.conf.example"), "127.0.0.1:3011", `127.0.0.1:${chat}`);
    writeFileSync(file("lakh.d/chat.conf"), service);
  }
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((kind) => `${kind}_temp_path ${file(kind)};`)
    .join(" ");
  writeFileSync(
    file("nginx.conf"),
    `daemon off; worker_processes 2; pid ${file("pid")}; error_log stderr notice;
     events { worker_connections 8192; }
     http { ${temporary} include lakh-nodes.conf; include lakh.conf; }`,
  );
  chmodSync(folder, 0o755);
  const root = process.getuid() === 0;
  if (root) chownSync(folder, NOBODY, NOBODY);
  const nginx = await start(
    process.env.NGINX ?? "nginx",
    ["-p", folder, "-c", file("nginx.conf"), "-e", "stderr"],
    // Debian keeps it where not everybody looks.
    { env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` }, ...(root && { uid: NOBODY, gid: NOBODY }) },
    /start worker processes/,
    "SIGTERM",
  );
  await reachable(port);
  return {
    ...nginx,
    port,
    url: `http://127.0.0.1:${port}`,
    file,
    // Requests as [upstream group, method, status, nodes tried]. Whole once nginx has stopped.
    requests() {
      const lines = readFileSync(file("access.log"), "utf8").trim().split("\n").filter(Boolean);
      return lines.map((line) => {
        const match = /"(\S+) \S*" (\d+) \d+ [\d.]+ (\S+) (.*)$/.exec(line);
        if (!match) throw new Error(`an access log of another form: ${line}`);
        const [, method, status, upstream, tried] = match;
        return { method, status: Number(status), upstream, tried: tried.split(", ") };
      });
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

// The workers take connections a moment after the master says that it starts them.
async function reachable(port) {
  for (;;) {
    const socket = dial(port, "127.0.0.1");
    const [event] = await Promise.race([
      once(socket, "connect").then(() => ["connect"]),
      once(socket, "error").then(() => ["error"], () => ["error"]),
    ]);
    socket.destroy();
    if (event === "connect") return;
  }
}

// Three nodes and nginx; all are ended with the test.
export async function fleet(t, { env, change, chat } = {}) {
  const ports = [await freePort(), await freePort(), await freePort()];
  const nodes = await Promise.all(ports.map((port, index) => startNode(`n0${index + 1}`, port, env)));
  t.after(() => Promise.all(nodes.map((node) => node.stop())));
  const nginx = await startNginx(ports, { change, chat });
  t.after(async () => {
    await nginx.stop();
    nginx.remove();
  });
  return { nodes, nginx, url: nginx.url };
}
