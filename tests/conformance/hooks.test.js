// Hooks of the real binary, verified by the library that Standard Webhooks publishes.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Webhook, WebhookVerificationError } from "standardwebhooks";
import { call, connect, next, within } from "./support/client.js";
import { startLakh } from "./support/server.js";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OLD = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

// A backend that notes each request and answers what `answer` says of its verified body.
async function backend(t, answer) {
  const requests = [];
  let more = () => {};
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const body = new Webhook(SECRET).verify(text, request.headers);
    requests.push({ headers: request.headers, text, body });
    const said = answer(body);
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(said ?? {}));
    more();
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const until = (what, holds) =>
    within(
      (async () => {
        while (!holds()) await new Promise((done) => (more = done));
      })(),
      what,
    );
  return { url: `http://127.0.0.1:${server.address().port}/`, requests, until };
}

async function start(t, hooks) {
  const folder = mkdtempSync(join(tmpdir(), "lakh-hooks-"));
  const config = join(folder, "lakh.toml");
  writeFileSync(config, hooks);
  const server = await startLakh({ env: { LAKH_CONFIG: config } });
  t.after(async () => {
    await server.stop();
    rmSync(folder, { recursive: true });
  });
  return server;
}

const events = (requests) => requests.flatMap(({ body }) => body.events);

test("what a stock client does reaches the backend, signed with both secrets", async (t) => {
  const { url, requests, until } = await backend(t, () => null);
  const server = await start(
    t,
    `[[hooks.endpoints]]\nname = "crm"\nurl = "${url}"\nsecret = "${OLD}"\nold_secret = "${SECRET}"\n`,
  );
  const socket = await connect(t, `${server.url}/chat`, { auth: { name: "Ada" } });
  const id = socket.id;
  await call(socket, "room:join", { room: "team" });
  await call(socket, "message:send", { room: "team", key: "k", text: "Grüße 🦀" });
  socket.disconnect();
  await until("the end of it", () => events(requests).some(({ type }) => type === "disconnect"));
  await until("the message", () => events(requests).some(({ type }) => type === "message"));

  const all = events(requests);
  const types = all.filter((event) => event.socket === id && !event.room).map(({ type }) => type);
  assert.deepEqual(types, ["connect", "disconnect"]);
  const inRoom = all.filter(({ room }) => room === "team").map(({ type, event }) => event ?? type);
  assert.deepEqual(inRoom.slice(0, 4), ["room:new", "join", "presence:update", "message:new"]);
  const message = all.find(({ type }) => type === "message");
  assert.equal(message.data.text, "Grüße 🦀");
  assert.equal(message.seq, 1);
  assert.deepEqual(message.user, { id: "dev:ada", name: "Ada" });
  assert.equal(new Set(all.map((event) => event.id)).size, all.length);

  const [{ headers, text, body }] = requests;
  assert.equal(headers["webhook-id"], body.id);
  new Webhook(OLD).verify(text, headers);
  const other = new Webhook("whsec_" + Buffer.alloc(24, 7).toString("base64"));
  assert.throws(() => other.verify(text, headers), WebhookVerificationError);
  assert.throws(() => new Webhook(SECRET).verify(`${text} `, headers), WebhookVerificationError);
  const late = { ...headers, "webhook-timestamp": String(Number(headers["webhook-timestamp"]) - 3600) };
  assert.throws(() => new Webhook(SECRET).verify(text, late), WebhookVerificationError);
});

test("a backend refuses and changes what a stock client says", async (t) => {
  const { url, requests } = await backend(t, ({ type, data, user }) => {
    if (type === "connect" && user?.name === "Eve") return { refuse: { code: "banned", message: "Not you" } };
    if (data?.text === "shout") return { change: { data: { text: "whisper" } } };
    if (data?.text === "bad") return { refuse: { code: "rude", message: "Be nice" } };
    return { allow: true };
  });
  const server = await start(
    t,
    `[[hooks.gates]]\nname = "guard"\nurl = "${url}"\nsecret = "${SECRET}"\ntimeout_ms = 10000\n`,
  );
  const socket = await connect(t, `${server.url}/chat`, { auth: { name: "Ada", token: "t0ps3cret" } });
  await call(socket, "room:join", { room: "team" });
  const heard = next(socket, "message:new");
  await call(socket, "message:send", { room: "team", key: "1", text: "shout" });
  assert.equal((await heard)[0].text, "whisper");
  const refused = await call(socket, "message:send", { room: "team", key: "2", text: "bad" });
  assert.deepEqual(refused, { ok: false, error: { code: "rude", message: "Be nice" } });
  await assert.rejects(connect(t, `${server.url}/chat`, { auth: { name: "Eve" } }), /Not you/);
  const [first] = requests;
  assert.equal(first.body.type, "connect");
  assert.deepEqual(first.body.auth, { name: "Ada" });
  assert.ok(requests.every(({ text }) => !text.includes("t0ps3cret")));
});
