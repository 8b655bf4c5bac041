import { describe, expect, test } from "vitest";
import { message, messages, seqs } from "../test/messages.ts";
import {
  addLive,
  addNewer,
  addOlder,
  emptyTimeline,
  hasGap,
  lastSeq,
  setNewest,
  trim,
  type Timeline,
} from "./timeline.ts";

const loaded = (first: number, last: number): Timeline =>
  setNewest(emptyTimeline, messages(first, last));

describe("live messages", () => {
  test("the next number joins the run", () => {
    const timeline = addLive(loaded(1, 3), message(4));
    expect(seqs(timeline.messages)).toEqual([1, 2, 3, 4]);
    expect(hasGap(timeline)).toBe(false);
  });

  test("a number that skips others waits ahead, and says that something is missing", () => {
    const timeline = addLive(loaded(1, 3), message(6));
    expect(seqs(timeline.messages)).toEqual([1, 2, 3]);
    expect(seqs(timeline.ahead)).toEqual([6]);
    expect(hasGap(timeline)).toBe(true);
  });

  test("what comes late closes the gap by itself", () => {
    let timeline = addLive(loaded(1, 3), message(6));
    timeline = addLive(timeline, message(4));
    expect(seqs(timeline.messages)).toEqual([1, 2, 3, 4]);
    timeline = addLive(timeline, message(5));
    expect(seqs(timeline.messages)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(timeline.ahead).toEqual([]);
  });

  test("a message told twice is there once", () => {
    const timeline = loaded(1, 3);
    expect(addLive(timeline, message(3))).toBe(timeline);
    const ahead = addLive(addLive(timeline, message(6)), message(6));
    expect(seqs(ahead.ahead)).toEqual([6]);
  });

  test("before the first page they wait, and join it when it comes", () => {
    const waiting = addLive(addLive(emptyTimeline, message(4)), message(5));
    expect(waiting.messages).toEqual([]);
    expect(hasGap(waiting)).toBe(false);
    expect(seqs(setNewest(waiting, messages(2, 4)).messages)).toEqual([2, 3, 4, 5]);
    const missing = setNewest(waiting, messages(1, 2));
    expect(seqs(missing.messages)).toEqual([1, 2]);
    expect(hasGap(missing)).toBe(true);
  });

  test("an empty room's first message is the run", () => {
    const timeline = addLive(setNewest(emptyTimeline, []), message(1));
    expect(seqs(timeline.messages)).toEqual([1]);
  });
});

describe("history", () => {
  test("older pages stand before the run, also where they overlap", () => {
    expect(seqs(addOlder(loaded(5, 7), messages(2, 5)).messages)).toEqual([2, 3, 4, 5, 6, 7]);
  });

  test("a page that fills the gap lets what waited join", () => {
    const behind = addLive(loaded(1, 3), message(7));
    const partly = addNewer(behind, messages(4, 5), false);
    expect(seqs(partly.messages)).toEqual([1, 2, 3, 4, 5]);
    expect(hasGap(partly)).toBe(true);
    const full = addNewer(partly, messages(6, 7), true);
    expect(seqs(full.messages)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(hasGap(full)).toBe(false);
  });

  test("numbers that the history does not have are not awaited", () => {
    const behind = addLive(loaded(1, 3), message(7));
    const settled = addNewer(behind, [], true);
    expect(seqs(settled.messages)).toEqual([1, 2, 3, 7]);
    expect(hasGap(settled)).toBe(false);
    expect(seqs(addLive(settled, message(8)).messages)).toEqual([1, 2, 3, 7, 8]);
  });

  test("a room that went on without us has a gap up to its last number", () => {
    expect(hasGap(loaded(1, 3), 5)).toBe(true);
    expect(hasGap(loaded(1, 3), 3)).toBe(false);
  });
});

test("trimming keeps the newest", () => {
  const timeline = trim(loaded(1, 10), 4);
  expect(seqs(timeline.messages)).toEqual([7, 8, 9, 10]);
  expect(lastSeq(timeline)).toBe(10);
  expect(trim(timeline, 4)).toBe(timeline);
});

test("any order of arrival ends in the same run", () => {
  // All 120 orders of five messages after a loaded run.
  for (const order of permutations([4, 5, 6, 7, 8])) {
    const timeline = order.reduce((run, seq) => addLive(run, message(seq)), loaded(1, 3));
    expect(seqs(timeline.messages)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(timeline.ahead).toEqual([]);
  }
});

function permutations(items: number[]): number[][] {
  if (items.length <= 1) return [items];
  return items.flatMap((item) =>
    permutations(items.filter((other) => other !== item)).map((rest) => [item, ...rest]),
  );
}
