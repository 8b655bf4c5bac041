/** Rooms as addresses: /chat/<room>. */

/** Longer names are refused by the server. */
export const MAX_ROOM_NAME = 128;
export const MAX_TEXT = 8000;

export function roomPath(id: string): string {
  // A dot in a path's last part looks like a file to servers, so it is written in code.
  return `/chat/${encodeURIComponent(id).replaceAll(".", "%2E")}`;
}

/** The address of a message in a room, or in a thread of it. */
export function messagePath(id: string, seq: number, thread?: number): string {
  const where = thread === undefined ? `message=${seq}` : `thread=${thread}&message=${seq}`;
  return `${roomPath(id)}?${where}`;
}

export interface Target {
  seq: number;
  thread: number | null;
}

/** The message that an address names behind its `?`. */
export function targetOf(search: string): Target | null {
  const fields = new URLSearchParams(search);
  const number = (name: string) => {
    const value = Number(fields.get(name));
    return Number.isSafeInteger(value) && value > 0 ? value : null;
  };
  const seq = number("message");
  return seq === null ? null : { seq, thread: number("thread") };
}

/** The room of an address as the browser has it, or null for the list. */
export function roomOfPath(pathname: string): string | null {
  const part = pathname.slice("/chat/".length);
  if (!pathname.startsWith("/chat/") || part === "") return null;
  try {
    return decodeURIComponent(part);
  } catch {
    return null;
  }
}

/** Why this can't be a room's name; null when it can. */
export function roomNameError(name: string): string | null {
  if (name === "") return "A name is needed.";
  if (/^\.+$/u.test(name)) return "A name needs more than dots.";
  if (countChars(name) > MAX_ROOM_NAME) return `A name has at most ${MAX_ROOM_NAME} characters.`;
  return null;
}

/** Characters as the server counts them: Unicode's, not JavaScript's halves of them. */
export function countChars(text: string): number {
  return Array.from(text).length;
}
