/**
 * What one paints: seen at once, sent a handful of cells at a time, and taken back where the server refuses. What the land
 * itself says counts again once it has said something.
 */
import type { Land, World } from "lakh-client";

export interface PaintedCell {
  at: number[];
  value: number;
}

/** The server takes so many cells in a request. */
const MAX_CELLS = 256;
const SEND_EVERY_MS = 60;
/** What was confirmed is in a frame by then. */
const CONFIRMED_MS = 3000;

type Send = (cells: PaintedCell[]) => Promise<boolean>;

export class Painting {
  readonly #send: Send;
  #world: World | null = null;
  /** Painted, and not yet in the land. */
  readonly #fresh = new Map<string, { value: number; until: number }>();
  readonly #queue = new Map<string, PaintedCell>();
  #waits = false;

  constructor(send: Send) {
    this.#send = send;
  }

  get land(): Land | null {
    return this.#world?.land ?? null;
  }

  follow(world: World): void {
    this.#world = world;
    world.on("land", () => this.#settle());
  }

  valueOf(x: number, y: number): number {
    const fresh = this.#fresh.size > 0 ? this.#fresh.get(`${x} ${y}`) : undefined;
    if (fresh) return fresh.value;
    const { land } = this;
    return land ? (land.value([x, y]) ?? land.plan.fill) : 0;
  }

  /** Cells in sight that are not as they were at first. */
  count(): number {
    const { land } = this;
    if (!land) return 0;
    let count = 0;
    for (const { cells } of land.chunks()) {
      for (const value of cells ?? []) if (value !== land.plan.fill) count += 1;
    }
    return count;
  }

  paint(x: number, y: number, value: number): void {
    if (this.valueOf(x, y) === value || !this.#isShown(x, y)) return;
    const key = `${x} ${y}`;
    this.#fresh.set(key, { value, until: Infinity });
    this.#queue.set(key, { at: [x, y], value });
    if (!this.#waits) this.#plan();
  }

  /** What is painted farther off would not be told of, and so be gone from the page again. */
  #isShown(x: number, y: number): boolean {
    const [atX = 0, atY = 0] = this.#world?.position ?? [];
    const { cell = 1, reach = Infinity } = this.land?.plan ?? {};
    return Math.hypot((x + 0.5) * cell - atX, (y + 0.5) * cell - atY) <= reach;
  }

  async #flush(): Promise<void> {
    const cells = [...this.#queue.values()].slice(0, MAX_CELLS);
    for (const { at } of cells) this.#queue.delete(at.join(" "));
    const taken = await this.#send(cells);
    this.#waits = false;
    for (const { at, value } of cells) this.#answered(at.join(" "), value, taken);
    if (this.#queue.size > 0) this.#plan();
  }

  /** One request at a time: the land gets strokes in the order in which they are made. */
  #plan(): void {
    this.#waits = true;
    setTimeout(() => void this.#flush(), SEND_EVERY_MS);
  }

  #answered(key: string, value: number, taken: boolean): void {
    const fresh = this.#fresh.get(key);
    // It may have been painted over meanwhile.
    if (fresh?.value !== value || this.#queue.has(key)) return;
    if (taken) fresh.until = performance.now() + CONFIRMED_MS;
    else this.#fresh.delete(key);
  }

  #settle(): void {
    const { land } = this;
    const now = performance.now();
    for (const [key, { value, until }] of this.#fresh) {
      const same = land?.value(key.split(" ").map(Number)) === value;
      if ((same && until !== Infinity) || now > until) this.#fresh.delete(key);
    }
  }
}
