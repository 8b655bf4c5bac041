// Messages of the module chat with stock clients over real sockets, on SQLite and on Redis.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { connect, first, fitting, next, ok, refused, within } from "./support/client.js";
import { startRedis } from "./support/redis.js";
import { startLakh } from "./support/server.js";

const user = (name) => ({ id: `dev:${name.toLowerCase()}`, name });

// The next change of this kind.
const change = (socket, what) => fitting(socket, "message:changed", (told) => told.what === what);

// The message with what a change sets.
function changed(message, { set }) {
  const now = { ...message, ...set };
  for (const [name, value] of Object.entries(now)) if (value === null) delete now[name];
  return now;
}

for (const kind of ["SQLite", "Redis"]) {
  describe(kind, () => {
    let redis;
    let server;
    let rooms = 0;
    let keys = 0;
    before(async () => {
      redis = kind === "Redis" ? await startRedis() : undefined;
      server = await startLakh({ env: redis ? { LAKH_REDIS: redis.url } : {} });
    });
    after(async () => {
      await server?.stop();
      await redis?.stop();
    });

    const here = (t, name) =>
      connect(t, `${server.url}/chat`, { transports: ["websocket"], auth: { name } });

    // Two people in a room of their own; the first owns it.
    async function two(t) {
      const room = `messages-${(rooms += 1)}`;
      const [ada, ben] = await Promise.all([here(t, "Ada"), here(t, "Ben")]);
      await ok(ada, "room:join", { room });
      await ok(ben, "room:join", { room });
      const say = async (socket, text, more) => {
        const answer = await ok(socket, "message:send", { room, key: `k${(keys += 1)}`, text, ...more });
        return answer.message;
      };
      return { room, ada, ben, say };
    }

    test("a message quotes another and mentions people", async (t) => {
      const { ada, ben, say } = await two(t);
      const { seq, ...question } = await say(ben, "Who is it?");
      const mention = first(ben, "mention:new");
      const answer = await say(ada, "Me, @Ben", {
        reply_to: seq,
        mentions: [user("Ben").id],
        data: { mood: "good" },
        silent: true,
      });
      assert.deepEqual(answer.reply_to, { seq, from: question.from, text: "Who is it?" });
      assert.deepEqual(answer.data, { mood: "good" });
      assert.deepEqual(await mention, { room: answer.room, seq: answer.seq, from: user("Ada"), text: "Me, @Ben" });
    });

    test("what is sent again with its key is the same message, and told as that", async (t) => {
      const { room, ada, ben, say } = await two(t);
      const heard = [];
      ben.on("message:new", (message) => heard.push(message));
      const request = { room, key: "again", text: "once" };
      const { message } = await ok(ada, "message:send", request);
      const again = await ok(ada, "message:send", request);
      assert.deepEqual(again, { ok: true, message, duplicate: true });
      const last = await say(ada, "next");
      await within(
        new Promise((done) => {
          const look = () => heard.at(-1)?.seq === last.seq && done();
          ben.on("message:new", look);
          look();
        }),
        "the next message",
      );
      assert.deepEqual(
        heard.filter(({ seq }) => seq === message.seq).filter((told) => told.text !== "once"),
        [],
      );
      assert.deepEqual(new Set(heard.map(({ seq }) => seq)), new Set([message.seq, last.seq]));
    });

    test("a thread has numbers of its own, and its root says how many replied", async (t) => {
      const { room, ada, ben, say } = await two(t);
      const root = await say(ada, "root");
      const told = change(ada, "replies");
      const reply = await say(ben, "reply", { thread: root.seq });
      assert.deepEqual([reply.thread, reply.seq], [root.seq, 1]);
      const { set, seq, by } = await told;
      assert.equal(seq, root.seq);
      assert.deepEqual(by, user("Ben"));
      assert.deepEqual(set.replies, { count: 1, last_at: reply.time, people: [user("Ben")] });
      const thread = await ok(ada, "message:history", { room, thread: root.seq });
      assert.deepEqual(thread.messages, [reply]);
      const got = await ok(ben, "message:get", { room, seq: root.seq });
      assert.equal(got.message.replies.count, 1);
    });

    test("an edit is told, kept and given to moderators", async (t) => {
      const { room, ada, ben, say } = await two(t);
      const said = await say(ben, "teh");
      const told = change(ada, "edit");
      const { message } = await ok(ben, "message:edit", { room, seq: said.seq, text: "the" });
      assert.equal(message.text, "the");
      assert.equal(message.edits, 1);
      assert.deepEqual(changed(said, await told), message);
      const { edits } = await ok(ada, "message:edits", { room, seq: said.seq });
      assert.deepEqual(edits, [{ text: "teh", time: said.time }]);
      await refused(ada, "message:edit", { room, seq: said.seq, text: "mine" }, "forbidden");
    });

    test("a deletion leaves a tombstone, a purge not even what was said before", async (t) => {
      const { room, ada, ben, say } = await two(t);
      const said = await say(ben, "secret");
      await ok(ben, "message:edit", { room, seq: said.seq, text: "secret too" });
      const told = change(ben, "delete");
      const { message } = await ok(ada, "message:delete", { room, seq: said.seq });
      assert.equal(message.text, "");
      assert.deepEqual(message.deleted.by, user("Ada"));
      assert.equal((await told).set.text, "");
      const history = await ok(ben, "message:history", { room });
      assert.deepEqual(history.messages.at(-1), message);
      await ok(ada, "message:purge", { room, seq: said.seq });
      assert.deepEqual((await ok(ada, "message:edits", { room, seq: said.seq })).edits, []);
      await refused(ben, "message:delete", { room, seq: 1_000 }, "not_found");
    });

    test("messages are pinned and taken down", async (t) => {
      const { room, ada, ben, say } = await two(t);
      const said = await say(ben, "remember this");
      await refused(ben, "message:pin", { room, seq: said.seq, pinned: true }, "forbidden");
      const told = change(ben, "pin");
      await ok(ada, "message:pin", { room, seq: said.seq, pinned: true });
      assert.deepEqual((await told).set.pinned.by, user("Ada"));
      const { pins } = await ok(ben, "pin:list", { room });
      assert.deepEqual(pins.map(({ text }) => text), ["remember this"]);
      await ok(ada, "message:pin", { room, seq: said.seq, pinned: false });
      assert.deepEqual((await ok(ben, "pin:list", { room })).pins, []);
    });

    test("a message is forwarded with its origin", async (t) => {
      const { room, ada, ben, say } = await two(t);
      const other = `${room}-other`;
      await ok(ben, "room:join", { room: other });
      const said = await say(ada, "news");
      const request = { room, seq: said.seq, to: [other], key: "forward" };
      const { messages } = await ok(ben, "message:forward", request);
      assert.deepEqual(messages[0].forwarded, { room, seq: said.seq, from: user("Ada"), time: said.time });
      assert.equal(messages[0].text, "news");
      assert.deepEqual((await ok(ben, "message:forward", request)).messages, messages);
      await refused(ada, "message:forward", request, "not_member");
    });

    test("reactions are counted and told, and each sees which are their own", async (t) => {
      const { room, ada, ben, say } = await two(t);
      const { seq } = await say(ada, "party?");
      const told = change(ada, "reaction");
      const mine = await ok(ben, "reaction:add", { room, seq, emoji: "🎉" });
      assert.deepEqual(mine.reactions, [{ emoji: "🎉", count: 1, people: [user("Ben")], mine: 1 }]);
      assert.deepEqual((await told).set.reactions, [{ emoji: "🎉", count: 1, people: [user("Ben")] }]);
      await ok(ada, "reaction:add", { room, seq, emoji: "🎉" });
      const list = await ok(ada, "reaction:list", { room, seq });
      assert.deepEqual(list.reactions.map(({ user: { name } }) => name), ["Ben", "Ada"]);
      const left = await ok(ben, "reaction:remove", { room, seq, emoji: "🎉" });
      assert.deepEqual(left.reactions, [{ emoji: "🎉", count: 1, people: [user("Ada")], mine: 0 }]);
    });

    test("reactions that float by are summed", async (t) => {
      const { room, ada, ben } = await two(t);
      let count = 0;
      const all = within(
        new Promise((done) =>
          ben.on("live:reactions", (told) => {
            assert.equal(told.room, room);
            count += told.counts["❤️"];
            if (count === 20) done();
          }),
        ),
        "all reactions",
      );
      await Promise.all(Array.from({ length: 20 }, () => ok(ada, "live:react", { room, emoji: "❤️" })));
      await all;
    });

    test("who was away gets exactly what was missed", async (t) => {
      const { room, ada, ben, say } = await two(t);
      for (const text of ["one", "two", "three"]) await say(ada, text);
      const { seq, rev } = await ok(ben, "message:history", { room });
      ben.disconnect();
      await ok(ada, "message:edit", { room, seq: 1, text: "uno" });
      await ok(ada, "message:delete", { room, seq: 2 });
      await ok(ada, "reaction:add", { room, seq: 3, emoji: "👍" });
      await say(ada, "four");
      const back = await here(t, "Ben");
      await ok(back, "room:watch", { room });
      const missed = await ok(back, "message:sync", { room, seq, rev });
      assert.deepEqual(missed.messages.map(({ text }) => text), ["four"]);
      assert.deepEqual(missed.changed.map(({ seq }) => seq), [1, 2, 3]);
      const history = await ok(back, "message:history", { room });
      assert.deepEqual([...missed.changed, ...missed.messages], history.messages);
      assert.deepEqual([missed.seq, missed.rev, missed.more, missed.reset], [4, history.rev, false, false]);
    });

    test("history is read around a message and since a time", async (t) => {
      const { room, ada, say } = await two(t);
      const said = [];
      for (let number = 1; number <= 30; number += 1) said.push(await say(ada, String(number)));
      const around = await ok(ada, "message:history", { room, around: 15, limit: 6 });
      assert.deepEqual(around.messages.map(({ seq }) => seq), [12, 13, 14, 15, 16, 17]);
      assert.deepEqual([around.more_before, around.more_after], [true, true]);
      const { time } = said[20];
      const since = await ok(ada, "message:history", { room, time, limit: 100 });
      assert.deepEqual(since.messages, said.filter((message) => message.time >= time));
    });
  });
}
