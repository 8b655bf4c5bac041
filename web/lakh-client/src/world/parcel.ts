/** What is kept of a parcel, and how its values are read: docs/world.md, "A parcel" and "Channels". */
import { FrameError, unzigzag, type Reader } from "./bits.js";
import type { Channel, KindLayout, Layout } from "./schema.js";

/** A field's value: of an `enum` the number of its name. */
export type FieldValue = boolean | number | string;

/** An entity's place in a parcel, and all that is told of it. */
export class Slot {
  /** In steps, along each axis. */
  readonly q = [0, 0, 0];
  /** The tick of the position. */
  at = 0;
  /** Another parcel has told of it since; here it's only counted, until this one says that it left. */
  away = false;
  readonly velocity = [0, 0, 0];
  /** Radians, or a quaternion. */
  rotation: number | readonly number[] = 0;
  fields: FieldValue[] = [];

  constructor(readonly id: number) {}

  /** What is known of it from another place, but where that is. */
  take({ velocity, rotation, fields }: Slot): void {
    for (const [axis, speed] of velocity.entries()) this.velocity[axis] = speed;
    this.rotation = rotation;
    this.fields = fields.slice();
  }
}

/** A parcel as far as it's known. */
export class Held {
  readonly slots: (Slot | undefined)[] = [];
  /** The tick of the frame that told of it last. */
  told = 0;
  /** The tick of the last frame that told of moves, and how many ticks late those were: the worst, slowly forgotten. */
  moved: number | null = null;
  lag = 0;
  /** Where positions are counted from, and their bits. */
  readonly origin = [0, 0, 0];
  width = 0;

  constructor(
    readonly number: number,
    readonly kindNumber: number,
    readonly kind: KindLayout,
  ) {}
}

/** Positions are less than this many steps from the origin along each axis. */
const FARTHEST = 2 ** 29;
const EVERYWHERE_BITS = 30;
const MIN_CELL_BITS = 8;
const TAU = 2 * Math.PI;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const letters = new Uint8Array(64);

/** Reads the head of a whole record up to its place. */
export function readPlace(reader: Reader, layout: Layout, number: number): Held {
  const word = reader.varint();
  const kindNumber = word >>> 1;
  const kind = layout.kinds[kindNumber];
  if (!kind) throw new FrameError("unknown");
  const held = new Held(number, kindNumber, kind);
  if ((word & 1) === 1) {
    held.origin.fill(-FARTHEST);
    held.width = EVERYWHERE_BITS;
    return held;
  }
  const level = reader.u8();
  if (level > layout.cellBits - MIN_CELL_BITS) throw new FrameError("unknown");
  const bits = layout.cellBits - level;
  const edge = 2 ** bits;
  for (let axis = 0; axis < layout.dims; axis += 1) {
    const from = unzigzag(reader.varint()) * edge;
    if (Math.abs(from) > FARTHEST) throw new FrameError("unknown");
    held.origin[axis] = from - edge / 8;
  }
  held.width = bits + 1;
  return held;
}

/** Where one is, along each axis. */
export function readSpot(reader: Reader, held: Held, { q }: Slot, dims: number): void {
  for (let axis = 0; axis < dims; axis += 1) {
    q[axis] = ((held.origin[axis] ?? 0) + reader.bits(held.width)) | 0;
  }
}

/** Where one is, and since when, if its kind moves by itself. */
export function readPosition(
  reader: Reader,
  held: Held,
  slot: Slot,
  dims: number,
  version: number,
): void {
  readSpot(reader, held, slot, dims);
  const age = held.kind.hasVelocity ? reader.bits(6) : 0;
  slot.at = Math.max(0, version - age);
}

export function readChannel(reader: Reader, channel: Channel, slot: Slot, dims: number): void {
  switch (channel.type) {
    case "velocity": {
      const { bits, middle, step } = channel;
      for (let axis = 0; axis < dims; axis += 1) {
        // All bits set is no velocity; it's read as the largest.
        slot.velocity[axis] = Math.min(reader.bits(bits) - middle, middle) * step;
      }
      return;
    }
    case "turn":
      slot.rotation = (reader.bits(channel.bits) / 2 ** channel.bits) * TAU;
      return;
    case "quaternion":
      slot.rotation = readQuaternion(reader, channel.bits, channel.middle);
      return;
    case "bool":
      slot.fields[channel.field] = reader.flag();
      return;
    case "int":
      slot.fields[channel.field] = channel.min + Math.min(reader.bits(channel.width), channel.most);
      return;
    case "float":
      slot.fields[channel.field] =
        channel.min + Math.min(reader.bits(channel.width), channel.most) * channel.step;
      return;
    case "enum":
      slot.fields[channel.field] = Math.min(reader.bits(channel.width), channel.most);
      return;
    case "text":
      slot.fields[channel.field] = readText(reader, channel.width, channel.max);
  }
}

function readQuaternion(reader: Reader, bits: number, middle: number): number[] {
  const largest = reader.bits(2);
  const q = [0, 0, 0, 0];
  let sum = 0;
  for (let index = 0; index < 4; index += 1) {
    if (index === largest) continue;
    const part = (Math.min(reader.bits(bits) - middle, middle) / middle) * Math.SQRT1_2;
    q[index] = part;
    sum += part * part;
  }
  q[largest] = Math.sqrt(Math.max(0, 1 - sum));
  return q;
}

function readText(reader: Reader, width: number, max: number): string {
  const length = reader.bits(width);
  if (length > max || length > letters.length) throw new FrameError("text");
  for (let index = 0; index < length; index += 1) letters[index] = reader.bits(8);
  try {
    return utf8.decode(letters.subarray(0, length));
  } catch {
    throw new FrameError("text");
  }
}

/** The tick up to `tick` with this lowest byte. */
export function lately(tick: number, low: number): number {
  return (tick - ((tick - low) & 0xff)) >>> 0;
}
