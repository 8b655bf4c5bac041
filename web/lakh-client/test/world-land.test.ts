/** Sections of land against what the server's own reader has recorded. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { FrameError, Reader } from "../src/world/bits.js";
import { Land } from "../src/world/land.js";
import type { LandInfo } from "../src/world/shapes.js";

interface Story {
  land: LandInfo;
  sections: { section: string; [told: string]: unknown }[];
}

const file = new URL("../../../modules/world/tests/land.json", import.meta.url);
const stories = JSON.parse(readFileSync(file, "utf8")) as Record<string, Story>;

/** A section as it stands in a frame: behind its number and its length. */
function inner(hex: string): Uint8Array {
  const reader = new Reader(new Uint8Array(Buffer.from(hex, "hex")));
  reader.u8();
  return reader.slice(reader.varint());
}

const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

function runsOf(cells: Uint16Array): number[][] {
  const runs: [number, number][] = [];
  for (const value of cells) {
    const last = runs.at(-1);
    if (last?.[0] === value) last[1] += 1;
    else runs.push([value, 1]);
  }
  return runs;
}

function known(land: Land): object[] {
  const inOrder = (a: readonly number[], b: readonly number[]) => {
    const axis = a.findIndex((c, index) => c !== b[index]);
    return axis === -1 ? 0 : a[axis]! - b[axis]!;
  };
  return [...land.chunks()]
    .sort((a, b) => inOrder(a.at, b.at))
    .map(({ at, version, cells, parts }) => ({
      chunk: at,
      version,
      runs: cells ? runsOf(cells) : [],
      layers: land.plan.layers.flatMap((layer) => {
        const part = parts.get(layer);
        if (!part) return [];
        return [{ layer, version: part.version, type: part.type, bytes: hexOf(part.bytes) }];
      }),
    }));
}

describe.each(Object.entries(stories))("recorded land in %s", (_name, story) => {
  test("is what the server's own reader has", () => {
    const land = new Land(story.land);
    for (const recorded of story.sections) {
      const applied = land.apply(inner(recorded.section));
      expect({
        section: recorded.section,
        cells: applied.cells.map(({ at }) => at),
        gone: applied.gone.map(({ at }) => at),
        layers: applied.layers.map(({ chunk, layer }) => [chunk.at, layer]),
        known: known(land),
      }).toEqual(recorded);
    }
  });

  test("with bits turned over is read or refused, and nothing else happens", () => {
    let state = 99;
    const random = (below: number) => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    let refused = 0;
    for (let round = 0; round < 400; round += 1) {
      const land = new Land(story.land);
      try {
        for (const { section } of story.sections) {
          const bent = inner(section).slice();
          if (random(3) === 0) bent[random(bent.length)]! ^= 1 << random(8);
          land.apply(bent);
        }
      } catch (error) {
        expect(error).toBeInstanceOf(FrameError);
        expect([...land.chunks()]).toEqual([]);
        refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(0);
  });
});

test("a cell is found by where it is, also below zero", () => {
  const plan = { dims: 2, cell: 0.5, edge: 4, most: 255, fill: 0, reach: 10, layers: [] };
  const land = new Land(plan);
  // The chunk at -1, 0, with its cell 3, 1 set to 9: whole, uniform 0; then a change.
  land.apply(new Uint8Array([2, 1, 0, 1, 2, 0, 0]));
  land.apply(new Uint8Array([1, 1, 0, 2, 1, 7, 9]));
  expect(land.cellAt([-0.2, 0.6])).toEqual([-1, 1]);
  expect(land.value([-1, 1])).toBe(9);
  expect(land.value([-2, 1])).toBe(0);
  expect(land.value([0, 1])).toBeUndefined();
});
