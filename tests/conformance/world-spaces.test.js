// Spaces with stock clients over real sockets, on SQLite and on Redis: members, locations, cursors, locks.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { ask, keysSetting, newKey } from "./support/api.js";
import { call, connect, cut, fitting, next, ok, refused, until } from "./support/client.js";
import { examplesOf } from "./support/examples.js";
import { startRedis } from "./support/redis.js";
import { startLakh } from "./support/server.js";

test("the example of the document does what it says, for two", async (t) => {
  const { run } = examplesOf("world.md");
  const server = await startLakh();
  t.after(() => server.stop());
  const here = (name) => connect(t, `${server.url}/world`, { transports: ["websocket"], auth: { name } });
  const wanted = ["session", "members", "locations", "ok", "error", "pointers"];
  const ada = await run("Spaces", { socket: await here("Ada") }, wanted);
  const told = [];
  const ben = await run("Spaces", { socket: await here("Ben"), console: { log: (...more) => told.push(more) } }, wanted);
  assert.deepEqual([ada.ok, ben.ok, ben.error.code, told], [true, false, "locked", [["locked", "Ada"]]]);
  assert.deepEqual(ben.locations, [{ session: ada.session, location: { slide: 3, element: "title" } }]);
  assert.deepEqual(ben.members.map(({ session }) => session).sort(), [ada.session, ben.session].sort());
  await until("both pointers are known to both", () => ada.pointers.size === 2 && ben.pointers.size === 2);
});

