/**
 * Mouse and fingers on the canvas. Walking: hold to go where one points, tap to be led there. Painting: what is gone over
 * is painted. Two fingers, or the wheel, come nearer or go farther.
 */
import { cellsBetween, type Point } from "./model/geometry.ts";
import type { Stage } from "./stage.ts";

/** A touch that is shorter, and did not move, says where to go. */
const TAP_MS = 250;
/** A finger that rests still moves as much. */
const REST_PX = 8;
const WHEEL_ZOOM = 0.0015;

export class Pointing {
  /** Where the mouse is, in the world. */
  hovered: Point | null = null;
  readonly #canvas: HTMLCanvasElement;
  readonly #stage: Stage;
  readonly #fingers = new Map<number, Point>();
  #began = 0;
  #last: Point | null = null;
  #pinch: number | null = null;
  /** Where a finger came down to paint: the first of two only comes nearer. */
  #waits: { at: Point; place: Point } | null = null;
  readonly #stops = new AbortController();

  constructor(canvas: HTMLCanvasElement, stage: Stage) {
    this.#canvas = canvas;
    this.#stage = stage;
    const { signal } = this.#stops;
    const on = <K extends keyof HTMLElementEventMap>(
      name: K,
      heard: (event: HTMLElementEventMap[K]) => void,
    ) => canvas.addEventListener(name, heard, { signal, passive: false });
    on("pointerdown", (event) => this.#down(event));
    on("pointermove", (event) => this.#move(event));
    on("pointerup", (event) => this.#up(event));
    on("pointercancel", (event) => this.#up(event));
    on("pointerleave", () => (this.hovered = null));
    on("wheel", (event) => {
      event.preventDefault();
      stage.camera.zoomBy(Math.exp(-event.deltaY * WHEEL_ZOOM));
    });
  }

  close(): void {
    this.#stops.abort();
  }

  /** Where a finger or the mouse is held, in the world: one walks under it. */
  get held(): Point | null {
    const [place] = this.#pinch === null ? this.#fingers.values() : [];
    return place ? this.#stage.camera.toWorld(place) : null;
  }

  /** The cells that a stroke goes over. */
  stroke(at: Point, from: Point | null, cell: number): Point[] {
    const cellOf = ({ x, y }: Point) => ({ x: Math.floor(x / cell), y: Math.floor(y / cell) });
    const to = cellOf(at);
    return from ? cellsBetween(cellOf(from), to) : [to];
  }

  #down(event: PointerEvent): void {
    if (event.button !== 0) return;
    event.preventDefault();
    this.#canvas.focus();
    this.#canvas.setPointerCapture(event.pointerId);
    this.#fingers.set(event.pointerId, this.#place(event));
    if (this.#fingers.size > 1) {
      this.#pinch = this.#spread();
      this.#waits = null;
      this.#stage.walking.stop();
      return;
    }
    this.#began = event.timeStamp;
    const at = this.#inWorld(event);
    this.#last = at;
    if (this.#stage.tool === null) this.#stage.walkTo(at, true);
    else if (event.pointerType === "mouse") this.#stage.paint(at, null);
    else this.#waits = { at, place: this.#place(event) };
  }

  #move(event: PointerEvent): void {
    this.hovered = event.pointerType === "mouse" ? this.#inWorld(event) : null;
    if (!this.#fingers.has(event.pointerId)) return;
    this.#fingers.set(event.pointerId, this.#place(event));
    if (this.#pinch !== null) {
      // One finger that is left says nothing.
      if (this.#fingers.size < 2) return;
      const spread = this.#spread();
      if (spread > 0) this.#stage.camera.zoomBy(spread / this.#pinch);
      this.#pinch = spread;
      return;
    }
    if (this.#waits && near(this.#waits.place, this.#place(event))) return;
    this.#paintWaiting();
    const at = this.#inWorld(event);
    if (this.#stage.tool === null) this.#stage.walkTo(at, true);
    else this.#stage.paint(at, this.#last);
    this.#last = at;
  }

  #up(event: PointerEvent): void {
    if (!this.#fingers.delete(event.pointerId)) return;
    if (this.#pinch !== null) {
      this.#pinch = this.#fingers.size === 0 ? null : this.#spread();
      return;
    }
    this.#paintWaiting();
    if (this.#stage.tool !== null) return;
    if (event.timeStamp - this.#began < TAP_MS) {
      this.#stage.walkTo(this.#inWorld(event), false);
    } else {
      this.#stage.walking.stop();
    }
  }

  #paintWaiting(): void {
    if (this.#waits) this.#stage.paint(this.#waits.at, null);
    this.#waits = null;
  }

  #place(event: PointerEvent): Point {
    const { left, top } = this.#canvas.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  }

  #inWorld(event: PointerEvent): Point {
    return this.#stage.camera.toWorld(this.#place(event));
  }

  #spread(): number {
    const [a, b] = [...this.#fingers.values()];
    return a && b ? Math.max(1, Math.hypot(a.x - b.x, a.y - b.y)) : 1;
  }
}

function near(a: Point, b: Point): boolean {
  return Math.hypot(a.x - b.x, a.y - b.y) < REST_PX;
}
