/**
 * One's own entity: it moves at once, and the server is told of it by inputs with rising numbers. Where the server has
 * refused one it says where the entity is; what was walked since that input is walked again from there.
 */

interface Sent {
  seq: number;
  /** What was walked since the input before. */
  walked: number[];
}

export interface Bounds {
  min: number[];
  max: number[];
}

/** More than this are not waited for: whoever is so far ahead of the answers is not heard at all. */
const MAX_WAITING = 256;
const MEND_MS = 90;

export class Prediction {
  readonly #bounds: Bounds | null;
  readonly #snap: number;
  #at: number[];
  #velocity: number[];
  #time: number;
  /** Where it was when the last input was made. */
  #said: number[];
  #waiting: Sent[] = [];
  #seq = 0;
  #off: number[];
  #offTime = 0;

  constructor(at: readonly number[], bounds: Bounds | null, snap: number, now: number) {
    this.#at = [...at];
    this.#said = [...at];
    this.#velocity = at.map(() => 0);
    this.#off = at.map(() => 0);
    this.#bounds = bounds;
    this.#snap = snap;
    this.#time = now;
  }

  get velocity(): readonly number[] {
    return this.#velocity;
  }

  get moves(): boolean {
    return this.#velocity.some((x) => x !== 0);
  }

  /** The number of the last input that was made. */
  get seq(): number {
    return this.#seq;
  }

  /** Inputs that no frame has answered yet. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Where it is, without the smoothing that is for the eye. */
  get at(): readonly number[] {
    return this.#at;
  }

  /** Lets time pass. `pace`: how fast the world's time does. */
  advance(now: number, pace: number): void {
    const seconds = (Math.max(0, now - this.#time) / 1000) * pace;
    this.#time = Math.max(this.#time, now);
    if (this.moves) {
      this.#at = this.#inside(this.#at.map((x, axis) => x + (this.#velocity[axis] ?? 0) * seconds));
    }
  }

  steer(velocity: readonly number[]): void {
    this.#velocity = this.#at.map((_, axis) => velocity[axis] ?? 0);
  }

  place(at: readonly number[]): void {
    this.#at = this.#inside(this.#at.map((x, axis) => at[axis] ?? x));
  }

  /** An input is made of where it is now; its number. */
  say(): number {
    this.#seq += 1;
    const walked = this.#at.map((x, axis) => x - (this.#said[axis] ?? x));
    this.#said = [...this.#at];
    this.#waiting.push({ seq: this.#seq, walked });
    if (this.#waiting.length > MAX_WAITING) this.#waiting.shift();
    return this.#seq;
  }

  /** Inputs up to this one were taken. */
  taken(seq: number): void {
    this.#waiting = this.#waiting.filter((sent) => sent.seq > seq);
  }

  /** The server says where it is. What that is off from what was predicted, in units. */
  correct(at: readonly number[], now: number): number {
    const shown = this.shown(now);
    const walked = (axis: number) =>
      this.#waiting.reduce((sum, sent) => sum + (sent.walked[axis] ?? 0), 0);
    const before = this.#at;
    const rest = before.map((x, axis) => x - (this.#said[axis] ?? x));
    this.#said = this.#inside(at.map((x, axis) => x + walked(axis)));
    this.#at = this.#inside(this.#said.map((x, axis) => x + (rest[axis] ?? 0)));
    const off = Math.hypot(...this.#at.map((x, axis) => x - (before[axis] ?? x)));
    const keep = off <= this.#snap;
    this.#off = this.#at.map((x, axis) => (keep ? (shown[axis] ?? x) - x : 0));
    this.#offTime = now;
    return off;
  }

  /** Where it is shown: a correction is not jumped to. */
  shown(now: number): number[] {
    const kept = Math.exp((this.#offTime - now) / MEND_MS);
    return this.#at.map((x, axis) => x + (this.#off[axis] ?? 0) * kept);
  }

  /** One has come back: what was said before is not answered any more. Numbers go on rising. */
  restart(at: readonly number[], now: number): void {
    this.#waiting = [];
    this.#said = [...this.#at];
    this.#time = now;
    this.correct(at, now);
  }

  #inside(at: number[]): number[] {
    const bounds = this.#bounds;
    if (!bounds) return at;
    return at.map((x, axis) =>
      Math.min(bounds.max[axis] ?? Infinity, Math.max(bounds.min[axis] ?? -Infinity, x)),
    );
  }
}
