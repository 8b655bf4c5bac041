// Rooms, members and people of the module chat with stock clients over real sockets, on SQLite and on Redis.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { call, connect, first, fitting, ok, refused } from "./support/client.js";
import { startRedis } from "./support/redis.js";
import { startLakh } from "./support/server.js";

const user = (name) => ({ id: `dev:${name.toLowerCase()}`, name });

for (const kind of ["SQLite", "Redis"]) {
  describe(kind, () => {
    let redis;
    let server;
    let rooms = 0;
    let keys = 0;
    before(async () => {
      redis = kind === "Redis" ? await startRedis() : undefined;
      const env = {
        LAKH_CHAT__PERMISSIONS: '{ pin = ["owner"], thing = { live = ["owner"] } }',
        LAKH_CHAT__THINGS: "post:*,video:*",
        ...(redis ? { LAKH_REDIS: redis.url } : {}),
      };
      server = await startLakh({ env });
    });
    after(async () => {
      await server?.stop();
      await redis?.stop();
    });

    const freshRoom = () => `room-${(rooms += 1)}`;
    const here = (t, name) => connect(t, `${server.url}/chat`, { transports: ["websocket"], auth: { name } });
    const say = (socket, room, text) => ok(socket, "message:send", { room, key: `k${(keys += 1)}`, text });

    test("a private room is made, its people invited, and nobody else finds it", async (t) => {
      const [ada, ben, cy] = [await here(t, "Ada"), await here(t, "Ben"), await here(t, "Cy")];
      const room = freshRoom();
      const invited = first(ben, "room:invited");
      const made = await ok(ada, "room:create", { kind: "private", id: room, name: "Den", topic: "quiet" });
      assert.deepEqual([made.room.name, made.room.topic, made.room.mine.role], ["Den", "quiet", "owner"]);
      await ok(ada, "member:invite", { room, people: ["dev:ben"] });
      const told = await invited;
      assert.deepEqual([told.room.id, told.by], [room, user("Ada")]);
      await ok(ben, "room:join", { room });
      const heard = first(ben, "message:new");
      await say(ada, room, "welcome");
      assert.equal((await heard).text, "welcome");
      await refused(cy, "room:join", { room }, "not_found");
      await refused(cy, "room:get", { room }, "not_found");
      const found = (await ok(cy, "room:list", {})).rooms;
      assert.equal(found.some(({ id }) => id === room), false);
    });

    test("a direct room is one for each set of people, whoever opens it", async (t) => {
      const [dee, eli] = [await here(t, "Dee"), await here(t, "Eli")];
      const [a, b] = await Promise.all([
        ok(dee, "room:direct", { people: ["dev:eli"] }),
        ok(eli, "room:direct", { people: ["dev:dee"] }),
      ]);
      assert.equal(a.room.id, b.room.id);
      assert.deepEqual(a.room.people, [user("Dee"), user("Eli")]);
      await ok(eli, "block:add", { person: "dev:dee" });
      await refused(dee, "room:direct", { people: ["dev:eli"] }, "blocked");
      const blocked = (await ok(eli, "block:list", {})).people;
      assert.deepEqual(blocked.map(({ id }) => id), ["dev:dee"]);
      await ok(eli, "block:remove", { person: "dev:dee" });
      await ok(dee, "room:direct", { people: ["dev:eli"] });
    });

    test("a room is changed on condition, archived and deleted", async (t) => {
      const [ada, ben] = [await here(t, "Ada"), await here(t, "Ben")];
      const room = freshRoom();
      const { room: before } = await ok(ada, "room:join", { room });
      await ok(ben, "room:join", { room });
      const changed = first(ben, "room:changed");
      await ok(ada, "room:set", { room, topic: "new", data: { a: 1 }, version: before.version });
      assert.deepEqual((await changed).set, { topic: "new", data: { a: 1 } });
      await refused(ada, "room:set", { room, topic: "late", version: before.version }, "conflict");
      await refused(ben, "room:set", { room, topic: "mine" }, "forbidden");
      await ok(ada, "room:archive", { room, archived: true });
      await refused(ben, "message:send", { room, key: "x", text: "x" }, "archived");
      const gone = first(ben, "room:deleted");
      await ok(ada, "room:delete", { room });
      assert.deepEqual(await gone, { room });
      await refused(ben, "room:get", { room }, "not_found");
    });

    test("who is kicked or banned hears nothing more, and a ban ends by itself", async (t) => {
      const [ada, ben] = [await here(t, "Ada"), await here(t, "Ben")];
      const room = freshRoom();
      await ok(ada, "room:join", { room });
      await ok(ben, "room:join", { room });
      let removed = first(ben, "room:removed");
      await ok(ada, "member:kick", { room, person: "dev:ben", reason: "loud" });
      assert.deepEqual(await removed, { room, why: "kicked", reason: "loud" });
      await refused(ben, "message:send", { room, key: "x", text: "x" }, "not_member");
      await ok(ben, "room:join", { room });
      removed = first(ben, "room:removed");
      await ok(ada, "member:ban", { room, person: "dev:ben", seconds: 1 });
      const { why, until } = await removed;
      assert.equal(why, "banned");
      let answer;
      do answer = await call(ben, "room:join", { room });
      while (answer.ok === false && answer.error.code === "banned");
      assert.equal(answer.ok, true, JSON.stringify(answer));
      assert.ok(Date.now() >= until);
      await ok(ada, "member:mute", { room, person: "dev:ben", seconds: 600 });
      await refused(ben, "message:send", { room, key: "x", text: "x" }, "muted");
      await ok(ada, "member:mute", { room, person: "dev:ben", seconds: null });
      await say(ben, room, "thank you");
    });

    test("roles are given, members listed, and the last owner hands over", async (t) => {
      const [ada, ben, cy] = [await here(t, "Ada"), await here(t, "Ben"), await here(t, "Cy")];
      const room = freshRoom();
      for (const socket of [ada, ben, cy]) await ok(socket, "room:join", { room });
      await ok(ada, "member:role", { room, person: "dev:cy", role: "moderator" });
      const { members } = await ok(ben, "member:list", { room });
      assert.deepEqual(
        members.map(({ id, role, online }) => [id, role, online]),
        [["dev:ada", "owner", true], ["dev:ben", "member", true], ["dev:cy", "moderator", true]],
      );
      const handed = fitting(ben, "member:changed", ({ set }) => set.role === "owner");
      await ok(ada, "room:leave", { room });
      assert.deepEqual((await handed).user, user("Cy"));
      const moderators = await ok(ben, "member:list", { room, role: "owner" });
      assert.deepEqual(moderators.members.map(({ id }) => id), ["dev:cy"]);
    });

    test("one's own rooms come by what was said last, and are watched again after a reconnect", async (t) => {
      const [fay, gus] = [await here(t, "Fay"), await here(t, "Gus")];
      const [one, two] = [freshRoom(), freshRoom()];
      for (const room of [one, two]) {
        await ok(fay, "room:join", { room });
        await ok(gus, "room:join", { room });
      }
      await say(gus, two, "second room");
      await say(gus, one, "first room, later");
      fay.disconnect();
      const back = await here(t, "Fay");
      const { rooms: own, cursor } = await ok(back, "room:list", { mine: true, watch: true });
      assert.deepEqual([own.map(({ id }) => id), cursor], [[one, two], null]);
      assert.deepEqual(own.map(({ last }) => last.text), ["first room, later", "second room"]);
      assert.deepEqual([own[0].mine.role, own[0].mine.notify], ["owner", "all"]);
      await ok(back, "room:notify", { room: one, notify: "mentions" });
      assert.equal((await ok(back, "room:get", { room: one })).room.mine.notify, "mentions");
      const heard = first(back, "message:new");
      await say(gus, two, "are you back?");
      assert.equal((await heard).text, "are you back?");
    });

    test("a chosen name is what others see, and people are found by it", async (t) => {
      const [hal, ivy] = [await here(t, "Hal"), await here(t, "Ivy")];
      const room = freshRoom();
      await ok(hal, "room:join", { room });
      await ok(ivy, "room:join", { room });
      const changed = first(ivy, "person:changed");
      await ok(hal, "me:set", { name: "Prince Hal", picture: "https://a.example/h.png", data: { team: "red" } });
      assert.deepEqual(await changed, { id: "dev:hal", name: "Prince Hal", picture: "https://a.example/h.png" });
      const heard = first(ivy, "message:new");
      await say(hal, room, "hello");
      assert.deepEqual((await heard).from, { id: "dev:hal", name: "Prince Hal" });
      const { people } = await ok(ivy, "person:find", { search: "PRINCE" });
      assert.deepEqual(people.map(({ id, data }) => [id, data]), [["dev:hal", { team: "red" }]]);
      const again = await here(t, "Hal");
      assert.equal((await ok(again, "me:get", {})).person.name, "Prince Hal");
      const got = await ok(ivy, "person:get", { people: ["dev:hal", "dev:nobody"] });
      assert.deepEqual(got.people.map(({ name }) => name), ["Prince Hal"]);
    });

    test("the server's settings say which rooms are of things, and who may do what", async (t) => {
      const [ada, ben] = [await here(t, "Ada"), await here(t, "Ben")];
      const thing = `video:${freshRoom()}`;
      const watched = await ok(ben, "room:watch", { room: thing });
      assert.deepEqual([watched.room.kind, watched.room.mine], ["thing", undefined]);
      await say(ben, thing, "first!");
      await refused(ben, "live:react", { room: thing, emoji: "👍" }, "forbidden");
      const room = freshRoom();
      await ok(ada, "room:join", { room });
      await ok(ben, "room:join", { room });
      await ok(ada, "member:role", { room, person: "dev:ben", role: "moderator" });
      const { message } = await say(ben, room, "pin me");
      await refused(ben, "message:pin", { room, seq: message.seq, pinned: true }, "forbidden");
      await ok(ada, "message:pin", { room, seq: message.seq, pinned: true });
      await ok(ben, "live:react", { room, emoji: "👍" });
    });
  });
}
