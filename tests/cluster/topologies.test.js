// Redis Cluster and Redis Sentinel under a fleet of both kinds of nodes.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { until } from "../conformance/support/sockets.js";
import { Fleet, ids, sorted } from "./support/fleet.js";
import { startRedis, startRedisCluster, startSentinel } from "./support/processes.js";

// Both nodes reach both clients, and have both kinds of answers.
async function works(fleet) {
  const room = fleet.name("room");
  const people = await fleet.everywhere({ rooms: [room] });
  for (const person of people) person.answer = (answer) => answer(person.node.name);
  for (const node of fleet.nodes) {
    const event = `of ${node.name}`;
    await until(`${node.name} to reach the room`, async () => {
      await node.emit({ to: [room] }, event, Buffer.from([1]));
      return people.every((person) => person.events(event).length > 0);
    });
    const { sockets } = await node.ask("fetch", { to: [room] });
    assert.deepEqual(sorted(sockets.map(({ id }) => id)), ids(people));
    const asked = await node.ask("emit-with-ack", { to: [room] }, "question");
    assert.deepEqual(sorted(asked.answers), sorted(fleet.nodes.map(({ name }) => name)));
    const other = fleet.nodes.find((one) => one !== node);
    const answered = await node.ask("server-side-emit-with-ack", {}, "ask");
    assert.deepEqual(answered.answers, [`${other.kind} ${other.name}`]);
  }
}

describe("Redis Cluster", () => {
  let redis;

  before(async () => {
    redis = await startRedisCluster();
  });
  after(() => redis?.stop());

  for (const adapter of ["redis", "redis-sharded, dynamic", "redis-sharded, static", "redis-streams"]) {
    test(`carries ${adapter}`, async (t) => {
      const shared = { ...redis, stop: async () => {} };
      const fleet = await Fleet.start(adapter, ["lakh", "node"], { redis: shared, env: { CLIENT: "ioredis" } });
      t.after(() => fleet.stop());
      await works(fleet);
    });
  }
});

describe("Redis Sentinel", () => {
  let fleet;
  let master;
  let replica;

  before(async () => {
    master = await startRedis();
    replica = await startRedis(["--replicaof", "127.0.0.1", String(master.port)]);
    const sentinel = await startSentinel(master.port);
    const stop = () => Promise.all([sentinel, replica, master].map((process) => process.stop()));
    // It promotes only what it knows.
    await until("the sentinel to see the replica", () => sentinel.log().includes("+slave"));
    const redis = { url: sentinel.url, stop };
    fleet = await Fleet.start("redis", ["lakh", "node"], { redis, env: { CLIENT: "ioredis" } });
  });
  afterEach(() => fleet?.endPeople());
  after(() => fleet?.stop());

  test("names the server that carries the fleet, and the next one when that fails", async () => {
    await works(fleet);
    fleet.endPeople();
    await master.kill();
    await fleet.together();
    await works(fleet);
  });
});
