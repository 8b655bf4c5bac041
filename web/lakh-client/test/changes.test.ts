import { describe, expect, test } from "vitest";
import { changeMessage, Revisions, toggleReaction, withMine } from "../src/chat/changes.js";
import { message } from "./messages.js";

const ada = { id: "dev:ada", name: "Ada" };
const ben = { id: "dev:ben", name: "Ben" };

describe("a change", () => {
  test("replaces fields, and null takes one away", () => {
    const pinned = { by: ben, at: 1 };
    const before = message(1, { pinned });
    const after = changeMessage(before, { text: "new", edits: 1, pinned: null }, ada.id);
    expect(after).toEqual({ ...message(1), text: "new", edits: 1 });
  });

  test("of reactions finds one's own among the names", () => {
    const told = [{ emoji: "👍", count: 2, people: [ben, ada] }];
    const after = changeMessage(message(1), { reactions: told }, ada.id);
    expect(after.reactions?.[0]?.mine).toBe(1);
  });

  test("keeps what was known of one's own where not all are named", () => {
    const before = [{ emoji: "👍", count: 30, mine: 1 }];
    const told = [{ emoji: "👍", count: 31, people: [ben] }];
    expect(withMine(told, before, ada.id)[0]?.mine).toBe(1);
    expect(withMine([{ ...told[0]!, count: 1 }], before, ada.id)[0]?.mine).toBe(0);
  });
});

describe("a reaction", () => {
  test("is given, and taken back by the next click", () => {
    const given = toggleReaction([], "👍", ada);
    expect(given).toEqual({
      added: true,
      reactions: [{ emoji: "👍", count: 1, people: [ada], mine: 1 }],
    });
    expect(toggleReaction(given.reactions, "👍", ada)).toEqual({ added: false, reactions: [] });
  });

  test("joins those of others", () => {
    const others = [{ emoji: "👍", count: 1, people: [ben], mine: 0 }];
    const { reactions } = toggleReaction(others, "👍", ada);
    expect(reactions).toMatchObject([{ count: 2, mine: 1, people: [ben, ada] }]);
    expect(toggleReaction(reactions, "👍", ada).reactions).toMatchObject([
      { count: 1, mine: 0, people: [ben] },
    ]);
  });

  test("takes the place of another where each gives one", () => {
    const { reactions } = toggleReaction(toggleReaction([], "👍", ada).reactions, "🎉", ada, "one");
    expect(reactions.map((one) => one.emoji)).toEqual(["🎉"]);
  });

  test("leaves one's others alone where each gives many", () => {
    const { reactions } = toggleReaction(toggleReaction([], "👍", ada).reactions, "🎉", ada);
    expect(reactions.map((one) => one.emoji)).toEqual(["👍", "🎉"]);
  });
});

describe("numbers of changes", () => {
  test("count once each, in whatever order they come", () => {
    const revisions = new Revisions(4);
    expect([5, 5, 4, 7, 7].map((rev) => revisions.take(rev))).toEqual([
      true,
      false,
      false,
      true,
      false,
    ]);
    expect([revisions.at, revisions.hasHole]).toEqual([5, true]);
    expect(revisions.take(6)).toBe(true);
    expect([revisions.at, revisions.hasHole]).toEqual([7, false]);
  });

  test("are caught up with by a sync", () => {
    const revisions = new Revisions(1);
    revisions.take(5);
    revisions.take(9);
    revisions.reach(8);
    expect([revisions.at, revisions.hasHole]).toEqual([9, false]);
    expect(revisions.take(8)).toBe(false);
  });
});
