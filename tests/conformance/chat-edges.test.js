// The chat's edges with stock clients over real sockets, on SQLite and on Redis: what is no request, blocks between two, retries of
// counted reactions, what happened told to a backend, paths of the page beside those of files, and the numbers at /metrics.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connect, cut, first, next, ok, refused, until, within } from "./support/client.js";
import { startRedis } from "./support/redis.js";
import { startLakh } from "./support/server.js";

const SECRET = `whsec_${Buffer.from("a secret of at least 24 bytes").toString("base64")}`;

// A backend that is told what happened.
async function startBackend() {
  const told = [];
  let heard = () => {};
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    told.push(...JSON.parse(Buffer.concat(chunks)).events);
    response.writeHead(204).end();
    heard();
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const until = async (fits) => {
    while (!fits(told)) await new Promise((done) => (heard = done));
  };
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    until: (fits, what) => within(until(fits), what),
    told,
    stop: () => new Promise((done) => server.close(done) && server.closeAllConnections()),
  };
}

for (const kind of ["SQLite", "Redis"]) {
  describe(kind, () => {
    let redis;
    let server;
    let backend;
    let folder;
    before(async () => {
      redis = kind === "Redis" ? await startRedis() : undefined;
      backend = await startBackend();
      folder = mkdtempSync(join(tmpdir(), "lakh-edges-"));
      const config = join(folder, "lakh.toml");
      const hook = { name: "b", url: backend.url, secret: SECRET, events: ["module:chat"] };
      const lines = Object.entries(hook).map(([key, value]) => `${key} = ${JSON.stringify(value)}`);
      writeFileSync(config, ["[[hooks.endpoints]]", ...lines, ""].join("\n"));
      server = await startLakh({ env: { LAKH_CONFIG: config, ...(redis ? { LAKH_REDIS: redis.url } : {}) } });
    });
    after(async () => {
      await server?.stop();
      await backend?.stop();
      await redis?.stop();
      rmSync(folder, { recursive: true });
    });

    const here = (t, name) => connect(t, `${server.url}/chat`, { transports: ["websocket"], auth: { name } });

    test("an event that is no request is answered so, and what isn't one object is refused", async (t) => {
      const ada = await here(t, "Ada");
      const { message } = await refused(ada, "message:sent", {}, "unknown_request");
      assert.match(message, /`message:sent` is no request of \/chat/u);
      await refused(ada, "toString", [1], "unknown_request");
      for (const wrong of [null, [], ["lobby"], "lobby", 7, true, NaN, new Uint8Array([1])]) {
        await refused(ada, "room:join", wrong, "bad_request");
      }
      await refused(ada, "room:list", undefined, "bad_request");
      ada.emit("message:sent", {});
      await ok(ada, "room:list", {});
    });

    test("who comes back gets nothing that was said in a room before they came into it", async (t) => {
      const [ada, ben, cleo] = [await here(t, "Ada"), await here(t, "Ben"), await here(t, "Cleo")];
      const say = (key, text = key) => ok(ada, "message:send", { room: "late", key, text });
      for (const socket of [ada, cleo]) await ok(socket, "room:join", { room: "late" });
      // The last event that Ben's client knows the place of.
      const made = first(ben, "room:new");
      await ok(ada, "room:create", { id: "elsewhere" });
      await made;
      await say("early");
      const { message } = await say("secret");
      // On Redis a message is acknowledged when it is stored there, and the node reads it back a moment later.
      const purged = [ada, cleo].map((socket) => next(socket, "message:changed"));
      await ok(ada, "message:purge", { room: "late", seq: message.seq });
      await Promise.all(purged);
      const heard = [];
      for (const event of ["message:new", "message:changed"]) ben.on(event, ({ seq, text, what }) => heard.push(text ?? what ?? seq));
      await ok(ben, "room:join", { room: "late" });
      const back = next(ben, "connect");
      cut(ben);
      await next(ben, "disconnect");
      await say("missed");
      await back;
      assert.equal(ben.recovered, true);
      await say("after");
      await until("what was said since", () => heard.includes("after"));
      assert.deepEqual(heard, ["missed", "after"]);
    });

    test("bytes in a request that has no place for them are refused", async (t) => {
      const ada = await here(t, "Ada");
      await ok(ada, "room:join", { room: "bytes" });
      const send = { room: "bytes", key: "k", text: "x", data: { picture: Buffer.from([1, 2]) } };
      const { message } = await refused(ada, "message:send", send, "bad_request");
      assert.match(message, /binary/u);
      assert.equal((await ok(ada, "message:history", { room: "bytes" })).seq, 0);
    });

    test("between two a block ends all that can be said, both ways, until it's taken back", async (t) => {
      const [ada, ben] = [await here(t, "Ada"), await here(t, "Ben")];
      const { room } = await ok(ada, "room:direct", { people: ["dev:ben"] });
      await ok(ben, "room:watch", { room: room.id });
      const say = (key) => ({ room: room.id, key, text: "hi", mentions: ["dev:ada"] });
      await ok(ben, "message:send", say("1"));
      await ok(ada, "block:add", { person: "dev:ben" });
      for (const socket of [ada, ben]) {
        await refused(socket, "message:send", say("2"), "blocked");
        await refused(socket, "reaction:add", { room: room.id, seq: 1, emoji: "👍" }, "blocked");
        await refused(socket, "typing:set", { room: room.id, typing: true }, "blocked");
        await ok(socket, "message:history", { room: room.id });
      }
      await ok(ada, "block:remove", { person: "dev:ben" });
      await ok(ben, "message:send", say("3"));
    });

    test("what becomes of messages and members reaches the backend by name", async (t) => {
      const [ada, ben] = [await here(t, "Ada"), await here(t, "Ben")];
      const room = `told-${kind}`;
      await ok(ada, "room:create", { id: room, settings: { reactions: "counted" } });
      await ok(ben, "room:join", { room });
      await ok(ada, "message:send", { room, key: "k", text: "hi" });
      await ok(ada, "message:edit", { room, seq: 1, text: "ho" });
      const clap = { room, seq: 1, emoji: "👏", count: 3, key: "once" };
      for (const _ of [1, 2]) {
        const { reactions } = await ok(ben, "reaction:add", clap);
        assert.deepEqual([reactions[0].count, reactions[0].mine], [3, 3]);
      }
      await ok(ada, "message:delete", { room, seq: 1 });
      await ok(ben, "room:leave", { room });
      await ok(ada, "room:delete", { room });
      const inRoom = (told) => told.filter((event) => event.room === room);
      const names = (told) => inRoom(told).map((event) => event.event);
      await backend.until((told) => names(told).includes("room:deleted"), "room:deleted at the backend");
      const wanted = names(backend.told).filter((name) => name !== "presence:update");
      assert.deepEqual(wanted, [
        "room:new",
        "member:joined",
        "message:edit",
        "reaction",
        "message:delete",
        "member:left",
        "room:deleted",
      ]);
      const edit = inRoom(backend.told).find((event) => event.event === "message:edit");
      assert.deepEqual([edit.type, edit.user, edit.data.set.text], ["module", { id: "dev:ada", name: "Ada" }, "ho"]);
    });

    test("links into the page lead there, whatever a room is called", async () => {
      for (const path of ["/chat", "/chat/files", "/chat/uploads", "/chat/files%2Fa%2Fb", "/chat/uploads%2Fa%2Fb"]) {
        const answer = await fetch(server.url + path);
        assert.deepEqual([answer.status, answer.headers.get("content-type")], [200, "text/html; charset=utf-8"], path);
      }
      const file = await fetch(`${server.url}/chat/files/none/a.png`);
      assert.match(file.headers.get("content-type"), /json/u);
    });

    test("requests and messages are counted at /metrics", async (t) => {
      const ada = await here(t, "Ada");
      const read = async (line) => {
        const text = await (await fetch(`${server.url}/metrics`)).text();
        const found = text.split("\n").find((one) => one.startsWith(`${line} `));
        return Number(found?.split(" ")[1] ?? 0);
      };
      const sent = 'lakh_chat_messages_total{where="room"}';
      const granted = 'lakh_chat_requests_total{request="message:send",outcome="granted"}';
      const no = 'lakh_chat_requests_total{request="message:send",outcome="refused"}';
      const earlier = [await read(sent), await read(granted), await read(no)];
      await ok(ada, "room:join", { room: "counted" });
      for (const key of ["1", "2", "2"]) await ok(ada, "message:send", { room: "counted", key, text: "hi" });
      await refused(ada, "message:send", { room: "counted", key: "", text: "hi" }, "bad_request");
      assert.deepEqual(
        [await read(sent), await read(granted), await read(no)],
        [earlier[0] + 2, earlier[1] + 3, earlier[2] + 1],
      );
    });
  });
}
