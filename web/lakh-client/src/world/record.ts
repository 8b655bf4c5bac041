/** Reads a parcel's record: docs/world.md, "A parcel". */
import { FrameError, unzigzag, type Reader } from "./bits.js";
import {
  lately,
  readChannel,
  readPlace,
  readPosition,
  readSpot,
  Slot,
  type Held,
} from "./parcel.js";
import type { Replica } from "./replica.js";

/** What stays of a parcel's worst lag with each record. */
const LAG_KEPT = 0.9;

export function readWhole(replica: Replica, number: number, reader: Reader): Held {
  const held = readPlace(reader, replica.layout, number);
  held.told = replica.tick;
  const version = held.kind.hasVelocity ? reader.varint() : replica.tick;
  if (version > replica.tick) throw new FrameError("unknown");
  const recent = reader.flag();
  for (let count = reader.bits(7); count > 0; count -= 1) {
    newcomer(replica, held, reader, version, recent);
  }
  reader.align();
  return held;
}

export function readDelta(replica: Replica, held: Held, reader: Reader): void {
  const { tick } = replica;
  const { hasVelocity, channels } = held.kind;
  const recent = reader.flag();
  let version = hasVelocity ? readVersion(reader, tick) : tick;
  if (reader.flag()) {
    if (!hasVelocity) version = readVersion(reader, tick);
    for (let count = reader.bits(6) + 1; count > 0; count -= 1) {
      const place = reader.bits(6);
      const at = Math.max(0, version - (recent ? 0 : reader.bits(7)));
      const id = reader.flag() ? held.slots[place]?.id : reader.sized();
      const to = reader.flag() ? reader.sized() : null;
      // Else it's known to have left.
      if (id !== undefined) replica.leaves(held, { place, at, id, to });
    }
  }
  // Those that were there before, and stay.
  const others = held.slots.slice();
  if (reader.flag()) {
    for (let count = reader.bits(6) + 1; count > 0; count -= 1) {
      others[newcomer(replica, held, reader, version, recent)] = undefined;
    }
  }
  const among = others.filter((slot) => slot !== undefined);
  const moved = moves(replica, held, among, reader, version, recent);
  for (const slot of moved) replica.tells(slot);
  if (channels.length > 0 && reader.flag()) {
    for (const slot of chosen(among, reader)) {
      replica.tells(slot);
      readChanges(replica, held, slot, reader);
    }
  }
  reader.align();
}

/** It's the frame's tick unless another is told. */
function readVersion(reader: Reader, tick: number): number {
  return reader.flag() ? tick : lately(tick, reader.bits(8));
}

/** How late news come: what belongs to a seldom tier, or had to wait for the budget, comes later. */
function observe(held: Held, worst: number, tick: number): void {
  held.lag = Math.max(worst, held.lag * LAG_KEPT);
  held.moved = tick;
}

function newcomer(
  replica: Replica,
  held: Held,
  reader: Reader,
  version: number,
  recent: boolean,
): number {
  const place = reader.bits(6);
  if (place >= held.kind.slots) throw new FrameError("unknown");
  const slot = new Slot(reader.sized());
  const { dims } = replica.layout;
  if (recent && reader.flag()) {
    const known = replica.home(slot.id);
    const elsewhere = known && (known.lost || known.held !== held);
    if (!elsewhere || known.held.kind !== held.kind) throw new FrameError("unknown");
    slot.take(known.slot);
    replica.joins(held, place, slot);
    readSpot(reader, held, slot, dims);
    slot.at = version;
    if (held.kind.channels.length > 0 && reader.flag()) readChanges(replica, held, slot, reader);
    return place;
  }
  replica.joins(held, place, slot);
  readPosition(reader, held, slot, dims, version);
  for (const channel of held.kind.channels) readChannel(reader, channel, slot, dims);
  return place;
}

/** A bit for each, which says whether it's meant. */
function chosen(among: readonly Slot[], reader: Reader): Slot[] {
  return among.filter(() => reader.flag());
}

function moves(
  { layout: { dims }, tick }: Replica,
  held: Held,
  others: readonly Slot[],
  reader: Reader,
  version: number,
  recent: boolean,
): readonly Slot[] {
  const who = reader.bits(2);
  if (who === 0) return [];
  if (who === 3) throw new FrameError("unknown");
  const moved = who === 1 ? others : chosen(others, reader);
  if (!recent) {
    let worst = -1;
    for (const slot of moved) {
      const before = slot.at;
      readPosition(reader, held, slot, dims, version);
      // It may be told again of what is known; that is no news.
      if (slot.at > before) worst = Math.max(worst, tick - slot.at);
    }
    if (worst >= 0) observe(held, worst, tick);
    return moved;
  }
  const width = reader.bits(5) + 1;
  for (const slot of moved) {
    for (let axis = 0; axis < dims; axis += 1) {
      slot.q[axis] = ((slot.q[axis] ?? 0) + unzigzag(reader.bits(width))) | 0;
    }
    slot.at = version;
  }
  if (moved.length > 0) observe(held, tick - version, tick);
  return moved;
}

function readChanges({ layout }: Replica, { kind }: Held, slot: Slot, reader: Reader): void {
  const { channels } = kind;
  if (channels.length === 1) {
    const [only] = channels;
    if (only) readChannel(reader, only, slot, layout.dims);
    return;
  }
  // Which ones are said before any of them.
  const told = channels.filter(() => reader.flag());
  for (const channel of told) readChannel(reader, channel, slot, layout.dims);
}
