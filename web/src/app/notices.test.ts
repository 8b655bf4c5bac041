import { LakhError } from "lakh-client";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Notices } from "./notices.ts";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

test("a word goes by itself, and a newer one has its own time", () => {
  const notices = new Notices();
  notices.say("Saved");
  vi.advanceTimersByTime(4000);
  notices.say("Not allowed", true);
  vi.advanceTimersByTime(4000);
  expect(notices.get()).toEqual({ text: "Not allowed", bad: true });
  vi.advanceTimersByTime(1000);
  expect(notices.get()).toBeNull();
});

test("a refusal is said in the server's words, and a mistake of ours is not hidden", async () => {
  const notices = new Notices();
  const refused = () => Promise.reject(new LakhError("forbidden", "You may not."));
  expect(await notices.attempt(refused)).toBe(false);
  expect(notices.get()).toEqual({ text: "You may not.", bad: true });
  expect(await notices.attempt(() => Promise.resolve(), "Done")).toBe(true);
  expect(notices.get()).toEqual({ text: "Done", bad: false });
  await expect(notices.attempt(() => Promise.reject(new TypeError("x")))).rejects.toThrow("x");
});
