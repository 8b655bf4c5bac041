/** Messages for tests, told apart by their number. */
import type { ChatMessage, User } from "lakh-client";

export const ADA: User = { id: "dev:ada", name: "Ada" };
export const BEN: User = { id: "dev:ben", name: "Ben" };

/** Noon, so that minutes more or less stay within the day in any time zone of whole hours. */
export const NOON = new Date(2025, 5, 14, 12, 0, 0).getTime();
export const MINUTE_MS = 60_000;

export function message(seq: number, change: Partial<ChatMessage> = {}): ChatMessage {
  const text = `message ${seq}`;
  return { room: "tea", seq, key: `k${seq}`, from: ADA, text, time: NOON + seq * 1000, ...change };
}

export function messages(first: number, last: number): ChatMessage[] {
  return Array.from({ length: last - first + 1 }, (_, index) => message(first + index));
}

export function seqs(list: readonly { seq: number | null }[]): (number | null)[] {
  return list.map((one) => one.seq);
}
