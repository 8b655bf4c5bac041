/** Worlds as addresses: /world/<name>; /world alone is the usual one. */

export const USUAL_WORLD = "plaza";

export function worldPath(world: string): string {
  if (world === USUAL_WORLD) return "/world";
  // A dot in a path's last part looks like a file to servers, so it is written in code.
  return `/world/${encodeURIComponent(world).replaceAll(".", "%2E")}`;
}

export function worldOfPath(pathname: string): string {
  const part = pathname.startsWith("/world/") ? pathname.slice("/world/".length) : "";
  if (part === "") return USUAL_WORLD;
  try {
    return decodeURIComponent(part);
  } catch {
    return USUAL_WORLD;
  }
}
