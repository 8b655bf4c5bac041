/**
 * An entity as it is shown: it moves evenly, whenever and however often it is told of.
 *
 * A kind that is moved on by its velocity is where the format says, plus what it was off when it was told of last, which
 * goes away quickly. Any other kind walks from where it is shown to where it was told to be, in the time between two
 * tellings. What jumps farther than it can walk is there at once.
 */
import type { FieldValue } from "./parcel.js";
import { movedOnFor, type Home, type Replica } from "./replica.js";

/** In which time what was off goes down to a third. */
const MEND_MS = 90;
const TURN_MS = 120;
/** What is told after a rest is not walked to for longer. */
const GLIDE_TICKS = 16;
/** How late what is told of comes, in ticks. */
const FRESH_TICKS = 1;
const SOON_TICKS = 5;
const STILL_S = 8;

/**
 * How old what one learns is, as seen here: told of in the same tick, a few ticks late, later; `still`: there was
 * nothing to tell for some seconds.
 */
export type Tier = "fresh" | "soon" | "late" | "still";

export type EntityFields = Record<string, FieldValue>;

export class Entity {
  readonly id: number;
  /** Where it is shown, as of the last `world.at()`. */
  readonly position: number[] = [];
  /** How it moves, in units a second; zeros for a kind without a velocity. */
  readonly velocity: number[] = [];
  /** Radians, or a quaternion (x, y, z, w); null for a kind without a rotation. */
  rotation: number | number[] | null = null;
  #replica: Replica;
  #home: Home;
  #fields: EntityFields | null = null;
  /**
   * Where it was told to be, at which tick, how fast and how turned: copies, since a frame changes the slot before the
   * entity hears of it, and until then it is shown by what it knew. And from where it walks there, in which time.
   */
  #told: number[] = [];
  #toldAt = 0;
  #toldSpeed: number[] = [];
  #toldRotation: Rotation = null;
  #from: number[] = [];
  #fromTime = 0;
  #glideMs = 0;
  readonly #off: number[] = [];
  #offTime = 0;
  #turnFrom: number | number[] | null = null;
  #turnTime = 0;

