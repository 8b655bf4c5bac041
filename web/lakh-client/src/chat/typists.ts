/** Who is writing. The server says so now and then, and a lost "stopped" must not stay. */
import type { User } from "../types.js";

export interface Typist {
  readonly user: User;
  readonly until_ms: number;
}

export type Typing = readonly Typist[];

/** The server forgets after 6 s, too. */
export const TYPING_LASTS_MS = 6000;

/** What is told of a crowd is forgotten after this. */
export const COUNT_LASTS_MS = 10_000;

export const noTyping: Typing = [];

export function setTyping(typing: Typing, user: User, isTyping: boolean, now_ms: number): Typing {
  const others = stopTyping(typing, user.id);
  return isTyping ? [...others, { user, until_ms: now_ms + TYPING_LASTS_MS }] : others;
}

export function stopTyping(typing: Typing, userId: string): Typing {
  return typing.some((one) => one.user.id === userId)
    ? typing.filter((one) => one.user.id !== userId)
    : typing;
}

export function stillTyping(typing: Typing, now_ms: number): Typing {
  return typing.some((one) => one.until_ms <= now_ms)
    ? typing.filter((one) => one.until_ms > now_ms)
    : typing;
}

const SAY_EVERY_MS = 3000;
/** The place of the room itself among its threads, whose numbers begin with 1. */
const ROOM = 0;

/** Who writes in a room and in its threads, and when one has said so oneself. */
export class RoomTyping {
  readonly #onChange: (thread: number | undefined) => void;
  readonly #places = new Map<number, Typing>();
  readonly #said = new Map<number, number>();
  #count = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #countTimer: ReturnType<typeof setTimeout> | undefined;

  /** Hears where something has changed: in a thread, or in the room. */
  constructor(onChange: (thread: number | undefined) => void) {
    this.#onChange = onChange;
  }

  of(thread: number = ROOM): Typing {
    return this.#places.get(thread) ?? noTyping;
  }

  /** In a crowd: how many write, also those who are not named. */
  get count(): number {
    return this.#count;
  }

  /** Whether the server is to hear now that one writes, or has stopped. */
  isDue(typing: boolean, thread: number = ROOM): boolean {
    const now = Date.now();
    const last = this.#said.get(thread);
    if (typing ? last !== undefined && now - last < SAY_EVERY_MS : last === undefined) return false;
    if (typing) this.#said.set(thread, now);
    else this.#said.delete(thread);
    return true;
  }

  /** A message, or a lost connection, has ended it for the server, too. */
  forgetOwn(): void {
    this.#said.clear();
  }

  hear(user: User, typing: boolean, thread: number = ROOM): void {
    this.#put(thread, setTyping(this.of(thread), user, typing, Date.now()));
  }

  hearCount(users: readonly User[], count: number, thread: number = ROOM): void {
    const until_ms = Date.now() + COUNT_LASTS_MS;
    if (thread === ROOM) {
      this.#count = Math.max(0, count);
      clearTimeout(this.#countTimer);
      this.#countTimer = setTimeout(() => {
        this.#count = 0;
        this.#onChange(undefined);
      }, COUNT_LASTS_MS);
    }
    const typing = users.map((user) => ({ user, until_ms }));
    this.#put(thread, typing);
  }

  stopped(userId: string, thread: number = ROOM): void {
    const typing = this.of(thread);
    const left = stopTyping(typing, userId);
    if (left !== typing) this.#put(thread, left);
  }

  clear(): void {
    this.#count = 0;
    for (const thread of [...this.#places.keys()]) this.#put(thread, noTyping);
  }

  close(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#countTimer);
  }

  #put(thread: number, typing: Typing): void {
    if (typing.length > 0) this.#places.set(thread, typing);
    else this.#places.delete(thread);
    this.#onChange(thread === ROOM ? undefined : thread);
    this.#schedule();
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    const ends = [...this.#places.values()].flat().map((one) => one.until_ms);
    if (ends.length === 0) return;
    const wait = Math.max(0, Math.min(...ends) - Date.now());
    this.#timer = setTimeout(() => {
      const now = Date.now();
      for (const [thread, typing] of [...this.#places]) {
        const left = stillTyping(typing, now);
        if (left !== typing) this.#put(thread, left);
      }
      this.#schedule();
    }, wait);
  }
}
