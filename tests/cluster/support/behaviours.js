// What a fleet does over any of the adapters, whoever asks and whoever has the clients: two Lakh nodes and two Node
// servers, one of each asking. So each test looks at Lakh to Node, Node to Lakh, Lakh to Lakh, and Node to Node, which
// tells whether the test itself is right.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { broadcasts, values, whoGot } from "./broadcasts.js";
import { until } from "../../conformance/support/sockets.js";
import { Fleet, ids, sorted } from "./fleet.js";

export function behaviours(adapter) {
  let fleet;

  before(async () => {
    fleet = await Fleet.start(adapter, ["lakh", "node", "lakh", "node"]);
  });
  afterEach(() => fleet?.endPeople());
  after(() => fleet?.stop());

  for (const kind of ["lakh", "node"]) {
    describe(`${adapter}, asked of ${kind}`, () => {
      const context = {
        get fleet() {
          return fleet;
        },
        get node() {
          return fleet.of(kind)[0];
        },
        kind,
      };
      broadcasts(context, adapter);
      values(context);
      acknowledgements(context);
      rooms(context);
      disconnects(context);
      fetches(context, adapter);
      servers(context);
    });
  }
  describe(`${adapter}, with silent nodes`, () => silence(adapter, () => fleet));
}

function acknowledgements(context) {
  const answering = async (answers, options) => {
    const people = await context.fleet.everywhere(options);
    people.forEach((person, index) => {
      person.answer = (answer, ...args) => {
        if (index in answers) answer(...[answers[index](...args)].flat());
      };
    });
    return people;
  };

  test("all clients are asked, and all answers come", async () => {
    const echo =
      (index) =>
      (...args) => ({ index, args });
    await answering([echo(0), echo(1), echo(2), echo(3)]);
    const { answers, missing } = await context.node.ask("emit-with-ack", {}, "question", 1, "two");
    assert.equal(missing, 0);
    answers.sort((one, other) => one.index - other.index);
    assert.deepEqual(
      answers,
      [0, 1, 2, 3].map((index) => ({ index, args: [1, "two"] })),
    );
  });

  test("binary questions and binary answers", async () => {
    const more = (bytes) => Buffer.concat([bytes, Buffer.from([9])]);
    await answering([more, more, more, more]);
    const { answers, missing } = await context.node.ask("emit-with-ack", {}, "question", Buffer.from([1]));
    assert.equal(missing, 0);
    assert.deepEqual(answers, Array(4).fill(Buffer.from([1, 9])));
  });

  test("answers of all kinds", async () => {
    const kinds = [() => null, () => "ü", () => ({ a: [1.5, { b: Buffer.from([1]) }] }), () => 2 ** 40];
    await answering(kinds);
    const { answers, missing } = await context.node.ask("emit-with-ack", {}, "question");
    assert.equal(missing, 0);
    for (const kind of kinds) {
      assert.ok(
        answers.some((answer) => JSON.stringify(answer) === JSON.stringify(kind())),
        JSON.stringify(answers),
      );
    }
  });

  test("only those in the room are asked", async () => {
    const room = context.fleet.name("room");
    const away = context.fleet.nodes.indexOf(context.node) < 2 ? 3 : 0;
    const options = [{}, {}, {}, {}];
    options[away] = { rooms: [room] };
    await answering([() => 0, () => 1, () => 2, () => 3], options);
    const asked = await context.node.ask("emit-with-ack", { to: [room] }, "question");
    assert.deepEqual(asked, { answers: [away], missing: 0 });
    const others = await context.node.ask("emit-with-ack", { except: [room] }, "question");
    assert.deepEqual(
      sorted(others.answers),
      [0, 1, 2, 3].filter((index) => index !== away),
    );
  });

  test("nobody to ask", async () => {
    await answering([() => 0, () => 1, () => 2, () => 3]);
    const asked = await context.node.ask("emit-with-ack", { to: ["nowhere"] }, "question");
    assert.deepEqual(asked, { answers: [], missing: 0 });
  });

  test("who does not answer in time is missed, and the others' answers are given", async () => {
    await answering({ 0: () => 0, 1: () => 1, 3: () => 3 });
    const { answers, missing } = await context.node.ask("emit-with-ack", { timeout: 700 }, "question");
    assert.equal(missing, 1);
    assert.deepEqual(sorted(answers), [0, 1, 3]);
  });
}

