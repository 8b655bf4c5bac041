/** The list of rooms: the server's pages, kept fresh by what is heard in between. */
import type { ChatMessage, ChatRoom, ChatRoomSummary } from "lakh-client";

export interface Directory {
  readonly status: "loading" | "ready" | "failed";
  readonly error: string | null;
  /** The latest activity first. */
  readonly rooms: readonly ChatRoomSummary[];
  /** Where the next page starts; null when there is none. */
  readonly cursor: string | null;
}

export const emptyDirectory: Directory = {
  status: "loading",
  error: null,
  rooms: [],
  cursor: null,
};

/** A page from the server. Its rooms replace those of the same id. */
export function addPage(
  directory: Directory,
  page: readonly ChatRoomSummary[],
  cursor: string | null,
): Directory {
  return { status: "ready", error: null, cursor, rooms: put(directory.rooms, page) };
}

/** A room that was made, or joined, since. */
export function addRoom(directory: Directory, room: ChatRoom): Directory {
  const known = directory.rooms.find((one) => one.id === room.id);
  const summary = { online: known?.online ?? 0, last: known?.last ?? null, ...room };
  return { ...directory, rooms: put(directory.rooms, [summary]) };
}

export function addMessage(directory: Directory, message: ChatMessage): Directory {
  const known = directory.rooms.find((one) => one.id === message.room);
  if (!known || (known.last && known.last.seq >= message.seq)) return directory;
  const room = { ...known, last: message, seq: Math.max(known.seq, message.seq) };
  return { ...directory, rooms: put(directory.rooms, [room]) };
}

export function activity(room: ChatRoomSummary): number {
  return room.last?.time ?? room.created_at;
}

/** Rooms whose name has each word of `query` in it. */
export function filterRooms(rooms: readonly ChatRoomSummary[], query: string): ChatRoomSummary[] {
  const words = query.toLocaleLowerCase().split(/\s+/u).filter(Boolean);
  return rooms.filter((room) => {
    const name = room.name.toLocaleLowerCase();
    return words.every((word) => name.includes(word));
  });
}

/** Messages since the person last looked; none in a room they never opened. */
export function unreadCount(room: ChatRoomSummary, readSeq: number | undefined): number {
  return readSeq === undefined ? 0 : Math.max(0, room.seq - readSeq);
}

/** In all rooms; `read` holds the number up to which each was read. */
export function totalUnread(
  rooms: readonly ChatRoomSummary[],
  read: Readonly<Record<string, number>>,
): number {
  return rooms.reduce((sum, room) => sum + unreadCount(room, read[room.id]), 0);
}

function put(
  rooms: readonly ChatRoomSummary[],
  changed: readonly ChatRoomSummary[],
): ChatRoomSummary[] {
  const byId = new Map([...rooms, ...changed].map((room) => [room.id, room]));
  return [...byId.values()].sort((a, b) => activity(b) - activity(a) || (a.id < b.id ? -1 : 1));
}
