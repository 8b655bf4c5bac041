// A decoder of the land in world frames, written from docs/world.md alone.

import assert from "node:assert/strict";
import { Reader } from "./reader.js";

const width = (most) => (most === 0 ? 0 : Math.floor(Math.log2(most)) + 1);
const zigzag = (value) => (value % 2 === 0 ? value / 2 : -(value + 1) / 2);

function numbers(reader, count, bits) {
  const run = reader.bits();
  const values = Array.from({ length: count }, () => run.take(bits));
  run.end();
  return values;
}

function cellsOf(bytes, count) {
  const reader = new Reader(bytes);
  const forms = [
    () => Array(count).fill(reader.varint()),
    () => {
      const values = [];
      while (values.length < count) {
        const value = reader.varint();
        values.push(...Array(reader.varint() + 1).fill(value));
      }
      return values;
    },
    () => {
      const palette = Array.from({ length: reader.varint() }, () => reader.varint());
      return numbers(reader, count, width(palette.length - 1)).map((index) => palette[index]);
    },
    () => numbers(reader, count, reader.byte()),
  ];
  const values = forms[reader.byte()]();
  assert.equal(values.length, count);
  assert.equal(reader.left, 0, "nothing stands behind the cells");
  return values;
}

export class Land {
  constructor(plan) {
    this.plan = plan;
    this.chunks = new Map(); // "x,y" → {version, cells, layers}
    this.count = plan.edge ** plan.dims;
  }

  apply(section) {
    const reader = new Reader(section);
    const { dims } = this.plan;
    while (reader.left > 0) {
      const head = reader.varint();
      const layer = head >> 2;
      const key = Array.from({ length: dims }, () => zigzag(reader.varint())).join(",");
      if ((head & 3) === 0) {
        this.chunks.delete(key);
        if (this.coming?.key === key) this.coming = undefined;
      } else if ((head & 3) === 1) {
        const chunk = this.chunks.get(key);
        assert.ok(chunk?.cells, "changes are of a chunk that is known");
        chunk.version = reader.varint();
        let next = 0;
        for (let count = reader.varint(); count > 0; count -= 1) {
          next += reader.varint();
          assert.ok(next < this.count);
          chunk.cells[next] = reader.varint();
          next += 1;
        }
      } else if ((head & 3) === 2) {
        const version = reader.varint();
        this.#whole(key, layer, version, reader.take(reader.varint()));
      } else {
        const [version, total, offset] = [reader.varint(), reader.varint(), reader.varint()];
        const bytes = reader.take(reader.varint());
        if (offset === 0) this.coming = { key, layer, version, bytes: [] };
        assert.ok(this.coming, "a piece follows another");
        assert.deepEqual([this.coming.key, this.coming.layer, this.coming.version], [key, layer, version]);
        assert.equal(this.coming.bytes.length, offset);
        this.coming.bytes.push(...bytes);
        this.pieces = (this.pieces ?? 0) + 1;
        if (this.coming.bytes.length === total) {
          this.#whole(key, layer, version, Uint8Array.from(this.coming.bytes));
          this.coming = undefined;
        }
      }
    }
  }

  #whole(key, layer, version, bytes) {
    const chunk = this.chunks.get(key) ?? { layers: {} };
    this.chunks.set(key, chunk);
    if (layer === 0) Object.assign(chunk, { version, cells: cellsOf(bytes, this.count) });
    else {
      const reader = new Reader(bytes);
      const type = new TextDecoder("utf-8", { fatal: true }).decode(reader.take(reader.varint()));
      const name = this.plan.layers[layer - 1];
      assert.ok(name, "a layer of the land");
      chunk.layers[name] = { version, type, bytes: reader.take(reader.left) };
    }
  }

  value(...at) {
    const { edge } = this.plan;
    const chunk = this.chunks.get(at.map((c) => Math.floor(c / edge)).join(","));
    const inner = at.map((c) => ((c % edge) + edge) % edge);
    return chunk?.cells?.[inner.reduceRight((index, c) => index * edge + c, 0)];
  }
}

// Takes the land out of the frames of somebody who is inside a world.
export function landOf(inside) {
  const land = new Land(inside.world.land);
  let heard = 0;
  land.until = (look, what) =>
    inside.until(() => {
      for (; heard < inside.frames.length; heard += 1) {
        for (const { id, data } of inside.frames[heard].sections) if (id === 1) land.apply(data);
      }
      return look(land);
    }, what);
  return land;
}
