// socket.io-client 4 against each feature of the server's API: rooms, namespaces, middlewares, reasons.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { call, collect, connect, next, open, settled, within } from "./support/client.js";
import { startKitchenSink } from "./support/server.js";

let server;
before(async () => (server = await startKitchenSink()));
after(() => server.stop());

// Room names are the test's own: the tests share one server and run side by side.
let rooms = 0;
const freshRoom = () => `room-${(rooms += 1)}`;
const here = (t, options) => connect(t, server.url, { transports: ["websocket"], ...options });

function heard(socket, event) {
  const seen = [];
  socket.on(event, (...args) => seen.push(args));
  return seen;
}

describe("rooms", { concurrency: true }, () => {
  test("a socket is in the room of its own id, and in those that it joins", async (t) => {
    const socket = await here(t);
    const room = freshRoom();
    assert.deepEqual(await call(socket, "join", room), [socket.id, room].sort());
    assert.deepEqual(await call(socket, "leave", room), [socket.id]);
  });

  test("a broadcast reaches the members but not its sender", async (t) => {
    const [a, b, c, stranger] = await Promise.all([here(t), here(t), here(t), here(t)]);
    const room = freshRoom();
    await Promise.all([a, b, c].map((s) => call(s, "join", room)));
    const [own, foreign] = [heard(a, "news"), heard(stranger, "news")];
    const both = Promise.all([next(b, "news"), next(c, "news")]);
    a.emit("broadcast", room, "news", 1, Buffer.from([9]));
    assert.deepEqual(await both, [
      [1, Buffer.from([9])],
      [1, Buffer.from([9])],
    ]);
    await Promise.all([settled(a), settled(stranger)]);
    assert.deepEqual([own, foreign], [[], []]);
  });

  test("an emit to the whole room reaches the sender too, once", async (t) => {
    const [a, b] = await Promise.all([here(t), here(t)]);
    const room = freshRoom();
    await Promise.all([a, b].map((s) => call(s, "join", room)));
    const seen = heard(a, "news");
    const other = next(b, "news");
    a.emit("to-all", room, "news", "hello");
    assert.deepEqual(await other, ["hello"]);
    await settled(a);
    assert.deepEqual(seen, [["hello"]]);
  });

  test("except keeps a room out", async (t) => {
    const [a, b, c] = await Promise.all([here(t), here(t), here(t)]);
    const [room, not] = [freshRoom(), freshRoom()];
    await Promise.all([a, b, c].map((s) => call(s, "join", room)));
    await call(c, "join", not);
    const seen = heard(c, "news");
    const both = Promise.all([next(a, "news"), next(b, "news")]);
    a.emit("except", room, not, "news", 1);
    await both;
    await settled(c);
    assert.deepEqual(seen, []);
  });

  test("a message to a socket's id reaches that socket alone", async (t) => {
    const [a, b, c] = await Promise.all([here(t), here(t), here(t)]);
    const seen = heard(c, "whisper");
    const got = next(b, "whisper");
    a.emit("broadcast", b.id, "whisper", "psst");
    assert.deepEqual(await got, ["psst"]);
    await settled(c);
    assert.deepEqual(seen, []);
  });

  test("a volatile broadcast reaches a client that reads", async (t) => {
    const [a, b] = await Promise.all([here(t), here(t)]);
    const room = freshRoom();
    await call(b, "join", room);
    const got = next(b, "tick");
    a.emit("volatile", room, "tick", 5);
    assert.deepEqual(await got, [5]);
  });

  test("a socket that left hears no more", async (t) => {
    const [a, b] = await Promise.all([here(t), here(t)]);
    const room = freshRoom();
    await call(b, "join", room);
    await call(b, "leave", room);
    const seen = heard(b, "news");
    a.emit("broadcast", room, "news", 1);
    await settled(a);
    await settled(b);
    assert.deepEqual(seen, []);
  });

  test("a request to a room collects each member's answer", async (t) => {
    const [a, b] = await Promise.all([here(t), here(t)]);
    const room = freshRoom();
    await Promise.all([a, b].map((s) => call(s, "join", room)));
    a.on("vote", (q, ack) => ack(`a:${q}`));
    b.on("vote", (q, ack) => ack(`b:${q}`));
    const result = await call(a, "ask-room", room, "vote", "tea?");
    assert.equal(result.timedOut, false);
    assert.deepEqual(result.values.sort(), ["a:tea?", "b:tea?"]);
  });

  test("a request to a room gives the answers that came before the time was up", async (t) => {
    const [a, b] = await Promise.all([here(t), here(t)]);
    const room = freshRoom();
    await Promise.all([a, b].map((s) => call(s, "join", room)));
    a.on("vote", (q, ack) => ack("a"));
    b.on("vote", () => {});
    assert.deepEqual(await call(a, "ask-room", room, "vote", 1), { timedOut: true, values: ["a"] });
  });

  test("fetch_sockets tells ids, data and rooms", async (t) => {
    const [a, b] = await Promise.all([here(t), here(t)]);
    const room = freshRoom();
    await Promise.all([a, b].map((s) => call(s, "join", room)));
    await call(b, "name", "Grace");
    const found = await call(a, "who", room);
    assert.deepEqual(
      found.sort((x, y) => (x.id < y.id ? -1 : 1)),
      [
        { id: a.id, name: null, rooms: [a.id, room].sort() },
        { id: b.id, name: "Grace", rooms: [b.id, room].sort() },
      ].sort((x, y) => (x.id < y.id ? -1 : 1)),
    );
  });

  test("all members of a room can be moved into another and out again", async (t) => {
    const [a, b] = await Promise.all([here(t), here(t)]);
    const [room, other] = [freshRoom(), freshRoom()];
    await call(b, "join", room);
    await call(a, "sockets-join", room, other);
    assert.deepEqual((await call(a, "who", other)).map((s) => s.id), [b.id]);
    await call(a, "sockets-leave", room, other);
    assert.deepEqual(await call(a, "who", other), []);
  });

  test("all members of a room can be disconnected", async (t) => {
    const [a, b] = await Promise.all([here(t), here(t, { reconnection: false })]);
    const room = freshRoom();
    await call(b, "join", room);
    const reason = next(b, "disconnect");
    a.emit("disconnect-sockets", room, true);
    assert.match((await reason)[0], /^(io server disconnect|transport close)$/);
    assert.deepEqual(await call(a, "who", room), []);
  });
});

