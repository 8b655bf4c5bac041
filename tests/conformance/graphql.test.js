// GraphQL: the audits of graphql-http, a stock graphql-ws client, and what the schema does for stock Socket.IO clients.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { createClient } from "graphql-ws";
import { serverAudits } from "graphql-http";
import WebSocket from "ws";
import { keysSetting, newKey } from "./support/api.js";
import { call, connect, next, within } from "./support/client.js";
import { startLakh } from "./support/server.js";

const SECRET = "0123456789abcdef0123456789abcdef";

let server;
before(async () => (server = await startLakh()));
after(() => server.stop());

const endpoint = () => `${server.url}/api/v1/graphql`;

async function ask(query, variables, { url = endpoint(), headers = {} } = {}) {
  const response = await fetch(url, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: "application/graphql-response+json",
      ...headers,
    },
    body: JSON.stringify({ query, variables }),
  });
  return { status: response.status, ...(await response.json()) };
}

async function granted(query, variables, options) {
  const answer = await ask(query, variables, options);
  assert.equal(answer.errors, undefined, JSON.stringify(answer.errors));
  return answer.data;
}

// A client for one test, with what it was told of its connection.
function subscriber(t, options = {}) {
  const client = createClient({
    url: endpoint().replace("http", "ws"),
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    // Kept between two operations of a test.
    lazyCloseTimeout: 10_000,
    ...options,
  });
  t.after(() => client.dispose());
  return client;
}

test("the audits of graphql-http pass, all of them", async (t) => {
  const audits = serverAudits({ url: endpoint() });
  assert.ok(audits.length > 60, `${audits.length} audits`);
  for (const audit of audits) {
    await t.test(`${audit.id} ${audit.name}`, async () => {
      const result = await audit.fn();
      assert.equal(result.status, "ok", result.reason);
    });
  }
});

test("what is emitted reaches the members of a room, numbered as one of theirs", async (t) => {
  const ada = await connect(t, server.url, { auth: { name: "Ada" } });
  await call(ada, "room:join", { room: "gql:1" });
  const emit = `mutation ($key: String) {
    emit(to: {rooms: ["gql:1"]}, event: {event: "moved", data: {card: 3}}, idempotencyKey: $key) {
      numbered { room seq } repeated
    }
  }`;
  const moved = next(ada, "moved");
  const first = (await granted(emit, { key: "k-1" })).emit;
  assert.deepEqual(first, { numbered: [{ room: "gql:1", seq: 1 }], repeated: false });
  const [data, origin] = await moved;
  assert.deepEqual([data, origin.seq], [{ card: 3 }, 1]);
  assert.deepEqual((await granted(emit, { key: "k-1" })).emit, { ...first, repeated: true });
  assert.equal((await call(ada, "room:emit", { room: "gql:1", event: "own" })).seq, 2);
});

test("clients are asked, and whoever is silent is named", async (t) => {
  const [ada, ben] = await Promise.all(
    ["Ada", "Ben"].map((name) => connect(t, server.url, { auth: { name } })),
  );
  for (const socket of [ada, ben]) await call(socket, "room:join", { room: "gql:2" });
  ada.on("still there?", (question, answer) => answer({ yes: question }));
  const { emitWithAck } = await granted(`mutation {
    emitWithAck(to: {rooms: ["gql:2"]}, event: {event: "still there?", data: 7}, timeoutMs: 300) {
      answers { socket user { name } answer } silent { socket reason } missing { count }
    }
  }`);
  assert.deepEqual(emitWithAck, {
    answers: [{ socket: ada.id, user: { name: "Ada" }, answer: { yes: 7 } }],
    silent: [{ socket: ben.id, reason: "timeout" }],
    missing: { count: 0 },
  });
});

