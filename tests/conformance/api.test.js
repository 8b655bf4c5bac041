// The API for backends under /api/v1, over HTTP, with stock clients on the other side.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { ask, keysSetting, newKey, signature } from "./support/api.js";
import { call, collect, connect, next, within } from "./support/client.js";
import { startLakh } from "./support/server.js";

const admin = newKey([], { admin: true });
const all = newKey(["api:*:*"], { signing: true });
const boards = newKey(["api:emit,join,leave,rooms,presence,history,sockets:board:*"]);
const old = newKey(["api:*:*"], { expires_at: 1_000_000_000 });
const scoped = Object.fromEntries(
  ["emit", "sockets", "rooms", "presence", "history", "join", "leave", "disconnect", "tokens", "nodes", "stats", "revocations", "hooks"].map(
    (act) => [act, newKey([`api:${act}:*`])],
  ),
);
const KEYS = [admin, all, boards, old, ...Object.values(scoped)];

const ENV = {
  LAKH_AUTH_SECRET: "0123456789abcdef0123456789abcdef",
  LAKH_AUTH__RULES: '[{ who = "signed-in", allow = ["rooms:*:*", "chat:*:*"] }]',
  LAKH_API__KEYS: keysSetting(KEYS),
  LAKH_API__REQUESTS_PER_SECOND: "100000",
  LAKH_ROOMS__OPTIONS: '[{ pattern = "log:*", history = "memory" }, { pattern = "who:*", presence = true }]',
  LAKH_CORS__ORIGINS: '["https://app.example"]',
};

let server;
before(async () => (server = await startLakh({ env: ENV })));
after(() => server.stop());

const post = (path, body, more = {}) => ask(server.url, "POST", `/api/v1${path}`, { key: all, body, ...more });
const get = (path, more = {}) => ask(server.url, "GET", `/api/v1${path}`, { key: all, ...more });

async function good(answer, status = 200) {
  const { status: got, body, text } = await answer;
  assert.equal(got, status, text);
  return body;
}

async function bad(answer, status, code) {
  const { status: got, body, text, headers } = await answer;
  assert.equal(got, status, text);
  assert.equal(body.error.code, code, text);
  assert.equal(typeof body.error.message, "string");
  assert.equal(headers["cache-control"], "no-store");
  return body.error.message;
}

// A secret may begin with `_`.
const secretOf = ({ id, key }) => key.slice(`lakh_${id}_`.length);

let names = 0;
const fresh = (prefix = "board:") => `${prefix}${(names += 1)}`;

// A client of somebody whose token the API made.
async function client(t, id, namespace = "/", more = {}) {
  const { token } = await good(post("/tokens", { id, name: id.toUpperCase() }), 201);
  return connect(t, server.url + namespace, { transports: ["websocket"], auth: { token }, ...more });
}

async function member(t, id, room) {
  const socket = await client(t, id);
  assert.equal((await call(socket, "room:join", { room })).ok, true);
  return socket;
}

