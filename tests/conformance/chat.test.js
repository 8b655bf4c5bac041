// The module chat (namespace /chat) of the real binary: what a person says stays said.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { TRANSPORTS, call, connect, fitting, next, ok, open, refused, within } from "./support/client.js";
import { startLakh } from "./support/server.js";

let server;
before(async () => (server = await startLakh()));
after(() => server.stop());

let rooms = 0;
const freshRoom = () => `talk-${(rooms += 1)}`;
let keys = 0;
const freshKey = () => `key-${(keys += 1)}`;

const here = (t, name, options, url = server.url) =>
  connect(t, `${url}/chat`, { transports: ["websocket"], auth: { name }, ...options });

for (const [name, options] of Object.entries(TRANSPORTS)) {
  test(`${name}: what one says the other hears, with its number, key, name and time`, async (t) => {
    const [ada, grace] = await Promise.all([here(t, "Ada", options), here(t, "Grace", options)]);
    const room = freshRoom();
    const joined = await ok(ada, "room:join", { room });
    assert.equal(joined.room.id, room);
    assert.equal(joined.seq, 0);
    await ok(grace, "room:join", { room });
    const [atGrace, atAda] = [next(grace, "message:new"), next(ada, "message:new")];
    const key = freshKey();
    const { message, duplicate } = await ok(ada, "message:send", { room, key, text: "Hello é🦀 <b>" });
    assert.equal(duplicate, false);
    assert.deepEqual(
      { ...message, time: 0 },
      { room, seq: 1, key, from: { id: "dev:ada", name: "Ada" }, text: "Hello é🦀 <b>", time: 0 },
    );
    assert.ok(Math.abs(Date.now() - message.time) < 60_000);
    assert.deepEqual((await atGrace)[0], message);
    assert.deepEqual((await atAda)[0], message);
  });
}

test("without a name nobody is let in, and the error says why", async (t) => {
  const socket = open(t, `${server.url}/chat`, { transports: ["websocket"] });
  const [error] = await next(socket, "connect_error");
  assert.equal(error.data.code, "unauthorized");
  assert.equal(socket.connected, false);
});

describe("messages", { concurrency: true }, () => {
  test("a retry with the same key is the same message, told once", async (t) => {
    const [ada, grace] = await Promise.all([here(t, "Ada"), here(t, "Grace")]);
    const room = freshRoom();
    await ok(ada, "room:join", { room });
    await ok(grace, "room:join", { room });
    const seen = [];
    grace.on("message:new", (message) => seen.push(message.text));
    const key = freshKey();
    const first = await ok(ada, "message:send", { room, key, text: "once" });
    const again = await ok(ada, "message:send", { room, key, text: "once" });
    assert.equal(again.duplicate, true);
    assert.deepEqual(again.message, first.message);
    // The same key of another person is another message.
    assert.equal((await ok(grace, "message:send", { room, key, text: "mine" })).duplicate, false);
    const { messages } = await ok(grace, "message:history", { room });
    assert.deepEqual(
      messages.map((m) => m.text),
      ["once", "mine"],
    );
    // It may be told again, as what it is: its first teller may have died.
    assert.deepEqual([...new Set(seen)], ["once", "mine"]);
  });

  test("twenty retries at once make one message", async (t) => {
    const ada = await here(t, "Ada");
    const room = freshRoom();
    await ok(ada, "room:join", { room });
    const key = freshKey();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => ok(ada, "message:send", { room, key, text: "once" })),
    );
    assert.equal(answers.filter((a) => !a.duplicate).length, 1);
    assert.deepEqual([...new Set(answers.map((a) => a.message.seq))], [1]);
  });

  test("history is read in pages, both ways", async (t) => {
    const ada = await here(t, "Ada");
    const room = freshRoom();
    await ok(ada, "room:join", { room });
    for (let i = 1; i <= 25; i++) await ok(ada, "message:send", { room, key: freshKey(), text: `n${i}` });
    const seqs = (answer) => answer.messages.map((m) => m.seq);
    const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

    const last = await ok(ada, "message:history", { room, limit: 10 });
    assert.deepEqual([seqs(last), last.more], [range(16, 25), true]);
    const older = await ok(ada, "message:history", { room, limit: 10, before: 16 });
    assert.deepEqual([seqs(older), older.more], [range(6, 15), true]);
    const oldest = await ok(ada, "message:history", { room, limit: 10, before: 6 });
    assert.deepEqual([seqs(oldest), oldest.more], [range(1, 5), false]);
    const newer = await ok(ada, "message:history", { room, limit: 10, after: 5 });
    assert.deepEqual([seqs(newer), newer.more], [range(6, 15), true]);
    const newest = await ok(ada, "message:history", { room, limit: 10, after: 15 });
    assert.deepEqual([seqs(newest), newest.more], [range(16, 25), false]);
    assert.deepEqual(seqs(await ok(ada, "message:history", { room, after: 25 })), []);
  });

  test("messages of one sender keep their order for everyone", async (t) => {
    const [ada, grace] = await Promise.all([here(t, "Ada"), here(t, "Grace")]);
    const room = freshRoom();
    await ok(ada, "room:join", { room });
    await ok(grace, "room:join", { room });
    const seen = [];
    const all = within(
      new Promise((done) => grace.on("message:new", (m) => seen.push(m) === 100 && done())),
      "100 messages",
    );
    const sent = Array.from({ length: 100 }, (_, i) =>
      ok(ada, "message:send", { room, key: freshKey(), text: String(i) }),
    );
    await Promise.all(sent);
    await all;
    assert.deepEqual(
      seen.map((m) => [m.text, m.seq]),
      Array.from({ length: 100 }, (_, i) => [String(i), i + 1]),
    );
  });

  for (const [what, change] of [
    ["no text", { text: undefined }],
    ["an empty text", { text: "" }],
    ["a text that is no string", { text: 7 }],
    ["no key", { key: undefined }],
    ["a key that is too long", { key: "k".repeat(65) }],
    ["no room", { room: undefined }],
  ]) {
    test(`${what} is a bad request`, async (t) => {
      const ada = await here(t, "Ada");
      const room = freshRoom();
      await ok(ada, "room:join", { room });
      await refused(ada, "message:send", { room, key: freshKey(), text: "x", ...change }, "bad_request");
    });
  }

  test("a text of 8000 characters is taken, a longer one is not", async (t) => {
    const ada = await here(t, "Ada");
    const room = freshRoom();
    await ok(ada, "room:join", { room });
    await ok(ada, "message:send", { room, key: freshKey(), text: "🦀".repeat(8000) });
    const answer = await call(ada, "message:send", { room, key: freshKey(), text: "x".repeat(8001) });
    assert.equal(answer.ok, false);
    assert.match(answer.error.code, /^(too_large|bad_request)$/);
  });

  test("a person who is not in the room cannot write there", async (t) => {
    const [ada, eve] = await Promise.all([here(t, "Ada"), here(t, "Eve")]);
    const room = freshRoom();
    await ok(ada, "room:join", { room });
    await refused(eve, "message:send", { room, key: freshKey(), text: "x" }, "not_member");
  });
});

