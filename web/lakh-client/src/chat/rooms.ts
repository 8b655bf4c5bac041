/** Requests on rooms and on who is in them. */
import type {
  ChatBan,
  ChatData,
  ChatMember,
  ChatRoomInfo,
  ChatRoomSummary,
  NotifyLevel,
  RoomKind,
  RoomRole,
  RoomSettings,
} from "./shapes.js";

interface InRoom {
  room: string;
}

interface OfMember extends InRoom {
  person: string;
}

interface Page {
  cursor?: string;
  /** The server gives its own where it is left out. */
  limit?: number;
}

interface Entered {
  room: ChatRoomInfo;
  /** Who is here now; `count` may be more. */
  members: ChatMember[];
  count?: number;
  seq: number;
  rev?: number;
}

/** What a room may be made or changed with. `null` takes a field away. */
interface Described {
  name?: string | null;
  topic?: string | null;
  picture?: string | null;
  data?: ChatData | null;
  /** Only what is named changes. */
  settings?: RoomSettings | null;
}

export interface RoomRequests {
  "room:create": {
    fields: Described & { kind?: RoomKind; id?: string; members?: string[] };
    answer: Entered;
  };
  /** The one room of these people and oneself. */
  "room:direct": { fields: { people: string[] }; answer: Entered };
  "room:get": { fields: InRoom; answer: { room: ChatRoomInfo } };
  /** Makes one a member; this socket hears the room from now on. */
  "room:join": { fields: InRoom; answer: Entered };
  "room:leave": { fields: InRoom; answer: object };
  /** Hears the room without being a member. */
  "room:watch": { fields: InRoom; answer: Entered };
  "room:unwatch": { fields: InRoom; answer: object };
  "room:set": {
    fields: InRoom & Described & { version?: number };
    answer: { room: ChatRoomInfo };
  };
  "room:archive": { fields: InRoom & { archived: boolean }; answer: { room: ChatRoomInfo } };
  "room:delete": { fields: InRoom; answer: object };
  "room:list": {
    /** `mine`: those that one is in. `watch`: and hears from now on. */
    fields: Page & {
      mine?: boolean;
      watch?: boolean;
      kind?: RoomKind;
      archived?: boolean;
      search?: string;
    };
    answer: { rooms: ChatRoomSummary[]; cursor: string | null };
  };
  "room:notify": { fields: InRoom & { notify: NotifyLevel }; answer: object };
}

export interface MemberRequests {
  /** By their ids. `guest`: who is invited, or muted without being a member. */
  "member:list": {
    fields: InRoom & Page & { role?: RoomRole };
    answer: { members: ChatMember[]; cursor: string | null };
  };
  "member:invite": { fields: InRoom & { people: string[] }; answer: { invited: string[] } };
  "member:decline": { fields: InRoom; answer: object };
  "member:add": {
    fields: InRoom & { people: string[]; role?: RoomRole };
    answer: { added: string[] };
  };
  "member:role": { fields: OfMember & { role: RoomRole }; answer: object };
  "member:kick": { fields: OfMember & { reason?: string }; answer: object };
  /** For so many seconds, or for good. */
  "member:ban": { fields: OfMember & { seconds?: number; reason?: string }; answer: object };
  "member:unban": { fields: OfMember; answer: object };
  "ban:list": {
    fields: InRoom & { cursor?: string };
    answer: { bans: ChatBan[]; cursor: string | null };
  };
  /** `null` lets the person speak again. */
  "member:mute": { fields: OfMember & { seconds: number | null }; answer: object };
}
