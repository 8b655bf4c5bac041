import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { TestServer } from "../../lakh-client/test/server.ts";
import { memoryShelf, type Shelf } from "../app/storage.ts";
import { ChatSession, type ChatState } from "./session.ts";

let server: TestServer;
const open: ChatSession[] = [];

beforeEach(async () => {
  server = await TestServer.start();
});

afterEach(async () => {
  for (const session of open.splice(0)) session.close();
  await server.stop();
});

function start(name: string, shelf: Shelf = memoryShelf(), delay_ms = 10): ChatSession {
  const manager = { reconnectionDelay: delay_ms, reconnectionDelayMax: delay_ms, forceNew: true };
  const session = new ChatSession({ auth: { name }, shelf, url: server.url, manager });
  open.push(session);
  return session;
}

/** Resolves with the first state, now or later, in which the condition holds. */
function until(session: ChatSession, holds: (state: ChatState) => boolean): Promise<ChatState> {
  return new Promise((done) => {
    const look = () => {
      const state = session.state.get();
      if (!holds(state)) return false;
      done(state);
      return true;
    };
    if (look()) return;
    const stop = session.state.subscribe(() => {
      if (look()) stop();
    });
  });
}

const texts = (state: ChatState, room = "tea") =>
  state.rooms.get(room)?.messages.map((message) => message.text) ?? [];
const outbox = (state: ChatState, room = "tea") => state.rooms.get(room)?.outbox ?? [];
const isLoaded = (state: ChatState) => state.rooms.get("tea")?.loaded === true;
const isLost = (state: ChatState) => state.connection.status === "reconnecting";

describe("a room", () => {
  test("opens with its newest messages, and older ones on demand", async () => {
    for (let n = 1; n <= 120; n += 1) server.post("tea", `m${n}`);
    const session = start("Ada");
    session.open("tea");
    const state = await until(session, isLoaded);
    expect(texts(state)).toHaveLength(50);
    expect(texts(state).at(-1)).toBe("m120");
    await session.room("tea")?.log.loadOlder();
    await session.room("tea")?.log.loadOlder();
    expect(texts(session.state.get())).toHaveLength(120);
    expect(session.state.get().rooms.get("tea")?.older).toBe("none");
  });

  test("hears what others say, and shows who types until they have said it", async () => {
    const ada = start("Ada");
    const ben = start("Ben");
    ada.open("tea");
    ben.open("tea");
    await until(ada, isLoaded);
    await until(ben, isLoaded);
    ben.room("tea")?.typing(true);
    await until(ada, (state) => state.rooms.get("tea")?.typing[0]?.user.name === "Ben");
    ben.send("tea", { text: "hello" });
    const heard = await until(ada, (state) => texts(state).includes("hello"));
    expect(heard.rooms.get("tea")?.typing).toEqual([]);
    await until(ada, ({ directory }) => directory.rooms[0]?.last?.text === "hello");
  });

  test("that was left is heard of no more", async () => {
    const session = start("Ada");
    session.open("tea");
    session.open("milk");
    await until(session, (state) => isLoaded(state) && state.rooms.get("milk")?.phase === "joined");
    await session.leave("tea");
    server.post("tea", "unheard");
    server.post("milk", "heard");
    const state = await until(session, (now) => texts(now, "milk").includes("heard"));
    expect(state.rooms.has("tea")).toBe(false);
    expect(state.directory.rooms.find((room) => room.id === "tea")?.last).toBeNull();
  });

  test("is read as far as one has looked, also after a reload", async () => {
    server.post("tea", "one");
    const shelf = memoryShelf();
    const session = start("Ada", shelf);
    session.open("tea");
    await until(session, isLoaded);
    session.markRead("tea");
    expect(session.state.get().read).toEqual({ tea: 1 });
    expect(start("Ada", shelf).state.get().read).toEqual({ tea: 1 });
  });
});

