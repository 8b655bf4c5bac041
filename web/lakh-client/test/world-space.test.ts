/** Spaces against the real server: they stay true, whatever becomes of the connection. */
import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { Lakh, LakhError, Space, type SpaceHandleEvents } from "../src/index.js";
import { RealServer } from "./real.js";

const BOUND_MS = 60_000;
/** Whoever wants to be away comes back when told to. */
const NEVER_MS = 3_600_000;
vi.setConfig({ testTimeout: BOUND_MS });
let server: RealServer;
/** It waits for members who are cut off for a second only. */
let hasty: RealServer;
const open: (() => void)[] = [];

beforeAll(async () => {
  [server, hasty] = await Promise.all([
    RealServer.start({}, "world"),
    RealServer.start({ LAKH_SPACES__GRACE_MS: "1000" }, "world"),
  ]);
}, BOUND_MS);
afterEach(() => {
  for (const close of open.splice(0)) close();
});
afterAll(() => Promise.all([server.stop(), hasty.stop()]));

async function person(name: string, { url } = server, reconnectionDelay = 20) {
  const manager = { reconnectionDelay, reconnectionDelayMax: reconnectionDelay, forceNew: true };
  const lakh = new Lakh(url, { auth: { name }, timeoutMs: BOUND_MS, manager });
  open.push(() => lakh.close());
  lakh.world.connect();
  await new Promise<void>((done) => {
    lakh.world.onState(({ status }) => status === "connected" && done());
  });
  return lakh;
}

/** Waits until what a space is like is as wanted, looked at whenever it tells something. */
function until(space: Space, wanted: () => boolean): Promise<void> {
  return new Promise((done) => {
    const look = () => wanted() && done();
    const events: (keyof SpaceHandleEvents)[] = [
      "enter",
      "leave",
      "update",
      "location",
      "lock",
      "phase",
    ];
    for (const event of events) space.on(event, look);
    look();
  });
}

const bySession = (one: { session: string }, other: { session: string }) =>
  one.session < other.session ? -1 : 1;
const plain = (space: Space) => [...space.members.values()].sort(bySession);

/** Ada comes back when told to, with `reconnectNow`. */
async function two(name: string, from = server) {
  const [ada, ben] = [await person("Ada", from, NEVER_MS), await person("Ben", from)];
  const adas = await ada.world.enterSpace(name, { profile: { colour: "teal" } });
  const bens = await ben.world.enterSpace(name);
  await until(adas, () => adas.members.size === 2);
  return { ada, ben, adas, bens };
}

async function cut(lakh: Lakh, space: Space) {
  lakh.world.socket.io.engine.close();
  await until(space, () => space.phase === "away");
}

/** What the client has is what the server says. */
async function expectTrue(space: Space, lakh: Lakh): Promise<void> {
  const truth = await lakh.world.space.get({ space: space.name });
  expect(plain(space)).toEqual(truth.members.sort(bySession));
  expect([...space.locks.values()].sort(bySession)).toEqual(truth.locks.sort(bySession));
}

interface Ran {
  board: Space;
  lock: object;
}

test("the example of the document does what it says", async () => {
  const page = readFileSync(new URL("../../../docs/world.md", import.meta.url), "utf8");
  const [, example] = /### Spaces that come back\n\n```js\n([^]*?)```/u.exec(page) ?? [];
  type Run = (lakh: Lakh, draw: () => void, console: object) => Promise<Ran>;
  const body = `return (async () => { ${example}; return { board, lock }; })();`;
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- it runs as it stands there
  const run = new Function("lakh", "draw", "console", body) as Run;
  const lines: string[] = [];
  const ignore = () => undefined;
  const log = (line: string) => lines.push(line);
  const { board, lock } = await run(await person("Ada"), ignore, { log });
  await until(board, () => board.me?.location !== null);
  expect(board.me).toMatchObject({ profile: { colour: "teal" }, location: { slide: 3 } });
  expect(board.locks.get("title")).toEqual(lock);
  await (await person("Ben")).world.enterSpace(board.name);
  await until(board, () => board.members.size === 2);
  expect(lines).toEqual(["Ben is here, as one of 2"]);
});

