/** Worlds as addresses: /world/<name>; /world alone is the usual one. */

export const USUAL_WORLD = "plaza";

export function worldOfPath(pathname: string): string {
  const part = pathname.startsWith("/world/") ? pathname.slice("/world/".length) : "";
  if (part === "") return USUAL_WORLD;
  try {
    return decodeURIComponent(part);
  } catch {
    return USUAL_WORLD;
  }
}
