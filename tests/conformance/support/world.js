// A decoder of world frames, written from docs/world.md alone, and a client of a world that keeps what it sees.

import assert from "node:assert/strict";
import { Reader } from "./reader.js";
import { within } from "./sockets.js";

const width = (most) => (most === 0 ? 0 : Math.floor(Math.log2(most)) + 1);

const zigzag = (value) => (value % 2 === 0 ? value / 2 : -(value + 1) / 2);

function channelsOf(kind) {
  const channels = [];
  if (kind.velocity) channels.push({ type: "velocity", ...kind.velocity });
  if (kind.rotation?.turn) channels.push({ type: "turn", ...kind.rotation.turn });
  if (kind.rotation?.quaternion) channels.push({ type: "quaternion", ...kind.rotation.quaternion });
  return channels.concat(kind.fields);
}

const readers = {
  velocity(take, { bits, max }, dims) {
    const most = 2 ** (bits - 1) - 1;
    return Array.from({ length: dims }, () => Math.min(take(bits) - most, most) * (max / most));
  },
  turn: (take, { bits }) => (take(bits) / 2 ** bits) * 2 * Math.PI,
  quaternion(take, { bits }) {
    const out = take(2);
    const most = 2 ** (bits - 1) - 1;
    const three = Array.from({ length: 3 }, () => (Math.min(take(bits) - most, most) / most) * Math.SQRT1_2);
    const left = 1 - three.reduce((sum, part) => sum + part * part, 0);
    three.splice(out, 0, Math.sqrt(Math.max(0, left)));
    return three;
  },
  bool: (take) => take(1) === 1,
  int: (take, { min, max }) => Math.min(min + take(width(max - min)), max),
  float(take, { min, max, step }) {
    const most = Math.round((max - min) / step);
    return min + Math.min(take(width(most)), most) * step;
  },
  enum: (take, { names }) => names[Math.min(take(width(names.length - 1)), names.length - 1)],
  text(take, { max }) {
    const length = take(width(max));
    assert.ok(length <= max, "a text is too long");
    return new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from({ length }, () => take(8)));
  },
};

// What a client knows of a world: entities by id, as the frames have told.
export class Replica {
  constructor({ schema, cell_bits }) {
    this.schema = schema;
    this.cellBits = cell_bits;
    this.kinds = schema.kinds.map((kind) => ({ ...kind, channels: channelsOf(kind) }));
    this.parcels = new Map();
    this.homes = new Map(); // id → {parcel, slot} or {lost, aim}
    this.tick = 0;
  }

  apply(bytes) {
    const reader = new Reader(bytes);
    const first = reader.byte();
    assert.equal(first & 0xf, 1, "the version");
    const frame = { settled: Boolean(first & 16), sections: [] };
    frame.tick = this.tick = reader.varint();
    frame.input = reader.varint();
    const { dims } = this.schema;
    const list = () => Array.from({ length: dims }, () => reader.double());
    if (first & 32) frame.own = { id: reader.varint(), at: list(), velocity: list() };
    [frame.dilation, frame.ease, frame.merged] = [1, 0, 0];
    if (first & 64) [frame.dilation, frame.ease, frame.merged] = [reader.byte() / 128, reader.byte(), reader.byte()];
    frame.late = first & 128 ? reader.varint() : 0;
    this.told = new Set();
    for (let drops = reader.varint(); drops > 0; drops -= 1) {
      const word = reader.varint();
      this.#drop(Math.floor(word / 2), word % 2 === 1);
    }
    for (let records = reader.varint(); records > 0; records -= 1) {
      const word = reader.varint();
      this.#record(reader, Math.floor(word / 2), word % 2 === 1);
    }
    while (reader.left > 0) {
      const id = reader.byte();
      const length = reader.varint();
      assert.ok(reader.left >= length, "a section ends too early");
      frame.sections.push({ id, data: bytes.subarray(reader.at, reader.at + length) });
      reader.at += length;
    }
    this.#settle(frame.settled);
    return frame;
  }

