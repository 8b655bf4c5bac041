/** Chance that is the same for everybody: of a place's coordinates alone. */

/** 0 to 1, for whole numbers. */
export function chance(x: number, y: number, salt: number): number {
  let hash =
    Math.imul(x | 0, 0x27d4eb2d) ^ Math.imul(y | 0, 0x165667b1) ^ Math.imul(salt, 0x9e3779b1);
  hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}

/** 0 to 1, smooth between whole numbers. */
export function noise(x: number, y: number, salt: number): number {
  const left = Math.floor(x);
  const top = Math.floor(y);
  const [u, v] = [smooth(x - left), smooth(y - top)];
  const above = mix(chance(left, top, salt), chance(left + 1, top, salt), u);
  const below = mix(chance(left, top + 1, salt), chance(left + 1, top + 1, salt), u);
  return mix(above, below, v);
}

/** The same without a grain: two layers that are turned against each other. */
export function soft(x: number, y: number, size: number, salt: number): number {
  const [u, v] = [(x * 0.8 - y * 0.6) / size, (x * 0.6 + y * 0.8) / size];
  const [s, t] = [(x * 0.28 + y * 0.96) / size, (y * 0.28 - x * 0.96) / size];
  return noise(u, v, salt) * 0.58 + noise(s * 1.9 + 7, t * 1.9, salt + 100) * 0.42;
}

export function mix(a: number, b: number, part: number): number {
  return a + (b - a) * part;
}

/** 0 below `from`, 1 above `to`, smooth between. */
export function step(from: number, to: number, x: number): number {
  return smooth(Math.min(1, Math.max(0, (x - from) / (to - from))));
}

function smooth(t: number): number {
  return t * t * (3 - 2 * t);
}
