// History, presence, filters and private rooms of the real binary, with the stock client.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { TRANSPORTS, collect, connect, connected, cut, next, ok, refused } from "./support/client.js";
import { startLakh } from "./support/server.js";

const OPTIONS = `[
  { pattern = "kept:*", history = "store" },
  { pattern = "deal:*", private = true, history = "memory" },
  { pattern = "*", history = "memory", presence = true, presence_grace_ms = 300, presence_tick_ms = 50 },
]`;

let server;
before(async () => (server = await startLakh({ env: { LAKH_ROOMS__OPTIONS: OPTIONS } })));
after(() => server.stop());

let rooms = 0;
const freshRoom = (kind = "board") => `${kind}:${(rooms += 1)}`;
const here = (t, options) =>
  connect(t, server.url, { transports: ["websocket"], auth: { name: "Ada" }, ...options });

const say = (socket, room, data, tags) => ok(socket, "room:emit", { room, event: "said", data, tags });

// The next event of this name that fits.
async function until(socket, event, fits) {
  for (;;) {
    const [news] = await next(socket, event);
    if (fits(news)) return news;
  }
}

for (const [name, options] of Object.entries(TRANSPORTS)) {
  for (const kind of ["board", "kept"]) {
    test(`${name}, ${kind}: who joins in the middle of writes misses nothing and gets nothing twice`, async (t) => {
      const ada = await here(t, options);
      const room = freshRoom(kind);
      await ok(ada, "room:join", { room });
      const bytes = Buffer.from([0, 255, 1]);
      for (let i = 1; i <= 20; i++) await say(ada, room, { i, bytes });
      const writing = (async () => {
        for (let i = 21; i <= 60; i++) await say(ada, room, { i, bytes });
      })();
      const grace = await here(t, { ...options, auth: { name: "Grace" } });
      const seen = [];
      grace.on("said", (data, origin) => seen.push([origin.seq, data]));
      const { events, seq, complete, next: older } = await ok(grace, "room:join", { room, rewind: { after: 0 } });
      assert.equal(complete, true);
      // A packet holds ten binary values, so the past comes in pages.
      for (let before = older; before; ) {
        const page = await ok(grace, "history:get", { room, before });
        events.unshift(...page.events);
        before = page.next;
      }
      await writing;
      // Ada's answers say nothing of when Grace, on another loop, hears of it: an answer of her own may come before.
      while (Math.max(events.at(-1).seq, seen.at(-1)?.[0] ?? 0) < 60) await next(grace, "said");
      await ok(grace, "history:get", { room });
      const all = [...events.map((event) => [event.seq, event.data]), ...seen];
      assert.equal(events.at(-1).seq, seq);
      assert.deepEqual(
        all,
        Array.from({ length: 60 }, (_, i) => [i + 1, { i: i + 1, bytes }]),
      );
    });
  }
}

test("presence: a person is there with the first device and gone with the last, and a broken connection is no news", async (t) => {
  const room = freshRoom();
  const watcher = await here(t, { auth: { name: "Watcher" } });
  const page = await ok(watcher, "presence:subscribe", { room });
  assert.deepEqual([page.members, page.people, page.sockets], [[], 0, 0]);
  const [phone, laptop] = await Promise.all([
    here(t, { auth: { name: "Grace" } }),
    here(t, { auth: { name: "Grace" } }),
  ]);
  const joined = next(watcher, "presence:join");
  await ok(phone, "room:join", { room });
  const [news] = await joined;
  assert.deepEqual(news, { room, id: "dev:grace", user: { id: "dev:grace", name: "Grace" }, sockets: 1, people: 1, count: 1 });
  assert.equal((await ok(laptop, "room:join", { room })).count, 2);
  const left = [];
  watcher.on("presence:leave", ({ id }) => left.push(id));
  const updated = next(watcher, "presence:update");
  await ok(phone, "presence:update", { room, data: { mood: "good" } });
  assert.deepEqual((await updated)[0].data, { mood: "good" });
  // The laptop's connection breaks and comes back; then the phone leaves.
  const gone = next(laptop, "disconnect");
  cut(laptop);
  await gone;
  laptop.connect();
  await connected(laptop);
  await ok(phone, "room:leave", { room });
  const { members } = await ok(watcher, "presence:get", { room });
  assert.deepEqual(members.map(({ id, sockets }) => [id, sockets]), [["dev:grace", 1]]);
  assert.deepEqual(left, []);
  const last = next(watcher, "presence:leave");
  laptop.disconnect();
  assert.equal((await last)[0].people, 0);
  const counts = await ok(watcher, "presence:subscribe", { room, counts: true });
  assert.deepEqual([counts.people, counts.sockets], [0, 0]);
});

test("occupancy is told to those who only count", async (t) => {
  const room = freshRoom();
  const [counter, ada] = await Promise.all([here(t), here(t)]);
  await ok(counter, "presence:subscribe", { room, counts: true });
  const two = until(counter, "room:occupancy", ({ sockets }) => sockets === 2);
  const grace = await here(t, { auth: { name: "Grace" } });
  await Promise.all([ok(ada, "room:join", { room }), ok(grace, "room:join", { room, presence: true })]);
  assert.deepEqual(await two, { room, people: 2, sockets: 2, named: true });
});

