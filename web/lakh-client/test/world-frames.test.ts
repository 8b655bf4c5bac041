/** The decoder against what the server's own has recorded: same bytes, same view after each frame. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { FrameError } from "../src/world/bits.js";
import { Replica } from "../src/world/replica.js";
import { layoutOf, type WorldSchema } from "../src/world/schema.js";

interface Recorded {
  frame: string;
  [told: string]: unknown;
}

interface Story {
  cell_bits: number;
  schema: WorldSchema;
  frames: Recorded[];
}

const file = new URL("../../../modules/world/tests/frames.json", import.meta.url);
const stories = JSON.parse(readFileSync(file, "utf8")) as Record<string, Story>;

const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, "hex"));

const replicaOf = ({ schema, cell_bits }: Story) => new Replica(layoutOf(schema, cell_bits));

/** All that is seen, in the words of the recording. */
function seen(replica: Replica): object[] {
  const { dims } = replica.layout;
  return [...replica.ids()]
    .sort((a, b) => a - b)
    .map((id) => {
      const home = replica.home(id)!;
      const { held, slot } = home;
      const { channels, hasVelocity } = held.kind;
      const turned = channels.some(({ type }) => type === "turn" || type === "quaternion");
      return {
        id,
        kind: held.kindNumber,
        position: replica.place(home, replica.tick).slice(0, dims),
        ...(hasVelocity ? { velocity: slot.velocity.slice(0, dims), told: slot.at } : {}),
        ...(turned ? { rotation: slot.rotation } : {}),
        fields: slot.fields,
      };
    });
}

/** A frame, and what it came to; with all that is seen then, where that is recorded. */
function after(replica: Replica, { frame, entities }: Recorded): object {
  const { sections, ...applied } = replica.apply(bytes(frame));
  expect(sections).toEqual([]);
  return { frame, ...applied, ...(entities ? { entities: seen(replica) } : {}) };
}

describe.each(Object.entries(stories))("recorded frames in %s", (_name, story) => {
  test("are seen as the server's own decoder sees them", () => {
    const replica = replicaOf(story);
    for (const recorded of story.frames) {
      expect(after(replica, recorded)).toEqual(recorded);
    }
    expect(replica.size).toBeGreaterThan(0);
  });

  test("that are cut off anywhere are refused, and nothing is known after it", () => {
    const [first] = story.frames;
    const whole = bytes(first!.frame);
    for (let length = 0; length < whole.length; length += 1) {
      const replica = replicaOf(story);
      expect(() => replica.apply(whole.subarray(0, length))).toThrow(FrameError);
      expect(replica.size).toBe(0);
      expect(() => replica.apply(whole)).toThrow("an earlier frame could not be read");
    }
  });

  test("with bits turned over are read or refused, and nothing else happens", () => {
    // A small generator of its own, so that a failure comes again.
    let state = 12345;
    const random = (below: number) => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    let refused = 0;
    for (let round = 0; round < 300; round += 1) {
      const replica = replicaOf(story);
      try {
        for (const { frame } of story.frames.slice(0, 12)) {
          const bent = bytes(frame);
          if (random(3) === 0) {
            const at = random(bent.length);
            bent[at] = (bent[at] ?? 0) ^ (1 << random(8));
          }
          replica.apply(bent);
          seen(replica);
        }
      } catch (error) {
        expect(error).toBeInstanceOf(FrameError);
        expect(replica.size).toBe(0);
        refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(0);
  });
});

test("what other parts of the house have to say is handed on", () => {
  const replica = replicaOf(Object.values(stories)[0]!);
  const head = [1, 7, 0, 0, 0];
  const { sections, tick } = replica.apply(new Uint8Array([...head, 1, 2, 8, 9, 200, 0]));
  expect(tick).toBe(7);
  expect(sections).toEqual([
    { part: 1, bytes: new Uint8Array([8, 9]) },
    { part: 200, bytes: new Uint8Array() },
  ]);
});
