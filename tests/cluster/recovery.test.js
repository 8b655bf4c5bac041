// Clients that come back to another node than the one they were on, over streams: recovered with all that they missed, or
// told that they are not.

import assert from "node:assert/strict";
import { once } from "node:events";
import { after, afterEach, before, describe, test } from "node:test";
import { until, within } from "../conformance/support/sockets.js";
import { Fleet, ids } from "./support/fleet.js";

let fleet;

before(async () => {
  fleet = await Fleet.start("redis-streams", ["lakh", "lakh", "node", "node"], { env: { RECOVERY: "1" } });
});
afterEach(() => fleet?.endPeople());
after(() => fleet?.stop());

const named = (name) => fleet.nodes.find((node) => node.name.startsWith(name));
const kept = (person) =>
  until("the session to be kept", () => fleet.asking.exists(`sio:session:${person.socket._pid}`));

// What clients come back with stands behind an event's arguments.
function withoutOffset(event) {
  assert.match(event.at(-1), /^\d+-\d+$/);
  return event.slice(0, -1);
}

// As if the network broke: no word from the client.
async function cut(person) {
  const over = once(person.socket, "disconnect");
  person.socket.io.engine.close();
  await over;
}

async function comeBack(person, node) {
  person.node = node;
  person.socket.io.uri = node.url;
  const back = once(person.socket, "connect");
  person.socket.connect();
  await within(back, `a client to come back to ${node.name}`);
}

// A client of `from` that is cut off, misses events of both kinds of nodes, and comes back to `to`.
async function away(from, to) {
  const room = fleet.name("room");
  const person = await fleet.person(from, { rooms: [room], data: { name: "ü" } });
  const before = person.id;
  await from.emit({ to: [room] }, "first");
  await person.event("first");
  assert.match(person.socket._lastOffset, /^\d+-\d+$/);
  await cut(person);
  await kept(person);
  const missed = [];
  for (const node of [named("l2"), named("n4")]) {
    await node.emit({ to: [room] }, "room", node.name);
    await node.emit({}, "all", node.name, Buffer.from([1]));
    await node.emit({ to: [before] }, "own", node.name, "text");
    await node.emit({ to: ["elsewhere"] }, "no", 1);
    await node.emit({ except: [room] }, "no", 2);
    await node.emit({ nsp: "/custom" }, "no", 3);
    missed.push(["room", node.name], ["all", node.name, Buffer.from([1])], ["own", node.name, "text"]);
  }
  await comeBack(person, to);
  return { person, room, before, missed };
}

async function recovered({ person, room, before, missed }) {
  assert.equal(person.socket.recovered, true);
  assert.equal(person.id, before);
  for (const node of fleet.nodes) {
    const event = `after ${node.name}`;
    await node.emit({ to: [room] }, event);
    await person.event(event);
  }
  // Nothing twice, nothing lost, each node's in its order.
  const got = person.got.filter(([event]) => /room|all|own|no$/.test(event)).map(withoutOffset);
  for (const { name } of fleet.nodes) {
    const of = (list) => list.filter(([, from]) => from === name);
    assert.deepEqual(of(got), of(missed));
  }
  assert.equal(got.length, missed.length);
  const { sockets } = await named("l1").ask("fetch", { to: [room] });
  assert.deepEqual(ids(sockets), [before]);
  assert.deepEqual(sockets[0].data, { name: "ü" });
}

describe("a client that was cut off is recovered", () => {
  for (const [from, to] of [
    ["l1", "l1"],
    ["l1", "l2"],
    ["n3", "n3"],
    ["n3", "n4"],
    ["l1", "n3"],
    ["n3", "l1"],
  ]) {
    const kind = (name) => (name[0] === "l" ? "Lakh" : "Node");
    const where = from === to ? "the same" : "another";
    test(`from ${kind(from)} to ${where} ${kind(to)} node`, async () => {
      await recovered(await away(named(from), named(to)));
    });
  }

  test("again and again, wherever it goes", async () => {
    const trip = await away(named("l1"), named("l2"));
    const { person, room, missed } = trip;
    for (const [index, name] of ["l1", "n3", "n4", "l2", "l2", "n3", "l1"].entries()) {
      await cut(person);
      await kept(person);
      await named("n4").emit({ to: [room] }, "room", named("n4").name, index);
      missed.push(["room", named("n4").name, index]);
      await comeBack(person, named(name));
    }
    await recovered(trip);
  });

  test("that had no event before it was cut off", async () => {
    const room = fleet.name("room");
    const person = await fleet.person(named("l1"), { rooms: [room] });
    await kept(person);
    await cut(person);
    await named("n4").emit({ to: [room] }, "missed");
    await comeBack(person, named("l2"));
    assert.equal(person.socket.recovered, true);
    await person.event("missed");
    assert.equal(person.events("missed").length, 1);
  });

  test("whose node was killed", async () => {
    const added = await fleet.add("lakh", 9);
    await fleet.together();
    const room = fleet.name("room");
    const person = await fleet.person(added, { rooms: [room] });
    const before = person.id;
    await named("l2").emit({ to: [room] }, "first");
    await person.event("first");
    await kept(person);
    const lost = once(person.socket, "disconnect");
    await fleet.kill(added);
    await within(lost, "the connection to end");
    await named("n3").emit({ to: [room] }, "missed");
    await comeBack(person, named("l1"));
    assert.equal(person.socket.recovered, true);
    assert.equal(person.id, before);
    await person.event("missed");
    assert.deepEqual(person.events("missed").length, 1);
  });
});

describe("a client that can't be recovered is told", () => {
  for (const name of ["l1", "n3"]) {
    test(`by ${name[0] === "l" ? "Lakh" : "Node"}, of a session that nobody knows or a place that is none`, async () => {
      for (const [pid, offset] of [
        ["x".repeat(20), undefined],
        [undefined, "no place"],
      ]) {
        const person = await fleet.person(named(name));
        await named(name).emit({}, "first");
        await person.event("first");
        if (pid) person.socket._pid = pid;
        if (offset) person.socket._lastOffset = offset;
        const before = person.id;
        await cut(person);
        await comeBack(person, named(name));
        assert.equal(person.socket.recovered, false);
        assert.notEqual(person.id, before);
      }
    });
  }
});
