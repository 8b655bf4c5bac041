// Tokens for rooms that are taken back over the API: who is in by one is out and told, and nobody comes in with it any more.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { ask, keysSetting, newKey } from "./support/api.js";
import { connect, connected, cut, next, ok, refused } from "./support/client.js";
import { startLakh } from "./support/server.js";

const admin = newKey([], { admin: true });
let folder;
let secret;
let server;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "lakh-test-"));
  secret = join(folder, "secret");
  writeFileSync(secret, "0123456789abcdef0123456789abcdef", { mode: 0o600 });
  server = await startLakh({
    env: {
      LAKH_ROOMS__OPTIONS: `[{ pattern = "deal:*", private = true, presence = true }]`,
      LAKH_AUTH__SECRET_FILE: secret,
      LAKH_AUTH__AUDIENCE: "people",
      LAKH_API__KEYS: keysSetting([admin]),
      LAKH_API__REQUESTS_PER_SECOND: "100000",
    },
  });
});
after(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

const make = (...args) =>
  execFileSync(server.path, ["token", "--auth-secret-file", secret, ...args], { encoding: "utf8" }).trim();
const signIn = (t, sub) =>
  connect(t, server.url, {
    transports: ["websocket"],
    reconnection: false,
    auth: { token: make("--sub", sub, "--audience", "people") },
  });
const pass = (sub, ...args) =>
  make("--sub", sub, "--audience", "lakh:rooms", "--grant", "rooms:*:deal:*", "--ttl", "1h", ...args);
const revoke = async (what) => {
  const answer = await ask(server.url, "POST", "/api/v1/revocations", { key: admin, body: what });
  assert.ok(answer.status < 300, answer.text);
};

let rooms = 0;
const freshRoom = () => `deal:${(rooms += 1)}`;

describe("a token for a room that is taken back", { concurrency: true }, () => {
  for (const [what, claims, entry] of [
    ["by its id", (id) => ["--jti", id], (id) => ({ token: id })],
    ["with its sign-in", (id) => ["--sid", id], (id) => ({ session: id })],
  ]) {
    test(`${what}: who is in by it is out, hears nothing more and is told`, async (t) => {
      const room = freshRoom();
      const id = `id of ${room}`;
      const [ada, eve] = [await signIn(t, "ada"), await signIn(t, "eve")];
      await ok(ada, "room:join", { room, token: pass("ada") });
      const token = pass("eve", ...claims(id));
      await ok(eve, "room:join", { room, token, state: true, presence: true });
      await ok(eve, "cursor:join", { room });
      await ok(eve, "state:set", { room, key: "hers", value: 1, bind: "socket" });
      const told = next(eve, "room:revoked");
      await revoke(entry(id));
      assert.deepEqual((await told)[0], { room });
      const heard = [];
      eve.onAny((event) => heard.push(event));
      await ok(ada, "room:emit", { room, event: "e" });
      await ok(ada, "state:set", { room, key: "k", value: 1 });
      await ok(ada, "presence:update", { room, data: 1 });
      await refused(eve, "room:emit", { room, event: "e" }, "not_member");
      await refused(eve, "room:join", { room, token }, "token_revoked");
      assert.deepEqual(heard, []);
      let entries;
      do ({ entries } = await ok(ada, "state:get", { room }));
      while (entries.hers);
      assert.deepEqual(Object.keys(entries), ["k"]);
      // The sign-in holds, and another token lets them in again.
      await ok(eve, "room:join", { room, token: pass("eve") });
      await ok(ada, "room:leave", { room });
    });
  }

  test("with all of a person: tokens for anyone are not theirs", async (t) => {
    const room = freshRoom();
    const [mallory, eve] = [await signIn(t, "mallory"), await signIn(t, "eve2")];
    await ok(mallory, "room:join", { room, token: pass("mallory") });
    await ok(eve, "room:join", { room, token: pass("anyone") });
    const gone = next(mallory, "disconnect");
    await revoke({ person: "mallory" });
    // Their sign-in is of before, too.
    assert.equal((await gone)[0], "io server disconnect");
    await ok(eve, "room:emit", { room, event: "e" });
  });

  test("while its holder is away: they are told when they come back", async (t) => {
    const room = freshRoom();
    const eve = await signIn(t, "eve3");
    await ok(eve, "room:join", { room, token: pass("eve3", "--jti", "away") });
    const event = next(eve, "e");
    await ok(eve, "room:emit", { room, event: "e" });
    await event;
    const gone = next(eve, "disconnect");
    cut(eve);
    await gone;
    await revoke({ token: "away" });
    const told = next(eve, "room:revoked");
    eve.connect();
    await connected(eve);
    assert.deepEqual((await told)[0], { room });
    await refused(eve, "room:emit", { room, event: "e" }, "not_member");
  });
});
