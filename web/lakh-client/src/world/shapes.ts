/** What goes over `/world` beside frames: requests, answers, events. docs/world.md, "Requests". */
import type { FieldValue } from "./parcel.js";
import type { Bounds } from "./prediction.js";
import type { WorldSchema } from "./schema.js";
import type { SpaceEvents, SpaceRequests } from "./spaces.js";

/** Along each axis of the world. */
export type Vector = readonly number[];
/** Radians in two dimensions, a quaternion (x, y, z, w) in three. */
export type Turned = number | readonly number[];
export type FieldsToSet = Record<string, FieldValue>;

/** What one asks to see. All that is said in a query must hold. */
export interface WorldQuery {
  /** Around oneself, or around a place. */
  sphere?: { radius: number; center?: Vector };
  box?: { min: Vector; max: Vector } | { half: Vector; center?: Vector };
  all?: true;
  kinds?: string[];
  and?: WorldQuery[];
  or?: WorldQuery[];
  /** So many ticks between two looks. */
  every?: number;
}

/** A radius around oneself, or what fits any of these. */
export type WorldView = number | WorldQuery[];

/** What land a world has: a grid of cells, cut into chunks. */
export interface LandInfo {
  /** 2 for tiles, 3 for blocks. */
  dims: number;
  /** Units of the world along the edge of a cell. */
  cell: number;
  /** Cells along the edge of a chunk. */
  edge: number;
  /** The greatest value of a cell, and that of cells that were never set. */
  most: number;
  fill: number;
  /** How far from where one stands chunks are shown, in units. */
  reach: number;
  /** The names of what chunks may have beside cells. */
  layers: string[];
}

export interface WorldInfo {
  world: string;
  name: string;
  schema: WorldSchema;
  cell_bits: number;
  hz: number;
  bounds: Bounds | null;
  /** Where newcomers come in. */
  spawn?: number[];
  /** Units a second; faster moves are refused. */
  max_speed: number | null;
  tick: number;
  land: LandInfo | null;
}

export interface WorldListed {
  world: string;
  name: string;
  people: number;
  entities: number;
  hz: number;
}

export interface WorldWishes {
  name?: string;
  schema?: WorldSchema;
  hz?: number;
  cell_bits?: number;
  bounds?: Bounds;
  spawn?: number[];
  max_speed?: number;
  land?: object;
}

export interface EnterFields {
  world: string;
  /** Where one would like to be. */
  at?: Vector;
  view?: WorldView;
  /** Bytes a second. */
  budget?: number;
  fields?: FieldsToSet;
  /** Without an entity of one's own. */
  spectate?: boolean;
  /** A stay of before, to go on with: one gets the entity back that waits for one. */
  session?: string;
}

export interface EnterAnswer {
  world: WorldInfo;
  /** One's own; null for a spectator. */
  entity: number | null;
  at: number[];
  session: string;
}

/** Who is shown an entity. */
export type Audience = "all" | "none" | { people: string[] };

export interface EntityChange {
  at?: Vector;
  velocity?: Vector;
  rotation?: Turned;
  fields?: FieldsToSet;
  /** Everybody in the world sees it, however far. */
  always?: boolean;
  audience?: Audience;
}

export interface SpawnFields extends EntityChange {
  kind: string;
  at: Vector;
  /** It's there again after the server was. */
  lasting?: boolean;
}

export interface InputFields {
  seq: number;
  at?: Vector;
  velocity?: Vector;
  rotation?: Turned;
  fields?: FieldsToSet;
  /** The tick of the last frame that was read. */
  seen?: number;
}

export interface CellToSet {
  at: Vector;
  value: number;
  /** Only if the cell has this version, or this value; else none of the cells is set. */
  if?: { version: number } | { value: number };
}

export interface WorldRequests extends SpaceRequests {
  "world:list": {
    fields: { after?: string; limit?: number };
    answer: { worlds: WorldListed[]; next?: string };
  };
  "world:create": { fields: { world: string } & WorldWishes; answer: { world: WorldInfo } };
  "world:info": { fields: { world: string }; answer: { world: WorldInfo } };
  "world:delete": { fields: { world: string }; answer: object };
  "world:enter": { fields: EnterFields; answer: EnterAnswer };
  "world:leave": { fields: object; answer: object };
  "world:input": { fields: InputFields; answer: object };
  "world:look": {
    fields: { view?: WorldView; budget?: number; seen?: number };
    answer: object;
  };
  "world:spawn": { fields: SpawnFields & { world?: string }; answer: { entity: number } };
  "world:change": { fields: { world?: string; entity: number } & EntityChange; answer: object };
  "world:remove": { fields: { world?: string; entity: number }; answer: object };
  "world:entity": { fields: { world?: string; entity: number }; answer: Record<string, unknown> };
  /** So many bots walk about from now on, by the server's own doing; without a count: how many there are. */
  "world:bots": { fields: { world?: string; count?: number }; answer: { bots: number } };
  "world:set": {
    fields: { world?: string; cells: CellToSet[] };
    answer: { versions: number[] };
  };
  /** A chunk as it's stored, however far away; with a `layer` what is in that. */
  "world:land": {
    fields: { world?: string; chunk: Vector; layer?: string; versions?: boolean };
    answer: {
      version: number;
      edge?: number;
      values?: number[];
      versions?: number[];
      layers?: { layer: string; version: number; type: string; length: number }[];
      type?: string;
      bytes?: ArrayBuffer | Uint8Array;
    };
  };
  /** Puts something opaque into a layer of a chunk; without bytes it takes away what is there. */
  "world:put_chunk": {
    fields: {
      world?: string;
      chunk: Vector;
      layer: string;
      type?: string;
      bytes?: ArrayBuffer | Uint8Array;
      if?: { version: number };
    };
    answer: { version: number };
  };
}

/** The world is closed here: deleted, or moved to where it's to be entered `again`. */
export interface WorldClosed {
  world: string;
  reason: string;
  again: boolean;
}

export interface WorldServerEvents extends SpaceEvents {
  "world:frame": (frame: ArrayBuffer | Uint8Array) => void;
  "world:closed": (closed: WorldClosed) => void;
}
