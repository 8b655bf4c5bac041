// Requests of rooms with fields that are missing, of another type, unknown, or huge: each is answered by a code and a message
// for people, changes nothing, and the connection goes on.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { call, connect } from "./support/client.js";
import { startLakh } from "./support/server.js";

const OPTIONS = `[{ pattern = "*", history = "memory", presence = true, state_writes_per_second = 1000000 }]`;

let server;
before(async () => (server = await startLakh({ env: { LAKH_ROOMS__OPTIONS: OPTIONS } })));
after(() => server.stop());
const here = (t) => connect(t, server.url, { transports: ["websocket"], auth: { name: "Ada" } });

const room = "r";
const DEEP = JSON.parse("[".repeat(60) + "]".repeat(60));
// A request that is granted, and what its fields may not be.
const REQUESTS = {
  "room:join": [{ room, rewind: { last: 1 }, filter: { a: 1 }, presence: true, state: true }, {
    room: [7, null, [], {}, "", "x".repeat(129), "a\u0000b"],
    rewind: [7, "all", [], {}, { last: 0 }, { last: -1 }, { last: 1.5 }, { last: 1001 }, { last: 1e300 }, { since: "now" }, { last: 1, after: 1 }, { all: true }],
    filter: [7, "a", [], { a: {} }, { a: { is: 1 } }, { a: { in: 1 } }, { a: "x".repeat(600) }, { and: [{ and: [{ and: [{ and: [{ and: [{ a: 1 }] }] }] }] }] }],
    presence: [1, "yes", {}],
    state: [1, "yes", { delta: 1 }, { delta: true, conflate: true }],
    token: [7, {}],
  }],
  "room:emit": [{ room, event: "e", data: 1, echo: false, tags: { a: 1 } }, {
    room: [7, null, ""],
    event: [7, null, "", "connect", "room:x", "x".repeat(129)],
    echo: [1, "no"],
    tags: [1, "a", [], { a: [] }, { a: {} }, { a: "x".repeat(2000) }, Object.fromEntries(Array.from({ length: 17 }, (_, n) => [n, n]))],
  }],
  "room:leave": [{ room }, { room: [7, null, ""] }],
  "room:members": [{ room, limit: 5 }, { room: [7, ""], limit: [0, -1, 1001, "5", 1.5] }],
  "history:get": [{ room, limit: 5, after: 0, since: 0 }, {
    room: [7, ""],
    limit: [0, -1, 1001, "5"],
    after: [-1, "1", 1.5],
    before: [-1, "1", {}],
    since: [-1, "now"],
    event: [7, {}],
    oldest_first: [1, "yes"],
    filter: [7, { a: {} }],
  }],
  "presence:get": [{ room, limit: 5 }, { room: [7, ""], limit: [-1, 1001, "5"], after: [7] }],
  "presence:subscribe": [{ room }, { room: [7, ""], counts: [1, "yes"] }],
  "presence:update": [{ room, data: { a: 1 } }, { room: [7, ""] }],
  "state:join": [{ room }, { room: [7, ""], delta: [1, "yes"], conflate: [1] }],
  "state:get": [{ room, keys: ["a"] }, { room: [7, ""], keys: [7, "a", [7], Array(1001).fill("a")], prefix: [7] }],
  "state:since": [{ room, version: 1 }, { room: [7, ""], version: [-1, "1", null, 1.5] }],
  "state:set": [{ room, key: "k", value: 1, ttl_ms: 1000, bind: "socket" }, {
    room: [7, ""],
    key: [7, null, "", "x".repeat(1000)],
    value: [undefined],
    if_version: [-1, "1", 1.5],
    ttl_ms: [0, -1, "1", 1e15],
    bind: [1, "me", {}],
  }],
  "state:patch": [{ room, key: "k", patch: { a: 1 } }, { room: [7], key: [7, ""], patch: [undefined], if_version: ["1"], ttl_ms: [0] }],
  "state:delete": [{ room, key: "k" }, { room: [7], key: [7, ""], if_version: ["1"] }],
  "state:update": [{ room, changes: [{ key: "k", value: 1 }] }, {
    room: [7],
    changes: [7, {}, [], [7], [{}], [{ key: "k" }], [{ key: "k", value: 1, delete: true }], [{ key: "k", value: 1 }, { key: "k", value: 2 }], Array.from({ length: 101 }, (_, n) => ({ key: `${n}`, value: n }))],
  }],
  "lock:acquire": [{ room, name: "l", ttl_ms: 1000 }, { room: [7], name: [7, "", "x".repeat(1000)], ttl_ms: [0, -1, "1", 1e12], wait_ms: [-1, "1", 1e12] }],
  "lock:renew": [undefined, { token: ["1", -1, null], ttl_ms: [0, "1"] }, { room, name: "l", token: 1, ttl_ms: 1000 }],
  "lock:release": [undefined, { token: ["1", -1], name: [7, ""] }, { room, name: "l", token: 1 }],
  "lock:watch": [{ room }, { room: [7, ""] }],
  "cursor:join": [{ room }, { room: [7, ""] }],
  "cursor:move": [{ room, x: 1, y: 2 }, { room: [7], x: ["1", null, {}], y: ["1", null] }],
};

