/** Typed requests and events for the modules of a Lakh server. */
export { LakhError, type ErrorCode } from "./errors.js";
export { Lakh, type LakhOptions } from "./lakh.js";
export type { Auth, Expiring } from "./signin.js";
export {
  NamespaceClient,
  type ConnectionState,
  type Exchange,
  type LimitHit,
  type Notices,
  type RequestOptions,
} from "./namespace.js";
export {
  RoomsClient,
  type EmitOptions,
  type JoinedSeveral,
  type Origin,
  type RoomEvents,
  type RoomMember,
  type RoomsRequests,
} from "./rooms.js";
export type {
  JoinAnswer,
  JoinOptions,
  Joined,
  Occupancy,
  Past,
  PastEvent,
  PastRange,
  PresencePage,
  Present,
  Rewind,
  RoomNews,
  TagFilter,
  Tags,
  TagTest,
} from "./rooms-live.js";
export { Room } from "./room.js";
export {
  RoomState,
  type ChangedBy,
  type EntryChange,
  type FollowOptions,
  type StateChange,
  type StateChanged,
  type StateEntry,
  type StateSnapshot,
  type WriteOptions,
} from "./state.js";
export {
  Lock,
  type AcquireOptions,
  type LockChanged,
  type LockHolder,
  type LockInfo,
} from "./locks.js";
export {
  Cursors,
  type CursorLeft,
  type CursorMoved,
  type CursorPlace,
  type CursorTuple,
} from "./cursors.js";
export {
  ChatClient,
  messageKey,
  type ChatEvents,
  type ChatMember,
  type ChatMessage,
  type ChatRequests,
  type ChatRoom,
  type ChatRoomSummary,
  type HistoryRange,
  type PresenceUpdate,
  type TypingUpdate,
} from "./chat.js";
export type { User } from "./types.js";
