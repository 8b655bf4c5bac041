/** How entities move between frames, and one's own before the server has answered. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { TickClock } from "../src/world/clock.js";
import { Entity } from "../src/world/entity.js";
import { Prediction } from "../src/world/prediction.js";
import { Replica } from "../src/world/replica.js";
import { layoutOf, type WorldSchema } from "../src/world/schema.js";
import { Traffic } from "../src/world/stats.js";

describe("the clock", () => {
  test("goes on between frames, and evens out when they come", () => {
    const clock = new TickClock(20);
    const jitter = [0, 12, 3, 18, 7, 0, 15, 4];
    for (let tick = 0; tick < 200; tick += 1) {
      clock.heard(100 + tick, 128, 1000 + tick * 50 + jitter[tick % jitter.length]!);
    }
    expect(clock.at(10_950)).toBeGreaterThan(298);
    expect(clock.at(10_950)).toBeLessThan(299.1);
    const steps: number[] = [];
    for (let time = 10_951; time < 11_300; time += 10) {
      steps.push(clock.at(time + 10) - clock.at(time));
    }
    expect(Math.max(...steps)).toBeLessThan(0.21);
  });

  test("never goes back, but for another world", () => {
    const clock = new TickClock(20);
    clock.heard(100, 128, 0);
    const before = clock.at(60);
    clock.heard(101, 128, 70);
    expect(clock.at(70)).toBeGreaterThanOrEqual(before);
    clock.heard(5, 128, 80);
    expect(clock.at(80)).toBe(5);
  });

  test("slows down with the world's time, and stands still in silence", () => {
    const clock = new TickClock(20);
    clock.heard(100, 64, 0);
    expect(clock.pace).toBe(0.5);
    expect(clock.at(1000)).toBeCloseTo(110, 6);
    expect(clock.at(60_000)).toBe(clock.at(30_000));
  });
});

const file = new URL("../../../modules/world/tests/frames.json", import.meta.url);
const { "two dimensions": story } = JSON.parse(readFileSync(file, "utf8")) as Record<
  string,
  { cell_bits: number; schema: WorldSchema; frames: { frame: string; tick: number }[] }
>;
const frames = story!.frames.map(({ frame }) => new Uint8Array(Buffer.from(frame, "hex")));

describe("entities", () => {
  test("are shown without a jump whenever they are told of, and end where they were told to be", () => {
    const replica = new Replica(layoutOf(story!.schema, story!.cell_bits));
    const entities = new Map<number, Entity>();
    let time = 0;
    let steps = 0;
    for (const [index, bytes] of frames.entries()) {
      const { tick } = story!.frames[index]!;
      time += replica.tick === 0 ? 0 : (tick - replica.tick) * 50;
      // As all stand when the frame comes: what it says is read before anybody hears of it.
      const shown = new Map<number, { position: number[]; rotation: Entity["rotation"] }>();
      for (const [id, entity] of entities) {
        entity.show(tick, time);
        shown.set(id, { position: [...entity.position], rotation: entity.rotation });
      }
      const applied = replica.apply(bytes);
      for (const id of applied.entered) {
        entities.set(id, new Entity(id, replica, replica.home(id)!, applied.tick, time));
      }
      for (const id of applied.left) entities.delete(id);
      for (const id of applied.changed) {
        const entity = entities.get(id)!;
        // Nothing is too far to be walked to.
        entity.tell(replica, replica.home(id)!, tick, time, Infinity);
        const { position, rotation } = shown.get(id)!;
        entity.position.forEach((x, axis) => expect(x).toBeCloseTo(position[axis]!, 6));
        if (typeof rotation === "number") {
          expect(Math.cos(Number(entity.rotation) - rotation)).toBeCloseTo(1, 6);
        }
        steps += 1;
      }
    }
    expect(steps).toBeGreaterThan(300);
    for (const [id, entity] of entities) {
      entity.show(replica.tick, time + 60_000);
      const told = replica.place(replica.home(id)!, replica.tick);
      entity.position.forEach((x, axis) => expect(x).toBeCloseTo(told[axis]!, 6));
    }
  });

  test("that jump are there at once", () => {
    const replica = new Replica(layoutOf(story!.schema, story!.cell_bits));
    const { entered, tick } = replica.apply(frames[0]!);
    const id = entered[0]!;
    const entity = new Entity(id, replica, replica.home(id)!, tick, 0);
    const home = replica.home(id)!;
    home.slot.q[0]! += 4000;
    entity.tell(replica, home, tick, 0, 10);
    expect(entity.position[0]).toBeCloseTo(replica.place(home, tick)[0]!, 6);
  });

  test("name their fields, and the values of an enum", () => {
    const replica = new Replica(layoutOf(story!.schema, story!.cell_bits));
    const { entered, tick } = replica.apply(frames[0]!);
    const ship = entered
      .map((id) => new Entity(id, replica, replica.home(id)!, tick, 0))
      .find(({ kind }) => kind === "ship")!;
    expect(Object.keys(ship.fields)).toEqual(["name", "fuel", "on", "sort", "motto"]);
    expect(["tug", "ferry", "liner"]).toContain(ship.fields.sort);
    expect(typeof ship.rotation).toBe("number");
  });
});

describe("one's own entity", () => {
  const bounds = { min: [-10, -10], max: [10, 10] };

  test("moves at once, and stays where it is when the server agrees", () => {
    const own = new Prediction([0, 0], bounds, 5, 0);
    own.steer([4, 0]);
    own.advance(500, 1);
    expect(own.at).toEqual([2, 0]);
    expect(own.say()).toBe(1);
    own.taken(1);
    expect(own.waiting).toBe(0);
    expect(own.shown(500)).toEqual([2, 0]);
  });

  test("walks again from where the server says it is what was not answered yet", () => {
    const own = new Prediction([0, 0], bounds, 5, 0);
    own.steer([4, 0]);
    for (const time of [250, 500, 750]) {
      own.advance(time, 1);
      own.say();
    }
    own.advance(875, 1);
    expect(own.at[0]).toBeCloseTo(3.5, 9);
    // The first input was refused: it still stands at 0.2.
    own.taken(1);
    const off = own.correct([0.2, 0], 875);
    expect(own.at[0]).toBeCloseTo(0.2 + 1 + 1 + 0.5, 9);
    expect(off).toBeCloseTo(0.8, 9);
    // It's not seen to jump.
    expect(own.shown(875)[0]).toBeCloseTo(3.5, 9);
    expect(own.shown(2000)[0]).toBeCloseTo(2.7, 3);
  });

  test("stays within the bounds, and goes as slowly as the world's time", () => {
    const own = new Prediction([9, 0], bounds, 5, 0);
    own.steer([4, 1]);
    own.advance(1000, 0.5);
    expect(own.at).toEqual([10, 0.5]);
  });

  test("numbers its inputs on when it comes back", () => {
    const own = new Prediction([0, 0], bounds, 5, 0);
    own.say();
    own.restart([3, 3], 10);
    expect(own.waiting).toBe(0);
    expect(own.at).toEqual([3, 3]);
    expect(own.say()).toBe(2);
  });
});

test("traffic is counted by the second, and frames that were left out", () => {
  const traffic = new Traffic();
  [0, 0, 0, 3, 0].forEach((merged, index) => traffic.frame(merged, 100, index * 300));
  expect(traffic.rates(1200)).toEqual({ bytes: 400, frames: 4, merged: 3 });
  expect([traffic.frames, traffic.bytes, traffic.merged]).toEqual([5, 500, 3]);
  expect(traffic.rates(9000).bytes).toBe(0);
});
