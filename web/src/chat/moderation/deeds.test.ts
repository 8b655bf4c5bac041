import type { ModerationDeed } from "lakh-client";
import { expect, test } from "vitest";
import { deedText } from "./deeds.ts";

const deed = (more: Partial<ModerationDeed>): ModerationDeed => ({
  id: 1,
  time: 0,
  kind: "kick",
  by: { id: "a", name: "Ada" },
  person: { id: "b", name: "Ben" },
  ...more,
});

test("a deed says who was meant, for how long, and why", () => {
  expect(deedText(deed({ reason: "Spam" }))).toBe("took Ben out of the room: Spam");
  expect(deedText(deed({ kind: "ban" }))).toBe("banned Ben for good");
  expect(deedText(deed({ kind: "ban", until: 0 }))).toMatch(/^banned Ben until .*1970/u);
  expect(deedText(deed({ kind: "role", role: "owner" }))).toBe("made Ben an owner");
  expect(deedText(deed({ kind: "role", role: "moderator" }))).toBe("made Ben a moderator");
});

test("a deed that the page does not know is told by its name", () => {
  expect(deedText(deed({ kind: "freeze_room" }))).toBe("freeze room Ben");
});
