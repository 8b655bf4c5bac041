import type { World } from "lakh-client";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { cut } from "../session.ts";
import { worldOfPath, worldPath } from "../paths.ts";
import { Camera } from "./camera.ts";
import { cellsBetween } from "./geometry.ts";
import { chance, noise } from "./noise.ts";
import { Painting, type PaintedCell } from "./painting.ts";
import { Walking } from "./walking.ts";

describe("walking", () => {
  test("goes by keys, as fast across as along", () => {
    const walking = new Walking();
    expect(walking.press("KeyQ")).toBe(false);
    expect(walking.press("KeyD")).toBe(true);
    walking.press("ArrowDown");
    const { x, y } = walking.direction({ x: 0, y: 0 });
    expect(x).toBeCloseTo(Math.SQRT1_2, 9);
    expect(y).toBeCloseTo(Math.SQRT1_2, 9);
    walking.release("ArrowDown");
    expect(walking.direction({ x: 0, y: 0 })).toEqual({ x: 1, y: 0 });
    walking.press("KeyA");
    expect(walking.direction({ x: 0, y: 0 })).toEqual({ x: 0, y: 0 });
  });

  test("goes to where one points, and is there; a key takes over", () => {
    const walking = new Walking();
    walking.goTo({ x: 10, y: 0 }, false);
    expect(walking.direction({ x: 4, y: 0 })).toEqual({ x: 1, y: 0 });
    expect(walking.direction({ x: 9.9, y: 0 })).toEqual({ x: 0, y: 0 });
    expect(walking.target).toBeNull();
    // Not back and forth over it, where a step is long.
    walking.goTo({ x: 10, y: 0 }, false);
    expect(walking.direction({ x: 9.5, y: 0 }, 0.7)).toEqual({ x: 0, y: 0 });
    walking.goTo({ x: 10, y: 0 }, true);
    walking.press("KeyW");
    expect(walking.direction({ x: 0, y: 0 })).toEqual({ x: 0, y: -1 });
  });
});

test("a stroke leaves no hole", () => {
  const cells = cellsBetween({ x: 0, y: 0 }, { x: 5, y: -2 });
  expect(cells.at(-1)).toEqual({ x: 5, y: -2 });
  let before = { x: 0, y: 0 };
  for (const cell of cells) {
    expect(Math.max(Math.abs(cell.x - before.x), Math.abs(cell.y - before.y))).toBe(1);
    before = cell;
  }
  expect(cellsBetween({ x: 3, y: 3 }, { x: 3, y: 3 })).toEqual([]);
});

test("the camera finds the place of the world under a place of the screen", () => {
  const camera = new Camera();
  camera.resize(800, 600);
  camera.follow({ x: 100, y: -20 }, 16, true);
  expect(camera.toScreen({ x: 100, y: -20 })).toEqual({ x: 400, y: 300 });
  const place = camera.toWorld({ x: 123, y: 456 });
  const back = camera.toScreen(place);
  expect([back.x, back.y]).toEqual([expect.closeTo(123, 6), expect.closeTo(456, 6)]);
});

test("chance is the same for everybody, and even", () => {
  expect(chance(3, -7, 1)).toBe(chance(3, -7, 1));
  let sum = 0;
  for (let index = 0; index < 10_000; index += 1) sum += chance(index % 100, index / 100, 5);
  expect(sum / 10_000).toBeCloseTo(0.5, 1);
  expect(Math.abs(noise(4.999, 2, 1) - noise(5.001, 2, 1))).toBeLessThan(0.01);
});

test("names are cut between letters, worlds are found in addresses", () => {
  expect(cut("Ödön", 4)).toBe("Öd");
  expect(cut("Ada", 32)).toBe("Ada");
  expect(worldOfPath("/world")).toBe("plaza");
  expect(worldOfPath("/world/sea%20side")).toBe("sea side");
  expect(worldOfPath("/world/%E0%A4%A")).toBe("plaza");
  expect(worldPath("plaza")).toBe("/world");
  expect(worldPath("sea side.2")).toBe("/world/sea%20side%2E2");
});

describe("painting", () => {
  const values = new Map<string, number>();
  const listeners: (() => void)[] = [];
  const world = {
    land: {
      plan: { fill: 0 },
      value: (cell: number[]) => values.get(cell.join(" ")),
    },
    on: (_event: string, listener: () => void) => listeners.push(listener),
  } as unknown as World;

  beforeEach(() => {
    vi.useFakeTimers();
    values.clear();
  });
  afterEach(() => void vi.useRealTimers());

  function begin(answer: () => boolean) {
    const sent: PaintedCell[][] = [];
    const painting = new Painting((cells) => {
      sent.push(cells);
      return Promise.resolve(answer());
    });
    painting.follow(world);
    return { painting, sent };
  }

  test("is seen at once and sent together", async () => {
    const { painting, sent } = begin(() => true);
    for (let x = 0; x < 300; x += 1) painting.paint(x, 0, 3);
    painting.paint(5, 0, 4);
    expect(painting.valueOf(5, 0)).toBe(4);
    await vi.advanceTimersByTimeAsync(1000);
    expect(sent.map(({ length }) => length)).toEqual([256, 44]);
    expect(sent.flat().find(({ at }) => at[0] === 5)?.value).toBe(4);
  });

  test("is taken back where it is refused", async () => {
    const { painting } = begin(() => false);
    painting.paint(1, 1, 3);
    expect(painting.valueOf(1, 1)).toBe(3);
    await vi.advanceTimersByTimeAsync(1000);
    expect(painting.valueOf(1, 1)).toBe(0);
  });

  test("gives way to what the land says, once it has said it", async () => {
    const { painting } = begin(() => true);
    painting.paint(1, 1, 3);
    await vi.advanceTimersByTimeAsync(100);
    values.set("1 1", 3);
    for (const listener of listeners) listener();
    // Somebody else paints over it.
    values.set("1 1", 7);
    expect(painting.valueOf(1, 1)).toBe(7);
  });
});
