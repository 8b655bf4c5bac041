//! A parcel's bytes: all of it, or what it came to since a tick.
//!
//! Values are absolute, so a delta may say more than a client lacks. Only in a *recent* delta are positions relative to
//! those before: it's for clients that had everything up to the change before the last.

use super::bits::{BitWriter, bits_for, put_varint, zigzag};
use super::parcel::{CLASSES, NOWHERE, Parcel, RECENT, Slot, WHOLE};
use super::schema::{Channel, KindLayout, Layout};

/// What a position's age is cut to; what moves is told again before it's that old.
pub(crate) const MOST_AGE: u32 = 63;

/// The class of a delta for a client that has everything up to so many ticks before the version; the last class is all of it.
pub(crate) fn class_of(gap: u32) -> usize {
    // A power of two of ticks, 2 at the least.
    let class = bits_for(u64::from(gap.saturating_sub(1))).max(1) as usize;
    class.min(WHOLE)
}

/// The tick since which a class tells changes. By the version, so that its bytes are the same whenever they are asked for.
fn base_of(class: usize, version: u32) -> u32 {
    debug_assert!(class != RECENT && class < CLASSES);
    version.saturating_sub(1 << class)
}

/// Writes a parcel's record.
pub(crate) fn write(parcel: &Parcel, layout: &Layout, class: usize, tick: u32, out: &mut Vec<u8>) {
    let record = Record::new(parcel, layout);
    put_varint(out, parcel.number << 1 | u32::from(class == WHOLE));
    match class {
        WHOLE => record.whole(layout, None, out),
        RECENT => {
            record.delta(Telling::recent(parcel, tick), out);
        }
        _ => {
            let telling = Telling {
                tick,
                since: base_of(class, parcel.version),
                recent: false,
                short: false,
            };
            record.delta(telling, out);
        }
    }
}

/// Writes a parcel's recent delta in the tick of its change, or all of it if it was made in this tick, for clients that
/// know who came into it from where that was: of those it tells no more than what changed. The parcels that they came from are added to `sources`, each with the
/// tick at which one must have had it, or later.
pub(crate) fn write_short(
    parcel: &Parcel,
    layout: &Layout,
    is_new: bool,
    sources: &mut Vec<(u32, u32)>,
    out: &mut Vec<u8>,
) {
    put_varint(out, parcel.number << 1 | u32::from(is_new));
    let telling = Telling {
        short: true,
        ..Telling::recent(parcel, parcel.version)
    };
    let record = Record::new(parcel, layout);
    let joined = if is_new {
        record.whole(layout, Some(telling), out);
        parcel.occupied
    } else {
        record.delta(telling, out)
    };
    let first = sources.len();
    for slot in bits_of(joined) {
        let Slot { from, known, .. } = parcel.slots[slot];
        if from == NOWHERE {
            continue;
        }
        match sources[first..].iter_mut().find(|source| source.0 == from) {
            Some((_, since)) => *since = known.max(*since),
            None => sources.push((from, known)),
        }
    }
}

/// What a delta tells.
#[derive(Clone, Copy)]
struct Telling {
    /// The frame's.
    tick: u32,
    /// All that happened after this tick.
    since: u32,
    /// It's for clients that lack the last change alone.
    recent: bool,
    /// And they know who came from other parcels.
    short: bool,
}

impl Telling {
    fn recent(parcel: &Parcel, tick: u32) -> Self {
        Self {
            tick,
            since: parcel.version - 1,
            recent: true,
            short: false,
        }
    }
}

struct Record<'a> {
    parcel: &'a Parcel,
    kind: &'a KindLayout,
    dims: usize,
    frame: ([i32; 3], u32),
}

/// The numbers of the bits that are set.
pub(crate) fn bits_of(mut mask: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let slot = mask.trailing_zeros() as usize;
        (mask != 0).then(|| {
            mask &= mask - 1;
            slot
        })
    })
}

