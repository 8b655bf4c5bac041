/** Mentions while one writes: what stands behind the @, who fits, and who is meant in the end. */
import type { User } from "lakh-client";
import { escape } from "./text.ts";

/** The word behind an @ that the caret stands in, and where the @ is. */
export interface Asked {
  at: number;
  word: string;
}

/** Everybody in the room. */
export const ALL: User = { id: "*", name: "all" };
const MOST = 6;
const LONGEST = 40;

export function askedAt(text: string, caret: number): Asked | null {
  const before = text.slice(Math.max(0, caret - LONGEST), caret);
  const found = /(?:^|[\s([{"'])@([\p{L}\p{N}._ -]*)$/u.exec(before);
  const word = found?.[1];
  // Two spaces on, it is a sentence and no name.
  if (word === undefined || word.split(" ").length > 3 || word.startsWith(" ")) return null;
  return { at: caret - word.length - 1, word };
}

/** Those whose name, or a word of it, begins so; the best first. */
export function fitting(people: readonly User[], word: string, myId: string): User[] {
  const wanted = fold(word);
  const ranked = people
    .filter((one) => one.id !== myId)
    .map((user) => ({ user, rank: rankOf(fold(user.name), wanted) }))
    .filter((one) => one.rank < 3);
  return ranked
    .sort((a, b) => a.rank - b.rank || a.user.name.localeCompare(b.user.name))
    .slice(0, MOST)
    .map((one) => one.user);
}

export function complete(
  text: string,
  asked: Asked,
  name: string,
): { text: string; caret: number } {
  const rest = text.slice(asked.at + 1 + asked.word.length);
  const put = `@${name}${rest.startsWith(" ") ? "" : " "}`;
  const caret = asked.at + put.length + (rest.startsWith(" ") ? 1 : 0);
  return { text: text.slice(0, asked.at) + put + rest, caret };
}

/**
 * The ids of those who are mentioned in the text: whoever was chosen and still stands in it, and whoever was offered and is
 * written in full, unless several have the name. Longer names first: who means Ada Byron doesn't mean Ada.
 */
export function mentionedIn(
  text: string,
  chosen: readonly User[],
  offered: readonly User[] = [],
): string[] {
  const byName = new Map<string, { chosen: Set<string>; offered: Set<string> }>();
  const entry = (name: string) => {
    const found = byName.get(fold(name)) ?? { chosen: new Set(), offered: new Set() };
    byName.set(fold(name), found);
    return found;
  };
  for (const one of chosen) entry(one.name).chosen.add(one.id);
  for (const one of offered) entry(one.name).offered.add(one.id);

  const ids = new Set<string>();
  let rest = fold(text);
  for (const name of [...byName.keys()].sort((a, b) => b.length - a.length)) {
    const written = new RegExp(`(^|[\\s([{"'])@${escape(name)}(?![\\p{L}\\p{N}])`, "gu");
    const without = rest.replaceAll(written, "$1 ");
    const named = entry(name);
    const meant = named.chosen.size > 0 || named.offered.size > 1 ? named.chosen : named.offered;
    if (without !== rest) meant.forEach((id) => ids.add(id));
    rest = without;
  }
  return [...ids];
}

function rankOf(name: string, wanted: string): number {
  if (name.startsWith(wanted)) return 0;
  if (name.split(/[\s._-]+/u).some((word) => word.startsWith(wanted))) return 1;
  return wanted.length > 1 && name.includes(wanted) ? 2 : 3;
}

function fold(text: string): string {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLocaleLowerCase();
}
