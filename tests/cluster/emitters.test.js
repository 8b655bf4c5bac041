// Programs that are no servers and tell a fleet what to do: Node's own emitter over pub/sub, and entries as the emitter
// over streams appends them (it is in no registry yet; the entries are what its source makes).

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { Emitter } from "@socket.io/redis-emitter";
import { Redis } from "ioredis";
import { until } from "../conformance/support/sockets.js";
import { Fleet } from "./support/fleet.js";

// What both emitters can do, once.
class Entries {
  constructor(redis, nsp = "/", opts = { rooms: [], except: [], flags: {} }) {
    Object.assign(this, { redis, nsp, opts });
  }

  add(type, data) {
    const entry = ["uid", "emitter", "nsp", this.nsp, "type", String(type), "data", data];
    return this.redis.xadd("socket.io", "MAXLEN", "~", 10_000, "*", ...entry);
  }

  with(change) {
    return new Entries(this.redis, this.nsp, { ...this.opts, ...change });
  }

  of(nsp) {
    return new Entries(this.redis, nsp);
  }

  to(rooms) {
    return this.with({ rooms: [...this.opts.rooms, ...[rooms].flat()] });
  }

  except(rooms) {
    return this.with({ except: [...this.opts.except, ...[rooms].flat()] });
  }

  get volatile() {
    return this.with({ flags: { ...this.opts.flags, volatile: true } });
  }

  emit(...event) {
    return this.add(3, JSON.stringify({ packet: { type: 2, data: event }, opts: this.opts }));
  }

  // Entries with binary are msgpack in base64; this one holds `["binary", <bin 01 02>]` for everyone.
  emitBinary() {
    const key = (text) => [0xa0 | text.length, ...Buffer.from(text)];
    const packet = [0x82, ...key("type"), 2, ...key("data"), 0x92, ...key("binary"), 0xc4, 2, 1, 2];
    const opts = [0x83, ...key("rooms"), 0x90, ...key("flags"), 0x80, ...key("except"), 0x90];
    const data = Buffer.from([0x82, ...key("packet"), ...packet, ...key("opts"), ...opts]);
    return this.add(3, data.toString("base64"));
  }

  socketsJoin(rooms) {
    return this.add(4, JSON.stringify({ opts: this.opts, rooms: [rooms].flat() }));
  }

  socketsLeave(rooms) {
    return this.add(5, JSON.stringify({ opts: this.opts, rooms: [rooms].flat() }));
  }

  disconnectSockets(close = false) {
    return this.add(6, JSON.stringify({ opts: this.opts, close }));
  }

  serverSideEmit(...packet) {
    return this.add(9, JSON.stringify({ packet }));
  }
}

const EMITTERS = {
  redis: (redis) => new Emitter(redis),
  "redis-streams": (redis) => new Entries(redis),
};

for (const [adapter, make] of Object.entries(EMITTERS)) {
  describe(`an emitter over ${adapter}`, () => {
    let fleet;
    let redis;
    let emitter;

    before(async () => {
      fleet = await Fleet.start(adapter, ["lakh", "node"]);
      redis = new Redis(fleet.redis.url);
      emitter = make(redis);
    });
    afterEach(() => fleet?.endPeople());
    after(async () => {
      redis?.disconnect();
      await fleet?.stop();
    });

    // By number, once all that was emitted before has come.
    const whoGot = async (people, event) => {
      const fence = fleet.name("fence");
      await emitter.emit(fence);
      await Promise.all(people.map((person) => person.event(fence)));
      return people.flatMap((person, index) => person.events(event).map(() => index));
    };
    const members = async (people, room) => {
      await whoGot(people, "");
      const asked = people.map((person) => person.node.ask("fetch", { to: [person.id], local: true }));
      const found = await Promise.all(asked);
      return found.flatMap(({ sockets }, index) => (sockets[0].rooms.includes(room) ? [index] : []));
    };

    test("reaches all, rooms, and those who are not in a room", async () => {
      const [one, two] = [fleet.name("one"), fleet.name("two")];
      const people = [
        ...(await fleet.everywhere({ rooms: [one] })),
        ...(await fleet.everywhere({ rooms: [one, two] })),
        ...(await fleet.everywhere()),
      ];
      await emitter.emit("all", 1, { two: "ü" }, null);
      await emitter.to(one).emit("one");
      await emitter.to([one, two]).emit("both");
      await emitter.to(one).except(two).emit("not two");
      await emitter.except([one]).emit("except");
      await emitter.to(people[1].id).emit("id");
      assert.deepEqual(await whoGot(people, "all"), [0, 1, 2, 3, 4, 5]);
      for (const person of people) assert.deepEqual(person.events("all"), [[1, { two: "ü" }, null]]);
      assert.deepEqual(await whoGot(people, "one"), [0, 1, 2, 3]);
      assert.deepEqual(await whoGot(people, "both"), [0, 1, 2, 3]);
      assert.deepEqual(await whoGot(people, "not two"), [0, 1]);
      assert.deepEqual(await whoGot(people, "except"), [4, 5]);
      assert.deepEqual(await whoGot(people, "id"), [1]);
      // Such an event is dropped where the one before is still on its way.
      await until("everybody to have a volatile event", async () => {
        await emitter.volatile.emit("volatile");
        return people.every((person) => person.events("volatile").length > 0);
      });
    });

    test("sends binary", async () => {
      const people = await fleet.everywhere();
      if (emitter.emitBinary) await emitter.emitBinary();
      else await emitter.emit("binary", Buffer.from([1, 2]));
      for (const person of people) assert.deepEqual(await person.event("binary"), ["binary", Buffer.from([1, 2])]);
    });

    test("reaches a namespace", async () => {
      const people = await fleet.everywhere({ nsp: "/custom" });
      const outside = await fleet.everywhere();
      await emitter.of("/custom").emit("inside");
      await Promise.all(people.map((person) => person.event("inside")));
      assert.deepEqual(await whoGot(outside, "inside"), []);
    });

    test("makes sockets join, leave, and go", async () => {
      const people = await fleet.everywhere();
      const bystanders = await fleet.everywhere();
      const everyone = [...people, ...bystanders];
      const [room, other] = [fleet.name("room"), fleet.name("other")];
      for (const person of people) await emitter.to(person.id).socketsJoin(room);
      assert.deepEqual(await members(everyone, room), [0, 1]);
      await emitter.to(room).socketsJoin([other]);
      assert.deepEqual(await members(everyone, other), [0, 1]);
      await emitter.to(people[0].id).socketsLeave(other);
      assert.deepEqual(await members(everyone, other), [1]);
      await emitter.to(room).disconnectSockets();
      for (const person of people) await person.when("the end", ({ lost }) => lost.length > 0);
      assert.deepEqual(
        people.map(({ lost }) => lost),
        [["io server disconnect"], ["io server disconnect"]],
      );
      assert.deepEqual(await whoGot(bystanders, ""), []);
    });

    test("is heard by all servers", async () => {
      await emitter.serverSideEmit("hello", "world", 1);
      await until("servers to hear", () => fleet.nodes.every(({ heard }) => heard.length > 0));
      for (const { heard, name } of fleet.nodes) assert.deepEqual(heard, [["/", ["hello", "world", 1]]], name);
    });
  });
}