function rooms(context) {
  // Who is in the room, by number, as each node itself says.
  const members = async (people, room) => {
    // A Node server under the classic adapter does what it told all to do when Redis has brought that back to itself, which
    // is before the answers to what it asks then. Its broadcasts reach its own clients before.
    await context.node.ask("fetch");
    await context.fleet.fence(context.node, people);
    const found = await Promise.all(
      people.map(async (person) => {
        const { sockets } = await person.node.ask("fetch", { to: [person.id], local: true });
        return sockets[0].rooms.includes(room);
      }),
    );
    return found.flatMap((is, index) => (is ? [index] : []));
  };

  test("all sockets join and leave a room", async () => {
    const people = await context.fleet.everywhere();
    const room = context.fleet.name("room");
    await context.node.ask("join", {}, [room, `${room}b`]);
    assert.deepEqual(await members(people, room), [0, 1, 2, 3]);
    assert.deepEqual(await members(people, `${room}b`), [0, 1, 2, 3]);
    await context.node.ask("leave", {}, [room]);
    assert.deepEqual(await members(people, room), []);
    assert.deepEqual(await members(people, `${room}b`), [0, 1, 2, 3]);
  });

  test("sockets of a room join and leave another", async () => {
    const [one, two] = [context.fleet.name("one"), context.fleet.name("two")];
    const people = await context.fleet.everywhere([{ rooms: [one] }, { rooms: [one] }, { rooms: [one] }, {}]);
    await context.node.ask("join", { to: [one], except: [people[1].id] }, [two]);
    assert.deepEqual(await members(people, two), [0, 2]);
    await context.node.ask("leave", { to: [one] }, [two]);
    assert.deepEqual(await members(people, two), []);
  });

  test("a socket joins and leaves by its id, and gets what is sent to the room", async () => {
    const people = await context.fleet.everywhere();
    for (const [index, person] of people.entries()) {
      const room = context.fleet.name("room");
      await context.node.ask("join", { to: [person.id] }, [room]);
      assert.deepEqual(await members(people, room), [index]);
      person.rooms = [room];
      await context.fleet.subscribed(person);
      await context.node.emit({ to: [room] }, `in ${index}`);
      assert.deepEqual(await whoGot(context, people, `in ${index}`), [index]);
      await context.node.ask("leave", { to: [person.id] }, [room]);
      assert.deepEqual(await members(people, room), []);
      await context.node.emit({ to: [room] }, `out ${index}`);
      assert.deepEqual(await whoGot(context, people, `out ${index}`), []);
    }
  });
}

function disconnects(context) {
  const both = async (close) => {
    const room = context.fleet.name("room");
    const people = await context.fleet.everywhere([{}, {}, {}, {}].map(() => ({ rooms: [room] })));
    const custom = people.map((person) => person.socket.io.socket("/custom"));
    const over = custom.map((socket) => new Promise((done) => socket.once("disconnect", done)));
    await Promise.all(custom.map((socket) => socket.connected || new Promise((done) => socket.once("connect", done))));
    const bystander = await context.fleet.person(context.fleet.nodes[3]);
    await context.node.ask("disconnect-sockets", { to: [room] }, close);
    await Promise.all(people.map((person) => person.when("the end", ({ lost }) => lost.length > 0)));
    assert.ok(bystander.socket.connected);
    return { people, custom, over };
  };

  test("sockets are disconnected, and their connections stay", async () => {
    const { people, custom } = await both(false);
    for (const person of people) assert.deepEqual(person.lost, ["io server disconnect"]);
    // What comes over the connection's other namespace shows that it lives.
    const heard = custom.map((socket) => new Promise((done) => socket.once("still", done)));
    await context.node.emit({ nsp: "/custom" }, "still");
    await Promise.all(heard);
    custom.forEach((socket) => socket.disconnect());
  });

  test("sockets are disconnected with their connections", async () => {
    const { people, over } = await both(true);
    // Node tells the namespaces before it closes.
    for (const person of people) assert.match(person.lost[0], /io server disconnect|transport close/);
    for (const reason of await Promise.all(over)) assert.match(reason, /io server disconnect|transport close/);
  });

  for (const close of [false, true]) {
    test(`what was sent before a disconnect arrives${close ? ", also if connections are closed" : ""}`, async () => {
      const room = context.fleet.name("room");
      const people = await context.fleet.everywhere({ rooms: [room] });
      await Promise.all([
        context.node.emit({ to: [room] }, "bye", Buffer.alloc(5_000)),
        context.node.ask("disconnect-sockets", { to: [room] }, close),
      ]);
      for (const person of people) {
        await person.when("the end", ({ lost }) => lost.length > 0);
        assert.equal(person.events("bye").length, 1, person.node.name);
      }
    });
  }
}

