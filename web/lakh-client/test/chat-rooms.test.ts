import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ChatRooms, Lakh, type ChatRoom, type ChatRoomState, type Outgoing } from "../src/index.js";
import { ADA, TestServer } from "./server.js";

let server: TestServer;
const open: { lakh: Lakh; rooms: ChatRooms }[] = [];

beforeEach(async () => {
  server = await TestServer.start();
});

afterEach(async () => {
  for (const { lakh, rooms } of open.splice(0)) {
    rooms.stop();
    lakh.close();
  }
  await server.stop();
});

function start(name: string, options: Partial<ConstructorParameters<typeof ChatRooms>[1]> = {}) {
  const manager = { reconnectionDelay: 10, reconnectionDelayMax: 20, forceNew: true };
  const lakh = new Lakh(server.url, { auth: { name }, manager });
  const me = { id: `dev:${name.toLowerCase()}`, name };
  const rooms = new ChatRooms(lakh.chat, { me, ...options });
  open.push({ lakh, rooms });
  return { lakh, rooms };
}

function promised<T>() {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
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

const seqs = (state: ChatRoomState) => state.messages.map((one) => one.seq);

/** A room of two, in which both hear each other. */
async function pair(before = 3) {
  for (let n = 1; n <= before; n += 1) server.post("tea", `m${n}`);
  const ada = start("Ada");
  const ben = start("Ben");
  const rooms = [ada.rooms.open("tea"), ben.rooms.open("tea")] as const;
  for (const room of rooms) await until(room, (state) => state.loaded);
  return { ada, ben, rooms };
}

describe("changes", () => {
  test("to a message show at everybody who has it", async () => {
    const { rooms } = await pair();
    const [ada, ben] = rooms;
    await ada.react({ seq: 2 }, "👍");
    await until(ben, (state) => state.messages[1]?.reactions?.[0]?.count === 1);
    await ben.react({ seq: 2 }, "👍");
    const both = await until(ada, (state) => state.messages[1]?.reactions?.[0]?.count === 2);
    expect(both.messages[1]?.reactions).toMatchObject([{ emoji: "👍", mine: 1 }]);
    await ada.edit({ seq: 3 }, "better");
    await until(ben, (state) => state.messages[2]?.text === "better");
    await ada.pin({ seq: 1 }, true);
    await until(ben, (state) => state.messages[0]?.pinned?.by.name === "Ada");
    await ada.delete({ seq: 1 });
    const last = await until(ben, (state) => state.messages[0]?.deleted !== undefined);
    expect(last.messages[0]).toMatchObject({ text: "", seq: 1 });
    expect(last.messages[0]).not.toHaveProperty("pinned");
  });

  test("show at once, and go again when the server refuses", async () => {
    const { rooms } = await pair();
    const [ada] = rooms;
    server.world.rooms.get("tea")!.messages.splice(1, 1);
    const refused = ada.edit({ seq: 2 }, "new");
    expect(ada.state.messages[1]?.text).toBe("new");
    await expect(refused).rejects.toMatchObject({ code: "not_found" });
    expect(ada.state.messages[1]?.text).toBe("m2");
  });

  test("that were not told are noticed by the next one, and asked for", async () => {
    const { rooms } = await pair();
    const [ada, ben] = rooms;
    server.world.mute = true;
    await ada.edit({ seq: 1 }, "untold");
    server.world.mute = false;
    await ada.edit({ seq: 2 }, "told");
    const state = await until(ben, (now) => now.messages[0]?.text === "untold");
    expect(state.messages[1]?.text).toBe("told");
  });

  test("made while one was away are there when one comes back", async () => {
    const { rooms, ben: away } = await pair();
    const [ada, ben] = rooms;
    for (const [, socket] of server.io.of("/chat").sockets) {
      if (socket.id === away.lakh.chat.socket.id) socket.conn.close();
    }
    await ada.edit({ seq: 1 }, "edited meanwhile");
    await ada.delete({ seq: 2 });
    server.post("tea", "said meanwhile");
    const state = await until(
      ben,
      ({ messages }) => messages.length === 4 && messages[1]?.deleted !== undefined,
    );
    expect(state.messages.map((one) => one.text)).toEqual([
      "edited meanwhile",
      "",
      "m3",
      "said meanwhile",
    ]);
  });
});

describe("a thread", () => {
  test("has numbers of its own, and shows at its root", async () => {
    const { rooms } = await pair();
    const [ada, ben] = rooms;
    ben.thread(2);
    await until(ben, (state) => state.threads.get(2)?.loaded === true);
    ada.thread(2).send({ text: "first" });
    ada.thread(2).send({ text: "second" });
    const state = await until(ben, ({ threads }) => threads.get(2)?.messages.length === 2);
    expect(state.threads.get(2)?.messages.map((one) => one.seq)).toEqual([1, 2]);
    const root = await until(ben, ({ messages }) => messages[1]?.replies?.count === 2);
    expect(seqs(root)).toEqual([1, 2, 3]);
  });

  test("types apart from its room", async () => {
    const { rooms } = await pair();
    const [ada, ben] = rooms;
    ben.thread(2);
    ada.typing(true, 2);
    const state = await until(ben, ({ threads }) => threads.get(2)?.typing.length === 1);
    expect(state.typing).toEqual([]);
  });
});

describe("a window", () => {
  test("stays of a size while one scrolls to the first message and back", async () => {
    for (let n = 1; n <= 400; n += 1) server.post("tea", `m${n}`);
    const { rooms } = start("Ada", { keep: 120 });
    const room = rooms.open("tea");
    await until(room, (state) => state.loaded);
    while (room.state.older === "more") await room.log.loadOlder();
    expect(room.state.messages).toHaveLength(120);
    expect(seqs(room.state)[0]).toBe(1);
    expect(room.state).toMatchObject({ atEnd: false, newer: "more", last: 400 });
    server.post("tea", "live");
    await until(room, (state) => state.last === 401);
    while (room.state.newer === "more") await room.log.loadNewer();
    expect(seqs(room.state).at(-1)).toBe(401);
    expect(room.state).toMatchObject({ atEnd: true, older: "more" });
    expect(room.state.messages).toHaveLength(120);
  });

  test("jumps to a message, and to the newest again", async () => {
    for (let n = 1; n <= 400; n += 1) server.post("tea", `m${n}`);
    const { rooms } = start("Ada");
    const room = rooms.open("tea");
    await until(room, (state) => state.loaded);
    expect(await room.log.jumpTo(77)).toBe(true);
    expect(seqs(room.state)).toContain(77);
    expect(room.state).toMatchObject({ older: "more", newer: "more" });
    expect(await room.log.jumpTo(9999)).toBe(false);
    await room.log.toNewest();
    expect(seqs(room.state).at(-1)).toBe(400);
  });
});

describe("what waits", () => {
  test("is kept beyond the page with its thread, and sent once", async () => {
    const shelves = new Map<string, readonly Outgoing[]>();
    const shelf = {
      outbox: (room: string) => [...(shelves.get(room) ?? [])],
      keepOutbox: (room: string, outbox: readonly Outgoing[]) => void shelves.set(room, outbox),
    };
    server.post("tea", "root");
    const first = start("Ada", { shelf });
    const room = first.rooms.open("tea");
    await until(room, (state) => state.loaded);
    first.lakh.close();
    room.log.send({ text: "in the room", carried: { mentions: ["dev:ben"] } });
    room.thread(1).send({ text: "in the thread" });
    expect(shelves.get("tea")).toHaveLength(2);

    const kept = shelves.get("tea")!.map((one) => ({ ...one, status: "waiting" as const }));
    shelves.set("tea", kept);
    const again = start("Ada", { shelf }).rooms.open("tea");
    const state = await until(
      again,
      ({ messages, threads }) => messages.length === 2 && threads.get(1)?.messages.length === 1,
    );
    expect(state.messages[1]?.mentions).toEqual(["dev:ben"]);
    await expect.poll(() => shelves.get("tea")).toEqual([]);
    expect(server.room("tea").threads.get(1)).toHaveLength(1);
  });
});

describe("a room", () => {
  test("tells who is here, who has read, and what it is called now", async () => {
    const { rooms, ada: first } = await pair();
    const [ada, ben] = rooms;
    await until(ada, (state) => state.people.size === 2);
    await first.lakh.chat.room.set({ room: "tea", topic: "Green or black" });
    await until(ben, (state) => state.info?.topic === "Green or black");
    await first.lakh.chat.receipt.read({ room: "tea", seq: 3 });
    const state = await until(ben, ({ receipts }) => receipts.size === 1);
    expect([...state.receipts.values()]).toEqual([{ user: ADA, read: 3 }]);
  });

  test("of one's own is watched again after a lost connection, also if it is not open", async () => {
    const { rooms, ada } = await pair();
    ada.rooms.close("tea");
    const heard = promised<string>();
    server.cut();
    ada.lakh.chat.on("message:new", ({ text }) => heard.resolve(text));
    await until(rooms[1], (state) => state.phase === "joined");
    await expect
      .poll(() => server.io.of("/chat").adapter.rooms.get("tea")?.size, { timeout: 5000 })
      .toBe(2);
    server.post("tea", "news");
    expect(await heard.promise).toBe("news");
  });
});

test("what the server does not know is known once it has said so", async () => {
  server.world.unknown.add("message:search");
  const { lakh } = start("Ada");
  const told = promised<null>();
  lakh.chat.onLacking(() => told.resolve(null));
  expect(lakh.chat.knows("message:search")).toBe(true);
  const asked = lakh.chat.message.search({ words: "tea" });
  await expect(asked).rejects.toMatchObject({ code: "unknown_request" });
  await told.promise;
  expect(lakh.chat.knows("message:search")).toBe(false);
  expect(lakh.chat.knows("message:edit")).toBe(true);
});
