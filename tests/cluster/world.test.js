// Worlds on a fleet of the real binary: a world lives on one node, its people are connected to any, and when its node is
// killed it goes on on another, with what lasts and with its people.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { call, ok, until } from "../conformance/support/sockets.js";
import { enter, near } from "../conformance/support/world.js";
import { Nodes, connect } from "./support/nodes.js";

const fleet = new Nodes([], { LAKH_WORLD__REST_MS: "1000" });
const { nodes } = fleet;

before(() => fleet.begin("n01", "n02", "n03"));
after(() => fleet.end());

const here = (t, node, name) => connect(t, node, "/world", { name });

test("people on three nodes are in one world", async (t) => {
  const world = "plaza";
  const people = [];
  for (const [index, node] of nodes.entries()) {
    people.push(await enter(await here(t, node, `Ada${index}`), { world, at: [index * 2, 0] }));
  }
  const ids = people.map(({ entity }) => entity);
  assert.equal(new Set(ids).size, 3);
  for (const one of people) for (const id of ids) await one.sees(id);
  // Who moves is seen to move everywhere, and hears that it was taken.
  for (const [index, one] of people.entries()) {
    const seq = one.move({ at: [index * 2, 3], velocity: [0, 0] });
    for (const other of people) await other.sees(one.entity, ({ at }) => near(at, [index * 2, 3]));
    await one.taken(seq);
  }
  // What one makes belongs to it on all nodes.
  const { entity } = await ok(people[1].socket, "world:spawn", { kind: "thing", at: [1, 1], fields: { name: "box" } });
  for (const one of people) assert.equal((await one.sees(entity)).fields.name, "box");
  const refused = await call(people[2].socket, "world:change", { entity, at: [2, 2] });
  assert.equal(refused.error.code, "forbidden");
  await ok(people[1].socket, "world:change", { entity, at: [2, 2], audience: { people: ["dev:ada2"] } });
  await people[2].sees(entity, ({ at }) => near(at, [2, 2]));
  await people[0].loses(entity);
  // Who is put elsewhere is told so, whichever node they are on.
  const shown = await ok(people[0].socket, "world:entity", { entity: ids[2] });
  assert.equal(shown.owner, "dev:ada2");
  await ok(people[2].socket, "world:change", { entity: ids[2], at: [40, 0] });
  await people[2].until(() => people[2].frames.find(({ own }) => own && near(own.at, [40, 0])), "being put elsewhere");
  await people[0].sees(ids[2], ({ at }) => near(at, [40, 0]));
  // Who leaves is gone everywhere; whose connection breaks stays for a while.
  await ok(people[1].socket, "world:leave", {});
  await people[0].loses(ids[1]);
  await people[2].loses(ids[1]);
  people[2].socket.disconnect();
  const back = await enter(await here(t, nodes[0], "Ada2"), { world });
  assert.equal(back.entity, ids[2]);
  await back.sees(ids[0]);
});

test("while Redis is away a world stands still, and then goes on as it was", async (t) => {
  const world = "island";
  const ada = await enter(await here(t, nodes[0], "Ada"), { world, at: [0, 0] });
  const ben = await enter(await here(t, nodes[1], "Ben"), { world, at: [1, 0] });
  const { entity: box } = await ok(ben.socket, "world:spawn", { kind: "thing", at: [2, 2] });
  for (const one of [ada, ben]) for (const id of [ada.entity, ben.entity, box]) await one.sees(id);
  fleet.redis.signal("SIGSTOP");
  const still = () => /a world stands still[^\n]*island|island[^\n]*a world stands still/.test(nodes[0].log());
  await until("the owner to notice", still);
  fleet.redis.signal("SIGCONT");
  const going = setInterval(() => ada.move({ at: [0, 3], velocity: [0, 0] }), 100);
  t.after(() => clearInterval(going));
  await ben.sees(ada.entity, ({ at }) => near(at, [0, 3]));
  for (const one of [ada, ben]) for (const id of [ada.entity, ben.entity, box]) await one.sees(id);
  await ok(ben.socket, "world:change", { entity: box, at: [3, 3] });
  await ada.sees(box, ({ at }) => near(at, [3, 3]));
});

test("the node that has a world is killed: it goes on elsewhere, with what lasts and with its people", async (t) => {
  const [owner, ...others] = nodes;
  const world = "harbour";
  const first = await enter(await here(t, owner, "Olga"), { world, at: [0, 0] });
  const people = [];
  for (const [index, node] of others.entries()) {
    people.push(await enter(await here(t, node, `Per${index}`), { world, at: [index + 1, 0] }));
  }
  const lasting = { kind: "thing", at: [5, 5], fields: { name: "chest", sort: 7 }, lasting: true };
  const { entity: chest } = await ok(people[0].socket, "world:spawn", lasting);
  for (const one of people) {
    await one.sees(chest);
    await one.sees(first.entity);
    for (const other of people) await one.sees(other.entity);
  }
  while (!(await ok(people[0].socket, "world:entity", { entity: chest })).stored);
  const walked = first.move({ at: [2, 2] });
  await people[0].sees(first.entity, ({ at }) => near(at, [2, 2]));
  await first.taken(walked);
  const before = people.map((one) => one.last.tick);

  const killed = Date.now();
  await owner.stop("SIGKILL");
  // It goes on: somebody moves and somebody else, on another node, sees it.
  const going = setInterval(() => people[0].move({ at: [1, 4], velocity: [0, 0] }), 50);
  t.after(() => clearInterval(going));
  await people[1].sees(people[0].entity, ({ at }) => near(at, [1, 4]));
  const silence = Date.now() - killed;
  t.diagnostic(`it went on after ${silence} ms`);
  clearInterval(going);
  for (const [index, one] of people.entries()) {
    await one.until(() => one.last.tick > before[index], "time to go on");
    const seen = await one.sees(chest);
    assert.deepEqual([seen.fields.name, seen.fields.sort], ["chest", 7]);
    for (const other of people) await one.sees(other.entity);
    await one.sees(first.entity, ({ at }) => near(at, [2, 2]));
  }
  // Its owner has it still, and people who were on the node that was killed come back to what was theirs.
  await ok(people[0].socket, "world:change", { entity: chest, fields: { sort: 8 } });
  await people[1].sees(chest, ({ fields }) => fields.sort === 8);
  const back = await enter(await here(t, others[1], "Olga"), { world, session: first.session });
  assert.equal(back.entity, first.entity);
  assert.ok(near(back.at, [2, 2]));
  await people[0].sees(back.entity);
  back.move({ at: [3, 3], velocity: [0, 0] });
  await people[0].sees(back.entity, ({ at }) => near(at, [3, 3]));
});