function fetches(context, adapter) {
  test("all sockets are told", async () => {
    const people = await context.fleet.everywhere();
    const { sockets, missing } = await context.node.ask("fetch");
    assert.deepEqual(missing, { count: 0, names: [], unreachable: false });
    assert.deepEqual(sorted(sockets.map(({ id }) => id)), ids(people));
  });

  test("sockets by room, except, and of one node only", async () => {
    const room = context.fleet.name("room");
    const people = await context.fleet.everywhere([{ rooms: [room] }, { rooms: [room] }, { rooms: [room] }, {}]);
    const found = async (target) => sorted((await context.node.ask("fetch", target)).sockets.map(({ id }) => id));
    assert.deepEqual(await found({ to: [room] }), ids(people.slice(0, 3)));
    assert.deepEqual(await found({ to: [room], except: [people[1].id] }), ids([people[0], people[2]]));
    assert.deepEqual(await found({ local: true }), ids(people.filter((person) => person.node === context.node)));
    assert.deepEqual(await found({ to: ["nowhere"] }), []);
    assert.deepEqual(await found({ nsp: "/custom" }), []);
  });

  test("data and handshake of a socket elsewhere", async () => {
    const room = context.fleet.name("room");
    const data = { name: "ü", list: [1, null, 2.5], deep: { a: true } };
    const people = await context.fleet.everywhere({
      rooms: [room],
      data,
      auth: { token: "x", n: 1 },
      query: { room: "a b", ü: "&=" },
      extraHeaders: { "x-test": "header" },
    });
    const { sockets } = await context.node.ask("fetch", { to: [room] });
    assert.equal(sockets.length, 4);
    for (const person of people) {
      const socket = sockets.find(({ id }) => id === person.id);
      const where = `a socket of ${person.node.name}`;
      assert.deepEqual(sorted(socket.rooms), sorted([person.id, room]), where);
      assert.deepEqual(socket.data, data, where);
      const { issued, query, auth, address, secure, test: header } = socket.handshake;
      assert.deepEqual(auth, { rooms: [room], data, token: "x", n: 1 }, where);
      assert.equal(query.room, "a b", where);
      assert.equal(query["ü"], "&=", where);
      assert.equal(query.EIO, "4", where);
      assert.equal(header, "header", where);
      assert.match(address, /127\.0\.0\.1$/, where);
      assert.equal(secure, false, where);
      assert.ok(Math.abs(Date.now() - issued) < 60_000, where);
    }
  });

  if (adapter === "redis" && context.kind === "node") {
    test("all rooms of all nodes", async () => {
      const people = await context.fleet.everywhere([{ rooms: ["a"] }, { rooms: ["a", "b"] }, { rooms: ["c"] }, {}]);
      const found = await context.node.ask("all-rooms");
      assert.deepEqual(sorted(found), sorted(["a", "b", "c", ...ids(people)]));
    });
  }

  test("each of the sockets found is told something, joins, leaves, and is disconnected", async () => {
    const room = context.fleet.name("room");
    const people = await context.fleet.everywhere([{ rooms: [room] }, { rooms: [room] }, { rooms: [room] }, {}]);
    const remote = (what, argument) => context.node.ask("remote", { to: [room] }, what, argument);
    assert.equal(await remote("emit", { to: "you" }), 3);
    for (const person of people.slice(0, 3)) {
      assert.deepEqual(await person.event("remote"), ["remote", { to: "you" }]);
    }
    assert.deepEqual(await whoGot(context, people, "remote"), [0, 1, 2]);
    // Streams carry orders and requests in ways of their own, so one may overtake the other.
    const found = async (target) => {
      await context.fleet.fence(context.node, people);
      return sorted((await context.node.ask("fetch", target)).sockets.map(({ id }) => id));
    };
    const other = context.fleet.name("other");
    await remote("join", other);
    assert.deepEqual(await found({ to: [other] }), ids(people.slice(0, 3)), adapter);
    await remote("leave", other);
    assert.deepEqual(await found({ to: [other] }), []);
    await remote("disconnect", true);
    for (const person of people.slice(0, 3)) await person.when("the end", ({ lost }) => lost.length > 0);
    assert.ok(people[3].socket.connected);
  });
}

