// Rooms, members and names of the chat on a fleet of the real binary: whoever acts on one node is obeyed on all.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { first, fitting, ok, refused } from "../conformance/support/sockets.js";
import { Nodes, connect } from "./support/nodes.js";

const fleet = new Nodes(["chat"]);

before(() => fleet.begin("n01", "n02"));
after(() => fleet.end());

const here = (t, node, name) => connect(t, fleet.nodes[node], "/chat", { name });

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
    const told = ben.map((socket) => first(socket, "room:removed"));
    const seen = fitting(cy, "member:changed", ({ set }) => set.left);
    await ok(ada, act, { room, person: "dev:ben", reason: "enough" });
    for (const removed of await Promise.all(told)) assert.deepEqual({ ...removed }, { room, why, reason: "enough" });
    assert.equal((await seen).user.id, "dev:ben");
    const heard = [];
    for (const socket of ben) socket.on("message:new", ({ text }) => heard.push(text));
    const atCy = fitting(cy, "message:new", ({ text }) => text === "without Ben");
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
  const changed = [first(ben, "person:changed"), first(phone, "person:changed")];
  await ok(ada, "me:set", { name: "Countess", picture: "/a.png" });
  for (const user of await Promise.all(changed)) {
    assert.deepEqual(user, { id: "dev:ada", name: "Countess", picture: "/a.png" });
  }
  const heard = first(ben, "message:new");
  await say(phone, room, "from the other node");
  assert.deepEqual((await heard).from, { id: "dev:ada", name: "Countess" });
});

test("a role given on one node holds on another at once", async (t) => {
  const room = "roles";
  const [ada, ben] = [await here(t, 0, "Ada"), await here(t, 1, "Ben")];
  await ok(ada, "room:join", { room });
  await ok(ben, "room:join", { room });
  await refused(ben, "room:set", { room, topic: "mine" }, "forbidden");
  const told = fitting(ben, "member:changed", ({ set }) => set.role === "moderator");
  await ok(ada, "member:role", { room, person: "dev:ben", role: "moderator" });
  await told;
  const changed = first(ada, "room:changed");
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
    const heard = first(right, "message:new");
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
  const told = [first(ben, "room:deleted"), first(ben, "room:removed")];
  await ok(ada, "room:delete", { room });
  assert.deepEqual(await told[0], { room });
  assert.deepEqual(await told[1], { room, why: "deleted" });
  await refused(ben, "message:history", { room }, "not_found");
  await refused(ben, "room:get", { room }, "not_found");
  assert.equal((await ok(ben, "room:join", { room })).room.mine.role, "owner");
});
