/**
 * Which tick it is between frames. Frames come when the network lets them; the clock follows their arrival slowly, so
 * that what is shown moves evenly.
 */

const REAL_TIME = 128;
/** How much of what an arrival says is believed. */
const FOLLOW = 0.1;
/** Farther off than this is no jitter: the world was still, slept, or is another. */
const JUMP_MS = 400;
/** Without a frame for so long (one comes each second) time is not taken to go on. */
const SILENCE_MS = 2500;

export class TickClock {
  readonly #hz: number;
  /** Ticks a millisecond. */
  #rate: number;
  /** The tick at time 0 of the page's clock. */
  #offset: number | null = null;
  #heard = 0;
  #last = 0;

  constructor(hz: number) {
    this.#hz = hz;
    this.#rate = hz / 1000;
  }

  /** A frame of this tick came at this time, in milliseconds of a clock that never goes back. */
  heard(tick: number, dilation: number, now: number): void {
    const before = this.#offset === null ? null : this.#offset + now * this.#rate;
    this.#rate = (this.#hz / 1000) * (dilation / REAL_TIME);
    this.#heard = now;
    if (before === null || Math.abs(tick - before) > (JUMP_MS / 1000) * this.#hz) {
      this.#offset = tick - now * this.#rate;
      this.#last = tick;
      return;
    }
    this.#offset = before + (tick - before) * FOLLOW - now * this.#rate;
  }

  /** The tick at a time: a number with a fraction, which never goes back but for a jump. */
  at(now: number): number {
    if (this.#offset === null) return 0;
    const until = Math.min(now, this.#heard + SILENCE_MS);
    this.#last = Math.max(this.#last, this.#offset + until * this.#rate);
    return this.#last;
  }

  /** How fast time passes: 1 is real time. */
  get pace(): number {
    return (this.#rate * 1000) / this.#hz;
  }
}