test("sockets and rooms are listed, moved and disconnected", async (t) => {
  const ada = await connect(t, server.url, { auth: { name: "Ada Listed" } });
  const { join } = await granted(
    `mutation ($id: String!) { join(whom: {sockets: [$id]}, rooms: ["gql:3"]) { sockets } }`,
    { id: ada.id },
  );
  assert.deepEqual(join, { sockets: 1 });
  const { sockets, rooms, room, socket, nobody } = await granted(
    `query ($id: String!) {
      sockets(room: "gql:3") { sockets { id user { id } rooms } next missing { count } }
      rooms(prefix: "gql:3") { rooms { room occupancy } }
      room(room: "gql:3") { occupancy presence { people { user { name } sockets } } }
      socket(id: $id) { namespace connectedAt }
      nobody: socket(id: "AAAAAAAAAAAAAAAAAAAA") { id }
    }`,
    { id: ada.id },
  );
  assert.deepEqual(sockets, {
    sockets: [{ id: ada.id, user: { id: "dev:ada listed" }, rooms: ["gql:3"] }],
    next: null,
    missing: { count: 0 },
  });
  assert.deepEqual(rooms, { rooms: [{ room: "gql:3", occupancy: 1 }] });
  assert.equal(room.occupancy, 1);
  assert.deepEqual(room.presence.people, [{ user: { name: "Ada Listed" }, sockets: 1 }]);
  assert.equal(socket.namespace, "/");
  assert.ok(Math.abs(socket.connectedAt - Date.now()) < 60_000);
  assert.equal(nobody, null);
  const [told, gone] = [next(ada, "server:disconnect"), next(ada, "disconnect")];
  await granted(`mutation ($id: String!) { disconnect(whom: {sockets: [$id]}, reason: "enough") { sockets } }`, {
    id: ada.id,
  });
  assert.deepEqual((await told)[0], { reason: "enough" });
  assert.equal((await gone)[0], "io server disconnect");
});

test("a stock graphql-ws client hears a room until it has enough", async (t) => {
  const ada = await connect(t, server.url, { auth: { name: "Ada" } });
  await call(ada, "room:join", { room: "gql:4" });
  const client = subscriber(t);
  const heard = client.iterate({
    query: `subscription { roomEvents(room: "gql:4", events: ["tick"]) { event args seq missed } }`,
  });
  // The first answer is asked for before anything is said; when the server has begun to listen isn't told.
  const first = heard.next();
  const begun = (async () => {
    for (let n = 0; ; n += 1) {
      await call(ada, "room:emit", { room: "gql:4", event: "other", data: n });
      const { seq } = await call(ada, "room:emit", { room: "gql:4", event: "tick", data: n });
      const got = await Promise.race([first, new Promise((done) => setTimeout(done, 50))]);
      if (got) return { got: got.value.data.roomEvents, sent: seq };
    }
  })();
  const { got } = await within(begun, "the first event");
  assert.equal(got.event, "tick");
  assert.equal(got.seq, got.args[1].seq);
  const at = got.seq;
  const { seq } = await call(ada, "room:emit", { room: "gql:4", event: "tick", data: "last" });
  let last;
  let before = at;
  do {
    last = (await within(heard.next(), "an event")).value.data.roomEvents;
    assert.ok(last.seq > before, "in order, none twice");
    before = last.seq;
  } while (last.seq < seq);
  assert.equal(last.args[0], "last");
  await heard.return();
});

test("a mistake in a subscription is its own error, and the connection goes on", async (t) => {
  const client = subscriber(t);
  const run = (query) =>
    within(
      new Promise((done) => {
        const answers = [];
        client.subscribe(
          { query },
          {
            next: (answer) => answers.push(answer),
            error: (errors) => done({ errors }),
            complete: () => done({ answers }),
          },
        );
      }),
      query,
    );
  assert.match((await run("subscription { nothing }")).errors[0].message, /nothing/);
  assert.match((await run("{ ")).errors[0].message, /expected|parse|EOF/i);
  const { answers } = await run("{ __typename }");
  assert.deepEqual(answers, [{ data: { __typename: "Query" } }]);
});

const frames = {
  "a subscription before connection_init": ['{"type":"subscribe","id":"1","payload":{"query":"{a}"}}', 4401],
  "something that is no message": ["nonsense", 4400],
  "a message of an unknown type": ['{"type":"shout"}', 4400],
  "a second connection_init": [
    ['{"type":"connection_init"}', '{"type":"connection_init"}'],
    4429,
  ],
  "two operations with one id": [
    [
      '{"type":"connection_init"}',
      ...Array(2).fill(
        '{"type":"subscribe","id":"x","payload":{"query":"subscription{roomEvents(room:\\"a\\"){event}}"}}',
      ),
    ],
    4409,
  ],
};
for (const [what, [sent, code]] of Object.entries(frames)) {
  test(`${what} closes the connection with ${code}`, async (t) => {
    const socket = new WebSocket(endpoint().replace("http", "ws"), "graphql-transport-ws");
    t.after(() => socket.terminate());
    const closed = new Promise((done) => socket.once("close", done));
    await within(new Promise((done) => socket.once("open", done)), "open");
    for (const frame of [sent].flat()) socket.send(frame);
    assert.equal(await within(closed, "close"), code);
  });
}

