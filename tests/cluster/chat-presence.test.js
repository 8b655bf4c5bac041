// Presence, status and crowds of the chat on a fleet of the real binary: a person is one over all nodes.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fitting, ok, until } from "../conformance/support/sockets.js";
import { Nodes, connect } from "./support/nodes.js";

const fleet = new Nodes(["chat"], {
  LAKH_CHAT__PRESENCE_GRACE_MS: "300",
  LAKH_CHAT__PRESENCE_SILENCE_MS: "1500",
  LAKH_CHAT__THIN_FROM: "4",
  LAKH_CHAT__CROWD_FROM: "8",
});
const { nodes } = fleet;

before(() => fleet.begin("n01", "n02", "n03"));
after(() => fleet.end());

const here = (t, node, name) => connect(t, node, "/chat", { name });

const listed = async (socket, room) => {
  const { members, count, watching } = await ok(socket, "presence:list", { room });
  return { names: members.map(({ name }) => name), count, watching };
};

test("a person with devices on two nodes comes once and goes once, for watchers on each", async (t) => {
  const room = "once";
  const watchers = [await here(t, nodes[0], "Ada"), await here(t, nodes[1], "Ben"), await here(t, nodes[2], "Cy")];
  for (const watcher of watchers) await ok(watcher, "room:join", { room });
  const all = { names: ["Ada", "Ben", "Cy"], count: 3, watching: 3 };
  for (const watcher of watchers) {
    await until("each to see all", async () => JSON.stringify(await listed(watcher, room)) === JSON.stringify(all));
  }
  const told = watchers.map((watcher) => {
    const list = [];
    watcher.on("presence:update", ({ user, online }) => user.name === "Dee" && list.push(online));
    return list;
  });
  const devices = [await here(t, nodes[0], "Dee"), await here(t, nodes[1], "Dee")];
  // One after the other, as all see: else it's a crowd at once.
  await ok(devices[0], "room:join", { room });
  await until("all to be told", () => told.every((list) => list.length === 1));
  await ok(watchers[2], "room:unwatch", { room });
  await until("one to be gone", async () => (await listed(watchers[0], room)).count === 3);
  await ok(devices[1], "room:join", { room });
  for (const watcher of watchers.slice(0, 2)) {
    await until("both to be seen", async () => (await listed(watcher, room)).watching === 4);
  }
  await ok(devices[0], "room:unwatch", { room });
  await until("one device to be left", async () => (await listed(watchers[1], room)).watching === 3);
  assert.deepEqual(told, [[true], [true], [true]]);
  devices[1].disconnect();
  await until("both to be told", () => told.slice(0, 2).every((list) => list.length === 2));
  assert.deepEqual(told, [[true, false], [true, false], [true]]);
});

test("a status is one over all nodes, and who is gone was last seen on each", async (t) => {
  const ada = await here(t, nodes[0], "Ada");
  const people = ["dev:eve"];
  await ok(ada, "presence:watch", { people });
  const told = [];
  ada.on("presence:change", ({ status }) => told.push(status));
  const phone = await here(t, nodes[1], "Eve");
  await until("her to come", () => told.length === 1);
  const laptop = await here(t, nodes[2], "Eve");
  await ok(phone, "me:status", { status: "away" });
  // Until it's known there, the phone is all that there is.
  await until("the laptop to count", async () => (await ok(phone, "me:get", {})).person.status === "online");
  const away = fitting(ada, "presence:change", ({ status }) => status === "away");
  told.length = 0;
  await ok(laptop, "me:status", { status: "away" });
  assert.deepEqual(await away, { id: "dev:eve", status: "away" });
  const gone = fitting(ada, "presence:change", ({ status }) => status === "offline");
  phone.disconnect();
  laptop.disconnect();
  const { last_seen } = await gone;
  assert.deepEqual(told, ["away", "offline"]);
  for (const node of nodes) {
    const watcher = await here(t, node, "Fay");
    await until("it to be stored", async () => {
      const [eve] = (await ok(watcher, "presence:watch", { people })).people;
      // Each node has rounded it down to a minute for itself.
      return eve.status === "offline" && Math.abs(eve.last_seen - last_seen) <= 60_000;
    });
  }
});

test("whoever is blocked on one node is hidden on another at once", async (t) => {
  const [ada, ben] = [await here(t, nodes[0], "Gil"), await here(t, nodes[1], "Hal")];
  const watched = async () => (await ok(ada, "presence:watch", { people: ["dev:hal"] })).people[0].status;
  await until("him to be seen", async () => (await watched()) === "online");
  const hidden = fitting(ada, "presence:change", ({ status }) => status === "offline");
  await ok(ben, "block:add", { person: "dev:gil" });
  assert.deepEqual(await hidden, { id: "dev:hal", status: "offline" });
  assert.equal(await watched(), "offline");
});

test("a crowd over all nodes is counted, with those who type", async (t) => {
  const room = "crowd";
  const people = [];
  for (let number = 0; number < 9; number += 1) {
    const person = await here(t, nodes[number % 3], `P${number}`);
    person.seen = {};
    person.on("crowd:changed", ({ crowd }) => (person.seen.crowd = crowd));
    person.on("presence:count", ({ watching }) => (person.seen.watching = watching));
    person.on("typing:count", ({ count }) => (person.seen.typing = count));
    await ok(person, "room:join", { room });
    people.push(person);
  }
  const all = (what, value) => until(`${what} ${value}`, () => people.every(({ seen }) => seen[what] === value));
  await all("watching", 9);
  for (const person of people) {
    const { room: shape } = await ok(person, "room:join", { room });
    assert.deepEqual([shape.crowd, shape.watching], ["counts", 9]);
  }
  for (const person of people.slice(0, 6)) await ok(person, "typing:set", { room, typing: true });
  await all("typing", 6);
  for (const person of people.slice(0, 6)) await ok(person, "typing:set", { room, typing: false });
  await all("typing", 0);
  for (const person of people.splice(3)) await ok(person, "room:unwatch", { room });
  await all("crowd", "none");
});

test("those on a killed node are gone after a silence, and those elsewhere stay", async (t) => {
  const room = "killed";
  const [ada, ben] = [await here(t, nodes[0], "Ada"), await here(t, nodes[1], "Ben")];
  const both = [await here(t, nodes[1], "Ivy"), await here(t, nodes[2], "Ivy")];
  const joe = await here(t, nodes[2], "Joe");
  const told = [];
  ada.on("presence:update", ({ user, online }) => told.push([user.name, online]));
  for (const socket of [ada, ben, joe]) await ok(socket, "room:join", { room });
  await until("all to be there", async () => (await listed(ada, room)).count === 3);
  await ok(ada, "presence:watch", { people: ["dev:joe", "dev:ivy"] });
  const changes = [];
  ada.on("presence:change", ({ id, status, last_seen }) => changes.push([id, status, last_seen % 60_000]));
  await nodes[2].stop();
  await until("one to be gone", () => told.some(([name, online]) => name === "Joe" && !online));
  // Each node waits for itself.
  await until("it to be known elsewhere", async () => (await listed(ben, room)).names.join() === "Ada,Ben");
  assert.deepEqual(changes, [["dev:joe", "offline", 0]], "she has a device elsewhere");
  await until("it to be stored", async () => {
    const [joe] = (await ok(ben, "person:get", { people: ["dev:joe"] })).people;
    return joe.status === "offline" && joe.last_seen > 0;
  });
  assert.equal(both[0].connected, true);
});
