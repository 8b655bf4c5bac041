// What the shipped configuration keeps away, refuses, and never repeats.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { chownSync } from "node:fs";
import { createServer, request } from "node:http";
import { test } from "node:test";
import { Agent as TlsAgent } from "node:https";
import { freePort } from "../conformance/support/processes.js";
import { POLLING, Person, UPGRADING, within } from "./support/clients.js";
import { fleet, startNginx, startNode } from "./support/nodes.js";

const HANDSHAKE = "/socket.io/?EIO=4&transport=polling";

// The path goes out as it is written: fetch() would tidy it up.
function ask(url, path, { method = "GET", body } = {}) {
  return within(
    new Promise((done, fail) => {
      const { hostname, port } = new URL(url);
      const sent = request({ hostname, port, path, method, agent: false }, (answer) => {
        let text = "";
        answer.setEncoding("utf8").on("data", (part) => (text += part));
        answer.on("end", () => done({ status: answer.statusCode, headers: answer.headers, text }));
      });
      sent.on("error", fail).end(body);
    }),
    `the answer of ${path}`,
  );
}

test("only the clients' path is public, however a path is written", async (t) => {
  const { nodes, url } = await fleet(t);
  const own = `http://127.0.0.1:${nodes[0].port}`;
  for (const path of ["/metrics", "/api/v1/stats", "/ready", "/live", "/"]) {
    assert.equal((await ask(own, path)).status, 200, `${path} is there on the node itself`);
  }
  const paths = [
    ...["/", "/index.html", "/metrics", "/api/v1/stats", "/api/v1/openapi.json", "/ready", "/live"],
    ...["//metrics", "/socket.io/../metrics", "/socket.io/%2e%2e/metrics", "/socket.io/..%2fmetrics"],
    ...["/socket.io/x", "/socket.io/metrics", "/SOCKET.IO/", "/socket.io/socket.io.js/../../metrics"],
  ];
  for (const path of paths) {
    const { status, text } = await ask(url, path);
    assert.ok([400, 404].includes(status), `${path}: ${status} ${text}`);
    assert.ok(!text.includes("lakh_"), path);
  }
  assert.equal((await ask(url, HANDSHAKE)).status, 200);
  // Found as the endpoint, and sent on as such, without the part that isn't.
  assert.equal((await ask(url, `/metrics/..${HANDSHAKE}`)).status, 200);
  assert.equal((await ask(url, "/socket.io/?sid=n01AAAAAAAAAAAAAAAAA&EIO=4&transport=polling")).status, 400);
});

test("handshakes past the limit get 503 and a time to wait that differs; sessions go on", async (t) => {
  const change = (conf) =>
    conf.replace("rate=200r/s", "rate=1r/m").replace("burst=2000 nodelay", "burst=20 nodelay");
  const { url } = await fleet(t, { change });
  const inside = new Person(url, POLLING);
  t.after(() => inside.end());
  await inside.connected();
  const answers = await Promise.all(Array.from({ length: 80 }, () => ask(url, HANDSHAKE)));
  const refused = answers.filter(({ status }) => status === 503);
  assert.equal(answers.filter(({ status }) => status === 200).length, 20);
  assert.equal(refused.length, 60);
  const waits = new Set(refused.map(({ headers }) => Number(headers["retry-after"])));
  for (const wait of waits) assert.ok(wait >= 1 && wait <= 10, `${wait}`);
  assert.ok(waits.size >= 4, `60 were told to wait ${[...waits]} s`);
  await inside.ask();
  assert.deepEqual([inside.refused, inside.lost], [[], []]);
});

// A node that cuts each connection once the request has come, and counts what came.
async function cutter(t, port, seen) {
  const server = createServer((incoming) => {
    incoming.resume().on("end", () => {
      seen.push(`${incoming.method} ${incoming.url}`);
      incoming.socket.destroy();
    });
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
}

test("a handshake that a node cuts goes to the next one, a POST goes nowhere twice", async (t) => {
  const ports = [await freePort(), await freePort(), await freePort()];
  const seen = [];
  for (const port of ports) await cutter(t, port, seen);
  const nginx = await startNginx(ports);
  t.after(async () => {
    await nginx.stop();
    nginx.remove();
  });
  const posts = [
    `${HANDSHAKE}&sid=n01AAAAAAAAAAAAAAAAA`,
    // Of no node that there is.
    `${HANDSHAKE}&sid=xyzAAAAAAAAAAAAAAAAA`,
    HANDSHAKE,
  ];
  for (const path of posts) {
    seen.length = 0;
    const { status, headers } = await ask(nginx.url, path, { method: "POST", body: "40" });
    assert.equal(status, 503);
    assert.ok(headers["retry-after"]);
    assert.deepEqual(seen, [`POST ${path}`]);
  }
  seen.length = 0;
  assert.equal((await ask(nginx.url, `${HANDSHAKE}&sid=n02AAAAAAAAAAAAAAAAA`)).status, 503);
  assert.equal(seen.length, 1, "the poll of a session has one node to go to");
  seen.length = 0;
  assert.equal((await ask(nginx.url, HANDSHAKE)).status, 503);
  assert.equal(seen.length, 3, "a handshake is tried on each node");
});

test("chat as a service of its own answers on its own path", async (t) => {
  const port = await freePort();
  const service = await startNode("c01", port, { LAKH_PATH: "/chat.io/" }, ["chat"]);
  t.after(() => service.stop());
  const { url } = await fleet(t, { chat: port });
  for (const options of [POLLING, UPGRADING]) {
    const person = new Person(`${url}/chat`, { ...options, path: "/chat.io/", auth: { name: "Ada" } });
    t.after(() => person.end());
    await person.connected();
    await person.ask("lobby");
    assert.equal(person.node, "c01");
    assert.deepEqual([person.refused, person.lost], [[], []]);
  }
  const rooms = new Person(url, POLLING);
  t.after(() => rooms.end());
  await rooms.connected();
  assert.notEqual(rooms.node, "c01");
});

test("the TLS lines work once they are let in", async (t) => {
  const tlsPort = await freePort();
  const change = (conf, file) => {
    const paths = ["-keyout", file("lakh.key"), "-out", file("lakh.crt")];
    const name = ["-subj", "/CN=localhost", "-days", "1", "-nodes"];
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
    execFileSync("openssl", ["req", "-x509", ...key, ...paths, ...name], { stdio: "ignore" });
    if (process.getuid() === 0) chownSync(file("lakh.key"), 65_534, 65_534);
    return conf
      .replaceAll("#tls ", "")
      .replaceAll("/etc/nginx/tls", file("").replace(/\/$/, ""))
      .replaceAll("listen 443 ssl;", `listen 127.0.0.1:${tlsPort} ssl;`);
  };
  const { url } = await fleet(t, { change });
  const moved = await ask(url, HANDSHAKE);
  assert.equal(moved.status, 301);
  assert.ok(moved.headers.location.startsWith("https://"));
  const agent = new TlsAgent({ rejectUnauthorized: false });
  const person = new Person(`https://127.0.0.1:${tlsPort}`, { ...UPGRADING, agent, rejectUnauthorized: false });
  t.after(() => person.end());
  await person.connected();
  await person.upgraded();
  await person.ask();
  assert.deepEqual([person.refused, person.lost], [[], []]);
});