test("another subprotocol is told so", async (t) => {
  const socket = new WebSocket(endpoint().replace("http", "ws"), "graphql-ws");
  t.after(() => socket.terminate());
  socket.on("error", () => {});
  const closed = new Promise((done) => socket.once("close", done));
  const opened = new Promise((done) => socket.once("open", () => done("open")));
  const code = await within(Promise.race([closed, opened.then(() => closed)]), "close");
  assert.ok([4406, 1006].includes(code), `${code}`);
});

test("requests are bounded in depth and in cost", async () => {
  const deep = "{ __schema { types ".repeat(1) + "{ fields { type ".repeat(1);
  const nested = `${deep}${"{ ofType ".repeat(12)}{ name }${" }".repeat(12)} } } }`.replace(/}\s*$/, "} }");
  const tooDeep = await ask(nested);
  assert.equal(tooDeep.status, 400);
  assert.match(tooDeep.errors[0].message, /deep|depth/i);
  const many = Array.from({ length: 30 }, (_, n) => `a${n}: sockets(limit: 1000) { sockets { id } }`);
  const tooMuch = await ask(`{ ${many.join(" ")} }`);
  assert.equal(tooMuch.status, 400);
  assert.match(tooMuch.errors[0].message, /complex/i);
});

test("where tokens are needed, nobody asks without one and each only what it grants", async (t) => {
  const own = await startLakh({ env: { LAKH_AUTH__SECRET: SECRET } });
  t.after(() => own.stop());
  const url = `${own.url}/api/v1/graphql`;
  const encode = (json) => Buffer.from(JSON.stringify(json)).toString("base64url");
  const token = (claims) => {
    const exp = Math.floor(Date.now() / 1000) + 60;
    const text = `${encode({ alg: "HS256", typ: "JWT" })}.${encode({ sub: "backend", exp, ...claims })}`;
    return `${text}.${createHmac("sha256", SECRET).update(text).digest("base64url")}`;
  };
  const query = "{ rooms { rooms { room } } }";
  const bare = await ask(query, {}, { url });
  assert.equal(bare.status, 401);
  assert.equal(bare.errors[0].extensions.code, "unauthorized");
  const as = (claims) => ({ url, headers: { authorization: `Bearer ${token(claims)}` } });
  const may = await ask(query, {}, as({ grants: ["api:rooms:*"] }));
  assert.deepEqual(may.data, { rooms: { rooms: [] } });
  const mayNot = await ask(query, {}, as({ grants: ["api:emit:*"] }));
  assert.equal(mayNot.errors[0].extensions.code, "forbidden");

  const closeOf = async (connectionParams) => {
    const closed = new Promise((done) => {
      const client = subscriber(t, {
        url: url.replace("http", "ws"),
        connectionParams,
        lazy: false,
        on: { closed: (event) => done(event.code), connected: () => done("connected") },
        onNonLazyError: () => {},
      });
      t.after(() => client.dispose());
    });
    return within(closed, "an end");
  };
  assert.equal(await closeOf({}), 4403);
  assert.equal(await closeOf({ token: "x.y.z" }), 4403);
  assert.equal(await closeOf({ token: token({ grants: ["api:rooms:*"] }) }), "connected");
});

const LOOKED_AT = "people of a room that keeps no presence of its own are looked at";
const PRESENCE = `subscription ($namespace: String!, $room: String!) {
  roomPresence(namespace: $namespace, room: $room) {
    snapshot joined { id user { name } sockets data } left { id } updated { id data } total occupancy complete
  }
}`;

