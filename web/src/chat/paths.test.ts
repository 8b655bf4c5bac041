import { expect, test } from "vitest";
import { countChars, roomNameError, roomOfPath, roomPath } from "./paths.ts";

test("any room name survives the address bar", () => {
  for (const name of [
    "tea",
    "100% / what?",
    "a#b",
    "post:123",
    "v1.2",
    "लाख",
    "👩🏽‍🚀",
    "%2F",
    "a b",
  ]) {
    const url = new URL(roomPath(name), "http://localhost:3000");
    expect(url.pathname.slice("/chat/".length)).not.toMatch(/[./]/u);
    expect(url.search + url.hash).toBe("");
    expect(roomOfPath(url.pathname)).toBe(name);
  }
});

test("the list of rooms and broken addresses name no room", () => {
  expect(["/chat", "/chat/", "/", "/chat/%E0%A4"].map(roomOfPath)).toEqual([
    null,
    null,
    null,
    null,
  ]);
});

test("names that can't be a room say why", () => {
  expect(roomNameError("tea")).toBeNull();
  expect(roomNameError("")).toMatch(/needed/u);
  expect(roomNameError("..")).toMatch(/dots/u);
  expect(roomNameError("é".repeat(128))).toBeNull();
  expect(roomNameError("😀".repeat(128))).toBeNull();
  expect(roomNameError("a".repeat(129))).toMatch(/128/u);
  expect(countChars("a😀")).toBe(2);
});