  constructor(id: number, replica: Replica, home: Home, tick: number, now: number) {
    this.id = id;
    this.#replica = replica;
    this.#home = home;
    this.#take(tick, now);
    this.position.push(...this.#told);
    this.#from = [...this.#told];
    this.#off.push(...this.#told.map(() => 0));
    this.#turnFrom = this.rotation = this.#toldRotation;
    this.show(tick, now);
  }

  /** Its kind's name. */
  get kind(): string {
    return this.#home.held.kind.name;
  }

  /** Its fields by name: of an `enum` the value's name. */
  get fields(): EntityFields {
    return (this.#fields ??= this.#readFields());
  }

  /** The tick of what was told of its position last. */
  get told(): number {
    return this.#home.slot.at;
  }

  /** How old what is known of its position is, in milliseconds of the world's time. */
  get age(): number {
    const { tick, layout } = this.#replica;
    return (Math.max(0, tick - this.told) * 1000) / layout.hz;
  }

  /** Whether it's on its way: a kind without a velocity always may be. */
  get moves(): boolean {
    return !this.#home.held.kind.hasVelocity || this.velocity.some((x) => x !== 0);
  }

  get tier(): Tier {
    const { moved, lag } = this.#home.held;
    const { tick, layout } = this.#replica;
    if (moved === null || tick - moved > STILL_S * layout.hz) return "still";
    if (lag <= FRESH_TICKS) return "fresh";
    return lag <= SOON_TICKS ? "soon" : "late";
  }

  /** Something was told of it. `snap`: the farthest that it's shown to walk. */
  tell(replica: Replica, home: Home, tick: number, now: number, snap: number): void {
    this.show(tick, now);
    const shown = [...this.position];
    const before = this.#toldAt;
    const sameSource = this.#replica === replica;
    this.#turnFrom = this.rotation;
    this.#replica = replica;
    this.#home = home;
    this.#take(tick, now);
    const { hz } = replica.layout;
    const gap = sameSource ? Math.min(GLIDE_TICKS, Math.max(1, this.#toldAt - before)) : 1;
    this.#glideMs = home.held.kind.reckoned ? 0 : (gap * 1000) / hz;
    const target = this.#target(tick, now + this.#glideMs);
    if (distance(shown, target) > snap) {
      this.#from = [...target];
      this.#off.fill(0);
      this.#turnFrom = this.#toldRotation;
    } else {
      this.#from = shown;
      shown.forEach((x, axis) => {
        this.#off[axis] = home.held.kind.reckoned ? x - (target[axis] ?? 0) : 0;
      });
    }
    this.show(tick, now);
  }

  /** Moves it to where it is at a tick, at a time. */
  show(tick: number, now: number): void {
    const target = this.#target(tick, now);
    const kept = Math.exp((this.#offTime - now) / MEND_MS);
    target.forEach((x, axis) => {
      this.position[axis] = x + (this.#off[axis] ?? 0) * kept;
    });
    this.#turn(now);
  }

  /** Shows it elsewhere: for one's own, which is where one has walked to. */
  put(position: readonly number[], velocity: readonly number[]): void {
    position.forEach((x, axis) => (this.position[axis] = x));
    velocity.forEach((x, axis) => (this.velocity[axis] = x));
  }

  #take(tick: number, now: number): void {
    const { slot, held } = this.#home;
    const { dims } = this.#replica.layout;
    this.#told = this.#replica.place(this.#home, slot.at);
    this.#toldAt = held.kind.hasVelocity ? slot.at : tick;
    this.#toldSpeed = slot.velocity.slice(0, dims);
    this.#toldRotation = this.#readRotation();
    this.velocity.splice(0, dims, ...this.#toldSpeed);
    this.#fields = null;
    this.#fromTime = this.#offTime = this.#turnTime = now;
  }

  #target(tick: number, now: number): number[] {
    if (this.#home.held.kind.reckoned) {
      const seconds = movedOnFor(tick - this.#toldAt) / this.#replica.layout.hz;
      return this.#told.map((x, axis) => x + (this.#toldSpeed[axis] ?? 0) * seconds);
    }
    const part = this.#glideMs === 0 ? 1 : Math.min(1, (now - this.#fromTime) / this.#glideMs);
    return this.#told.map((x, axis) => {
      const from = this.#from[axis] ?? x;
      return from + (x - from) * part;
    });
  }

  #turn(now: number): void {
    const part = Math.min(1, (now - this.#turnTime) / TURN_MS);
    this.rotation = between(this.#turnFrom, this.#toldRotation, part);
  }

  #readRotation(): Rotation {
    const { kind } = this.#home.held;
    if (!kind.schema.rotation) return null;
    const { rotation } = this.#home.slot;
    return typeof rotation === "number" ? rotation : [...rotation];
  }

  #readFields(): EntityFields {
    const { slot, held } = this.#home;
    const named = held.kind.fields.map((field, index) => {
      const value = slot.fields[index] ?? 0;
      const name = field.type === "enum" && typeof value === "number" && field.names[value];
      return [field.name, typeof name === "string" ? name : value] as const;
    });
    return Object.fromEntries(named);
  }
}

type Rotation = number | number[] | null;

function between(from: Rotation, to: Rotation, part: number): Rotation {
  if (typeof from === "number" && typeof to === "number") {
    return from + shortest(to - from) * part;
  }
  if (!Array.isArray(from) || !Array.isArray(to)) return to;
  // A quaternion and its negative are the same rotation: the nearer one is walked to.
  const dot = from.reduce((sum, x, index) => sum + x * (to[index] ?? 0), 0);
  const sign = dot < 0 ? -1 : 1;
  const mixed = from.map((x, index) => x + (sign * (to[index] ?? 0) - x) * part);
  const length = Math.hypot(...mixed);
  return length < 1e-9 ? to : mixed.map((x) => x / length);
}

/** The same turn the short way around. */
function shortest(turn: number): number {
  const whole = 2 * Math.PI;
  return turn - whole * Math.round(turn / whole);
}

export function distance(a: readonly number[], b: readonly number[]): number {
  return Math.hypot(...a.map((x, axis) => x - (b[axis] ?? 0)));
}