describe("emit", () => {
  test("a member gets what a backend emits, numbered as what members emit, and history has both", async (t) => {
    const room = fresh("log:");
    const ada = await member(t, "ada", room);
    const seen = collect(ada, "moved", 3);
    const one = await good(post("/emit", { rooms: [room], event: "moved", data: { card: 1 } }));
    assert.equal(one.numbered[0].room, room);
    assert.equal(one.numbered[0].seq, 1);
    assert.equal((await call(ada, "room:emit", { room, event: "moved", data: 2 })).seq, 2);
    const user = { id: "eve", name: "Eve" };
    const three = await good(post("/emit", { rooms: [room], event: "moved", data: null, user, tags: { lane: "a" } }));
    assert.equal(three.numbered[0].seq, 3);
    const events = await seen;
    assert.deepEqual(
      events.map(([data, meta]) => [data, meta.room, meta.seq, meta.from, meta.user?.id]),
      [
        [{ card: 1 }, room, 1, "server", undefined],
        [2, room, 2, ada.id, "ada"],
        [null, room, 3, "server", "eve"],
      ],
    );
    const history = await good(get(`/rooms/${encodeURIComponent(room)}/history`));
    assert.deepEqual(
      history.events.map(({ seq, event, data, meta }) => [seq, event, data, meta.user?.id]),
      [
        [1, "moved", { card: 1 }, undefined],
        [2, "moved", 2, "ada"],
        [3, "moved", null, "eve"],
      ],
    );
    assert.deepEqual([history.seq, history.complete, history.next], [3, true, null]);
    const page = await good(get(`/rooms/${encodeURIComponent(room)}/history?limit=1&before=3`));
    assert.deepEqual(page.events.map(({ seq }) => seq), [2]);
    assert.equal((await good(get(`/rooms/${encodeURIComponent(room)}`))).seq, 3);
  });

  test("events reach rooms, people, sockets or everybody, and not who is left out", async (t) => {
    const [room, other] = [fresh(), fresh()];
    const [id, friend] = [fresh("ada-"), fresh("bob-")];
    const phone = await member(t, id, room);
    const laptop = await client(t, id);
    const bob = await member(t, friend, other);
    const got = new Map([phone, laptop, bob].map((socket) => [socket, []]));
    for (const [socket, list] of got) socket.onAny((event) => list.push(event));
    const emits = [
      ["a", { people: [id] }, [phone, laptop]],
      ["b", { sockets: [bob.id, laptop.id] }, [laptop, bob]],
      ["c", { all: true }, [phone, laptop, bob]],
      ["d", { rooms: [room, other] }, [phone, bob]],
      ["e", { rooms: [room, other], except: { people: [id] } }, [bob]],
      ["f", { people: [id, friend], except: { sockets: [phone.id] } }, [laptop, bob]],
      ["g", { all: true, except: { rooms: [other] } }, [phone, laptop]],
      ["h", { rooms: [room, other], people: [id], numbered: false }, [phone, laptop, bob]],
    ];
    for (const [event, whom] of emits) await good(post("/emit", { ...whom, event }));
    const ends = [phone, laptop, bob].map((socket) => next(socket, "end"));
    await good(post("/emit", { all: true, event: "end" }));
    await Promise.all(ends);
    for (const [socket, list] of got) {
      const expected = emits.filter(([, , whom]) => whom.includes(socket)).map(([event]) => event);
      assert.deepEqual(list.filter((event) => event !== "end"), expected);
    }
  });

  test("arguments arrive as they were written, binary values as bytes", async (t) => {
    const room = fresh();
    const ada = await member(t, "ada", room);
    const bytes = Buffer.from(Array.from({ length: 300 }, (_, at) => at & 255));
    const binary = { $binary: bytes.toString("base64") };
    const numbered = next(ada, "picture");
    await good(post("/emit", { rooms: [room], event: "picture", data: { z: [binary, 1], a: { binary } } }));
    const [data, meta] = await numbered;
    assert.deepEqual(data, { z: [bytes, 1], a: { binary: bytes } });
    assert.equal(meta.seq, 1);
    const plain = next(ada, "plain");
    await good(post("/emit", { sockets: [ada.id], event: "plain", args: ["é🦀", binary, null, { b: 1, a: 1.5 }] }));
    assert.deepEqual((await plain).slice(0, 4), ["é🦀", bytes, null, { b: 1, a: 1.5 }]);
    for (const args of [[], ["one"]]) {
      const event = next(ada, "few");
      await good(post("/emit", { sockets: [ada.id], event: "few", args, volatile: true }));
      assert.deepEqual((await event).slice(0, args.length), args);
    }
  });

  test("chat rooms are reached by the names that people know", async (t) => {
    const room = fresh("lobby-");
    const ada = await client(t, "ada", "/chat");
    assert.equal((await call(ada, "room:join", { room })).ok, true);
    const event = next(ada, "notice");
    await good(post("/emit", { namespace: "/chat", rooms: [room], event: "notice", data: "maintenance" }));
    assert.equal((await event)[0], "maintenance");
    const { rooms } = await good(get(`/rooms?namespace=/chat&prefix=${room}`));
    assert.deepEqual(rooms, [{ namespace: "/chat", room, occupancy: 1 }]);
  });

  test("what can't be emitted is refused with what to do, and nothing is sent", async (t) => {
    const room = fresh();
    const ada = await member(t, "ada", room);
    const got = [];
    ada.onAny((event) => got.push(event));
    const event = "moved";
    for (const [body, status, code] of [
      [{ event }, 400, "bad_request"],
      [{ event, all: true, rooms: [room] }, 400, "bad_request"],
      [{ rooms: [room] }, 400, "bad_request"],
      [{ event: "", rooms: [room] }, 400, "bad_request"],
      [{ event: "disconnect", sockets: [ada.id] }, 400, "bad_request"],
      [{ event: "room:x", rooms: [room] }, 400, "bad_request"],
      [{ event, rooms: [room, ""] }, 400, "bad_request"],
      [{ event, rooms: ["a\u0001"] }, 400, "bad_request"],
      [{ event, sockets: ["x"] }, 400, "bad_request"],
      [{ event, rooms: [room], data: 1, args: [1] }, 400, "bad_request"],
      [{ event, rooms: [room], args: [1, 2] }, 400, "bad_request"],
      [{ event, rooms: [room], data: { $binary: "?" } }, 400, "bad_request"],
      [{ event, rooms: [room], data: { $binary: "", x: 1 } }, 400, "bad_request"],
      [{ event, rooms: [room], volatile: true, numbered: true }, 400, "bad_request"],
      [{ event, sockets: [ada.id], tags: { a: 1 } }, 400, "bad_request"],
      [{ event, rooms: [room], surplus: 1 }, 400, "bad_request"],
      [{ event, namespace: "/nowhere", all: true }, 404, "no_such_namespace"],
      [{ event, rooms: Array.from({ length: 1001 }, (_, at) => `r${at}`) }, 413, "too_large"],
      [{ event, rooms: [room], data: "x".repeat(70_000) }, 413, "too_large"],
      [{ event, rooms: [room], data: Array(11).fill({ $binary: "" }) }, 413, "too_large"],
    ]) {
      await bad(post("/emit", body), status, code);
    }
    const end = next(ada, "end");
    await good(post("/emit", { sockets: [ada.id], event: "end" }));
    await end;
    assert.deepEqual(got, ["end"]);
  });
});

