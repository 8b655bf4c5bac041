/** The client against the real server: shapes as they come, and rooms kept true by it. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  ChatRooms,
  Lakh,
  PeopleStatus,
  type ChatClient,
  type ChatEvents,
  type ChatRoom,
  type ChatRoomState,
} from "../src/index.js";
import { RealServer } from "./real.js";

const BOUND_MS = 60_000;
let server: RealServer;
const open: (() => void)[] = [];

beforeAll(async () => {
  server = await RealServer.start();
}, BOUND_MS);
afterEach(() => {
  for (const close of open.splice(0)) close();
});
afterAll(() => server.stop());

let count = 0;
/** Tests share the server, and no names. */
const fresh = (what: string) => `${what}-${(count += 1)}`;
const idOf = (name: string) => `dev:${name.toLowerCase()}`;

function person(name = fresh("Ada"), url = server.url) {
  const manager = { reconnectionDelay: 20, reconnectionDelayMax: 50, forceNew: true };
  const lakh = new Lakh(url, { auth: { name }, timeoutMs: BOUND_MS, manager });
  const me = { id: idOf(name), name };
  open.push(() => lakh.close());
  return { lakh, chat: lakh.chat, me };
}

async function connected(chat: ChatClient): Promise<void> {
  if (chat.state.status === "connected") return;
  await new Promise<void>((done) => {
    const stop = chat.onState(({ status }) => {
      if (status !== "connected") return;
      stop();
      done();
    });
  });
}

function withRooms(name?: string, url?: string) {
  const who = person(name, url);
  const rooms = new ChatRooms(who.chat, { me: who.me });
  open.push(() => rooms.stop());
  return { ...who, rooms };
}

/** The next event of which `fits` holds. */
function next<K extends keyof ChatEvents>(
  chat: ChatClient,
  event: K,
  fits: (told: Parameters<ChatEvents[K]>[0]) => boolean = () => true,
): Promise<Parameters<ChatEvents[K]>[0]> {
  return new Promise((done) => {
    const listener = (told: Parameters<ChatEvents[K]>[0]) => {
      if (!fits(told)) return;
      stop();
      done(told);
    };
    const stop = chat.on(event, listener);
  });
}

function until(room: ChatRoom, holds: (state: ChatRoomState) => boolean): Promise<ChatRoomState> {
  return new Promise((done) => {
    const look = () => {
      if (!holds(room.state)) return false;
      done(room.state);
      return true;
    };
    if (look()) return;
    const stop = room.onChange(() => {
      if (look()) stop();
    });
  });
}

