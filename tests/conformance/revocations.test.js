// What is taken back over the API, as stock clients and other backends see it.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import { ask, keysSetting, newKey } from "./support/api.js";
import { TRANSPORTS, call, connected, next, open, within } from "./support/client.js";
import { startLakh } from "./support/server.js";

const SECRET = "0123456789abcdef0123456789abcdef";
const all = newKey(["api:*:*"]);
const narrow = newKey(["api:revocations:@ada-*", "api:revocations:session:s-*"]);
const doomed = newKey(["api:*:*"]);

let server;
before(async () => {
  server = await startLakh({
    env: {
      LAKH_AUTH_SECRET: SECRET,
      LAKH_AUTH__RULES: '[{ who = "signed-in", allow = "rooms:*:*" }]',
      LAKH_API__KEYS: keysSetting([all, narrow, doomed]),
      LAKH_API__REQUESTS_PER_SECOND: "100000",
    },
  });
});
after(() => server.stop());

const api = (method, path, body, key = all) => ask(server.url, method, `/api/v1${path}`, { key, body });
const revoke = (body, key) => api("POST", "/revocations", body, key);

let names = 0;
const fresh = (prefix) => `${prefix}${(names += 1)}`;

// A token of the server's own making, or as good as one.
function signed(claims) {
  const now = Math.floor(Date.now() / 1000);
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const text = `${encode({ alg: "HS256" })}.${encode({ iat: now, exp: now + 3600, ...claims })}`;
  return `${text}.${createHmac("sha256", SECRET).update(text).digest("base64url")}`;
}

// What a client shows, and what it can be taken back by.
async function signIn(more = {}) {
  const person = fresh("ada-");
  const session = fresh("s-");
  const { status, body, text } = await api("POST", "/tokens", { id: person, session, ...more });
  assert.equal(status, 201, text);
  return { person, session, jwt: body.token, token: body.id };
}

function refused(t, jwt) {
  const socket = open(t, server.url, { auth: { token: jwt }, transports: ["websocket"], reconnection: false });
  return next(socket, "connect_error").then(([error]) => error.data.code);
}

describe("what is taken back", () => {
  for (const by of ["token", "session", "person"]) {
    for (const [name, options] of Object.entries(TRANSPORTS)) {
      test(`by ${by}, ${name}: its client is told, disconnected for good, and not let in again`, async (t) => {
        const [gone, stays] = [await signIn(), await signIn()];
        const show = ({ jwt }) => connected(open(t, server.url, { auth: { token: jwt }, ...options }));
        const [socket, other] = [await show(gone), await show(stays)];
        const [told, left] = [next(socket, "auth:revoked"), next(socket, "disconnect")];
        const { status, body, text } = await revoke({ [by]: gone[by] });
        assert.equal(status, 201, text);
        assert.deepEqual([body.kind, body.id], [by, gone[by]]);
        assert.deepEqual((await told)[0], { code: "revoked" });
        assert.equal((await left)[0], "io server disconnect");
        assert.equal(socket.active, false, "a stock client doesn't come back by itself");
        assert.equal(await refused(t, gone.jwt), "unauthorized");
        assert.equal((await call(other, "room:join", { room: "board" })).ok, true);
        const { body: listed } = await api("GET", "/revocations?limit=1000");
        assert.ok(listed.revocations.some(({ kind, id }) => kind === by && id === gone[by]));
      });
    }
  }

  test("only what a key covers can be taken back by it", async () => {
    for (const [body, status] of [
      [{ person: "ada-x" }, 201],
      [{ session: "s-x" }, 201],
      [{ person: "bob" }, 403],
      [{ token: "ada-x" }, 403],
      [{}, 400],
      [{ person: "ada-x", session: "s-x" }, 400],
      [{ person: "ada-x", reason: "x" }, 400],
      [{ person: "ada-x", until: 1 }, 400],
      [{ person: "" }, 403],
    ]) {
      const { status: got, text } = await revoke(body, narrow);
      assert.equal(got, status, `${JSON.stringify(body)}: ${text}`);
    }
    assert.equal((await revoke({ person: "" })).status, 400);
    assert.equal((await api("GET", "/revocations", undefined, narrow)).status, 403);
  });

  test("a token made after a person's were taken back lets them in", async (t) => {
    const { person, jwt } = await signIn();
    await revoke({ person });
    assert.equal(await refused(t, jwt), "unauthorized");
    // Tokens count by whole seconds: the next one is of a later second.
    const later = signed({ sub: person, iat: Math.floor(Date.now() / 1000) + 1 });
    await connected(open(t, server.url, { auth: { token: later }, transports: ["websocket"] }));
  });
});

describe("the API itself", () => {
  test("a bearer token that was taken back asks nothing more", async () => {
    for (const by of ["token", "session", "person"]) {
      const who = await issue();
      assert.equal((await api("GET", "/rooms", undefined, who.jwt)).status, 200);
      await revoke({ [by]: who[by] });
      const { status, body, headers } = await api("GET", "/rooms", undefined, who.jwt);
      assert.deepEqual([status, body.error.code], [401, "unauthorized"], by);
      assert.match(headers["www-authenticate"], /^Bearer/);
      const graphql = await api("POST", "/graphql", { query: "{ __typename }" }, who.jwt);
      assert.equal(graphql.status, 401);
    }
  });

  test("an API key that was taken back asks nothing more, and others go on", async () => {
    assert.equal((await api("GET", "/rooms", undefined, doomed)).status, 200);
    assert.equal((await revoke({ person: `key:${doomed.id}` })).status, 201);
    assert.equal((await api("GET", "/rooms", undefined, doomed)).status, 401);
    assert.equal((await api("GET", "/rooms")).status, 200);
  });

  for (const by of ["token", "session", "person"]) {
    test(`a subscription ends when what it was let in with is taken back, by ${by}`, async (t) => {
      const who = await issue();
      const closed = [];
      let more = () => {};
      const client = createClient({
        url: `${server.url.replace("http", "ws")}/api/v1/graphql`,
        webSocketImpl: WebSocket,
        connectionParams: { token: who.jwt },
        retryAttempts: 0,
        on: { closed: (event) => closed.push(event.code) && more() },
      });
      t.after(() => client.dispose());
      const news = client.iterate({ query: 'subscription { roomPresence(room: "x") { snapshot } }' });
      assert.equal((await within(news.next(), "the first news")).value.data.roomPresence.snapshot, true);
      const end = new Promise((done) => (more = done));
      const over = news.next().catch((event) => event);
      await revoke({ [by]: who[by] });
      await within(end, "the end of the connection");
      assert.deepEqual(closed, [4403]);
      await within(over, "the end of the subscription");
      const again = createClient({
        url: `${server.url.replace("http", "ws")}/api/v1/graphql`,
        webSocketImpl: WebSocket,
        connectionParams: { token: who.jwt },
        retryAttempts: 0,
      });
      t.after(() => again.dispose());
      const denied = again.iterate({ query: "{ __typename }" }).next();
      await assert.rejects(within(denied, "a refusal"), (event) => event.code === 4403);
    });
  }

  // A token with rights for the API, as its owner's own server would make it.
  async function issue() {
    const [person, session, token] = [fresh("backend-"), fresh("s-"), fresh("t-")];
    const jwt = signed({ sub: person, sid: session, jti: token, grants: ["api:*:*"] });
    return { person, session, token, jwt };
  }
});
