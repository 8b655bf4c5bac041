// socket.io-client 2 (Engine.IO v3, Socket.IO v4) against a server that allows it.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import ioV2 from "socket.io-client-v2";
import { call, collect, connect, next, within } from "./support/client.js";
import { startKitchenSink } from "./support/server.js";

let server;
before(async () => (server = await startKitchenSink({ ALLOW_EIO3: "1" })));
after(() => server.stop());

const ways = {
  "polling only": { transports: ["polling"], upgrade: false },
  "polling only, base64": { transports: ["polling"], upgrade: false, forceBase64: true },
  "websocket only": { transports: ["websocket"] },
  "polling, then an upgrade": { transports: ["polling", "websocket"] },
};

for (const [name, options] of Object.entries(ways)) {
  describe(name, { concurrency: true }, () => {
    function open(t, path = "/", more = {}) {
      const socket = ioV2(server.url + path, { forceNew: true, ...options, ...more });
      t.after(() => socket.disconnect());
      return socket;
    }
    async function join(t, path, more) {
      const socket = open(t, path, more);
      await next(socket, "connect");
      return socket;
    }

    test("text, binary and acknowledgements go both ways", async (t) => {
      const socket = await join(t);
      socket.emit("message", "é日本語🦀", { bytes: Buffer.from([1, 0, 255]) }, Buffer.from([4]));
      assert.deepEqual(await next(socket, "message-back"), [
        "é日本語🦀",
        { bytes: Buffer.from([1, 0, 255]) },
        Buffer.from([4]),
      ]);
      assert.equal(await call(socket, "message-with-ack", "x"), "x");
      socket.on("double", (n, ack) => ack(n * 2));
      assert.deepEqual(await call(socket, "ask", "double", 4), { value: 8 });
    });

    test("three hundred events come back in order", async (t) => {
      const socket = await join(t);
      const back = collect(socket, "message-back", 300);
      for (let i = 0; i < 300; i++) socket.emit("message", i);
      assert.deepEqual(
        (await back).map(([i]) => i),
        Array.from({ length: 300 }, (_, i) => i),
      );
    });

    test("rooms are shared with newer clients", async (t) => {
      const old = await join(t);
      const fresh = await connect(t, server.url, { transports: ["websocket"] });
      const room = `ages ${name}`;
      await Promise.all([old, fresh].map((s) => call(s, "join", room)));
      let news = next(old, "news");
      fresh.emit("broadcast", room, "news", 1, Buffer.from([1]));
      assert.deepEqual(await news, [1, Buffer.from([1])]);
      news = next(fresh, "news");
      old.emit("broadcast", room, "news", 2, Buffer.from([2]));
      assert.deepEqual(await news, [2, Buffer.from([2])]);
    });

    test("a namespace is joined, and an unknown one refused", async (t) => {
      const socket = open(t, "/dynamic-7");
      assert.deepEqual(await next(socket, "welcome"), ["/dynamic-7"]);
      const nowhere = open(t, "/nowhere");
      // Servers of version 2 gave the text, today's Node gives an object.
      const [error] = await next(nowhere, "error");
      assert.equal(error.message, "Invalid namespace");
    });

    test("the client's heartbeat keeps it alive", async (t) => {
      // The old protocol turns the heartbeat round: the client pings, the server pongs.
      const socket = await join(t);
      const pong = within(new Promise((done) => socket.once("pong", done)), "a pong");
      socket.io.engine.sendPacket("ping");
      socket.io.engine.emit("ping");
      assert.equal(typeof (await pong), "number");
    });
  });
}
