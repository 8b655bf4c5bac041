// The API for backends on a fleet of the real binary: what one node is asked for holds on all of them.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createClient } from "graphql-ws";
import { io } from "socket.io-client";
import WebSocket from "ws";
import { ask, keysSetting, newKey, signature } from "../conformance/support/api.js";
import { next, ok, until, within } from "../conformance/support/sockets.js";
import { Nodes, connect } from "./support/nodes.js";

const all = newKey(["api:*:*"], { signing: true });
const fleet = new Nodes(["rooms"], {
  LAKH_AUTH_SECRET: "0123456789abcdef0123456789abcdef",
  LAKH_AUTH__RULES: '[{ who = "signed-in", allow = "rooms:*:*" }]',
  LAKH_API__KEYS: keysSetting([all]),
  LAKH_API__REQUESTS_PER_SECOND: "100000",
  LAKH_ROOMS__OPTIONS: '[{ pattern = "log:*", history = "memory" }, { pattern = "who:*", presence = true, presence_grace_ms = 0 }]',
});
const { nodes } = fleet;

before(() => fleet.begin("n01", "n02", "n03"));
after(() => fleet.end());

const post = (node, path, body, more = {}) => ask(node.url, "POST", `/api/v1${path}`, { key: all, body, ...more });
const get = (node, path) => ask(node.url, "GET", `/api/v1${path}`, { key: all });

async function good(answer, status = 200) {
  const { status: got, body, text } = await answer;
  assert.equal(got, status, text);
  return body;
}

async function client(t, node, id, rooms = []) {
  const { token } = await good(post(node, "/tokens", { id, name: id }), 201);
  const socket = await connect(t, node, "/", { token });
  for (const room of rooms) await ok(socket, "room:join", { room });
  return socket;
}

let names = 0;
const fresh = (prefix) => `${prefix}${(names += 1)}`;

test("what one node is told to emit reaches rooms and people on all nodes, in one order", async (t) => {
  const [room, id] = [fresh("log:"), fresh("ada-")];
  const sockets = [];
  for (const node of nodes) sockets.push(await client(t, node, id, [room]));
  const seen = sockets.map((socket) => {
    const list = [];
    socket.on("moved", (data, meta) => list.push([data, meta.seq]));
    return list;
  });
  const sent = [];
  await Promise.all(
    Array.from({ length: 12 }, async (_, at) => {
      const { numbered } = await good(post(nodes[at % 3], "/emit", { rooms: [room], event: "moved", data: at }));
      sent.push([at, numbered[0].seq]);
    }),
  );
  const expected = sent.sort(([, one], [, other]) => one - other);
  assert.deepEqual(expected.map(([, seq]) => seq), Array.from({ length: 12 }, (_, at) => at + 1));
  await until("all events on all nodes", () => seen.every((list) => list.length === 12));
  for (const list of seen) assert.deepEqual(list, expected);
  const letters = sockets.map((socket) => next(socket, "letter"));
  await good(post(nodes[0], "/emit", { people: [id], event: "letter", data: { $binary: "AQI=" } }));
  for (const [bytes] of await Promise.all(letters)) assert.deepEqual(bytes, Buffer.from([1, 2]));
});

test("lists, occupancy and presence are those of all nodes", async (t) => {
  const [room, id] = [fresh("room:list-"), fresh("ada-")];
  const sockets = [];
  for (const node of nodes) sockets.push(await client(t, node, id, [room]));
  sockets.push(await client(t, nodes[1], fresh("bob-"), [room]));
  const path = encodeURIComponent(room);
  for (const node of nodes) {
    const listed = await good(get(node, `/sockets?room=${path}`));
    assert.deepEqual(listed.sockets.map((socket) => socket.id), sockets.map((socket) => socket.id).sort());
    assert.deepEqual(new Set(listed.sockets.map((socket) => socket.node)), new Set(["n01", "n02", "n03"]));
    assert.equal(listed.missing.count, 0);
    assert.equal((await good(get(node, `/sockets/${sockets[2].id}`))).node, "n03");
    assert.equal((await good(get(node, `/rooms/${path}`))).occupancy, 4);
    const { rooms } = await good(get(node, `/rooms?prefix=${path}`));
    assert.deepEqual(rooms.map((found) => [found.room, found.occupancy]), [[room, 4]]);
    const presence = await good(get(node, `/rooms/${path}/presence`));
    assert.deepEqual([presence.people, presence.occupancy], [2, 4]);
    assert.deepEqual(presence.members.map((member) => member.sockets).sort(), [1, 3]);
  }
  const pages = [];
  for (let cursor; pages.length === 0 || cursor;) {
    const page = await good(get(nodes[pages.length % 3], `/sockets?room=${path}&limit=1${cursor ? `&cursor=${cursor}` : ""}`));
    pages.push(page.sockets[0].id);
    cursor = page.next;
    assert.ok(pages.length <= 4);
  }
  assert.deepEqual(pages, sockets.map((socket) => socket.id).sort(), "pages of any node fit together");
});

