// Hooks of the real binary, verified by the library that Standard Webhooks publishes.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Webhook, WebhookVerificationError } from "standardwebhooks";
import { ask, keysSetting, newKey } from "./support/api.js";
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
    response.writeHead(said?.status ?? 200, { "content-type": "application/json" }).end(JSON.stringify(said ?? {}));
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

async function start(t, hooks, env = {}) {
  const folder = mkdtempSync(join(tmpdir(), "lakh-hooks-"));
  const config = join(folder, "lakh.toml");
  writeFileSync(config, hooks);
  const server = await startLakh({ env: { LAKH_CONFIG: config, ...env } });
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

test("what was given up is read over the API, sent anew or thrown away, by whom that is allowed", async (t) => {
  let away = true;
  const { url, requests, until } = await backend(t, () => (away ? { status: 400 } : null));
  const [all, crm, other] = [newKey(["api:*:*"]), newKey(["api:hooks:hook:crm"]), newKey(["api:hooks:hook:other"])];
  const server = await start(
    t,
    `[[hooks.endpoints]]
name = "crm"
url = "${url}?key=t0ps3cret"
secret = "${SECRET}"
events = ["message"]
max_attempts = 1
retry_first_ms = 10
retry_longest_ms = 10
`,
    {
      LAKH_AUTH_SECRET: "0123456789abcdef0123456789abcdef",
      LAKH_AUTH__RULES: '[{ who = "signed-in", allow = "rooms:*:*" }]',
      LAKH_API__KEYS: keysSetting([all, crm, other]),
      LAKH_API__REQUESTS_PER_SECOND: "100000",
    },
  );
  const api = (method, path, body, key = all) => ask(server.url, method, `/api/v1${path}`, { key, body });
  const good = async (answer) => {
    const { status, body, text } = await answer;
    assert.equal(status, 200, text);
    return body;
  };
  for (const data of [1, 2, 3]) await good(api("POST", "/emit", { rooms: ["a"], event: "moved", data }));
  let letters = [];
  await within(
    (async () => {
      while (letters.length < 3) ({ letters } = await good(api("GET", "/hooks/crm/dead")));
    })(),
    "three letters",
  );
  assert.deepEqual(letters.map(({ event }) => event.data), [1, 2, 3]);
  for (const { attempts, reason, time } of letters) {
    assert.ok(attempts >= 1 && /400/.test(reason) && Math.abs(time - Date.now()) < 60_000, reason);
  }
  const pages = [];
  for (let cursor; pages.length === 0 || cursor; ) {
    const page = await good(api("GET", `/hooks/crm/dead?limit=2${cursor ? `&cursor=${cursor}` : ""}`));
    pages.push(page.letters.map(({ key }) => key));
    cursor = page.next;
  }
  assert.deepEqual(pages.flat(), letters.map(({ key }) => key));
  assert.equal(pages[0].length, 2);

  const { text } = await api("GET", "/hooks");
  assert.ok(!text.includes("t0ps3cret"));
  const { endpoints, gates, missing } = JSON.parse(text);
  const [{ name, sender, dead, sent, waiting }] = endpoints;
  assert.deepEqual([name, typeof sender, dead, sent, waiting], ["crm", "string", 3, 0, 0]);
  assert.deepEqual([endpoints.length, gates, missing.count], [1, [], 0]);

  for (const [method, path, body, key, status, code] of [
    ["GET", "/hooks", undefined, crm, 403, "forbidden"],
    ["GET", "/hooks/crm/dead", undefined, other, 403, "forbidden"],
    ["POST", "/hooks/crm/dead/replay", { all: true }, other, 403, "forbidden"],
    ["POST", "/hooks/crm/dead/discard", { all: true }, other, 403, "forbidden"],
    ["GET", "/hooks/other/dead", undefined, other, 404, "not_found"],
    ["GET", "/hooks/crm/dead?limit=201", undefined, crm, 400, "bad_request"],
    ["GET", "/hooks/crm/dead?cursor=%21", undefined, crm, 400, "bad_request"],
    ["POST", "/hooks/crm/dead/replay", {}, crm, 400, "bad_request"],
    ["POST", "/hooks/crm/dead/replay", { all: true, keys: ["x"] }, crm, 400, "bad_request"],
    ["POST", "/hooks/crm/dead/replay", { every: true }, crm, 400, "bad_request"],
    ["POST", "/hooks/crm/dead/discard", { keys: Array(201).fill("x") }, crm, 413, "too_large"],
  ]) {
    const { status: got, body: told, text } = await api(method, path, body, key);
    assert.deepEqual([got, told.error.code], [status, code], `${method} ${path} ${text}`);
  }

  const [first, second, third] = letters;
  const discarded = api("POST", "/hooks/crm/dead/discard", { keys: [second.key, second.key, "gone"] }, crm);
  assert.deepEqual(await good(discarded), { taken: 1 });
  away = false;
  const before = requests.length;
  assert.deepEqual(await good(api("POST", "/hooks/crm/dead/replay", { keys: [third.key] }, crm)), { taken: 1 });
  await until("the third event", () => requests.length > before);
  const graphql = await good(api("POST", "/graphql", { query: 'mutation { replayDeadLetters(endpoint: "crm", all: true) }' }, crm));
  assert.deepEqual(graphql, { data: { replayDeadLetters: 1 } });
  const again = () => events(requests.slice(before));
  await until("the first event", () => again().length === 2);
  assert.deepEqual(again().map(({ id }) => id), [third.event.id, first.event.id], "with their old ids");
  assert.deepEqual(await good(api("POST", "/hooks/crm/dead/replay", { all: true }, crm)), { taken: 0 });
  assert.deepEqual((await good(api("GET", "/hooks/crm/dead"))).letters, []);
});
