/** Who is writing. The server says so now and then, and a lost "stopped" must not stay. */
import type { User } from "../types.js";

export interface Typist {
  readonly user: User;
  readonly until_ms: number;
}

export type Typing = readonly Typist[];

/** The server forgets after 6 s, too. */
export const TYPING_LASTS_MS = 6000;

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
