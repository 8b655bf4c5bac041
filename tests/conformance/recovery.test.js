// Connection state recovery as a stock client lives through it: the same id, rooms and data after a lost
// connection, and each missed event once and in order.
//
// A server that recovers appends an offset to its events, and a client hands it on to listeners as one more
// argument: these tests look at the arguments before it.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { TRANSPORTS, call, connect, cut, next, settled } from "./support/client.js";
import { startKitchenSink } from "./support/server.js";

let server;
before(async () => (server = await startKitchenSink({ RECOVERY: "1" })));
after(() => server.stop());

for (const [name, options] of Object.entries(TRANSPORTS)) {
  describe(name, { concurrency: true }, () => {
    // A member of `room` that reconnects only when told to, and a friend who stays.
    async function pair(t, room) {
      const lost = await connect(t, server.url, { ...options, reconnection: false });
      const friend = await connect(t, server.url, { transports: ["websocket"] });
      const seen = [];
      lost.on("news", (...args) => seen.push(args));
      await call(lost, "join", room);
      await call(lost, "name", "Ada");
      return { lost, friend, seen };
    }

    async function loseAndReturn(lost, meanwhile) {
      const gone = next(lost, "disconnect");
      cut(lost);
      await gone;
      await meanwhile();
      const back = next(lost, "connect");
      lost.connect();
      await back;
      await settled(lost);
    }

    test("missed events come once, in order, and id, rooms and data are kept", async (t) => {
      const room = `kept over ${name}`;
      const { lost, friend, seen } = await pair(t, room);
      const id = lost.id;
      assert.equal(lost.recovered, false);
      friend.emit("broadcast", room, "news", 0);
      await settled(friend);
      await settled(lost);
      await loseAndReturn(lost, async () => {
        for (let i = 1; i <= 20; i++) friend.emit("broadcast", room, "news", i, Buffer.from([i]));
        await settled(friend);
      });
      assert.equal(lost.recovered, true);
      assert.equal(lost.id, id);
      assert.deepEqual(
        seen.map(([n]) => n),
        Array.from({ length: 21 }, (_, i) => i),
      );
      assert.deepEqual(seen[20][1], Buffer.from([20]));
      const [me] = await call(lost, "who", id);
      assert.deepEqual(me, { id, name: "Ada", rooms: [id, room].sort() });
      friend.emit("broadcast", room, "news", 21);
      await settled(friend);
      await settled(lost);
      assert.equal(seen.at(-1)[0], 21);
      assert.equal(seen.length, 22);
    });

    test("events of rooms that the client is not in are not replayed", async (t) => {
      const room = `mine over ${name}`;
      const { lost, friend, seen } = await pair(t, room);
      friend.emit("broadcast", room, "news", "before");
      await settled(friend);
      await loseAndReturn(lost, async () => {
        friend.emit("broadcast", "another room", "news", "foreign");
        friend.emit("broadcast", room, "news", "mine");
        await settled(friend);
      });
      assert.equal(lost.recovered, true);
      assert.deepEqual(
        seen.map(([n]) => n),
        ["before", "mine"],
      );
    });

    test("an event that ends in a string does not spoil the offset", async (t) => {
      const room = `string over ${name}`;
      const { lost, friend, seen } = await pair(t, room);
      friend.emit("broadcast", room, "news", "first", "a string at the end");
      await settled(friend);
      await settled(lost);
      await loseAndReturn(lost, async () => {
        friend.emit("broadcast", room, "news", "second", "another string");
        await settled(friend);
      });
      assert.equal(lost.recovered, true);
      assert.deepEqual(
        seen.map((args) => args.slice(0, 2)),
        [
          ["first", "a string at the end"],
          ["second", "another string"],
        ],
      );
    });

    test("several losses in a row lose nothing", async (t) => {
      const room = `often over ${name}`;
      const { lost, friend, seen } = await pair(t, room);
      const id = lost.id;
      friend.emit("broadcast", room, "news", 0);
      await settled(friend);
      for (let round = 1; round <= 5; round++) {
        await settled(lost);
        await loseAndReturn(lost, async () => {
          friend.emit("broadcast", room, "news", round);
          await settled(friend);
        });
        assert.equal(lost.recovered, true);
      }
      assert.equal(lost.id, id);
      assert.deepEqual(
        seen.map(([n]) => n),
        [0, 1, 2, 3, 4, 5],
      );
    });
  });
}

test("a client that said goodbye gets a new session", async (t) => {
  const socket = await connect(t, server.url, { transports: ["websocket"] });
  const id = socket.id;
  socket.disconnect();
  const back = next(socket, "connect");
  socket.connect();
  await back;
  assert.equal(socket.recovered, false);
  assert.notEqual(socket.id, id);
});

test("a made-up private id recovers nothing", async (t) => {
  const socket = await connect(t, server.url, { transports: ["websocket"], reconnection: false });
  await settled(socket);
  const gone = next(socket, "disconnect");
  cut(socket);
  await gone;
  socket._pid = "aaaaaaaaaaaaaaaaaaaa";
  socket._lastOffset = "bbbbbbbbb";
  const back = next(socket, "connect");
  socket.connect();
  await back;
  assert.equal(socket.recovered, false);
  assert.equal(await call(socket, "message-with-ack", 1), 1);
});
