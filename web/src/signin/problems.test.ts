import { expect, test } from "vitest";
import { safeReturn, wordsFor } from "./problems.ts";

test("each code has words, and an unknown one too", () => {
  expect(wordsFor("bad_credentials")).toBe("Name or password is wrong.");
  expect(wordsFor("something_new")).toBe("The sign-in failed.");
  expect(wordsFor("too_many_attempts", 6)).toMatch(/Try again in 6 seconds\.$/);
  expect(wordsFor("too_many_attempts", 1)).toMatch(/Try again in 1 second\.$/);
  expect(wordsFor("too_many_attempts", 100)).toMatch(/Try again in 2 minutes\.$/);
});

test("a way back leads into this page only", () => {
  for (const own of ["/", "/chat", "/chat/general?x=1#a", "/consoles"]) {
    expect(safeReturn(own)).toBe(own);
  }
  for (const other of [
    null,
    "",
    "chat",
    "//evil.example",
    "/\\evil.example",
    "/a\\b",
    "/\t/evil.example",
    "/ /evil.example",
    "https://evil.example",
    "javascript:alert(1)",
    "/sign-in?return_to=/",
    "/console/sign-in",
    "/api/v1/stats",
  ]) {
    expect(safeReturn(other)).toBe("/");
  }
});
