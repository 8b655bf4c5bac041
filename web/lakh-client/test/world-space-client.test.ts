/** Spaces of a client, with a server that says what the test wants it to: what comes when, and what is asked then. */
import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Server, type Socket } from "socket.io";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Lakh, type Space, type SpaceLock, type SpacePhase } from "../src/index.js";

type Ack = (answer: object) => void;

let http: HttpServer;
let io: Server;
let lakh: Lakh;
/** What was asked, by event; `enter` answers what waits for one. */
let asked: string[];
let waiting: { socket: Socket; ack: Ack }[];
let told: () => void;

const LOCK: SpaceLock = { component: "title", version: 5, session: "b", since: 1, until: 2 };

function serve(socket: Socket): void {
  socket.on("space:enter", (_fields: object, ack: Ack) => {
    asked.push("enter");
    waiting.push({ socket, ack });
    told();
  });
  socket.on("space:leave", (_fields: object, ack?: Ack) => {
    asked.push("leave");
    ack?.({ ok: true });
    told();
  });
  socket.on("space:profile", (_fields: object, ack: Ack) => {
    asked.push("profile");
    ack({ ok: true });
  });
}

beforeEach(async () => {
  [asked, waiting, told] = [[], [], () => undefined];
  http = createServer();
  io = new Server(http);
  io.of("/world").on("connection", serve);
  await new Promise<void>((done) => http.listen(0, "127.0.0.1", done));
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const manager = { reconnectionDelay: 20, reconnectionDelayMax: 50, forceNew: true };
  lakh = new Lakh(url, { auth: { name: "Ada" }, manager });
});
afterEach(async () => {
  lakh.close();
  await io.close();
});

async function until(wanted: () => boolean): Promise<void> {
  while (!wanted()) await new Promise<void>((done) => (told = done));
}

const count = (event: string) => asked.filter((one) => one === event).length;

/** Answers the `n`-th time that somebody wants to enter. */
async function answer(n: number, before: (socket: Socket) => void = () => undefined) {
  await until(() => waiting.length >= n);
  const { socket, ack } = waiting[n - 1]!;
  before(socket);
  const there = { members: [], locations: [], locks: [] };
  ack({ ok: true, space: "s", session: `a${n}`, resume: `a${n}.x`, resumed: false, ...there });
  return socket;
}

async function enter(): Promise<Space> {
  const [space] = await Promise.all([lakh.world.enterSpace("s"), answer(1)]);
  return space;
}

function phase(space: Space, wanted: SpacePhase): Promise<void> {
  return new Promise((done) => {
    if (space.phase === wanted) done();
    space.on("phase", (now) => now === wanted && done());
  });
}

test("whoever asks twice at once is in it once", async () => {
  const [one, other] = await Promise.all([
    lakh.world.enterSpace("s"),
    lakh.world.enterSpace("s", { profile: 1 }),
    answer(1),
  ]);
  expect(other).toBe(one);
  expect(asked).toEqual(["enter", "profile"]);
});

test("a lock that is told of before the answer comes is not lost by it", async () => {
  const news = { space: "s", component: "title", version: 5, lock: LOCK };
  const [space] = await Promise.all([
    lakh.world.enterSpace("s"),
    answer(1, (socket) => {
      socket.emit("space:lock", { ...news, space: "another" });
      socket.emit("space:lock", news);
    }),
  ]);
  expect([...space.locks.values()]).toEqual([LOCK]);
});

test("whom the server takes for a member no longer enters again, if that makes sense", async () => {
  const space = await enter();
  const away = phase(space, "away");
  waiting[0]!.socket.emit("space:closed", { space: "s", again: true });
  await away;
  const back = phase(space, "in");
  await answer(2);
  await back;
  expect(space.session).toBe("a2");
  const left = phase(space, "left");
  waiting[1]!.socket.emit("space:closed", { space: "s", again: false });
  await left;
  expect(asked).toEqual(["enter", "enter"]);
});

test("whoever leaves without a connection says so when it is back", async () => {
  const space = await enter();
  waiting[0]!.socket.conn.close();
  await phase(space, "away");
  await space.leave();
  await until(() => count("leave") === 1);
  expect(asked).toEqual(["enter", "leave"]);
});

test("whoever leaves on the way back and comes in anew is in", async () => {
  const space = await enter();
  waiting[0]!.socket.conn.close();
  await until(() => waiting.length === 2);
  await space.leave();
  const anew = lakh.world.enterSpace("s");
  await until(() => waiting.length === 3);
  await answer(2);
  await answer(3);
  expect((await anew).session).toBe("a3");
  // What was asked before this has been heard by now.
  await (await anew).setProfile(1);
  expect(asked).toEqual(["enter", "enter", "enter", "profile"]);
});