test("members, locations, cursors and locks are what the others did", async () => {
  const { adas, bens, ben } = await two("board");
  expect(adas.me).toMatchObject({ connected: true, profile: { colour: "teal" }, location: null });
  expect(plain(bens)).toEqual(plain(adas));
  const pointed = new Promise((done) => bens.on("cursors", done));
  adas.cursor(0.25, 0.5);
  expect(await pointed).toEqual([{ session: adas.session, x: 0.25, y: 0.5 }]);
  await adas.setLocation({ slide: 3 });
  await until(bens, () => bens.members.get(adas.session)?.location !== null);
  expect(bens.members.get(adas.session)?.location).toEqual({ slide: 3 });
  await adas.setProfile("red");
  await until(bens, () => bens.members.get(adas.session)?.profile === "red");

  const lock = await adas.lock("title", { forS: 30 });
  await until(bens, () => bens.locks.has("title"));
  expect(bens.locks.get("title")).toEqual(lock);
  const refused = await bens.lock("title").catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: "locked", current: lock });
  expect(await adas.unlock("title")).toBe(true);
  await until(bens, () => !bens.locks.has("title"));

  expect(await ben.world.enterSpace("board")).toBe(bens);
  await bens.leave();
  await until(adas, () => adas.members.size === 1);
  expect(bens.phase).toBe("left");
  expect(await bens.lock("title").catch((error: unknown) => error)).toBeInstanceOf(LakhError);
});

test("whoever is back in time was never gone, and says what they have said meanwhile", async () => {
  const { ada, ben, adas, bens } = await two("back");
  const { session } = adas;
  await adas.setLocation("here");
  await adas.lock("title");
  const heard: string[] = [];
  bens.on("enter", (member) => heard.push(`+${member.session}`));
  bens.on("leave", (member) => heard.push(`-${member.session}`));
  await cut(ada, adas);
  await until(bens, () => bens.members.get(session)?.connected === false);
  // What happens meanwhile.
  await adas.setLocation("there");
  await bens.setLocation("body");
  await bens.lock("body");
  ada.reconnectNow();
  await until(adas, () => adas.phase === "in" && adas.me?.location === "there");
  await until(bens, () => bens.members.get(session)?.location === "there");
  await until(bens, () => bens.members.get(session)?.connected === true);
  expect([adas.session, heard]).toEqual([session, []]);
  expect([...adas.locks.keys()].sort()).toEqual(["body", "title"]);
  expect(adas.locks.get("title")?.session).toBe(session);
  expect(adas.members.get(bens.session)?.location).toBe("body");
  await until(adas, () => adas.me?.connected === true);
  expect(plain(bens)).toEqual(plain(adas));
  await expectTrue(adas, ada);
  await expectTrue(bens, ben);
});

test("whoever is back too late is a member again, with profile and place, once", async () => {
  const { ada, ben, adas, bens } = await two("late", hasty);
  const cleos = await (await person("Cleo", hasty)).world.enterSpace(adas.name);
  await adas.setLocation("title");
  await adas.lock("title");
  await until(bens, () => bens.locks.has("title"));
  const before = adas.session;
  await cut(ada, adas);
  await until(bens, () => !bens.members.has(before) && !bens.locks.has("title"));
  await cleos.leave();
  await until(bens, () => bens.members.size === 1);
  ada.reconnectNow();
  await until(adas, () => adas.phase === "in");
  await until(bens, () => bens.members.get(adas.session)?.location === "title");
  expect(bens.members.get(adas.session)?.profile).toEqual({ colour: "teal" });
  await until(adas, () => adas.me?.location === "title");
  expect([adas.members.size, bens.members.size]).toEqual([2, 2]);
  await expectTrue(adas, ada);
  await expectTrue(bens, ben);
  // One is a member as any other: what one does is told, and what others do is heard.
  await adas.lock("title");
  await until(bens, () => bens.locks.get("title")?.session === adas.session);
  await bens.setLocation("end");
  await until(adas, () => adas.members.get(bens.session)?.location === "end");
});

test("whoever leaves while the connection is lost is gone, and may come in anew", async () => {
  const { ada, ben, adas, bens } = await two("left", hasty);
  await adas.lock("title");
  await until(bens, () => bens.locks.has("title"));
  await cut(ada, adas);
  await adas.leave();
  ada.reconnectNow();
  await until(bens, () => bens.members.size === 1 && bens.locks.size === 0);
  await expectTrue(bens, ben);
  const again = await ada.world.enterSpace(adas.name);
  await until(bens, () => bens.members.has(again.session));
  expect(again.phase).toBe("in");
  await expectTrue(again, ada);
});

test("whoever is known no longer is a new member, and says what they had said", async () => {
  const { ada, adas, bens } = await two("new");
  await adas.setLocation("here");
  const before = [adas.session, bens.session];
  await server.restart();
  await until(adas, () => adas.phase === "away");
  ada.reconnectNow();
  for (const space of [adas, bens]) {
    await until(space, () => space.phase === "in" && !before.includes(space.session));
    const isAnew = () => !before.some((one) => space.members.has(one));
    await until(space, () => space.members.size === 2 && isAnew());
  }
  await until(bens, () => bens.members.get(adas.session)?.location === "here");
  await until(adas, () => adas.me?.location === "here");
  expect(bens.members.get(adas.session)?.profile).toEqual({ colour: "teal" });
  expect(plain(bens)).toEqual(plain(adas));
});
