/** The land as a client has it, from section 1 of its frames: docs/world.md, "Land". */
import { FrameError, Reader, unzigzag } from "./bits.js";
import type { LandInfo, Vector } from "./shapes.js";
import { widthOf } from "./schema.js";

/** Which section of a frame it is. */
export const LAND_SECTION = 1;

/** Chunks that a client is shown at most, and the longest thing that comes in pieces. */
const MAX_CHUNKS = 4096;
const MAX_TOTAL = 1 << 24;
const FARTHEST = 1 << 24;
const MAX_PALETTE = 256;

/** The lowest two bits of a record. */
const GONE = 0;
const CHANGES = 1;
const WHOLE = 2;

/** What is opaque in a chunk: heights, a picture. Without bytes it was taken away. */
export interface LandPart {
  version: number;
  type: string;
  bytes: Uint8Array;
}

export interface LandChunk {
  readonly at: readonly number[];
  version: number | null;
  /** x first, then y, then z; null: not known. */
  cells: Uint16Array | null;
  readonly parts: Map<string, LandPart>;
}

/** What a section came to: each chunk as often as it was told of. */
export interface LandApplied {
  cells: LandChunk[];
  layers: { chunk: LandChunk; layer: string }[];
  gone: LandChunk[];
}

interface Coming {
  key: string;
  layer: number;
  version: number;
  total: number;
  bytes: Uint8Array;
  done: number;
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export class Land {
  readonly plan: LandInfo;
  /** Cells of a chunk. */
  readonly #size: number;
  readonly #chunks = new Map<string, LandChunk>();
  #coming: Coming | null = null;

  constructor(plan: LandInfo) {
    this.plan = plan;
    this.#size = plan.edge ** plan.dims;
  }

  /** All chunks of which something is known. */
  chunks(): IterableIterator<LandChunk> {
    return this.#chunks.values();
  }

  chunk(at: Vector): LandChunk | undefined {
    return this.#chunks.get(this.#key(at));
  }

  /** The cell that a place of the world is in. */
  cellAt(place: Vector): number[] {
    const { dims, cell } = this.plan;
    return Array.from({ length: dims }, (_, axis) => Math.floor((place[axis] ?? 0) / cell));
  }

  /** The value of a cell; undefined: it's not known. */
  value(cell: Vector): number | undefined {
    const { edge, dims } = this.plan;
    const at: number[] = [];
    let index = 0;
    for (let axis = dims - 1; axis >= 0; axis -= 1) {
      const c = cell[axis] ?? 0;
      at[axis] = Math.floor(c / edge);
      index = index * edge + (c - Math.floor(c / edge) * edge);
    }
    return this.chunk(at)?.cells?.[index];
  }

  /** Takes in a section. Throws a `FrameError` if it's none that a server sends. */
  apply(section: Uint8Array): LandApplied {
    const applied: LandApplied = { cells: [], layers: [], gone: [] };
    const reader = new Reader(section);
    try {
      while (!reader.atEnd) this.#record(reader, applied);
    } catch (error) {
      this.#chunks.clear();
      this.#coming = null;
      throw error;
    }
    return applied;
  }

  #record(reader: Reader, applied: LandApplied): void {
    const head = reader.varint();
    const layer = head >>> 2;
    const at = Array.from({ length: this.plan.dims }, () => unzigzag(reader.varint()));
    const known = at.every((c) => c >= -FARTHEST && c < FARTHEST);
    if (!known || layer > this.plan.layers.length) throw new FrameError("unknown");
    switch (head & 3) {
      case GONE:
        this.#gone(at, applied);
        return;
      case CHANGES:
        this.#changes(at, reader, applied);
        return;
      case WHOLE: {
        const version = reader.varint();
        this.#whole(at, layer, version, reader.slice(reader.varint()), applied);
        return;
      }
      default:
        this.#piece(at, layer, reader, applied);
    }
  }

  #gone(at: number[], applied: LandApplied): void {
    const key = this.#key(at);
    const chunk = this.#chunks.get(key) ?? emptyChunk(at);
    this.#chunks.delete(key);
    if (this.#coming?.key === key) this.#coming = null;
    applied.gone.push(chunk);
  }

  #changes(at: number[], reader: Reader, applied: LandApplied): void {
    const chunk = this.chunk(at);
    if (!chunk?.cells) throw new FrameError("unknown");
    chunk.version = reader.varint();
    let next = 0;
    for (let count = reader.varint(); count > 0; count -= 1) {
      const index = next + reader.varint();
      const value = readValue(reader, "unknown");
      if (index >= this.#size) throw new FrameError("unknown");
      chunk.cells[index] = value;
      next = index + 1;
    }
    applied.cells.push(chunk);
  }