  #home(id) {
    return this.homes.get(id);
  }

  #isIn(id, number, slot) {
    const home = this.#home(id);
    return home?.parcel === number && home.slot === slot;
  }

  #lose(number, parcel, slot, aim) {
    const { id } = parcel.slots[slot];
    if (this.#isIn(id, number, slot)) {
      this.homes.set(id, { lost: { kind: parcel.kind, ...parcel.slots[slot] }, aim });
    }
  }

  #drop(number, ended) {
    const parcel = this.parcels.get(number);
    if (!parcel) return;
    for (const slot of parcel.slots.keys()) {
      if (!parcel.slots[slot]) continue;
      if (ended) this.#lose(number, parcel, slot, undefined);
      else if (this.#isIn(parcel.slots[slot].id, number, slot)) this.homes.delete(parcel.slots[slot].id);
    }
    this.parcels.delete(number);
  }

  #record(reader, number, whole) {
    const { dims } = this.schema;
    let parcel = this.parcels.get(number);
    if (whole) {
      if (parcel) this.#drop(number, true);
      const word = reader.varint();
      const kind = this.kinds[Math.floor(word / 2)];
      assert.ok(kind, "a kind that is there");
      parcel = { kind, slots: [], at: this.tick };
      if (word % 2 === 1) {
        parcel.origin = Array(dims).fill(-(2 ** 29));
        parcel.width = 30;
      } else {
        const edge = this.cellBits - reader.byte();
        parcel.origin = Array.from({ length: dims }, () => zigzag(reader.varint()) * 2 ** edge - 2 ** edge / 8);
        parcel.width = edge + 1;
      }
      this.parcels.set(number, parcel);
      this.told.add(number);
      const version = kind.velocity ? reader.varint() : this.tick;
      const run = reader.bits();
      const recent = run.take(1) === 1;
      for (let count = run.take(7); count > 0; count -= 1) this.#join(number, parcel, run, version, recent);
      run.end();
      return;
    }
    assert.ok(parcel, `parcel ${number} is known`);
    this.told.add(number);
    parcel.at = this.tick;
    this.#delta(reader, number, parcel);
  }

  #version(run) {
    if (run.take(1) === 1) return this.tick;
    const low = run.take(8);
    return this.tick - ((((this.tick - low) % 256) + 256) % 256);
  }

  #delta(reader, number, parcel) {
    const { kind } = parcel;
    const run = reader.bits();
    const recent = run.take(1) === 1;
    const version = kind.velocity ? this.#version(run) : this.tick;
    const joined = new Set();
    if (run.take(1) === 1) {
      const at = kind.velocity ? version : this.#version(run);
      for (let count = run.take(6) + 1; count > 0; count -= 1) {
        const slot = run.take(6);
        const left = recent ? at : at - run.take(7);
        const id = run.take(1) === 1 ? parcel.slots[slot]?.id : run.sized();
        const to = run.take(1) === 1 ? run.sized() : undefined;
        if (id !== undefined) this.#leave(number, parcel, { slot, left, id, to });
      }
    }
    if (run.take(1) === 1) {
      for (let count = run.take(6) + 1; count > 0; count -= 1) joined.add(this.#join(number, parcel, run, version, recent));
    }
    const others = [...parcel.slots.keys()].filter((slot) => parcel.slots[slot] && !joined.has(slot));
    const moved = run.take(2);
    assert.ok(moved < 3);
    const movers = moved === 0 ? [] : moved === 1 ? others : others.filter(() => run.take(1) === 1);
    if (moved > 0 && recent) {
      const bits = run.take(5) + 1;
      for (const slot of movers) {
        const entity = parcel.slots[slot];
        entity.q = entity.q.map((q) => q + zigzag(run.take(bits)));
        entity.told = version;
      }
    } else if (moved > 0) {
      for (const slot of movers) this.#position(parcel, parcel.slots[slot], run, version);
    }
    if (kind.channels.length > 0 && run.take(1) === 1) {
      const changed = others.filter(() => run.take(1) === 1);
      for (const slot of changed) this.#changes(kind, parcel.slots[slot], run);
    }
    run.end();
  }

  #value(channel, run) {
    return readers[channel.type](run.take, channel, this.schema.dims);
  }

  #changes(kind, entity, run) {
    const which = kind.channels.map(() => kind.channels.length === 1 || run.take(1) === 1);
    kind.channels.forEach((channel, index) => {
      if (which[index]) entity.values[index] = this.#value(channel, run);
    });
  }

  #spot(parcel, entity, run) {
    entity.q = parcel.origin.map((origin) => origin + run.take(parcel.width));
  }

  #position(parcel, entity, run, version) {
    this.#spot(parcel, entity, run);
    entity.told = parcel.kind.velocity ? version - run.take(6) : version;
  }

  #join(number, parcel, run, version, recent) {
    const slot = run.take(6);
    const entity = { id: run.sized() };
    if (recent && run.take(1) === 1) {
      const home = this.#home(entity.id);
      assert.ok(home && home.parcel !== number, `entity ${entity.id} is known from elsewhere`);
      entity.values = [...(home.lost ?? this.parcels.get(home.parcel).slots[home.slot]).values];
      this.#spot(parcel, entity, run);
      entity.told = version;
      if (parcel.kind.channels.length > 0 && run.take(1) === 1) this.#changes(parcel.kind, entity, run);
    } else {
      this.#position(parcel, entity, run, version);
      entity.values = parcel.kind.channels.map((channel) => this.#value(channel, run));
    }
    const former = parcel.slots[slot];
    if (former && former.id !== entity.id) this.#lose(number, parcel, slot, undefined);
    // It may stand in another slot, which has yet to tell that it left.
    parcel.slots[slot] = entity;
    this.homes.set(entity.id, { parcel: number, slot });
    return slot;
  }

  #leave(number, parcel, { slot, left, id, to }) {
    const toldSince = (aim) => aim !== number && this.parcels.has(aim) && this.parcels.get(aim).at >= left;
    const aim = to !== undefined && !toldSince(to) ? to : undefined;
    const there = parcel.slots[slot];
    if (there) {
      if (there.id !== id) this.#lose(number, parcel, slot, undefined);
      else if (to !== undefined) this.#lose(number, parcel, slot, aim);
      else if (this.#isIn(id, number, slot)) this.homes.delete(id);
      parcel.slots[slot] = undefined;
    }
    const home = this.#home(id);
    if (home?.lost && home.aim === number) {
      if (to === undefined) this.homes.delete(id);
      else home.aim = aim;
    }
  }

  #settle(settled) {
    for (const [id, home] of this.homes) {
      if (!home.lost) continue;
      const known = home.aim !== undefined && this.parcels.has(home.aim);
      if (known ? this.told.has(home.aim) : settled) this.homes.delete(id);
    }
  }

  get ids() {
    return [...this.homes.keys()];
  }

  get(id) {
    const home = this.#home(id);
    if (!home) return undefined;
    const kind = home.lost ? home.lost.kind : this.parcels.get(home.parcel).kind;
    const entity = home.lost ?? this.parcels.get(home.parcel).slots[home.slot];
    const seen = { id, kind: kind.name, told: entity.told, fields: {} };
    kind.channels.forEach((channel, index) => {
      if (channel.type === "velocity" && index === 0 && kind.velocity) seen.velocity = entity.values[index];
      else if (channel.name === undefined) seen.rotation = entity.values[index];
      else seen.fields[channel.name] = entity.values[index];
    });
    const ticks = Math.min(this.tick - entity.told, 60);
    seen.at = entity.q.map((q, axis) => {
      const at = q * this.schema.precision;
      return kind.velocity?.error === undefined ? at : at + seen.velocity[axis] * (ticks / this.schema.hz);
    });
    return seen;
  }
}

