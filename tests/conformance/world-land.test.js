// Land with stock clients over real sockets, on SQLite and on Redis: shown by distance, painted on conditions, stored.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { ask, keysSetting, newKey } from "./support/api.js";
import { connect, ok, refused } from "./support/client.js";
import { Land, landOf } from "./support/land.js";
import { startRedis } from "./support/redis.js";
import { startLakh } from "./support/server.js";
import { enter } from "./support/world.js";

const recorded = new URL("../../modules/world/tests/land.json", import.meta.url);

test("recorded sections are read as they are recorded, by a decoder written from the document", () => {
  for (const { land: plan, sections } of Object.values(JSON.parse(readFileSync(recorded)))) {
    const land = new Land(plan);
    for (const { section, known } of sections) {
      const bytes = Uint8Array.from(Buffer.from(section, "hex"));
      const head = 2 + bytes.subarray(1).findIndex((byte) => byte < 0x80);
      land.apply(bytes.subarray(head));
      assert.equal(land.chunks.size, known.length);
      for (const { chunk, version, runs, layers } of known) {
        const here = land.chunks.get(chunk.join(","));
        assert.equal(here.version ?? null, version);
        assert.deepEqual(here.cells ?? [], runs.flatMap(([value, count]) => Array(count).fill(value)));
        const seen = Object.entries(here.layers).map(([layer, { version, type, bytes }]) => ({
          layer, version, type, bytes: Buffer.from(bytes).toString("hex"),
        }));
        const byName = (a, b) => a.layer.localeCompare(b.layer);
        assert.deepEqual(seen.sort(byName), layers.sort(byName));
      }
    }
  }
});

