/** Points and lines of the page. */

export interface Point {
  x: number;
  y: number;
}

export function pointOf(position: readonly number[]): Point {
  return { x: position[0] ?? 0, y: position[1] ?? 0 };
}

export function lengthOf({ x, y }: Point): number {
  return Math.hypot(x, y);
}

/** The cells that a stroke from one to another goes over, the first left out; each touches the one before. */
export function cellsBetween(from: Point, to: Point): Point[] {
  const steps = Math.max(Math.abs(to.x - from.x), Math.abs(to.y - from.y));
  return Array.from({ length: steps }, (_, index) => ({
    x: from.x + Math.round(((to.x - from.x) * (index + 1)) / steps),
    y: from.y + Math.round(((to.y - from.y) * (index + 1)) / steps),
  }));
}