// Enters a world with a connected socket of `/world`. What comes back sees what the frames tell.
export async function enter(socket, request) {
  const early = [];
  const keep = (bytes) => early.push(bytes);
  socket.on("world:frame", keep);
  const answer = await within(
    new Promise((done) => socket.emit("world:enter", request, done)),
    "the answer to world:enter",
  );
  socket.off("world:frame", keep);
  assert.equal(answer.ok, true, JSON.stringify(answer));
  const place = new Inside(socket, answer);
  for (const bytes of early) place.hear(bytes);
  return place;
}

export class Inside {
  #waiting = new Set();
  #seq = 0;

  constructor(socket, answer) {
    Object.assign(this, answer);
    this.socket = socket;
    this.replica = new Replica(answer.world);
    this.frames = [];
    this.bytes = 0;
    socket.on("world:frame", (this.listener = (bytes, ...more) => {
      assert.equal(more.length, 0, "a frame is one argument");
      this.hear(bytes);
    }));
  }

  hear(bytes) {
    this.bytes += bytes.length;
    this.frames.push(this.replica.apply(new Uint8Array(bytes)));
    for (const look of this.#waiting) look();
  }

  stop() {
    this.socket.off("world:frame", this.listener);
  }

  get last() {
    return this.frames.at(-1);
  }

  get(id) {
    return this.replica.get(id);
  }

  // What `look` gives as soon as it gives something.
  until(look, what) {
    let mine;
    return within(
      new Promise((done, fail) => {
        mine = () => {
          try {
            const found = look(this);
            if (found) done(found);
          } catch (error) {
            fail(error);
          }
        };
        this.#waiting.add(mine);
        mine();
      }),
      what,
    ).finally(() => this.#waiting.delete(mine));
  }

  sees(id, wanted = () => true) {
    return this.until(() => {
      const seen = this.get(id);
      return seen && wanted(seen) && seen;
    }, `entity ${id} to be seen`);
  }

  loses(id) {
    return this.until(() => this.frames.length > 0 && !this.get(id), `entity ${id} to go`);
  }

  // Sends an input, and gives its number.
  move(input) {
    this.#seq += 1;
    this.socket.emit("world:input", { seq: this.#seq, ...input });
    return this.#seq;
  }

  // The first frame that says that an input was taken.
  taken(seq) {
    return this.until(() => this.frames.find((frame) => frame.input >= seq), `input ${seq} to be taken`);
  }
}

export const near = (a, b, most = 0.05) => Math.hypot(...a.map((x, axis) => x - b[axis])) <= most;