  #whole(
    at: number[],
    layer: number,
    version: number,
    bytes: Uint8Array,
    applied: LandApplied,
  ): void {
    const key = this.#key(at);
    const known = this.#chunks.get(key);
    if (!known && this.#chunks.size >= MAX_CHUNKS) throw new FrameError("too_many");
    const reader = new Reader(bytes);
    const chunk = known ?? emptyChunk(at);
    if (layer === 0) {
      const cells = readCells(reader, this.#size);
      if (!reader.atEnd) throw new FrameError("unknown");
      chunk.cells = cells;
      chunk.version = version;
      applied.cells.push(chunk);
    } else {
      const name = this.plan.layers[layer - 1] ?? "";
      chunk.parts.set(name, readPart(reader, version));
      applied.layers.push({ chunk, layer: name });
    }
    this.#chunks.set(key, chunk);
  }

  #piece(at: number[], layer: number, reader: Reader, applied: LandApplied): void {
    const key = this.#key(at);
    const version = reader.varint();
    const total = reader.varint();
    const offset = reader.varint();
    const bytes = reader.slice(reader.varint());
    if (offset === 0) {
      if (total > MAX_TOTAL) throw new FrameError("too_many");
      // It grows with what comes: the total alone is only a claim.
      this.#coming = { key, layer, version, total, bytes: new Uint8Array(bytes.length), done: 0 };
    }
    const coming = this.#coming;
    const isIt =
      coming?.key === key &&
      coming.layer === layer &&
      coming.version === version &&
      coming.total === total;
    if (!isIt || coming.done !== offset || offset + bytes.length > total) {
      throw new FrameError("unknown");
    }
    coming.bytes = roomFor(coming.bytes, offset + bytes.length, total);
    coming.bytes.set(bytes, offset);
    coming.done += bytes.length;
    if (coming.done < total) return;
    this.#coming = null;
    this.#whole(at, layer, version, coming.bytes.subarray(0, total), applied);
  }

  #key(at: Vector): string {
    return at.join(" ");
  }
}

function emptyChunk(at: number[]): LandChunk {
  return { at, version: null, cells: null, parts: new Map() };
}

function roomFor(bytes: Uint8Array, wanted: number, total: number): Uint8Array {
  if (wanted <= bytes.length) return bytes;
  const larger = new Uint8Array(Math.min(total, Math.max(wanted, bytes.length * 2)));
  larger.set(bytes);
  return larger;
}

function readValue(reader: Reader, otherwise: "unknown" | "too_short"): number {
  const value = reader.varint();
  if (value > 0xffff) throw new FrameError(otherwise);
  return value;
}

function readPart(reader: Reader, version: number): LandPart {
  const name = reader.slice(reader.varint());
  const rest = reader.slice(reader.left);
  if (name.length > MAX_TYPE_BYTES) throw new FrameError("too_short");
  try {
    return { version, type: utf8.decode(name), bytes: rest.slice() };
  } catch {
    throw new FrameError("text");
  }
}

const MAX_TYPE_BYTES = 64;

/** The forms in which a chunk's cells come. */
const UNIFORM = 0;
const RUNS = 1;
const PALETTE = 2;
const PACKED = 3;

function readCells(reader: Reader, size: number): Uint16Array {
  const cells = new Uint16Array(size);
  switch (reader.u8()) {
    case UNIFORM:
      return cells.fill(readValue(reader, "too_short"));
    case RUNS:
      for (let at = 0; at < size;) {
        const value = readValue(reader, "too_short");
        const length = reader.varint() + 1;
        if (length > size - at) throw new FrameError("too_short");
        cells.fill(value, at, at + length);
        at += length;
      }
      return cells;
    case PALETTE: {
      const count = reader.varint();
      if (count < 2 || count > MAX_PALETTE) throw new FrameError("too_short");
      const palette = Array.from({ length: count }, () => readValue(reader, "too_short"));
      const width = widthOf(count - 1);
      for (let index = 0; index < size; index += 1) {
        const value = palette[reader.bits(width)];
        if (value === undefined) throw new FrameError("too_short");
        cells[index] = value;
      }
      break;
    }
    case PACKED: {
      const width = reader.u8();
      if (width > 16) throw new FrameError("too_short");
      for (let index = 0; index < size; index += 1) cells[index] = reader.bits(width);
      break;
    }
    default:
      throw new FrameError("too_short");
  }
  reader.align();
  return cells;
}
