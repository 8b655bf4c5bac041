/** Spaces against the real server: they stay true, whatever becomes of the connection. */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { Lakh, LakhError, Space, type SpaceHandleEvents } from "../src/index.js";
import type { SpaceWire } from "../src/world/space.js";
import { RealServer } from "./real.js";

const BOUND_MS = 60_000;
let server: RealServer;
const open: (() => void)[] = [];

beforeAll(async () => {
  server = await RealServer.start({}, "world");
}, BOUND_MS);
afterEach(() => {
  for (const close of open.splice(0)) close();
});
afterAll(() => server.stop());

async function person(name: string) {
  const manager = { reconnectionDelay: 20, reconnectionDelayMax: 50, forceNew: true };
  const lakh = new Lakh(server.url, { auth: { name }, timeoutMs: BOUND_MS, manager });
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

const plain = (space: Space) =>
  [...space.members.values()].sort((one, other) => (one.session < other.session ? -1 : 1));

async function two(name: string) {
  const [ada, ben] = [await person("Ada"), await person("Ben")];
  const adas = await ada.world.enterSpace(name, { profile: { colour: "teal" } });
  const bens = await ben.world.enterSpace(name);
  await until(adas, () => adas.members.size === 2);
  return { ada, ben, adas, bens };
}

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

test("whoever comes back is the member they were, with what they have said meanwhile", async () => {
  const { ada, adas, bens } = await two("back");
  const { session } = adas;
  await adas.setLocation("here");
  await adas.lock("title");
  const left: string[] = [];
  bens.on("leave", (member) => left.push(member.session));
  ada.world.socket.io.engine.close();
  await until(adas, () => adas.phase === "away");
  await adas.setLocation("there");
  await until(adas, () => adas.phase === "in" && adas.me?.location === "there");
  await until(bens, () => bens.members.get(session)?.location === "there");
  await until(bens, () => bens.members.get(session)?.connected === true);
  expect([adas.session, left]).toEqual([session, []]);
  expect(adas.locks.get("title")?.session).toBe(session);
  expect(plain(bens)).toEqual(plain(adas));
});

test(
  "whoever is known no longer is a new member, and says what they had said",
  async () => {
    const { adas, bens } = await two("new");
    await adas.setLocation("here");
    const before = [adas.session, bens.session];
    await server.restart();
    for (const space of [adas, bens]) {
      await until(space, () => space.phase === "in" && !before.includes(space.session));
      await until(
        space,
        () => space.members.size === 2 && !before.some((one) => space.members.has(one)),
      );
    }
    await until(bens, () => bens.members.get(adas.session)?.location === "here");
    await until(adas, () => adas.me?.location === "here");
    expect(bens.members.get(adas.session)?.profile).toEqual({ colour: "teal" });
    expect(plain(bens)).toEqual(plain(adas));
  },
  BOUND_MS,
);

const answer = {
  space: "s",
  session: "a",
  resume: "a.x",
  resumed: false,
  members: [],
  locations: [],
  locks: [],
};

test("who leaves on the way back is out of it", async () => {
  const asked: string[] = [];
  let back: (() => void) | undefined;
  const wire: SpaceWire = {
    request: (event) => {
      asked.push(event);
      return Promise.reject(new LakhError("disconnected", "away"));
    },
    enter: (_, entered) => {
      back = () => entered(answer);
      return Promise.resolve();
    },
    cursor: () => undefined,
    left: () => undefined,
  };
  const space = new Space(wire, { space: "s" }, answer);
  space.away();
  space.comeBack();
  await space.leave();
  expect(asked).toEqual([]);
  back?.();
  expect([asked, space.phase]).toEqual([["space:leave"], "left"]);
});

test("of two words about a lock the later one counts, in whichever order they come", () => {
  const wire = {} as SpaceWire;
  const space = new Space(wire, { space: "s" }, answer);
  const heard: unknown[] = [];
  space.on("lock", (component, lock) => heard.push([component, lock?.version ?? null]));
  const lock = (version: number) => ({ component: "c", version, session: "b", since: 1, until: 2 });
  const word = (version: number, free = false) =>
    space.hearLock({ space: "s", component: "c", version, lock: free ? null : lock(version) });
  word(5);
  word(4);
  word(4, true);
  word(5);
  word(5, true);
  word(5);
  word(6);
  expect(heard).toEqual([
    ["c", 5],
    ["c", null],
    ["c", 6],
  ]);
});
