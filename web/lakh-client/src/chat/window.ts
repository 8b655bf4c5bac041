/**
 * The messages of a room, or of a thread, as a client knows them: one run by ascending number in
 * which nothing is missing, and apart from it those that came ahead of something still missing.
 *
 * Numbers say what is missing: after 7 comes 8. When 10 arrives, 8 and 9 were lost on the way, so
 * 10 waits in `ahead` until they have been asked for. A run that does not reach the end (somebody
 * reads far up) takes nothing live: what comes is only counted in `last`.
 */
import type { ChatMessage } from "./shapes.js";

export interface ChatWindow {
  readonly messages: readonly ChatMessage[];
  /** By ascending number; never empty without a request for what is missing. */
  readonly ahead: readonly ChatMessage[];
  /** Whether a page was ever loaded: before that, an empty run means nothing. */
  readonly loaded: boolean;
  /** Whether the run reaches to the newest message. */
  readonly atEnd: boolean;
  /** The highest number that is known to exist. */
  readonly last: number;
}

export const emptyWindow: ChatWindow = {
  messages: [],
  ahead: [],
  loaded: false,
  atEnd: true,
  last: 0,
};

export function lastSeq(window: Pick<ChatWindow, "messages">): number {
  return window.messages.at(-1)?.seq ?? 0;
}

export function firstSeq(window: Pick<ChatWindow, "messages">): number {
  return window.messages[0]?.seq ?? 0;
}

/** A message that came by itself. */
export function addLive(window: ChatWindow, message: ChatMessage): ChatWindow {
  const { messages, ahead, loaded, atEnd } = window;
  const last = Math.max(window.last, message.seq);
  if (!loaded) return { ...window, last, ahead: merge(ahead, [message]) };
  // Told twice, or older than the run: then a page of history will bring it.
  if (message.seq <= lastSeq(window)) return window;
  if (!atEnd) return { ...window, last };
  return joinUp(messages, merge(ahead, [message]), last);
}

/** The newest page, which starts the run anew. */
export function setNewest(window: ChatWindow, page: readonly ChatMessage[]): ChatWindow {
  const last = page.at(-1)?.seq ?? 0;
  const ahead = window.ahead.filter((one) => one.seq > last);
  return joinUp(page, ahead, Math.max(last, ahead.at(-1)?.seq ?? 0));
}

/** A page from anywhere, which starts the run anew. */
export function setAround(
  window: ChatWindow,
  page: readonly ChatMessage[],
  moreAfter: boolean,
): ChatWindow {
  if (!moreAfter) return setNewest(window, page);
  const last = Math.max(window.last, page.at(-1)?.seq ?? 0, window.ahead.at(-1)?.seq ?? 0);
  return { messages: page, ahead: [], loaded: true, atEnd: false, last };
}

/** A page from before the run. */
export function addOlder(window: ChatWindow, page: readonly ChatMessage[]): ChatWindow {
  return { ...window, messages: merge(page, window.messages) };
}

/**
 * A page from after the run. `complete`: the history has no more, so what is still missing
 * never was, and the run goes on over it.
 */
export function addNewer(
  window: ChatWindow,
  page: readonly ChatMessage[],
  complete: boolean,
): ChatWindow {
  const messages = merge(window.messages, page);
  const last = Math.max(window.last, messages.at(-1)?.seq ?? 0);
  if (complete) {
    const whole = merge(messages, window.ahead);
    return { messages: whole, ahead: [], loaded: true, atEnd: true, last };
  }
  if (!window.atEnd) return { ...window, messages, last };
  const reached = messages.at(-1)?.seq ?? 0;
  return joinUp(
    messages,
    window.ahead.filter((one) => one.seq > reached),
    last,
  );
}

/** Whether something between the run and `ahead`, or up to `seq`, must be asked for. */
export function hasGap(window: ChatWindow, seq = 0): boolean {
  if (!window.loaded || !window.atEnd) return false;
  return window.ahead.length > 0 || lastSeq(window) < seq;
}

/** Replaces one message, if it is here. */
export function amend(
  window: ChatWindow,
  seq: number,
  change: (message: ChatMessage) => ChatMessage,
): ChatWindow {
  const messages = amendIn(window.messages, seq, change);
  const ahead = messages === window.messages ? amendIn(window.ahead, seq, change) : window.ahead;
  if (messages === window.messages && ahead === window.ahead) return window;
  return { ...window, messages, ahead };
}

/** Forgets the oldest, so that a room left open for days stays light. */
export function trimOldest(window: ChatWindow, keep: number): ChatWindow {
  if (window.messages.length <= keep) return window;
  return { ...window, messages: window.messages.slice(-keep) };
}

/** Forgets the newest, while somebody reads far up. They are loaded again on the way down. */
export function trimNewest(window: ChatWindow, keep: number): ChatWindow {
  if (window.messages.length <= keep) return window;
  const messages = window.messages.slice(0, keep);
  return { ...window, messages, ahead: [], atEnd: false };
}

/** Where a message stands in a list by ascending number; -1 if it does not. */
export function placeOf(messages: readonly ChatMessage[], seq: number): number {
  let low = 0;
  let high = messages.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((messages[middle]?.seq ?? Infinity) < seq) low = middle + 1;
    else high = middle;
  }
  return messages[low]?.seq === seq ? low : -1;
}

function amendIn(
  messages: readonly ChatMessage[],
  seq: number,
  change: (message: ChatMessage) => ChatMessage,
): readonly ChatMessage[] {
  const index = placeOf(messages, seq);
  const message = messages[index];
  if (!message) return messages;
  const changed = change(message);
  if (changed === message) return messages;
  const next = messages.slice();
  next[index] = changed;
  return next;
}

function joinUp(
  messages: readonly ChatMessage[],
  ahead: readonly ChatMessage[],
  last: number,
): ChatWindow {
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
    atEnd: true,
    last: Math.max(last, next - 1),
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
