// Gates before what stock clients say in the chat: a backend that lets pass, changes, refuses, and one that is away.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Webhook } from "standardwebhooks";
import { call, connect, next } from "./support/client.js";
import { startLakh } from "./support/server.js";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

// A backend that answers what `answer` says of each verified wish.
async function backend(t, answer) {
  const asked = [];
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = new Webhook(SECRET).verify(Buffer.concat(chunks).toString(), request.headers);
    asked.push(body);
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer(body)));
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const close = async () => {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  };
  t.after(close);
  return { url: `http://127.0.0.1:${server.address().port}/`, asked, close };
}

// A server with a gate before what is published, and somebody in a room of theirs.
async function start(t, url, silence = "refuse") {
  const folder = mkdtempSync(join(tmpdir(), "lakh-gates-"));
  const config = join(folder, "lakh.toml");
  const gate = `name = "guard"\nurl = "${url}"\nsecret = "${SECRET}"\non = ["publish"]\ntimeout_ms = 10000\nsilence = "${silence}"\n`;
  writeFileSync(config, `[[hooks.gates]]\n${gate}`);
  const server = await startLakh({ env: { LAKH_CONFIG: config } });
  t.after(async () => {
    await server.stop();
    rmSync(folder, { recursive: true });
  });
  const here = (name) => connect(t, `${server.url}/chat`, { transports: ["websocket"], auth: { name } });
  const [ada, ben] = [await here("Ada"), await here("Ben")];
  for (const socket of [ada, ben]) assert.equal((await call(socket, "room:join", { room: "r" })).ok, true);
  return { ada, ben };
}

const say = (key, text) => ({ room: "r", key, text });

test("a backend lets pass, changes and refuses messages and edits", async (t) => {
  const { url, asked } = await backend(t, ({ data }) => {
    if (data.text === "shout") return { change: { data: { text: "whisper", data: { was: "shout" } } } };
    if (data.text === "bad") return { refuse: { code: "rude", message: "Be nice" } };
    return { allow: true };
  });
  const { ada, ben } = await start(t, url);
  const heard = next(ada, "message:new");
  const { message } = await call(ben, "message:send", say("1", "shout"));
  assert.deepEqual([message.text, message.data], ["whisper", { was: "shout" }]);
  assert.deepEqual((await heard)[0], message);
  const refused = { ok: false, error: { code: "rude", message: "Be nice" } };
  assert.deepEqual(await call(ben, "message:send", say("2", "bad")), refused);
  assert.deepEqual(await call(ben, "message:edit", { room: "r", seq: 1, text: "bad" }), refused);
  const edited = await call(ben, "message:edit", { room: "r", seq: 1, text: "good" });
  assert.equal(edited.message.text, "good");
  const edit = await call(ben, "message:edit", { room: "r", seq: 1, text: "shout" });
  assert.equal(edit.message.text, "whisper");
  assert.deepEqual(
    asked.map(({ type, event, room, user, data }) => [type, event, room, user.name, data.text]),
    [
      ["publish", "message:send", "r", "Ben", "shout"],
      ["publish", "message:send", "r", "Ben", "bad"],
      ["publish", "message:edit", "r", "Ben", "bad"],
      ["publish", "message:edit", "r", "Ben", "good"],
      ["publish", "message:edit", "r", "Ben", "shout"],
    ],
  );
});

test("a refused message costs no place in a slow room", async (t) => {
  const { url } = await backend(t, ({ data }) =>
    data.text === "bad" ? { refuse: { code: "rude", message: "Be nice" } } : { allow: true },
  );
  const { ada, ben } = await start(t, url);
  assert.equal((await call(ada, "room:set", { room: "r", settings: { slow_mode_s: 3600 } })).ok, true);
  assert.equal((await call(ben, "message:send", say("1", "bad"))).error.code, "rude");
  assert.equal((await call(ben, "message:send", say("2", "good"))).ok, true);
  assert.equal((await call(ben, "message:send", say("3", "good"))).error.code, "slow_mode");
});

for (const silence of ["refuse", "allow"]) {
  test(`where the backend is away, its gate is to ${silence}`, async (t) => {
    const { url, close } = await backend(t, () => ({ allow: true }));
    const { ben } = await start(t, url, silence);
    assert.equal((await call(ben, "message:send", say("1", "before"))).ok, true);
    await close();
    const answer = await call(ben, "message:send", say("2", "after"));
    if (silence === "allow") assert.equal(answer.message.seq, 2);
    else assert.equal(answer.error.code, "unavailable");
    const { seq } = await call(ben, "message:history", { room: "r" });
    assert.equal(seq, silence === "allow" ? 2 : 1);
  });
}
