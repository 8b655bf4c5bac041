/**
 * The node's figures, asked for once a second while somebody looks: with no subscriber, or
 * with the tab hidden, nothing is asked.
 */
import { fetchStats, type Stats, type StatsAnswer } from "../api/client.ts";
import { Store } from "../app/store.ts";
import { bearer, identity } from "../signin/identity.ts";
import { addPoint, addSample, cpuPercent, pointBetween, type Point, type Sample } from "./rates.ts";

export interface Feed {
  /** The last answer; null before the first. */
  answer: StatsAnswer | null;
  /** The last figures that came, even when the server can't be reached now. */
  stats: Stats | null;
  /** Time of day of those figures. */
  stats_ms: number;
  points: readonly Point[];
  cpu_percent: number | null;
}

const EVERY_MS = 1000;

export const feed = new Store<Feed>({
  answer: null,
  stats: null,
  stats_ms: 0,
  points: [],
  cpu_percent: null,
});

let samples: readonly Sample[] = [];
let watchers = 0;
let timer: ReturnType<typeof setTimeout> | undefined;
/** Which loop is alive: an answer that comes back to an older one is dropped. */
let turn = 0;

/** Keeps the feed running until the returned function is called. */
export function watchFeed(): () => void {
  watchers += 1;
  if (watchers === 1) {
    document.addEventListener("visibilitychange", restart);
    restart();
  }
  return () => {
    watchers -= 1;
    if (watchers === 0) document.removeEventListener("visibilitychange", restart);
    if (watchers === 0) stop();
  };
}

/** Asks at once, as after a sign-in. */
export function restart(): void {
  stop();
  if (watchers > 0 && document.visibilityState === "visible") void ask(turn);
}

function stop(): void {
  turn += 1;
  clearTimeout(timer);
}

async function ask(mine: number): Promise<void> {
  const started = performance.now();
  const answer = await fetchStats(bearer(identity.get()));
  if (mine !== turn) return;
  feed.update((old) => take(old, answer));
  const rest = Math.max(0, EVERY_MS - (performance.now() - started));
  timer = setTimeout(() => void ask(mine), rest);
}

function take(old: Feed, answer: StatsAnswer): Feed {
  const time_ms = Date.now();
  if (answer.kind !== "ok") {
    return { ...old, answer, points: addPoint(old.points, { time_ms, in: null, out: null }) };
  }
  const sample = { at_ms: performance.now(), time_ms, stats: answer.stats };
  const point = pointBetween(samples.at(-1), sample);
  samples = addSample(samples, sample);
  return {
    answer,
    stats: answer.stats,
    stats_ms: time_ms,
    points: addPoint(old.points, point),
    cpu_percent: cpuPercent(samples),
  };
}