describe("who comes and goes", () => {
  let own;
  before(async () => {
    own = await startLakh({
      env: { LAKH_ROOMS__OPTIONS: '[{ pattern = "who:*", presence = true, presence_named = 3, presence_batched = 3, presence_tick_ms = 50, presence_grace_ms = 0 }]' },
    });
  });
  after(() => own.stop());

  // What is told, one after the other, after the snapshot.
  async function watch(t, namespace, room) {
    const client = subscriber(t, { url: `${own.url.replace("http", "ws")}/api/v1/graphql` });
    const news = client.iterate({ query: PRESENCE, variables: { namespace, room } });
    const told = async () => {
      const { value } = await within(news.next(), `news of ${room}`);
      assert.equal(value.errors, undefined, JSON.stringify(value.errors));
      return value.data.roomPresence;
    };
    const first = await told();
    assert.equal(first.snapshot, true);
    // Reads on until somebody is told in one of the lists.
    const until = async (list, id) => {
      for (;;) {
        const one = await told();
        if (one[list].some((person) => person.id === id)) return one;
      }
    };
    return { first, told, until, end: () => news.return() };
  }

  const enter = async (t, name, room, namespace = "/") => {
    const socket = await connect(t, own.url + namespace, { auth: { name } });
    assert.equal((await call(socket, "room:join", { room })).ok, true);
    return socket;
  };

  test("of a room with presence all is told: first who is there, then each by name", async (t) => {
    await enter(t, "Ada", "who:1");
    const { first, until, end } = await watch(t, "/", "who:1");
    const ada = { id: "dev:ada", user: { name: "Ada" }, sockets: 1, data: null };
    assert.deepEqual([first.joined, first.total, first.occupancy, first.complete], [[ada], 1, 1, true]);
    const ben = await enter(t, "Ben", "who:1");
    const came = await until("joined", "dev:ben");
    assert.deepEqual([came.snapshot, came.total, came.occupancy], [false, 2, 2]);
    await call(ben, "presence:update", { room: "who:1", data: { busy: true } });
    assert.deepEqual((await until("updated", "dev:ben")).updated, [{ id: "dev:ben", data: { busy: true } }]);
    ben.disconnect();
    const left = await until("left", "dev:ben");
    assert.deepEqual([left.total, left.occupancy], [1, 1]);
    await end();
  });

  test("in a crowd it's told how many there are, and names again when it has gone", async (t) => {
    const { told, end } = await watch(t, "/", "who:2");
    const sockets = await Promise.all(
      Array.from({ length: 8 }, (_, n) => enter(t, `Guest ${n}`, "who:2")),
    );
    let news;
    do news = await told();
    while (news.total < 8);
    assert.equal(news.complete, false);
    for (const socket of sockets.slice(2)) socket.disconnect();
    do news = await told();
    while (!news.snapshot);
    assert.equal(news.complete, true);
    while (news.total > 2) news = await told();
    assert.equal(news.occupancy, 2);
    await end();
  });

  for (const [namespace, room] of [["/", "plain:1"], ["/chat", "lobby"]]) {
    test(`${LOOKED_AT}: ${room} of ${namespace}`, async (t) => {
      await enter(t, "Ada", room, namespace);
      const { first, until, end } = await watch(t, namespace, room);
      assert.deepEqual(first.joined.map(({ id }) => id), ["dev:ada"]);
      const ben = await enter(t, "Ben", room, namespace);
      const came = await until("joined", "dev:ben");
      assert.deepEqual([came.total, came.occupancy, came.complete], [2, 2, true]);
      await call(ben, "room:leave", { room });
      const left = await until("left", "dev:ben");
      assert.deepEqual([left.total, left.occupancy], [1, 1]);
      await end();
    });
  }

  test("a namespace that isn't there, or a name that is none, is told", async (t) => {
    const client = subscriber(t, { url: `${own.url.replace("http", "ws")}/api/v1/graphql` });
    for (const [variables, code] of [
      [{ namespace: "/nowhere", room: "a" }, "no_such_namespace"],
      [{ namespace: "/", room: "" }, "bad_request"],
    ]) {
      const errors = await client
        .iterate({ query: PRESENCE, variables })
        .next()
        .then(({ value }) => value.errors, (thrown) => thrown);
      assert.equal(errors[0].extensions.code, code);
    }
  });

  test("no more rooms are looked at than a node can bear", async (t) => {
    const client = subscriber(t, { url: `${own.url.replace("http", "ws")}/api/v1/graphql` });
    const first = (client, n) => {
      const news = client.iterate({ query: PRESENCE, variables: { namespace: "/", room: `plain:${n}` } });
      return within(news.next(), "an answer").then(({ value }) => value.errors ?? "told", (errors) => errors);
    };
    const answers = await Promise.all(Array.from({ length: 64 }, (_, n) => first(client, n)));
    // Those of the tests before may still be on their way out.
    const other = subscriber(t, { url: `${own.url.replace("http", "ws")}/api/v1/graphql` });
    const errors = [...answers, await first(other, 64)].find((answer) => answer !== "told");
    assert.equal(errors[0].extensions.code, "too_many");
    assert.match(errors[0].message, /presence/);
  });
});

