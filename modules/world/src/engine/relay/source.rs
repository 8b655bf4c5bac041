//! The end of the node that has the world.

use crate::engine::bits::put_varint;
use crate::engine::entities::Audience;
use crate::engine::parcel::WHOLE;
use crate::engine::view::{Head, View};

use super::{CHANGED, CLOSED, ENDED, FRESH, FULL, MOST_BACK, NEW, SAME, VERSION};

/// What a node has under a number.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// 0: nothing.
    birth: u32,
    closed: bool,
}

/// What one other node was sent of a world.
///
/// Messages must reach the node in order and none may be lost. To one that has yet to take the last one send none:
/// what it misses is merged.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The tick of the last message; 0: the node has nothing.
    since: u32,
    epoch: u64,
    known: Vec<Known>,
}

impl Source {
    /// For a node that has nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The node has nothing any more: its next message tells all.
    pub fn start_over(&mut self) {
        *self = Self::default();
    }

    /// Appends what a node lacks of a tick. `false`: it has it.
    pub fn compose(&mut self, view: &View, out: &mut Vec<u8>) -> bool {
        let same_world = view.epoch() == self.epoch && view.tick >= self.since;
        if !same_world || view.tick - self.since > MOST_BACK {
            self.start_over();
        }
        if view.tick == self.since {
            return false;
        }
        self.epoch = view.epoch();
        let full = self.since == 0;
        out.push(VERSION | if full { FULL } else { 0 });
        put_varint(out, view.tick);
        put_varint(out, if full { 0 } else { view.tick - self.since });
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(&[view.pace.dilation, view.pace.ease]);
        for nearest in view.tiers.nearest {
            put_varint(out, nearest);
        }
        out.extend_from_slice(&view.tiers.every);
        let count = out.len();
        out.extend_from_slice(&[0; 4]);
        let mut entries = 0_u32;
        for (number, head) in (0..).zip(&view.heads) {
            entries += u32::from(self.entry(view, number, head, out));
        }
        out[count..count + 4].copy_from_slice(&entries.to_le_bytes());
        self.since = view.tick;
        true
    }

    /// What became of a number; whether there is anything to be told.
    fn entry(&mut self, view: &View, number: u32, head: &Head, out: &mut Vec<u8>) -> bool {
        let new_number = number as usize == self.known.len();
        if new_number {
            self.known.push(Known::default());
        }
        let known = &mut self.known[number as usize];
        let was = *known;
        // Of what is closed only those learn who had it: it tells where those went that were in it.
        if head.birth == 0 || head.closed && was.birth != head.birth {
            *known = Known::default();
            if new_number || was.birth != 0 {
                out.push(ENDED);
                put_varint(out, number);
                return true;
            }
            return false;
        }
        let (birth, closed) = (head.birth, head.closed);
        *known = Known { birth, closed };
        let fresh = head.fresh > self.since;
        let flags = if closed { CLOSED } else { 0 } | if fresh { FRESH } else { 0 };
        let what = match () {
            () if was.birth != birth => NEW,
            () if head.version > self.since => CHANGED,
            () if closed != was.closed || fresh => SAME,
            () => return false,
        };
        out.push(what | flags);
        if what == SAME {
            put_varint(out, number);
        }
        if fresh {
            put_varint(out, view.tick - head.fresh);
        }
        match what {
            NEW => {
                put_varint(out, view.tick - birth);
                put_varint(out, view.tick - head.version);
                match head.audience {
                    Audience::Group(group) => {
                        out.push(1);
                        put_varint(out, group);
                    }
                    // What nobody sees is in no parcel.
                    Audience::Everyone | Audience::Nobody => out.push(0),
                }
                out.extend_from_slice(view.made(number, WHOLE));
            }
            CHANGED => {
                if view.tick - self.since != 1 {
                    put_varint(out, view.tick - head.version);
                    put_varint(out, head.version - head.prev);
                }
                // It's for all viewers there, who know less than the node.
                out.extend_from_slice(view.delta(number, head, self.since, |_| false));
            }
            _ => {}
        }
        true
    }
}
