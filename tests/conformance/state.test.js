// State, locks and cursors of rooms (namespace /) of the real binary, with stock clients.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { TRANSPORTS, call, connect, cut, next, ok } from "./support/client.js";
import { startLakh } from "./support/server.js";

let server;
before(async () => (server = await startLakh()));
after(() => server.stop());

let rooms = 0;
const freshRoom = () => `board-${(rooms += 1)}`;
const here = (t, options) =>
  connect(t, server.url, { transports: ["websocket"], auth: { name: "Ada" }, ...options });

/** A room's state as a client has it; a hole or a double fails. */
function follow(socket, room) {
  const view = { map: new Map(), version: 0, snapshots: 0, wake: () => {} };
  socket.on("state:snapshot", (snapshot) => {
    if (snapshot.room !== room) return;
    view.map = new Map(Object.entries(snapshot.entries).map(([key, { value }]) => [key, value]));
    view.version = snapshot.version;
    view.snapshots += 1;
    view.wake();
  });
  socket.on("state:changed", (changed) => {
    if (changed.room !== room) return;
    for (const { key, value, deleted, version } of changed.changes) {
      assert.equal(version, view.version + 1, "a hole, or a double");
      view.version = version;
      if (deleted) view.map.delete(key);
      else view.map.set(key, value);
    }
    view.wake();
  });
  view.until = async (holds) => {
    while (!holds(view)) await new Promise((wake) => (view.wake = wake));
  };
  return view;
}

for (const [name, options] of Object.entries(TRANSPORTS)) {
  test(`${name}: a snapshot, and then each change, whoever writes meanwhile`, async (t) => {
    const [ada, grace] = await Promise.all([here(t, options), here(t, options)]);
    const room = freshRoom();
    await ok(ada, "room:join", { room });
    const view = follow(grace, room);
    const writes = [];
    for (let n = 0; n < 60; n++) {
      writes.push(ok(ada, "state:set", { room, key: `k${n % 7}`, value: { n } }));
      if (n === 30) writes.push(ok(grace, "room:join", { room, state: true }));
    }
    await Promise.all(writes);
    const { version, entries } = await ok(ada, "state:get", { room });
    await view.until((now) => now.version === version);
    const expected = Object.entries(entries).map(([key, { value }]) => [key, value]);
    assert.deepEqual([...view.map].sort(), expected.sort());
    assert.equal(view.snapshots, 1);
  });
}

describe("state", { concurrency: true }, () => {
  test("compare and set tells the loser what is there", async (t) => {
    const [ada, grace] = await Promise.all([here(t), here(t)]);
    const room = freshRoom();
    for (const socket of [ada, grace]) await ok(socket, "room:join", { room });
    const race = await Promise.all(
      [ada, grace].map((socket, n) =>
        call(socket, "state:set", { room, key: "k", value: n, if_version: 0 }),
      ),
    );
    const [won, lost] = race[0].ok ? race : race.reverse();
    assert.equal(won.ok, true);
    assert.equal(lost.error.code, "conflict");
    assert.equal(lost.error.current.version, won.version);
  });

  test("an entry expires by itself, and another goes with its socket", async (t) => {
    const [ada, grace] = await Promise.all([here(t), here(t)]);
    const room = freshRoom();
    for (const socket of [ada, grace]) await ok(socket, "room:join", { room });
    const view = follow(grace, room);
    await ok(grace, "state:join", { room });
    await ok(ada, "state:set", { room, key: "soon", value: 1, ttl_ms: 300 });
    await ok(ada, "state:set", { room, key: "mine", value: 1, bind: "socket" });
    await view.until(({ map }) => map.has("mine") && !map.has("soon"));
    ada.disconnect();
    await view.until(({ map }) => map.size === 0);
  });

  test("who was cut off has the state again", async (t) => {
    const [ada, grace] = await Promise.all([here(t), here(t)]);
    const room = freshRoom();
    for (const socket of [ada, grace]) await ok(socket, "room:join", { room });
    const view = follow(grace, room);
    await ok(grace, "state:join", { room });
    const back = next(grace, "connect");
    const event = next(grace, "e");
    await ok(ada, "room:emit", { room, event: "e" });
    await event;
    cut(grace);
    await ok(ada, "state:set", { room, key: "k", value: "while away" });
    await back;
    assert.equal(grace.recovered, true);
    await view.until(({ map }) => map.get("k") === "while away");
    await ok(ada, "state:set", { room, key: "k", value: "after" });
    await view.until(({ map }) => map.get("k") === "after");
  });

  test("a lock goes from one to the next, with growing tokens", async (t) => {
    const sockets = await Promise.all([here(t), here(t), here(t)]);
    const room = freshRoom();
    for (const socket of sockets) await ok(socket, "room:join", { room });
    const request = { room, name: "l", ttl_ms: 30_000, wait_ms: 30_000 };
    const tokens = [];
    await Promise.all(
      sockets.map(async (socket) => {
        const { token } = await ok(socket, "lock:acquire", request);
        tokens.push(token);
        await ok(socket, "lock:release", { room, name: "l", token });
      }),
    );
    assert.equal(tokens.length, 3);
    assert.deepEqual(tokens, [...new Set(tokens)].sort((a, b) => a - b));
  });

  test("cursors are seen by the others, and gone with their sockets", async (t) => {
    const [ada, grace] = await Promise.all([here(t), here(t, { auth: { name: "Grace" } })]);
    const room = freshRoom();
    for (const socket of [ada, grace]) await ok(socket, "cursor:join", { room });
    const moved = next(grace, "cursor:moved");
    ada.volatile.emit("cursor:move", { room, x: 1.5, y: -2, data: { tool: "pen" } });
    const [batch] = await moved;
    assert.deepEqual(batch, { room, moved: [[ada.id, 1.5, -2, { tool: "pen" }]] });
    const late = await here(t);
    const { cursors } = await ok(late, "cursor:join", { room });
    assert.deepEqual(cursors, [
      { id: ada.id, x: 1.5, y: -2, data: { tool: "pen" }, user: { id: "dev:ada", name: "Ada" } },
    ]);
    const left = next(grace, "cursor:left");
    const id = ada.id;
    ada.disconnect();
    assert.deepEqual((await left)[0], { room, ids: [id] });
  });

  test("who has two tabs has two cursors, and the one that closes takes its own along", async (t) => {
    const [one, two, grace] = [await here(t), await here(t), await here(t, { auth: { name: "Grace" } })];
    const room = freshRoom();
    for (const socket of [one, two, grace]) await ok(socket, "cursor:join", { room });
    const places = new Map();
    const left = [];
    grace.on("cursor:moved", ({ moved }) => moved.forEach(([id, x, y]) => places.set(id, [x, y])));
    grace.on("cursor:left", ({ ids }) => left.push(...ids));
    one.emit("cursor:move", { room, x: 1, y: 1 });
    two.emit("cursor:move", { room, x: 2, y: 2 });
    while (places.size < 2) await next(grace, "cursor:moved");
    assert.deepEqual(Object.fromEntries(places), { [one.id]: [1, 1], [two.id]: [2, 2] });
    const { cursors } = await ok(grace, "cursor:join", { room });
    const ada = { id: "dev:ada", name: "Ada" };
    const byX = cursors.sort((a, b) => a.x - b.x);
    assert.deepEqual(byX, [{ id: one.id, x: 1, y: 1, user: ada }, { id: two.id, x: 2, y: 2, user: ada }]);
    const gone = [next(grace, "cursor:left"), one.id];
    one.disconnect();
    assert.deepEqual((await gone[0])[0], { room, ids: [gone[1]] });
    two.emit("cursor:move", { room, x: 3, y: 3 });
    while (places.get(two.id)[0] !== 3) await next(grace, "cursor:moved");
    assert.deepEqual((await ok(grace, "cursor:join", { room })).cursors.map(({ id }) => id), [two.id]);
    assert.deepEqual(left, [gone[1]]);
  });
});

