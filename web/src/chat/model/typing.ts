/** Who is writing. The server says so at most once in a while, and a lost "stopped" must not stay. */
import type { User } from "lakh-client";

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

/** "Ada is typing", "Ada and Ben are typing", "Several people are typing"; null for nobody. */
export function typingText(typing: Typing): string | null {
  const [a, b, c] = typing.map((one) => one.user.name);
  if (a === undefined) return null;
  if (b === undefined) return `${a} is typing`;
  if (c === undefined) return `${a} and ${b} are typing`;
  return typing.length === 3 ? `${a}, ${b} and ${c} are typing` : "Several people are typing";
}