describe("emit with acknowledgement", () => {
  test("who answered what is told, and who did not and why", async (t) => {
    const room = fresh();
    const [quick, silent, leaving] = [await member(t, "quick", room), await member(t, "silent", room), await member(t, "leaving", room)];
    quick.on("still-there?", (question, answer) => answer({ yes: question, bytes: Buffer.from([1, 2]) }));
    leaving.on("still-there?", () => leaving.disconnect());
    const { answers, silent: missed, missing } = await good(
      post("/emit-with-ack", { rooms: [room], event: "still-there?", data: 7, timeout_ms: 500 }),
    );
    assert.deepEqual(answers, [
      { socket: quick.id, user: { id: "quick", name: "QUICK" }, answer: { yes: 7, bytes: { $binary: "AQI=" } } },
    ]);
    const reasons = missed.map(({ user, reason }) => [user.id, reason]).sort();
    assert.deepEqual(reasons, [["leaving", "disconnected"], ["silent", "timeout"]]);
    assert.deepEqual(missing, { count: 0, names: [], unreachable: false });
    silent.disconnect();
  });

  test("bounds and mistakes are told", async () => {
    const event = "e";
    for (const [body, status, code] of [
      [{ event }, 400, "bad_request"],
      [{ event, all: true, timeout_ms: 0 }, 400, "bad_request"],
      [{ event, all: true, timeout_ms: 30_001 }, 400, "bad_request"],
      [{ event: "connect", all: true }, 400, "bad_request"],
      [{ event, namespace: "/nowhere", all: true }, 404, "no_such_namespace"],
    ]) {
      await bad(post("/emit-with-ack", body), status, code);
    }
    const nobody = await good(post("/emit-with-ack", { rooms: [fresh()], event }));
    assert.deepEqual([nobody.answers, nobody.silent], [[], []]);
  });
});

describe("batch", () => {
  test("each operation has its own result, in their order", async (t) => {
    const [room, later] = [fresh(), fresh()];
    const ada = await member(t, "ada", room);
    const last = next(ada, "last");
    const { results, failed } = await good(
      post("/batch", {
        operations: [
          { emit: { rooms: [room], event: "first", data: 1 } },
          { emit: { rooms: [""], event: "wrong" } },
          { join: { whom: { sockets: [ada.id] }, rooms: [later] } },
          { emit: { namespace: "/nowhere", all: true, event: "x" } },
          { leave: { whom: { rooms: [room] }, rooms: [room] } },
          { emit: { rooms: [later], event: "last" } },
        ],
      }),
    );
    assert.deepEqual(results.map((result) => Object.keys(result)[0]), ["emit", "error", "join", "error", "leave", "emit"]);
    assert.deepEqual(results.filter(({ error }) => error).map(({ error }) => error.code), ["bad_request", "no_such_namespace"]);
    assert.equal(failed, 2);
    assert.equal(results[0].emit.numbered[0].seq, 1);
    assert.equal((await last)[1].room, later);
    assert.equal((await good(get(`/rooms/${room}`))).occupancy, 0);
  });

  test("rights hold for each operation by itself", async (t) => {
    const room = fresh();
    await member(t, "ada", room);
    const operations = [
      { emit: { rooms: [room], event: "may" } },
      { emit: { all: true, event: "may not" } },
      { disconnect: { rooms: [room] } },
    ];
    const { results } = await good(post("/batch", { operations }, { key: boards }));
    assert.deepEqual(results.map(({ error }) => error?.code), [undefined, "forbidden", "forbidden"]);
  });

  test("an empty one, one that is too long and an unknown operation are refused as a whole", async () => {
    await bad(post("/batch", { operations: [] }), 400, "bad_request");
    await bad(post("/batch", { operations: [{ fly: {} }] }), 400, "bad_request");
    const operation = { emit: { rooms: ["a"], event: "e" } };
    await bad(post("/batch", { operations: Array(101).fill(operation) }), 413, "too_large");
  });
});

