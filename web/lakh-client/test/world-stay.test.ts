/** A stay in a world: what its events say, and what becomes of it when the connection is lost. */
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { LakhError } from "../src/errors.js";
import type { EnterAnswer, EnterFields, InputFields } from "../src/world/shapes.js";
import { World, type WorldWire } from "../src/world/world.js";
import type { WorldSchema } from "../src/world/schema.js";

const file = new URL("../../../modules/world/tests/frames.json", import.meta.url);
const { "two dimensions": story } = JSON.parse(readFileSync(file, "utf8")) as Record<
  string,
  {
    cell_bits: number;
    schema: WorldSchema;
    frames: { frame: string; tick: number; entered: number[]; left: number[] }[];
  }
>;
const recorded = story!.frames;
const bytes = (index: number) => new Uint8Array(Buffer.from(recorded[index]!.frame, "hex"));

/** The connection, as far as a world needs it: what is asked is kept, and answered by the test. */
class TestWire implements WorldWire {
  readonly inputs: InputFields[] = [];
  readonly read: number[] = [];
  readonly entering: { fields: EnterFields; entered: (answer: EnterAnswer) => void }[] = [];
  refusal: LakhError | null = null;
  request = () => Promise.reject(new Error("nothing else is asked here"));
  left = () => undefined;

  input(fields: InputFields): void {
    this.inputs.push(fields);
  }

  seen(tick: number): void {
    this.read.push(tick);
  }

  enter(fields: EnterFields, entered: (answer: EnterAnswer) => void): Promise<void> {
    if (this.refusal) return Promise.reject(this.refusal);
    this.entering.push({ fields, entered });
    return Promise.resolve();
  }
}

const answer = (entity: number | null): EnterAnswer => ({
  world: {
    world: "plaza",
    name: "Plaza",
    schema: story!.schema,
    cell_bits: story!.cell_bits,
    hz: 20,
    bounds: { min: [-500, -500], max: [500, 500] },
    max_speed: 8,
    tick: 1,
    land: null,
  },
  entity,
  at: [1, 2],
  session: "s1",
});