test("sockets of other nodes are moved and disconnected, and told why", async (t) => {
  const [room, id] = [fresh("r-"), fresh("ada-")];
  const [here, there] = [await client(t, nodes[0], id), await client(t, nodes[2], id)];
  assert.equal((await good(post(nodes[1], "/join", { whom: { people: [id] }, rooms: [room] }))).sockets, 2);
  await until("both to be in", async () => (await good(get(nodes[1], `/rooms/${room}`))).occupancy === 2);
  const event = [next(here, "e"), next(there, "e")];
  await good(post(nodes[0], "/emit", { rooms: [room], event: "e" }));
  await Promise.all(event);
  const gone = [here, there].map((socket) => Promise.all([next(socket, "server:disconnect"), next(socket, "disconnect")]));
  await good(post(nodes[1], "/disconnect", { rooms: [room], reason: "closing time" }));
  for (const [[why], [reason]] of await Promise.all(gone)) {
    assert.deepEqual([why.reason, reason], ["closing time", "io server disconnect"]);
  }
});

test("clients of all nodes are asked, and each answer has its socket", async (t) => {
  const room = fresh("r-");
  const sockets = [];
  for (const node of nodes) sockets.push(await client(t, node, fresh("p-"), [room]));
  sockets[0].on("q", (_, answer) => answer("first"));
  sockets[2].on("q", (_, answer) => answer({ bytes: Buffer.from([7]) }));
  const asked = await good(post(nodes[1], "/emit-with-ack", { rooms: [room], event: "q", data: 1, timeout_ms: 400 }));
  const answers = Object.fromEntries(asked.answers.map(({ socket, answer }) => [socket, answer]));
  assert.deepEqual(answers, { [sockets[0].id]: "first", [sockets[2].id]: { bytes: { $binary: "Bw==" } } });
  assert.deepEqual(asked.silent.map(({ socket, reason }) => [socket, reason]), [[sockets[1].id, "timeout"]]);
  assert.equal(asked.missing.count, 0);
});

test("an idempotency key holds on all nodes, at the same time too", async (t) => {
  const room = fresh("log:");
  const ada = await client(t, nodes[0], "ada", [room]);
  const got = [];
  ada.on("paid", (data, meta) => got.push(meta.seq));
  const headers = { "idempotency-key": fresh("k") };
  const body = { rooms: [room], event: "paid", data: 1 };
  const answers = await Promise.all(Array.from({ length: 9 }, (_, at) => post(nodes[at % 3], "/emit", body, { headers })));
  assert.ok(answers.every(({ status, text }) => status === 200 && text === answers[0].text), JSON.stringify(answers.map(({ text }) => text)));
  assert.equal(answers.filter(({ headers: { "idempotent-replayed": again } }) => again === undefined).length, 1);
  const other = await post(nodes[2], "/emit", { ...body, data: 2 }, { headers });
  assert.deepEqual([other.status, other.body.error.code], [422, "idempotency_mismatch"]);
  const end = next(ada, "end");
  await good(post(nodes[1], "/emit", { sockets: [ada.id], event: "end" }));
  await end;
  assert.deepEqual(got, [1]);
});

for (const by of ["token", "session", "person"]) {
  test(`what one node is told to take back by ${by} throws out who is on another within a second, and lets nobody in`, async (t) => {
    const [person, session] = [fresh("eve-"), fresh("s-")];
    const issued = await good(post(nodes[0], "/tokens", { id: person, session }), 201);
    const what = { token: issued.id, session, person }[by];
    const show = { transports: ["websocket"], auth: { token: issued.token }, forceNew: true, reconnection: false };
    const socket = io(nodes[1].url, show);
    t.after(() => socket.disconnect());
    await next(socket, "connect");
    const left = next(socket, "disconnect").then(([reason]) => ({ reason, at: performance.now() }));
    const told = next(socket, "auth:revoked");
    await good(post(nodes[0], "/revocations", { [by]: what }), 201);
    const answered = performance.now();
    assert.deepEqual((await told)[0], { code: "revoked" });
    const { reason, at } = await left;
    assert.equal(reason, "io server disconnect");
    // The bound that is promised, and no measure of speed: it takes some 20 ms.
    assert.ok(at - answered < 1_000, `${at - answered} ms`);
    for (const node of nodes) {
      const again = io(node.url, show);
      t.after(() => again.disconnect());
      const [error] = await next(again, "connect_error");
      assert.equal(error.data.code, "unauthorized", node.name);
    }
    const { revocations } = await good(get(nodes[2], "/revocations?limit=1000"));
    assert.ok(revocations.some(({ kind, id }) => kind === by && id === what));
  });
}

