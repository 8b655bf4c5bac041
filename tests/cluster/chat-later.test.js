// What is due on a fleet of the real binary: done once, whichever node is at it, and by another one if a node is killed.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { io } from "socket.io-client";
import { until, within } from "./support/fleet.js";
import { start, startRedis } from "./support/processes.js";

const repository = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const built = join(process.env.CARGO_TARGET_DIR ?? join(repository, "target"), process.env.TEST_PROFILE ?? "debug");
const lakh = process.env.TEST_LAKH ?? join(built, "lakh");
const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

const folder = mkdtempSync(join(tmpdir(), "lakh-later-"));
const config = join(folder, "lakh.toml");
// What the backend was told: all events of its hook.
const told = [];
let redis, backend;
const nodes = {};

async function startNode(name) {
  const args = ["serve", "chat", "--bind", "127.0.0.1:0", "--node", name, "--data", join(folder, name)];
  const env = { LAKH_CONFIG: config, LAKH_REDIS: redis.url, LAKH_DRAIN__WINDOW_MS: "200" };
  const node = await start(lakh, args, /listening on (http:\/\/[^\s"\\]+)/, env);
  nodes[name] = { ...node, name, url: node.found[1].replace(/\/$/, "") };
}

before(async () => {
  backend = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    told.push(...JSON.parse(Buffer.concat(chunks)).events);
    response.writeHead(204).end();
  });
  await new Promise((done) => backend.listen(0, "127.0.0.1", done));
  const url = `http://127.0.0.1:${backend.address().port}/`;
  const endpoint = `[[hooks.endpoints]]\nname = "crm"\nurl = "${url}"\nsecret = "${SECRET}"\nevents = ["module:message:*"]\n`;
  writeFileSync(config, `${endpoint}[chat]\noffline_after_s = 1\n`);
  redis = await startRedis(["--appendonly", "yes"]);
  for (const name of ["n01", "n02"]) await startNode(name);
});
after(async () => {
  await Promise.all(Object.values(nodes).map((node) => node.stop()));
  await redis.stop();
  backend.closeAllConnections();
  backend.close();
  rmSync(folder, { recursive: true, force: true });
});

const next = (socket, event) => within(new Promise((done) => socket.once(event, (value) => done(value))), event);

async function here(t, node, name) {
  const socket = io(`${node.url}/chat`, { transports: ["websocket"], auth: { name }, forceNew: true, reconnection: false });
  t.after(() => socket.disconnect());
  await next(socket, "connect");
  return socket;
}

async function ok(socket, event, request) {
  const answer = await within(new Promise((done) => socket.emit(event, request, done)), event);
  assert.equal(answer.ok, true, `${event} was answered ${JSON.stringify(answer)}`);
  return answer;
}

test("devices on two nodes know what was read on the other", async (t) => {
  const room = "devices";
  const [phone, laptop] = [await here(t, nodes.n01, "Ada"), await here(t, nodes.n02, "Ada")];
  const ben = await here(t, nodes.n02, "Ben");
  for (const socket of [phone, ben]) await ok(socket, "room:join", { room });
  const changed = next(laptop, "unread:changed");
  const { message } = await ok(ben, "message:send", { room, key: "k", text: "x" });
  assert.deepEqual(await changed, { room, unread: 1, mentions: 0, last: message });
  const [atLaptop, atBen] = [next(laptop, "receipt:update"), next(ben, "receipt:update")];
  await ok(phone, "receipt:read", { room, seq: 1 });
  assert.equal((await atLaptop).unread, 0);
  assert.deepEqual(await atBen, { room, user: { id: "dev:ada", name: "Ada" }, read: 1, delivered: 1 });
});

test("who has no device on any node is told to the backend once", async (t) => {
  const room = "away";
  const ada = await here(t, nodes.n01, "Ada");
  await ok(ada, "room:join", { room });
  // Ben is on the other node, Cy on none.
  const [ben, cy] = [await here(t, nodes.n02, "Ben"), await here(t, nodes.n02, "Cy")];
  for (const socket of [ben, cy]) await ok(socket, "room:join", { room });
  cy.disconnect();
  const of = (event) => event.event === "message:unread" && event.room === room;
  for (const key of ["1", "2", "3"]) await ok(ada, "message:send", { room, key, text: key });
  await until("a reminder", () => told.some(of));
  await ok(ada, "message:send", { room, key: "4", text: "4" });
  await until("another", () => told.some((event) => of(event) && event.seq === 4));
  const all = told.filter(of).map(({ data }) => [data.person.name, data.unread, data.message.text]);
  assert.deepEqual(all, [
    ["Cy", 3, "3"],
    ["Cy", 4, "4"],
  ]);
});

test("a scheduled message survives kill -9 of the node that took it, and is sent once", async (t) => {
  const room = "later";
  const watching = await here(t, nodes.n02, "Ben");
  await ok(watching, "room:join", { room });
  const ada = await here(t, nodes.n01, "Ada");
  await ok(ada, "room:join", { room });
  const heard = [];
  watching.on("message:new", (message) => heard.push(message.key));
  const at = Date.now() + 2_000;
  const keys = Array.from({ length: 20 }, (_, index) => `k${index}`);
  await Promise.all(keys.map((key, index) => ok(ada, "message:send", { room, key, text: key, at: at + index })));
  await nodes.n01.stop("SIGKILL");
  await until("all to be sent", () => heard.length >= keys.length);
  // The other one comes back and finds nothing to do; what is sent now is the next message.
  await startNode("n01");
  const back = await here(t, nodes.n01, "Ada");
  const { message } = await ok(back, "message:send", { room, key: "last", text: "last" });
  assert.equal(message.seq, keys.length + 1);
  assert.deepEqual((await ok(back, "scheduled:list", {})).scheduled, []);
  const { messages } = await ok(watching, "message:history", { room, limit: 100 });
  assert.deepEqual(messages.map(({ key }) => key).sort(), [...keys, "last"].sort());
});