function begin(entity: number | null = 7777) {
  const wire = new TestWire();
  const world = new World(wire, { world: "plaza", view: 60 }, answer(entity));
  const heard: string[] = [];
  world.on("enter", ({ id }) => heard.push(`+${id}`));
  world.on("leave", ({ id }) => heard.push(`-${id}`));
  world.on("phase", (phase) => heard.push(phase));
  world.on("closed", ({ again }) => heard.push(`closed ${again}`));
  return { wire, world, heard };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("who comes and goes is told, and the map is what the frames say", () => {
  const { world, heard } = begin();
  const told: string[] = [];
  recorded.forEach(({ entered, left }, index) => {
    world.frame(bytes(index));
    told.push(...left.map((id) => `-${id}`), ...entered.map((id) => `+${id}`));
  });
  expect(heard).toEqual(told);
  const { stats } = world;
  expect(stats.frames).toBe(recorded.length);
  expect(stats.merged).toBeGreaterThan(0);
  expect(stats.entities).toBe(world.entities.size);
  expect(Object.values(stats.tiers).reduce((sum, count) => sum + count)).toBe(stats.entities);
});

describe("a lost connection", () => {
  test("is come back from: whoever is still there was never gone", () => {
    const { wire, world, heard } = begin();
    world.frame(bytes(0));
    world.move({ at: [5, 6] });
    heard.length = 0;
    const before = [...world.entities.values()];
    world.away();
    // Something of the time before.
    world.frame(bytes(1));
    world.comeBack();
    expect(wire.entering[0]!.fields).toEqual({
      world: "plaza",
      view: 60,
      session: "s1",
      at: [5, 6],
    });
    wire.entering[0]!.entered(answer(7777));
    world.frame(bytes(0));
    expect(heard).toEqual(["away", "in"]);
    expect([...world.entities.values()]).toEqual(before);
  });

  test("whoever is not told of again once all is there has left meanwhile", () => {
    const { wire, world, heard } = begin();
    for (let index = 0; index < 12; index += 1) world.frame(bytes(index));
    const before = [...world.entities.keys()];
    heard.length = 0;
    world.away();
    world.comeBack();
    wire.entering[0]!.entered(answer(7777));
    for (let index = 0; index < 2; index += 1) world.frame(bytes(index));
    const { stats } = world;
    expect(stats.settled).toBe(true);
    const now = new Set(world.entities.keys());
    const gone = before.filter((id) => !now.has(id));
    expect(gone.length).toBeGreaterThan(0);
    expect(heard.filter((one) => one.startsWith("-")).sort()).toEqual(
      gone.map((id) => `-${id}`).sort(),
    );
  });

  test("is tried again, later each time, until the server says no", async () => {
    const { wire, world, heard } = begin();
    wire.refusal = new LakhError("unavailable", "not yet");
    world.away();
    world.comeBack();
    await vi.advanceTimersByTimeAsync(20_000);
    expect(world.phase).toBe("away");
    wire.refusal = new LakhError("not_found", "the world is no more");
    await vi.advanceTimersByTimeAsync(20_000);
    expect(world.phase).toBe("left");
    expect(heard).toEqual(["away", "closed false", "left"]);
  });

  test("is not tried where there is no connection: that calls when it is back", async () => {
    const { wire, world } = begin();
    wire.refusal = new LakhError("disconnected", "not sent");
    world.away();
    world.comeBack();
    await vi.advanceTimersByTimeAsync(60_000);
    expect([world.phase, vi.getTimerCount()]).toEqual(["away", 0]);
  });
});

test("a frame that can't be read makes it enter again, but not without end", async () => {
  const { wire, world } = begin();
  world.frame(bytes(0));
  world.frame(new Uint8Array([9]));
  expect(wire.entering.length).toBe(1);
  wire.entering[0]!.entered(answer(7777));
  world.frame(new Uint8Array([9]));
  expect(wire.entering.length).toBe(1);
  await vi.advanceTimersByTimeAsync(11_000);
  expect(wire.entering.length).toBe(2);
});

test("a world that moves is entered again, one that is deleted is left", () => {
  const { wire, world, heard } = begin();
  world.closed({ world: "plaza", reason: "moved", again: true });
  expect(wire.entering.length).toBe(1);
  wire.entering[0]!.entered(answer(1));
  expect(world.own).toBe(1);
  world.closed({ world: "plaza", reason: "deleted", again: false });
  expect(heard).toEqual(["closed true", "away", "in", "closed false", "left"]);
});

test("what was read is said, but not of each frame", () => {
  const { wire, world } = begin();
  for (let index = 0; index < 20; index += 1) {
    world.frame(bytes(index));
    vi.advanceTimersByTime(50);
  }
  expect(wire.read).toEqual([0, 8, 16].map((index) => recorded[index]!.tick));
});

describe("moves", () => {
  test("are sent at once, then no more often than the world has ticks, and while one moves", () => {
    const { wire, world } = begin();
    world.frame(bytes(0));
    world.move({ velocity: [4, 0] });
    const seen = recorded[0]!.tick;
    expect(wire.inputs).toEqual([{ seq: 1, at: [1, 2], velocity: [4, 0], seen }]);
    world.move({ velocity: [0, 4], fields: { name: "Ada" } });
    expect(wire.inputs.length).toBe(1);
    vi.advanceTimersByTime(1000);
    expect(wire.inputs.length).toBe(21);
    expect(wire.inputs[1]).toMatchObject({ seq: 2, velocity: [0, 4], fields: { name: "Ada" } });
    expect(wire.inputs[2]).not.toHaveProperty("fields");
    world.move({ velocity: [0, 0] });
    vi.advanceTimersByTime(1000);
    expect(wire.inputs.length).toBe(22);
    expect(wire.inputs.at(-1)!.at![1]).toBeCloseTo(6, 0);
    expect(world.position[1]).toBe(wire.inputs.at(-1)!.at![1]);
  });

  test("are no faster than the world allows", () => {
    const { wire, world } = begin();
    world.move({ velocity: [30, 40] });
    expect(wire.inputs[0]!.velocity).toEqual([4.8, 6.4]);
  });

  test("of a spectator are none", () => {
    const { wire, world } = begin(null);
    world.move({ velocity: [1, 0] });
    expect(wire.inputs).toEqual([]);
  });

  test("that the server refuses are told of", () => {
    const { world } = begin();
    const corrections: object[] = [];
    world.on("corrected", (correction) => corrections.push(correction));
    // The story corrects the client once.
    recorded.forEach((_, index) => world.frame(bytes(index)));
    expect(corrections).toEqual([{ at: [1.5, 0.1], by: expect.any(Number) as number, input: 300 }]);
    expect(world.position).toEqual([1.5, 0.1]);
  });
});