describe("what the server answers has the types that it is given", { timeout: BOUND_MS }, () => {
  test("of rooms and members", async () => {
    const { chat, me } = person();
    const ben = person(fresh("Ben"));
    await connected(ben.chat);
    const invited = next(ben.chat, "room:invited");
    const id = fresh("kitchen");
    const made = await chat.room.create({ kind: "private", id, members: [ben.me.id] });
    expect(made.room).toMatchObject({ kind: "private", archived: false, mine: { role: "owner" } });
    expect(made.members).toEqual([{ ...me, online: true }]);
    expect(await invited).toMatchObject({ by: me, room: { id, mine: { role: "member" } } });
    const { members, cursor } = await chat.member.list({ room: id });
    expect(cursor).toBeNull();
    expect(members.find((one) => one.id === ben.me.id)).toMatchObject({
      role: "member",
      status: "online",
    });
    const rules = { slow_mode_s: 5, reactions: "one", words: ["darn"] } as const;
    const { room } = await chat.room.set({
      room: id,
      topic: "Tea",
      settings: { ...rules, words: [...rules.words] },
    });
    expect(room).toMatchObject({ topic: "Tea", settings: { ...rules, retention_days: 0 } });
    const cleared = await chat.room.set({ room: id, topic: null, settings: null });
    expect(cleared.room.topic).toBeUndefined();
    expect(cleared.room.settings?.slow_mode_s).toBe(0);
    await chat.member.mute({ room: id, person: ben.me.id, seconds: 60 });
    const removed = next(ben.chat, "room:removed");
    await chat.member.ban({ room: id, person: ben.me.id, seconds: 60, reason: "Noise" });
    expect(await removed).toMatchObject({ room: id, why: "banned", reason: "Noise" });
    const { bans } = await chat.ban.list({ room: id });
    expect(bans[0]).toMatchObject({ user: { id: ben.me.id }, by: me, reason: "Noise" });
    await chat.member.unban({ room: id, person: ben.me.id });
    const { entries } = await chat.moderation.log({ room: id });
    expect(entries.map((deed) => deed.kind)).toEqual(["unban", "ban", "mute"]);
    expect((await chat.room.archive({ room: id, archived: true })).room.archived).toBe(true);
    await chat.room.delete({ room: id });
    await expect(chat.room.get({ room: id })).rejects.toMatchObject({ code: "not_found" });
  });

  test("of messages, pins, reactions, search and receipts", async () => {
    const { chat, me } = person();
    const ben = person(fresh("Ben"));
    const room = fresh("tea");
    await chat.join(room);
    await ben.chat.join(room);
    const mentioned = next(ben.chat, "mention:new");
    const { message } = await chat.send(room, "Green or black?", { mentions: [ben.me.id] });
    expect(await mentioned).toEqual({ room, seq: 1, from: me, text: message.text });
    const { reactions } = await ben.chat.reaction.add({ room, seq: 1, emoji: "👍" });
    expect(reactions).toEqual([{ emoji: "👍", count: 1, people: [ben.me], mine: 1 }]);
    const who = await chat.reaction.list({ room, seq: 1 });
    expect(who.reactions).toEqual([{ emoji: "👍", user: ben.me, count: 1 }]);
    await chat.message.edit({ room, seq: 1, text: "Green or black tea?" });
    const { edits } = await chat.message.edits({ room, seq: 1 });
    expect(edits).toEqual([{ text: "Green or black?", time: message.time }]);
    await chat.message.pin({ room, seq: 1, pinned: true });
    const { pins } = await chat.pin.list({ room });
    expect(pins).toMatchObject([{ seq: 1, edits: 1, pinned: { by: me } }]);
    await expect
      .poll(async () => (await chat.message.search({ words: "black tea", room })).hits)
      .toMatchObject([
        {
          message: { seq: 1 },
          marks: [
            [9, 14],
            [15, 18],
          ],
        },
      ]);
    const told = next(chat, "receipt:update", ({ user }) => user.id === ben.me.id);
    const marks = await ben.chat.receipt.read({ room, seq: 1 });
    expect(marks).toEqual({ read: 1, delivered: 1, unread: 0, mentions: 0 });
    expect(await told).toMatchObject({ room, read: 1 });
    const list = await chat.receipt.list({ room });
    expect(list.people).toContainEqual({ ...ben.me, read: 1, delivered: 1 });
    await ben.chat.receipt.unread({ room, seq: 1 });
    const unread = await ben.chat.unread.get({});
    expect(unread).toMatchObject({ unread: 1, mentions: 1, complete: true });
    expect(await ben.chat.receipt.read_all({})).toEqual({ rooms: 1 });
    const gone = await chat.message.purge({ room, seq: 1 });
    expect(gone.message).toMatchObject({ text: "", deleted: { by: me, purged: true } });
  });

  test("of people, blocks, reports and one's data", async () => {
    const { chat, me } = person();
    const ben = person(fresh("Ben"));
    const room = fresh("tea");
    await chat.join(room);
    await ben.chat.join(room);
    const picture = "/chat/files/1/me.webp";
    const set = await chat.me.set({ picture, data: { team: "blue" } });
    expect(set.person).toMatchObject({ ...me, picture, data: { team: "blue" } });
    expect((await ben.chat.person.get({ people: [me.id] })).people[0]).toMatchObject({ picture });
    await expect(chat.me.set({ picture: "data:image/png;base64,AAAA" })).rejects.toMatchObject({
      code: "bad_request",
    });
    await chat.block.add({ person: ben.me.id });
    const { people } = await chat.block.list({});
    expect(people).toEqual([{ ...ben.me, at: expect.any(Number) as number }]);
    await chat.block.remove({ person: ben.me.id });
    await ben.chat.send(room, "Buy now");
    const heard = next(chat, "report:new");
    const third = person(fresh("Grace"));
    await third.chat.join(room);
    const { id } = await third.chat.report.send({ room, seq: 1, reason: "Spam" });
    expect(await heard).toMatchObject({ id, author: ben.me, by: third.me, text: "Buy now" });
    const { reports } = await chat.report.list({ room });
    expect(reports).toMatchObject([{ id, state: "open", reason: "Spam" }]);
    const closed = await chat.report.close({ id, outcome: "dismissed", note: "Fine" });
    expect(closed.report).toMatchObject({ state: "closed", note: "Fine", closed: { by: me } });
    const { url } = await ben.chat.data.export({});
    const document = await (await fetch(ben.chat.address(url))).text();
    const kinds = document
      .trim()
      .split("\n")
      .map((one) => (JSON.parse(one) as { kind: string }).kind);
    expect(kinds[0]).toBe("person");
    expect(kinds).toContain("message");
    const erased = next(chat, "message:changed", ({ what }) => what === "erase");
    await ben.chat.data.erase({});
    expect((await erased).set).toMatchObject({ text: "", from: { name: "Deleted person" } });
  });

  test("of messages at a time, live reactions and presence", async () => {
    const { chat, me } = person();
    const ben = person(fresh("Ben"));
    const room = fresh("tea");
    await chat.join(room);
    await ben.chat.join(room);
    const at = Date.now() + 3_600_000;
    const one = await chat.schedule(room, "Later", at, { key: "k1" });
    expect(one).toMatchObject({ room, at, key: "k1", text: "Later" });
    expect((await chat.scheduled.list({ room })).scheduled).toEqual([one]);
    const arrived = next(ben.chat, "message:new", ({ key }) => key === "k1");
    await chat.scheduled.change({ id: one.id, text: "Sooner", at: Date.now() });
    expect(await arrived).toMatchObject({ text: "Sooner", from: me });
    const failed = next(chat, "scheduled:failed");
    const other = await chat.schedule(room, "Never", Date.now() + 1500);
    await chat.room.archive({ room, archived: true });
    expect(await failed).toMatchObject({ id: other.id, error: { code: "archived" } });
    await chat.room.archive({ room, archived: false });
    const expired = next(ben.chat, "message:changed", ({ what }) => what === "expire");
    await chat.send(room, "Gone soon", { expires_in_s: 1 });
    expect((await expired).set.deleted).toMatchObject({ purged: true });
    const floating = next(ben.chat, "live:reactions");
    await chat.live.react({ room, emoji: "🎉" });
    expect(await floating).toEqual({ room, counts: { "🎉": 1 } });
    const crowd = { watching: 2, online: 2, crowd: "none" };
    expect(await chat.presence(room)).toMatchObject({ count: 2, watching: 2, crowd: "none" });
    expect(await chat.request("presence:count", { room })).toEqual(crowd);
    const typing = next(ben.chat, "typing:update");
    await chat.typing(room, true, { thread: 1 });
    expect(await typing).toEqual({ room, thread: 1, user: me, typing: true });
  });

  test("of files, which go up and are fetched with the word of access", async () => {
    const { chat } = person();
    const room = fresh("tea");
    await chat.join(room);
    const parts: number[] = [];
    const file = new File(["hello"], "a.txt", { type: "text/plain" });
    const done = await chat.upload(room, file, { onProgress: (part) => parts.push(part) });
    expect(done).toMatchObject({ name: "a.txt", size: 5, type: "text/plain" });
    expect(parts.at(-1)).toBe(1);
    const { message } = await chat.send(room, "", { attachments: [done.id] });
    expect(message.attachments).toEqual([done]);
    const words: string[] = [];
    const files = chat.files((word) => words.push(word));
    open.push(() => files.stop());
    await files.start();
    // Asked again at once, it has one that lasts.
    await files.start();
    expect(words).toEqual([files.word]);
    expect((await fetch(chat.address(done.url))).status).toBe(401);
    expect(await (await fetch(chat.address(done.url, files.word))).text()).toBe("hello");
    const quota = await chat.attachment.quota({});
    expect(quota).toMatchObject({ files: 1, bytes: 5 });
    const large = new File([new Uint8Array(quota.max_file_bytes + 1)], "b.txt", {
      type: "text/plain",
    });
    await expect(chat.upload(room, large)).rejects.toMatchObject({ code: "too_large" });
    const stop = new AbortController();
    stop.abort();
    await expect(chat.upload(room, file, { signal: stop.signal })).rejects.toMatchObject({
      code: "aborted",
    });
  });
});

