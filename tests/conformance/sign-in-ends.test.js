// The end of a sign-in while its connection lives, and limits, as stock clients see them.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { TRANSPORTS, call, connect, connected, cut, next, open, within } from "./support/client.js";
import { startLakh } from "./support/server.js";

const SECRET = "0123456789abcdef0123456789abcdef";

const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

// A token of this person that ends after so many milliseconds. Ends are whole seconds.
function token(sub, ms, claims = {}) {
  const exp = Math.ceil((Date.now() + ms) / 1000);
  const text = `${encode({ alg: "HS256", typ: "JWT" })}.${encode({ sub, iat: exp - 3600, exp, ...claims })}`;
  return `${text}.${createHmac("sha256", SECRET).update(text).digest("base64url")}`;
}

const end = (jwt) => JSON.parse(Buffer.from(jwt.split(".")[1], "base64url")).exp * 1000;
const HOUR = 3_600_000;

function serve(env = {}) {
  return startLakh({
    env: { LAKH_AUTH__SECRET: SECRET, LAKH_AUTH__EXPIRY_NOTICE_MS: "600000", ...env },
  });
}

describe("a sign-in that ends", { concurrency: true }, () => {
  let server;
  before(async () => (server = await serve()));
  after(() => server.stop());

  const here = (t, jwt, options, namespace = "/") =>
    connect(t, server.url + namespace, { transports: ["websocket"], auth: { token: jwt }, ...options });

  for (const [name, options] of Object.entries(TRANSPORTS)) {
    test(`${name}: its client is told before, told at the end, and disconnected for good`, async (t) => {
      const jwt = token("ada", 2500);
      const socket = open(t, server.url, { auth: { token: jwt }, ...options });
      const [expiring, expired, gone] = ["auth:expiring", "auth:expired", "disconnect"].map((event) =>
        next(socket, event),
      );
      const [told] = await expiring;
      assert.equal(told.expires_at, end(jwt));
      assert.ok(told.in_ms > 0 && told.in_ms <= 3500, `in ${told.in_ms} ms`);
      const [why] = await expired;
      assert.deepEqual(why, { code: "expired", expires_at: end(jwt) });
      assert.ok(Date.now() >= end(jwt) - 5, "not before its end");
      assert.equal((await gone)[0], "io server disconnect");
      assert.equal(socket.active, false);
    });
  }

  test("who refreshes it goes on, and is told of the next end", async (t) => {
    const socket = await here(t, token("ada", 2500));
    const newer = token("ada", 20_000);
    const told = next(socket, "auth:expiring");
    assert.deepEqual(await call(socket, "auth:refresh", { token: newer }), {
      ok: true,
      expires_at: end(newer),
    });
    assert.equal((await told)[0].expires_at, end(newer));
    // Past the first end it's still there.
    await new Promise((done) => setTimeout(done, 4000));
    assert.equal(socket.connected, true);
    assert.deepEqual(await call(socket, "room:leave", { room: "x" }), { ok: true });
  });

  test("a refresh counts for all namespaces of the connection", async (t) => {
    const old = token("ada", 3000);
    const rooms = await here(t, old);
    const chat = rooms.io.socket("/chat", { auth: { token: old } });
    t.after(() => chat.disconnect());
    await connected(chat);
    const expired = [];
    for (const socket of [rooms, chat]) socket.on("auth:expired", () => expired.push(socket.nsp));
    assert.equal((await call(chat, "auth:refresh", { token: token("ada", HOUR) })).ok, true);
    await new Promise((done) => setTimeout(done, Math.max(0, end(old) - Date.now()) + 500));
    assert.deepEqual([rooms.connected, chat.connected, expired], [true, true, []]);
  });

  test("each namespace ends with its own sign-in", async (t) => {
    const rooms = await here(t, token("ada", HOUR));
    const chat = rooms.io.socket("/chat", { auth: { token: token("eve", 2000) } });
    t.after(() => chat.disconnect());
    const gone = next(chat, "disconnect");
    await connected(chat);
    assert.equal((await gone)[0], "io server disconnect");
    assert.equal((await call(rooms, "room:leave", { room: "x" })).ok, true);
  });

  test("new rights count at once", async (t) => {
    const socket = await here(t, token("ada", HOUR));
    const refused = await call(socket, "room:join", { room: "board" });
    assert.equal(refused.error.code, "forbidden");
    const newer = token("ada", HOUR, { grants: ["rooms:join:board"] });
    assert.equal((await call(socket, "auth:refresh", { token: newer })).ok, true);
    assert.equal((await call(socket, "room:join", { room: "board" })).ok, true);
    const fewer = token("ada", HOUR);
    assert.equal((await call(socket, "auth:refresh", { token: fewer })).ok, true);
    assert.equal((await call(socket, "room:join", { room: "board" })).error.code, "forbidden");
  });

  test("a refresh with another's token, an old one or none is refused and changes nothing", async (t) => {
    const socket = await here(t, token("ada", HOUR));
    for (const [request, code] of [
      [{ token: token("eve", HOUR) }, "forbidden"],
      [{ token: token("ada", -HOUR) }, "unauthorized"],
      [{ token: `${token("ada", HOUR)}x` }, "unauthorized"],
      [{ token: "" }, "unauthorized"],
      [{}, "bad_request"],
    ]) {
      const answer = await call(socket, "auth:refresh", request);
      assert.equal(answer.ok, false);
      assert.equal(answer.error.code, code, JSON.stringify(request));
    }
    assert.equal(socket.connected, true);
  });

  test("nobody refreshes without end", async (t) => {
    const socket = await here(t, token("ada", HOUR));
    const newer = token("ada", HOUR);
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => call(socket, "auth:refresh", { token: newer })),
    );
    assert.equal(answers[0].ok, true);
    assert.equal(answers.at(-1).error.code, "rate_limited");
  });

  test("who comes back from a cut after the end does not slip in", async (t) => {
    const jwt = token("ada", 1500);
    const socket = await here(t, jwt, { reconnectionDelay: 10 });
    await call(socket, "room:leave", { room: "x" });
    socket.io.reconnection(false);
    cut(socket);
    await next(socket, "disconnect");
    // The leeway of clocks lets a token in for as long; without it in this server's settings not at all.
    const strict = await serve({ LAKH_AUTH__LEEWAY_MS: "0" });
    t.after(() => strict.stop());
    await new Promise((done) => setTimeout(done, end(jwt) - Date.now() + 50));
    const late = open(t, strict.url, { auth: { token: jwt }, transports: ["websocket"] });
    const [error] = await next(late, "connect_error");
    assert.equal(error.data.code, "unauthorized");
  });
});

