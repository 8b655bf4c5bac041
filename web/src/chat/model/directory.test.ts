import type { ChatRoomSummary } from "lakh-client";
import { expect, test } from "vitest";
import { message, NOON } from "../test/messages.ts";
import {
  addMessage,
  addPage,
  addRoom,
  emptyDirectory,
  filterRooms,
  totalUnread,
  unreadCount,
} from "./directory.ts";

function room(id: string, change: Partial<ChatRoomSummary> = {}): ChatRoomSummary {
  return { id, name: id, created_at: NOON, seq: 0, online: 0, last: null, ...change };
}

const page = [room("tea", { created_at: NOON - 3 }), room("milk", { created_at: NOON - 2 })];
const directory = addPage(emptyDirectory, page, "next");
const ids = (of: typeof directory) => of.rooms.map((one) => one.id);

test("the latest activity stands first", () => {
  expect(ids(directory)).toEqual(["milk", "tea"]);
  const after = addMessage(directory, message(1, { room: "tea" }));
  expect(ids(after)).toEqual(["tea", "milk"]);
  expect(after.rooms[0]).toMatchObject({ seq: 1, last: { seq: 1 } });
});

test("an older message changes nothing", () => {
  const after = addMessage(directory, message(5, { room: "tea" }));
  expect(addMessage(after, message(4, { room: "tea" }))).toBe(after);
});

test("a room told of twice keeps what was known", () => {
  const known = addPage(directory, [room("tea", { online: 3, last: message(2), seq: 2 })], null);
  const again = addRoom(known, { id: "tea", name: "Tea", created_at: NOON, seq: 2 });
  expect(again.rooms.find((one) => one.id === "tea")).toMatchObject({ name: "Tea", online: 3 });
  expect(again.rooms).toHaveLength(2);
});

test("a filter looks for each word in the name", () => {
  const rooms = [room("Release notes 1.2"), room("release party"), room("tea")];
  expect(filterRooms(rooms, " notes RELEASE ").map((one) => one.id)).toEqual(["Release notes 1.2"]);
  expect(filterRooms(rooms, "")).toHaveLength(3);
});

test("unread are counted in rooms that were once read", () => {
  expect(unreadCount(room("tea", { seq: 7 }), 4)).toBe(3);
  expect(unreadCount(room("tea", { seq: 7 }), 9)).toBe(0);
  expect(unreadCount(room("tea", { seq: 7 }), undefined)).toBe(0);
  const rooms = [room("tea", { seq: 7 }), room("milk", { seq: 5 }), room("new", { seq: 2 })];
  expect(totalUnread(rooms, { tea: 4, milk: 4 })).toBe(4);
});