test("filters: each gets what it asked for, also of the past and after a broken connection", async (t) => {
  const room = freshRoom();
  const [ada, red, cheap] = await Promise.all([here(t), here(t), here(t)]);
  await ok(ada, "room:join", { room });
  await say(ada, room, 1, { color: "red", price: 20 });
  await say(ada, room, 2, { color: "blue", price: 5 });
  const past = await ok(red, "room:join", { room, filter: { color: "red" }, rewind: { last: 10 } });
  assert.deepEqual(past.events.map(({ data }) => data), [1]);
  assert.deepEqual(past.events[0].tags, { color: "red", price: 20 });
  await ok(cheap, "room:join", { room, filter: { or: [{ price: { lt: 10 } }, { color: { exists: false } }] } });
  const [atRed, atCheap] = [collect(red, "said", 2), collect(cheap, "said", 2)];
  await say(ada, room, 3, { color: "red", price: 30 });
  await say(ada, room, 4);
  await say(ada, room, 5, { color: "red", price: 3 });
  assert.deepEqual((await atRed).map(([data, { seq }]) => [data, seq]), [[3, 3], [5, 5]]);
  assert.deepEqual((await atCheap).map(([data]) => data), [4, 5]);
  const gone = next(red, "disconnect");
  cut(red);
  await gone;
  await say(ada, room, 6, { color: "blue" });
  await say(ada, room, 7, { color: "red" });
  const missed = collect(red, "said", 1);
  red.connect();
  await connected(red);
  assert.equal(red.recovered, true);
  assert.deepEqual((await missed).map(([data]) => data), [7]);
});

test("several rooms are joined at once", async (t) => {
  const ada = await here(t);
  const [one, two] = [freshRoom(), freshRoom()];
  await ok(ada, "room:join", { room: one });
  await say(ada, one, "hello");
  const { joined, refused: not } = await ok(ada, "room:join", { rooms: [one, two, ""], rewind: { last: 1 } });
  assert.deepEqual(joined[one].events.map(({ data }) => data), ["hello"]);
  assert.equal(joined[two].seq, 0);
  assert.equal(not[""].code, "bad_request");
});

test("a history in the store outlives the server, and so do its numbers", async (t) => {
  const data = mkdtempSync(join(tmpdir(), "lakh-test-"));
  t.after(() => rmSync(data, { recursive: true, force: true }));
  for (const life of [0, 1]) {
    const lives = await startLakh({ data, env: { LAKH_ROOMS__OPTIONS: OPTIONS } });
    t.after(() => lives.stop());
    const ada = await connect(t, lives.url, { transports: ["websocket"], auth: { name: "Ada" } });
    const { events, seq } = await ok(ada, "room:join", { room: "kept:life", rewind: { after: 0 } });
    assert.deepEqual([events.map(({ data }) => data), seq], [life ? [0] : [], life]);
    assert.equal((await say(ada, "kept:life", life)).seq, life + 1);
    await lives.stop();
  }
});

test("a private room is for those with a token, for as long as it lasts", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "lakh-test-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const secret = join(folder, "secret");
  writeFileSync(secret, "0123456789abcdef0123456789abcdef", { mode: 0o600 });
  const strict = await startLakh({
    env: {
      LAKH_ROOMS__OPTIONS: OPTIONS,
      LAKH_AUTH__SECRET_FILE: secret,
      LAKH_AUTH__AUDIENCE: "people",
      LAKH_ROOMS__RULES: `[{ pattern = "inbox:{user}", join = "signed-in" }, { pattern = "deal:*", join = "nobody" }]`,
    },
  });
  t.after(() => strict.stop());
  const make = (...args) =>
    execFileSync(strict.path, ["token", "--auth-secret-file", secret, ...args], { encoding: "utf8" }).trim();
  const signIn = (sub) => ({ transports: ["websocket"], auth: { token: make("--sub", sub, "--audience", "people") } });
  const pass = (sub, ttl, grant = "rooms:join,emit:deal:7") =>
    make("--sub", sub, "--audience", "lakh:rooms", "--grant", grant, "--ttl", ttl);
  const [ada, eve] = await Promise.all([connect(t, strict.url, signIn("ada")), connect(t, strict.url, signIn("eve"))]);
  const room = "deal:7";
  await refused(ada, "room:join", { room }, "token_required");
  await refused(eve, "room:join", { room, token: pass("ada", "1h") }, "forbidden");
  await refused(ada, "room:join", { room, token: pass("ada", "1h", "rooms:join:deal:8") }, "forbidden");
  await refused(ada, "room:join", { room, token: make("--sub", "ada", "--audience", "people") }, "bad_token");
  await refused(ada, "room:join", { room, token: `${pass("ada", "1h")}x` }, "bad_token");
  await refused(eve, "history:get", { room }, "not_member");
  await ok(ada, "room:join", { room, token: pass("ada", "1h") });
  await ok(eve, "room:join", { room, token: pass("anyone", "2s") });
  const over = next(eve, "room:expired");
  await say(ada, room, "hello");
  assert.deepEqual((await over)[0], { room });
  await refused(eve, "room:emit", { room, event: "said" }, "not_member");
  await say(ada, room, "still here");
  // A token for a room signs nobody in.
  const stranger = await connect(t, strict.url, { transports: ["websocket"], auth: { token: pass("ada", "1h") }, reconnection: false }).catch((error) => error);
  assert.match(String(stranger), /token/i);
  // Rooms of a person.
  await ok(ada, "room:join", { room: "inbox:ada" });
  await refused(eve, "room:join", { room: "inbox:ada" }, "forbidden");
});
