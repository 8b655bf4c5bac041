import { describe, expect, test } from "vitest";
import { ADA, BEN, message, MINUTE_MS, NOON } from "../test/messages.ts";
import { BLOCK_MS, isSameBlock, toRows, type Row } from "./grouping.ts";
import { dayLabel, shortTime } from "./times.ts";

/** Rows as short text: `day`, or `Ada: 1 2`. */
function shape(...args: Parameters<typeof toRows>): string[] {
  return toRows(...args).map((row) =>
    row.kind !== "block"
      ? row.kind
      : `${row.from.name}: ${row.lines.map((line) => line.seq ?? line.text).join(" ")}`,
  );
}

describe("blocks", () => {
  test("one person's messages within five minutes stand together", () => {
    const list = [
      message(1, { time: NOON }),
      message(2, { time: NOON + BLOCK_MS }),
      message(3, { time: NOON + 2 * BLOCK_MS + 1 }),
    ];
    expect(shape(list, [], BEN)).toEqual(["day", "Ada: 1 2", "Ada: 3"]);
  });

  test("another person ends the block", () => {
    const list = [message(1), message(2, { from: BEN }), message(3)];
    expect(shape(list, [], BEN)).toEqual(["day", "Ada: 1", "Ben: 2", "Ada: 3"]);
  });

  test("a new day ends the block and has its line", () => {
    const midnight = new Date(2025, 5, 15).getTime();
    const list = [message(1, { time: midnight - MINUTE_MS }), message(2, { time: midnight })];
    expect(shape(list, [], BEN)).toEqual(["day", "Ada: 1", "day", "Ada: 2"]);
  });

  test("two people of one name are two people", () => {
    const other = { id: "dev:ada2", name: "Ada" };
    expect(shape([message(1), message(2, { from: other })], [], BEN)).toHaveLength(3);
  });

  test("one's own are known by the person's id", () => {
    const rows = toRows([message(1), message(2, { from: BEN })], [], BEN);
    expect(rows.map((row) => row.kind === "block" && row.mine)).toEqual([false, false, true]);
  });
});

test("a new message leaves the other blocks as they were", () => {
  const list = [message(1), message(2, { from: BEN })];
  const blocks = (rows: Row[]) => rows.filter((row) => row.kind === "block");
  const before = blocks(toRows(list, [], BEN));
  const after = blocks(toRows([...list, message(3, { from: BEN })], [], BEN));
  const same = before.map((block, index) => isSameBlock(block, after[index]!));
  expect(same).toEqual([true, false]);
});

describe("what is new", () => {
  const list = [message(1), message(2), message(3)];

  test("is not marked where it may begin before what is here", () => {
    const later = [message(41), message(42)];
    expect(shape(later, [], BEN, 10, false)).toEqual(["day", "Ada: 41 42"]);
    expect(shape(later, [], BEN, 10, true)).toEqual(["new", "day", "Ada: 41 42"]);
    expect(shape(later, [], BEN, 40, false)).toEqual(["new", "day", "Ada: 41 42"]);
  });

  test("stands below its line, also within what one person says", () => {
    expect(shape(list, [], BEN, 1)).toEqual(["day", "Ada: 1", "new", "Ada: 2 3"]);
  });

  test("begins with what others say", () => {
    const mixed = [message(1), message(2, { from: BEN }), message(3)];
    expect(shape(mixed, [], BEN, 1)).toEqual(["day", "Ada: 1", "Ben: 2", "new", "Ada: 3"]);
  });

  test("has no line when all was read", () => {
    expect(shape(list, [], BEN, 3)).toEqual(["day", "Ada: 1 2 3"]);
  });
});

describe("messages on their way", () => {
  const sending = { key: "k9", text: "hello", status: "sending" } as const;

  test("stand last and join one's own block", () => {
    const list = [message(1, { from: BEN })];
    expect(shape(list, [{ ...sending, time: NOON }], BEN)).toEqual(["day", "Ben: 1 hello"]);
  });

  test("stand last also when the page's clock is behind", () => {
    const list = [message(1, { from: BEN, time: NOON })];
    const late = { ...sending, time: NOON - 26 * 60 * MINUTE_MS };
    expect(shape(list, [late], BEN)).toEqual(["day", "Ben: 1 hello"]);
  });

  test("keep their place on the page when the server's copy comes", () => {
    const keyOf = (rows: ReturnType<typeof toRows>) =>
      rows.flatMap((row) => (row.kind === "block" ? row.lines.map((line) => line.key) : []));
    const before = toRows([], [{ ...sending, time: NOON }], ADA);
    const after = toRows([message(1, { key: "k9", time: NOON + 50 })], [], ADA);
    expect(keyOf(after)).toEqual(keyOf(before));
  });
});

describe("days in words", () => {
  test("today, yesterday, a weekday, a date", () => {
    const now = new Date(2025, 5, 14, 0, 5).getTime();
    const at = (day: number, hour = 23) => dayLabel(new Date(2025, 5, day, hour).getTime(), now);
    expect(at(14, 0)).toBe("Today");
    expect(at(13)).toBe("Yesterday");
    expect(at(8)).toBe(
      new Intl.DateTimeFormat(undefined, { weekday: "long" }).format(now - 6 * 864e5),
    );
    expect(at(7)).toContain("7");
    expect(dayLabel(new Date(2023, 0, 2).getTime(), now)).toContain("2023");
  });

  test("a list shows a time for today only", () => {
    expect(shortTime(NOON, NOON + MINUTE_MS)).toMatch(/12/u);
    expect(shortTime(NOON - 864e5, NOON)).toBe("Yesterday");
  });
});