describe("people", { concurrency: true }, () => {
  test("presence is told once a person: first socket in, last socket out", async (t) => {
    const room = freshRoom();
    const ada = await here(t, "Ada");
    await ok(ada, "room:join", { room });
    const updates = [];
    ada.on("presence:update", (u) => u.room === room && updates.push([u.user.name, u.online]));
    const here1 = fitting(ada, "presence:update", (u) => u.room === room && u.online);
    const [phone, laptop] = await Promise.all([here(t, "Grace"), here(t, "Grace")]);
    await ok(phone, "room:join", { room });
    await here1;
    await ok(laptop, "room:join", { room });
    const { members } = await ok(ada, "presence:list", { room });
    assert.deepEqual(members.map((m) => m.name).sort(), ["Ada", "Grace"]);
    await ok(phone, "room:unwatch", { room });
    const out = fitting(ada, "presence:update", (u) => u.room === room && !u.online);
    laptop.disconnect();
    await out;
    assert.deepEqual(updates, [
      ["Grace", true],
      ["Grace", false],
    ]);
    assert.deepEqual((await ok(ada, "presence:list", { room })).members.map((m) => m.name), ["Ada"]);
  });

  test("typing is told to the others in the room", async (t) => {
    const [ada, grace] = await Promise.all([here(t, "Ada"), here(t, "Grace")]);
    const room = freshRoom();
    await ok(ada, "room:join", { room });
    await ok(grace, "room:join", { room });
    let update = next(ada, "typing:update");
    await ok(grace, "typing:set", { room, typing: true });
    assert.deepEqual((await update)[0], { room, user: { id: "dev:grace", name: "Grace" }, typing: true });
    update = next(ada, "typing:update");
    await ok(grace, "typing:set", { room, typing: false });
    assert.equal((await update)[0].typing, false);
  });

  test("typing that is not renewed ends by itself", async (t) => {
    const [ada, grace] = await Promise.all([here(t, "Ada"), here(t, "Grace")]);
    const room = freshRoom();
    await ok(ada, "room:join", { room });
    await ok(grace, "room:join", { room });
    const ended = fitting(ada, "typing:update", (u) => u.typing === false);
    await ok(grace, "typing:set", { room, typing: true });
    assert.equal((await ended).user.name, "Grace");
  });

  test("a new room is told to everybody and listed with its last message", async (t) => {
    const [ada, grace] = await Promise.all([here(t, "Ada"), here(t, "Grace")]);
    const room = freshRoom();
    const told = fitting(grace, "room:new", (r) => r.id === room);
    await ok(ada, "room:join", { room });
    await told;
    const { message } = await ok(ada, "message:send", { room, key: freshKey(), text: "last" });
    let cursor;
    let found;
    do {
      const page = await ok(grace, "room:list", { limit: 3, ...(cursor ? { cursor } : {}) });
      found ??= page.rooms.find((r) => r.id === room);
      cursor = page.cursor;
    } while (cursor && !found);
    assert.deepEqual([found.online, found.last], [1, message]);
  });
});

for (const signal of ["SIGTERM", "SIGKILL"]) {
  test(`what was acknowledged is there after ${signal} and a new start`, async (t) => {
    const data = mkdtempSync(join(tmpdir(), "lakh-chat-"));
    let other = await startLakh({ data });
    t.after(async () => {
      await other.stop();
      rmSync(data, { recursive: true, force: true });
    });
    let ada = await here(t, "Ada", { reconnection: false }, other.url);
    await ok(ada, "room:join", { room: "kept" });
    const said = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        ok(ada, "message:send", { room: "kept", key: `k${i}`, text: `said ${i}` }).then((a) => a.message),
      ),
    );
    await within(other.stop(signal), "the server's end", 60_000);
    other = await startLakh({ data });
    ada = await here(t, "Ada", {}, other.url);
    await ok(ada, "room:join", { room: "kept" });
    const { messages } = await ok(ada, "message:history", { room: "kept", limit: 200 });
    assert.deepEqual(messages, said);
    const again = await ok(ada, "message:send", { room: "kept", key: "k7", text: "said 7" });
    assert.equal(again.duplicate, true, "a retry after the restart must find the first one");
    assert.equal((await ok(ada, "message:send", { room: "kept", key: "new", text: "next" })).message.seq, 51);
  });
}
