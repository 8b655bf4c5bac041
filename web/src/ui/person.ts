/** How a person looks wherever they appear: initials and a colour that stays theirs. */

const TONES = 8;

/** A number from 0 to 7, the same for an id on every page and device (FNV-1a). */
export function personTone(id: string): number {
  let hash = 0x811c9dc5;
  for (const char of id) {
    hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  }
  // FNV spreads names that differ in a digit badly: murmur's last step mends that.
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) % TONES;
}

/** One or two letters: first and last word's, or a single word's first. */
export function initials(name: string): string {
  const words = name
    .trim()
    .split(/[\s._-]+/u)
    .filter(Boolean);
  const first = firstLetter(words[0]);
  const last = words.length > 1 ? firstLetter(words.at(-1)) : "";
  return (first + last).toLocaleUpperCase() || "?";
}

function firstLetter(word: string | undefined): string {
  return Array.from(word ?? "")[0] ?? "";
}