describe("a room", { timeout: BOUND_MS }, () => {
  test("is looked at before one joins, and made when there is none", async () => {
    const ada = withRooms();
    const vera = withRooms(fresh("Vera"));
    const id = fresh("museum");
    const made = ada.rooms.open(id, { enter: "look" });
    expect((await until(made, ({ loaded }) => loaded)).info?.mine?.role).toBe("owner");
    const seen = vera.rooms.open(id, { enter: "look" });
    expect((await until(seen, ({ loaded }) => loaded)).info?.mine).toBeUndefined();
    made.log.send({ text: "Welcome" });
    await until(seen, ({ messages }) => messages[0]?.text === "Welcome");
    await seen.join();
    expect(seen.state.info?.mine?.role).toBe("member");
    await until(made, ({ info }) => info?.members === 2);
  });

  test("is made by whoever says so, and not when the connection is back after that was refused", async () => {
    const ada = withRooms();
    const vera = withRooms(fresh("Vera"));
    await connected(ada.chat);
    const id = fresh("vault");
    await ada.chat.room.create({ id, kind: "private" });
    const seen = vera.rooms.open(id, { enter: "watch" });
    const missing = await until(seen, ({ phase }) => phase === "failed");
    expect(missing.error?.code).toBe("not_found");
    await seen.join();
    const refused = await until(seen, ({ phase }) => phase === "failed");
    expect(refused.error).not.toBe(missing.error);
    await ada.chat.room.delete({ room: id });
    vera.lakh.manager.engine.close();
    await until(seen, ({ phase, error }) => phase === "failed" && error !== refused.error);
    expect(seen.state.error?.code).toBe("not_found");
    await seen.join();
    expect(seen.state.info?.mine?.role).toBe("owner");
  });

  test("of two is called by the other, and after they have another name by that", async () => {
    const ada = withRooms();
    const ben = withRooms(fresh("Ben"));
    await connected(ben.chat);
    const { room } = await ada.chat.room.direct({ people: [ben.me.id] });
    expect(room.name).toBe("");
    const opened = ada.rooms.open(room.id);
    expect((await until(opened, ({ loaded }) => loaded)).info?.name).toBe(ben.me.name);
  });

  test("is whole again after the server was killed, with what waited sent once", async () => {
    const own = await RealServer.start();
    open.push(() => void own.stop());
    const ada = withRooms("Ada", own.url);
    const ben = withRooms("Ben", own.url);
    const id = "tea";
    const first = ada.rooms.open(id);
    await until(first, ({ loaded }) => loaded);
    const other = ben.rooms.open(id);
    await until(other, ({ loaded }) => loaded);
    first.log.send({ text: "before" });
    await until(other, ({ messages }) => messages.length === 1);
    const lost = [ada, ben].map(
      ({ chat }) =>
        new Promise<void>((done) =>
          chat.onState(({ status }) => status === "reconnecting" && done()),
        ),
    );
    const back = own.restart();
    await Promise.all(lost);
    first.log.send({ text: "meanwhile" });
    await back;
    const texts = ({ messages }: ChatRoomState) => messages.map(({ text }) => text).join();
    for (const room of [first, other]) await until(room, (s) => texts(s) === "before,meanwhile");
    expect(first.state.outbox).toEqual([]);
    await first.react({ seq: 1 }, "👍");
    const both = await until(other, ({ messages }) => messages[0]?.reactions?.[0]?.count === 1);
    expect(both.messages[0]?.reactions?.[0]).toMatchObject({ emoji: "👍", mine: 0 });
    expect(first.state.messages[0]?.reactions?.[0]?.mine).toBe(1);
  });

  test("that another has the name of after a while away is loaded anew", async () => {
    const own = await RealServer.start();
    open.push(() => void own.stop());
    const ada = withRooms("Ada", own.url);
    const ben = withRooms("Ben", own.url);
    const id = "tea";
    const room = ada.rooms.open(id);
    await until(room, ({ loaded }) => loaded);
    for (const text of ["old", "older"]) room.log.send({ text });
    await until(room, ({ messages, outbox }) => messages.length === 2 && outbox.length === 0);
    // What the server would tell of the deletion goes with its life.
    const { manager } = ada.lakh;
    manager.reconnection(false);
    manager.engine.close();
    const other = ben.rooms.open(id);
    await until(other, ({ loaded }) => loaded);
    const system = `${own.url}/api/v1/chat/room:delete`;
    const deleted = await fetch(system, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ room: id }),
    });
    expect(deleted.status).toBe(200);
    await ben.chat.room.create({ id });
    for (const key of ["a", "b", "c"]) await ben.chat.message.send({ room: id, key, text: key });
    for (const pinned of [true, false, true, false]) {
      await ben.chat.message.pin({ room: id, seq: 1, pinned });
    }
    await own.restart();
    manager.reconnection(true);
    manager.open();
    const texts = ({ messages }: ChatRoomState) => messages.map(({ text }) => text).join();
    await until(room, (state) => texts(state) === "a,b,c");
  });

  test("that becomes a crowd counts, and names who is here when it is one no longer", async () => {
    const own = await RealServer.start({ LAKH_CHAT__THIN_FROM: "3", LAKH_CHAT__CROWD_FROM: "50" });
    open.push(() => void own.stop());
    const ada = withRooms("Ada", own.url);
    const room = ada.rooms.open("tea");
    await until(room, ({ loaded }) => loaded);
    const others = ["Ben", "Cem", "Dora"].map((name) => person(name, own.url));
    for (const { chat } of others) await chat.join("tea");
    await until(room, ({ info, count: here }) => info?.crowd === "thinned" && here === 4);
    await others[0]!.chat.typing("tea", true);
    const state = await until(room, ({ typists }) => typists === 1);
    expect(state.typing.map(({ user }) => user.name)).toEqual(["Ben"]);
    for (const { chat } of others.slice(1)) await chat.leave("tea");
    const few = await until(
      room,
      ({ info, people }) => info?.crowd === "none" && people.size === 2,
    );
    expect([...few.people.keys()].sort()).toEqual(["dev:ada", "dev:ben"]);
  });
});

test(
  "statuses are told of those who are watched, over a lost connection, until nobody wants them",
  async () => {
    const ada = person();
    const ben = person(fresh("Ben"));
    await connected(ben.chat);
    const statuses = new PeopleStatus(ada.chat);
    open.push(() => statuses.stop());
    const is = (status: string) =>
      new Promise<void>((done) => {
        if (statuses.get(ben.me.id)?.status === status) done();
        const stop = statuses.onChange((change) => {
          if (change.id !== ben.me.id || change.status !== status) return;
          stop();
          done();
        });
      });
    const release = statuses.watch([ben.me.id]);
    const again = statuses.watch([ben.me.id]);
    await is("online");
    const away = is("away");
    expect(await ben.chat.me.status({ status: "away" })).toEqual({ status: "away" });
    await away;
    ada.lakh.manager.engine.close();
    await connected(ada.chat);
    const back = is("online");
    await ben.chat.me.status({ status: "online" });
    await back;
    release();
    release();
    expect(statuses.get(ben.me.id)).toBeDefined();
    again();
    expect(statuses.get(ben.me.id)).toBeUndefined();
  },
  BOUND_MS,
);
