/** Times as the chat says them, in the reader's language and time zone. */
import { dayOf } from "./grouping.ts";

const DAY_MS = 86_400_000;

const hourMinute = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "long" });
const dayMonth = new Intl.DateTimeFormat(undefined, {
  weekday: "long",
  day: "numeric",
  month: "long",
});
const dayMonthYear = new Intl.DateTimeFormat(undefined, { dateStyle: "long" });
const shortDay = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "short" });

export function clockTime(time: number): string {
  return hourMinute.format(time);
}

export function fullTime(time: number): string {
  return full.format(time);
}

/** Of a day line: Today, Yesterday, a weekday, or a date. */
export function dayLabel(time: number, now: number): string {
  const days = daysBetween(time, now);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  if (days > 1 && days < 7) return weekday.format(time);
  const sameYear = new Date(time).getFullYear() === new Date(now).getFullYear();
  return (sameYear ? dayMonth : dayMonthYear).format(time);
}

/** In the list of rooms: the time for today, then as short as can be. */
export function shortTime(time: number, now: number): string {
  const days = daysBetween(time, now);
  if (days <= 0) return clockTime(time);
  return days === 1 ? "Yesterday" : shortDay.format(time);
}

/** Calendar days, in the reader's zone. Noon, so that a change of clocks costs nothing. */
function daysBetween(time: number, now: number): number {
  if (dayOf(time) === dayOf(now)) return 0;
  return Math.round((noon(now) - noon(time)) / DAY_MS);
}

function noon(time: number): number {
  return new Date(time).setHours(12, 0, 0, 0);
}
