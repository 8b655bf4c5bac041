/** Messages for tests, told apart by their number. */
import type { ChatMessage } from "../src/index.js";

export function message(seq: number, change: Partial<ChatMessage> = {}): ChatMessage {
  const from = { id: "dev:ada", name: "Ada" };
  const text = `message ${seq}`;
  return { room: "tea", seq, key: `k${seq}`, from, text, time: seq * 1000, ...change };
}

export function messages(first: number, last: number): ChatMessage[] {
  return Array.from({ length: last - first + 1 }, (_, index) => message(first + index));
}

export function seqs(list: readonly { seq: number }[]): number[] {
  return list.map((one) => one.seq);
}
