// The chat's requests over HTTP, as backends make them, beside stock clients; on SQLite and on Redis.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { ask, keysSetting, newKey } from "./support/api.js";
import { connect, first, ok } from "./support/client.js";
import { startRedis } from "./support/redis.js";
import { startLakh } from "./support/server.js";

const SECRET = "0123456789abcdef0123456789abcdef";
const all = newKey(["api:*:*"]);
const people = newKey(["api:chat:@*"]);
const team = newKey(["api:chat:/chat#team-*"]);
const none = newKey(["api:emit:*"]);

for (const kind of ["SQLite", "Redis"]) {
  describe(kind, () => {
    let redis;
    let server;
    let rooms = 0;
    let keys = 0;
    const freshRoom = (prefix = "room-") => `${prefix}${kind}-${(rooms += 1)}`;
    const freshKey = () => `k${(keys += 1)}`;

    before(async () => {
      redis = kind === "Redis" ? await startRedis() : undefined;
      server = await startLakh({
        env: {
          LAKH_AUTH_SECRET: SECRET,
          LAKH_AUTH__RULES: '[{ who = "signed-in", allow = "chat:*:*" }]',
          LAKH_API__KEYS: keysSetting([all, people, team, none]),
          LAKH_API__REQUESTS_PER_SECOND: "100000",
          LAKH_CHAT__WORDS: "darn*",
          ...(redis ? { LAKH_REDIS: redis.url } : {}),
        },
      });
    });
    after(async () => {
      await server?.stop();
      await redis?.stop();
    });

    // A request of the chat with plain fetch.
    async function chat(name, body, { key = all, headers = {} } = {}) {
      const response = await fetch(`${server.url}/api/v1/chat/${name}`, {
        method: "POST",
        headers: { authorization: `Bearer ${key.key}`, "content-type": "application/json", ...headers },
        body: JSON.stringify(body),
      });
      return { status: response.status, headers: response.headers, body: await response.json() };
    }

    async function good(name, body, options) {
      const answer = await chat(name, body, options);
      assert.equal(answer.status, 200, `${name} was answered ${JSON.stringify(answer.body)}`);
      return answer.body;
    }

    async function bad(status, code, name, body, options) {
      const answer = await chat(name, body, options);
      assert.equal(answer.status, status, JSON.stringify(answer.body));
      assert.equal(answer.body.error.code, code);
      assert.ok(answer.body.error.message.length > 0);
      return answer;
    }

    async function here(t, id, name = id) {
      const { body } = await ask(server.url, "POST", "/api/v1/tokens", { key: all, body: { id, name } });
      return connect(t, `${server.url}/chat`, { transports: ["websocket"], auth: { token: body.token } });
    }

    test("a backend speaks for a person and for itself, and clients hear it at once", async (t) => {
      const room = freshRoom();
      const ada = await here(t, "ada", "Ada");
      await ok(ada, "room:join", { room });
      const heard = first(ada, "message:new");
      await good("room:join", { as: "grace", as_name: "Grace", room });
      const { message, duplicate } = await good("message:send", { as: "grace", as_name: "Grace", room, key: freshKey(), text: "Hello 🦀" });
      assert.equal(duplicate, false);
      assert.deepEqual(message.from, { id: "grace", name: "Grace" });
      assert.deepEqual(await heard, message);
      const system = first(ada, "message:new");
      const said = await good("message:send", { room, key: freshKey(), text: "darn it" });
      assert.deepEqual(said.message.from, { id: "system", name: "System" });
      assert.equal((await system).seq, 2);
      const { messages } = await good("message:history", { as: "ada", room });
      assert.deepEqual(messages.map(({ seq }) => seq), [1, 2]);
      // Typing ends with a message, whoever sends it: that is looked after on whichever thread.
      const typing = first(ada, "typing:update");
      const grace = await here(t, "grace", "Grace");
      await ok(grace, "room:join", { room });
      await ok(grace, "typing:set", { room, typing: true });
      assert.equal((await typing).typing, true);
      const ends = first(ada, "typing:update");
      await good("message:send", { as: "grace", room, key: freshKey(), text: "done" });
      assert.equal((await ends).typing, false);
    });

    test("somebody's roles hold for who speaks for them", async (t) => {
      const room = freshRoom();
      const ada = await here(t, "ada", "Ada");
      await ok(ada, "room:create", { kind: "private", id: room });
      const strange = await chat("message:history", { as: "eve", room });
      assert.ok(["not_found", "not_member"].includes(strange.body.error.code), JSON.stringify(strange.body));
      const open = freshRoom();
      await ok(ada, "room:join", { room: open });
      await bad(403, "not_member", "message:send", { as: "eve", room: open, key: freshKey(), text: "x" });
      await good("member:add", { room, people: ["ben"] });
      await good("message:send", { as: "ben", room, key: freshKey(), text: "in" });
      await bad(403, "forbidden", "room:archive", { as: "ben", room, archived: true });
      await good("member:mute", { as: "ada", room, person: "ben", seconds: 60 });
      await bad(403, "muted", "message:send", { as: "ben", room, key: freshKey(), text: "x" });
      await bad(422, "blocked_word", "message:send", { as: "ada", room, key: freshKey(), text: "darned" });
      await good("room:archive", { room, archived: true });
      await bad(409, "archived", "message:send", { as: "ada", room, key: freshKey(), text: "x" });
    });

    test("what a key may act on is what its grants say", async () => {
      const [inTeam, other] = [freshRoom("team-"), freshRoom()];
      await good("room:join", { as: "ada", room: inTeam }, { key: people });
      await good("room:join", { as: "ada", room: other }, { key: people });
      const say = (room) => ({ room, key: freshKey(), text: "x" });
      await good("message:send", say(inTeam), { key: team });
      await bad(403, "forbidden", "message:send", say(other), { key: team });
      await bad(403, "forbidden", "message:send", say(inTeam), { key: people });
      await bad(403, "forbidden", "message:send", { ...say(inTeam), as: "ada" }, { key: team });
      await bad(403, "forbidden", "message:send", say(inTeam), { key: none });
      // More than the room that it names.
      await bad(403, "forbidden", "data:erase", { room: inTeam, person: "ada" }, { key: team });
      await bad(403, "forbidden", "message:forward", { room: inTeam, seq: 1, to: [other], key: freshKey() }, { key: team });
      const response = await fetch(`${server.url}/api/v1/chat/room:list`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: "{}",
      });
      assert.equal(response.status, 401);
      await response.arrayBuffer();
    });

    test("what is wrong is said as everywhere in the API", async () => {
      await bad(404, "not_found", "room:explode", {});
      await bad(400, "bad_request", "message:send", { as: "ada", room: 7, key: "k", text: "x" });
      await bad(400, "bad_request", "message:send", { as: "ada", room: "r", text: "x" });
      await bad(400, "bad_request", "message:send", []);
      await bad(400, "bad_request", "room:list", { as: "" });
      await bad(400, "bad_request", "room:watch", { as: "ada", room: freshRoom() });
      await bad(404, "not_found", "message:history", { room: freshRoom() });
      const { status, body } = await ask(server.url, "GET", "/api/v1/chat/room:list", { key: all });
      assert.deepEqual([status, body.error.code], [405, "method_not_allowed"]);
    });

    test("a request with an idempotency key is made once", async () => {
      const room = freshRoom();
      await good("room:join", { as: "ada", room });
      const [key, headers] = [freshKey(), { "idempotency-key": `once-${room}` }];
      const body = { as: "ada", room, key, text: "once" };
      const answer = await chat("message:send", body, { headers });
      const again = await chat("message:send", body, { headers });
      assert.deepEqual(again.body, answer.body);
      assert.equal(again.headers.get("idempotent-replayed"), "true");
      await bad(422, "idempotency_mismatch", "message:send", { ...body, text: "twice" }, { headers });
      await bad(422, "idempotency_mismatch", "message:edit", body, { headers });
    });

    test("GraphQL makes the same requests", async () => {
      const room = freshRoom();
      const query = `mutation($room: String!, $body: JSON!) {
        chat(request: $room, as: "ada", asName: "Ada", body: $body, idempotencyKey: "${room}") { answer repeated }
      }`;
      const send = async (name, body) => {
        const { body: answer } = await ask(server.url, "POST", "/api/v1/graphql", {
          key: all,
          body: { query, variables: { room: name, body } },
        });
        return answer;
      };
      const { data, errors } = await send("room:join", { room });
      assert.equal(errors, undefined, JSON.stringify(errors));
      assert.equal(data.chat.answer.room.id, room);
      assert.equal(data.chat.repeated, false);
      assert.equal((await send("room:join", { room })).data.chat.repeated, true);
      assert.equal((await send("room:join", { room: "" })).errors[0].extensions.code, "idempotency_mismatch");
    });

    test("moderators hear of reports, and a backend closes them", async (t) => {
      const room = freshRoom();
      const ada = await here(t, `owner-${kind}`, "Ada");
      await ok(ada, "room:join", { room });
      for (const as of ["ben", "cy"]) await good("room:join", { as, room });
      await good("message:send", { as: "ben", room, key: freshKey(), text: "rude" });
      const told = first(ada, "report:new");
      await bad(403, "not_member", "report:send", { as: "eve", room, seq: 1, reason: "rude" });
      const { id } = await good("report:send", { as: "cy", as_name: "Cy", room, seq: 1, reason: "rude" });
      assert.equal((await told).id, id);
      const { reports } = await ok(ada, "report:list", { room });
      assert.deepEqual(reports.map((report) => report.id), [id]);
      await good("report:close", { id, outcome: "removed" });
      await bad(409, "conflict", "report:close", { id, outcome: "removed" });
      const { entries } = await ok(ada, "moderation:log", { room });
      assert.equal(entries[0].kind, "close_report");
    });

    test("clients search, and the places are those of JavaScript", async (t) => {
      const room = freshRoom();
      const ada = await here(t, `finder-${kind}`, "Ada");
      await ok(ada, "room:join", { room });
      await ok(ada, "message:send", { room, key: freshKey(), text: "🦀🦀 Das Café, das große" });
      const { hits, complete } = await ok(ada, "message:search", { words: "GROSSE cafe", room });
      assert.equal(complete, true);
      const [{ message, marks }] = hits;
      assert.deepEqual(marks.map(([start, end]) => message.text.slice(start, end)), ["Café", "große"]);
      const { hits: everywhere } = await ok(ada, "message:search", { words: "gros*" });
      assert.equal(everywhere.length, 1);
    });

    test("a person takes along what is kept of them, and is forgotten", async (t) => {
      const room = freshRoom();
      const id = `leaver-${kind}`;
      const [leaver, ada] = [await here(t, id, "Lea"), await here(t, "ada", "Ada")];
      await ok(ada, "room:join", { room });
      await ok(leaver, "room:join", { room });
      for (let number = 0; number < 120; number += 1) {
        await ok(leaver, "message:send", { room, key: freshKey(), text: `secret ${number}` });
      }
      const { url } = await ok(leaver, "data:export", {});
      const response = await fetch(new URL(url, server.url));
      assert.equal(response.status, 200);
      assert.equal(response.headers.get("content-type"), "application/x-ndjson");
      const lines = (await response.text()).trim().split("\n").map((line) => JSON.parse(line));
      assert.equal(lines[0].id, id);
      assert.equal(lines.filter((line) => line.kind === "message").length, 120);
      const again = await fetch(new URL(url, server.url));
      assert.equal(again.status, 404);
      assert.equal((await again.json()).error.code, "not_found");
      // The same for a backend, and the erasure.
      const { url: other } = await good("data:export", { as: id });
      assert.equal((await fetch(new URL(other, server.url))).status, 200);
      await good("data:erase", { person: id });
      const { messages } = await ok(ada, "message:history", { room, limit: 200 });
      assert.equal(messages.length, 120);
      assert.ok(messages.every(({ text, from }) => text === "" && from.name === "Deleted person"));
      const { hits } = await ok(ada, "message:search", { words: "secret", room });
      assert.deepEqual(hits, []);
    });
  });
}