impl<'a> Record<'a> {
    fn new(parcel: &'a Parcel, layout: &'a Layout) -> Self {
        Self {
            parcel,
            kind: &layout.kinds[usize::from(parcel.kind)],
            dims: layout.dims,
            frame: parcel.place.frame(layout),
        }
    }

    fn whole(&self, layout: &Layout, recent: Option<Telling>, out: &mut Vec<u8>) {
        let place = self.parcel.place;
        put_varint(
            out,
            u32::from(self.parcel.kind) << 1 | u32::from(place.is_everywhere()),
        );
        if !place.is_everywhere() {
            out.push(place.level);
            for at in &place.at[..layout.dims] {
                put_varint(out, zigzag(*at));
            }
        }
        if self.kind.has_velocity {
            put_varint(out, self.parcel.version);
        }
        let mut bits = BitWriter::new(out);
        bits.flag(recent.is_some());
        bits.put(self.parcel.count() as u32, 7);
        for slot in bits_of(self.parcel.occupied) {
            self.newcomer(slot, recent, &mut bits);
        }
        bits.finish();
    }

    /// A slot, who is in it, and all of its state; or, of one that is known, where it is and what changed.
    fn newcomer(&self, index: usize, recent: Option<Telling>, bits: &mut BitWriter<'_>) {
        let slot = &self.parcel.slots[index];
        bits.put(index as u32, 6);
        bits.sized(slot.id);
        if let Some(telling) = recent {
            let known = telling.short && slot.from != NOWHERE;
            bits.flag(known);
            if known {
                self.spot(slot, bits);
                return self.changes_of_known(index, telling.since, bits);
            }
        }
        self.position(slot, bits);
        for channel in 0..self.kind.channels.len() {
            self.channel(index, channel, bits);
        }
    }

    /// Where it is in its cell.
    fn spot(&self, slot: &Slot, bits: &mut BitWriter<'_>) {
        let (from, width) = self.frame;
        for (q, from) in slot.q.iter().zip(from).take(self.dims) {
            bits.put(q.wrapping_sub(from) as u32, width);
        }
    }

    /// Where it is, and since when, if it's moving.
    fn position(&self, slot: &Slot, bits: &mut BitWriter<'_>) {
        self.spot(slot, bits);
        if self.kind.has_velocity {
            bits.put((self.parcel.version - slot.moved).min(MOST_AGE), 6);
        }
    }

    fn channel(&self, slot: usize, channel: usize, bits: &mut BitWriter<'_>) {
        let layout = self.kind.channels[channel];
        if let Channel::Text { index, .. } = layout {
            let text = &self.parcel.texts[slot * self.parcel.texts_each + usize::from(index)];
            bits.put(text.len() as u32, layout.width());
            for byte in text.bytes() {
                bits.put(u32::from(byte), 8);
            }
        } else {
            let value = self.parcel.values[slot * self.parcel.channels + channel];
            bits.put_long(value, layout.width());
        }
    }

    /// Gives the slots into which somebody came.
    fn delta(&self, telling: Telling, out: &mut Vec<u8>) -> u64 {
        let Telling { since, recent, .. } = telling;
        let (mut left, mut joined, mut moved, mut changed) = (0_u64, 0_u64, 0_u64, 0_u64);
        for (index, slot) in self.parcel.slots.iter().enumerate() {
            let bit = 1 << index;
            if self.parcel.occupied & bit == 0 {
                left |= if slot.left > since { bit } else { 0 };
            } else if slot.joined > since {
                joined |= bit;
            } else {
                moved |= if slot.moved > since { bit } else { 0 };
                changed |= if slot.changed > since { bit } else { 0 };
            }
        }
        let mut bits = BitWriter::new(out);
        bits.flag(recent);
        if self.kind.has_velocity {
            self.version(telling, &mut bits);
        }
        self.leavers(left, telling, &mut bits);
        bits.flag(joined != 0);
        if joined != 0 {
            bits.put(joined.count_ones() - 1, 6);
            for slot in bits_of(joined) {
                self.newcomer(slot, Some(telling).filter(|_| recent), &mut bits);
            }
        }
        let others = self.parcel.occupied & !joined;
        self.moves(others, moved, recent, &mut bits);
        if !self.kind.channels.is_empty() {
            bits.flag(changed != 0);
            if changed != 0 {
                mask(others, changed, &mut bits);
                for slot in bits_of(changed) {
                    self.changes(slot, since, &mut bits);
                }
            }
        }
        bits.finish();
        joined
    }