describe("a lost connection", () => {
  test("what was missed is asked for and stands in order", async () => {
    server.post("tea", "before");
    const session = start("Ada");
    session.open("tea");
    await until(session, isLoaded);
    server.cut();
    await until(session, isLost);
    for (let n = 1; n <= 5; n += 1) server.post("tea", `missed ${n}`);
    const state = await until(session, (now) => texts(now).length === 6);
    expect(texts(state)).toEqual(["before", ...[1, 2, 3, 4, 5].map((n) => `missed ${n}`)]);
  });

  test("after a very long absence the newest page is enough", async () => {
    server.post("tea", "before");
    const session = start("Ada");
    session.open("tea");
    await until(session, isLoaded);
    server.cut();
    await until(session, isLost);
    for (let n = 1; n <= 1500; n += 1) server.post("tea", `m${n}`);
    const state = await until(session, (now) => texts(now).at(-1) === "m1500");
    expect(texts(state)).toHaveLength(50);
    expect(state.rooms.get("tea")?.older).toBe("more");
  });

  test("what is written meanwhile goes out by itself, once", async () => {
    const session = start("Ada");
    session.open("tea");
    await until(session, isLoaded);
    server.cut();
    await until(session, isLost);
    session.send("tea", { text: "written away" });
    expect(outbox(session.state.get())).toMatchObject([{ status: "waiting" }]);
    const state = await until(session, (now) => texts(now).includes("written away"));
    expect(outbox(state)).toEqual([]);
    expect(server.room("tea").messages).toHaveLength(1);
  });

  test("an answer that is lost with the connection doubles no message", async () => {
    const session = start("Ada");
    const watcher = start("Ben");
    session.open("tea");
    watcher.open("tea");
    await until(session, isLoaded);
    await until(watcher, isLoaded);
    server.faults.lostAnswers = 1;
    session.send("tea", { text: "hello" });
    await until(watcher, (state) => texts(state).includes("hello"));
    server.cut();
    await until(session, isLost);
    const state = await until(
      session,
      (now) => now.connection.status === "connected" && outbox(now).length === 0,
    );
    expect(texts(state)).toEqual(["hello"]);
    expect(server.room("tea").messages).toHaveLength(1);
  });

  test("a message lost on its way to us is noticed by the next one", async () => {
    const session = start("Ada");
    session.open("tea");
    await until(session, isLoaded);
    server.post("tea", "silent", undefined, { silent: true });
    server.post("tea", "heard");
    const state = await until(session, (now) => texts(now).length === 2);
    expect(texts(state)).toEqual(["silent", "heard"]);
  });
});

describe("a refused message", () => {
  test("stays with the server's reason, and is sent again with its key", async () => {
    const session = start("Ada");
    session.open("tea");
    await until(session, isLoaded);
    server.faults.refusals.times = 1;
    session.send("tea", { text: "hello" });
    const failed = await until(session, (state) => outbox(state)[0]?.status === "failed");
    const { key, error } = outbox(failed)[0]!;
    expect(error).toBe("Not now.");
    session.room("tea")?.log.retry(key);
    await until(session, (state) => texts(state).includes("hello"));
    expect(server.room("tea").messages).toMatchObject([{ key }]);
  });

  test("survives a reload, and can be deleted", async () => {
    const shelf = memoryShelf();
    const session = start("Ada", shelf);
    session.open("tea");
    await until(session, isLoaded);
    server.faults.refusals.times = 1;
    session.send("tea", { text: "hello" });
    await until(session, (state) => outbox(state)[0]?.status === "failed");
    session.close();

    const again = start("Ada", shelf);
    again.open("tea");
    const state = await until(again, isLoaded);
    expect(outbox(state)).toMatchObject([{ text: "hello", status: "failed" }]);
    again.room("tea")?.log.discard(outbox(state)[0]!.key);
    expect(again.memory.outbox("tea")).toEqual([]);
  });
});

test("a message that never left is sent after a reload", async () => {
  const shelf = memoryShelf();
  const session = start("Ada", shelf, 3_600_000);
  session.open("tea");
  await until(session, isLoaded);
  server.cut();
  await until(session, isLost);
  session.send("tea", { text: "written away" });
  session.close();

  const again = start("Ada", shelf);
  again.open("tea");
  const state = await until(again, (now) => texts(now).includes("written away"));
  expect(outbox(state)).toEqual([]);
});

test("a refused sign-in is told, and tried again only when asked", async () => {
  const session = start("");
  const { connection } = await until(session, (state) => state.connection.status === "refused");
  expect(connection).toMatchObject({ error: { code: "unauthorized" } });
  session.reconnect();
  await until(session, (state) => state.connection.status === "connecting");
  await until(session, (state) => state.connection.status === "refused");
});