describe("who is there", () => {
  test("sockets are listed by room and person, page by page, and one is looked at", async (t) => {
    const [room, id] = [fresh(), fresh("ada-")];
    const mine = [await member(t, id, room), await member(t, id, room), await client(t, id)];
    const other = await member(t, fresh("bob-"), room);
    const listed = async (query) => (await good(get(`/sockets?${query}`))).sockets.map((socket) => socket.id);
    const ids = (sockets) => sockets.map((socket) => socket.id).sort();
    assert.deepEqual(await listed(`room=${room}`), ids([mine[0], mine[1], other]));
    assert.deepEqual(await listed(`person=${id}`), ids(mine));
    assert.deepEqual(await listed(`person=${id}&room=${room}`), ids(mine.slice(0, 2)));
    const seen = [];
    for (let cursor, pages = 0; pages === 0 || cursor; pages += 1) {
      assert.ok(pages < 5);
      const page = await good(get(`/sockets?room=${room}&limit=2${cursor ? `&cursor=${cursor}` : ""}`));
      assert.ok(page.sockets.length <= 2);
      seen.push(...page.sockets.map((socket) => socket.id));
      cursor = page.next;
    }
    assert.deepEqual(seen, ids([mine[0], mine[1], other]));
    const one = await good(get(`/sockets/${mine[0].id}`));
    assert.deepEqual([one.user, one.rooms, one.namespace], [{ id, name: id.toUpperCase() }, [room], "/"]);
    assert.ok(one.connected_at > Date.now() - 120_000 && one.address === "127.0.0.1", JSON.stringify(one));
    assert.ok(!JSON.stringify(one).includes("token"), "no credentials are shown");
    await bad(get(`/sockets/${mine[0].id.slice(0, 19)}!`), 400, "bad_request");
    await bad(get(`/sockets/${"x".repeat(20)}`), 404, "not_found");
    for (const query of ["limit=0", "limit=1001", "limit=x", "cursor=!", "surplus=1"]) {
      await bad(get(`/sockets?${query}`), 400, "bad_request");
    }
    await bad(get("/sockets?namespace=/nowhere"), 404, "no_such_namespace");
  });

  test("rooms are listed with their occupancy, by prefix and page by page", async (t) => {
    const prefix = fresh("list-");
    const ada = await client(t, "ada");
    const bob = await client(t, "bob");
    for (const name of ["a", "b", "c", "d"]) await call(ada, "room:join", { room: `${prefix}:${name}` });
    await call(bob, "room:join", { room: `${prefix}:c` });
    const seen = [];
    for (let cursor, pages = 0; pages === 0 || cursor; pages += 1) {
      assert.ok(pages < 5);
      const page = await good(get(`/rooms?prefix=${prefix}:&limit=3${cursor ? `&cursor=${cursor}` : ""}`));
      seen.push(...page.rooms.map(({ room, occupancy }) => [room.slice(prefix.length + 1), occupancy]));
      cursor = page.next;
    }
    assert.deepEqual(seen, [["a", 1], ["b", 1], ["c", 2], ["d", 1]]);
    const all = await good(get("/rooms?limit=1000"));
    assert.ok(all.rooms.every(({ room }) => !/person:/.test(room)), "rooms of people are nobody's to see");
    assert.deepEqual((await good(get("/rooms?prefix=nothing-like-this"))).rooms, []);
  });

  for (const [kind, prefix] of [["keeps count", "who:"], ["doesn't keep count", "board:"]]) {
    test(`presence tells people once however many sockets they have, where the room ${kind}`, async (t) => {
      const room = fresh(prefix);
      const ids = [fresh("p-"), fresh("p-"), fresh("p-")];
      for (const id of [ids[0], ids[0], ids[1], ids[2]]) await member(t, id, room);
      const path = `/rooms/${encodeURIComponent(room)}/presence`;
      const whole = await good(get(path));
      assert.deepEqual([whole.people, whole.occupancy], [3, 4]);
      assert.deepEqual(
        whole.members.map(({ id, user, sockets }) => [id, user.name, sockets]),
        ids.map((id, at) => [id, id.toUpperCase(), at === 0 ? 2 : 1]).sort(),
      );
      const first = await good(get(`${path}?limit=2`));
      const rest = await good(get(`${path}?limit=2&cursor=${first.next}`));
      assert.deepEqual([...first.members, ...rest.members], whole.members);
      assert.equal(rest.next, null);
    });
  }

  test("a room that keeps no history says so", async () => {
    await bad(get(`/rooms/${fresh()}/history`), 422, "unsupported");
    await bad(get("/rooms/x/history?namespace=/chat"), 422, "unsupported");
    await bad(get("/rooms/log:x/history?limit=0"), 400, "bad_request");
  });
});

describe("moving sockets", () => {
  test("sockets join and leave rooms by socket, person and room", async (t) => {
    const [room, other, id] = [fresh(), fresh(), fresh("ada-")];
    const phone = await member(t, id, room);
    const laptop = await client(t, id);
    const rooms = async (socket) => (await good(get(`/sockets/${socket.id}`))).rooms.sort();
    assert.equal((await good(post("/join", { whom: { people: [id] }, rooms: [other] }))).sockets, 2);
    assert.deepEqual([await rooms(phone), await rooms(laptop)], [[room, other].sort(), [other]]);
    assert.equal((await good(post("/leave", { whom: { rooms: [room] }, rooms: [other] }))).sockets, 1);
    assert.deepEqual([await rooms(phone), await rooms(laptop)], [[room], [other]]);
    await good(post("/join", { whom: { sockets: [laptop.id] }, rooms: [room, other] }));
    assert.deepEqual(await rooms(laptop), [room, other].sort());
    for (const body of [
      { whom: {}, rooms: [room] },
      { whom: { people: [id] }, rooms: [] },
      { whom: { people: [id] }, rooms: ["a\u0000"] },
      { rooms: [room] },
    ]) {
      await bad(post("/join", body), 400, "bad_request");
      await bad(post("/leave", body), 400, "bad_request");
    }
  });

  test("who is disconnected is told why, and others stay", async (t) => {
    const [room, id] = [fresh(), fresh("ada-")];
    const [phone, laptop] = [await member(t, id, room), await client(t, id)];
    const bob = await member(t, "bob", room);
    const gone = Promise.all([phone, laptop].map((socket) => Promise.all([next(socket, "server:disconnect"), next(socket, "disconnect")])));
    const done = await good(post("/disconnect", { people: [id], reason: "your account was closed" }));
    assert.equal(done.sockets, 2);
    for (const [[why], [reason]] of await gone) {
      assert.deepEqual([why, reason], [{ reason: "your account was closed" }, "io server disconnect"]);
    }
    assert.equal((await good(get(`/rooms/${room}`))).occupancy, 1);
    const closed = next(bob, "disconnect");
    await good(post("/disconnect", { rooms: [room], close: true }));
    assert.equal((await closed)[0], "io server disconnect");
    await bad(post("/disconnect", {}), 400, "bad_request");
    await bad(post("/disconnect", { all: true, reason: "x".repeat(201) }), 400, "bad_request");
  });
});