describe("namespaces", { concurrency: true }, () => {
  test("several namespaces share one connection and have sockets of their own", async (t) => {
    const root = await here(t, { forceNew: false, multiplex: true });
    const other = root.io.socket("/catchall");
    t.after(() => other.disconnect());
    await next(other, "connect");
    assert.equal(root.io, other.io);
    assert.notEqual(root.id, other.id);
    other.emit("anything", 1, { two: 2 });
    assert.deepEqual(await next(other, "any"), [["anything", 1, { two: 2 }]]);
    other.disconnect();
    assert.equal(await call(root, "message-with-ack", "still here"), "still here");
  });

  test("an unknown namespace is refused by name", async (t) => {
    const socket = open(t, `${server.url}/nowhere`, { transports: ["websocket"] });
    const [error] = await next(socket, "connect_error");
    assert.equal(error.message, "Invalid namespace");
  });

  test("a namespace by pattern takes each name that fits", async (t) => {
    for (const name of ["/dynamic-1", "/dynamic-42"]) {
      const socket = open(t, server.url + name, { transports: ["websocket"] });
      assert.deepEqual(await next(socket, "welcome"), [name]);
    }
    const socket = open(t, `${server.url}/dynamic-x`, { transports: ["websocket"] });
    assert.equal((await next(socket, "connect_error"))[0].message, "Invalid namespace");
  });
});

