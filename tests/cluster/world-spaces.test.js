// Spaces on two nodes of the real binary with one Redis: members are one crowd, locks have one holder, and who was cut off
// comes back on the other node as the member that it was.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { call, cut, fitting, ok, until } from "../conformance/support/sockets.js";
import { Nodes, connect } from "./support/nodes.js";

const fleet = new Nodes(["world"], { LAKH_SPACES__GRACE_MS: "3000", LAKH_SPACES__SILENCE_MS: "1500" });
const { nodes } = fleet;

before(() => fleet.begin("n01", "n02", "n03"));
after(() => fleet.end());

async function member(t, node, space, name, more = {}) {
  const socket = await connect(t, node, "/world", { name });
  return { socket, ...(await ok(socket, "space:enter", { space, ...more })) };
}

const of = (list, session) => list?.some((one) => one.session === session);

test("members of all nodes are one crowd, and hear of each other", async (t) => {
  const space = "one crowd";
  const ada = await member(t, nodes[0], space, "Ada", { profile: "red" });
  const came = fitting(ada.socket, "space:members", ({ entered }) => entered?.[0].user.name === "Ben");
  const ben = await member(t, nodes[1], space, "Ben");
  assert.equal((await came).entered[0].session, ben.session);
  const { members } = await ok(ben.socket, "space:get", { space });
  assert.deepEqual(members.map(({ session }) => session).sort(), [ada.session, ben.session].sort());
  const moved = fitting(ben.socket, "space:location", ({ session }) => session === ada.session);
  await ok(ada.socket, "space:location", { space, location: { slide: 2 } });
  assert.deepEqual((await moved).location, { slide: 2 });
  const pointed = fitting(ada.socket, "space:cursors", ({ cursors }) => of(cursors, ben.session));
  ben.socket.emit("space:cursor", { space, x: 4, y: 5 });
  assert.deepEqual((await pointed).cursors, [{ session: ben.session, x: 4, y: 5 }]);
  const gone = fitting(ada.socket, "space:members", ({ left }) => of(left, ben.session));
  ben.socket.disconnect();
  await gone;
});

test("of all nodes' members one gets a lock, and all are told who", async (t) => {
  const space = "one holder";
  const all = [];
  for (let n = 0; n < 9; n += 1) all.push(await member(t, nodes[n % 3], space, `Member ${n}`));
  for (let round = 0; round < 10; round += 1) {
    const component = `component ${round}`;
    const told = all.map(({ socket }) => fitting(socket, "space:lock", (news) => news.component === component));
    const answers = await Promise.all(all.map(({ socket }) => call(socket, "space:lock", { space, component })));
    const won = answers.filter((answer) => answer.ok);
    assert.equal(won.length, 1);
    for (const { lock } of await Promise.all(told)) assert.deepEqual(lock, won[0].lock);
    for (const { error } of answers.filter((answer) => !answer.ok)) assert.equal(error.code, "locked");
  }
  assert.equal((await ok(all[0].socket, "space:locks", { space })).locks.length, 10);
});

test("who is cut off comes back on another node as the member that it was", async (t) => {
  const space = "back again";
  const ada = await member(t, nodes[0], space, "Ada", { profile: "red" });
  const ben = await member(t, nodes[1], space, "Ben");
  const heard = [];
  ben.socket.on("space:members", (told) => heard.push(told));
  await ok(ada.socket, "space:lock", { space, component: "title" });
  await ok(ada.socket, "space:location", { space, location: "title" });
  // Nodes gather what changes for a moment: what comes and goes within that is never told.
  await until("the other node knows", async () => {
    const { locations } = await ok(ben.socket, "space:get", { space });
    return locations.length === 1;
  });
  const lost = fitting(ben.socket, "space:members", ({ updated }) => updated?.[0].connected === false);
  cut(ada.socket);
  await lost;
  const found = fitting(ben.socket, "space:members", ({ updated }) => updated?.[0].connected);
  const again = await member(t, nodes[2], space, "Ada", { resume: ada.resume });
  assert.deepEqual([again.session, again.resumed], [ada.session, true]);
  assert.equal((await found).updated[0].profile, "red");
  // Longer than the first node would have waited.
  const later = await member(t, nodes[1], space, "Cleo");
  const cleo = fitting(ben.socket, "space:members", ({ left }) => of(left, later.session));
  cut(later.socket);
  await cleo;
  assert.ok(!heard.some(({ left }) => of(left, ada.session)), "it was there all the time");
  const { members, locks } = await ok(ben.socket, "space:get", { space });
  assert.ok(of(members, ada.session));
  assert.equal(locks[0].session, ada.session);
});

test("members and locks of a node that is killed are given up by the others", async (t) => {
  const space = "one node less";
  const ben = await member(t, nodes[0], space, "Ben");
  const came = fitting(ben.socket, "space:members", ({ entered }) => entered?.[0].user.name === "Ada");
  const locked = fitting(ben.socket, "space:lock", ({ lock }) => lock);
  const ada = await member(t, nodes[2], space, "Ada");
  await ok(ada.socket, "space:lock", { space, component: "title", for_s: 600 });
  // What a node has had no time to tell the others, nobody can give up for it; such a lock expires.
  await Promise.all([came, locked]);
  const gone = fitting(ben.socket, "space:members", ({ left }) => of(left, ada.session));
  const free = fitting(ben.socket, "space:lock", ({ lock }) => lock === null);
  await nodes[2].stop("SIGKILL");
  await gone;
  assert.equal((await free).why, "left");
  await ok(ben.socket, "space:lock", { space, component: "title" });
});
