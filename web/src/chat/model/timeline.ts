/**
 * The messages of a room as this page knows them: one run by ascending number in which nothing
 * is missing, and apart from it those that came ahead of something still missing.
 *
 * Numbers say what is missing: after 7 comes 8. When 10 arrives, 8 and 9 were lost on the way
 * (as when the connection was), so 10 waits in `ahead` until the history has brought them.
 */
import type { ChatMessage } from "lakh-client";

export interface Timeline {
  readonly messages: readonly ChatMessage[];
  /** By ascending number; never empty without a request for what is missing. */
  readonly ahead: readonly ChatMessage[];
  /** Whether the newest page was ever loaded: before that, an empty run means nothing. */
  readonly loaded: boolean;
}

export const emptyTimeline: Timeline = { messages: [], ahead: [], loaded: false };

export function lastSeq(timeline: Timeline): number {
  return timeline.messages.at(-1)?.seq ?? 0;
}

export function firstSeq(timeline: Timeline): number {
  return timeline.messages[0]?.seq ?? 0;
}

/** A message that came by itself. */
export function addLive(timeline: Timeline, message: ChatMessage): Timeline {
  const { messages, ahead, loaded } = timeline;
  if (!loaded) return { ...timeline, ahead: merge(ahead, [message]) };
  if (message.seq <= lastSeq(timeline)) {
    // Told twice, or older than the run: then a page of history will bring it.
    return timeline;
  }
  return joinUp(messages, merge(ahead, [message]));
}

/** The newest page, which starts the run anew. */
export function setNewest(timeline: Timeline, page: readonly ChatMessage[]): Timeline {
  const last = page.at(-1)?.seq ?? 0;
  return joinUp(
    page,
    timeline.ahead.filter((one) => one.seq > last),
  );
}

/** A page from before the run. */
export function addOlder(timeline: Timeline, page: readonly ChatMessage[]): Timeline {
  return { ...timeline, messages: merge(page, timeline.messages) };
}

/**
 * A page from after the run. `complete`: the history has no more, so what is still missing
 * never was, and the run goes on over it.
 */
export function addNewer(
  timeline: Timeline,
  page: readonly ChatMessage[],
  complete: boolean,
): Timeline {
  const messages = merge(timeline.messages, page);
  if (complete) return { messages: merge(messages, timeline.ahead), ahead: [], loaded: true };
  const last = messages.at(-1)?.seq ?? 0;
  return joinUp(
    messages,
    timeline.ahead.filter((one) => one.seq > last),
  );
}

/** Whether something between the run and `ahead`, or up to `roomSeq`, must be asked for. */
export function hasGap(timeline: Timeline, roomSeq = 0): boolean {
  return timeline.loaded && (timeline.ahead.length > 0 || lastSeq(timeline) < roomSeq);
}

/** Forgets the oldest, so that a room left open for days stays light. */
export function trim(timeline: Timeline, keep: number): Timeline {
  if (timeline.messages.length <= keep) return timeline;
  return { ...timeline, messages: timeline.messages.slice(-keep) };
}

function joinUp(messages: readonly ChatMessage[], ahead: readonly ChatMessage[]): Timeline {
  let next = (messages.at(-1)?.seq ?? 0) + 1;
  let joined = 0;
  while (ahead[joined]?.seq === next) {
    next += 1;
    joined += 1;
  }
  return {
    messages: joined === 0 ? messages : [...messages, ...ahead.slice(0, joined)],
    ahead: ahead.slice(joined),
    loaded: true,
  };
}

/** Both, by ascending number, each number once; where both have one, the later list wins. */
function merge(a: readonly ChatMessage[], b: readonly ChatMessage[]): readonly ChatMessage[] {
  if (a.length === 0) return b;
  if (b.length === 0) return a;
  if ((a.at(-1)?.seq ?? 0) < (b[0]?.seq ?? 0)) return [...a, ...b];
  const bySeq = new Map([...a, ...b].map((message) => [message.seq, message]));
  return [...bySeq.values()].sort((x, y) => x.seq - y.seq);
}