describe("middlewares", { concurrency: true }, () => {
  test("a refused sign-in carries message and data, and a better one is let in", async (t) => {
    const socket = open(t, `${server.url}/auth`, { transports: ["websocket"], auth: { token: "wrong" } });
    const [error] = await next(socket, "connect_error");
    assert.equal(error.message, "not authorized");
    assert.deepEqual(error.data, { code: 401, content: "Please retry later" });
    assert.equal(socket.connected, false);
    socket.auth = { token: "secret" };
    const welcome = next(socket, "welcome");
    socket.connect();
    assert.deepEqual(await welcome, ["in"]);
  });

  test("a packet's middleware can refuse an event, and the next one passes", async (t) => {
    const socket = open(t, `${server.url}/packets`, { transports: ["websocket"] });
    const refused = next(socket, "refused");
    const acked = heard(socket, "never");
    socket.emit("forbidden", () => acked.push("acknowledged"));
    assert.deepEqual(await refused, ["refused by middleware"]);
    assert.equal(await call(socket, "allowed"), "fine");
    assert.deepEqual(acked, []);
  });
});

describe("requests of the client", { concurrency: true }, () => {
  test("a request that nobody answers times out at the client, and the connection lives on", async (t) => {
    const socket = await here(t);
    await assert.rejects(within(socket.timeout(200).emitWithAck("silent"), "the time-out"), /timed out/);
    assert.equal(await call(socket, "message-with-ack", 1), 1);
  });

  test("emitWithAck resolves to the answer", async (t) => {
    const socket = await here(t);
    assert.equal(await socket.timeout(20_000).emitWithAck("message-with-ack", "yes"), "yes");
  });

  test("what is emitted while offline is sent after the connection, in order", async (t) => {
    const socket = open(t, server.url, { transports: ["websocket"], autoConnect: false });
    const back = collect(socket, "message-back", 3);
    for (const n of [1, 2, 3]) socket.emit("message", n);
    socket.connect();
    assert.deepEqual(await back, [[1], [2], [3]]);
  });

  test("the handshake tells auth, query and headers", async (t) => {
    const socket = await here(t, {
      auth: { a: 1 },
      query: { color: "blue & green" },
      extraHeaders: { "X-Test": "seen" },
    });
    const handshake = await call(socket, "handshake");
    assert.deepEqual(handshake.auth, { a: 1 });
    assert.equal(handshake.query.color, "blue & green");
    assert.equal(handshake.query.EIO, "4");
    assert.equal(handshake.header, "seen");
    assert.match(handshake.address, /127\.0\.0\.1/);
  });

  test("auth may be a function that is asked at each connection", async (t) => {
    let asked = 0;
    const socket = open(t, server.url, {
      transports: ["websocket"],
      auth: (give) => give({ time: (asked += 1) }),
    });
    assert.deepEqual(await next(socket, "auth"), [{ time: 1 }]);
    socket.disconnect();
    const again = next(socket, "auth");
    socket.connect();
    assert.deepEqual(await again, [{ time: 2 }]);
  });
});

describe("reasons", { concurrency: true }, () => {
  // The server tells in /reasons which socket went, and why.
  async function reasonOf(t, id, leave) {
    const watcher = await connect(t, `${server.url}/reasons`, { transports: ["websocket"] });
    const found = within(
      new Promise((done) => watcher.on("gone", (gone) => gone.id === id && done(gone.reason))),
      `the end of ${id}`,
    );
    leave();
    return found;
  }

  test("a client that says goodbye", async (t) => {
    const socket = await here(t);
    assert.equal(await reasonOf(t, socket.id, () => socket.disconnect()), "client namespace disconnect");
  });

  test("a client whose connection is lost", async (t) => {
    const socket = await here(t, { reconnection: false });
    const lose = () => socket.io.engine.transport.ws._socket.destroy();
    assert.match(await reasonOf(t, socket.id, lose), /^transport (close|error)$/);
  });

  test("a client that the server sends away", async (t) => {
    const socket = await here(t);
    assert.equal(
      await reasonOf(t, socket.id, () => socket.emit("leave-me")),
      "server namespace disconnect",
    );
  });

  test("a client that sends what cannot be parsed", async (t) => {
    const socket = await here(t, { reconnection: false });
    const garble = () => socket.io.engine.write("not a packet");
    assert.match(await reasonOf(t, socket.id, garble), /^(parse error|forced close)$/);
  });
});
