/** Rates from counters: the server counts since its start, the page shows a second. */
import type { Stats } from "../api/client.ts";

/** `at_ms` is a monotonic clock of the page, `time_ms` the time of day for the plot's axis. */
export interface Sample {
  at_ms: number;
  time_ms: number;
  stats: Stats;
}

export interface Point {
  time_ms: number;
  /** Messages a second. Null: not known, as after a restart or a pause. */
  in: number | null;
  out: number | null;
}

/** Two samples further apart than this say nothing about a single second. */
const PAUSE_MS = 4000;
export const WINDOW_MS = 5 * 60_000;
/** The kernel counts CPU time in steps of 10 ms: a few seconds make a steady figure. */
const CPU_SPAN_MS = 5000;

export function pointBetween(before: Sample | undefined, now: Sample): Point {
  const unknown = { time_ms: now.time_ms, in: null, out: null };
  if (!before || restarted(before, now)) return unknown;
  const span_ms = now.at_ms - before.at_ms;
  if (span_ms <= 0 || span_ms > PAUSE_MS) return unknown;
  const rate = (from: number, to: number) => ((to - from) * 1000) / span_ms;
  return {
    time_ms: now.time_ms,
    in: rate(before.stats.messages_in, now.stats.messages_in),
    out: rate(before.stats.messages_out, now.stats.messages_out),
  };
}

/** Adds a point and forgets those older than the plot's window. */
export function addPoint(points: readonly Point[], point: Point): Point[] {
  const oldest = point.time_ms - WINDOW_MS;
  return [...points.filter((one) => one.time_ms >= oldest), point];
}

/** Per cent of one core over the last seconds; null until two samples tell. */
export function cpuPercent(samples: readonly Sample[]): number | null {
  const now = samples.at(-1);
  if (!now) return null;
  const before = samples.find(
    (one) => now.at_ms - one.at_ms <= CPU_SPAN_MS && !restarted(one, now),
  );
  if (!before || before === now) return null;
  const used = now.stats.cpu_seconds - before.stats.cpu_seconds;
  return Math.max(0, (used * 100_000) / (now.at_ms - before.at_ms));
}

/** Keeps the samples that `cpuPercent` looks at. */
export function addSample(samples: readonly Sample[], sample: Sample): Sample[] {
  return [...samples.filter((one) => sample.at_ms - one.at_ms <= CPU_SPAN_MS), sample];
}

function restarted(before: Sample, now: Sample): boolean {
  return (
    before.stats.started_at !== now.stats.started_at ||
    before.stats.node !== now.stats.node ||
    now.stats.messages_in < before.stats.messages_in ||
    now.stats.messages_out < before.stats.messages_out
  );
}

/** The plot in words, for those who don't see it. */
export function summarise(points: readonly Point[]): string {
  const known = points.filter((p) => p.in !== null && p.out !== null);
  const last = known.at(-1);
  if (!last) return "Messages a second: not known yet.";
  const peak = (side: "in" | "out") => Math.round(Math.max(...known.map((p) => p[side] ?? 0)));
  return (
    `Messages a second over the last 5 minutes. In: now ${Math.round(last.in ?? 0)}, ` +
    `at most ${peak("in")}. Out: now ${Math.round(last.out ?? 0)}, at most ${peak("out")}.`
  );
}

export interface MinuteRow {
  start_ms: number;
  in: number;
  out: number;
}

/** Means of half minutes, newest first: the plot as a table. */
export function tableRows(points: readonly Point[]): MinuteRow[] {
  const step_ms = 30_000;
  const buckets = new Map<number, { in: number; out: number; count: number }>();
  for (const point of points) {
    if (point.in === null || point.out === null) continue;
    const start = Math.floor(point.time_ms / step_ms) * step_ms;
    const sum = buckets.get(start) ?? { in: 0, out: 0, count: 0 };
    buckets.set(start, {
      in: sum.in + point.in,
      out: sum.out + point.out,
      count: sum.count + 1,
    });
  }
  return [...buckets]
    .sort(([a], [b]) => b - a)
    .map(([start_ms, sum]) => ({
      start_ms,
      in: sum.in / sum.count,
      out: sum.out / sum.count,
    }));
}