describe("what goes with a socket", { concurrency: true }, () => {
  // Long enough that no test lives to see its end.
  const GRACE_MS = 600_000;
  let slow;
  let quick;
  before(async () => {
    const serve = (grace) =>
      startLakh({ env: { LAKH_ROOMS__OPTIONS: `[{ pattern = "*", state_grace_ms = ${grace} }]` } });
    [slow, quick] = await Promise.all([serve(GRACE_MS), serve(300)]);
  });
  after(() => Promise.all([slow.stop(), quick.stop()]));
  const at = (t, server, name, options) =>
    connect(t, server.url, { transports: ["websocket"], auth: { name }, ...options });

  // Ada holds the lock and has a key of her own; Grace waits for the one and follows the other.
  async function hold(t, server, options) {
    const [ada, grace] = [await at(t, server, "Ada", options), await at(t, server, "Grace")];
    const room = freshRoom();
    for (const socket of [ada, grace]) await ok(socket, "room:join", { room });
    const view = follow(grace, room);
    await ok(grace, "state:join", { room });
    await ok(ada, "state:set", { room, key: "hers", value: 1, bind: "socket" });
    const { token } = await ok(ada, "lock:acquire", { room, name: "l", ttl_ms: 300_000 });
    const freed = call(grace, "lock:acquire", { room, name: "l", ttl_ms: 300_000, wait_ms: 300_000 });
    await view.until(({ map }) => map.has("hers"));
    return { ada, grace, room, view, token, freed };
  }

  for (const [name, options] of Object.entries(TRANSPORTS)) {
    for (const [how, go] of [
      ["disconnect()", ({ ada }) => ada.disconnect()],
      ["room:leave", ({ ada, room }) => ok(ada, "room:leave", { room })],
    ]) {
      test(`${name}: ${how} frees at once what a broken connection would keep`, async (t) => {
        const held = await hold(t, slow, options);
        await go(held);
        const next = await held.freed;
        assert.ok(next.ok && next.token > held.token, JSON.stringify(next));
        await held.view.until(({ map }) => !map.has("hers"));
      });
    }
  }

  test("who is cut off and comes back in time holds what they held", async (t) => {
    const { ada, room, view, token, grace, freed } = await hold(t, slow);
    // An event of the log, by which the client comes back.
    const event = next(ada, "e");
    await ok(grace, "room:emit", { room, event: "e" });
    await event;
    const back = next(ada, "connect");
    cut(ada);
    await back;
    assert.equal(ada.recovered, true);
    await ok(ada, "lock:renew", { room, name: "l", token, ttl_ms: 300_000 });
    await ok(ada, "state:set", { room, key: "end", value: 1 });
    await view.until(({ map }) => map.has("end"));
    assert.ok(view.map.has("hers"));
    await ok(ada, "lock:release", { room, name: "l", token });
    assert.ok((await freed).token > token);
  });

  test("who is cut off and does not come back loses it after the grace", async (t) => {
    const { ada, view, token, freed } = await hold(t, quick);
    ada.io.reconnection(false);
    cut(ada);
    const next = await freed;
    assert.ok(next.ok && next.token > token, JSON.stringify(next));
    await view.until(({ map }) => !map.has("hers"));
  });
});
