// Presence, status, typing and crowds of the module chat, on one node of the real binary, with stock clients.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { connect, first, fitting, ok, refused } from "./support/client.js";
import { startLakh } from "./support/server.js";

let server;
before(async () => {
  server = await startLakh({ env: { LAKH_CHAT__THIN_FROM: "5", LAKH_CHAT__CROWD_FROM: "10" } });
});
after(() => server.stop());

let names = 0;
const fresh = (prefix) => `${prefix}-${(names += 1)}`;
const here = (t, name) => connect(t, `${server.url}/chat`, { transports: ["websocket"], auth: { name } });

async function crowd(t, room, size) {
  const people = [];
  for (let number = 0; number < size; number += 1) {
    const person = await here(t, fresh("person"));
    await ok(person, "room:join", { room });
    people.push(person);
  }
  return people;
}

describe("people", { concurrency: true }, () => {
  test("a status is that of the device which is used most, and ends with a time", async (t) => {
    const name = fresh("ben");
    const id = `dev:${name}`;
    const ada = await here(t, fresh("ada"));
    const before = await ok(ada, "presence:watch", { people: [id] });
    assert.deepEqual(before.people, [{ id, status: "offline" }]);
    const changes = [];
    ada.on("presence:change", (change) => changes.push(change.status));
    const came = first(ada, "presence:change");
    const phone = await here(t, name);
    assert.deepEqual(await came, { id, status: "online" });
    const laptop = await here(t, name);
    assert.equal((await ok(phone, "me:status", { status: "away" })).status, "online");
    const away = first(ada, "presence:change");
    assert.equal((await ok(laptop, "me:status", { status: "away" })).status, "away");
    assert.deepEqual(await away, { id, status: "away" });
    const gone = fitting(ada, "presence:change", ({ status }) => status === "offline");
    phone.disconnect();
    laptop.disconnect();
    const { last_seen, ...rest } = await gone;
    assert.deepEqual(rest, { id, status: "offline" });
    assert.equal(last_seen % 60_000, 0);
    assert.ok(Math.abs(Date.now() - last_seen) < 120_000);
    assert.deepEqual(changes, ["online", "away", "offline"]);
  });

  test("whoever has unwatched somebody, or is blocked by them, hears nothing of them", async (t) => {
    const [one, other] = [fresh("one"), fresh("other")];
    const [ada, ben] = [await here(t, one), await here(t, other)];
    const people = [`dev:${other}`];
    assert.equal((await ok(ada, "presence:watch", { people })).people[0].status, "online");
    const hidden = first(ada, "presence:change");
    await ok(ben, "block:add", { person: `dev:${one}` });
    assert.deepEqual(await hidden, { id: people[0], status: "offline" });
    assert.deepEqual((await ok(ada, "presence:watch", { people })).people, [{ id: people[0], status: "offline" }]);
    await ok(ben, "block:remove", { person: `dev:${one}` });
    await ok(ada, "presence:watch", { people });
    await ok(ada, "presence:unwatch", { people });
    const changes = [];
    ada.on("presence:change", (change) => changes.push(change));
    await ok(ben, "me:status", { status: "away" });
    // What was told before this answer is here.
    await ok(ada, "person:get", { people });
    assert.deepEqual(changes, []);
  });

  for (const [request, wrong] of [
    ["presence:watch", { people: [] }],
    ["presence:watch", { people: "ada" }],
    ["presence:watch", { people: Array(201).fill("x") }],
    ["presence:unwatch", { people: [""] }],
    ["me:status", { status: "offline" }],
    ["me:status", {}],
    ["presence:count", { room: "" }],
    ["presence:list", { room: "r", cursor: "\n" }],
    ["typing:set", { room: "r", typing: "yes" }],
  ]) {
    test(`${request} ${JSON.stringify(wrong).slice(0, 40)} is refused`, async (t) => {
      await refused(await here(t, fresh("ada")), request, wrong, "bad_request");
    });
  }
});

describe("rooms", { concurrency: true }, () => {
  test("typing in a thread names the thread", async (t) => {
    const room = fresh("room");
    const [ada, ben] = await crowd(t, room, 2);
    const told = first(ada, "typing:update");
    await ok(ben, "typing:set", { room, thread: 3, typing: true });
    const { thread, typing } = await told;
    assert.deepEqual([thread, typing], [3, true]);
  });

  test("a room that more and more people watch is thinned, then counted, and changes back", async (t) => {
    const room = fresh("room");
    const ada = await here(t, fresh("ada"));
    await ok(ada, "room:join", { room });
    const crowds = [];
    const updates = [];
    ada.on("crowd:changed", (told) => told.room === room && crowds.push(told.crowd));
    ada.on("presence:update", (told) => told.room === room && updates.push(told));
    const counted = fitting(ada, "presence:count", ({ watching }) => watching === 11);
    const people = await crowd(t, room, 10);
    assert.deepEqual(await counted, { room, watching: 11, online: 11 });
    assert.deepEqual(crowds, ["thinned", "counts"]);
    assert.equal(updates.length, 5);

    const typing = fitting(ada, "typing:count", ({ count }) => count === 4);
    for (const person of people.slice(0, 4)) await ok(person, "typing:set", { room, typing: true });
    assert.deepEqual(await typing, { room, users: [], count: 4 });

    const none = fitting(ada, "crowd:changed", (told) => told.room === room && told.crowd === "none");
    for (const person of people.slice(0, 7)) await ok(person, "room:unwatch", { room });
    await none;
    assert.deepEqual(crowds, ["thinned", "counts", "thinned", "none"]);
    const stranger = await here(t, fresh("stranger"));
    const { ok: _, ...count } = await ok(stranger, "presence:count", { room });
    assert.deepEqual(count, { watching: 4, online: 4, crowd: "none" });
    const listed = await ok(ada, "presence:list", { room });
    assert.deepEqual([listed.members.length, listed.count, listed.watching], [4, 4, 4]);
    await refused(stranger, "presence:count", { room: fresh("nowhere") }, "not_found");
  });
});
