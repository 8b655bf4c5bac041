// One server, one room, clients of both parsers: each is told in the form that it speaks.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import parser from "socket.io-msgpack-parser";
import { call, connect, next } from "./support/client.js";
import { startKitchenSink } from "./support/server.js";

let server;
before(async () => (server = await startKitchenSink()));
after(() => server.stop());

test("a broadcast from either side reaches the other, binary included", async (t) => {
  const json = await connect(t, server.url, { transports: ["websocket"] });
  const packed = await connect(t, server.url, { transports: ["websocket"], parser });
  for (const socket of [json, packed]) await call(socket, "join", "mixed");
  const values = ["text é🦀", 1.5, null, { list: [1, -2, true], bytes: Buffer.from([0, 255]) }];
  for (const [from, to] of [
    [json, packed],
    [packed, json],
  ]) {
    const news = next(to, "news");
    from.emit("broadcast", "mixed", "news", ...values);
    const got = await news;
    assert.deepEqual(got.slice(0, 3), values.slice(0, 3));
    assert.deepEqual(got[3].list, [1, -2, true]);
    assert.deepEqual(Buffer.from(got[3].bytes), Buffer.from([0, 255]));
  }
});
