/** Who is writing, in words. */
import type { Typing } from "lakh-client";

/** "Ada is typing", "Ada and Ben are typing", "Several people are typing"; null for nobody. */
export function typingText(typing: Typing): string | null {
  const [a, b, c] = typing.map((one) => one.user.name);
  if (a === undefined) return null;
  if (b === undefined) return `${a} is typing`;
  if (c === undefined) return `${a} and ${b} are typing`;
  return typing.length === 3 ? `${a}, ${b} and ${c} are typing` : "Several people are typing";
}
