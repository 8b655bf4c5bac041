import type { ChatRoomSummary } from "lakh-client";
import { expect, test } from "vitest";
import { ADA, BEN, message, NOON } from "../test/messages.ts";
import {
  addMessage,
  addPage,
  addRoom,
  emptyDirectory,
  filterRooms,
  setMine,
  toSections,
  totalUnread,
  unreadOf,
} from "./directory.ts";

function room(id: string, change: Partial<ChatRoomSummary> = {}): ChatRoomSummary {
  return { id, name: id, created_at: NOON, seq: 0, online: 0, last: null, ...change };
}

const page = [room("tea", { created_at: NOON - 3 }), room("milk", { created_at: NOON - 2 })];
const directory = addPage(emptyDirectory, page);
const ids = (of: typeof directory) => of.rooms.map((one) => one.id);

test("the latest activity stands first", () => {
  expect(ids(directory)).toEqual(["milk", "tea"]);
  const after = addMessage(directory, message(1, { room: "tea" }), ADA.id);
  expect(ids(after)).toEqual(["tea", "milk"]);
  expect(after.rooms[0]).toMatchObject({ seq: 1, last: { seq: 1 } });
});

test("an older message changes nothing", () => {
  const after = addMessage(directory, message(5, { room: "tea" }), ADA.id);
  expect(addMessage(after, message(4, { room: "tea" }), ADA.id)).toBe(after);
});

test("a room told of twice keeps what was known", () => {
  const known = addPage(directory, [room("tea", { online: 3, last: message(2), seq: 2 })]);
  const again = addRoom(known, { id: "tea", name: "Tea", created_at: NOON, seq: 2 });
  expect(again.rooms.find((one) => one.id === "tea")).toMatchObject({ name: "Tea", online: 3 });
  expect(again.rooms).toHaveLength(2);
});

test("a filter looks for each word in the name", () => {
  const rooms = [room("Release notes 1.2"), room("release party"), room("tea")];
  expect(filterRooms(rooms, " notes RELEASE ").map((one) => one.id)).toEqual(["Release notes 1.2"]);
  expect(filterRooms(rooms, "")).toHaveLength(3);
});

test("without counts by the server, unread are counted in rooms that were once read", () => {
  expect(unreadOf(room("tea", { seq: 7 }), 4, false).count).toBe(3);
  expect(unreadOf(room("tea", { seq: 7 }), 9, false).count).toBe(0);
  expect(unreadOf(room("tea", { seq: 7 }), undefined, false).count).toBe(0);
  const rooms = [room("tea", { seq: 7 }), room("milk", { seq: 5 }), room("new", { seq: 2 })];
  expect(totalUnread(rooms, { tea: 4, milk: 4 }, false)).toBe(4);
});

const mine = {
  role: "member",
  notify: "all",
  read: 2,
  delivered: 2,
  unread: 1,
  mentions: 0,
} as const;

test("what others say counts as unread, and as a mention where one is named", () => {
  const known = addPage(emptyDirectory, [room("tea", { seq: 3, mine })]);
  let after = addMessage(known, message(4, { from: BEN, mentions: [ADA.id] }), ADA.id);
  expect(after.rooms[0]?.mine).toMatchObject({ unread: 2, mentions: 1 });
  after = addMessage(after, message(5, { from: BEN, mentions: ["*"] }), ADA.id);
  expect(unreadOf(after.rooms[0]!, 1, true)).toEqual({ count: 3, mentions: 2 });
  after = addMessage(after, message(6, { from: ADA }), ADA.id);
  expect(after.rooms[0]?.mine).toMatchObject({ read: 6, unread: 0, mentions: 0 });
});

test("replies in threads are no news of the room", () => {
  const known = addPage(emptyDirectory, [room("tea", { seq: 3, mine })]);
  expect(addMessage(known, message(9, { from: BEN, thread: 1 }), ADA.id)).toBe(known);
});

test("a list of public rooms does not take away what one is in them", () => {
  const known = addPage(emptyDirectory, [room("tea", { mine })]);
  expect(addPage(known, [room("tea", { name: "Tea" })]).rooms[0]).toMatchObject({
    name: "Tea",
    mine: { role: "member" },
  });
  expect(setMine(known, "tea", { unread: 0 }).rooms[0]?.mine?.unread).toBe(0);
});

test("rooms stand in sections by what they are and what one is in them", () => {
  const invited_by = BEN;
  const { invited, direct, rooms, others } = toSections(
    [
      room("asked", { kind: "private", mine: { ...mine, invited_by } }),
      room("ben", { kind: "direct", mine }),
      room("tea", { kind: "public", mine }),
      room("old", { kind: "public", archived: true }),
      room("milk", { kind: "public" }),
    ],
    true,
  );
  const names = [invited, direct, rooms, others].map((list) => list.map((one) => one.id));
  expect(names).toEqual([["asked"], ["ben"], ["tea"], ["milk"]]);
});