describe("rights", () => {
  const ACTS = {
    emit: () => post("/emit", { rooms: ["other"], event: "e" }, scope),
    "emit-with-ack": () => post("/emit-with-ack", { rooms: ["other"], event: "e", timeout_ms: 100 }, scope),
    join: () => post("/join", { whom: { rooms: ["other"] }, rooms: ["other"] }, scope),
    leave: () => post("/leave", { whom: { rooms: ["other"] }, rooms: ["other"] }, scope),
    disconnect: () => post("/disconnect", { rooms: ["other"] }, scope),
    sockets: () => get("/sockets", scope),
    socket: () => get(`/sockets/${"x".repeat(20)}`, scope),
    rooms: () => get("/rooms", scope),
    room: () => get("/rooms/other", scope),
    presence: () => get("/rooms/other/presence", scope),
    history: () => get("/rooms/log:other/history", scope),
    tokens: () => post("/tokens", { id: "x" }, scope),
    nodes: () => get("/nodes", scope),
    stats: () => get("/stats", scope),
    drain: () => post("/nodes/nobody/drain", undefined, scope),
    revoke: () => post("/revocations", { token: "other" }, scope),
    revocations: () => get("/revocations", scope),
    hooks: () => get("/hooks", scope),
    dead: () => get("/hooks/crm/dead", scope),
    replay: () => post("/hooks/crm/dead/replay", { all: true }, scope),
    discard: () => post("/hooks/crm/dead/discard", { all: true }, scope),
  };
  let scope;

  const TABLE = {
    //           emit ack join leave disc sockets socket rooms room presence history tokens nodes stats drain revoke revocations hooks dead replay discard
    admin: "yyyyyyyyyyyyyyyyyyyyy",
    all: "yyyyyyyyyyyyyyyyyyyyy",
    emit: "yy...................",
    join: "..y..................",
    leave: "...y.................",
    disconnect: "....y................",
    sockets: ".....yy..............",
    rooms: ".......yy............",
    presence: ".........y...........",
    history: "..........y..........",
    tokens: "...........y.........",
    nodes: "............y........",
    stats: ".............y.......",
    revocations: "...............yy....",
    hooks: ".................yyyy",
    boards: ".....................",
    person: ".....................",
    "person with a grant": "yy...................",
  };

  test("each key may do what its grants say, in each place", async () => {
    const token = async (grants) => (await good(post("/tokens", { id: "eve", grants }, { key: admin }), 201)).token;
    const keys = {
      admin,
      all,
      boards,
      ...scoped,
      person: await token(["rooms:*:*"]),
      "person with a grant": await token(["api:emit:*"]),
    };
    for (const [name, expected] of Object.entries(TABLE)) {
      scope = { key: keys[name] };
      let may = "";
      for (const [act, does] of Object.entries(ACTS)) {
        const { status, body, text } = await does();
        assert.notEqual(status, 401, `${name} ${act}: ${text}`);
        assert.ok(status !== 403 || body.error.code === "forbidden", text);
        may += status === 403 ? "." : "y";
      }
      assert.equal(may, expected, name);
    }
  });

  test("a grant for some rooms holds in these, and in lists of them alone", async () => {
    const scope = { key: boards };
    await good(post("/emit", { rooms: ["board:1", "board:2"], event: "e" }, scope));
    await bad(post("/emit", { rooms: ["board:1", "other"], event: "e" }, scope), 403, "forbidden");
    await bad(post("/emit", { people: ["board:1"], event: "e" }, scope), 403, "forbidden");
    await bad(post("/emit", { all: true, event: "e" }, scope), 403, "forbidden");
    await bad(post("/emit", { namespace: "/chat", rooms: ["board:1"], event: "e" }, scope), 403, "forbidden");
    await bad(post("/emit", { rooms: ["board:1"], event: "e", user: { id: "eve", name: "Eve" } }, scope), 403, "forbidden");
    await good(get("/rooms?prefix=board:", scope));
    await good(get("/rooms?prefix=board:1", scope));
    const message = await bad(get("/rooms?prefix=boa", scope), 403, "forbidden");
    assert.match(message, /api:rooms:boa\*/);
    await good(get("/sockets?room=board:1", scope));
    await bad(get("/sockets?person=ada", scope), 403, "forbidden");
    await good(post("/join", { whom: { people: ["ada"] }, rooms: ["board:1"] }, scope));
    await bad(post("/join", { whom: { people: ["ada"] }, rooms: ["other"] }, scope), 403, "forbidden");
  });

  test("nobody gives tokens that are more than what they may give", async () => {
    const { tokens } = scoped;
    const issue = (more, key = tokens) => post("/tokens", { id: "ada", ...more }, { key });
    await good(issue({ roles: ["editor"], grants: ["rooms:join:*"] }), 201);
    await bad(issue({ admin: true }), 403, "forbidden");
    await bad(issue({ grants: ["api:emit:*"] }), 403, "forbidden");
    await bad(issue({ grants: ["*:join:*"] }), 403, "forbidden");
    await good(issue({ admin: true }, admin), 201);
    for (const more of [{ id: "" }, { ttl_s: 0 }, { ttl_s: 2_592_001 }, { grants: ["x"] }, { name: "x".repeat(65) }]) {
      await bad(issue(more), 400, "bad_request");
    }
    const { token, expires_at } = await good(issue({ ttl_s: 60 }), 201);
    const claims = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
    assert.deepEqual([claims.sub, claims.exp], ["ada", expires_at]);
  });

  test("credentials that are wrong let nobody in, whatever is wrong with them", async () => {
    const stranger = newKey(["api:*:*"]);
    const cases = {
      none: {},
      "an unknown key": { key: stranger },
      "another's secret": { key: `lakh_${all.id}_${secretOf(stranger)}` },
      "a key that has ended": { key: old },
      "half a key": { key: all.key.slice(0, -1) },
      "no token": { key: "a.b.c" },
      "another scheme": { headers: { authorization: "Basic eDp5" } },
      "a key in a query": { path: `/rooms?key=${all.key}` },
    };
    for (const [name, { path = "/rooms", ...shown }] of Object.entries(cases)) {
      const answer = await ask(server.url, "GET", `/api/v1${path}`, shown);
      assert.equal(answer.status, 401, `${name}: ${answer.text}`);
      assert.match(answer.headers["www-authenticate"], /^Bearer/, name);
      assert.ok(!answer.text.includes(secretOf(all)), name);
    }
    await good(ask(server.url, "GET", "/api/v1/rooms", { headers: { "x-api-key": all.key } }));
    await bad(get("/rooms", { headers: { "x-api-key": all.key } }), 400, "bad_request");
  });
});

