/** What moderators did, in words. */
import type { ModerationDeed } from "lakh-client";
import { fullTime } from "../model/times.ts";

/** Stands behind the name of whoever did it. */
export function deedText({ kind, person, role, until, reason }: ModerationDeed): string {
  const whom = person?.name ?? "somebody";
  const end = until === undefined ? "" : ` until ${fullTime(until)}`;
  const why = reason ? `: ${reason}` : "";
  switch (kind) {
    case "kick":
      return `took ${whom} out of the room${why}`;
    case "ban":
      return `banned ${whom}${end || " for good"}${why}`;
    case "unban":
      return `lifted the ban on ${whom}`;
    case "mute":
      return `muted ${whom}${end}`;
    case "unmute":
      return `let ${whom} speak again`;
    case "role":
      return `made ${whom} ${role === "owner" ? "an owner" : `a ${role ?? "member"}`}`;
    case "archive":
      return "archived the room";
    case "unarchive":
      return "opened the room again";
    case "delete_room":
      return "deleted the room";
    case "close_report":
      return `closed a report on a message of ${whom}${why}`;
    default:
      return `${kind.replaceAll("_", " ")} ${person?.name ?? ""}${why}`.trim();
  }
}
