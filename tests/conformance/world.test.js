// Worlds with stock clients over real sockets, on SQLite and on Redis: coming in, moving, seeing.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { TRANSPORTS, connect, cut, next, ok, refused } from "./support/client.js";
import { startRedis } from "./support/redis.js";
import { startLakh } from "./support/server.js";
import { enter, near } from "./support/world.js";

for (const kind of ["SQLite", "Redis"]) {
  describe(kind, () => {
    let redis;
    let server;
    let worlds = 0;
    before(async () => {
      redis = kind === "Redis" ? await startRedis() : undefined;
      server = await startLakh({ env: redis ? { LAKH_REDIS: redis.url } : {} });
    });
    after(async () => {
      await server?.stop();
      await redis?.stop();
    });

    const fresh = () => `world-${(worlds += 1)}`;
    const here = (t, name, more = {}) =>
      connect(t, `${server.url}/world`, { transports: ["websocket"], ...(name ? { auth: { name } } : {}), ...more });

    for (const [name, options] of Object.entries(TRANSPORTS)) {
      test(`two see each other move, ${name}`, async (t) => {
        const world = fresh();
        const ada = await enter(await here(t, "Ada", options), { world, at: [10, 10] });
        const ben = await enter(await here(t, "Ben", options), { world, at: [12, 10] });
        assert.ok(near(ada.at, [10, 10]));
        const seen = await ada.sees(ben.entity);
        assert.equal(seen.kind, "person");
        assert.equal(seen.fields.name, "Ben");
        assert.ok(near(seen.at, [12, 10]));
        await ben.sees(ben.entity);
        await ben.sees(ada.entity);
        const seq = ben.move({ at: [13, 11], velocity: [0, 0], rotation: Math.PI });
        await ada.sees(ben.entity, ({ at, rotation }) => near(at, [13, 11]) && Math.abs(rotation - Math.PI) < 0.05);
        const frame = await ben.taken(seq);
        assert.equal(frame.own, undefined, "what is in order is not corrected");
        await ok(ben.socket, "world:leave", {});
        await ada.loses(ben.entity);
      });
    }

    test("nobody in particular comes in, and spectators have no entity", async (t) => {
      const world = fresh();
      const nobody = await enter(await here(t), { world });
      assert.equal(typeof nobody.entity, "number");
      assert.deepEqual(nobody.at, [0, 0]);
      const watcher = await enter(await here(t), { world, spectate: true });
      assert.equal(watcher.entity, null);
      await watcher.sees(nobody.entity);
      await refused(watcher.socket, "world:input", { seq: 1, at: [1, 1] }, "not_in");
    });

    test("what cannot be is refused and the client is set right", async (t) => {
      const world = fresh();
      const ada = await enter(await here(t, "Ada"), { world, at: [0, 0] });
      const ben = await enter(await here(t, "Ben"), { world, at: [1, 0] });
      await ada.sees(ben.entity);
      for (const at of [[5_000, 0], [20_000, 0], [1, 2, 3], ["x", 1], [null, 1]]) {
        const seq = ben.move({ at });
        if (at.every((x) => typeof x === "number")) {
          const frame = await ben.taken(seq);
          await ben.until(() => ben.frames.find(({ own, input }) => own && input >= seq), "the correction");
          assert.ok(frame.input >= seq);
        }
      }
      const corrected = ben.frames.findLast(({ own }) => own).own;
      assert.equal(corrected.id, ben.entity);
      assert.deepEqual(corrected.at, [1, 0]);
      const { message } = await refused(ben.socket, "world:input", { seq: 50, at: [5_000, 0] }, "too_fast");
      assert.match(message, /64 units/);
      await refused(ben.socket, "world:input", { seq: 51, at: [10_001, 0] }, "out_of_bounds");
      await refused(ben.socket, "world:input", { seq: 52, rotation: [1, 2] }, "bad_request");
      await refused(ben.socket, "world:input", { seq: 53, fields: { look: 256 } }, "bad_request");
      await refused(ben.socket, "world:input", { at: [1, 1] }, "bad_request");
      // Numbers that don't rise say nothing.
      await ok(ben.socket, "world:input", { seq: 53, at: [2, 2] });
      await ok(ben.socket, "world:input", { seq: 54, fields: { look: 7 } });
      const seen = await ada.sees(ben.entity, ({ fields }) => fields.look === 7);
      assert.ok(near(seen.at, [1, 0]));
    });

    test("who says a velocity is moved on, and stops when nothing more is heard", async (t) => {
      const world = fresh();
      const ada = await enter(await here(t, "Ada"), { world, at: [0, 0] });
      const ben = await enter(await here(t, "Ben"), { world, at: [0, 0] });
      ben.move({ velocity: [10, 0] });
      await ada.sees(ben.entity, ({ at }) => at[0] > 2);
      const still = await ada.sees(ben.entity, ({ velocity }) => velocity[0] === 0);
      assert.ok(still.at[0] > 8 && still.at[0] < 13, `${still.at}`);
    });

    test("too many inputs are told so", async (t) => {
      const ben = await enter(await here(t, "Ben"), { world: fresh() });
      const answers = await Promise.all(
        Array.from({ length: 90 }, (_, seq) => ben.socket.emitWithAck("world:input", { seq: seq + 1, at: [0, 0] })),
      );
      const codes = answers.filter(({ ok: taken }) => !taken).map(({ error }) => error.code);
      assert.ok(codes.length > 5, `${codes.length}`);
      assert.deepEqual([...new Set(codes)], ["rate_limited"]);
    });

    test("a lost connection keeps its entity for a while, and a place is remembered", async (t) => {
      const world = fresh();
      const ada = await enter(await here(t, "Ada"), { world, at: [0, 0] });
      const socket = await here(t, "Ben");
      const ben = await enter(socket, { world, at: [3, 4] });
      await ada.sees(ben.entity);
      ben.stop();
      const again = next(socket, "connect");
      cut(socket);
      await again;
      const back = await enter(socket, { world });
      assert.equal(back.entity, ben.entity);
      assert.deepEqual(back.at, [3, 4]);
      await back.sees(ada.entity);
      assert.ok(ada.get(ben.entity));
      await ok(socket, "world:leave", {});
      await ada.loses(ben.entity);
      back.stop();
      const later = await enter(socket, { world });
      assert.notEqual(later.entity, ben.entity);
      assert.deepEqual(later.at, [3, 4]);
      later.stop();
      const chosen = await enter(socket, { world, at: [7, 7] });
      assert.deepEqual(chosen.at, [7, 7]);
    });

    test("a stay is taken up by its name, from another connection, while the first still seems to be there", async (t) => {
      const world = fresh();
      const first = await enter(await here(t), { world, at: [1, 1] });
      const stranger = await enter(await here(t, "Eve"), { world, session: first.session });
      assert.notEqual(stranger.entity, first.entity, "who signs in as somebody else gets nothing of it");
      const closed = next(first.socket, "world:closed");
      const second = await enter(await here(t), { world, session: first.session, at: [2, 2] });
      assert.equal(second.entity, first.entity);
      assert.notEqual(second.session, first.session);
      assert.deepEqual(await closed, [{ world, reason: "taken", again: false }]);
      await refused(first.socket, "world:input", { seq: 1, at: [0, 0] }, "not_in");
      await second.sees(stranger.entity);
    });

    test("entities belong to who makes them", async (t) => {
      const world = fresh();
      const ada = await enter(await here(t, "Ada"), { world, at: [0, 0] });
      const ben = await enter(await here(t, "Ben"), { world, at: [1, 0] });
      const { entity } = await ok(ada.socket, "world:spawn", {
        kind: "thing",
        at: [2, 2],
        rotation: 1,
        fields: { name: "box", sort: 3, color: 0xff00ff },
      });
      const seen = await ben.sees(entity);
      assert.deepEqual([seen.kind, seen.fields], ["thing", { name: "box", sort: 3, color: 0xff00ff }]);
      await refused(ben.socket, "world:change", { entity, at: [3, 3] }, "forbidden");
      await refused(ben.socket, "world:remove", { entity }, "forbidden");
      await refused(ben.socket, "world:change", { entity: ada.entity, at: [3, 3] }, "forbidden");
      await ok(ada.socket, "world:change", { entity, at: [3, 3], fields: { sort: 4 } });
      await ben.sees(entity, ({ at, fields }) => near(at, [3, 3]) && fields.sort === 4);
      const shown = await ok(ben.socket, "world:entity", { entity });
      assert.deepEqual(
        [shown.kind, shown.owner, shown.own, shown.at, shown.fields.name, shown.lasting],
        ["thing", "dev:ada", false, [3, 3], "box", false],
      );
      // Hidden, nobody but its owner learns that it's there; then some do.
      await ok(ada.socket, "world:change", { entity, audience: "none" });
      await ben.loses(entity);
      await refused(ben.socket, "world:entity", { entity }, "not_found");
      await ok(ada.socket, "world:change", { entity, audience: { people: ["dev:ben"] } });
      await ben.sees(entity);
      const cy = await enter(await here(t, "Cy"), { world, at: [1, 1] });
      await cy.sees(ben.entity);
      await cy.until(() => cy.frames.some(({ settled }) => settled), "all that Cy sees");
      assert.equal(cy.get(entity), undefined);
      // Seen wherever it is.
      await ok(ada.socket, "world:change", { entity, audience: "all", always: true, at: [9_000, 9_000] });
      await cy.sees(entity, ({ at }) => near(at, [9_000, 9_000]));
      await ok(ada.socket, "world:remove", { entity });
      await ben.loses(entity);
      await refused(ada.socket, "world:remove", { entity }, "not_found");
      for (const [request, code] of [
        [{ kind: "dragon", at: [0, 0] }, "bad_request"],
        [{ kind: "thing", at: [0] }, "bad_request"],
        [{ kind: "thing", at: [99_999, 0] }, "bad_request"],
        [{ kind: "thing", at: [0, 0], fields: { weight: 1 } }, "bad_request"],
        [{ kind: "thing", at: [0, 0], audience: "some" }, "bad_request"],
      ]) {
        await refused(ada.socket, "world:spawn", request, code);
      }
    });

    test("a thing with a velocity goes on until the world ends", async (t) => {
      const world = fresh();
      const make = { world, bounds: { min: [-10, -10], max: [10, 10] }, hz: 30 };
      await ok(await here(t, "Ada"), "world:create", make);
      const ada = await enter(await here(t, "Ada"), { world });
      assert.equal(ada.world.hz, 30);
      const { entity } = await ok(ada.socket, "world:spawn", { kind: "thing", at: [0, 0], velocity: [8, 0] });
      await ada.sees(entity, ({ at }) => at[0] > 4);
      await ada.sees(entity, ({ at, velocity }) => near(at, [10, 0]) && velocity[0] === 0);
    });

    test("worlds are made, listed, described and deleted", async (t) => {
      const world = fresh();
      const [ada, ben] = [await here(t, "Ada"), await here(t, "Ben")];
      const schema = {
        dims: 3,
        precision: 0.125,
        hz: 10,
        kinds: [
          { name: "fish", rotation: { quaternion: { bits: 10 } }, fields: [{ name: "sort", type: "enum", names: ["cod", "eel"] }] },
        ],
      };
      const made = await ok(ada, "world:create", { world, name: "Sea", schema, spawn: [1, 2, 3], max_speed: 5 });
      assert.deepEqual([made.world.name, made.world.hz, made.world.schema.dims], ["Sea", 10, 3]);
      await refused(ben, "world:create", { world }, "exists");
      await refused(ben, "world:create", { world: "" }, "bad_request");
      await refused(ben, "world:create", { world: "x", schema: { ...schema, dims: 4 } }, "bad_request");
      const inside = await enter(ben, { world, fields: { sort: "eel" }, view: 30 });
      assert.deepEqual(inside.at, [1, 2, 3]);
      const seen = await inside.sees(inside.entity);
      assert.deepEqual([seen.kind, seen.fields.sort], ["fish", "eel"]);
      inside.move({ at: [1, 2, 4], rotation: [0, 0, 1, 0] });
      await inside.sees(inside.entity, ({ at, rotation }) => near(at, [1, 2, 4]) && rotation[2] > 0.99);
      const listed = [];
      for (let after; ; ) {
        const page = await ok(ada, "world:list", { limit: 2, after });
        listed.push(...page.worlds);
        after = page.next;
        if (!after) break;
      }
      const mine = listed.find((one) => one.world === world);
      assert.deepEqual(mine, { world, name: "Sea", people: 1, entities: 1, hz: 10 });
      const info = await ok(ben, "world:info", { world });
      assert.deepEqual([info.owner, info.info.max_speed], ["dev:ada", 5]);
      await refused(ben, "world:delete", { world }, "forbidden");
      const closed = next(ben, "world:closed");
      await ok(ada, "world:delete", { world });
      assert.deepEqual(await closed, [{ world, reason: "deleted", again: false }]);
      await refused(ada, "world:info", { world }, "not_found");
      await refused(ben, "world:input", { seq: 9 }, "not_in");
    });

    test("what one looks at is a radius or queries, and can be changed", async (t) => {
      const world = fresh();
      const ada = await enter(await here(t, "Ada"), { world, at: [0, 0], view: 50 });
      const far = await enter(await here(t, "Far"), { world, at: [600, 0], view: 50 });
      const { entity: bot } = await ok(far.socket, "world:spawn", { kind: "bot", at: [600, 10] });
      await far.sees(bot);
      await ada.until(() => ada.last?.settled, "all that is near");
      assert.equal(ada.get(far.entity), undefined);
      await ok(ada.socket, "world:look", { view: 800 });
      await ada.sees(far.entity);
      await ok(ada.socket, "world:look", { view: 50 });
      await ada.loses(far.entity);
      await ok(ada.socket, "world:look", { queries: [{ all: true, kinds: ["bot"], every: 2 }], budget: 20_000 });
      await ada.sees(bot);
      await refused(ada.socket, "world:look", { view: -1 }, "bad_request");
      await refused(ada.socket, "world:look", { view: [{ sphere: {} }] }, "bad_request");
      await refused(await here(t, "Cy"), "world:look", { view: 5 }, "not_in");
    });

    test("one socket is in one world at a time", async (t) => {
      const [one, two] = [fresh(), fresh()];
      const ada = await enter(await here(t, "Ada"), { world: one });
      const socket = await here(t, "Ben");
      const there = await enter(socket, { world: one });
      await ada.sees(there.entity);
      there.stop();
      const elsewhere = await enter(socket, { world: two });
      await ada.loses(there.entity);
      await elsewhere.sees(elsewhere.entity);
      await refused(socket, "world:enter", { world: "" }, "bad_request");
      await refused(socket, "world:nothing", {}, "unknown_request");
    });

    test("what lasts is there again after the server is killed", async (t) => {
      const data = mkdtempSync(join(tmpdir(), "lakh-world-"));
      t.after(() => rmSync(data, { recursive: true, force: true }));
      const begin = async () => {
        const begun = await startLakh({ env: redis ? { LAKH_REDIS: redis.url } : {}, data });
        t.after(() => begun.stop());
        return begun;
      };
      const own = await begin();
      const world = fresh();
      const come = (server, name) => connect(t, `${server.url}/world`, { transports: ["websocket"], auth: { name } });
      const socket = await come(own, "Ada");
      const ada = await enter(socket, { world, at: [5, 6] });
      const lasting = { kind: "thing", at: [7, 8], fields: { name: "chest", sort: 2 }, lasting: true };
      const { entity } = await ok(socket, "world:spawn", lasting);
      const { entity: gone } = await ok(socket, "world:spawn", { ...lasting, lasting: false });
      const { entity: removed } = await ok(socket, "world:spawn", lasting);
      await ok(socket, "world:remove", { entity: removed });
      await ok(socket, "world:change", { entity, fields: { sort: 9 } });
      await ada.sees(entity, ({ fields }) => fields.sort === 9);
      while (!(await ok(socket, "world:entity", { entity })).stored);
      socket.disconnect();
      await own.stop("SIGKILL");
      const back = await enter(await come(await begin(), "Ada"), { world });
      const chest = await back.sees(entity);
      assert.deepEqual([chest.fields.name, chest.fields.sort], ["chest", 9]);
      assert.ok(near(chest.at, [7, 8]));
      assert.equal(back.get(gone), undefined);
      assert.equal(back.get(removed), undefined);
      await ok(back.socket, "world:change", { entity, at: [1, 1] });
    });
  });
}
