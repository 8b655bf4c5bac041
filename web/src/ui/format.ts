/** Figures as people read them. */

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const oneDigit = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** 1,234 in full; from 100,000 on shortened. */
export function formatCount(count: number): string {
  return count < 100_000 ? whole.format(count) : compact.format(count);
}

/** Small rates keep a digit: 0.4 a second is not nothing. */
export function formatRate(rate: number | null): string {
  if (rate === null) return "–";
  return rate > 0 && rate < 10 ? oneDigit.format(rate) : formatCount(rate);
}

export function formatBytes(bytes: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value < 10 && unit > 0 ? oneDigit.format(value) : whole.format(value)} ${units[unit]}`;
}

/** The server's words, which are for programs too, with sizes and times as people write them. */
export function readable(text: string): string {
  return text
    .replaceAll(/\b(\d{4,}) bytes/g, (_, bytes: string) => formatBytes(Number(bytes)))
    .replaceAll(/\b(\d{13})(?: \(milliseconds since 1970\))?/g, (_, ms: string) =>
      momentFormat.format(Number(ms)),
    );
}

/** The two largest parts: "3 d 4 h", "12 min 5 s". */
export function formatDuration(seconds: number): string {
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [Math.floor(seconds) % 60, "s"],
  ];
  const first = parts.findIndex(([value]) => value > 0);
  if (first === -1) return "0 s";
  return parts
    .slice(first, first + 2)
    .filter(([value], index) => index === 0 || value > 0)
    .map(([value, unit]) => `${value} ${unit}`)
    .join(" ");
}

const momentFormat = new Intl.DateTimeFormat(undefined, {
  dateStyle: "medium",
  timeStyle: "short",
});
const clockFormat = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});

/** 14:03:12 */
export function formatClock(time_ms: number): string {
  return clockFormat.format(time_ms);
}
