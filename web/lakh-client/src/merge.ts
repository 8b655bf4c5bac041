/** JSON merge patches (RFC 7396): how large changes of a room's state are told with `delta`. */

/** The value that a patch makes of another; neither is changed. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isRecord(patch)) return patch;
  // Without a prototype: a key may have any name, `__proto__` among them.
  const merged = Object.assign(
    Object.create(null) as Record<string, unknown>,
    isRecord(target) ? target : {},
  );
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete merged[name];
    else merged[name] = mergePatch(merged[name], value);
  }
  return { ...merged };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
