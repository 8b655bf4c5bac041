// Who may do what, as one table over all modules: each role tries each act, by stock clients, over HTTP and over GraphQL,
// in production. `y` is done, `.` is `forbidden`.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, test } from "node:test";
import { ask } from "./support/api.js";
import { call, connect } from "./support/client.js";
import { startLakh } from "./support/server.js";

const SECRET = "0123456789abcdef0123456789abcdef";
const RULES = `[
  { who = "name:banned", deny = "*:*:*" },
  { who = "anonymous", allow = ["rooms:join:news", "rooms:state.read:news"] },
  { who = "role:reader", allow = ["rooms:join,state.read:*", "chat:join,list,history:*", "api:rooms,sockets,stats:*"] },
  { who = "role:editor", allow = ["rooms:join,emit,state.read,state.write,lock,cursor:*", "chat:join,send,typing,presence:*"] },
  { who = "role:backend", allow = "api:emit,join,leave:*" },
]`;

const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
function token(sub, claims) {
  const exp = Math.floor(Date.now() / 1000) + 600;
  const text = `${encode({ alg: "HS256", typ: "JWT" })}.${encode({ sub, exp, ...claims })}`;
  return `${text}.${createHmac("sha256", SECRET).update(text).digest("base64url")}`;
}

const WHO = {
  nobody: undefined,
  ada: token("ada", {}),
  reader: token("rhea", { roles: ["reader"] }),
  editor: token("eve", { roles: ["editor"] }),
  backend: token("bea", { roles: ["backend"] }),
  granted: token("gus", { grants: ["rooms:join,lock:news", "chat:join,presence:*", "api:history,tokens,revocations:*"] }),
  admin: token("root", { admin: true }),
  banned: token("banned", { roles: ["reader", "editor", "backend"], admin: true }),
};

let server;
before(async () => {
  server = await startLakh({
    env: {
      LAKH_AUTH_SECRET: SECRET,
      LAKH_AUTH__ANONYMOUS: "true",
      LAKH_AUTH__RULES: RULES,
      LAKH_ROOMS__OPTIONS: '[{ pattern = "*", history = "memory", presence = true, state = "memory" }]',
    },
  });
});
after(() => server.stop());

// Requests in their order: what comes first is needed by what follows.
const ROOMS = {
  join: ["room:join", {}],
  emit: ["room:emit", { event: "e", data: 1 }],
  "state.read": ["state:get", {}],
  "state.write": ["state:set", { key: "k", value: 1 }],
  lock: ["lock:acquire", { ttl_ms: 1000 }],
  cursor: ["cursor:join", {}],
};
const CHAT = {
  join: ["room:join", {}],
  send: ["message:send", { key: "k", text: "t" }],
  history: ["message:history", {}],
  typing: ["typing:set", { typing: true }],
  presence: ["presence:list", {}],
};

async function tried(socket, acts, room) {
  let may = "";
  for (const [act, [event, request]] of Object.entries(acts)) {
    // A lock of each one's own.
    const { ok, error } = await call(socket, event, { room, name: socket.id, ...request });
    // Whoever was not let in isn't a member either, and a room that nobody was let into isn't there; which is told first is the
    // module's business.
    assert.ok(ok || ["forbidden", "not_member", "not_found"].includes(error.code), `${act}: ${JSON.stringify(error)}`);
    may += ok ? "y" : ".";
  }
  return may;
}

test("rooms: each act by each role", async (t) => {
  const table = {
    //        join emit read write lock cursor, in the room `news` and in another
    nobody: ["y.y...", "......"],
    ada: ["......", "......"],
    reader: ["y.y...", "y.y..."],
    editor: ["yyyyyy", "yyyyyy"],
    backend: ["......", "......"],
    granted: ["y...y.", "......"],
    admin: ["yyyyyy", "yyyyyy"],
    banned: ["......", "......"],
  };
  for (const [who, expected] of Object.entries(table)) {
    const socket = await connect(t, server.url, { transports: ["websocket"], auth: { token: WHO[who] } });
    const may = [await tried(socket, ROOMS, "news"), await tried(socket, ROOMS, "other")];
    assert.deepEqual(may, expected, who);
  }
});

