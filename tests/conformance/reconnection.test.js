// The server goes away and comes back; stock clients find it again by themselves.

import assert from "node:assert/strict";
import { test } from "node:test";
import { TRANSPORTS, call, connect, next, open, within } from "./support/client.js";
import { freePort } from "./support/processes.js";
import { startKitchenSink } from "./support/server.js";

for (const [name, options] of Object.entries(TRANSPORTS)) {
  test(`${name}: a client outlives a server that is killed and started again`, async (t) => {
    const PORT = String(await freePort());
    let server = await startKitchenSink({ PORT });
    t.after(() => server.stop());
    const socket = await connect(t, server.url, options);
    const gone = next(socket, "disconnect");
    await server.stop("SIGKILL");
    await gone;
    const back = next(socket, "connect");
    server = await startKitchenSink({ PORT });
    await back;
    assert.equal(await call(socket, "message-with-ack", "again"), "again");
  });
}

test("a client that starts before the server connects once it is there", async (t) => {
  const PORT = String(await freePort());
  const socket = open(t, `http://127.0.0.1:${PORT}`, { transports: ["websocket"] });
  await next(socket, "connect_error");
  const connected = next(socket, "connect");
  const server = await startKitchenSink({ PORT });
  t.after(() => server.stop());
  await connected;
  assert.equal(await call(socket, "message-with-ack", 1), 1);
});

test("a message that was sent while the connection was down arrives after it", async (t) => {
  const PORT = String(await freePort());
  let server = await startKitchenSink({ PORT });
  t.after(() => server.stop());
  const socket = await connect(t, server.url, { transports: ["websocket"] });
  const gone = next(socket, "disconnect");
  await server.stop("SIGKILL");
  await gone;
  const answer = within(
    new Promise((done) => socket.emit("message-with-ack", "buffered", done)),
    "the answer",
  );
  server = await startKitchenSink({ PORT });
  assert.equal(await answer, "buffered");
});