describe("requests of rooms", { concurrency: true }, () => {
  for (const [event, [good, wrong, base = good]] of Object.entries(REQUESTS)) {
    test(`${event} says what is wrong with it`, async (t) => {
      const socket = await here(t);
      for (const [request, ask] of [["room:join", { room }], ["cursor:join", { room }]]) {
        assert.equal((await call(socket, request, ask)).ok, true);
      }
      const refused = async (request) => {
        const answer = await call(socket, event, request);
        const said = JSON.stringify(request)?.slice(0, 120);
        assert.equal(answer.ok, false, `${event} ${said}`);
        const { code, message } = answer.error;
        assert.ok(["bad_request", "too_large"].includes(code), `${event} ${said}: ${code}`);
        assert.ok(message.length > 8 && message.length < 400, `${event} ${said}: ${message}`);
        assert.doesNotMatch(message, /panic|unwrap|RawValue|serde/i);
      };
      for (const request of [undefined, null, 7, "r", [], [7], {}]) await refused(request);
      for (const [field, values] of Object.entries(wrong)) {
        for (const value of values) await refused({ ...base, [field]: value });
      }
      // What is unknown is passed over.
      if (good) {
        const answer = await call(socket, event, { ...good, unknown: DEEP, other: "x".repeat(10_000) });
        assert.equal(answer.ok, true, JSON.stringify(answer));
      }
    });
  }

  test("values that are too large are refused by their size", async (t) => {
    const socket = await here(t);
    for (const [event, request] of [["room:join", { room: "large" }], ["cursor:join", { room: "large" }]]) {
      assert.equal((await call(socket, event, request)).ok, true);
    }
    const long = "x".repeat(70_000);
    for (const [event, request] of [
      ["room:emit", { room: "large", event: "e", data: long }],
      ["room:emit", { room: "large", event: "e", data: Buffer.alloc(70_000) }],
      ["state:set", { room: "large", key: "k", value: long }],
      ["state:patch", { room: "large", key: "k", patch: { a: long } }],
      ["state:update", { room: "large", changes: [{ key: "k", value: long }] }],
      ["presence:update", { room: "large", data: long }],
      ["cursor:move", { room: "large", x: 1, y: 1, data: long }],
    ]) {
      const answer = await call(socket, event, request);
      assert.equal(answer.error?.code, "too_large", `${event}: ${JSON.stringify(answer)}`);
      assert.match(answer.error.message, /\d/);
    }
    for (const event of ["state:set", "state:patch"]) {
      const bytes = Buffer.from([1]);
      const answer = await call(socket, event, { room: "large", key: "k", value: bytes, patch: bytes });
      assert.equal(answer.error?.code, "bad_request");
    }
    assert.equal((await call(socket, "state:get", { room: "large" })).ok, true);
  });
});
