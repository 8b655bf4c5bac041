// The plain HTTP side of the real binary: health, metrics, the page, and CORS for clients of other origins.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { after, before, test } from "node:test";
import { connect, within } from "./support/client.js";
import { startLakh } from "./support/server.js";

let server;
before(async () => (server = await startLakh()));
after(() => server.stop());

const get = (path, options) => fetch(server.url + path, options);

test("the server is alive and ready", async () => {
  assert.equal((await get("/live")).status, 200);
  const ready = await get("/ready");
  assert.equal(ready.status, 200);
  assert.equal(typeof (await ready.json()).checks, "object");
});

test("the metrics keep Prometheus's conventions", async (t) => {
  await connect(t, server.url, { auth: { name: "Ada" } });
  const response = await get("/metrics");
  assert.equal(response.status, 200);
  assert.match(response.headers.get("content-type"), /^(text\/plain|application\/openmetrics-text)/);
  const lines = (await response.text()).trim().split("\n");
  const types = new Map(
    lines.filter((l) => l.startsWith("# TYPE ")).map((l) => [l.split(" ")[2], l.split(" ")[3]]),
  );
  for (const [name, type] of types) {
    if (name.endsWith("_total")) assert.equal(type, "counter", `${name} ends in _total`);
    assert.doesNotMatch(name, /_(ms|millis|milliseconds|kb|mb)(_|$)/, `${name} is not in a base unit`);
  }
  assert.ok(
    lines.some((line) => /build_info\{[^}]*version="/.test(line)),
    "build_info with a version",
  );
  for (const line of lines.filter((l) => l && !l.startsWith("#"))) {
    assert.match(line, /^[a-zA-Z_:][a-zA-Z0-9_:]*(\{[^}]*\})? [-+0-9.eEInfNa]+$/, line);
  }
});

test("the statistics count a connection that comes, and forget one that goes", async (t) => {
  // A server of its own: clients of the other tests may still be on their way out.
  const own = await startLakh();
  t.after(() => own.stop());
  const stats = async () => (await fetch(`${own.url}/api/v1/stats`)).json();
  assert.equal((await stats()).connections.total, 0);
  const socket = await connect(t, own.url, { transports: ["websocket"], auth: { name: "Ada" } });
  const during = await stats();
  assert.equal(during.connections.total, 1);
  assert.equal(during.connections.websocket, 1);
  assert.equal(during.mode, "development");
  assert.ok(during.namespaces.some((n) => n.name === "/chat"));
  socket.disconnect();
  // The server is told of the end by the connection; nobody tells the client when it has been.
  const gone = async () => {
    while ((await stats()).connections.total > 0) await new Promise(setImmediate);
  };
  await within(gone(), "the connection to be forgotten");
});

test("the API describes itself", async () => {
  const api = await (await get("/api/v1/openapi.json")).json();
  assert.match(api.openapi, /^3\./);
  assert.ok(api.paths["/api/v1/stats"]);
});

test("the page and its assets are served, and a client-side route gives the page", async () => {
  const page = await (await get("/")).text();
  assert.match(page, /<div id="root"/);
  for (const [, path] of page.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)) {
    const asset = await get(path);
    assert.equal(asset.status, 200, path);
    assert.match(asset.headers.get("cache-control") ?? "", /immutable/, path);
    assert.notEqual((await asset.arrayBuffer()).byteLength, 0);
  }
  assert.match(await (await get("/chat", { headers: { accept: "text/html" } })).text(), /<div id="root"/);
  assert.equal((await get("/assets/not-there.js")).status, 404);
});

test("bad handshakes get Node's codes", async () => {
  for (const [query, code] of [
    ["EIO=4&transport=carrier-pigeon", 0],
    ["EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAA", 1],
  ]) {
    const response = await get(`/socket.io/?${query}`);
    assert.equal(response.status, 400, query);
    assert.equal((await response.json()).code, code, query);
  }
  const posted = await get("/socket.io/?EIO=4&transport=polling", { method: "POST" });
  assert.equal(posted.status, 400);
  assert.equal((await posted.json()).code, 2);
});

test("a wrong setting is told before the port is bound", () => {
  const bin = process.env.TEST_LAKH ?? server.path;
  const run = (...args) => spawnSync(bin, args, { encoding: "utf8", timeout: 30_000 });
  const open = run("serve", "--bind", "0.0.0.0:0");
  assert.notEqual(open.status, 0);
  assert.match(open.stderr + open.stdout, /--open|sign-in/);
  const typo = run("serve", "--bnd", "127.0.0.1:0");
  assert.notEqual(typo.status, 0);
  assert.match(typo.stderr, /--bind/);
});