for (const kind of ["SQLite", "Redis"]) {
  describe(kind, () => {
    const key = newKey(["api:*:*"]);
    const folder = mkdtempSync(join(tmpdir(), "lakh-land-"));
    let redis;
    let server;
    let worlds = 0;
    const begin = async () => {
      const env = { LAKH_API__KEYS: keysSetting([key]), ...(redis ? { LAKH_REDIS: redis.url } : {}) };
      server = await startLakh({ env, data: folder });
    };
    before(async () => {
      redis = kind === "Redis" ? await startRedis() : undefined;
      await begin();
    });
    after(async () => {
      await server?.stop();
      await redis?.stop();
      rmSync(folder, { recursive: true, force: true });
    });

    const here = (t, name) => connect(t, `${server.url}/world`, { transports: ["websocket"], auth: { name } });
    // A world with land, and somebody in it.
    const made = async (t, land = {}, more = {}) => {
      const socket = await here(t, "Ada");
      const world = `land-${(worlds += 1)}`;
      await ok(socket, "world:create", { world, land, ...more });
      const inside = await enter(socket, { world, at: Array(more.schema?.dims ?? 2).fill(0) });
      return { world, socket, inside, land: landOf(inside) };
    };
    const chunks = (land) => [...land.chunks.keys()].map((key) => key.split(",").map(Number));

    test("what one paints is seen by who stands near, and by who comes later", async (t) => {
      const { world, socket, inside, land } = await made(t);
      assert.equal(inside.world.land.edge, 16);
      await land.until(() => land.value(0, 0) === 0, "the chunk underfoot");
      const ben = await enter(await here(t, "Ben"), { world, at: [5, 5] });
      const bens = landOf(ben);
      const cells = [{ at: [1, 2], value: 7 }, { at: [-1, -1], value: 9 }, { at: [-1, -2], value: 0 }];
      const { versions } = await ok(socket, "world:set", { cells });
      assert.deepEqual(versions, [1, 1, 0], "what has that value already is not set");
      for (const of of [land, bens]) {
        await of.until(() => of.value(1, 2) === 7 && of.value(-1, -1) === 9, "what was painted");
      }
      const cleo = landOf(await enter(await here(t, "Cleo"), { world, at: [5, 5] }));
      await cleo.until(() => cleo.value(1, 2) === 7, "what was painted before");
      const read = await ok(ben.socket, "world:land", { chunk: [0, 0], versions: true });
      assert.equal(read.version, 1);
      assert.deepEqual([read.values[1 + 2 * 16], read.versions[1 + 2 * 16], read.values.length], [7, 1, 256]);
    });

    test("a cell is set if it is as it was expected to be, else all stays as it is", async (t) => {
      const { socket, land } = await made(t);
      const set = (...cells) => ({ cells });
      assert.deepEqual((await ok(socket, "world:set", set({ at: [3, 3], value: 5, if: { value: 0 } }))).versions, [1]);
      const error = await refused(
        socket, "world:set", set({ at: [0, 0], value: 1 }, { at: [3, 3], value: 6, if: { version: 0 } }), "conflict",
      );
      assert.deepEqual(error.current, [{ at: [3, 3], value: 5, version: 1 }]);
      await ok(socket, "world:set", set({ at: [3, 3], value: 6, if: { version: 1 } }));
      await land.until(() => land.value(3, 3) === 6, "the second colour");
      assert.equal(land.value(0, 0), 0);
      for (const cells of [[], [{ at: [1], value: 1 }], [{ at: [0, 0], value: 256 }]]) {
        await refused(socket, "world:set", { cells }, "bad_request");
      }
      for (const x of [1_000_000, -1_000_000, 2 ** 30]) {
        const far = { cells: [{ at: [0, 0], value: 7 }, { at: [x, 3], value: 7 }] };
        await refused(socket, "world:set", far, "out_of_bounds");
      }
      assert.equal(land.value(0, 0), 0);
      await refused(socket, "world:put_chunk", { chunk: [1_000_000, 0], layer: "height", bytes: Buffer.alloc(1) }, "out_of_bounds");
      for (const condition of [{}, { value: 1, version: 1 }]) {
        const cells = [{ at: [0, 0], value: 1, if: condition }];
        const { message } = await refused(socket, "world:set", { cells }, "bad_request");
        assert.match(message, /cells\[0\]\.if`: either a value or a version/);
      }
      await refused(socket, "world:set", { world: "nowhere at all", cells: [{ at: [0, 0], value: 1 }] }, "not_found");
    });

    test("of all who want a cell at the same time one gets it", async (t) => {
      const { world } = await made(t);
      const sockets = await Promise.all(Array.from({ length: 8 }, (_, n) => here(t, `Painter ${n}`)));
      const cells = [{ at: [9, 9], value: 1, if: { value: 0 } }];
      const asked = sockets.map((socket) =>
        new Promise((done) => socket.emit("world:set", { world, cells }, done)),
      );
      const answers = await Promise.all(asked);
      assert.equal(answers.filter(({ ok }) => ok).length, 1);
      for (const { error } of answers.filter(({ ok }) => !ok)) assert.equal(error.code, "conflict");
    });

    test("chunks come and go as one walks", async (t) => {
      const { inside, land } = await made(t, { reach: 20, edge: 8 }, { max_speed: 1_000 });
      await land.until(() => land.chunks.size > 20, "the chunks around");
      const far = ([x, y], from) => Math.hypot(Math.max(x * 8 - from, from - x * 8 - 8, 0), Math.max(y * 8, -y * 8 - 8, 0));
      assert.ok(chunks(land).every((chunk) => far(chunk, 0) <= 24.1));
      for (let x = 10; x <= 100; x += 10) inside.move({ at: [x, 0] });
      await land.until(() => land.value(119, 0) === 0 && !land.chunks.has("0,0"), "the chunks around the new place");
      assert.ok(chunks(land).every((chunk) => far(chunk, 100) <= 32.1));
    });

    test("a picture comes in pieces, and paint before it", async (t) => {
      const { world, socket } = await made(t, { layers: ["height", "picture"] });
      const bytes = Buffer.from(Array.from({ length: 60_000 }, (_, n) => (n * 7 + (n >> 8)) & 255));
      const request = { chunk: [0, 0], layer: "picture", type: "image/png", bytes };
      const put = await ok(socket, "world:put_chunk", { ...request, if: { version: 0 } });
      assert.equal(put.version, 1);
      const error = await refused(socket, "world:put_chunk", { ...request, if: { version: 0 } }, "conflict");
      assert.deepEqual(error.current, { version: 1 });
      const ben = await enter(await here(t, "Ben"), { world, at: [5, 5], budget: 24_000 });
      const land = landOf(ben);
      await land.until(() => land.coming?.bytes.length > 0, "the first piece");
      await ok(socket, "world:set", { cells: [{ at: [2, 2], value: 3 }] });
      await land.until(() => land.value(2, 2) === 3, "the paint");
      assert.ok(land.coming, "the picture is still under way");
      const picture = () => land.chunks.get("0,0").layers.picture;
      await land.until(picture, "the picture");
      assert.deepEqual([picture().type, Buffer.from(picture().bytes).equals(bytes)], ["image/png", true]);
      assert.ok(land.pieces > 5);
      const read = await ok(socket, "world:land", { chunk: [0, 0], layer: "picture" });
      assert.ok(Buffer.from(read.bytes).equals(bytes));
      await ok(socket, "world:put_chunk", { chunk: [0, 0], layer: "picture" });
      await land.until(() => picture().bytes.length === 0, "the picture to be gone");
      await refused(socket, "world:put_chunk", { ...request, layer: "smell" }, "bad_request");
      await refused(socket, "world:put_chunk", { ...request, bytes: Buffer.alloc(262_145) }, "too_large");
    });

    test("blocks have three dimensions", async (t) => {
      const kinds = [{ name: "person", velocity: { max: 10, bits: 8 }, fields: [] }];
      const schema = { dims: 3, precision: 0.1, hz: 20, kinds };
      const { socket, land } = await made(t, { dims: 3, edge: 8, reach: 16, most: 4095, fill: 1 }, { schema });
      await land.until(() => land.value(0, 0, -9) === 1, "the blocks below");
      await ok(socket, "world:set", { cells: [{ at: [-1, 4, -9], value: 4_000 }] });
      await land.until(() => land.value(-1, 4, -9) === 4_000, "the block");
    });

    test("land that can't be is refused, and a world needs none", async (t) => {
      const socket = await here(t, "Ada");
      for (const land of [{ dims: 3 }, { edge: 65 }, { reach: 1e9 }, { layers: ["a", "a"] }, { depth: 3 }, { fill: 300 }]) {
        await refused(socket, "world:create", { world: "impossible", land }, "bad_request");
      }
      await ok(socket, "world:create", { world: `bare ${kind}` });
      const inside = await enter(socket, { world: `bare ${kind}` });
      assert.equal(inside.world.land, null);
      await refused(socket, "world:set", { cells: [{ at: [0, 0], value: 1 }] }, "unsupported");
      const open = await enter(await here(t, "Ben"), { world: `open ${kind}` });
      assert.equal(open.world.land.dims, 2, "worlds that are made by being entered have tiles");
    });

    test("backends paint and read", async (t) => {
      const { world, land } = await made(t, { layers: ["height"] });
      const post = async (name, body) => ask(server.url, "POST", `/api/v1/world/${name}`, { key, body });
      const set = await post("world:set", { world, cells: [{ at: [4, 4], value: 8 }] });
      assert.deepEqual([set.status, set.body], [200, { versions: [1] }]);
      await land.until(() => land.value(4, 4) === 8, "what the backend painted");
      const again = await post("world:set", { world, cells: [{ at: [4, 4], value: 9, if: { value: 0 } }] });
      assert.deepEqual([again.status, again.body.error.code], [409, "conflict"]);
      assert.deepEqual(again.body.error.current, [{ at: [4, 4], value: 8, version: 1 }]);
      const base64 = Buffer.from("up and down").toString("base64");
      const put = await post("world:put_chunk", { world, chunk: [0, 0], layer: "height", type: "x/y", base64 });
      assert.equal(put.body.version, 1);
      const read = await post("world:land", { world, chunk: [0, 0], layer: "height" });
      assert.deepEqual(read.body, { version: 1, type: "x/y", base64 });
      await land.until(() => land.chunks.get("0,0")?.layers.height, "the heights");
    });

    test("land is there again after the server was killed, with the versions of its cells", async (t) => {
      const { world, socket } = await made(t);
      await ok(socket, "world:set", { cells: [{ at: [1, 1], value: 2 }] });
      await ok(socket, "world:set", { cells: [{ at: [2, 2], value: 3 }] });
      socket.disconnect();
      await server.stop("SIGKILL");
      await begin();
      const inside = await enter(await here(t, "Ben"), { world, at: [0, 0] });
      const land = landOf(inside);
      await land.until(() => land.value(1, 1) === 2 && land.value(2, 2) === 3, "what was painted before");
      const ben = inside.socket;
      await refused(ben, "world:set", { cells: [{ at: [2, 2], value: 9, if: { version: 1 } }] }, "conflict");
      await ok(ben, "world:set", { cells: [{ at: [1, 1], value: 9, if: { version: 1 } }] });
    });

    test("a world that is deleted takes its land along", async (t) => {
      const { world, socket } = await made(t);
      await ok(socket, "world:set", { cells: [{ at: [1, 1], value: 2 }] });
      await ok(socket, "world:leave", {});
      assert.equal((await ask(server.url, "POST", "/api/v1/world/world:delete", { key, body: { world } })).status, 200);
      await ok(socket, "world:create", { world, land: {} });
      const read = await ok(socket, "world:land", { world, chunk: [0, 0] });
      assert.deepEqual([read.version, read.values[17]], [0, 0]);
    });
  });
}
