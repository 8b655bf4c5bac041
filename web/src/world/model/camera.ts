/** What of the world is on the screen: where its middle is, and how large a unit is drawn. */
import type { Point } from "./geometry.ts";

export const MIN_ZOOM = 6;
export const MAX_ZOOM = 64;
/** In which time the camera comes two thirds of the way after whom it follows. */
const FOLLOW_MS = 140;
/** Farther than this it does not go after anybody: it's there. */
const CUT_UNITS = 60;

export class Camera {
  x = 0;
  y = 0;
  /** Pixels a unit. */
  zoom = 26;
  width = 1;
  height = 1;
  #wanted = 26;
  #placed = false;

  resize(width: number, height: number): void {
    this.width = width;
    this.height = height;
  }

  zoomBy(factor: number): void {
    this.#wanted = Math.min(MAX_ZOOM, Math.max(MIN_ZOOM, this.#wanted * factor));
  }

  /** Goes after somebody. `still`: at once, for whom moving pictures make unwell. */
  follow({ x, y }: Point, passed_ms: number, still: boolean): void {
    const far = Math.hypot(x - this.x, y - this.y) > CUT_UNITS;
    const part = still || far || !this.#placed ? 1 : 1 - Math.exp(-passed_ms / FOLLOW_MS);
    this.#placed = true;
    this.x += (x - this.x) * part;
    this.y += (y - this.y) * part;
    this.zoom += (this.#wanted - this.zoom) * (still ? 1 : part);
  }

  toScreen({ x, y }: Point): Point {
    return {
      x: (x - this.x) * this.zoom + this.width / 2,
      y: (y - this.y) * this.zoom + this.height / 2,
    };
  }

  toWorld({ x, y }: Point): Point {
    return {
      x: (x - this.width / 2) / this.zoom + this.x,
      y: (y - this.height / 2) / this.zoom + this.y,
    };
  }

  /** The part of the world that is to be seen, and so much around it. */
  area(margin = 0): { left: number; top: number; right: number; bottom: number } {
    const wide = this.width / 2 / this.zoom + margin;
    const high = this.height / 2 / this.zoom + margin;
    return { left: this.x - wide, right: this.x + wide, top: this.y - high, bottom: this.y + high };
  }
}
