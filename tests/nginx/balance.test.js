// Three nodes behind the shipped configuration: who is balanced where, and what happens when a node goes.

import assert from "node:assert/strict";
import { test } from "node:test";
import { POLLING, Person, UPGRADING, WEBSOCKET, crowd } from "./support/clients.js";
import { fleet } from "./support/nodes.js";

function byNode(people) {
  const counts = { n01: 0, n02: 0, n03: 0 };
  for (const person of people) counts[person.node] += 1;
  return counts;
}

test("300 who poll and 300 who upgrade: every follow-up request finds its node", async (t) => {
  const { nginx, url } = await fleet(t);
  const polling = await crowd(t, url, 300, POLLING);
  const upgrading = await crowd(t, url, 300, UPGRADING);
  const people = [...polling, ...upgrading];
  await Promise.all(upgrading.map((person) => person.upgraded()));
  for (let round = 0; round < 3; round += 1) {
    await Promise.all(people.map((person) => person.ask()));
  }
  const spread = byNode(people);
  t.diagnostic(`sessions by node: ${JSON.stringify(spread)}`);
  for (const [node, held] of Object.entries(spread)) assert.ok(held >= 120, `${node} holds ${held} of 600`);
  for (const person of people) {
    assert.deepEqual([person.refused, person.lost, person.connects, person.answers], [[], [], 1, 3]);
    person.end();
  }
  await nginx.stop();
  const followUps = nginx.requests().filter(({ upstream }) => upstream !== "lakh_any");
  // 499: a poll that waited when its client said goodbye.
  const failed = followUps.filter(({ status }) => ![101, 200, 499].includes(status));
  t.diagnostic(`${followUps.length} follow-up requests, ${failed.length} failed`);
  assert.ok(followUps.length >= 300 * 3 * 2 + 300 * 2, `${followUps.length} follow-up requests`);
  assert.deepEqual(failed, []);
  assert.ok(followUps.every(({ tried }) => tried.length === 1), "a follow-up request went to two nodes");
});

test("a node is killed under load: its people come back elsewhere, the others notice nothing", async (t) => {
  const { nodes, url } = await fleet(t);
  const kinds = await Promise.all([POLLING, UPGRADING, WEBSOCKET].map((kind) => crowd(t, url, 100, kind)));
  const people = kinds.flat();
  await Promise.all(kinds[1].map((person) => person.upgraded()));
  const over = { now: false };
  const load = people.map((person) => person.askUntil(over, 200));
  await Promise.all(people.map((person) => person.ask()));
  const hit = people.filter(({ node }) => node === "n02");
  const spared = people.filter(({ node }) => node !== "n02");
  assert.ok(hit.length >= 50, `${hit.length} on the node`);
  const before = new Map(people.map((person) => [person, person.sid]));

  await nodes[1].stop("SIGKILL");
  await Promise.all(hit.map((person) => person.connected(2)));
  await Promise.all(people.map((person) => person.ask("after")));
  over.now = true;
  await Promise.all(load);

  t.diagnostic(`${hit.length} came back, now ${JSON.stringify(byNode(people))}`);
  for (const person of hit) {
    assert.notEqual(person.node, "n02");
    assert.equal(person.connects, 2);
    assert.equal(person.lost.length, 1);
    assert.deepEqual(person.refused, [], "the first handshake after it did not succeed");
  }
  for (const person of spared) {
    assert.deepEqual([person.refused, person.lost, person.sid], [[], [], before.get(person)]);
  }
});

test("while a node drains, newcomers are taken by the others at once", async (t) => {
  const { nodes, url } = await fleet(t, { env: { LAKH_DRAIN__WINDOW_MS: "60000" } });
  const people = await crowd(t, url, 60, WEBSOCKET);
  assert.ok(byNode(people).n03 > 0);
  const ready = () => fetch(`http://127.0.0.1:${nodes[2].port}/ready`).then(({ status }) => status);
  process.kill(nodes[2].pid, "SIGTERM");
  while ((await ready()) !== 503);
  const newcomers = [];
  t.after(() => newcomers.forEach((person) => person.end()));
  for (let index = 0; index < 30; index += 1) {
    const person = new Person(url, index % 2 ? POLLING : WEBSOCKET);
    newcomers.push(person);
    await person.connected();
    assert.deepEqual(person.refused, []);
    assert.notEqual(person.node, "n03");
  }
});
