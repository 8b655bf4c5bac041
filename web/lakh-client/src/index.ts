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
  type Area,
  type ChatRequestName,
  type ChatRequests,
  type HistoryRange,
} from "./chat/client.js";
export { messageKey } from "./chat/key.js";
export {
  FileAccess,
  withAccess,
  type AccessWord,
  type FileQuota,
  type PutOptions,
  type UploadTicket,
} from "./chat/attachments.js";
export { ChatRooms, type ChatRoomsOptions } from "./chat/live-rooms.js";
export type { MessageRef } from "./chat/actions.js";
export { ChatRoom, type EnterBy } from "./chat/room.js";
export { PeopleStatus } from "./chat/statuses.js";
export { roomName } from "./chat/shapes.js";
export type { ChatRoomState, ThreadState } from "./chat/room-state.js";
export { MessageLog, type Edge, type LogState } from "./chat/log.js";
export type { ChatWindow } from "./chat/window.js";
export type { Draft, OutboxShelf, Outgoing } from "./chat/outbox.js";
export type { Typing, Typist } from "./chat/typists.js";
export { replaceFields, toggleReaction } from "./chat/changes.js";
export type * from "./chat/events.js";
export type * from "./chat/shapes.js";
export type { Carried, OfMessage } from "./chat/messages.js";
export type { UnreadOf } from "./chat/receipts.js";
export type { User } from "./types.js";
export { WorldClient } from "./world/client.js";
export {
  World,
  type EnterOptions,
  type WorldEvents,
  type WorldPhase,
  type WorldStats,
} from "./world/world.js";
export { Entity, type EntityFields, type Tier } from "./world/entity.js";
export { Land, type LandApplied, type LandChunk, type LandPart } from "./world/land.js";
export { FrameError, type FrameErrorCode } from "./world/bits.js";
export { Replica, type Applied, type OwnPlace, type Section } from "./world/replica.js";
export { layoutOf, type FieldSchema, type KindSchema, type WorldSchema } from "./world/schema.js";
export type { FieldValue } from "./world/parcel.js";
export type { Move } from "./world/steering.js";
export type * from "./world/shapes.js";
export { Space, type SpaceHandleEvents, type SpacePhase } from "./world/space.js";
export type * from "./world/spaces.js";
