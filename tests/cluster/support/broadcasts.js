// Broadcasts: whom they reach, and what arrives.

import assert from "node:assert/strict";
import { test } from "node:test";
import { until } from "../../conformance/support/sockets.js";
import { ids, sorted } from "./fleet.js";

// Who of these people got the event, by number; and nobody twice.
export async function whoGot(context, people, event, nsp) {
  await context.fleet.fence(context.node, people, nsp);
  return people.flatMap((person, index) => {
    const times = person.events(event).length;
    assert.ok(times <= 1, `${event} came ${times} times to a client of ${person.node.name}`);
    return times ? [index] : [];
  });
}

export function broadcasts(context, adapter) {
  test("a broadcast reaches all clients", async () => {
    const people = await context.fleet.everywhere();
    await context.node.emit({}, "hello", 1, "2", { three: [3] });
    for (const person of people) assert.deepEqual(await person.event("hello"), ["hello", 1, "2", { three: [3] }]);
    assert.deepEqual(await whoGot(context, people, "hello"), [0, 1, 2, 3]);
  });

  test("a broadcast to a namespace reaches nobody in another", async () => {
    const outside = await context.fleet.everywhere();
    const people = await context.fleet.everywhere({ nsp: "/custom" });
    await context.node.emit({ nsp: "/custom" }, "inside", 1);
    await Promise.all(people.map((person) => person.event("inside")));
    assert.deepEqual(await whoGot(context, outside, "inside"), []);
  });

  test("a namespace made for a name that clients ask for", async () => {
    const nsp = `/dynamic-${context.kind}`;
    const people = await context.fleet.everywhere({ nsp, rooms: ["r"] });
    await context.node.emit({ nsp }, "all");
    await context.node.emit({ nsp, to: ["r"] }, "some");
    for (const event of ["all", "some"]) {
      assert.deepEqual(await whoGot(context, people, event, nsp), [0, 1, 2, 3], event);
    }
    const { sockets } = await context.node.ask("fetch", { nsp, to: ["r"] });
    assert.deepEqual(sorted(sockets.map(({ id }) => id)), ids(people));
  });

  test("who was let into a namespace made for them gets all that is said in it from then on", async () => {
    const last = context.fleet.of("lakh").at(-1);
    for (let round = 0; round < 20; round += 1) {
      const nsp = `/${context.fleet.name("dynamic-new")}`;
      await context.fleet.person(context.node, { nsp });
      const newcomer = await context.fleet.newcomer(last, { nsp });
      await context.node.emit({ nsp }, "at once");
      await newcomer.event("at once");
    }
  });

  test("a broadcast to a room", async () => {
    const room = context.fleet.name("room");
    const people = await context.fleet.everywhere([{}, { rooms: [room] }, { rooms: [room] }, {}]);
    await context.node.emit({ to: [room] }, "hello");
    assert.deepEqual(await whoGot(context, people, "hello"), [1, 2]);
  });

  test("a broadcast to several rooms comes once", async () => {
    const [one, two] = [context.fleet.name("one"), context.fleet.name("two")];
    const people = await context.fleet.everywhere([{ rooms: [one, two] }, { rooms: [one] }, { rooms: [two] }, {}]);
    await context.node.emit({ to: [one, two] }, "hello");
    assert.deepEqual(await whoGot(context, people, "hello"), [0, 1, 2]);
  });

  test("a broadcast except to rooms", async () => {
    const [one, two, three] = ["one", "two", "three"].map((name) => context.fleet.name(name));
    const people = await context.fleet.everywhere([
      { rooms: [one, two] },
      { rooms: [one, two, three] },
      { rooms: [one] },
      { rooms: [two, three] },
    ]);
    await context.node.emit({ except: [three] }, "hello");
    assert.deepEqual(await whoGot(context, people, "hello"), [0, 2]);
    await context.node.emit({ to: [one, two], except: [three] }, "again");
    assert.deepEqual(await whoGot(context, people, "again"), [0, 2]);
    await context.node.emit({ to: [one], except: [two, people[2].id] }, "nobody");
    assert.deepEqual(await whoGot(context, people, "nobody"), []);
  });

  test("a broadcast of one node only", async () => {
    const people = await context.fleet.everywhere();
    await context.node.emit({ local: true }, "near");
    const here = people.findIndex((person) => person.node === context.node);
    assert.deepEqual(await whoGot(context, people, "near"), [here]);
  });

  test("an event to one socket by its id", async () => {
    const people = await context.fleet.everywhere();
    for (const [index, person] of people.entries()) {
      await context.node.emit({ to: [person.id] }, `to ${index}`);
      assert.deepEqual(await whoGot(context, people, `to ${index}`), [index]);
    }
  });

  test("volatile and compressed broadcasts", async () => {
    const people = await context.fleet.everywhere();
    // A volatile event is dropped where the one before is still on its way.
    await until("everybody to have a volatile event", async () => {
      await context.node.emit({ volatile: true }, "volatile", 1);
      return people.every((person) => person.events("volatile").length > 0);
    });
    for (const compress of [true, false]) {
      await context.node.emit({ compress }, `compress ${compress}`, "x".repeat(4096));
      assert.deepEqual(await whoGot(context, people, `compress ${compress}`), [0, 1, 2, 3]);
    }
  });

  test("broadcasts of one node come in their order", async () => {
    const room = context.fleet.name("room");
    const people = await context.fleet.everywhere({ rooms: [room] });
    const numbers = Array.from({ length: 200 }, (_, number) => number);
    await Promise.all(numbers.map((number) => context.node.emit({ to: [room] }, "count", number)));
    for (const person of people) {
      await person.when("all numbers", () => person.events("count").length >= numbers.length);
      assert.deepEqual(person.events("count").flat(), numbers);
    }
  });

  // The sharded adapter knows rooms by text only.
  if (context.kind === "node" && !adapter.startsWith("redis-sharded")) {
    test("rooms that are numbers", async () => {
      const room = 4_711;
      const people = await context.fleet.everywhere(
        context.fleet.nodes.map(({ kind }) => ({ rooms: [kind === "node" ? room : String(room)] })),
      );
      await context.node.emit({ to: [room] }, "number");
      assert.deepEqual(await whoGot(context, people, "number"), [0, 1, 2, 3]);
    });
  }

  test("rooms with odd names", async () => {
    const names = [
      "123",
      "4.5",
      "raum ü 🚪",
      "#",
      "a#b#",
      "",
      "r*[?]",
      "x".repeat(20),
      "/custom",
      "\\\"'",
      "y".repeat(300),
    ];
    const people = await context.fleet.everywhere({ rooms: names });
    for (const [index, name] of names.entries()) {
      await context.node.emit({ to: [name] }, `odd ${index}`, name);
      assert.deepEqual(await whoGot(context, people, `odd ${index}`), [0, 1, 2, 3], JSON.stringify(name));
      const { sockets } = await context.node.ask("fetch", { to: [name] });
      assert.equal(sockets.length, 4, JSON.stringify(name));
    }
  });
}

