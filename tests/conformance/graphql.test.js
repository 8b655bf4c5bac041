// GraphQL: the audits of graphql-http, a stock graphql-ws client, and what the schema does for stock Socket.IO clients.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, test } from "node:test";
import { createClient } from "graphql-ws";
import { serverAudits } from "graphql-http";
import WebSocket from "ws";
import { call, connect, next, within } from "./support/client.js";
import { startLakh } from "./support/server.js";

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
  const secret = "0123456789abcdef0123456789abcdef";
  const own = await startLakh({ env: { LAKH_AUTH__SECRET: secret } });
  t.after(() => own.stop());
  const url = `${own.url}/api/v1/graphql`;
  const encode = (json) => Buffer.from(JSON.stringify(json)).toString("base64url");
  const token = (claims) => {
    const exp = Math.floor(Date.now() / 1000) + 60;
    const text = `${encode({ alg: "HS256", typ: "JWT" })}.${encode({ sub: "backend", exp, ...claims })}`;
    return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
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
