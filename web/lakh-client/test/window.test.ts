import { describe, expect, test } from "vitest";
import { message, messages, seqs } from "./messages.js";
import {
  addLive,
  addNewer,
  addOlder,
  emptyWindow,
  hasGap,
  lastSeq,
  setNewest,
  setAround,
  trimNewest,
  trimOldest,
  type ChatWindow,
} from "../src/chat/window.js";

const loaded = (first: number, last: number): ChatWindow =>
  setNewest(emptyWindow, messages(first, last));

describe("live messages", () => {
  test("the next number joins the run", () => {
    const window = addLive(loaded(1, 3), message(4));
    expect(seqs(window.messages)).toEqual([1, 2, 3, 4]);
    expect(hasGap(window)).toBe(false);
  });

  test("a number that skips others waits ahead, and says that something is missing", () => {
    const window = addLive(loaded(1, 3), message(6));
    expect(seqs(window.messages)).toEqual([1, 2, 3]);
    expect(seqs(window.ahead)).toEqual([6]);
    expect(hasGap(window)).toBe(true);
  });

  test("what comes late closes the gap by itself", () => {
    let window = addLive(loaded(1, 3), message(6));
    window = addLive(window, message(4));
    expect(seqs(window.messages)).toEqual([1, 2, 3, 4]);
    window = addLive(window, message(5));
    expect(seqs(window.messages)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(window.ahead).toEqual([]);
  });

  test("a message told twice is there once", () => {
    const window = loaded(1, 3);
    expect(addLive(window, message(3))).toBe(window);
    const ahead = addLive(addLive(window, message(6)), message(6));
    expect(seqs(ahead.ahead)).toEqual([6]);
  });

  test("before the first page they wait, and join it when it comes", () => {
    const waiting = addLive(addLive(emptyWindow, message(4)), message(5));
    expect(waiting.messages).toEqual([]);
    expect(hasGap(waiting)).toBe(false);
    expect(seqs(setNewest(waiting, messages(2, 4)).messages)).toEqual([2, 3, 4, 5]);
    const missing = setNewest(waiting, messages(1, 2));
    expect(seqs(missing.messages)).toEqual([1, 2]);
    expect(hasGap(missing)).toBe(true);
  });

  test("an empty room's first message is the run", () => {
    const window = addLive(setNewest(emptyWindow, []), message(1));
    expect(seqs(window.messages)).toEqual([1]);
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
  const window = trimOldest(loaded(1, 10), 4);
  expect(seqs(window.messages)).toEqual([7, 8, 9, 10]);
  expect(lastSeq(window)).toBe(10);
  expect(trimOldest(window, 4)).toBe(window);
});

test("any order of arrival ends in the same run", () => {
  // All 120 orders of five messages after a loaded run.
  for (const order of permutations([4, 5, 6, 7, 8])) {
    const window = order.reduce((run, seq) => addLive(run, message(seq)), loaded(1, 3));
    expect(seqs(window.messages)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(window.ahead).toEqual([]);
  }
});

function permutations(items: number[]): number[][] {
  if (items.length <= 1) return [items];
  return items.flatMap((item) =>
    permutations(items.filter((other) => other !== item)).map((rest) => [item, ...rest]),
  );
}

describe("far up", () => {
  const up = setAround(loaded(90, 100), messages(40, 60), true);

  test("what comes live is only counted", () => {
    const window = addLive(up, message(101));
    expect(seqs(window.messages).at(-1)).toBe(60);
    expect(window).toMatchObject({ last: 101, atEnd: false });
    expect(hasGap(window, 101)).toBe(false);
  });

  test("the way down joins up with the end", () => {
    const window = addNewer(addNewer(up, messages(61, 80), false), messages(81, 101), true);
    expect(window).toMatchObject({ atEnd: true, last: 101 });
    expect(window.messages).toHaveLength(62);
  });

  test("a window that grew at its top forgets its bottom, and so is not at the end", () => {
    const window = trimNewest(addOlder(loaded(50, 100), messages(1, 49)), 60);
    expect(seqs(window.messages).at(-1)).toBe(60);
    expect(window).toMatchObject({ atEnd: false, last: 100 });
  });

  test("a page that reaches the end is the newest", () => {
    expect(setAround(up, messages(80, 100), false).atEnd).toBe(true);
  });
});
