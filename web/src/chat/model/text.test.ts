import { describe, expect, test } from "vitest";
import { isEmojiOnly, plainText, toSpans, withMarks } from "./text.ts";

const hrefs = (text: string) => toSpans(text).flatMap((span) => span.href ?? []);

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
      "2 * 3 * 4, snake_case_name, a**b, ~~",
      "https://…",
    ]) {
      expect(
        toSpans(text)
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

const kinds = (text: string, names?: string[]) =>
  toSpans(text, names).map(({ kind, text, bold, italic, struck }) => {
    const styles = [bold && "bold", italic && "italic", struck && "struck"].filter(Boolean);
    return [...styles, kind, text].join(" ");
  });

describe("marks", () => {
  test("make code, bold, italic and struck text", () => {
    expect(kinds("a `b*c*` **d** *e* _f_ ~~g~~ **_h_**")).toEqual([
      "text a ",
      "code b*c*",
      "text  ",
      "bold text d",
      "text  ",
      "italic text e",
      "text  ",
      "italic text f",
      "text  ",
      "struck text g",
      "text  ",
      "bold italic text h",
    ]);
  });

  test("within words and sums stay as they were written", () => {
    for (const text of ["snake_case_name", "2 * 3 * 4", "a**b**c", "* point", "https://a.b/_x_y"]) {
      expect(toSpans(text).map((span) => span.text)).toEqual([text]);
    }
  });

  test("of a block keep its lines, and swallow those around it", () => {
    expect(kinds("See:\n\n```sh\nls *a*\n  cd _b_\n```\nDone")).toEqual([
      "text See:",
      "block ls *a*\n  cd _b_",
      "text Done",
    ]);
  });
});

test("names behind an @ are mentions, the longest first, whatever signs they have", () => {
  const names = ["Ada", "Ada Lovelace", "Anne-Marie (ops)"];
  expect(kinds("@Ada Lovelace, @ada and @Anne-Marie (ops) not @Adam", names)).toEqual([
    "mention @Ada Lovelace",
    "text , ",
    "mention @ada",
    "text  and ",
    "mention @Anne-Marie (ops)",
    "text  not @Adam",
  ]);
});

test("marks of a search that lie outside or in each other are passed over", () => {
  expect(
    withMarks("hello world", [
      [6, 11],
      [0, 2],
      [1, 3],
      [9, 40],
    ]),
  ).toEqual([
    { kind: "found", text: "he" },
    { kind: "text", text: "llo " },
    { kind: "found", text: "world" },
  ]);
});

test("one line has neither marks nor line breaks", () => {
  expect(plainText("**Hi**\n`there`  you")).toBe("Hi there you");
});
