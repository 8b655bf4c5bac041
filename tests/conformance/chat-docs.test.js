// docs/chat.md: every JavaScript example of it, run as it stands there with a stock client; and its tables, held against
// what the server knows.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { ask } from "./support/api.js";
import { call, connect, connected, cut, next, ok, open, refused, until } from "./support/client.js";
import { examplesOf } from "./support/examples.js";
import { startLakh } from "./support/server.js";

const { page, run, allRan } = examplesOf("chat.md");

let server;
before(async () => (server = await startLakh()));
after(() => server.stop());

const here = (t, name = "Ada", url = server.url) =>
  connect(t, `${url}/chat`, { transports: ["websocket"], auth: { name } });
// What `import("/client.js")` gives in a browser.
const client = (t) => ({
  io: (namespace, options) => open(t, server.url + namespace, { transports: ["websocket"], ...options }),
});
const say = (chat, room, text, more) => ok(chat, "message:send", { room, key: crypto.randomUUID(), text, ...more });

test("try it, in two tabs", async (t) => {
  const lines = [];
  const console = { log: (line) => lines.push(line) };
  const { chat } = await run("Try it", { client: client(t), console }, ["chat"], [0]);
  const other = await here(t, "Grace");
  await ok(other, "room:join", { room: "lobby" });
  const heard = next(other, "message:changed");
  const { messages } = await run("Try it", { chat }, ["messages"], [1]);
  assert.equal(messages.at(-1).text, "Hello");
  assert.deepEqual(Object.keys((await heard)[0].set), ["reactions"]);
  await until("the line", () => lines.length > 1);
  assert.match(lines[0], /^1 here, 0 messages so far, my role is owner$/);
  assert.match(lines[1], /^lobby #1 Ada: Hello$/);
});

test("after a lost connection all of one's rooms are watched again", async (t) => {
  const [chat, other] = [await here(t, "Lost"), await here(t, "Grace")];
  await ok(chat, "room:join", { room: "lost" });
  await ok(other, "room:join", { room: "lost" });
  await run("After a lost connection", { chat });
  // A farewell, so that nothing is recovered.
  chat.disconnect();
  chat.connect();
  await connected(chat);
  const heard = next(chat, "message:new");
  await until("the room to be watched", async () => (await ok(other, "presence:list", { room: "lost" })).count === 2);
  await say(other, "lost", "Are you there?");
  assert.equal((await heard)[0].text, "Are you there?");
});

test("rooms", async (t) => {
  const [chat, ben] = [await here(t), await here(t, "Ben")];
  const invited = next(ben, "room:invited");
  const { room, rooms } = await run("Requests about rooms", { chat }, ["room", "rooms"]);
  assert.equal((await invited)[0].room.id, room.id);
  assert.equal(rooms.find(({ id }) => id === room.id).topic, "Who cooks?");
});

test("people", async (t) => {
  const told = [];
  const chat = await here(t, "Lady");
  const { people } = await run("Events of people", { chat, console: { log: (line) => told.push(line) } }, ["people"]);
  assert.deepEqual(people.map(({ id }) => id), ["dev:lady"]);
  await until("the change", () => told[0] === "dev:lady is Countess of Lovelace now");
});

test("messages and what comes to them", async (t) => {
  const [chat, grace] = [await here(t), await here(t, "Grace")];
  for (const socket of [chat, grace]) await ok(socket, "room:join", { room: "lobby" });
  const mention = next(grace, "mention:new");
  const { known, place, message } = await run("Events of messages", { chat }, ["known", "place", "message"]);
  assert.equal((await mention)[0].text, "Lunch?");
  const mine = () => known.get(place(message));
  await until("the reaction", () => mine()?.reactions?.[0].emoji === "👍");
  await ok(chat, "reaction:remove", { room: "lobby", seq: message.seq, emoji: "👍" });
  await until("it to go", () => !("reactions" in mine()));
});

test("what was missed, over connections that break", async (t) => {
  const [chat, grace] = [await here(t), await here(t, "Grace")];
  await ok(grace, "room:join", { room: "lobby" });
  // More than a page of what is missed; backends are held to no pace.
  for (let n = 0; n < 120; n++) {
    const body = { room: "lobby", key: `m${n}`, text: `${n}` };
    assert.equal((await ask(server.url, "POST", "/api/v1/chat/message:send", { body })).status, 200);
  }
  const { view } = await run("What was missed", { chat }, ["view"]);
  chat.disconnect();
  chat.connect();
  await connected(chat);
  const same = async () => {
    const all = [];
    for (let after = 0, more = true; more; ) {
      const found = await ok(chat, "message:history", { room: "lobby", after, limit: 200 });
      all.push(...found.messages);
      more = found.more;
      after = all.at(-1)?.seq ?? 0;
    }
    const seen = [...view.messages.values()].sort((a, b) => a.seq - b.seq);
    return isDeepStrictEqual(seen, all);
  };
  await until("the same view", same);
  for (const how of ["cut", "farewell", "stays"]) {
    if (how === "cut") cut(chat);
    if (how === "farewell") chat.disconnect();
    const { message } = await say(grace, "lobby", how);
    await ok(grace, "message:edit", { room: "lobby", seq: message.seq, text: `${how}!` });
    const { message: second } = await say(grace, "lobby", "Not that");
    await ok(grace, "message:delete", { room: "lobby", seq: second.seq });
    if (how === "farewell") chat.connect();
    await until(`the same view: ${how}`, same);
  }
});

test("receipts", async (t) => {
  const [chat, grace] = [await here(t), await here(t, "Grace")];
  for (const socket of [chat, grace]) await ok(socket, "room:join", { room: "team" });
  for (let n = 1; n <= 8; n++) await say(grace, "team", `${n}`);
  await ok(chat, "room:unwatch", { room: "team" });
  const ticks = [];
  const { badges, unread } = await run(
    "Events of receipts",
    { chat, console: { log: (line) => ticks.push(line) } },
    ["badges", "unread"],
  );
  assert.equal(unread, 1);
  await say(grace, "team", "One more");
  await until("the badge", () => badges.get("team")?.unread === 2 && badges.get("team").text === "One more");
  const second = await here(t);
  await ok(second, "receipt:read", { room: "team", seq: 9 });
  await until("the other device", () => badges.get("team").unread === 0);
  await ok(chat, "room:watch", { room: "team" });
  await ok(grace, "receipt:unread", { room: "team", seq: 1 });
  await until("a tick", () => ticks.some((line) => line === "Grace has read team up to 0"));
});

test("presence", async (t) => {
  const [chat, watcher] = [await here(t), await here(t, "Watcher")];
  await ok(watcher, "presence:watch", { people: ["dev:ada"] });
  let changed;
  const document = { hidden: true, addEventListener: (_, f) => (changed = f) };
  const { seen } = await run("Requests about presence", { chat, document }, ["seen"]);
  assert.equal(seen.get("dev:alan").status, "offline");
  await here(t, "Alan");
  await until("Alan to come", () => seen.get("dev:alan").status === "online");
  const away = next(watcher, "presence:change");
  await changed();
  assert.equal((await away)[0].status, "away");
});

test("search", async (t) => {
  const chat = await here(t, "Seeker");
  await ok(chat, "room:join", { room: "lobby" });
  const { message } = await say(chat, "lobby", "The Release is due NEXT week, I think");
  await say(chat, "lobby", "The release is due next to the week");
  const found = [];
  await run("Search", { chat, console: { log: (...words) => found.push(words) } });
  assert.deepEqual(found, [[message.seq, ["Release", "NEXT week"]]]);
});

test("files", async (t) => {
  const [chat, grace] = [await here(t), await here(t, "Grace")];
  for (const socket of [chat, grace]) await ok(socket, "room:join", { room: "lobby" });
  const heard = next(grace, "message:new");
  const image = {};
  await run("Files", { chat, image, file: new File(["Two eggs, flour"], "cake.txt", { type: "text/plain" }) });
  assert.equal((await heard)[0].attachments[0].name, "cake.txt");
  const got = await fetch(image.src);
  assert.equal(await got.text(), "Two eggs, flour");
});

test("reports", async (t) => {
  // The lobby of a server of its own, so that somebody is known to keep order there.
  const own = await startLakh();
  t.after(() => own.stop());
  const moderator = await here(t, "Owner", own.url);
  await ok(moderator, "room:join", { room: "lobby" });
  const chat = await here(t, "Reporter", own.url);
  await ok(chat, "room:join", { room: "lobby" });
  for (let n = 1; n <= 7; n++) await say(moderator, "lobby", `${n}`);
  const { reports } = await run("Reports", { chat, moderator }, ["reports"]);
  assert.equal(reports[0].reason, "Spam");
  const closed = await ok(moderator, "report:list", { room: "lobby", state: "closed" });
  assert.equal(closed.reports[0].outcome, "removed");
});

test("export", async (t) => {
  const chat = await here(t, "Leaver");
  await ok(chat, "room:join", { room: "left" });
  await say(chat, "left", "Farewell");
  const { kinds } = await run("What people may ask of what is kept of them", { chat }, ["kinds"]);
  assert.equal(kinds[0], "person");
  assert.ok(kinds.includes("message") && kinds.includes("membership"));
});

test("the request of a backend, as the page has it", async () => {
  const block = /```\ncurl \S+(\/api\S+) [^]*?-d '(.*)'\n(\{.*\})\n```/.exec(page);
  const [, path, body, expected] = block;
  const answer = await ask(server.url, "POST", path, { body: JSON.parse(body) });
  assert.equal(answer.status, 200);
  const shape = (value) => Object.keys(value).sort();
  const told = JSON.parse(expected);
  assert.deepEqual(shape(answer.body), shape(told));
  assert.deepEqual(shape(answer.body.message), shape(told.message));
});

test("every request of the page is there, and there are no others", async (t) => {
  const named = new Set();
  for (const [line] of page.matchAll(/^\| (`[a-z_]+:[a-z_]+`(, )?)+ \|.*$/gm))
    for (const [, name] of line.split("|")[1].matchAll(/`([a-z_]+:[a-z_]+)`/g)) named.add(name);
  const { body } = await ask(server.url, "GET", "/api/v1/openapi.json");
  const offered = Object.keys(body.paths).flatMap((path) => /\/chat\/([a-z_]+:[a-z_]+)$/.exec(path)?.[1] ?? []);
  const chat = await here(t);
  assert.deepEqual(offered.filter((name) => !page.includes(`\`${name}\``)), []);
  assert.ok(offered.length > 50, `${offered.length}`);
  for (const name of offered) assert.notEqual((await call(chat, name, {})).error?.code, "unknown_request", name);
  await refused(chat, "no:such", {}, "unknown_request");
  assert.ok(named.size >= offered.length - 5, `${named.size} in tables`);
});

test("no example was left out", () => allRan(13));
