// Reads the bytes of world frames and of their sections, by the rules of docs/world.md alone.

import assert from "node:assert/strict";

export class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }
  get left() {
    return this.bytes.length - this.at;
  }
  byte() {
    assert.ok(this.left > 0, "it ends too early");
    return this.bytes[this.at++];
  }
  varint() {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new Error("a varint has five bytes at most");
  }
  double() {
    const view = new DataView(this.bytes.buffer, this.bytes.byteOffset + this.at, 8);
    this.at += 8;
    return view.getFloat64(0, true);
  }
  take(length) {
    assert.ok(this.left >= length, "it ends too early");
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }
  // A run of bits begins here; `end` takes it to the next whole byte.
  bits() {
    const run = { at: this.at * 8 };
    const take = (count) => {
      let value = 0;
      for (let bit = 0; bit < count; bit += 1, run.at += 1) {
        assert.ok(run.at >> 3 < this.bytes.length, "it ends too early");
        if ((this.bytes[run.at >> 3] >> (run.at & 7)) & 1) value += 2 ** bit;
      }
      return value;
    };
    return { take, sized: () => take(take(5) + 1), end: () => (this.at = Math.ceil(run.at / 8)) };
  }
}