describe("limits", { concurrency: true }, () => {
  const named = async (t, env) => {
    const server = await startLakh({ env });
    t.after(() => server.stop());
    return ({ namespace = "", ...options } = {}) =>
      connect(t, server.url + namespace, { transports: ["websocket"], auth: { name: "Ada" }, ...options });
  };

  test("events a second of a person: refused with a code", async (t) => {
    const ada = await named(t, { LAKH_LIMITS__EVENTS_PER_SECOND_PER_PERSON: "5" });
    const [one, two] = [await ada(), await ada()];
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, i) => call(i % 2 ? one : two, "room:leave", { room: "x" })),
    );
    const codes = new Set(answers.map((answer) => (answer.ok ? "ok" : answer.error.code)));
    assert.deepEqual([...codes].sort(), ["ok", "rate_limited"]);
    const told = next(one, "limit");
    for (let i = 0; i < 40; i++) one.emit("room:leave", { room: "x" });
    const [limit] = await told;
    assert.equal(limit.code, "rate_limited");
    assert.equal(limit.limit, "events");
    assert.ok(limit.retry_in_ms > 0);
  });

  test("events a second of an address: the connection is read slower, and loses nothing", async (t) => {
    const ada = await named(t, {
      LAKH_LIMITS__EVENTS_PER_SECOND_PER_ADDRESS: "20",
      LAKH_LIMITS__PAST_EVENTS: "slow",
    });
    for (const options of [{}, { transports: ["polling"] }]) {
      const socket = await ada(options);
      const begun = performance.now();
      const all = Array.from({ length: 60 }, () => call(socket, "room:leave", { room: "x" }));
      for (const answer of await within(Promise.all(all), "all answers")) assert.equal(answer.ok, true);
      // Sixty at twenty a second, of which the first twenty may come at once.
      if (!options.transports) assert.ok(performance.now() - begun > 1000);
      await call(socket, "room:leave", { room: "x" });
    }
  });

  test("events a second of a node: the connection is closed with a word", async (t) => {
    const ada = await named(t, {
      LAKH_LIMITS__EVENTS_PER_SECOND: "5",
      LAKH_LIMITS__PAST_EVENTS: "disconnect",
    });
    const socket = await ada();
    const [told, gone] = [next(socket, "limit"), next(socket, "disconnect")];
    for (let i = 0; i < 20; i++) socket.emit("room:leave", { room: "x" });
    const [limit] = await told;
    assert.deepEqual([limit.code, limit.scope, limit.action], ["rate_limited", "node", "disconnect"]);
    assert.equal((await gone)[0], "io server disconnect");
  });

  test("connections of a person", async (t) => {
    const ada = await named(t, { LAKH_LIMITS__MAX_CONNECTIONS_PER_PERSON: "2" });
    const first = await ada();
    await ada();
    await assert.rejects(ada(), /as many connections/);
    await ada({ auth: { name: "Eve" } });
    first.disconnect();
    const again = async () => {
      try {
        return await ada();
      } catch {
        return again();
      }
    };
    await within(again(), "a place to come free");
  });

  test("joins and rooms of a person", async (t) => {
    const ada = await named(t, {
      LAKH_LIMITS__MAX_ROOMS_PER_PERSON: "2",
      LAKH_LIMITS__JOINS_PER_SECOND_PER_PERSON: "4",
    });
    const [one, two] = [await ada(), await ada()];
    const join = (socket, room) => call(socket, "room:join", { room });
    assert.equal((await join(one, "a")).ok, true);
    assert.equal((await join(two, "b")).ok, true);
    assert.equal((await join(one, "c")).error.code, "too_many_rooms");
    await call(two, "room:leave", { room: "b" });
    const codes = [];
    for (let i = 0; i < 8; i++) {
      const answer = await join(one, "c");
      codes.push(answer.ok ? "ok" : answer.error.code);
      await call(one, "room:leave", { room: "c" });
    }
    assert.ok(codes.includes("ok") && codes.includes("rate_limited"), codes.join());
  });

  test("joins of chat count as those of rooms do, in one account of the person", async (t) => {
    const ada = await named(t, {
      LAKH_LIMITS__MAX_ROOMS_PER_PERSON: "3",
      LAKH_LIMITS__JOINS_PER_SECOND_PER_PERSON: "6",
    });
    const [rooms, chat] = [await ada(), await ada({ namespace: "/chat" })];
    const join = async (socket, room) => {
      const answer = await call(socket, "room:join", { room });
      return answer.ok ? "ok" : answer.error.code;
    };
    assert.deepEqual([await join(rooms, "a"), await join(chat, "b"), await join(chat, "c")], ["ok", "ok", "ok"]);
    assert.equal(await join(chat, "d"), "too_many_rooms");
    assert.equal(await join(rooms, "d"), "too_many_rooms");
    // Who is in already may say so again.
    assert.equal(await join(chat, "b"), "ok");
    // Looking on counts, too, and isn't held up by the disk. The account fills again, so it's tried a few times.
    await call(chat, "room:leave", { room: "c" });
    const codes = [];
    const elsewhere = [];
    while (elsewhere.length < 4 && elsewhere.at(-1) !== "rate_limited") {
      while (codes.length < 500 && codes.at(-1) !== "rate_limited") {
        await call(chat, "room:unwatch", { room: "b" });
        const { ok, error } = await call(chat, "room:watch", { room: "b" });
        codes.push(ok ? "ok" : error.code);
      }
      elsewhere.push(await join(rooms, "e"));
      await call(rooms, "room:leave", { room: "e" });
      codes.push("again");
    }
    assert.ok(codes.includes("ok") && codes.includes("rate_limited"), codes.join());
    assert.equal(elsewhere.at(-1), "rate_limited", elsewhere.join());
  });

  test("bytes a second: slowed by default, refused where that is chosen", async (t) => {
    const text = "x".repeat(20_000);
    const slow = await (await named(t, { LAKH_LIMITS__BYTES_PER_SECOND_PER_PERSON: "50000" }))();
    const begun = performance.now();
    for (let i = 0; i < 6; i++) {
      const answer = await call(slow, "room:leave", { room: "x", text });
      assert.equal(answer.ok, true);
    }
    assert.ok(performance.now() - begun > 800, "120 KB at 50 KB a second, 50 of them at once");
    const refused = await (
      await named(t, {
        LAKH_LIMITS__BYTES_PER_SECOND_PER_PERSON: "50000",
        LAKH_LIMITS__PAST_BYTES: "refuse",
      })
    )();
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => call(refused, "room:leave", { room: "x", text })),
    );
    const last = answers.at(-1);
    assert.equal(last.error?.code, "rate_limited");
  });
});
