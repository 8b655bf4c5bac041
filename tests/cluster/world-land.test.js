// Land on three nodes of the real binary with one Redis: any node paints, all see it, and of all who want a cell one gets it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { landOf } from "../conformance/support/land.js";
import { call, ok } from "../conformance/support/sockets.js";
import { enter } from "../conformance/support/world.js";
import { Nodes, connect } from "./support/nodes.js";

const fleet = new Nodes(["world"]);
const { nodes } = fleet;

before(() => fleet.begin("n01", "n02", "n03"));
after(() => fleet.end());

async function painter(t, node, world, name) {
  const socket = await connect(t, node, "/world", { name });
  const inside = await enter(socket, { world, at: [0, 0] });
  return { socket, land: landOf(inside) };
}

test("what one paints over any node is seen over all", async (t) => {
  const all = [];
  for (const node of nodes) all.push(await painter(t, node, "painted", `Painter ${all.length}`));
  for (const { land } of all) await land.until(() => land.value(0, 0) === 0, "the chunk underfoot");
  for (let round = 0; round < 12; round += 1) {
    const { socket } = all[round % 3];
    const cells = [{ at: [round, 1], value: round + 1 }, { at: [0, 0], value: round + 1 }];
    const { versions } = await ok(socket, "world:set", { cells });
    assert.deepEqual(versions, [round + 1, round + 1], "all nodes count as one");
    for (const { land } of all) {
      await land.until(() => land.value(round, 1) === round + 1 && land.value(0, 0) === round + 1, `round ${round}`);
    }
  }
});

test("of all who want a cell at the same time, over all nodes, one gets it", async (t) => {
  const all = [];
  for (let n = 0; n < 9; n += 1) all.push(await painter(t, nodes[n % 3], "wanted", `Painter ${n}`));
  for (let round = 0; round < 10; round += 1) {
    const cells = (n) => [{ at: [round, 5], value: n + 1, if: { value: 0 } }];
    const answers = await Promise.all(all.map(({ socket }, n) => call(socket, "world:set", { cells: cells(n) })));
    const won = answers.flatMap(({ ok }, n) => (ok ? [n + 1] : []));
    assert.equal(won.length, 1, JSON.stringify(answers));
    for (const { error } of answers.filter(({ ok }) => !ok)) {
      assert.deepEqual([error.code, error.current[0].value], ["conflict", won[0]]);
    }
    for (const { land } of all) await land.until(() => land.value(round, 5) === won[0], "what the one painted");
  }
});
