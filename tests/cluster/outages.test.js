// Redis goes away and comes back.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { until } from "../conformance/support/sockets.js";
import { Fleet } from "./support/fleet.js";
import { startRedis } from "./support/processes.js";

for (const adapter of ["redis", "redis-sharded, dynamic", "redis-streams"]) {
  describe(`Redis restarts under ${adapter}`, () => {
    let fleet;

    before(async () => {
      const redis = await startRedis(["--appendonly", "yes", "--appendfsync", "always"]);
      fleet = await Fleet.start(adapter, ["lakh", "node", "lakh"], { redis });
    });
    afterEach(() => fleet?.endPeople());
    after(() => fleet?.stop());

    test("nodes serve their own clients meanwhile, and hear each other again by themselves", async () => {
      const room = fleet.name("room");
      const people = await fleet.everywhere({ rooms: [room] });
      await fleet.redis.kill();
      for (const node of fleet.of("lakh")) {
        const here = people.filter((person) => person.node === node);
        await node.emit({ to: [room], local: true }, "meanwhile");
        for (const person of here) await person.event("meanwhile");
        // What nobody else can be asked is said, and not waited for.
        const { sockets, missing } = await node.ask("fetch", { to: [room] });
        assert.equal(sockets.length, 1);
        assert.equal(missing.unreachable, true);
      }
      await fleet.redis.restart();
      await fleet.together();
      for (const node of fleet.nodes) {
        const event = `after ${node.name}`;
        await until(`${node.name} to reach the room`, async () => {
          await node.emit({ to: [room] }, event);
          return people.every((person) => person.events(event).length > 0);
        });
      }
      const { sockets, missing } = await fleet.of("lakh")[0].ask("fetch", { to: [room] });
      assert.deepEqual([sockets.length, missing.count], [3, 0]);
    });

    if (adapter !== "redis-streams") return;

    test("nothing is lost that nodes publish while Redis is away, and none of it comes twice", async () => {
      const people = await fleet.everywhere();
      const published = [];
      const publish = async (count) => {
        for (let n = 0; n < count; n += 1) {
          for (const node of fleet.of("lakh")) {
            published.push(`${node.name} ${published.length}`);
            await node.emit({}, "numbered", published.at(-1));
          }
        }
      };
      await publish(20);
      await fleet.redis.kill();
      await publish(20);
      await fleet.redis.restart();
      await publish(20);
      for (const person of people) {
        await person.when("all of it", () => person.events("numbered").length >= published.length);
        const got = person.events("numbered").flat();
        assert.deepEqual([...got].sort(), [...published].sort(), person.node.name);
        // Of each node in its order.
        for (const { name } of fleet.of("lakh")) {
          const of = (list) => list.filter((text) => text.startsWith(name));
          assert.deepEqual(of(got), of(published), person.node.name);
        }
      }
    });
  });
}
