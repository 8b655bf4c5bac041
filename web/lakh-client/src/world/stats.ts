/** What one gets of a world: bytes, frames, and frames that were left out. */

interface Taken {
  time: number;
  bytes: number;
  merged: number;
}

const WINDOW_MS = 1000;
/** More frames a second than the fastest world has are not remembered. */
const MAX_TAKEN = 256;

export class Traffic {
  /** Since entering. */
  frames = 0;
  bytes = 0;
  merged = 0;
  readonly #taken: Taken[] = [];

  /** `merged`: so many were left out before this one. */
  frame(merged: number, bytes: number, now: number): void {
    this.frames += 1;
    this.bytes += bytes;
    this.merged += merged;
    this.#taken.push({ time: now, bytes, merged });
    if (this.#taken.length > MAX_TAKEN) this.#taken.shift();
  }

  /** In the last second. */
  rates(now: number): { bytes: number; frames: number; merged: number } {
    while (this.#taken[0] && this.#taken[0].time <= now - WINDOW_MS) this.#taken.shift();
    const rates = { bytes: 0, frames: 0, merged: 0 };
    for (const { bytes, merged } of this.#taken) {
      rates.bytes += bytes;
      rates.frames += 1;
      rates.merged += merged;
    }
    return rates;
  }
}
