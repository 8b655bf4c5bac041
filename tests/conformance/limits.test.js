// Every limit of a person, an address and a node, with each thing that may happen past it: what stock clients are told.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { call, connect, next, open } from "./support/client.js";
import { startLakh } from "./support/server.js";

const SCOPES = { person: "_PER_PERSON", address: "_PER_ADDRESS", node: "" };
const WORDS = { person: "a person", address: "an address", node: "the node" };
const LIMITS = {
  events: { rate: 4, request: () => ["room:leave", { room: "x" }] },
  joins: { rate: 4, request: (n) => ["room:join", { room: `r${n}` }] },
  bytes: { rate: 20_000, request: () => ["room:leave", { room: "x", text: "x".repeat(8_000) }] },
};
const BURST = 12;

async function serve(t, env) {
  const server = await startLakh({ env });
  t.after(() => server.stop());
  return server;
}

for (const [limit, { rate, request }] of Object.entries(LIMITS)) {
  describe(`${limit} a second`, { concurrency: 3 }, () => {
    for (const [scope, suffix] of Object.entries(SCOPES)) {
      for (const action of ["refuse", "slow", "disconnect"]) {
        test(`of ${WORDS[scope]}: ${action}`, async (t) => {
          const { url } = await serve(t, {
            [`LAKH_LIMITS__${limit.toUpperCase()}_PER_SECOND${suffix}`]: String(rate),
            [`LAKH_LIMITS__PAST_${limit.toUpperCase()}`]: action,
          });
          const socket = await connect(t, url, { transports: ["websocket"], auth: { name: "Ada" } });
          const told = limit === "joins" && action === "refuse" ? null : next(socket, "limit");
          const gone = new Promise((done) => socket.once("disconnect", done));
          assert.equal((await call(socket, "room:leave", { room: "x" })).ok, true);
          const answers = Array.from({ length: BURST }, (_, n) => call(socket, ...request(n)));
          // Whoever is disconnected gets no more answers.
          for (const answer of answers) answer.catch(() => {});
          // It's told to who asked for no answer, and to who is slowed or closed.
          if (action === "refuse") {
            const codes = (await Promise.all(answers)).map(({ ok, error }) => (ok ? "ok" : error.code));
            // Bytes that came at once are counted before the first of their events is read.
            if (limit !== "bytes") assert.equal(codes[0], "ok");
            assert.equal(codes.at(-1), "rate_limited");
            assert.ok(codes.every((code) => ["ok", "rate_limited"].includes(code)), codes.join());
            if (!told) return;
            for (let n = 0; n < BURST; n += 1) socket.emit(...request(n));
          }
          const [why] = await told;
          assert.deepEqual(
            [why.code, why.limit, why.scope, why.action],
            // While bytes are made up for, it's the events of that connection that are refused.
            ["rate_limited", limit, why.action === "refuse" && limit === "bytes" ? why.scope : scope, action],
          );
          assert.ok(why.retry_in_ms > 0);
          if (action === "slow") for (const answer of answers) assert.equal((await answer).ok, true);
          if (action === "disconnect") assert.equal(await gone, "io server disconnect");
          else assert.equal(socket.connected, true);
        });
      }
    }
  });
}

describe("connections at once", { concurrency: 3 }, () => {
  for (const action of ["refuse", "disconnect"]) {
    test(`of a person: ${action}`, async (t) => {
      const { url } = await serve(t, {
        LAKH_LIMITS__MAX_CONNECTIONS_PER_PERSON: "1",
        LAKH_LIMITS__PAST_CONNECTIONS: action,
      });
      const options = { transports: ["websocket"], auth: { name: "Ada" } };
      await connect(t, url, options);
      const second = open(t, url, { ...options, reconnection: false });
      const [error] = await next(second, "connect_error");
      assert.equal(error.data.code, "too_many_connections");
      await connect(t, url, { ...options, auth: { name: "Eve" } });
    });
  }

  for (const [scope, setting, status] of [
    ["an address", "LAKH_LIMITS__MAX_CONNECTIONS_PER_ADDRESS", 429],
    ["the node", "LAKH_LIMITS__MAX_CONNECTIONS", 503],
  ]) {
    test(`of ${scope}: HTTP ${status}, and when to come again`, async (t) => {
      const { url } = await serve(t, { [setting]: "2" });
      const options = { transports: ["websocket"], auth: { name: "Ada" } };
      await connect(t, url, options);
      await connect(t, url, options);
      const third = open(t, url, { ...options, reconnection: false });
      await next(third, "connect_error");
      const answer = await fetch(`${url}/socket.io/?EIO=4&transport=polling`, { headers: { connection: "close" } });
      assert.equal(answer.status, status);
      assert.ok(Number(answer.headers.get("retry-after")) > 0);
      await answer.text();
    });
  }

  test("rooms of a person", async (t) => {
    const { url } = await serve(t, { LAKH_LIMITS__MAX_ROOMS_PER_PERSON: "1" });
    const socket = await connect(t, url, { transports: ["websocket"], auth: { name: "Ada" } });
    assert.equal((await call(socket, "room:join", { room: "a" })).ok, true);
    assert.equal((await call(socket, "room:join", { room: "b" })).error.code, "too_many_rooms");
  });
});
