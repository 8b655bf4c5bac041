import { describe, expect, test } from "vitest";
import type { Stats } from "../api/client.ts";
import {
  addPoint,
  addSample,
  cpuPercent,
  pointBetween,
  summarise,
  tableRows,
  WINDOW_MS,
  type Sample,
} from "./rates.ts";

function sample(at_ms: number, change: Partial<Stats> = {}): Sample {
  const stats: Stats = {
    node: "n1",
    version: "0.1.0",
    started_at: 1,
    uptime_s: at_ms / 1000,
    ready: true,
    mode: "development",
    connections: { total: 0, websocket: 0, polling: 0 },
    sockets: 0,
    rooms: 0,
    namespaces: [],
    messages_in: 0,
    messages_out: 0,
    bytes_in: 0,
    bytes_out: 0,
    cpu_seconds: 0,
    resident_bytes: 0,
    loops: 1,
    ...change,
  };
  return { at_ms, time_ms: at_ms, stats };
}

describe("rates", () => {
  test("are counted by the time that has really passed", () => {
    const before = sample(1000, { messages_in: 10, messages_out: 100 });
    const now = sample(3000, { messages_in: 20, messages_out: 160 });
    expect(pointBetween(before, now)).toEqual({ time_ms: 3000, in: 5, out: 30 });
  });

  test("are not known at first, after a pause, or after a restart", () => {
    const before = sample(1000, { messages_in: 10 });
    const unknown = { in: null, out: null };
    expect(pointBetween(undefined, before)).toMatchObject(unknown);
    expect(pointBetween(before, sample(60_000, { messages_in: 20 }))).toMatchObject(unknown);
    expect(pointBetween(before, sample(2000, { messages_in: 3 }))).toMatchObject(unknown);
    const restarted = sample(2000, { messages_in: 20, started_at: 2 });
    expect(pointBetween(before, restarted)).toMatchObject(unknown);
    expect(pointBetween(before, sample(2000, { messages_in: 20, node: "n2" }))).toMatchObject(
      unknown,
    );
  });

  test("older than the window are forgotten", () => {
    const first = { time_ms: 0, in: 1, out: 1 };
    const points = addPoint([first], { time_ms: WINDOW_MS, in: 2, out: 2 });
    expect(points).toHaveLength(2);
    expect(addPoint(points, { time_ms: WINDOW_MS + 1, in: 3, out: 3 })[0]?.in).toBe(2);
  });
});

describe("CPU", () => {
  test("is the share of the last seconds, of one core", () => {
    const samples = [0, 1, 2, 3].reduce<Sample[]>(
      (all, n) => addSample(all, sample(n * 1000, { cpu_seconds: n * 0.25 })),
      [],
    );
    expect(cpuPercent(samples)).toBeCloseTo(25);
  });

  test("is not known from one sample, nor across a restart", () => {
    expect(cpuPercent([])).toBeNull();
    expect(cpuPercent([sample(0)])).toBeNull();
    const restart = [
      sample(0, { cpu_seconds: 9 }),
      sample(1000, { cpu_seconds: 0.1, started_at: 2 }),
    ];
    expect(cpuPercent(restart)).toBeNull();
  });
});

test("the plot is told in words and as a table", () => {
  const points = [
    { time_ms: 1000, in: null, out: null },
    { time_ms: 2000, in: 4, out: 50 },
    { time_ms: 29_000, in: 8, out: 10 },
    { time_ms: 31_000, in: 2, out: 20 },
  ];
  expect(summarise(points)).toContain("In: now 2, at most 8. Out: now 20, at most 50.");
  expect(summarise([])).toContain("not known");
  expect(tableRows(points)).toEqual([
    { start_ms: 30_000, in: 2, out: 20 },
    { start_ms: 0, in: 6, out: 30 },
  ]);
});
