// socket.io-client 4 with socket.io-msgpack-parser: the same server takes it beside clients that speak JSON.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import parser from "socket.io-msgpack-parser";
import { TRANSPORTS, call, connect, next, open } from "./support/client.js";
import { startKitchenSink } from "./support/server.js";

let server;
before(async () => (server = await startKitchenSink({ PARSER: "msgpack" })));
after(() => server.stop());

for (const [name, options] of Object.entries(TRANSPORTS)) {
  describe(name, { concurrency: true }, () => {
    const join = (t, more) => connect(t, server.url, { ...options, parser, ...more });

    test("values of each type come back as they were sent", async (t) => {
      const socket = await join(t);
      const values = {
        small: [0, 1, 127, 128, 255, 256, 65535, 65536, 4294967295, 4294967296, 2 ** 53 - 1],
        negative: [-1, -32, -33, -128, -129, -32768, -32769, -2147483648, -2147483649, -(2 ** 53 - 1)],
        float: [0.1, -2.5, 1.5e-300],
        strings: ["", "x".repeat(31), "x".repeat(32), "x".repeat(256), "x".repeat(70_000), "日本語🦀"],
        other: [null, true, false, [], {}, [[[]]], { deep: { er: [{}] } }],
        many: Array.from({ length: 70_000 }, () => 7),
      };
      socket.emit("message", values);
      assert.deepEqual(await next(socket, "message-back"), [values]);
    });

    test("binary needs no attachment", async (t) => {
      const socket = await join(t);
      socket.emit("message", Buffer.from([1, 2, 3]), { in: Buffer.alloc(300, 7) });
      const [first, second] = await next(socket, "message-back");
      assert.deepEqual(Buffer.from(first), Buffer.from([1, 2, 3]));
      assert.deepEqual(Buffer.from(second.in), Buffer.alloc(300, 7));
    });

    test("acknowledgements go both ways", async (t) => {
      const socket = await join(t);
      socket.on("double", (n, ack) => ack(n * 2));
      assert.deepEqual(await call(socket, "ask", "double", 21), { value: 42 });
      assert.equal(await call(socket, "message-with-ack", "x"), "x");
    });

    test("rooms work, and so do namespaces", async (t) => {
      const [a, b] = await Promise.all([join(t), join(t)]);
      const room = `packed ${name}`;
      await call(b, "join", room);
      const news = next(b, "news");
      a.emit("broadcast", room, "news", { n: 1 });
      assert.deepEqual(await news, [{ n: 1 }]);
      const other = open(t, `${server.url}/dynamic-3`, { ...options, parser });
      assert.deepEqual(await next(other, "welcome"), ["/dynamic-3"]);
    });

    test("a refused sign-in carries its data", async (t) => {
      const socket = open(t, `${server.url}/auth`, { ...options, parser, auth: { token: "wrong" } });
      const [error] = await next(socket, "connect_error");
      assert.equal(error.message, "not authorized");
      assert.deepEqual(error.data, { code: 401, content: "Please retry later" });
    });
  });
}
