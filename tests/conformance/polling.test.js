// Long polling by hand, where a stock client would hide what is looked at: one request after the other, never two.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { within } from "./support/client.js";
import { startKitchenSink } from "./support/server.js";

let server;
before(async () => (server = await startKitchenSink()));
after(() => server.stop());

const SEPARATOR = "\u001e";

// A session over polling that has joined `/`. It polls only when told to.
async function session() {
  const path = `${server.url}/socket.io/?EIO=4&transport=polling`;
  const handshake = await (await fetch(path)).text();
  const { sid } = JSON.parse(handshake.slice(1));
  const url = `${path}&sid=${sid}`;
  const post = async (...packets) => {
    const answer = await fetch(url, { method: "POST", body: packets.join(SEPARATOR) });
    assert.deepEqual([answer.status, await answer.text()], [200, "ok"]);
  };
  const poll = async () => {
    const answer = await within(fetch(url), "the answer to a poll");
    return { status: answer.status, packets: (await answer.text()).split(SEPARATOR) };
  };
  await post("40");
  const seen = [];
  while (!seen.some((packet) => packet.startsWith("42"))) seen.push(...(await poll()).packets);
  assert.match(seen[0], /^40\{"sid":"/);
  return { post, poll };
}

test("what was sent before the server closed is in the next poll, and then the session is unknown", async () => {
  const { post, poll } = await session();
  // No poll is waiting while this is handled.
  await post('42["message","last words"]', '42["close-me"]');
  const { status, packets } = await poll();
  assert.equal(status, 200);
  assert.deepEqual(packets.slice(0, 2), ['42["message-back","last words"]', "41"]);
  // The close packet comes in the same answer or in the next one.
  let end = await poll();
  if (end.status === 200) end = await poll();
  assert.equal(end.status, 400);
});

test("events that came while nobody polled come in one answer, in order", async () => {
  const { post, poll } = await session();
  for (let i = 0; i < 20; i++) await post(`42["message",${i}]`);
  const { packets } = await poll();
  assert.deepEqual(
    packets,
    Array.from({ length: 20 }, (_, i) => `42["message-back",${i}]`),
  );
});

test("a client that says goodbye has its waiting poll answered", async () => {
  const { post, poll } = await session();
  const waiting = poll();
  await post("1");
  assert.equal((await waiting).status, 200);
  assert.equal((await poll()).status, 400);
});
