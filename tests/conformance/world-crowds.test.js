// What a world does for those who read slowly, and when there is much of everything; and for backends.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { ask, keysSetting, newKey } from "./support/api.js";
import { connect, ok, refused } from "./support/client.js";
import { startLakh } from "./support/server.js";
import { enter, near } from "./support/world.js";

const metric = async (url, name) => {
  const { text } = await ask(url, "GET", "/metrics");
  const line = text.split("\n").find((line) => line.startsWith(`${name} `));
  assert.ok(line, `${name} is told`);
  return Number(line.split(" ")[1]);
};

describe("crowds", () => {
  let server;
  const key = newKey(["api:world:*"]);
  before(async () => {
    const env = {
      LAKH_WORLD__ENTITIES_EACH: "3",
      LAKH_WORLD__GRACE_MS: "200",
      LAKH_WORLD__REST_MS: "200",
      LAKH_WORLD__MAX_PEOPLE: "40",
      LAKH_API__KEYS: keysSetting([key]),
    };
    server = await startLakh({ env });
  });
  after(() => server?.stop());

  const here = (t, name, more = {}) =>
    connect(t, `${server.url}/world`, { transports: ["websocket"], ...(name ? { auth: { name } } : {}), ...more });
  const backend = async (name, body, status = 200) => {
    const answer = await ask(server.url, "POST", `/api/v1/world/${name}`, { key, body });
    assert.equal(answer.status, status, answer.text);
    return answer.body;
  };

  test("who does not read gets few frames, and all of it when they read again", async (t) => {
    const world = "slow";
    // Much is said of each, so that what the kernels keep back is soon full.
    const words = Array.from({ length: 8 }, (_, number) => ({ name: `word${number}`, type: "text", max: 64 }));
    const schema = { dims: 2, precision: 1 / 64, hz: 30, kinds: [{ name: "person", fields: words }] };
    const much = () => Object.fromEntries(words.map(({ name }) => [name, randomBytes(32).toString("hex")]));
    await ok(await here(t), "world:create", { world, schema });
    const walkers = [];
    for (let index = 0; index < 20; index += 1) {
      walkers.push(await enter(await here(t), { world, at: [index, 0], view: 1, budget: 1_000_000 }));
    }
    const socket = await here(t, "Sleeper");
    const sleeper = await enter(socket, { world, at: [0, 5], view: 100, budget: 1_000_000 });
    await sleeper.sees(walkers[19].entity);
    // The connection is read no further; the server goes on.
    const tcp = socket.io.engine.transport.ws._socket;
    tcp.pause();
    const walking = setInterval(() => {
      for (const [index, walker] of walkers.entries()) {
        walker.move({ at: [index + Math.random(), Math.random() * 3], fields: much() });
      }
    }, 30);
    t.after(() => clearInterval(walking));
    const merged = await metric(server.url, "lakh_world_merged_ticks_total");
    // What the other end's kernel keeps for it must be full first.
    while ((await metric(server.url, "lakh_world_merged_ticks_total")) < merged + 40);
    clearInterval(walking);
    const last = walkers[3].move({ at: [3, 12] });
    await walkers[3].taken(last);
    tcp.resume();
    const seen = await sleeper.sees(walkers[3].entity, ({ at }) => near(at, [3, 12]));
    assert.ok(seen);
    for (const walker of walkers) {
      const truth = walker.get(walker.entity);
      const there = await sleeper.sees(walker.entity, ({ at }) => near(at, truth.at));
      assert.deepEqual(there.fields, truth.fields);
    }
    const ticks = sleeper.frames.map(({ tick }) => tick);
    assert.ok(Math.max(...ticks.slice(1).map((tick, index) => tick - ticks[index])) > 10, "frames were left out");
    assert.equal(socket.connected, true);
  });

  test("who says that they are behind gets a frame a second until they are not", async (t) => {
    const world = "behind";
    const walker = await enter(await here(t), { world, at: [0, 0] });
    const reader = await enter(await here(t), { world, at: [1, 0] });
    await reader.sees(walker.entity);
    let steps = 0;
    const walking = setInterval(() => walker.move({ at: [(steps += 0.1), 0], velocity: [0, 0] }), 25);
    t.after(() => clearInterval(walking));
    // It reads no further than this, as it says.
    const seen = reader.last.tick;
    reader.move({ seen });
    const gap = (from) => (inside) => {
      const ticks = inside.frames.map(({ tick }) => tick).filter((tick) => tick > from);
      return ticks.slice(1).filter((tick, index) => tick - ticks[index] >= 20).length > 1;
    };
    await reader.until(gap(seen), "frames that are a second apart");
    const caught = reader.last.tick;
    reader.move({ seen: caught });
    const even = (inside) => {
      const ticks = inside.frames.map(({ tick }) => tick).filter((tick) => tick > caught);
      return ticks.length > 8 && ticks.slice(-6).every((tick, index, all) => index === 0 || tick - all[index - 1] < 5);
    };
    await reader.until(even, "frames in each tick");
  });

  test("a budget holds in each second", async (t) => {
    const world = "tight";
    const walkers = [];
    for (let index = 0; index < 25; index += 1) {
      walkers.push(await enter(await here(t), { world, at: [index * 2, index], view: 10 }));
    }
    const poor = await enter(await here(t), { world, at: [10, 10], view: 200, budget: 8_192 });
    const stamped = [];
    poor.socket.on("world:frame", (bytes) => stamped.push([poor.replica.tick, bytes.length]));
    const walking = setInterval(() => {
      for (const [index, walker] of walkers.entries()) {
        walker.move({ at: [index * 2 + Math.random(), index + Math.random()], fields: { color: Math.floor(Math.random() * 0xffffff) } });
      }
    }, 20);
    t.after(() => clearInterval(walking));
    await poor.until(() => stamped.length > 60, "sixty frames");
    clearInterval(walking);
    for (const [end] of stamped) {
      const second = stamped.filter(([tick]) => tick > end - 20 && tick <= end);
      const sum = second.reduce((sum, [, bytes]) => sum + bytes, 0);
      assert.ok(sum <= 8_192, `${sum} bytes in the second before tick ${end}`);
    }
    for (const walker of walkers) assert.ok(poor.get(walker.entity), "nobody starves");
  });

  test("one may have so many entities, and a world so many people", async (t) => {
    const world = "full";
    const ada = await enter(await here(t, "Ada"), { world });
    for (let count = 0; count < 3; count += 1) await ok(ada.socket, "world:spawn", { kind: "thing" });
    await refused(ada.socket, "world:spawn", { kind: "thing" }, "too_many");
    for (let count = 1; count < 40; count += 1) await enter(await here(t), { world, spectate: true });
    await refused(await here(t), "world:enter", { world }, "full");
  });

  test("after the grace the entity goes, and a world without anybody forgets what does not last", async (t) => {
    const world = "empty";
    const socket = await here(t, "Ada");
    const ada = await enter(socket, { world, at: [1, 1] });
    const { entity } = await ok(socket, "world:spawn", { kind: "thing", at: [2, 2] });
    const watcher = await enter(await here(t), { world, spectate: true });
    await watcher.sees(ada.entity);
    socket.disconnect();
    await watcher.loses(ada.entity);
    assert.ok(watcher.get(entity), "what one has made stays");
    watcher.socket.disconnect();
    while ((await backend("world:info", { world })).entities > 0);
    const again = await enter(await here(t, "Ada"), { world });
    assert.deepEqual(again.at, [1, 1]);
    await again.until(() => again.last?.settled, "all that is there");
    assert.equal(again.get(entity), undefined);
  });

  test("backends make worlds and entities, for people and for themselves", async (t) => {
    const world = "backed";
    await backend("world:create", { world, name: "Backed", as: "dev:ada" });
    const ada = await enter(await here(t, "Ada"), { world, at: [0, 0] });
    const made = await backend("world:spawn", { world, kind: "bot", at: [1, 1], fields: { name: "guide" }, velocity: [0, 1] });
    const seen = await ada.sees(made.entity, ({ at }) => at[1] > 2);
    assert.equal(seen.fields.name, "guide");
    await refused(ada.socket, "world:change", { entity: made.entity, at: [2, 2] }, "forbidden");
    const own = await backend("world:spawn", { world, kind: "thing", at: [1, 1], as: "dev:ada" });
    await ok(ada.socket, "world:change", { entity: own.entity, at: [2, 2] });
    // Nobody is asked: it's the server's world.
    await backend("world:change", { world, entity: ada.entity, at: [9, 9] });
    await ada.until(() => ada.frames.find((frame) => frame.own && near(frame.own.at, [9, 9])), "being put elsewhere");
    const closed = new Promise((done) => ada.socket.once("world:closed", done));
    await backend("world:remove", { world, entity: ada.entity });
    assert.deepEqual(await closed, { world, reason: "removed", again: false });
    const listed = await backend("world:list", {});
    assert.ok(listed.worlds.some((one) => one.world === world && one.name === "Backed"));
    await backend("world:enter", { world, as: "dev:ada" }, 400);
    await backend("world:nothing", {}, 404);
    await backend("world:delete", { world });
    await backend("world:info", { world }, 404);
    const stranger = await ask(server.url, "POST", "/api/v1/world/world:delete", { key: newKey([]), body: { world } });
    assert.equal(stranger.status, 401);
  });

  test("what a world does is counted", async (t) => {
    const ada = await enter(await here(t, "Ada"), { world: "counted" });
    await ada.sees(ada.entity);
    for (const name of ["lakh_worlds", "lakh_world_viewers", "lakh_world_frames_total", "lakh_world_frame_bytes_total"]) {
      assert.ok((await metric(server.url, name)) > 0, name);
    }
    assert.equal(await metric(server.url, "lakh_world_dilation"), 1);
    assert.ok((await metric(server.url, "lakh_world_tick_seconds_count")) > 20);
    assert.ok((await metric(server.url, 'lakh_world_inputs_total{result="taken"}')) > 100);
    assert.ok((await metric(server.url, 'lakh_world_requests_total{request="world:enter",outcome="granted"}')) > 10);
  });
});
