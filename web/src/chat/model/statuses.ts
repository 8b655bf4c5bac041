/** Whether somebody is there, in words. */
import type { PresenceChange } from "lakh-client";
import { dayLabel, clockTime } from "./times.ts";

/** "Online", "Away", "Last seen yesterday at 18:04"; null where nothing is known. */
export function statusText(
  seen: Pick<PresenceChange, "status" | "last_seen"> | undefined,
  now: number,
): string | null {
  if (!seen) return null;
  if (seen.status === "online") return "Online";
  if (seen.status === "away") return "Away";
  if (seen.last_seen === undefined) return "Offline";
  const day = dayLabel(seen.last_seen, now);
  return `Last seen ${day === "Today" ? "" : `${day.toLocaleLowerCase()} `}at ${clockTime(seen.last_seen)}`;
}
