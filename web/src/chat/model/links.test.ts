import { describe, expect, test } from "vitest";
import { findLinks, isEmojiOnly } from "./links.ts";

const hrefs = (text: string) => findLinks(text).flatMap((span) => span.href ?? []);

describe("addresses", () => {
  test("are found without the sentence around them", () => {
    expect(hrefs("See https://example.org/a?b=1&c=2, or (http://localhost:3000).")).toEqual([
      "https://example.org/a?b=1&c=2",
      "http://localhost:3000",
    ]);
  });

  test("keep a bracket that they opened", () => {
    expect(hrefs("https://example.org/Lac_(resin)")).toEqual(["https://example.org/Lac_(resin)"]);
  });

  test("of other schemes stay text", () => {
    expect(hrefs("javascript:alert(1) data:text/html,x http:// ftp://x")).toEqual([]);
  });

  test("nothing of the text is lost", () => {
    for (const text of [
      "",
      "no link",
      "https://a.b",
      "x https://a.b/ y https://c.d. z",
      "https://…",
    ]) {
      expect(
        findLinks(text)
          .map((span) => span.text)
          .join(""),
      ).toBe(text);
    }
  });
});

test("emoji alone are told from text and numbers", () => {
  expect(["👍", "👩🏽‍🚀 🎉", "🇳🇱", "❤️"].map(isEmojiOnly)).toEqual([true, true, true, true]);
  expect(["", " ", "12", "#1", "ok 👍", "👍👍👍👍"].map(isEmojiOnly)).toEqual(
    Array.from({ length: 6 }, () => false),
  );
});
