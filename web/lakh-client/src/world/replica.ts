/**
 * A client's end of a world: frames in, a map of entities and what happened to it out.
 *
 * Nothing here trusts the bytes: what a frame can make it keep is bounded, and after a frame that can't be read nothing
 * is known, and no further frame is read. The rules are those of docs/world.md, "Which entities are there"; that this and
 * the server's own decoder agree is tested on the same bytes.
 */
import { FrameError, Reader } from "./bits.js";
import { Held, type Slot } from "./parcel.js";
import { readDelta, readWhole } from "./record.js";
import type { KindLayout, Layout } from "./schema.js";

/** Parcels that may be told of, and entities. */
const MAX_HELD = 8192;
const MAX_ENTITIES = 1 << 20;
/** An entity is moved on for so many ticks, and no longer. */
const KEEPALIVE = 60;

/** The client's own entity exactly as the server has it. */
export interface OwnPlace {
  id: number;
  position: number[];
  velocity: number[];
}

/** A part of a frame that is not about entities. */
export interface Section {
  part: number;
  bytes: Uint8Array;
}

/** What a frame begins with. */
interface Head {
  tick: number;
  /** The last input of this client that was taken. */
  input: number;
  /** Everything in sight is there. */
  settled: boolean;
  /** How fast time passes; 128 is real time. */
  dilation: number;
  /** How often the rates of farther tiers were halved, because the world has more to do than it can. */
  ease: number;
  /** Frames that were left out before this one, because this client had yet to take the last. */
  merged: number;
  /** How many parcels are later than they should be. */
  late: number;
  own: OwnPlace | null;
}

/** What a frame came to. */
export interface Applied extends Head {
  /** Who came into sight, who left it, and of whom anything else was told; ascending. */
  entered: number[];
  left: number[];
  changed: number[];
  sections: Section[];
}

/** An entity as it was told: where it is, in which parcel and slot, or between parcels. */
export interface Home {
  held: Held;
  place: number;
  slot: Slot;
  lost: boolean;
  /** The parcel that a lost one is on its way to, where that was said. */
  aim: number | null;
}

/** What is told of one who left a slot. */
export interface Leaving {
  place: number;
  /** When it left. */
  at: number;
  id: number;
  /** The parcel that it left for; null: it's gone for good. */
  to: number | null;
}

export class Replica {
  readonly layout: Layout;
  tick = 0;
  readonly #parcels = new Map<number, Held>();
  readonly #homes = new Map<number, Home>();
  readonly #lost = new Map<number, Home>();
  /** Those whose being there may have changed in this frame, and whether they were there before it. */
  readonly #touched = new Map<number, boolean>();
  readonly #changed = new Set<number>();
  #broken = false;

  constructor(layout: Layout) {
    this.layout = layout;
  }

  get size(): number {
    return this.#homes.size;
  }

  ids(): IterableIterator<number> {
    return this.#homes.keys();
  }

  /** What is told of an entity. The object is another when it comes into another parcel. */
  home(id: number): Home | undefined {
    return this.#homes.get(id);
  }

  kindOf(home: Home): KindLayout {
    return home.held.kind;
  }

  /** Where an entity is at a tick, which may be between two; moved on by its velocity if its kind is. */
  place({ held, slot }: Home, tick: number, out: number[] = []): number[] {
    const { dims, precision, hz } = this.layout;
    const ticks = held.kind.reckoned ? movedOnFor(tick - slot.at) : 0;
    for (let axis = 0; axis < dims; axis += 1) {
      out[axis] = (slot.q[axis] ?? 0) * precision + (slot.velocity[axis] ?? 0) * (ticks / hz);
    }
    return out;
  }

  /** Reads a frame. Throws a `FrameError` if it can't be read. */
  apply(frame: Uint8Array): Applied {
    if (this.#broken) throw new FrameError("broken");
    try {
      return this.#read(new Reader(frame));
    } catch (error) {
      // What was read halfway is not to be shown.
      this.#broken = true;
      for (const map of [this.#parcels, this.#homes, this.#lost, this.#touched]) map.clear();
      this.#changed.clear();
      throw error;
    }
  }

  #read(reader: Reader): Applied {
    const head = readHead(reader, this.layout.dims);
    this.tick = head.tick;
    this.#touched.clear();
    this.#changed.clear();
    for (let count = reader.varint(); count > 0; count -= 1) {
      const word = reader.varint();
      this.#drop(word >>> 1, (word & 1) === 1);
    }
    for (let count = reader.varint(); count > 0; count -= 1) {
      const word = reader.varint();
      this.#record(word >>> 1, (word & 1) === 1, reader);
    }
    const sections: Section[] = [];
    while (!reader.atEnd) {
      const part = reader.u8();
      sections.push({ part, bytes: reader.slice(reader.varint()) });
    }
    this.#settle(head.settled);
    return { ...head, ...this.#happened(), sections };
  }

  #record(number: number, whole: boolean, reader: Reader): void {
    const known = this.#parcels.get(number);
    if (!whole) {
      if (!known) throw new FrameError("unknown");
      known.told = this.tick;
      readDelta(this, known, reader);
      return;
    }
    if (known) {
      this.#parcels.delete(number);
      this.#loseAll(known);
    }
    const held = readWhole(this, number, reader);
    if (known) [held.lag, held.moved] = [known.lag, known.moved];
    if (this.#parcels.size >= MAX_HELD) throw new FrameError("too_many");
    this.#parcels.set(number, held);
  }

  #drop(number: number, ended: boolean): void {
    const held = this.#parcels.get(number);
    // It may have ended before it was ever sent.
    if (!held) return;
    this.#parcels.delete(number);
    if (ended) {
      this.#loseAll(held);
      return;
    }
    for (const slot of held.slots) {
      if (slot && !slot.away) {
        this.#touch(slot.id);
        this.#homes.delete(slot.id);
      }
    }
  }

  /** All entities of a parcel that is no more are somewhere else, which may be told yet. */
  #loseAll(held: Held): void {
    for (let place = 0; place < held.slots.length; place += 1) this.#lose(held, place, null);
  }

  #lose(held: Held, place: number, aim: number | null): void {
    const slot = held.slots[place];
    if (!slot || slot.away) return;
    const home = this.#homes.get(slot.id);
    if (!home || home.lost || home.held !== held || home.place !== place) return;
    this.#touch(slot.id);
    const lost = { held, place, slot, lost: true, aim };
    this.#homes.set(slot.id, lost);
    this.#lost.set(slot.id, lost);
  }

