// Bots of a world: they walk about by themselves, as many as one asks for, and as the server allows.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { connect, ok, refused } from "./support/client.js";
import { startLakh } from "./support/server.js";
import { enter, near } from "./support/world.js";

let server;
before(async () => {
  server = await startLakh({ env: { LAKH_WORLD__MAX_BOTS: "40" } });
});
after(() => server?.stop());

const bots = async (socket, request) => (await ok(socket, "world:bots", request)).bots;
const here = (t, name) => connect(t, `${server.url}/world`, { transports: ["websocket"], auth: { name } });

test("bots come, walk and go, no more of them than the server allows", async (t) => {
  const ada = await enter(await here(t, "Ada"), { world: "park", view: 500 });
  assert.equal(await bots(ada.socket, {}), 0);
  assert.equal(await bots(ada.socket, { count: 1000 }), 40);
  const { worlds } = await ok(ada.socket, "world:list", {});
  assert.equal(worlds.find(({ world }) => world === "park").entities, 41);
  const seen = () => ada.replica.ids.map((id) => ({ id, ...ada.get(id) })).filter(({ kind }) => kind === "bot");
  const there = await ada.until(() => seen().length === 40 && seen(), "all bots to be seen");
  for (const { fields } of there) assert.match(fields.name, /^Bot \d+$/);
  const moved = () => there.filter(({ id, at }) => !near(ada.get(id)?.at ?? at, at, 1)).length;
  await ada.until(() => moved() > 20, "half of them to go somewhere");
  // Anybody sees the same number, and may call them back.
  const ben = await enter(await here(t, "Ben"), { world: "park", view: 500 });
  assert.equal(await bots(ben.socket, {}), 40);
  assert.equal(await bots(ben.socket, { count: 0 }), 0);
  await ada.until(() => seen().length === 0, "all bots to go");
});

test("a world whose schema has no bots says so, and who is nowhere names a world", async (t) => {
  const socket = await here(t, "Ada");
  await refused(socket, "world:bots", {}, "bad_request");
  const schema = { dims: 2, precision: 0.25, hz: 20, kinds: [{ name: "person" }] };
  await ok(socket, "world:create", { world: "still", schema });
  await refused(socket, "world:bots", { world: "still", count: 3 }, "bad_request");
  assert.equal(await bots(socket, { world: "still" }), 0);
});
