import { expect, test } from "vitest";
import { formatBytes, formatCount, formatDuration, formatRate, readable } from "./format.ts";
import { initials, personTone } from "./person.ts";

test("initials are those of the first and the last word", () => {
  expect(["Ada Lovelace", "ada", "Jean-Luc van Damme", "  ", "लाख", "😀 x"].map(initials)).toEqual([
    "AL",
    "A",
    "JD",
    "?",
    "ल",
    "😀X",
  ]);
});

test("a person's colour stays, and people spread over all of them", () => {
  const tones = Array.from({ length: 400 }, (_, n) => personTone(`dev:person${n}`));
  expect(personTone("dev:person7")).toBe(tones[7]);
  for (let tone = 0; tone < 8; tone += 1) {
    expect(tones.filter((one) => one === tone).length).toBeGreaterThan(20);
  }
});

test("figures are short and keep their sense", () => {
  expect([0, 999, 99_999, 123_456].map(formatCount)).toEqual(["0", "999", "99,999", "123.5K"]);
  expect([null, 0, 0.4, 9.96, 1234].map(formatRate)).toEqual(["–", "0", "0.4", "10", "1,234"]);
  expect([0, 999, 1000, 183_000_000, 2.5e9].map(formatBytes)).toEqual([
    "0 B",
    "999 B",
    "1 KB",
    "183 MB",
    "2.5 GB",
  ]);
  expect([0.4, 59, 60, 3661, 93_600, 86_400].map(formatDuration)).toEqual([
    "0 s",
    "59 s",
    "1 min",
    "1 h 1 min",
    "1 d 2 h",
    "1 d",
  ]);
});

test("what the server says is read with sizes and times in it", () => {
  expect(readable("a file has at most 26214400 bytes")).toBe("a file has at most 26 MB");
  const muted = readable("you are muted here until 1795436047644 (milliseconds since 1970)");
  expect(muted).toMatch(/^you are muted here until .*2026/);
  expect(readable("10 files of 999 bytes")).toBe("10 files of 999 bytes");
});
