/** What is offered to whom: the usual permissions of the server, which has the last word. */
import type { ChatRoomInfo, RoomRole } from "lakh-client";

const RANK: Record<RoomRole, number> = { guest: 0, member: 1, moderator: 2, owner: 3 };

export type Act =
  | "send"
  | "react"
  | "edit_own"
  | "schedule"
  | "live"
  | "report"
  | "forward"
  | "delete_any"
  | "purge"
  | "see_reports"
  | "see_log"
  | "pin"
  | "mute"
  | "kick"
  | "ban"
  | "invite"
  | "change_room"
  | "set_role"
  | "archive"
  | "delete_room";

/** The least role for an act; `null`: nobody. */
const LEAST: Record<Act, RoomRole> = {
  send: "member",
  react: "member",
  edit_own: "member",
  schedule: "member",
  live: "member",
  report: "member",
  forward: "member",
  delete_any: "moderator",
  purge: "moderator",
  see_reports: "moderator",
  see_log: "moderator",
  pin: "moderator",
  mute: "moderator",
  kick: "moderator",
  ban: "moderator",
  invite: "member",
  change_room: "moderator",
  set_role: "owner",
  archive: "owner",
  delete_room: "owner",
};

/** In the rooms of things whoever looks on may speak. */
const OPEN: ReadonlySet<Act> = new Set<Act>([
  "send",
  "react",
  "edit_own",
  "schedule",
  "live",
  "report",
  "forward",
]);

const DIRECT: Partial<Record<Act, RoomRole | null>> = {
  delete_any: null,
  purge: null,
  see_reports: null,
  see_log: null,
  pin: "member",
  mute: null,
  kick: null,
  ban: null,
  invite: null,
  change_room: "member",
  set_role: null,
  archive: null,
  delete_room: null,
};

export function roleIn(info: ChatRoomInfo | null): RoomRole {
  return info?.mine?.role ?? "guest";
}

/** Whether one only looks at a room that one could join. */
export function isVisitor(info: ChatRoomInfo | null): boolean {
  return info?.kind === "public" && roleIn(info) === "guest";
}

export function mayAct(info: ChatRoomInfo | null, act: Act): boolean {
  const least = leastFor(info, act);
  return least !== null && RANK[roleIn(info)] >= RANK[least];
}

/** Nobody acts on somebody of a higher role, and only owners on their equals. */
export function mayActOn(info: ChatRoomInfo | null, act: Act, role: RoomRole = "member"): boolean {
  if (!mayAct(info, act)) return false;
  const mine = roleIn(info);
  return mine === "owner" || RANK[mine] > RANK[role];
}

function leastFor(info: ChatRoomInfo | null, act: Act): RoomRole | null {
  if (info?.kind === "direct") return DIRECT[act] === undefined ? LEAST[act] : DIRECT[act];
  if (info?.kind === "private" && act === "invite") return "moderator";
  if (info?.kind === "thing" && OPEN.has(act)) return "guest";
  return LEAST[act];
}
