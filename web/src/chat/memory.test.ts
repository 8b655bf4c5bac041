import { expect, test } from "vitest";
import { memoryShelf } from "../app/storage.ts";
import { Memory } from "./memory.ts";

test("what was on its way waits again after a reload, what failed stays failed", () => {
  const shelf = memoryShelf();
  const one = { text: "a", time: 1 };
  new Memory(shelf, "dev:ada").keepOutbox("tea", [
    { key: "k1", status: "sending", ...one },
    { key: "k2", status: "failed", error: "Not now.", ...one },
  ]);
  expect(new Memory(shelf, "dev:ada").outbox("tea")).toEqual([
    { key: "k1", status: "waiting", ...one },
    { key: "k2", status: "failed", error: "Not now.", ...one },
  ]);
  expect(new Memory(shelf, "dev:ben").outbox("tea")).toEqual([]);
});

test("what somebody else left in the storage is not taken for ours", () => {
  const shelf = memoryShelf();
  shelf.write("lakh:chat:dev:ada:outbox:tea", '[{"key":1},null,"x"]');
  shelf.write("lakh:chat:dev:ada:read", '{"tea":"7","milk":3}');
  const memory = new Memory(shelf, "dev:ada");
  expect(memory.outbox("tea")).toEqual([]);
  expect(memory.readMarks()).toEqual({ milk: 3 });
  shelf.write("lakh:chat:dev:ada:outbox:tea", "{");
  expect(memory.outbox("tea")).toEqual([]);
});

test("a draft belongs to its room, and an empty one leaves nothing behind", () => {
  const memory = new Memory(memoryShelf(), "dev:ada");
  memory.keepDraft("tea", "half a sen");
  expect([memory.draft("tea"), memory.draft("milk")]).toEqual(["half a sen", ""]);
  memory.keepDraft("tea", "");
  expect(memory.draft("tea")).toBe("");
});