export function values(context) {
  const all = [
    ["nothing", []],
    ["null", [null, [null], { a: null }]],
    ["text", ["", 'ü🚪\u0000\u2028"\\', "x".repeat(70_000)]],
    [
      "numbers",
      [
        0,
        -1,
        1.5,
        127,
        128,
        255,
        256,
        65_535,
        65_536,
        2 ** 31,
        -(2 ** 31),
        2 ** 32,
        2 ** 53 - 1,
        -(2 ** 53) + 1,
        1.5e-300,
        5e-324,
      ],
    ],
    ["truth", [true, false]],
    ["lists", [[], [[[]]], Array.from({ length: 20 }, (_, n) => n), Array.from({ length: 70_000 }, () => 1)]],
    [
      "objects",
      [
        {},
        { "": {} },
        { ü: { 2: [1], a: "b" } },
        Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`k${n}`, n])),
      ],
    ],
    ["what looks like a placeholder of Node's JSON", [{ type: "Buffer", data: "text" }, { num: 0 }]],
    [
      "binary",
      [
        Buffer.from([1, 2, 3]),
        { deep: [{ er: Buffer.alloc(300, 7) }] },
        "text",
        Buffer.alloc(0),
        Buffer.alloc(70_000, 1),
      ],
    ],
    ["binary among special values", [null, Buffer.from([0xff]), [null, { a: Buffer.from("ü") }], 2 ** 40, -5]],
  ];
  for (const [name, args] of all) {
    test(`values arrive as they were sent: ${name}`, async () => {
      const people = await context.fleet.everywhere();
      await context.node.emit({}, "values", ...args);
      for (const person of people) {
        const [, ...got] = await person.event("values");
        assert.deepEqual(got, args, `a client of ${person.node.name}`);
      }
    });
  }

  if (context.kind !== "node") return;
  test("values that only JavaScript has arrive as Node's clients get them", async () => {
    const people = await context.fleet.everywhere();
    await context.node.ask("emit-special", {}, "special");
    const got = await Promise.all(people.map((person) => person.event("special")));
    const elsewhere = context.fleet.of("node")[1];
    const right = got[people.findIndex((person) => person.node === elsewhere)];
    for (const [index, { node }] of people.entries()) {
      if (node.kind === "lakh") assert.deepEqual(got[index], right, node.name);
    }
  });
}