  #touch(id: number): void {
    if (!this.#touched.has(id)) this.#touched.set(id, this.#homes.has(id));
  }

  /** An entity has left a slot: for another parcel, or for good. */
  leaves(held: Held, { place, at, id, to }: Leaving): void {
    // Where it went to may have told since, and not of it: then it has gone on from there.
    let on = to;
    if (to !== null && to !== held.number) {
      const target = this.#parcels.get(to);
      if (target && target.told >= at) on = null;
    }
    // It may be told again of what is known to have left.
    const slot = held.slots[place];
    if (slot) {
      if (slot.id !== id) this.#lose(held, place, null);
      else if (to !== null) this.#lose(held, place, on);
      else if (!slot.away) {
        this.#touch(id);
        this.#homes.delete(id);
      }
      held.slots[place] = undefined;
    }
    // It was on its way here, and is gone on before this parcel could tell that it came.
    const lost = this.#lost.get(id);
    if (lost?.aim !== held.number) return;
    lost.aim = on;
    if (to === null) {
      this.#touch(id);
      this.#lost.delete(id);
      this.#homes.delete(id);
    }
  }

  /** An entity has come into a slot. */
  joins(held: Held, place: number, slot: Slot): void {
    const before = held.slots[place];
    // Who was there left, and that was long ago.
    if (before && before.id !== slot.id) this.#lose(held, place, null);
    this.#touch(slot.id);
    const home = this.#homes.get(slot.id);
    if (home?.lost) this.#lost.delete(slot.id);
    else if (home && (home.held !== held || home.place !== place)) home.slot.away = true;
    held.slots[place] = slot;
    this.#homes.set(slot.id, { held, place, slot, lost: false, aim: null });
    if (this.#homes.size > MAX_ENTITIES) throw new FrameError("too_many");
    this.#changed.add(slot.id);
  }

  tells(slot: Slot): void {
    if (!slot.away) this.#changed.add(slot.id);
  }

  /** Of whom was between parcels those are out of sight that were not told of where they went. */
  #settle(settled: boolean): void {
    for (const [id, { aim }] of this.#lost) {
      const target = aim === null ? undefined : this.#parcels.get(aim);
      if (target ? target.told !== this.tick : !settled) continue;
      if (!this.#touched.has(id)) this.#touched.set(id, true);
      this.#lost.delete(id);
      this.#homes.delete(id);
    }
  }

  #happened(): Pick<Applied, "entered" | "left" | "changed"> {
    const entered: number[] = [];
    const left: number[] = [];
    const changed: number[] = [];
    for (const [id, was] of this.#touched) {
      const is = this.#homes.has(id);
      if (is && !was) entered.push(id);
      if (was && !is) left.push(id);
    }
    for (const id of this.#changed) {
      if (this.#homes.has(id) && this.#touched.get(id) !== false) changed.push(id);
    }
    const ascending = (a: number, b: number) => a - b;
    entered.sort(ascending);
    left.sort(ascending);
    changed.sort(ascending);
    return { entered, left, changed };
  }
}

const VERSION = 1;
const SETTLED = 16;
const OWN = 32;
const PACED = 64;
const LATE = 128;
const REAL_TIME = 128;

function readHead(reader: Reader, dims: number): Head {
  const first = reader.u8();
  if ((first & 0xf) !== VERSION) throw new FrameError("version");
  const tick = reader.varint();
  const input = reader.varint();
  const list = () => Array.from({ length: dims }, () => reader.f64());
  const own =
    (first & OWN) === 0 ? null : { id: reader.varint(), position: list(), velocity: list() };
  const paced = (first & PACED) !== 0;
  const dilation = paced ? reader.u8() : REAL_TIME;
  const ease = paced ? reader.u8() : 0;
  const merged = paced ? reader.u8() : 0;
  const late = (first & LATE) === 0 ? 0 : reader.varint();
  return { tick, input, settled: (first & SETTLED) !== 0, own, dilation, ease, merged, late };
}

/** How many of the ticks since something was told it's moved on for. */
export function movedOnFor(ticks: number): number {
  return Math.min(Math.max(0, ticks), KEEPALIVE);
}