describe("signed requests", () => {
  const path = "/api/v1/emit";
  const text = JSON.stringify({ rooms: ["board:signed"], event: "e", data: "é🦀" });
  const sent = (authorization, more = {}) =>
    ask(server.url, "POST", more.path ?? path, { raw: more.text ?? text, headers: { authorization } });

  test("one that is signed well is done, once", async () => {
    const header = signature(all, "POST", path, text);
    await good(sent(header));
    assert.match(await bad(sent(header), 401, "unauthorized"), /sent before/);
    const query = "/api/v1/rooms?prefix=board%3A&limit=2";
    await good(ask(server.url, "GET", query, { headers: { authorization: signature(all, "GET", query) } }));
  });

  test("of many at once that are the same one is taken", async () => {
    const header = signature(all, "POST", path, text);
    const answers = await Promise.all(Array.from({ length: 8 }, () => sent(header)));
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, ...Array(7).fill(401)]);
  });

  test("whatever is changed or out of time is refused", async () => {
    const now = Math.floor(Date.now() / 1000);
    const good = () => signature(all, "POST", path, text);
    for (const [name, header, more] of [
      ["another body", good(), { text: text.replace("e", "f") }],
      ["another path", good(), { path: "/api/v1/emit?x=1" }],
      ["another method", signature(all, "GET", path, text)],
      ["another secret", signature(all, "POST", path, text, { secret: "x".repeat(64) })],
      ["another time", good().replace(/time=\d+/, `time=${now + 1}`)],
      ["another nonce", good().replace(/nonce=[^,]+/, "nonce=x")],
      ["another key", signature(all, "POST", path, text, { key: boards.id })],
      ["a key that is not there", signature(all, "POST", path, text, { key: "0123456789abcdef" })],
      ["late", signature(all, "POST", path, text, { time: now - 400 })],
      ["early", signature(all, "POST", path, text, { time: now + 400 })],
    ]) {
      const answer = await sent(header, more);
      assert.equal(answer.status, 401, `${name}: ${answer.text}`);
    }
    await bad(sent("Lakh-HMAC-SHA256 nonsense"), 400, "bad_request");
    await bad(sent(signature(all, "POST", path, text, { nonce: "a b" })), 400, "bad_request");
  });
});

describe("idempotency keys", () => {
  const once = (key, body, more = {}) =>
    post("/emit", body, { ...more, headers: { "idempotency-key": key } });

  test("a request that is sent again is not done again, and gets the first answer", async (t) => {
    const room = fresh("log:");
    const ada = await member(t, "ada", room);
    const got = [];
    ada.on("paid", (data) => got.push(data));
    const body = { rooms: [room], event: "paid", data: 1 };
    const [key, other] = [fresh("k"), fresh("k")];
    const first = await once(key, body);
    const again = await once(key, body);
    assert.deepEqual(again.body, first.body);
    assert.equal(first.headers["idempotent-replayed"], undefined);
    assert.equal(again.headers["idempotent-replayed"], "true");
    const many = await Promise.all(Array.from({ length: 10 }, () => once(other, body)));
    assert.ok(many.every(({ status, text }) => status === 200 && text === many[0].text), JSON.stringify(many.map(({ text }) => text)));
    const history = await good(get(`/rooms/${room}/history`));
    assert.equal(history.seq, 2, "two keys, two events");
  });

  test("another request with the same key is refused, and another caller's key is their own", async () => {
    const key = fresh("k");
    const body = { rooms: ["board:once"], event: "e", data: 1 };
    const first = await good(once(key, body));
    await bad(once(key, { ...body, data: 2 }), 422, "idempotency_mismatch");
    await bad(post("/batch", { operations: [{ emit: body }] }, { headers: { "idempotency-key": key } }), 422, "idempotency_mismatch");
    const others = await good(once(key, body, { key: scoped.emit }));
    assert.equal(others.numbered[0].seq, first.numbered[0].seq + 1);
    await bad(once("", body), 400, "bad_request");
    await bad(once("x".repeat(256), body), 400, "bad_request");
  });

  test("what failed can be tried again with its key", async () => {
    const key = fresh("k");
    const body = { rooms: ["other"], event: "e" };
    await bad(once(key, body, { key: boards }), 403, "forbidden");
    await bad(once(key, body, { key: boards }), 403, "forbidden");
    await good(once(key, { rooms: ["board:x"], event: "e" }, { key: boards }));
  });

  test("of a batch that failed in part the same answer comes again", async () => {
    const headers = { "idempotency-key": fresh("k") };
    const operations = [{ emit: { rooms: ["board:b"], event: "e" } }, { emit: { rooms: [""], event: "e" } }];
    const first = await good(post("/batch", { operations }, { headers }));
    assert.deepEqual(await good(post("/batch", { operations }, { headers })), first);
  });

  test("a restart forgets no key", async (t) => {
    const { mkdtempSync, rmSync } = await import("node:fs");
    const { tmpdir } = await import("node:os");
    const { join } = await import("node:path");
    const data = mkdtempSync(join(tmpdir(), "lakh-api-"));
    t.after(() => rmSync(data, { recursive: true, force: true }));
    const body = { rooms: ["log:restart"], event: "e", data: 1 };
    const headers = { "idempotency-key": "k" };
    const answers = [];
    for (let run = 0; run < 2; run += 1) {
      const node = await startLakh({ env: ENV, data });
      answers.push(await ask(node.url, "POST", "/api/v1/emit", { key: all, body, headers }));
      await node.stop("SIGKILL");
    }
    assert.deepEqual(answers.map(({ status }) => status), [200, 200]);
    assert.equal(answers[1].text, answers[0].text);
    assert.equal(answers[1].headers["idempotent-replayed"], "true");
  });
});