    /// Ages are counted back from this.
    fn version(&self, telling: Telling, bits: &mut BitWriter<'_>) {
        let version = self.parcel.version;
        bits.flag(version == telling.tick);
        if version != telling.tick {
            bits.put(version & 0xff, 8);
        }
    }

    fn leavers(&self, left: u64, telling: Telling, bits: &mut BitWriter<'_>) {
        bits.flag(left != 0);
        if left == 0 {
            return;
        }
        if !self.kind.has_velocity {
            self.version(telling, bits);
        }
        bits.put(left.count_ones() - 1, 6);
        for slot in bits_of(left) {
            bits.put(slot as u32, 6);
            let Slot {
                id,
                left,
                joined,
                to,
                ..
            } = self.parcel.slots[slot];
            if !telling.recent {
                // A delta goes back by 64 ticks at most.
                bits.put((self.parcel.version - left).min(127), 7);
            }
            // Who came since is not the one that clients have there, but may be on its way to there for them.
            let there = joined <= telling.since;
            bits.flag(there);
            if !there {
                bits.sized(id);
            }
            bits.flag(to != NOWHERE);
            if to != NOWHERE {
                bits.sized(to);
            }
        }
    }

    fn moves(&self, others: u64, moved: u64, recent: bool, bits: &mut BitWriter<'_>) {
        let all = moved == others;
        bits.put(if moved == 0 { 0 } else { 2 - u32::from(all) }, 2);
        if moved == 0 {
            return;
        }
        if !all {
            mask(others, moved, bits);
        }
        if !recent {
            for slot in bits_of(moved) {
                self.position(&self.parcel.slots[slot], bits);
            }
            return;
        }
        let difference = |slot: usize, axis: usize| {
            let slot = &self.parcel.slots[slot];
            slot.q[axis].wrapping_sub(slot.before[axis])
        };
        let most = bits_of(moved)
            .flat_map(|slot| (0..self.dims).map(move |axis| zigzag(difference(slot, axis))))
            .fold(0, |most, next| most | next);
        let width = bits_for(u64::from(most)).max(1);
        bits.put(width - 1, 5);
        for slot in bits_of(moved) {
            for axis in 0..self.dims {
                bits.put(zigzag(difference(slot, axis)), width);
            }
        }
    }

    fn stamps(&self, slot: usize) -> &[u32] {
        let count = self.parcel.channels;
        &self.parcel.stamps[slot * count..(slot + 1) * count]
    }

    fn changes(&self, slot: usize, since: u32, bits: &mut BitWriter<'_>) {
        let stamps = self.stamps(slot);
        for stamp in stamps.iter().filter(|_| stamps.len() > 1) {
            bits.flag(*stamp > since);
        }
        for channel in (0..stamps.len()).filter(|channel| stamps[*channel] > since) {
            self.channel(slot, channel, bits);
        }
    }

    fn changes_of_known(&self, slot: usize, since: u32, bits: &mut BitWriter<'_>) {
        if self.kind.channels.is_empty() {
            return;
        }
        let changed = self.stamps(slot).iter().any(|stamp| *stamp > since);
        bits.flag(changed);
        if changed {
            self.changes(slot, since, bits);
        }
    }
}

/// A bit for each of the slots in `among`: whether it's in `mask`.
fn mask(among: u64, mask: u64, bits: &mut BitWriter<'_>) {
    for slot in bits_of(among) {
        bits.flag(mask >> slot & 1 == 1);
    }
}
