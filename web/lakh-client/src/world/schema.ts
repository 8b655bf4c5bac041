/** What the entities of a world have: as the server declares it, and as it's laid out in bits. */

export interface WorldSchema {
  dims: 2 | 3;
  /** Units of the world in a step of a position. */
  precision: number;
  /** Ticks a second. */
  hz: number;
  kinds: KindSchema[];
}

export interface KindSchema {
  name: string;
  /** `error`: clients move it on by its velocity, and are told again when that is off by more. */
  velocity?: { max: number; bits: number; error?: number };
  rotation?: { turn: { bits: number } } | { quaternion: { bits: number } };
  fields?: FieldSchema[];
}

export type FieldSchema = { name: string } & (
  | { type: "bool" }
  | { type: "int"; min: number; max: number }
  | { type: "float"; min: number; max: number; step: number }
  | { type: "enum"; names: string[] }
  | { type: "text"; max: number }
);

/** A part of an entity's state behind its position. */
export type Channel =
  | { type: "velocity"; bits: number; middle: number; step: number }
  | { type: "turn"; bits: number }
  | { type: "quaternion"; bits: number; middle: number }
  | { type: "bool"; field: number }
  | { type: "int"; field: number; width: number; min: number; most: number }
  | { type: "float"; field: number; width: number; min: number; most: number; step: number }
  | { type: "enum"; field: number; width: number; most: number }
  | { type: "text"; field: number; width: number; max: number };

export interface KindLayout {
  readonly name: string;
  readonly schema: KindSchema;
  readonly channels: readonly Channel[];
  readonly fields: readonly FieldSchema[];
  readonly hasVelocity: boolean;
  /** It's moved on by its velocity. */
  readonly reckoned: boolean;
  /** Entities in a parcel. */
  readonly slots: number;
}

export interface Layout {
  readonly dims: number;
  readonly precision: number;
  readonly hz: number;
  readonly cellBits: number;
  readonly kinds: readonly KindLayout[];
}

/** About the most that all entities of a parcel may take, in bits; and how many there may be. */
const PARCEL_BITS = 4096 * 8;
const MAX_SLOTS = 64;

/** `width(m)`: how many bits the number m needs. */
export function widthOf(most: number): number {
  return most < 1 ? 0 : Math.floor(Math.log2(most)) + 1;
}

const middleOf = (bits: number) => 2 ** (bits - 1) - 1;

export function layoutOf(schema: WorldSchema, cellBits: number): Layout {
  const { dims, precision, hz } = schema;
  const kinds = schema.kinds.map((kind) => kindOf(kind, dims, cellBits));
  return { dims, precision, hz, cellBits, kinds };
}

function kindOf(schema: KindSchema, dims: number, cellBits: number): KindLayout {
  const { name, velocity, rotation, fields = [] } = schema;
  const channels: Channel[] = [];
  if (velocity) {
    const middle = middleOf(velocity.bits);
    channels.push({ type: "velocity", bits: velocity.bits, middle, step: velocity.max / middle });
  }
  if (rotation) {
    if ("turn" in rotation) channels.push({ type: "turn", bits: rotation.turn.bits });
    else {
      const { bits } = rotation.quaternion;
      channels.push({ type: "quaternion", bits, middle: middleOf(bits) });
    }
  }
  fields.forEach((field, index) => channels.push(channelOf(field, index)));
  // An id and its length, a slot, the age, and positions with a cell's margin.
  const place = 5 + 32 + 6 + 6 + (cellBits + 1) * dims;
  const bits = channels.reduce((sum, channel) => sum + mostBits(channel, dims), place);
  const slots = Math.min(MAX_SLOTS, Math.max(1, Math.floor(PARCEL_BITS / bits)));
  const reckoned = velocity?.error !== undefined;
  return { name, schema, channels, fields, hasVelocity: velocity !== undefined, reckoned, slots };
}

function channelOf(schema: FieldSchema, field: number): Channel {
  switch (schema.type) {
    case "bool":
      return { type: "bool", field };
    case "int": {
      const most = schema.max - schema.min;
      return { type: "int", field, width: widthOf(most), min: schema.min, most };
    }
    case "float": {
      const { min, step } = schema;
      const most = Math.round((schema.max - min) / step);
      return { type: "float", field, width: widthOf(most), min, most, step };
    }
    case "enum": {
      const most = schema.names.length - 1;
      return { type: "enum", field, width: widthOf(most), most };
    }
    case "text":
      return { type: "text", field, width: widthOf(schema.max), max: schema.max };
  }
}

function mostBits(channel: Channel, dims: number): number {
  switch (channel.type) {
    case "velocity":
      return channel.bits * dims;
    case "turn":
      return channel.bits;
    case "quaternion":
      return 2 + 3 * channel.bits;
    case "bool":
      return 1;
    case "text":
      return channel.width + 8 * channel.max;
    default:
      return channel.width;
  }
}