describe("HTTP", () => {
  test("unknown paths, other methods and other kinds of content are told in JSON", async () => {
    await bad(get("/nothing"), 404, "not_found");
    const wrong = await get("/emit");
    assert.deepEqual([wrong.status, wrong.body.error.code], [405, "method_not_allowed"]);
    assert.equal(wrong.headers.allow, "POST");
    assert.match((await ask(server.url, "DELETE", "/api/v1/rooms", { key: all })).headers.allow, /GET/);
    for (const type of ["text/plain", "application/x-www-form-urlencoded", undefined]) {
      const answer = post("/emit", undefined, { raw: "{}", headers: { "content-type": type } });
      await bad(answer, 415, "unsupported_media_type");
    }
    await bad(post("/emit", undefined, { raw: "{}", headers: { "content-encoding": "gzip" } }), 415, "unsupported_media_type");
    const values = '["/", ["a"], [], [], false, {}, "moved", 1]';
    for (const raw of ["", "{", "[]", "null", values, '{"event":"e","event":"e","all":true}']) {
      await bad(post("/emit", undefined, { raw }), 400, "bad_request");
    }
    await bad(post("/emit", undefined, { raw: `{"event":"${"x".repeat(1_000_001)}"}` }), 413, "too_large");
    await bad(get("/rooms/%FF"), 400, "bad_request");
    assert.match(await bad(get("/rooms?limit=x"), 400, "bad_request"), /^the query is not what is taken here: limit: invalid digit/);
    assert.match(await bad(get("/rooms?surplus=1"), 400, "bad_request"), /unknown field `surplus`/);
    assert.match(await bad(get("/nothing"), 404, "not_found"), /\/api\/v1\/nothing$/);
    assert.match(await bad(ask(server.url, "DELETE", "/api/v1/emit", { key: all }), 405, "method_not_allowed"), /^\/api\/v1\/emit/);
    const head = await ask(server.url, "HEAD", "/api/v1/rooms", { key: all });
    assert.deepEqual([head.status, head.text], [200, ""]);
  });

  test("a request has an id: its own, or a new one", async () => {
    const own = await get("/rooms", { headers: { "x-request-id": "trace-1/2" } });
    assert.equal(own.headers["x-request-id"], "trace-1/2");
    const [one, other] = [await get("/rooms", { headers: { "x-request-id": "a b" } }), await get("/rooms", { key: undefined })];
    assert.match(one.headers["x-request-id"], /^[0-9a-f]{24}$/);
    assert.match(other.headers["x-request-id"], /^[0-9a-f]{24}$/);
    assert.notEqual(one.headers["x-request-id"], other.headers["x-request-id"]);
  });

  test("pages of the origins that are named may use it with a key, and no others", async () => {
    const preflight = (origin) =>
      ask(server.url, "OPTIONS", "/api/v1/emit", {
        headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type" },
      });
    const allowed = await preflight("https://app.example");
    assert.equal(allowed.status, 204);
    assert.equal(allowed.headers["access-control-allow-origin"], "https://app.example");
    assert.match(allowed.headers["access-control-allow-methods"], /POST/);
    assert.equal((await preflight("https://evil.example")).headers["access-control-allow-origin"], undefined);
    const answer = await get("/rooms", { headers: { origin: "https://app.example" } });
    assert.equal(answer.headers["access-control-allow-origin"], "https://app.example");
    const refused = await get("/rooms", { key: undefined, headers: { origin: "https://app.example" } });
    assert.deepEqual([refused.status, refused.headers["access-control-allow-origin"]], [401, "https://app.example"]);
  });

  test("the description is valid OpenAPI 3.1, and is not sent twice", async () => {
    const first = await ask(server.url, "GET", "/api/v1/openapi.json");
    const validator = new Validator();
    const { valid, errors } = await validator.validate(first.body);
    assert.equal(valid, true, JSON.stringify(errors));
    assert.equal(validator.version, "3.1");
    for (const path of ["/api/v1/openapi.json", "/api/v1/docs"]) {
      const { headers, status } = await ask(server.url, "GET", path);
      assert.equal(status, 200);
      const again = await ask(server.url, "GET", path, { headers: { "if-none-match": headers.etag } });
      assert.deepEqual([again.status, again.text], [304, ""]);
    }
    const page = await ask(server.url, "GET", "/api/v1/docs");
    assert.match(page.headers["content-type"], /^text\/html/);
    assert.match(page.headers["content-security-policy"], /default-src 'self'/);
    for (const path of Object.keys(first.body.paths)) assert.ok(page.text.includes(path.replace(/[<>&]/g, "")), path);
  });

  test("every answer fits the description", async () => {
    const { body: api } = await ask(server.url, "GET", "/api/v1/openapi.json");
    for (const [path, methods] of Object.entries(api.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        // Who is not signed in yet may ask how; who has the ticket of an export has the data.
        if (!path.startsWith("/api/v1/") || /openapi|docs|\/session|\/exports\//.test(path)) continue;
        const target = path.replace(/\{\w+\}/g, "x");
        const { status, text } = await ask(server.url, method.toUpperCase(), target, {});
        assert.equal(status, 401, `${method} ${path}: ${text}`);
        assert.ok(operation.responses["401"], `${method} ${path} says nothing of 401`);
      }
    }
  });
});

describe("in development", () => {
  let dev;
  before(async () => (dev = await startLakh({ env: { LAKH_API__KEYS: keysSetting([boards]), LAKH_API__REQUESTS_PER_SECOND: "5" } })));
  after(() => dev.stop());
  const emit = (headers = {}, more = {}) =>
    ask(dev.url, "POST", "/api/v1/emit", { body: { rooms: ["a"], event: "e" }, headers, ...more });
  const settle = async (send) => {
    for (;;) {
      const answer = await send();
      if (answer.status !== 429) return answer;
      assert.ok(Number(answer.headers["retry-after"]) >= 1);
      await new Promise((done) => setTimeout(done, 250));
    }
  };

  test("this machine needs no key, and pages of other origins can do nothing", async () => {
    const port = new URL(dev.url).port;
    for (const [name, headers, status] of [
      ["a tool", {}, 200],
      ["the console", { origin: dev.url, "sec-fetch-site": "same-origin" }, 200],
      ["by another name of this machine", { host: `localhost:${port}` }, 200],
      ["a page of another origin", { origin: "https://evil.example" }, 403],
      ["a page of another port", { origin: "http://127.0.0.1:1" }, 403],
      ["a sandboxed frame", { origin: "null" }, 403],
      ["a page that leaves its origin out", { "sec-fetch-site": "cross-site" }, 403],
      ["a name that leads here", { host: `rebound.example:${port}` }, 403],
      ["one and its own origin", { host: `rebound.example:${port}`, origin: `http://rebound.example:${port}` }, 403],
      ["somebody behind a proxy", { "x-forwarded-for": "203.0.113.9" }, 401],
    ]) {
      const answer = await settle(() => emit(headers));
      assert.equal(answer.status, status, `${name}: ${answer.text}`);
    }
  });

  test("credentials that are shown count, whatever would hold without", async () => {
    assert.equal((await settle(() => emit({}, { key: boards }))).status, 403);
    assert.equal((await settle(() => emit({}, { key: newKey([]) }))).status, 401);
    assert.equal((await settle(() => emit({}, { key: "a.b.c" }))).status, 401);
  });

  test("who asks too often is held up, and others are not", async () => {
    const answers = await Promise.all(Array.from({ length: 30 }, () => emit({}, { key: boards })));
    const limited = answers.filter(({ status }) => status === 429);
    assert.ok(limited.length >= 10, `${limited.length}`);
    assert.equal(limited[0].body.error.code, "rate_limited");
    assert.equal((await settle(() => emit())).status, 200);
  });

  test("without a key that signs no token is made", async () => {
    const answer = await settle(() => ask(dev.url, "POST", "/api/v1/tokens", { body: { id: "ada" } }));
    assert.deepEqual([answer.status, answer.body.error.code], [422, "no_signing_key"]);
  });
});

test("people can't be addressed where the settings say so", async (t) => {
  const node = await startLakh({ env: { LAKH_API__PEOPLE: "false", LAKH_API__DOCS: "false" } });
  t.after(() => node.stop());
  const answer = await ask(node.url, "POST", "/api/v1/emit", { body: { people: ["ada"], event: "e" } });
  assert.deepEqual([answer.status, answer.body.error.code], [422, "people_off"]);
  assert.equal((await ask(node.url, "GET", "/api/v1/docs")).status, 404);
});

test("a node that is told to drain sends its clients away and ends", async (t) => {
  const node = await startLakh({ env: { LAKH_NODE: "n07", LAKH_DRAIN__WINDOW_MS: "2000" } });
  t.after(() => node.stop());
  const ada = await connect(t, node.url, { transports: ["websocket"], auth: { name: "Ada" }, reconnection: false });
  const left = next(ada, "disconnect");
  const nodes = await ask(node.url, "GET", "/api/v1/nodes");
  assert.deepEqual(nodes.body.nodes.map(({ name, status, sockets }) => [name, status, sockets]), [["n07", "ready", 1]]);
  assert.equal((await ask(node.url, "POST", "/api/v1/nodes/n08/drain")).status, 404);
  const begun = await ask(node.url, "POST", "/api/v1/nodes/n07/drain");
  assert.deepEqual([begun.status, begun.body], [202, { node: "n07", already: false }]);
  const again = await ask(node.url, "POST", "/api/v1/nodes/n07/drain");
  assert.deepEqual([again.status, again.body.already], [202, true]);
  await left;
  const { code } = await within(node.exited, "the node's end");
  assert.equal(code, 0);
});
