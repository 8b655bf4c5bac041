import { describe, expect, test } from "vitest";
import { ALL, mentionedIn } from "./mentions.ts";

const ADA = { id: "a", name: "Ada" };
const ADA_TOO = { id: "a2", name: "Ada" };
const BYRON = { id: "b", name: "Ada Byron" };
const ZOE = { id: "z", name: "Zoë (tea)" };

describe("who is mentioned", () => {
  test("whoever was chosen, while the name stands there", () => {
    expect(mentionedIn("@Ada and @Zoë (tea)!", [ADA, ZOE])).toEqual(["z", "a"]);
    expect(mentionedIn("Ada and @Adam", [ADA])).toEqual([]);
    expect(mentionedIn("to:mail@Ada", [ADA])).toEqual([]);
  });

  test("whoever was offered and is written in full", () => {
    expect(mentionedIn("@ada are you there", [], [ADA, BYRON])).toEqual(["a"]);
    expect(mentionedIn("ask @all", [], [ALL])).toEqual(["*"]);
    expect(mentionedIn("@Ad", [], [ADA])).toEqual([]);
  });

  test("the longer name, where a shorter one begins it", () => {
    expect(mentionedIn("@Ada Byron", [], [ADA, BYRON])).toEqual(["b"]);
    expect(mentionedIn("@Ada Byron and @Ada", [BYRON], [ADA])).toEqual(["b", "a"]);
  });

  test("of several with one name only those who were chosen", () => {
    expect(mentionedIn("@Ada", [], [ADA, ADA_TOO])).toEqual([]);
    expect(mentionedIn("@Ada", [ADA_TOO], [ADA, ADA_TOO])).toEqual(["a2"]);
    expect(mentionedIn("@Ada", [ADA, ADA_TOO])).toEqual(["a", "a2"]);
  });
});
