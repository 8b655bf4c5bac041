// Rooms, members and names of the chat on a fleet of the real binary: whoever acts on one node is obeyed on all.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { io } from "socket.io-client";
import { start, startRedis } from "./support/processes.js";

const repository = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const built = join(process.env.CARGO_TARGET_DIR ?? join(repository, "target"), process.env.TEST_PROFILE ?? "debug");
const lakh = process.env.TEST_LAKH ?? join(built, "lakh");
const BOUND_MS = 30_000;

let redis;
const nodes = [];
const folder = mkdtempSync(join(tmpdir(), "lakh-chat-rooms-"));

async function startNode(name) {
  const args = ["serve", "chat", "--bind", "127.0.0.1:0", "--node", name, "--data", join(folder, name)];
  const settings = { LAKH_REDIS: redis.url, LAKH_DRAIN__WINDOW_MS: "200" };
  const node = await start(lakh, args, /listening on (http:\/\/[^\s"\\]+)/, settings);
  return { ...node, url: node.found[1].replace(/\/$/, "") };
}

before(async () => {
  redis = await startRedis(["--appendonly", "yes"]);
  for (const name of ["n01", "n02"]) nodes.push(await startNode(name));
});
after(async () => {
  await Promise.all(nodes.map((node) => node.stop()));
  await redis.stop();
  rmSync(folder, { recursive: true, force: true });
});

function within(promise, what) {
  let timer;
  const late = new Promise((_, fail) => {
    timer = setTimeout(() => fail(new Error(`waited ${BOUND_MS} ms for ${what}`)), BOUND_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

const next = (socket, event) => within(new Promise((done) => socket.once(event, done)), event);
const nextWhere = (socket, event, wanted) =>
  within(new Promise((done) => socket.on(event, (value) => wanted(value) && done(value))), `a fitting ${event}`);
const call = (socket, event, request) => within(new Promise((done) => socket.emit(event, request, done)), event);

async function ok(socket, event, request) {
  const answer = await call(socket, event, request);
  assert.equal(answer.ok, true, `${event} was answered ${JSON.stringify(answer)}`);
  return answer;
}

async function refused(socket, event, request, code) {
  const answer = await call(socket, event, request);
  assert.equal(answer.ok, false, `${event} was answered ${JSON.stringify(answer)}`);
  assert.equal(answer.error.code, code);
}

async function here(t, node, name) {
  const socket = io(`${nodes[node].url}/chat`, {
    transports: ["websocket"], auth: { name }, forceNew: true, reconnection: false,
  });
  t.after(() => socket.disconnect());
  await next(socket, "connect");
  return socket;
}

let keys = 0;
const say = (socket, room, text) => ok(socket, "message:send", { room, key: `k${(keys += 1)}`, text });

for (const [act, code, why] of [
  ["member:kick", "not_member", "kicked"],
  ["member:ban", "banned", "banned"],
]) {
  test(`${act} on one node puts the sockets out that are on another, at once`, async (t) => {
    const room = `out-${why}`;
    const [ada, cy] = [await here(t, 0, "Ada"), await here(t, 1, "Cy")];
    const ben = [await here(t, 0, "Ben"), await here(t, 1, "Ben")];
    for (const socket of [ada, cy, ...ben]) await ok(socket, "room:join", { room });
    await say(ben[1], room, "I am here");
    const told = ben.map((socket) => next(socket, "room:removed"));
    const seen = nextWhere(cy, "member:changed", ({ set }) => set.left);
    await ok(ada, act, { room, person: "dev:ben", reason: "enough" });
    for (const removed of await Promise.all(told)) assert.deepEqual({ ...removed }, { room, why, reason: "enough" });
    assert.equal((await seen).user.id, "dev:ben");
    const heard = [];
    for (const socket of ben) socket.on("message:new", ({ text }) => heard.push(text));
    const atCy = nextWhere(cy, "message:new", ({ text }) => text === "without Ben");
    await say(ada, room, "without Ben");
    await atCy;
    for (const socket of ben) await refused(socket, "message:send", { room, key: "x", text: "still?" }, code);
    assert.deepEqual(heard, []);
  });
}

test("a name chosen on one node is what those on another see of what the person says there", async (t) => {
  const room = "names";
  const [ada, phone, ben] = [await here(t, 0, "Ada"), await here(t, 1, "Ada"), await here(t, 1, "Ben")];
  for (const socket of [ada, phone, ben]) await ok(socket, "room:join", { room });
  const changed = [next(ben, "person:changed"), next(phone, "person:changed")];
  await ok(ada, "me:set", { name: "Countess", picture: "/a.png" });
  for (const user of await Promise.all(changed)) {
    assert.deepEqual(user, { id: "dev:ada", name: "Countess", picture: "/a.png" });
  }
  const heard = next(ben, "message:new");
  await say(phone, room, "from the other node");
  assert.deepEqual((await heard).from, { id: "dev:ada", name: "Countess" });
});

test("a role given on one node holds on another at once", async (t) => {
  const room = "roles";
  const [ada, ben] = [await here(t, 0, "Ada"), await here(t, 1, "Ben")];
  await ok(ada, "room:join", { room });
  await ok(ben, "room:join", { room });
  await refused(ben, "room:set", { room, topic: "mine" }, "forbidden");
  const told = nextWhere(ben, "member:changed", ({ set }) => set.role === "moderator");
  await ok(ada, "member:role", { room, person: "dev:ben", role: "moderator" });
  await told;
  const changed = next(ada, "room:changed");
  await ok(ben, "room:set", { room, topic: "ours" });
  assert.deepEqual((await changed).set, { topic: "ours" });
});

test("two who open a direct room at once on two nodes are in the same", async (t) => {
  for (let round = 0; round < 10; round += 1) {
    const names = [`Left${round}`, `Right${round}`];
    const [left, right] = await Promise.all(names.map((name, node) => here(t, node, name)));
    const ids = names.map((name) => `dev:${name.toLowerCase()}`);
    const [a, b] = await Promise.all([
      ok(left, "room:direct", { people: [ids[1]] }),
      ok(right, "room:direct", { people: [ids[0]] }),
    ]);
    assert.equal(a.room.id, b.room.id);
    const heard = next(right, "message:new");
    await say(left, a.room.id, "hi");
    assert.equal((await heard).text, "hi");
  }
});

test("owners who leave at once on two nodes leave an owner behind", async (t) => {
  for (let round = 0; round < 10; round += 1) {
    const room = `handover-${round}`;
    const [ada, ben, cy] = [await here(t, 0, "Ada"), await here(t, 1, "Ben"), await here(t, 1, "Cy")];
    for (const socket of [ada, ben, cy]) await ok(socket, "room:join", { room });
    await ok(ada, "member:role", { room, person: "dev:ben", role: "owner" });
    await Promise.all([ok(ada, "room:leave", { room }), ok(ben, "room:leave", { room })]);
    assert.equal((await ok(cy, "room:get", { room })).room.mine.role, "owner");
  }
});

test("a room deleted on one node is gone on the other", async (t) => {
  const room = "gone";
  const [ada, ben] = [await here(t, 0, "Ada"), await here(t, 1, "Ben")];
  await ok(ada, "room:join", { room });
  await ok(ben, "room:join", { room });
  await say(ben, room, "last words");
  const told = [next(ben, "room:deleted"), next(ben, "room:removed")];
  await ok(ada, "room:delete", { room });
  assert.deepEqual(await told[0], { room });
  assert.deepEqual(await told[1], { room, why: "deleted" });
  await refused(ben, "message:history", { room }, "not_found");
  await refused(ben, "room:get", { room }, "not_found");
  assert.equal((await ok(ben, "room:join", { room })).room.mine.role, "owner");
});
