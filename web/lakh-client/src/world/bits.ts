/**
 * Reads a frame's bytes and runs of bits. Nothing read here is trusted: whoever reads past the end gets a `FrameError`.
 * Where it comes from: docs/world.md, "Notation".
 */

export type FrameErrorCode =
  /** It ends in the middle. */
  | "too_short"
  /** Its format is another. */
  | "version"
  /** A parcel that was never sent, or a kind, place or slot that can't be. */
  | "unknown"
  /** A text that is none. */
  | "text"
  /** More entities or parcels than there may be. */
  | "too_many"
  /** An earlier frame could not be read. */
  | "broken";

const WORDS: Record<FrameErrorCode, string> = {
  too_short: "the frame ends too early",
  version: "the frame is of another version",
  unknown: "the frame speaks of what is not there",
  text: "a text is not UTF-8",
  too_many: "more is told of than fits",
  broken: "an earlier frame could not be read",
};

/** A frame that can't be read. There is no way on from it but to enter the world anew. */
export class FrameError extends Error {
  readonly code: FrameErrorCode;

  constructor(code: FrameErrorCode) {
    super(WORDS[code]);
    this.name = "FrameError";
    this.code = code;
  }
}

export class Reader {
  readonly #view: DataView;
  /** Where it reads, in bits. */
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get atEnd(): boolean {
    return this.#at >= this.#view.byteLength * 8;
  }

  /** Bytes that are left. */
  get left(): number {
    return this.#view.byteLength - Math.ceil(this.#at / 8);
  }

  u8(): number {
    return this.#view.getUint8(this.#bytes(1));
  }

  f64(): number {
    return this.#view.getFloat64(this.#bytes(8), true);
  }

  varint(): number {
    let value = 0;
    for (let shift = 0; shift <= 28; shift += 7) {
      const byte = this.u8();
      const part = byte & 0x7f;
      // The fifth byte has the highest four of 32 bits.
      if (shift === 28 && byte > 0xf) break;
      value += part * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new FrameError("too_short");
  }

  /** So many bytes, as they are. */
  slice(length: number): Uint8Array {
    const from = this.#bytes(length);
    return new Uint8Array(this.#view.buffer, this.#view.byteOffset + from, length);
  }

  /** A number of up to 32 bits. */
  bits(width: number): number {
    const at = this.#at;
    const end = at + width;
    const length = this.#view.byteLength;
    if (end > length * 8) throw new FrameError("too_short");
    this.#at = end;
    if (width === 0) return 0;
    const byte = at >>> 3;
    const shift = at & 7;
    let word: number;
    if (byte + 4 <= length) {
      word = this.#view.getUint32(byte, true) >>> shift;
    } else {
      word = 0;
      for (let index = byte; index < length; index += 1) {
        word |= this.#view.getUint8(index) << (8 * (index - byte));
      }
      word >>>= shift;
    }
    if (shift + width > 32) word |= this.#view.getUint8(byte + 4) << (32 - shift);
    return (width === 32 ? word : word & ((1 << width) - 1)) >>> 0;
  }

  flag(): boolean {
    return this.bits(1) === 1;
  }

  sized(): number {
    return this.bits(this.bits(5) + 1);
  }

  /** A run of bits ends with a byte. */
  align(): void {
    this.#at = (this.#at + 7) & ~7;
  }

  #bytes(count: number): number {
    const from = this.#at / 8;
    if (from + count > this.#view.byteLength) throw new FrameError("too_short");
    this.#at += count * 8;
    return from;
  }
}

/** 0, -1, 1, -2, … of 0, 1, 2, 3, … */
export function unzigzag(value: number): number {
  return (value >>> 1) ^ -(value & 1);
}
