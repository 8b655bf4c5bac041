// socket.io-client 4 over each transport: the same conversation must come out the same.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { TRANSPORTS, call, collect, connect, cut, next, open, within } from "./support/client.js";
import { startKitchenSink } from "./support/server.js";

let server;
before(async () => (server = await startKitchenSink()));
after(() => server.stop());

for (const [name, options] of Object.entries(TRANSPORTS)) {
  describe(name, { concurrency: true }, () => {
    const join = (t, more) => connect(t, server.url, { ...options, ...more });

    test("the first event carries the handshake's auth", async (t) => {
      const socket = open(t, server.url, { ...options, auth: { token: "abc", n: 1 } });
      assert.deepEqual(await next(socket, "auth"), [{ token: "abc", n: 1 }]);
    });

    test("text of any script comes back as it was sent", async (t) => {
      const socket = await join(t);
      const text = 'ASCII "quoted" \\ é ß 日本語 🦀👩‍👩‍👧 \u2028\u2029\u0000\u001e end';
      socket.emit("message", text, { nested: [text, null, true, 1.5, -0.25, 1e21] });
      assert.deepEqual(await next(socket, "message-back"), [
        text,
        { nested: [text, null, true, 1.5, -0.25, 1e21] },
      ]);
    });

    test("binary goes both ways, alone and inside other values", async (t) => {
      const socket = await join(t);
      const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
      socket.emit("message", all, { a: Buffer.from([1]), list: [Buffer.alloc(0), "x"] }, Buffer.from([2, 3]));
      assert.deepEqual(await next(socket, "message-back"), [
        all,
        { a: Buffer.from([1]), list: [Buffer.alloc(0), "x"] },
        Buffer.from([2, 3]),
      ]);
    });

    test("an acknowledgement carries text and binary", async (t) => {
      const socket = await join(t);
      const answer = await within(
        new Promise((done) =>
          socket.emit("message-with-ack", 1, "two", Buffer.from([3]), (...args) => done(args)),
        ),
        "the acknowledgement",
      );
      assert.deepEqual(answer, [1, "two", Buffer.from([3])]);
    });

    test("the server's request is acknowledged by the client", async (t) => {
      const socket = await join(t);
      socket.on("double", (n, ack) => ack(n * 2));
      assert.deepEqual(await call(socket, "ask", "double", 21), { value: 42 });
    });

    test("the server's request times out when the client never acknowledges", async (t) => {
      const socket = await join(t);
      socket.on("ignored", () => {});
      assert.deepEqual(await call(socket, "ask", "ignored", 1), { error: "timeout" });
    });

    test("a thousand events come back in order", async (t) => {
      const socket = await join(t);
      const back = collect(socket, "message-back", 1000);
      for (let i = 0; i < 1000; i++) socket.emit("message", i, i % 10 ? "text" : Buffer.from([i & 255]));
      assert.deepEqual(
        (await back).map(([i]) => i),
        Array.from({ length: 1000 }, (_, i) => i),
      );
    });

    test("a message just under the limit passes", async (t) => {
      const socket = await join(t);
      const text = "x".repeat(900_000);
      socket.emit("message", text);
      assert.equal((await next(socket, "message-back"))[0], text);
    });

    test("a message over the limit ends the session and the client comes back", async (t) => {
      const socket = await join(t);
      const reasons = collect(socket, "disconnect", 1);
      const again = next(socket, "connect");
      socket.emit("message", "x".repeat(1_100_000));
      assert.match((await reasons)[0][0], /^transport (close|error)$/);
      await again;
      assert.equal(await call(socket, "message-with-ack", "alive"), "alive");
    });

    test("after a lost connection the client comes back with a new id", async (t) => {
      const socket = await join(t);
      const old = socket.id;
      const again = next(socket, "connect");
      cut(socket);
      await again;
      assert.notEqual(socket.id, old);
      assert.equal(await call(socket, "message-with-ack", 7), 7);
    });

    test("the server can end the socket, and its connection", async (t) => {
      const socket = await join(t);
      let reason = next(socket, "disconnect");
      socket.emit("leave-me");
      assert.equal((await reason)[0], "io server disconnect");
      const other = await join(t, { reconnection: false });
      reason = next(other, "disconnect");
      other.emit("close-me");
      assert.match((await reason)[0], /^(io server disconnect|transport close)$/);
    });

    test("twenty clients at once are each answered with their own words", async (t) => {
      const sockets = await Promise.all(Array.from({ length: 20 }, () => join(t)));
      const answers = await Promise.all(sockets.map((s, i) => call(s, "message-with-ack", `client ${i}`)));
      assert.deepEqual(
        answers,
        sockets.map((_, i) => `client ${i}`),
      );
    });
  });
}

test("the upgrade happens, and no event is lost or doubled while it does", async (t) => {
  const socket = open(t, server.url, { transports: ["polling", "websocket"] });
  const back = collect(socket, "message-back", 2000);
  const upgraded = next(socket.io, "open").then(() => next(socket.io.engine, "upgrade"));
  await next(socket, "connect");
  for (let i = 0; i < 2000; i++) {
    socket.emit("message", i);
    // Leave the loop now and then, so that the probe runs between the events.
    if (i % 50 === 0) await new Promise(setImmediate);
  }
  await upgraded;
  assert.equal(socket.io.engine.transport.name, "websocket");
  assert.deepEqual(
    (await back).map(([i]) => i),
    Array.from({ length: 2000 }, (_, i) => i),
  );
});

test("a client that only polls stays on polling", async (t) => {
  const socket = await connect(t, server.url, TRANSPORTS["polling only"]);
  assert.equal(await call(socket, "message-with-ack", 1), 1);
  assert.equal(socket.io.engine.transport.name, "polling");
});