describe("the rest of what HTTP offers", () => {
  let own;
  before(async () => {
    own = await startLakh({
      env: {
        LAKH_AUTH__SECRET: SECRET,
        LAKH_AUTH__RULES: '[{ who = "signed-in", allow = "rooms:*:*" }]',
        LAKH_ROOMS__OPTIONS: '[{ pattern = "log:*", history = "memory" }]',
        LAKH_API__KEYS: keysSetting([key, slow]),
      },
    });
  });
  after(() => own.stop());
  const key = newKey(["api:*:*"]);
  const slow = newKey(["api:emit:*"]);
  const as = (one) => ({ url: `${own.url}/api/v1/graphql`, headers: { authorization: `Bearer ${one.key}` } });
  const run = (query, variables) => granted(query, variables, as(key));

  test("events are sent with tags and on somebody's behalf, and history has them", async () => {
    await run(`mutation {
      a: emit(to: {rooms: ["log:1"]}, event: {event: "moved", data: 1, tags: {kind: "x"}, user: {id: "ada", name: "Ada"}}) { repeated }
      b: emit(to: {rooms: ["log:1"]}, event: {event: "other", data: {x: [1.5, null]}}) { repeated }
    }`);
    const { room } = await run(`{ room(room: "log:1") {
      seq history(oldestFirst: true, limit: 10) { seq next complete events { seq event data meta } }
      only: history(event: "moved", before: 2) { events { seq } }
    } }`);
    assert.deepEqual([room.seq, room.history.seq, room.history.next, room.history.complete], [2, 2, null, true]);
    assert.deepEqual(room.history.events.map(({ seq, event, data }) => [seq, event, data]), [
      [1, "moved", 1],
      [2, "other", { x: [1.5, null] }],
    ]);
    assert.deepEqual(room.history.events[0].meta.user, { id: "ada", name: "Ada" });
    assert.deepEqual(room.only.events, [{ seq: 1 }]);
    const { errors } = await ask('{ room(room: "plain") { history { seq } } }', {}, as(key));
    assert.equal(errors[0].extensions.code, "unsupported");
  });

  test("a batch has a result for each operation, once for its key", async () => {
    const batch = `mutation { batch(idempotencyKey: "b-1", operations: [
      {emit: {to: {rooms: ["log:2"]}, event: {event: "a", data: 1}}}
      {join: {whom: {people: ["ada"]}, rooms: ["log:2"]}}
      {disconnect: {whom: {}}}
    ]) { results { numbered { room seq } error { code } } failed repeated } }`;
    const first = (await run(batch)).batch;
    assert.deepEqual(first, {
      results: [
        { numbered: [{ room: "log:2", seq: 1 }], error: null },
        { numbered: [], error: null },
        { numbered: [], error: { code: "bad_request" } },
      ],
      failed: 1,
      repeated: false,
    });
    assert.deepEqual((await run(batch)).batch, { ...first, repeated: true });
    const two = await ask("mutation { batch(operations: [{}]) { failed } }", {}, as(key));
    assert.equal(two.status, 400);
  });

  test("tokens are made, taken back and listed", async (t) => {
    const { issueToken } = await run(`mutation { issueToken(token: {id: "eve", session: "s1", ttlS: 60}) { token id expiresAt } }`);
    assert.ok(issueToken.expiresAt > Date.now() / 1000);
    const socket = await connect(t, own.url, { auth: { token: issueToken.token } });
    const told = next(socket, "auth:revoked");
    const { revoke } = await run(`mutation { revoke(what: {session: "s1"}) { kind id issuedBefore } }`);
    assert.deepEqual(revoke, { kind: "session", id: "s1", issuedBefore: null });
    assert.deepEqual((await told)[0], { code: "revoked" });
    const { revocations } = await run("{ revocations(limit: 10) { revocations { kind id } next } }");
    assert.deepEqual(revocations, { revocations: [{ kind: "session", id: "s1" }], next: null });
    const both = await ask('mutation { revoke(what: {session: "a", token: "b"}) { id } }', {}, as(key));
    assert.equal(both.errors[0].extensions.code, "bad_request");
  });

  test("nodes, their numbers and hooks are told", async () => {
    const { nodes, stats, hooks } = await run(`{
      nodes { nodes { name status } answeredBy }
      stats { node mode ready namespaces { name } residentBytes }
      hooks { endpoints { name } gates { name } missing { count } }
    }`);
    assert.deepEqual(nodes.nodes, [{ name: nodes.answeredBy, status: "ready" }]);
    assert.deepEqual([stats.node, stats.mode, stats.ready], [nodes.answeredBy, "production", true]);
    assert.ok(stats.residentBytes > 1e6);
    assert.deepEqual(hooks, { endpoints: [], gates: [], missing: { count: 0 } });
    const { errors } = await ask('{ deadLetters(endpoint: "crm") { next } }', {}, as(key));
    assert.equal(errors[0].extensions.code, "not_found");
  });

  test("each field takes its own right", async (t) => {
    for (const query of [
      '{ room(room: "log:1") { history { seq } } }',
      "{ revocations { next } }",
      "{ hooks { missing { count } } }",
      '{ deadLetters(endpoint: "crm") { next } }',
      "{ stats { node } }",
      'mutation { issueToken(token: {id: "x"}) { id } }',
      'mutation { revoke(what: {person: "x"}) { id } }',
      'mutation { replayDeadLetters(endpoint: "crm", all: true) }',
      'mutation { discardDeadLetters(endpoint: "crm", all: true) }',
      'mutation { batch(operations: [{join: {whom: {people: ["a"]}, rooms: ["b"]}}]) { results { error { code } } } }',
    ]) {
      const { errors, data } = await ask(query, {}, as(slow));
      const code = errors?.[0].extensions.code ?? data.batch.results[0].error.code;
      assert.equal(code, "forbidden", query);
    }
    const client = subscriber(t, { url: `${own.url.replace("http", "ws")}/api/v1/graphql`, connectionParams: { token: slow.key } });
    const asked = client.iterate({ query: PRESENCE, variables: { namespace: "/", room: "a" } }).next();
    const errors = await within(asked, "an answer").then(({ value }) => value.errors, (thrown) => thrown);
    assert.equal(errors[0].extensions.code, "forbidden");
  });
});

