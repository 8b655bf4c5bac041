/**
 * Sends one's moves: at once where the last is long enough ago, else as soon as it is; and again while one moves. What is
 * said between two inputs goes with the next.
 */
import type { Prediction } from "./prediction.js";
import type { FieldsToSet, InputFields, Turned, Vector } from "./shapes.js";

/** What one's own entity does. What isn't said stays. */
export interface Move {
  /** It's there now. Without it, it goes on by its velocity from where it is. */
  at?: Vector;
  /** Units a second. */
  velocity?: Vector;
  rotation?: Turned;
  fields?: FieldsToSet;
}

interface SteeringOptions {
  prediction: Prediction;
  send: (input: InputFields) => void;
  now: () => number;
  /** How fast the world's time passes. */
  pace: () => number;
  /** Inputs a second, at most. */
  rate: number;
  maxSpeed: number | null;
}

export class Steering {
  readonly #options: SteeringOptions;
  #rotation: Turned | null = null;
  #fields: FieldsToSet | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #last = -Infinity;

  constructor(options: SteeringOptions) {
    this.#options = options;
  }

  move({ at, velocity, rotation, fields }: Move): void {
    const { prediction, now, pace, maxSpeed } = this.#options;
    prediction.advance(now(), pace());
    if (at) prediction.place(at);
    if (velocity) prediction.steer(slowed(velocity, maxSpeed));
    if (rotation !== undefined) this.#rotation = rotation;
    if (fields) this.#fields = { ...this.#fields, ...fields };
    this.#plan();
  }

  /** Says again where one is: after a correction, or coming back. */
  again(): void {
    this.#plan();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #plan(): void {
    if (this.#timer !== undefined) return;
    const { now, rate } = this.#options;
    const rest = this.#last + 1000 / rate - now();
    if (rest <= 0) this.#send();
    else this.#timer = setTimeout(() => this.#due(), rest);
  }

  #due(): void {
    this.#timer = undefined;
    this.#send();
  }

  #send(): void {
    const { prediction, send, now, pace } = this.#options;
    const time = now();
    this.#last = time;
    prediction.advance(time, pace());
    const seq = prediction.say();
    const input: InputFields = { seq, at: [...prediction.at], velocity: [...prediction.velocity] };
    if (this.#rotation !== null) input.rotation = this.#rotation;
    if (this.#fields) input.fields = this.#fields;
    this.#rotation = this.#fields = null;
    send(input);
    if (prediction.moves) this.#plan();
  }
}

function slowed(velocity: Vector, most: number | null): number[] {
  const speed = Math.hypot(...velocity);
  const part = most !== null && speed > most ? most / speed : 1;
  return velocity.map((x) => x * part);
}
