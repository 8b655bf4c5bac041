/** Spans of time as people choose and read them. */

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export interface Span {
  seconds: number;
  label: string;
}

/** For how long somebody is kept silent or out. 0: for good. */
export const PENALTIES: readonly Span[] = [
  { seconds: 10 * MINUTE, label: "10 minutes" },
  { seconds: HOUR, label: "An hour" },
  { seconds: DAY, label: "A day" },
  { seconds: 7 * DAY, label: "A week" },
  { seconds: 30 * DAY, label: "30 days" },
];

/** After how long a message disappears. */
export const LIFETIMES: readonly Span[] = [
  { seconds: 5 * MINUTE, label: "5 minutes" },
  { seconds: HOUR, label: "An hour" },
  { seconds: DAY, label: "A day" },
  { seconds: 7 * DAY, label: "A week" },
];

/** How long one waits between two messages in a slow room. */
export const PAUSES: readonly Span[] = [
  { seconds: 0, label: "No waiting" },
  { seconds: 5, label: "5 seconds" },
  { seconds: 15, label: "15 seconds" },
  { seconds: 30, label: "30 seconds" },
  { seconds: MINUTE, label: "A minute" },
  { seconds: 5 * MINUTE, label: "5 minutes" },
  { seconds: 15 * MINUTE, label: "15 minutes" },
  { seconds: HOUR, label: "An hour" },
  { seconds: 6 * HOUR, label: "6 hours" },
];

/** For how many days messages are kept. */
export const KEPT: readonly { days: number; label: string }[] = [
  { days: 0, label: "For ever" },
  { days: 1, label: "A day" },
  { days: 7, label: "A week" },
  { days: 30, label: "30 days" },
  { days: 90, label: "90 days" },
  { days: 365, label: "A year" },
];

/** "5 seconds", "3 hours", "2 days": the largest unit that fits. */
export function spanText(seconds: number): string {
  const units: [number, string][] = [
    [DAY, "day"],
    [HOUR, "hour"],
    [MINUTE, "minute"],
    [1, "second"],
  ];
  const [size, name] = units.find(([unit]) => seconds >= unit) ?? [1, "second"];
  const count = Math.round(seconds / size);
  return count === 1 ? `1 ${name}` : `${count} ${name}s`;
}

/** The choices, and the present value among them even if it is none of them. */
export function withPresent(spans: readonly Span[], seconds: number): readonly Span[] {
  if (spans.some((one) => one.seconds === seconds)) return spans;
  const own = { seconds, label: spanText(seconds) };
  return [...spans, own].sort((a, b) => a.seconds - b.seconds);
}

/** For a field of type `datetime-local`: the reader's own time, without a zone. */
export function toField(time: number): string {
  const local = new Date(time);
  const two = (part: number) => String(part).padStart(2, "0");
  const day = `${local.getFullYear()}-${two(local.getMonth() + 1)}-${two(local.getDate())}`;
  return `${day}T${two(local.getHours())}:${two(local.getMinutes())}`;
}

/** Milliseconds since 1970; null for what is no time. */
export function fromField(text: string): number | null {
  const time = new Date(text).getTime();
  return Number.isNaN(time) ? null : time;
}

/** Times that are often wanted: in an hour, this evening, tomorrow and on Monday morning. */
export function usualTimes(now: number): { label: string; time: number }[] {
  const at = (days: number, hour: number) => {
    const day = new Date(now);
    day.setDate(day.getDate() + days);
    return day.setHours(hour, 0, 0, 0);
  };
  const weekday = new Date(now).getDay();
  const monday = (8 - weekday) % 7 || 7;
  const times = [
    { label: "In an hour", time: Math.ceil((now + HOUR * 1000) / 60_000) * 60_000 },
    { label: "This evening at 18:00", time: at(0, 18) },
    { label: "Tomorrow at 9:00", time: at(1, 9) },
    ...(monday > 1 ? [{ label: "Monday at 9:00", time: at(monday, 9) }] : []),
  ];
  return times.filter((one) => one.time > now + 60_000);
}