test("chat: each act by each role", async (t) => {
  const table = {
    // join send history typing presence, and whether the room is listed
    ada: ".....",
    reader: "y.y..",
    editor: "yy.yy",
    backend: ".....",
    granted: "y...y",
    admin: "yyyyy",
    banned: ".....",
  };
  const listed = [];
  // To make a room is an act of its own, so it's made before.
  const maker = await connect(t, `${server.url}/chat`, { transports: ["websocket"], auth: { token: WHO.admin } });
  assert.ok((await call(maker, "room:join", { room: "general" })).ok);
  for (const [who, expected] of Object.entries(table)) {
    const socket = await connect(t, `${server.url}/chat`, { transports: ["websocket"], auth: { token: WHO[who] } });
    assert.equal(await tried(socket, CHAT, "general"), expected, who);
    const { rooms } = await call(socket, "room:list", {});
    if (rooms.length > 0) listed.push(who);
  }
  assert.deepEqual(listed, ["reader", "admin"]);
  await assert.rejects(connect(t, `${server.url}/chat`, { transports: ["websocket"] }), /Sign-in needed/);
});

// Each act of `api`, as HTTP has it and, where there is one, as GraphQL has it.
const API = {
  emit: [
    (key) => ask(server.url, "POST", "/api/v1/emit", { key, body: { rooms: ["r"], event: "e" } }),
    'mutation { emit(to: {rooms: ["r"]}, event: {event: "e"}) { __typename } }',
  ],
  join: [
    (key) => ask(server.url, "POST", "/api/v1/join", { key, body: { whom: { rooms: ["r"] }, rooms: ["r"] } }),
    'mutation { join(whom: {rooms: ["r"]}, rooms: ["r"]) { __typename } }',
  ],
  leave: [
    (key) => ask(server.url, "POST", "/api/v1/leave", { key, body: { whom: { rooms: ["r"] }, rooms: ["r"] } }),
    'mutation { leave(whom: {rooms: ["r"]}, rooms: ["r"]) { __typename } }',
  ],
  disconnect: [
    (key) => ask(server.url, "POST", "/api/v1/disconnect", { key, body: { rooms: ["nobody"] } }),
    'mutation { disconnect(whom: {rooms: ["nobody"]}) { __typename } }',
  ],
  sockets: [(key) => ask(server.url, "GET", "/api/v1/sockets", { key }), "{ sockets { __typename } }"],
  rooms: [(key) => ask(server.url, "GET", "/api/v1/rooms", { key }), "{ rooms { __typename } }"],
  presence: [(key) => ask(server.url, "GET", "/api/v1/rooms/r/presence", { key })],
  history: [(key) => ask(server.url, "GET", "/api/v1/rooms/r/history", { key })],
  tokens: [(key) => ask(server.url, "POST", "/api/v1/tokens", { key, body: { id: "x" } })],
  revocations: [(key) => ask(server.url, "POST", "/api/v1/revocations", { key, body: { token: "of-nobody" } })],
  nodes: [(key) => ask(server.url, "GET", "/api/v1/nodes", { key }), "{ nodes { __typename } }"],
  stats: [(key) => ask(server.url, "GET", "/api/v1/stats", { key })],
  drain: [
    (key) => ask(server.url, "POST", "/api/v1/nodes/nobody/drain", { key }),
    'mutation { drain(node: "nobody") { __typename } }',
  ],
};

test("api: each act by each role, over HTTP and GraphQL alike", async () => {
  const table = {
    // emit join leave disc sockets rooms presence history tokens revocations nodes stats drain
    ada: ".............",
    reader: "....yy.....y.",
    editor: ".............",
    backend: "yyy..........",
    granted: ".......yyy...",
    admin: "yyyyyyyyyyyyy",
    banned: ".............",
  };
  for (const [who, expected] of Object.entries(table)) {
    let [http, graphql] = ["", ""];
    for (const [act, [does, query]] of Object.entries(API)) {
      const { status, body, text } = await does(WHO[who]);
      assert.ok(status !== 401 && status < 500, `${who} ${act}: ${text}`);
      assert.equal(status === 403, body?.error?.code === "forbidden", text);
      http += status === 403 ? "." : "y";
      if (!query) {
        graphql += http.at(-1);
        continue;
      }
      const answer = await ask(server.url, "POST", "/api/v1/graphql", { key: WHO[who], body: { query } });
      const code = answer.body?.errors?.[0]?.extensions?.code;
      assert.notEqual(code, "GRAPHQL_VALIDATION_FAILED", answer.text);
      assert.ok(code || answer.body?.data, `${who} ${act}: ${answer.text}`);
      graphql += code === "forbidden" ? "." : "y";
    }
    assert.deepEqual([http, graphql], [expected, expected], who);
  }
  for (const [does] of Object.values(API)) assert.equal((await does(undefined)).status, 401);
});
