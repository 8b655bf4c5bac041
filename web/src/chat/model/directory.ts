/** The list of rooms: the server's pages, kept fresh by what is heard in between. */
import {
  replaceFields,
  roomName,
  type ChatMessage,
  type ChatRoomInfo,
  type ChatRoomSummary,
  type ChatUser,
  type RoomMine,
} from "lakh-client";

export interface Directory {
  readonly status: "loading" | "ready" | "failed";
  readonly error: string | null;
  /** The latest activity first. */
  readonly rooms: readonly ChatRoomSummary[];
  /** Where the next page of public rooms starts; null when there is none. */
  readonly cursor: string | null;
}

export const emptyDirectory: Directory = {
  status: "loading",
  error: null,
  rooms: [],
  cursor: null,
};

/** Rooms from the server. They replace those of the same id. */
export function addPage(directory: Directory, page: readonly ChatRoomSummary[]): Directory {
  const known = new Map(directory.rooms.map((room) => [room.id, room]));
  // A list of public rooms does not say what one is in them.
  const merged = page.map((room) => {
    const mine = room.mine ?? known.get(room.id)?.mine;
    return mine ? { ...room, mine } : room;
  });
  return { ...directory, status: "ready", error: null, rooms: put(directory.rooms, merged) };
}

/** A room that was made, or joined, since. */
export function addRoom(directory: Directory, room: ChatRoomInfo): Directory {
  const known = directory.rooms.find((one) => one.id === room.id);
  const mine = room.mine ?? known?.mine;
  const summary = { online: known?.online ?? 0, last: known?.last ?? null, ...room };
  return { ...directory, rooms: put(directory.rooms, [mine ? { ...summary, mine } : summary]) };
}

export function removeRoom(directory: Directory, id: string): Directory {
  const rooms = directory.rooms.filter((one) => one.id !== id);
  return rooms.length === directory.rooms.length ? directory : { ...directory, rooms };
}

/** One is no member of it any more; a public one stays in the list. */
export function leaveRoom(directory: Directory, id: string): Directory {
  const room = directory.rooms.find((one) => one.id === id);
  if (!room) return directory;
  if (room.kind !== undefined && room.kind !== "public") return removeRoom(directory, id);
  const { mine: _mine, ...rest } = room;
  return { ...directory, rooms: put(directory.rooms, [rest]) };
}

export function changeRoom(
  directory: Directory,
  id: string,
  set: { [F in keyof ChatRoomSummary]?: ChatRoomSummary[F] | null },
): Directory {
  const room = directory.rooms.find((one) => one.id === id);
  if (!room) return directory;
  return { ...directory, rooms: put(directory.rooms, [replaceFields(room, set)]) };
}

/** `myId`: what others say is unread until it is read. */
export function addMessage(directory: Directory, message: ChatMessage, myId: string): Directory {
  const known = directory.rooms.find((one) => one.id === message.room);
  if (!known || message.thread !== undefined) return directory;
  if (known.last && known.last.seq >= message.seq) return directory;
  const mine = known.mine && countUnread(known.mine, message, myId);
  const seq = Math.max(known.seq, message.seq);
  const room = { ...known, last: message, seq, ...(mine ? { mine } : {}) };
  return { ...directory, rooms: put(directory.rooms, [room]) };
}

/** A change to the last message shows in the list, too. */
export function changeLast(
  directory: Directory,
  { room: id, seq, set }: { room: string; seq: number; set: object },
): Directory {
  const last = directory.rooms.find((one) => one.id === id)?.last;
  if (last?.seq !== seq) return directory;
  return changeRoom(directory, id, { last: replaceFields(last, set) });
}

export function setMine(directory: Directory, id: string, change: Partial<RoomMine>): Directory {
  const mine = directory.rooms.find((one) => one.id === id)?.mine;
  return mine ? changeRoom(directory, id, { mine: { ...mine, ...change } }) : directory;
}

/** Who the other is in a direct room of two; null in any other room. */
export function directPartner(
  { kind, people }: Pick<ChatRoomInfo, "kind" | "people">,
  myId: string,
): string | null {
  if (kind !== "direct" || people?.length !== 2) return null;
  return people.find((one) => one.id !== myId)?.id ?? null;
}

/** Direct rooms are called by the people in them. */
export function renamePerson(directory: Directory, person: ChatUser, myId: string): Directory {
  const { id, name } = person;
  const changed = directory.rooms.flatMap((room) => {
    if (!room.people?.some((one) => one.id === id && one.name !== name)) return [];
    const people = room.people.map((one) => (one.id === id ? { id, name } : one));
    const wasOwn = room.name !== roomName({ ...room, name: "" }, myId);
    return [
      { ...room, people, name: wasOwn ? room.name : roomName({ ...room, people, name: "" }, myId) },
    ];
  });
  return changed.length > 0 ? { ...directory, rooms: put(directory.rooms, changed) } : directory;
}

function countUnread(mine: RoomMine, message: ChatMessage, myId: string): RoomMine {
  if (message.from.id === myId) return { ...mine, read: message.seq, unread: 0, mentions: 0 };
  if (message.seq <= mine.read) return mine;
  const named = message.mentions?.some((id) => id === myId || id === "*") === true;
  const mentions = mine.mentions + (named ? 1 : 0);
  return { ...mine, unread: mine.unread + 1, mentions };
}

export interface Sections {
  invited: ChatRoomSummary[];
  direct: ChatRoomSummary[];
  rooms: ChatRoomSummary[];
  /** Public rooms that one is not in. */
  others: ChatRoomSummary[];
}

/** `membership`: whether the server tells what one is in a room. */
export function toSections(rooms: readonly ChatRoomSummary[], membership: boolean): Sections {
  const sections: Sections = { invited: [], direct: [], rooms: [], others: [] };
  for (const room of rooms) {
    if (room.mine?.invited_by && room.mine.joined_at === undefined) sections.invited.push(room);
    else if (room.kind === "direct") sections.direct.push(room);
    else if (room.mine || !membership) sections.rooms.push(room);
    else if (room.archived !== true) sections.others.push(room);
  }
  return sections;
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

/** What one has not read of a room. */
export interface Unread {
  count: number;
  mentions: number;
}

/** By the server where it counts, or else from the number that this browser remembers. */
export function unreadOf(
  room: ChatRoomSummary,
  readSeq: number | undefined,
  counted: boolean,
): Unread {
  if (counted && room.mine) return { count: room.mine.unread, mentions: room.mine.mentions };
  if (counted || readSeq === undefined) return { count: 0, mentions: 0 };
  return { count: Math.max(0, room.seq - readSeq), mentions: 0 };
}

/** In all rooms; `read` holds the number up to which each was read. */
export function totalUnread(
  rooms: readonly ChatRoomSummary[],
  read: Readonly<Record<string, number>>,
  counted: boolean,
): number {
  return rooms
    .filter((room) => room.mine?.notify !== "none")
    .reduce((sum, room) => sum + unreadOf(room, read[room.id], counted).count, 0);
}

function put(
  rooms: readonly ChatRoomSummary[],
  changed: readonly ChatRoomSummary[],
): ChatRoomSummary[] {
  const byId = new Map([...rooms, ...changed].map((room) => [room.id, room]));
  return [...byId.values()].sort((a, b) => activity(b) - activity(a) || (a.id < b.id ? -1 : 1));
}
