// Three nodes that find each other in Redis, behind a balancer that sends each request to any of them: what reaches a
// node without the session is forwarded to the one that has it.

import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { startAnywhere } from "./support/anywhere.js";
import { freePort } from "../conformance/support/processes.js";
import { POLLING, Person, UPGRADING, crowd, within } from "./support/clients.js";
import { startNode } from "./support/nodes.js";
import { startRedis } from "./support/redis.js";

const ENV = {
  LAKH_PROXY__TRUSTED: "",
  LAKH_ROOMS__MAX_DATA_BYTES: "2000000",
  LAKH_LIMITS__MAX_PAYLOAD_BYTES: "3000000",
  LAKH_REDIS__STORE: "sqlite",
};

async function nodesAnywhere(t, env = {}) {
  const redis = await startRedis(t);
  const ports = [await freePort(), await freePort(), await freePort()];
  const all = { ...ENV, LAKH_REDIS: redis.url, ...env };
  const nodes = await Promise.all(ports.map((port, index) => startNode(`n0${index + 1}`, port, all)));
  t.after(() => Promise.all(nodes.map((node) => node.stop())));
  return { redis, nodes, balancer: await startAnywhere(t, ports) };
}

// What the nodes say about what they forwarded, added up: {kind/result: count}, and how many are open.
async function forwarded(nodes) {
  const counts = {};
  let open = 0;
  for (const { port } of nodes) {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    for (const [, kind, result, count] of text.matchAll(/^lakh_forwarded_requests_total\{kind="(\w+)",result="(\w+)"\} (\d+)$/gm)) {
      counts[`${kind}/${result}`] = (counts[`${kind}/${result}`] ?? 0) + Number(count);
    }
    for (const [, count] of text.matchAll(/^lakh_forwarded_open\{.*\} (\d+)$/gm)) open += Number(count);
  }
  return { counts, open };
}

// Into a room of one's own and back, with what was sent.
async function roundTrip(person, room, data) {
  const back = within(once(person.socket, "said"), "one's own event");
  const answer = await within(person.socket.emitWithAck("room:emit", { room, event: "said", data }), "an answer");
  assert.equal(answer.ok, true, JSON.stringify(answer));
  assert.deepEqual((await back)[0], data);
}

test("100 who poll and 100 who upgrade, each request to any node: nothing fails", async (t) => {
  const { nodes, balancer } = await nodesAnywhere(t);
  const polling = await crowd(t, balancer.url, 100, POLLING);
  const upgrading = await crowd(t, balancer.url, 100, UPGRADING);
  const people = [...polling, ...upgrading];
  await Promise.all(upgrading.map((person) => person.upgraded()));
  await Promise.all(
    people.map(async (person, index) => {
      const room = `own-${index}`;
      await person.ask(room);
      await roundTrip(person, room, { text: "ä".repeat(100), n: index });
      await roundTrip(person, room, { photo: Buffer.from([0, 1, 2, 255]) });
    }),
  );
  for (const person of [...polling.slice(0, 10), ...upgrading.slice(0, 10)]) {
    const room = `own-${people.indexOf(person)}`;
    await roundTrip(person, room, "x".repeat(1_000_000));
    await roundTrip(person, room, Buffer.alloc(1_000_000, 7));
  }
  const { counts, open } = await forwarded(nodes);
  t.diagnostic(`forwarded: ${JSON.stringify(counts)}, open: ${open}`);
  assert.ok(counts["polling/answered"] >= 600, "polls went around");
  assert.ok(counts["websocket/answered"] >= 40 && counts["websocket/answered"] <= 100);
  assert.ok(open >= counts["websocket/answered"], "forwarded WebSockets are open");
  for (const person of people) {
    assert.deepEqual([person.refused, person.lost, person.connects, person.answers], [[], [], 1, 1]);
    person.end();
  }
  const failures = Object.entries(counts).filter(([what, count]) => !what.endsWith("/answered") && count > 0);
  assert.deepEqual(failures, []);
  const followUps = balancer.followUps();
  const failed = followUps.filter(({ status }) => ![101, 200].includes(status));
  t.diagnostic(`${followUps.length} follow-up requests, ${failed.length} failed`);
  assert.deepEqual(failed, []);
  while ((await forwarded(nodes)).open > 0);
});

test("a node is killed: its people come back with new sessions, the others notice what went through it at most", async (t) => {
  const { nodes, balancer } = await nodesAnywhere(t);
  const people = await crowd(t, balancer.url, 60, POLLING);
  const owned = people.filter(({ node }) => node === "n02");
  assert.ok(owned.length > 0, "nobody on the node");
  await nodes[1].stop("SIGKILL");
  // The balancer notices, as balancers do.
  balancer.ports.splice(1, 1);
  await Promise.all(owned.map((person) => person.connected(2)));
  await Promise.all(people.map((person) => (person.socket.connected ? person : within(once(person.socket, "connect"), "a connect"))));
  for (const person of people) {
    await person.ask();
    assert.notEqual(person.node, "n02");
    assert.ok(person.connects <= 2, `${person.connects} connects`);
  }
  const { counts } = await forwarded([nodes[0], nodes[2]]);
  t.diagnostic(`${owned.length} came back; forwarded: ${JSON.stringify(counts)}`);
});

test("Redis goes away: what nodes know of each other holds", async (t) => {
  const { redis, nodes, balancer } = await nodesAnywhere(t);
  const people = await crowd(t, balancer.url, 30, POLLING);
  await Promise.all(people.map((person) => person.ask()));
  await redis.stop("SIGKILL");
  for (let round = 0; round < 3; round += 1) await Promise.all(people.map((person) => person.ask()));
  for (const person of people) assert.deepEqual([person.lost, person.connects], [[], 1]);
  const { counts } = await forwarded(nodes);
  assert.equal(counts["polling/no_owner"], 0);
});

test("what a stranger says of being a node gains nothing", async (t) => {
  const { nodes } = await nodesAnywhere(t, { LAKH_LIMITS__MAX_CONNECTIONS_PER_ADDRESS: "2" });
  const open = (port, headers = {}) => fetch(`http://127.0.0.1:${port}/socket.io/?EIO=4&transport=polling`, { headers });
  const answer = await open(nodes[0].port);
  const { sid } = JSON.parse((await answer.text()).slice(1));
  const poll = (port, headers) => fetch(`http://127.0.0.1:${port}/socket.io/?EIO=4&transport=polling&sid=${sid}`, { headers });
  const forged = { "Lakh-Forwarded": "n03 0123456789abcdef0123456789abcdef 192.0.2.7:1 https" };
  const refused = await poll(nodes[1].port, forged);
  assert.deepEqual([refused.status, (await refused.json()).code], [400, 1]);
  // Its own session it reaches all the same, and is counted under its own address.
  const person = new Person(`http://127.0.0.1:${nodes[2].port}`, { ...POLLING, extraHeaders: forged });
  t.after(() => person.end());
  await person.connected();
  const others = await Promise.all([1, 2, 3].map((n) => open(nodes[2].port, { "Lakh-Forwarded": `n03 x 192.0.2.${n}:1 http` })));
  assert.ok(others.some(({ status }) => status === 429), "the bound of one address does not hold");
});