for (const kind of ["SQLite", "Redis"]) {
  describe(kind, () => {
    const key = newKey(["api:*:*"]);
    let redis;
    let server;
    let spaces = 0;
    before(async () => {
      redis = kind === "Redis" ? await startRedis() : undefined;
      const env = {
        LAKH_API__KEYS: keysSetting([key]),
        LAKH_SPACES__GRACE_MS: "1500",
        LAKH_SPACES__MAX_MEMBERS: "6",
        LAKH_SPACES__MAX_LOCKS: "3",
      };
      server = await startLakh({ env: redis ? { ...env, LAKH_REDIS: redis.url } : env });
    });
    after(async () => {
      await server?.stop();
      await redis?.stop();
    });

    const fresh = () => `board ${(spaces += 1)}`;
    const here = (t, name, more = {}) =>
      connect(t, `${server.url}/world`, { transports: ["websocket"], auth: { name }, reconnection: false, ...more });
    const member = async (t, space, name, more = {}) => {
      const socket = await here(t, name);
      return { socket, ...(await ok(socket, "space:enter", { space, ...more })) };
    };
    const entered = (socket, session) =>
      fitting(socket, "space:members", (told) => told.entered?.some((one) => one.session === session));
    const left = (socket, session) =>
      fitting(socket, "space:members", (told) => told.left?.some((one) => one.session === session));

    test("members come, change, and go", async (t) => {
      const space = fresh();
      const ada = await member(t, space, "Ada", { profile: { colour: "red" } });
      assert.deepEqual(ada.members.map(({ session, profile }) => ({ session, profile })), [
        { session: ada.session, profile: { colour: "red" } },
      ]);
      const came = next(ada.socket, "space:members");
      const ben = await member(t, space, "Ben");
      assert.equal(ben.members.length, 2);
      const [told] = await came;
      // Ada may hear of herself first.
      const first = told.entered[0].session === ben.session ? told : await entered(ada.socket, ben.session);
      assert.deepEqual(first.space, space);
      assert.equal(first.entered[0].user.name, "Ben");
      assert.deepEqual([first.entered[0].connected, first.entered[0].profile], [true, null]);
      const updated = fitting(ada.socket, "space:members", (told) => told.updated);
      await ok(ben.socket, "space:profile", { space, profile: { colour: "blue" } });
      assert.deepEqual((await updated).updated[0].profile, { colour: "blue" });
      const gone = left(ada.socket, ben.session);
      await ok(ben.socket, "space:leave", { space });
      await gone;
      const { members } = await ok(ada.socket, "space:get", { space });
      assert.deepEqual(members.map(({ session }) => session), [ada.session]);
    });

    test("locations are told with what they were before", async (t) => {
      const space = fresh();
      const ada = await member(t, space, "Ada");
      const ben = await member(t, space, "Ben");
      let moved = next(ben.socket, "space:location");
      await ok(ada.socket, "space:location", { space, location: { slide: 3 } });
      let [told] = await moved;
      assert.deepEqual([told.space, told.session, told.location, told.previous], [space, ada.session, { slide: 3 }, null]);
      const cleo = await member(t, space, "Cleo");
      assert.deepEqual(cleo.locations, [{ session: ada.session, location: { slide: 3 } }]);
      moved = next(ben.socket, "space:location");
      await ok(ada.socket, "space:location", { space, location: null });
      [told] = await moved;
      assert.deepEqual([told.location, told.previous], [null, { slide: 3 }]);
    });

    test("who is cut off is shown so, and takes itself up again with what it locked", async (t) => {
      const space = fresh();
      const ada = await member(t, space, "Ada", { profile: 1 });
      const ben = await member(t, space, "Ben");
      await ok(ada.socket, "space:lock", { space, component: "title" });
      await ok(ada.socket, "space:location", { space, location: "title" });
      const lost = fitting(ben.socket, "space:members", (told) => told.updated?.[0].connected === false);
      const heard = [];
      ben.socket.on("space:members", (told) => heard.push(told));
      cut(ada.socket);
      assert.equal((await lost).updated[0].session, ada.session);
      const found = fitting(ben.socket, "space:members", (told) => told.updated?.[0].connected);
      const again = await member(t, space, "Ada", { resume: ada.resume });
      assert.deepEqual([again.session, again.resumed, ada.resumed], [ada.session, true, false]);
      const { updated } = await found;
      assert.deepEqual([updated[0].profile, updated[0].location], [1, "title"]);
      assert.ok(heard.every((told) => !told.left && !told.entered), "it was there all the time");
      await ok(again.socket, "space:lock", { space, component: "title" });
      await refused(ben.socket, "space:lock", { space, component: "title" }, "locked");
    });

    test("who stays away is gone, and so are its locks", async (t) => {
      const space = fresh();
      const ada = await member(t, space, "Ada");
      const ben = await member(t, space, "Ben");
      await ok(ada.socket, "space:lock", { space, component: "title" });
      const gone = left(ben.socket, ada.session);
      const free = fitting(ben.socket, "space:lock", ({ lock }) => lock === null);
      cut(ada.socket);
      await gone;
      assert.deepEqual({ ...(await free), version: 0 }, { space, component: "title", lock: null, why: "left", version: 0 });
      assert.deepEqual((await ok(ben.socket, "space:locks", { space })).locks, []);
      const again = await member(t, space, "Ada", { resume: ada.resume });
      assert.equal(again.resumed, false, "that member is no more");
    });

    test("somebody else can't take a member up", async (t) => {
      const space = fresh();
      const ada = await member(t, space, "Ada");
      const guessed = await member(t, space, "Eve", { resume: `${ada.session}.00000000000000000000000000000000` });
      assert.equal(guessed.resumed, false);
      const eve = await here(t, "Eve");
      await refused(eve, "space:enter", { space, resume: ada.resume }, "forbidden");
    });

    test("cursors come in batches with the newest place of each", async (t) => {
      const space = fresh();
      const ada = await member(t, space, "Ada");
      const ben = await member(t, space, "Ben");
      const cleo = await member(t, space, "Cleo");
      const batches = [];
      const last = fitting(cleo.socket, "space:cursors", (batch) => {
        batches.push(batch);
        return batch.cursors.some(({ session, x }) => session === ada.session && x === 39);
      });
      for (let x = 0; x < 40; x += 1) {
        ada.socket.emit("space:cursor", { space, x, y: 0.5, data: { tool: "pen" } });
        ben.socket.emit("space:cursor", { space, x: -x, y: 2 });
      }
      const batch = await last;
      assert.equal(batch.space, space);
      const adas = batch.cursors.find(({ session }) => session === ada.session);
      assert.deepEqual(adas, { session: ada.session, x: 39, y: 0.5, data: { tool: "pen" } });
      assert.ok(batches.length < 20, `80 moves in ${batches.length} batches`);
      for (const { cursors } of batches) {
        assert.equal(new Set(cursors.map(({ session }) => session)).size, cursors.length, "each once a batch");
      }
      const dan = await here(t, "Dan");
      const shown = fitting(dan, "space:cursors", ({ cursors }) => cursors.length === 2);
      await ok(dan, "space:enter", { space });
      await shown;
      await refused(await here(t, "Eve"), "space:cursor", { space, x: 0, y: 0 }, "not_member");
      await refused(ada.socket, "space:cursor", { space, x: "far", y: 0 }, "bad_request");
    });

    test("a component is locked by one, until they unlock it or its time is over", async (t) => {
      const space = fresh();
      const ada = await member(t, space, "Ada");
      const ben = await member(t, space, "Ben");
      const told = next(ben.socket, "space:lock");
      const { lock } = await ok(ada.socket, "space:lock", { space, component: "cell:b2", for_s: 60, data: { why: "sum" } });
      assert.deepEqual([lock.component, lock.session, lock.data, lock.until - lock.since], [
        "cell:b2", ada.session, { why: "sum" }, 60_000,
      ]);
      assert.deepEqual(await told, [{ space, component: "cell:b2", version: lock.version, lock }]);
      const error = await refused(ben.socket, "space:lock", { space, component: "cell:b2" }, "locked");
      assert.deepEqual(error.current, lock);
      await refused(ben.socket, "space:unlock", { space, component: "cell:b2" }, "locked");
      const cleo = await member(t, space, "Cleo");
      assert.deepEqual(cleo.locks, [lock]);
      const more = await ok(ada.socket, "space:lock", { space, component: "cell:b2", for_s: 90 });
      assert.ok(more.lock.version > lock.version && more.lock.since === lock.since);
      const free = fitting(ben.socket, "space:lock", (told) => told.lock === null);
      assert.deepEqual((await ok(ada.socket, "space:unlock", { space, component: "cell:b2" })).unlocked, true);
      assert.equal((await free).why, "unlocked");
      assert.equal((await ok(ada.socket, "space:unlock", { space, component: "cell:b2" })).unlocked, false);
      const over = fitting(ada.socket, "space:lock", (told) => told.lock === null);
      await ok(ben.socket, "space:lock", { space, component: "cell:b2", for_s: 1 });
      assert.equal((await over).why, "expired");
      await ok(ada.socket, "space:lock", { space, component: "cell:b2" });
    });

    test("of all who want a lock at the same time one gets it", async (t) => {
      const space = fresh();
      const all = await Promise.all(Array.from({ length: 5 }, (_, n) => member(t, space, `Painter ${n}`)));
      const answers = await Promise.all(
        all.map(({ socket }) => new Promise((done) => socket.emit("space:lock", { space, component: "x" }, done))),
      );
      const [won, ...more] = answers.filter((answer) => answer.ok);
      assert.equal(more.length, 0);
      for (const { error } of answers.filter((answer) => !answer.ok)) {
        assert.deepEqual([error.code, error.current.session], ["locked", won.lock.session]);
      }
    });

    test("spaces have bounds", async (t) => {
      const space = fresh();
      const all = [];
      for (let n = 0; n < 6; n += 1) all.push(await member(t, space, `Member ${n}`));
      const late = await here(t, "Late");
      await refused(late, "space:enter", { space }, "too_large");
      const { socket } = all[0];
      for (const component of ["a", "b", "c"]) await ok(socket, "space:lock", { space, component });
      await refused(socket, "space:lock", { space, component: "d" }, "too_large");
      await refused(socket, "space:profile", { space, profile: "x".repeat(5_000) }, "too_large");
      await refused(socket, "space:lock", { space, component: "a", for_s: 0 }, "bad_request");
      await refused(late, "space:location", { space, location: 1 }, "not_member");
      await refused(late, "space:enter", { space: "" }, "bad_request");
      // Thirty changes a second are allowed: who is told to wait waits.
      const patiently = async (space) => {
        const answer = await call(late, "space:enter", { space });
        if (answer.error?.code !== "rate_limited") return answer;
        const [, ms] = /wait (\d+) ms/.exec(answer.error.message);
        await new Promise((done) => setTimeout(done, Number(ms)));
        return patiently(space);
      };
      for (let n = 0; n < 32; n += 1) assert.equal((await patiently(fresh())).ok, true);
      assert.equal((await patiently(fresh())).error.code, "too_large");
    });

    test("backends look into a space and take locks away", async (t) => {
      const space = fresh();
      const ada = await member(t, space, "Ada", { profile: "hi" });
      await ok(ada.socket, "space:lock", { space, component: "title" });
      await refused(ada.socket, "space:unlock", { space, component: "title", force: true }, "forbidden");
      const post = async (name, body) => ask(server.url, "POST", `/api/v1/world/${name}`, { key, body });
      const { body } = await post("space:get", { space });
      assert.deepEqual([body.members[0].session, body.locks[0].component], [ada.session, "title"]);
      assert.equal(body.members[0].resume, undefined, "what one comes back with is told to nobody else");
      const free = fitting(ada.socket, "space:lock", ({ lock }) => lock === null);
      assert.deepEqual((await post("space:unlock", { space, component: "title" })).body, { unlocked: true });
      await free;
      assert.equal((await post("space:enter", { space })).body.error.code, "bad_request");
    });
  });
}