function servers(context) {
  const others = () => context.fleet.nodes.filter((node) => node !== context.node);
  // What each node heard, once a second event has come everywhere.
  const heard = async (nsp, args) => {
    const all = () => others().every((node) => node.heard.some(([, [, last]]) => last === "end"));
    await context.node.ask("server-side-emit", { nsp }, "hello", "end");
    await until("servers to hear", all);
    assert.deepEqual(context.node.heard, []);
    for (const node of others()) {
      assert.deepEqual(
        node.heard,
        [
          [nsp, args],
          [nsp, ["hello", "end"]],
        ],
        node.name,
      );
    }
  };

  test("the other servers hear an event, and who sends it does not", async () => {
    const args = ["hello", "world", 1, { two: [null, "ü"] }];
    await context.node.ask("server-side-emit", {}, ...args);
    await heard("/", args);
  });

  test("servers hear an event in its namespace", async () => {
    await context.node.ask("server-side-emit", { nsp: "/custom" }, "ask");
    await heard("/custom", ["ask"]);
  });

  test("the other servers answer", async () => {
    const asked = await context.node.ask("server-side-emit-with-ack", {}, "ask", 1, "two");
    assert.equal(asked.missing, 0, asked.error);
    assert.deepEqual(sorted(asked.answers), sorted(others().map((node) => `${node.kind} ${node.name}`)));
    await until("the servers' words", () => others().every((node) => node.heard.length > 0));
    for (const node of others()) assert.deepEqual(node.heard, [["/", ["ask", 1, "two"]]], node.name);
    assert.deepEqual(context.node.heard, []);
  });
}

// Nodes that stand still while they are asked: one of each kind.
function silence(adapter, fleet) {
  let people;
  let loud;
  let still;

  const all = (ask) => Promise.all(loud.map(ask));

  before(async () => {
    still = ["lakh", "node"].map((kind) => fleet().of(kind)[1]);
    loud = fleet().nodes.filter((node) => !still.includes(node));
    people = await fleet().everywhere();
    for (const person of people) person.answer = (answer) => answer(person.node.name);
    await Promise.all(still.map((node) => node.hold()));
  });

  test("requests end in time with what the others said", async () => {
    const [fetched, asked, answered] = await Promise.all([
      all((node) => node.ask("fetch", { timeout: 1_000 })),
      all((node) => node.ask("emit-with-ack", { timeout: 1_000 }, "question")),
      all((node) => node.ask("server-side-emit-with-ack", { timeout: 1_000 }, "ask")),
    ]);
    const here = ids(people.filter((person) => loud.includes(person.node)));
    loud.forEach((node, index) => {
      if (node.kind === "lakh") {
        const { sockets, missing } = fetched[index];
        assert.deepEqual(sorted(sockets.map(({ id }) => id)), here);
        assert.equal(missing.count, 2);
        // The classic adapter's nodes don't say who they are, and those of the sharded one only when they speak.
        if (adapter === "redis-streams") assert.equal(missing.names.length, 2);
      } else {
        // Node has no partial answer here.
        assert.equal(fetched[index].missing.count, 1);
      }
      assert.ok(asked[index].missing > 0, node.name);
      assert.deepEqual(sorted(asked[index].answers), sorted(loud.map(({ name }) => name)), node.name);
      assert.ok(answered[index].missing > 0, node.name);
      const other = loud.find((one) => one !== node);
      assert.deepEqual(answered[index].answers, [`${other.kind} ${other.name}`], node.name);
    });
  });

  test("nodes that go on are heard again", async () => {
    for (const node of still) node.signal("SIGCONT");
    await fleet().together();
    await all(async (node) => assert.equal((await node.ask("others")) + 1, fleet().nodes.length));
  });

  test("nodes that were killed are waited for no longer", async () => {
    await Promise.all(still.map((node) => fleet().kill(node)));
    await fleet().together();
    const room = fleet().name("room");
    const left = await fleet().everywhere({ rooms: [room] });
    const fetched = await all((node) => node.ask("fetch", { to: [room] }));
    for (const { sockets, missing } of fetched) {
      assert.equal(missing.count, 0);
      assert.deepEqual(sorted(sockets.map(({ id }) => id)), ids(left));
    }
    const answered = await all((node) => node.ask("server-side-emit-with-ack", {}, "ask"));
    for (const { answers, missing } of answered) assert.deepEqual([answers.length, missing], [1, 0]);
  });
}
