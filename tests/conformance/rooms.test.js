// The module rooms (namespace /) of the real binary, as a team without server code uses it.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  TRANSPORTS,
  call,
  collect,
  connect,
  connected,
  cut,
  next,
  ok,
  refused,
  within,
} from "./support/client.js";
import { startLakh } from "./support/server.js";

let server;
before(async () => (server = await startLakh()));
after(() => server.stop());

let rooms = 0;
const freshRoom = () => `post-${(rooms += 1)}`;
const here = (t, options) =>
  connect(t, server.url, { transports: ["websocket"], auth: { name: "Ada" }, ...options });

for (const [name, options] of Object.entries(TRANSPORTS)) {
  test(`${name}: members get an event with its data, and who sent it where and when`, async (t) => {
    const [ada, grace] = await Promise.all([
      here(t, options),
      here(t, { ...options, auth: { name: "Grace" } }),
    ]);
    const room = freshRoom();
    assert.equal((await ok(ada, "room:join", { room })).count, 1);
    const joined = await ok(grace, "room:join", { room });
    assert.deepEqual([joined.seq, joined.count], [0, 2]);
    const [atGrace, atAda] = [next(grace, "liked"), next(ada, "liked")];
    const sent = await ok(ada, "room:emit", { room, event: "liked", data: { post: 7, by: "é🦀" } });
    assert.equal(sent.seq, 1);
    for (const [data, meta] of [await atGrace, await atAda]) {
      assert.deepEqual(data, { post: 7, by: "é🦀" });
      assert.equal(meta.room, room);
      assert.equal(meta.from, ada.id);
      assert.equal(meta.seq, 1);
      assert.equal(meta.time, sent.time);
    }
  });

  test(`${name}: binary goes through`, async (t) => {
    const [ada, grace] = await Promise.all([here(t, options), here(t, options)]);
    const room = freshRoom();
    await ok(ada, "room:join", { room });
    await ok(grace, "room:join", { room });
    const news = next(grace, "picture");
    const bytes = Buffer.from(Array.from({ length: 60_000 }, (_, i) => i & 255));
    await ok(ada, "room:emit", { room, event: "picture", data: { bytes, list: [Buffer.from([1])] } });
    const [data] = await news;
    assert.deepEqual(data, { bytes, list: [Buffer.from([1])] });
  });
}

describe("requests", { concurrency: true }, () => {
  test("numbers of a room's events have no holes, for every member in the same order", async (t) => {
    const sockets = await Promise.all([here(t), here(t), here(t)]);
    const room = freshRoom();
    for (const socket of sockets) await ok(socket, "room:join", { room });
    const views = sockets.map((socket) => collect(socket, "tick", 150));
    const sent = [];
    for (let i = 0; i < 50; i++) {
      for (const socket of sockets) sent.push(ok(socket, "room:emit", { room, event: "tick", data: i }));
    }
    await Promise.all(sent);
    for (const view of await Promise.all(views)) {
      const metas = view.map(([, meta]) => meta);
      assert.deepEqual(
        metas.map((meta) => meta.seq),
        Array.from({ length: 150 }, (_, i) => i + 1),
      );
      for (const socket of sockets) {
        const own = view.filter(([, meta]) => meta.from === socket.id).map(([data]) => data);
        assert.deepEqual(
          own,
          Array.from({ length: 50 }, (_, i) => i),
        );
      }
    }
  });

  test("echo false spares the sender", async (t) => {
    const [ada, grace] = await Promise.all([here(t), here(t)]);
    const room = freshRoom();
    await ok(ada, "room:join", { room });
    await ok(grace, "room:join", { room });
    const own = [];
    ada.on("tick", (data) => own.push(data));
    const both = collect(grace, "tick", 2);
    await ok(ada, "room:emit", { room, event: "tick", data: "quiet", echo: false });
    await ok(ada, "room:emit", { room, event: "tick", data: "loud" });
    await both;
    assert.deepEqual(own, ["loud"]);
  });

  test("members are told to members", async (t) => {
    const [ada, grace] = await Promise.all([here(t), here(t, { auth: { name: "Grace" } })]);
    const room = freshRoom();
    await ok(ada, "room:join", { room });
    await ok(grace, "room:join", { room });
    const { members, count } = await ok(ada, "room:members", { room });
    assert.equal(count, 2);
    assert.deepEqual(members.map((m) => m.id).sort(), [ada.id, grace.id].sort());
    await ok(grace, "room:leave", { room });
    assert.equal((await ok(ada, "room:members", { room })).count, 1);
  });

  test("a socket that is not a member is refused", async (t) => {
    const [ada, stranger] = await Promise.all([here(t), here(t)]);
    const room = freshRoom();
    await ok(ada, "room:join", { room });
    await refused(stranger, "room:emit", { room, event: "tick", data: 1 }, "not_member");
    await refused(stranger, "room:members", { room }, "not_member");
  });

  test("a socket that left hears no more", async (t) => {
    const [ada, grace] = await Promise.all([here(t), here(t)]);
    const room = freshRoom();
    await ok(ada, "room:join", { room });
    await ok(grace, "room:join", { room });
    const seen = [];
    grace.on("tick", (data) => seen.push(data));
    await ok(grace, "room:leave", { room });
    await ok(ada, "room:emit", { room, event: "tick", data: 1 });
    await ok(grace, "room:join", { room });
    // Ada's answer says nothing of when Grace, who may be on another loop, hears of it.
    const heard = next(grace, "tick");
    await ok(ada, "room:emit", { room, event: "tick", data: 2 });
    await heard;
    await ok(grace, "room:leave", { room });
    assert.deepEqual(seen, [2]);
  });

  for (const [what, event, request] of [
    ["no room", "room:join", {}],
    ["an empty room name", "room:join", { room: "" }],
    ["a room name that is too long", "room:join", { room: "x".repeat(129) }],
    ["a room name that is a number", "room:join", { room: 7 }],
    ["no object", "room:join", "room"],
    ["nothing", "room:join", null],
  ]) {
    test(`${what} is a bad request`, async (t) => refused(await here(t), event, request, "bad_request"));
  }

  for (const event of ["connect", "connect_error", "disconnect", "disconnecting", "room:join", "", "x".repeat(129)]) {
    test(`the event name ${JSON.stringify(event.slice(0, 20))} cannot be emitted`, async (t) => {
      const socket = await here(t);
      const room = freshRoom();
      await ok(socket, "room:join", { room });
      await refused(socket, "room:emit", { room, event, data: 1 }, "bad_request");
    });
  }
});

