// docs/rooms.md: every JavaScript example of it, run as it stands there with a stock client, on a server with the settings
// that stand there.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { call, connect, cut, next, ok, open, until } from "./support/client.js";
import { examplesOf } from "./support/examples.js";
import { startLakh } from "./support/server.js";

const { page, blocks, run, allRan } = examplesOf("rooms.md");
const settings = blocks("toml");

const SECRET = "0123456789abcdef0123456789abcdef";
let folder;
let server;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "lakh-test-"));
  const config = join(folder, "lakh.toml");
  const persons = settings.get("Rooms of a person, and private rooms")[0];
  writeFileSync(config, [persons, settings.get("Options by room")[0]].join("\n"));
  server = await startLakh({ env: { LAKH_CONFIG: config } });
});
after(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

const here = (t, name = "Ada") => connect(t, server.url, { transports: ["websocket"], auth: { name } });
// What `import("/client.js")` gives in a browser.
const client = (t) => ({ io: (options) => open(t, server.url, { transports: ["websocket"], ...options }) });

test("try it, in two tabs", async (t) => {
  const tabs = [];
  for (const _ of [1, 2]) tabs.push((await run("Try it", { client: client(t) }, ["socket"], [0])).socket);
  const heard = next(tabs[1], "liked");
  await run("Try it", { socket: tabs[0] }, [], [1]);
  const [data, origin] = await heard;
  assert.deepEqual([...data.photo], [1, 2, 3]);
  assert.deepEqual([origin.seq, origin.user.name], [1, "Ada"]);
});

test("history: three ways to rewind, pages, and a long absence", async (t) => {
  const [socket, grace] = [await here(t), await here(t, "Grace")];
  await ok(grace, "room:join", { room: "board:7" });
  for (let n = 1; n <= 130; n++) await ok(grace, "room:emit", { room: "board:7", event: "liked", data: n });
  const found = await run("History", { socket }, ["seen", "past", "lastMinute", "sinceThen", "all", "page"], [0, 1, 2]);
  const { seen, past, lastMinute, sinceThen, all } = found;
  assert.deepEqual(seen.map(([seq]) => seq), Array.from({ length: 51 }, (_, n) => 81 + n));
  assert.deepEqual(seen.at(-1), [131, "the map"]);
  assert.equal(past.complete, true);
  assert.equal(lastMinute.events.length, 131);
  assert.deepEqual(sinceThen.events.map(({ data }) => data), ["the map"]);
  assert.deepEqual(all.map(({ seq }) => seq), Array.from({ length: 131 }, (_, n) => n + 1));

  const away = open(t, server.url, { transports: ["websocket"], auth: { name: "Eve" } });
  const asked = [];
  away.onAnyOutgoing((event, request) => event === "room:join" && asked.push(request.rewind));
  await run("History", { socket: away }, [], [3]);
  for (const times of [1, 2]) {
    await until("the join", () => asked.length === times);
    // Answered behind it.
    await ok(away, "history:get", { room: "board:7" });
    away.disconnect().connect();
  }
  assert.deepEqual(asked.slice(0, 2), [{ after: 0 }, { after: 131 }]);
});

test("presence, with oneself among those who are there", async (t) => {
  const [socket, grace] = [await here(t), await here(t, "Grace")];
  await ok(grace, "room:join", { room: "board:7" });
  const { here: known } = await run("Presence", { socket }, ["here"]);
  await until("both", () => known.get("dev:ada")?.data?.status === "busy" && known.has("dev:grace"));
  grace.disconnect();
  await until("Grace to go", () => !known.has("dev:grace"));
});

test("filters", async (t) => {
  const { trades } = await run("Filters by tag", { socket: await here(t) }, ["trades"]);
  assert.deepEqual(trades, [[{ amount: 10 }, { symbol: "LKH", price: 12.5 }]]);
});

test("rooms of a person, and private rooms", async (t) => {
  const section = "Rooms of a person, and private rooms";
  const { own, other } = await run(section, { socket: await here(t) }, ["own", "other"], [0]);
  assert.deepEqual([own.ok, other.error.code], [true, "forbidden"]);

  const secret = join(folder, "secret");
  writeFileSync(secret, SECRET, { mode: 0o600 });
  const strict = await startLakh({
    env: { LAKH_CONFIG: join(folder, "lakh.toml"), LAKH_AUTH__SECRET_FILE: secret, LAKH_AUTH__AUDIENCE: "people" },
  });
  t.after(() => strict.stop());
  // The command of the page, with the secret of this test.
  const command = /^\$ lakh (token .+)$/m.exec(page)[1].replace("--auth-secret-file secret", "").trim().split(/\s+/);
  const lakh = (args) =>
    execFileSync(strict.path, [...args, "--auth-secret-file", secret], { encoding: "utf8" }).trim();
  const signIn = lakh(["token", "--sub", "ada", "--audience", "people"]);
  const socket = await connect(t, strict.url, { transports: ["websocket"], auth: { token: signIn } });
  const printed = [];
  const console = { log: (...words) => printed.push(words) };
  await run(section, { socket, prompt: () => lakh(command), console }, [], [1]);
  assert.equal(printed[0][0].ok, true);
  const news = next(socket, "e");
  await ok(socket, "room:emit", { room: "deal:7", event: "e" });
  await news;
});

test("state in two tabs, and each of its writes", async (t) => {
  const [one, two] = [
    await run("State", { client: client(t) }, ["socket", "board"], [0]),
    await run("State", { client: client(t) }, ["board"], [0]),
  ];
  const { first, late, changes } = await run("State", one, ["first", "late", "changes"], [1]);
  assert.equal(late.error.code, "conflict");
  assert.deepEqual(late.error.current, { value: "red", version: first.version });
  assert.deepEqual(changes.map(({ key }) => key), ["typing", "draft", "draft", "color", "size"]);
  await until("the end", () => two.board.has("size"));
  const expected = { title: "Plans", typing: true, draft: { text: "Plans for May" }, size: 3 };
  assert.deepEqual(Object.fromEntries(two.board), expected);
  one.socket.disconnect();
  await until("what goes with the tab", () => !two.board.has("draft"));
});

test("locks", async (t) => {
  const { lock } = await run("Locks", { socket: await here(t) }, ["lock"]);
  assert.ok(lock.token > 0 && lock.expires_at > Date.now() - 60_000, JSON.stringify(lock));
});

test("cursors", async (t) => {
  const [socket, grace] = [await here(t), await here(t, "Grace")];
  await ok(grace, "cursor:join", { room: "board" });
  grace.emit("cursor:move", { room: "board", x: 1, y: 2 });
  let point;
  const addEventListener = (event, f) => (point = event === "pointermove" && f);
  const { places } = await run("Cursors", { socket, addEventListener }, ["places"]);
  await until("a place", () => places.has(grace.id));
  assert.deepEqual([places.get(grace.id).x, places.get(grace.id).y], [1, 2]);
  const seen = [];
  grace.on("cursor:moved", ({ moved }) => seen.push(...moved));
  point({ clientX: 7, clientY: 8 });
  await until("the pointer", () => seen.some(([id]) => id === socket.id));
  assert.deepEqual(seen.find(([id]) => id === socket.id), [socket.id, 7, 8]);
  const id = grace.id;
  grace.disconnect();
  await until("it to go", () => !places.has(id));
});

test("large states: patches, and what the page says of them", async (t) => {
  const [socket, whole] = [await here(t), await here(t, "Grace")];
  const changes = [];
  socket.on("state:changed", (changed) => changes.push(changed));
  const { values } = await run("Large states", { socket }, ["values"]);
  await until("the second write", () => values.get("doc")?.title === "Plans");
  const text = "a long text ".repeat(1000);
  assert.deepEqual(values.get("doc"), { title: "Plans", text, by: {} });
  const told = JSON.parse(blocks("json").get("Large states")[0])[1];
  const [value, patch] = changes.map((changed) => changed.changes[0]);
  assert.ok(value.value && !("patch" in value));
  assert.deepEqual(Object.keys(patch).sort(), Object.keys(told.changes[0]).sort());
  assert.deepEqual(patch.patch, told.changes[0].patch);
  assert.ok(JSON.stringify(["state:changed", changes[1]]).length < 250);

  // Random values, by the very same snippet: what it makes of patches is what others are sent.
  const room = "plan";
  const view = new Map();
  whole.on("state:changed", ({ changes }) => {
    for (const { key, value, deleted } of changes) deleted ? view.delete(key) : view.set(key, value);
  });
  await ok(whole, "room:join", { room, state: true });
  // As fast as one socket may.
  const set = async (request) => {
    const answer = await call(socket, "state:set", request);
    if (answer.error?.code !== "rate_limited") return assert.equal(answer.ok, true, JSON.stringify(answer));
    await new Promise((done) => setTimeout(done, 20));
    return set(request);
  };
  let seed = 7;
  const below = (most) => (seed = (seed * 48_271) % 2_147_483_647) % most;
  const grow = (depth) => {
    const kind = below(depth > 2 ? 4 : 6);
    if (kind > 3) return Object.fromEntries(Array.from({ length: below(4) }, () => [`m${below(4)}`, grow(depth + 1)]));
    return [below(100), null, [below(3), null, { a: null }], "é🦀"][kind];
  };
  for (let n = 0; n < 300; n++) {
    const value = { text, a: grow(0), b: grow(0), m1: grow(1) };
    await set({ room, key: `k${below(3)}`, value });
  }
  await set({ room, key: "end", value: 1 });
  await until("both ends", () => values.has("end") && view.has("end"));
  assert.ok(changes.filter(({ changes }) => changes[0].patch).length > 100);
  for (const [key, value] of view) assert.deepEqual(values.get(key), value, key);
});

test("slow readers", async (t) => {
  const { prices } = await run("Slow readers", { socket: await here(t) }, ["prices"]);
  await until("the newest", () => prices.get("LKH") === 99);
});

test("who was cut off goes on as the page says", async (t) => {
  const socket = await here(t);
  const { values } = await run("Large states", { socket }, ["values"]);
  const back = next(socket, "connect");
  cut(socket);
  await back;
  await ok(socket, "state:set", { room: "plan", key: "after", value: 1 });
  await until("what came after", () => values.get("after") === 1);
});

test("no example was left out", () => allRan(13));
