/** Where one wants to go: by keys, by holding a finger or the mouse, or by a place that was pointed at. */
import { lengthOf, type Point } from "./geometry.ts";

/** By the place of the key, so that it's the same for all keyboards. */
const KEYS: Record<string, Point> = {
  KeyW: { x: 0, y: -1 },
  ArrowUp: { x: 0, y: -1 },
  KeyS: { x: 0, y: 1 },
  ArrowDown: { x: 0, y: 1 },
  KeyA: { x: -1, y: 0 },
  ArrowLeft: { x: -1, y: 0 },
  KeyD: { x: 1, y: 0 },
  ArrowRight: { x: 1, y: 0 },
};

/** Nearer than this one is there. */
const THERE = 0.15;
/** A finger nearer than this says nothing about where to. */
const NEAR = 0.6;

export class Walking {
  readonly #pressed = new Set<string>();
  #target: Point | null = null;
  #held = false;

  /** Whether the key is one to walk by. */
  press(code: string): boolean {
    if (!(code in KEYS)) return false;
    this.#pressed.add(code);
    this.#target = null;
    return true;
  }

  release(code: string): void {
    this.#pressed.delete(code);
  }

  /** To a place; `held`: as long as one points at it. */
  goTo(target: Point, held: boolean): void {
    this.#target = target;
    this.#held = held;
  }

  get target(): Point | null {
    return this.#target;
  }

  stop(): void {
    this.#pressed.clear();
    this.#target = null;
  }

  /** Which way from here, as long as 1; nought for nowhere. `stride`: how far one goes until it's asked again. */
  direction(here: Point, stride = 0): Point {
    let way = { x: 0, y: 0 };
    for (const code of this.#pressed) {
      const key = KEYS[code];
      if (key) way = { x: way.x + key.x, y: way.y + key.y };
    }
    if (this.#target) {
      way = { x: this.#target.x - here.x, y: this.#target.y - here.y };
      if (lengthOf(way) < Math.max(stride, this.#held ? NEAR : THERE)) {
        if (!this.#held) this.#target = null;
        return { x: 0, y: 0 };
      }
    }
    const length = lengthOf(way);
    return length === 0 ? way : { x: way.x / length, y: way.y / length };
  }
}
