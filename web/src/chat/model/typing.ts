/** Who is writing, in words. */
import type { Typing } from "lakh-client";

/**
 * "Ada is typing", "Ada and Ben are typing", "Several people are typing"; null for nobody.
 * `count`: how many there are in a crowd, where not all are named.
 */
export function typingText(typing: Typing, count = 0): string | null {
  if (count > Math.max(3, typing.length)) return `${count} people are typing`;
  if (count > 0 && typing.length === 0) {
    return count === 1 ? "Somebody is typing" : `${count} people are typing`;
  }
  const [a, b, c] = typing.map((one) => one.user.name);
  if (a === undefined) return null;
  if (b === undefined) return `${a} is typing`;
  if (c === undefined) return `${a} and ${b} are typing`;
  return typing.length === 3 ? `${a}, ${b} and ${c} are typing` : "Several people are typing";
}