test("a socket that sends too fast is told so, and its slower events pass", async (t) => {
  const strict = await startLakh({ env: { LAKH_ROOMS__EVENTS_PER_SECOND: "5" } });
  t.after(() => strict.stop());
  const ada = await connect(t, strict.url, { transports: ["websocket"], auth: { name: "Ada" } });
  await ok(ada, "room:join", { room: "quick" });
  const answers = await Promise.all(
    Array.from({ length: 100 }, (_, i) => call(ada, "room:emit", { room: "quick", event: "tick", data: i })),
  );
  const codes = answers.filter((a) => !a.ok).map((a) => a.error.code);
  assert.ok(answers.some((a) => a.ok));
  assert.ok(codes.length > 0);
  assert.deepEqual([...new Set(codes)], ["rate_limited"]);
});

test("recovery: a member that lost its connection gets each missed event once", async (t) => {
  const room = freshRoom();
  const [ada, grace] = await Promise.all([here(t), here(t, { reconnection: false })]);
  await ok(ada, "room:join", { room });
  await ok(grace, "room:join", { room });
  const seen = [];
  grace.on("tick", (data, meta) => seen.push([data, meta.seq]));
  const first = next(grace, "tick");
  await ok(ada, "room:emit", { room, event: "tick", data: 0 });
  await first;
  const gone = next(grace, "disconnect");
  cut(grace);
  await gone;
  for (let i = 1; i <= 10; i++) await ok(ada, "room:emit", { room, event: "tick", data: i });
  grace.connect();
  await connected(grace);
  assert.equal(grace.recovered, true);
  await ok(ada, "room:emit", { room, event: "tick", data: 11 });
  await ok(grace, "room:members", { room });
  assert.deepEqual(
    seen,
    Array.from({ length: 12 }, (_, i) => [i, i + 1]),
  );
});

test("a second server shows nothing of the first one's rooms", async (t) => {
  const other = await startLakh({ modules: ["rooms"] });
  t.after(() => other.stop());
  const [ada, grace] = await Promise.all([
    here(t),
    connect(t, other.url, { transports: ["websocket"], auth: { name: "Ada" } }),
  ]);
  const room = freshRoom();
  await ok(ada, "room:join", { room });
  assert.equal((await ok(grace, "room:join", { room })).count, 1);
});

test("SIGTERM sends the clients away and ends with code 0", async (t) => {
  const other = await startLakh({ modules: ["rooms"] });
  t.after(() => other.stop());
  const socket = await connect(t, other.url, { auth: { name: "Ada" }, reconnection: false });
  const gone = next(socket, "disconnect");
  const end = other.stop("SIGTERM");
  await gone;
  assert.deepEqual(await within(end, "the server's end", 60_000), { code: 0, signal: null });
});
