// Several `lakh serve` and the real nginx before them, all on free ports, ended by process id.
//
// nginx gets the files of deploy/nginx as they are, but for ports, addresses of nodes and the place of its log. It runs
// without rights: where the tests run as root, as the user nobody.

import { once } from "node:events";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect as dial } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, lakh, repository, start } from "../../conformance/support/processes.js";

const NOBODY = 65_534;

// A node behind nginx. `name` begins with the tag of its session ids.
export async function startNode(name, port, env = {}, modules = []) {
  const data = mkdtempSync(join(tmpdir(), "lakh-node-"));
  const node = await start(
    lakh(),
    ["serve", ...modules, "--node", name, "--bind", `127.0.0.1:${port}`, "--data", data, "--log", "warn,lakh_server=info"],
    /listening on/,
    { env: { LAKH_PROXY__TRUSTED: "127.0.0.1", LAKH_ROOMS__EVENTS_PER_SECOND: "1000000", ...env } },
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
    /start worker processes/,
    {
      // Debian keeps it where not everybody looks.
      env: { PATH: `${process.env.PATH}:/usr/sbin` },
      // nginx's workers outlive a killed master.
      last: "SIGTERM",
      ...(root && { uid: NOBODY, gid: NOBODY }),
    },
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