test("many fields of a request count as many requests, over each way", async (t) => {
  const own = await startLakh({ env: { LAKH_API__REQUESTS_PER_SECOND: "20" } });
  t.after(() => own.stop());
  const url = `${own.url}/api/v1/graphql`;
  const emits = (count) =>
    `mutation { ${Array.from({ length: count }, (_, n) => `a${n}: emit(to: {all: true}, event: {event: "e"}) { repeated }`).join(" ")} }`;
  const client = subscriber(t, { url: url.replace("http", "ws") });
  const asked = client.iterate({ query: emits(100) }).next();
  const errors = await within(asked, "an answer").then(({ value }) => value.errors, (thrown) => thrown);
  assert.equal(errors[0].extensions.code, "rate_limited");
  assert.ok(errors[0].extensions.retryAfterMs > 0);
  const many = await ask(emits(100), {}, { url });
  assert.deepEqual([many.status, many.errors[0].extensions.code], [429, "rate_limited"]);
});

test("whatever is wrong with a request's credentials is told in GraphQL's own form", async () => {
  for (const headers of [{ authorization: "Bearer a.b.c" }, { authorization: "Basic eDp5" }, { "x-api-key": "lakh_x_y" }]) {
    const answer = await ask("{ __typename }", {}, { headers });
    assert.deepEqual([answer.status, answer.errors[0].extensions.code], [401, "unauthorized"]);
  }
});

test("a body that is too long, or no object, is told in GraphQL's own form", async () => {
  const send = async (body) => {
    const headers = { "content-type": "application/json", accept: "application/graphql-response+json" };
    const response = await fetch(endpoint(), { method: "POST", headers, body });
    return [response.status, (await response.json()).errors[0].extensions.code];
  };
  assert.deepEqual(await send(JSON.stringify({ query: " ".repeat(1_000_001) })), [413, "too_large"]);
  assert.deepEqual(await send('["{ __typename }"]'), [400, "bad_request"]);
});