test("presence over GraphQL is that of all nodes, wherever it's asked", async (t) => {
  const rooms = { "room:list-": false, "who:": true };
  for (const [prefix, keeps] of Object.entries(rooms)) {
    const room = fresh(prefix);
    const subscribers = nodes.map((node) => {
      const url = `${node.url.replace("http", "ws")}/api/v1/graphql`;
      const client = createClient({ url, webSocketImpl: WebSocket, connectionParams: { token: all.key }, retryAttempts: 0 });
      t.after(() => client.dispose());
      const query = "subscription ($room: String!) { roomPresence(room: $room) { snapshot joined { id } left { id } total } }";
      return client.iterate({ query, variables: { room } });
    });
    const told = (news) => within(news.next(), `news of ${room}`).then(({ value }) => value.data.roomPresence);
    for (const news of subscribers) assert.deepEqual(await told(news), { snapshot: true, joined: [], left: [], total: 0 });
    const id = fresh("ada-");
    const ada = await client(t, nodes[1], id, [room]);
    const until = async (news, list) => {
      for (;;) {
        const one = await told(news);
        if (one[list].some((person) => person.id === id)) return one.total;
      }
    };
    for (const news of subscribers) assert.equal(await until(news, "joined"), 1, `${keeps}`);
    ada.disconnect();
    for (const news of subscribers) assert.equal(await until(news, "left"), 0, `${keeps}`);
  }
});

test("a signed request that one node has taken is refused by the others", async () => {
  const text = JSON.stringify({ rooms: ["log:signed"], event: "e" });
  const headers = { authorization: signature(all, "POST", "/api/v1/emit", text) };
  const answers = await Promise.all(nodes.map((node) => ask(node.url, "POST", "/api/v1/emit", { raw: text, headers })));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 401, 401]);
});

test("a node that doesn't answer is told by its name, and what the others have is given", async (t) => {
  const room = fresh("r-");
  await client(t, nodes[0], fresh("p-"), [room]);
  const stalled = nodes[2];
  await client(t, stalled, fresh("p-"), [room]);
  assert.equal((await good(get(nodes[0], `/rooms/${room}`))).occupancy, 2);
  stalled.signal("SIGSTOP");
  t.after(() => stalled.signal("SIGCONT"));
  const found = await good(get(nodes[0], `/sockets?room=${room}`));
  assert.deepEqual([found.sockets.length, found.missing], [1, { count: 1, names: ["n03"], unreachable: false }]);
  const report = await good(get(nodes[0], "/nodes"));
  assert.deepEqual(report.nodes.map(({ name }) => name), ["n01", "n02"]);
  assert.deepEqual(report.missing.names, ["n03"]);
  stalled.signal("SIGCONT");
  await until("the node to answer again", async () => (await good(get(nodes[0], "/nodes"))).nodes.length === 3);
});

test("a node is drained by its name from another one", async (t) => {
  const extra = await fleet.launch("n09");
  t.after(() => extra.stop());
  await until("it to be known", async () => (await good(get(nodes[0], "/nodes"))).nodes.some(({ name }) => name === "n09"));
  const ada = await client(t, extra, "ada");
  const left = next(ada, "disconnect");
  assert.deepEqual(await good(post(nodes[1], "/nodes/n09/drain"), 202), { node: "n09", already: false });
  await left;
  assert.equal((await within(extra.exited, "its end")).code, 0);
  const gone = await post(nodes[1], "/nodes/n09/drain");
  assert.equal(gone.status, 404, gone.text);
});

test("what is taken back at one node holds on all: sockets go, nobody comes in, and HTTP refuses it", async (t) => {
  const [one, two, three] = nodes;
  const claims = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
  for (const kind of ["token", "session", "person"]) {
    const id = `taken-${kind}`;
    const body = { id, grants: ["rooms:join:x"], ...(kind === "session" ? { session: `of-${id}` } : {}) };
    const { token } = await good(post(one, "/tokens", body), 201);
    const { jti, sid } = claims(token);
    assert.ok(jti, "a token has an id by which it's taken back");
    const options = { transports: ["websocket"], forceNew: true, reconnection: false, auth: { token } };
    const sockets = [one, two, three].map((node) => io(node.url, options));
    t.after(() => sockets.forEach((socket) => socket.disconnect()));
    await within(Promise.all(sockets.map((socket) => new Promise((done) => socket.once("connect", done)))), "all to be in");
    const told = sockets.map(async (socket) => {
      const why = new Promise((done) => socket.once("auth:revoked", done));
      const gone = new Promise((done) => socket.once("disconnect", done));
      return [await within(why, "auth:revoked"), await within(gone, "the disconnect")];
    });
    const begun = performance.now();
    const what = { token: { token: jti }, session: { session: sid }, person: { person: id } }[kind];
    await good(post(two, "/revocations", what), 201);
    for (const [why, reason] of await Promise.all(told)) {
      assert.deepEqual([why, reason], [{ code: "revoked" }, "io server disconnect"]);
    }
    t.diagnostic(`${kind}: gone from three nodes after ${Math.round(performance.now() - begun)} ms`);
    for (const node of [one, two, three]) {
      const again = io(node.url, options);
      const error = await within(new Promise((done) => again.once("connect_error", done)), "a refusal");
      assert.equal(error.message, "The token was revoked: sign in again");
      const { status, text } = await ask(node.url, "GET", "/api/v1/rooms", { key: token });
      assert.equal(status, 401, text);
      const { revocations } = await good(get(node, "/revocations"));
      assert.ok(revocations.some((entry) => entry.kind === kind), node.name);
    }
  }
});
