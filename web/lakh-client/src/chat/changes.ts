/** What changes to messages do to them, and in which order they count. */
import type { MessageChanged } from "./events.js";
import type { ChatMessage, ChatReaction } from "./shapes.js";

/** Fields that replace those of an object; `null` takes one away. */
export function replaceFields<T extends object>(
  object: T,
  set: { [F in keyof T]?: T[F] | null },
): T {
  const fields = Object.entries({ ...object, ...set }).filter(([, value]) => value !== null);
  return Object.fromEntries(fields) as T;
}

export function changeMessage(
  message: ChatMessage,
  set: MessageChanged["set"],
  myId: string,
): ChatMessage {
  const next = replaceFields(message, set);
  if (!next.reactions || !("reactions" in set)) return next;
  return { ...next, reactions: withMine(next.reactions, message.reactions ?? [], myId) };
}

/**
 * Rooms are told who reacted, but not each listener's own share: it is read off the names, and
 * kept as it was where not all are named.
 */
export function withMine(
  reactions: readonly ChatReaction[],
  before: readonly ChatReaction[],
  myId: string,
): ChatReaction[] {
  return reactions.map((reaction) => {
    if (reaction.mine !== undefined) return reaction;
    const people = reaction.people ?? [];
    const known = before.find((one) => one.emoji === reaction.emoji)?.mine ?? 0;
    if (people.some((one) => one.id === myId)) return { ...reaction, mine: Math.max(1, known) };
    return { ...reaction, mine: people.length >= reaction.count ? 0 : known };
  });
}

/** A page may come without the counts of one's own, too. */
export function ownMessage(message: ChatMessage, before: ChatMessage | undefined, myId: string) {
  if (!message.reactions) return message;
  const reactions = withMine(message.reactions, before?.reactions ?? [], myId);
  return { ...message, reactions };
}

/** Gives or takes back one's reaction, as the server will. */
export function toggleReaction(
  reactions: readonly ChatReaction[],
  emoji: string,
  me: { id: string; name: string },
  mode: "each" | "one" | "counted" = "each",
): { reactions: ChatReaction[]; added: boolean } {
  const own = reactions.find((one) => one.emoji === emoji)?.mine ?? 0;
  const added = own === 0;
  const cleared = mode === "one" || !added ? reactions.map((one) => takeBack(one, me.id)) : [];
  const base =
    mode === "one"
      ? cleared
      : reactions.map((one, index) =>
          one.emoji === emoji && !added ? (cleared[index] ?? one) : one,
        );
  if (!added) return { reactions: base.filter((one) => one.count > 0), added };
  const known = base.some((one) => one.emoji === emoji && one.count > 0);
  const next = known
    ? base.map((one) => (one.emoji === emoji ? give(one, me) : one))
    : [...base, { emoji, count: 1, people: [me], mine: 1 }];
  return { reactions: next.filter((one) => one.count > 0), added };
}

function give(reaction: ChatReaction, me: { id: string; name: string }): ChatReaction {
  const people = [...(reaction.people ?? []), me].slice(0, 10);
  return { ...reaction, people, count: reaction.count + 1, mine: 1 };
}

function takeBack(reaction: ChatReaction, myId: string): ChatReaction {
  const mine = reaction.mine ?? 0;
  if (mine === 0) return reaction;
  const people = (reaction.people ?? []).filter((one) => one.id !== myId);
  return { ...reaction, people, count: reaction.count - mine, mine: 0 };
}

/** More than this out of order, and a room is asked as a whole. */
const MAX_AHEAD = 1000;

/**
 * Numbers of changes, each counted once. From several nodes they may come swapped, and after a
 * node's death twice; a hole that stays means that something was missed.
 */
export class Revisions {
  #at: number;
  readonly #ahead = new Set<number>();

  constructor(at: number) {
    this.#at = at;
  }

  /** All up to this one have been seen. */
  get at(): number {
    return this.#at;
  }

  get hasHole(): boolean {
    return this.#ahead.size > 0;
  }

  /** False for one that was seen before. */
  take(rev: number): boolean {
    if (rev <= this.#at || this.#ahead.has(rev)) return false;
    if (this.#ahead.size < MAX_AHEAD) this.#ahead.add(rev);
    this.#close();
    return true;
  }

  /** Everything up to `rev` is known by other means. */
  reach(rev: number): void {
    if (rev <= this.#at) return;
    this.#at = rev;
    for (const one of this.#ahead) if (one <= rev) this.#ahead.delete(one);
    this.#close();
  }

  #close(): void {
    while (this.#ahead.delete(this.#at + 1)) this.#at += 1;
  }
}
