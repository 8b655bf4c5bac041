//! What a tick left to be read. Any number of threads read it while the next tick is made.

use std::sync::Arc;

use super::delta;
use super::entities::Audience;
use super::parcel::{Parcel, RECENT, WHOLE};
use super::schema::Layout;
use super::space::{Grid, Place};
use super::world::{Pace, Tiers};

/// How long it's known which parcels are new.
pub(crate) const BIRTHS_KEPT: u32 = 64;

/// What composing needs to know of a parcel, close together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    /// The tick it was made in; 0: there is none of this number.
    pub(crate) birth: u32,
    pub(crate) version: u32,
    pub(crate) prev: u32,
    /// Where its recent delta is among this tick's bytes.
    pub(crate) start: u32,
    pub(crate) len: u32,
    /// Where among this tick's sources those are that one has to know for that delta, and how many.
    pub(crate) sources: u32,
    pub(crate) known: u8,
    pub(crate) audience: Audience,
    pub(crate) kind: u8,
    pub(crate) count: u8,
    /// No leaf has it any more: all that it has yet to tell is where those went that were in it.
    pub(crate) closed: bool,
    /// The tick in which someone came into it who was nowhere near before: that is told at once, whatever the tier.
    pub(crate) fresh: u32,
}

impl Head {
    /// There is none of this number.
    pub(crate) const NONE: Self = Self {
        birth: 0,
        version: 0,
        prev: 0,
        start: 0,
        len: 0,
        sources: 0,
        known: 0,
        audience: Audience::Everyone,
        kind: 0,
        count: 0,
        closed: false,
        fresh: 0,
    };
}

/// A world as of a tick.
#[derive(Debug)]
pub struct View {
    pub(crate) tick: u32,
    /// The world's epoch, and the tick from which on all that was told of it is here; 0 where the world is. A viewer that
    /// goes on with a view of another origin knows nothing of it.
    pub(crate) origin: (u64, u32),
    pub(crate) pace: Pace,
    pub(crate) tiers: Tiers,
    pub(crate) layout: Arc<Layout>,
    pub(crate) heads: Vec<Head>,
    pub(crate) parcels: Vec<Option<Arc<Parcel>>>,
    /// The recent deltas of all parcels that changed in this tick.
    pub(crate) bytes: Vec<u8>,
    /// Parcels from which somebody came in this tick, by those to which; and since when one must have had them to know who.
    pub(crate) sources: Vec<(u32, u32)>,
    /// The parcels of what is seen wherever it is.
    pub(crate) everywhere: Vec<u32>,
    /// Which parcels were made when, in order.
    pub(crate) born: Vec<(u32, u32)>,
    pub(crate) grid: Grid,
}

impl View {
    pub(crate) fn new(layout: Arc<Layout>, tiers: Tiers) -> Self {
        Self {
            tick: 0,
            origin: (0, 0),
            pace: Pace::default(),
            tiers,
            heads: Vec::new(),
            parcels: Vec::new(),
            bytes: Vec::new(),
            sources: Vec::new(),
            everywhere: Vec::new(),
            born: Vec::new(),
            grid: Grid::new(&layout),
            layout,
        }
    }

    /// Begins a tick.
    pub(crate) fn begin_at(&mut self, tick: u32) {
        self.tick = tick;
        self.bytes.clear();
        self.sources.clear();
        let old = tick.saturating_sub(BIRTHS_KEPT);
        let stale = self.born.partition_point(|(tick, _)| *tick < old);
        self.born.drain(..stale);
    }

    /// One to be changed, while others go on reading this one. Parcels and cells are shared until they change.
    pub(crate) fn fork(&self) -> Self {
        Self {
            layout: Arc::clone(&self.layout),
            heads: self.heads.clone(),
            parcels: self.parcels.clone(),
            bytes: Vec::with_capacity(self.bytes.len()),
            sources: Vec::with_capacity(self.sources.len()),
            everywhere: self.everywhere.clone(),
            born: self.born.clone(),
            grid: self.grid.clone(),
            ..*self
        }
    }

    /// The number of the tick.
    #[must_use]
    pub fn tick(&self) -> u32 {
        self.tick
    }

    /// Which of the world's lives this is of.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.origin.0
    }

    /// How entities are laid out.
    #[must_use]
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// How many parcels there are.
    #[must_use]
    pub fn parcels(&self) -> usize {
        self.heads.iter().filter(|head| head.birth != 0).count()
    }

    pub(crate) fn place(&self, number: u32) -> Option<Place> {
        Some(self.parcels.get(number as usize)?.as_ref()?.place)
    }

    /// Writes what a parcel came to in the tick of its change, for those who know who came into it.
    pub(crate) fn write_down(&mut self, number: u32) {
        let Some(parcel) = &self.parcels[number as usize] else {
            return;
        };
        let head = &mut self.heads[number as usize];
        (head.start, head.sources) = (self.bytes.len() as u32, self.sources.len() as u32);
        let is_new = head.birth == self.tick;
        let (sources, bytes) = (&mut self.sources, &mut self.bytes);
        delta::write_short(parcel, &self.layout, is_new, sources, bytes);
        head.len = self.bytes.len() as u32 - head.start;
        // A parcel has no more slots than 64.
        head.known = (self.sources.len() as u32 - head.sources) as u8;
    }

    /// What a client lacks of a parcel that it has up to `since`. None of it is older than what it has. `knows` is asked
    /// whether it has these since: then it needs not be told all of who comes from there.
    #[inline]
    pub(crate) fn delta(
        &self,
        number: u32,
        head: &Head,
        since: u32,
        knows: impl FnOnce(&[(u32, u32)]) -> bool,
    ) -> &[u8] {
        if since >= head.prev
            && head.version == self.tick
            && let sources = self.sources(head)
            && (sources.is_empty() || knows(sources))
        {
            return self.written(head);
        }
        let class = if since >= head.prev {
            RECENT
        } else {
            delta::class_of(head.version - since)
        };
        self.made(number, class)
    }

    /// All of a parcel, for a client that has nothing of it.
    pub(crate) fn whole(
        &self,
        number: u32,
        head: &Head,
        knows: impl FnOnce(&[(u32, u32)]) -> bool,
    ) -> &[u8] {
        if head.birth == self.tick
            && let sources = self.sources(head)
            && !sources.is_empty()
            && knows(sources)
        {
            return self.written(head);
        }
        self.made(number, WHOLE)
    }

    /// Of one that changed in this tick.
    fn sources(&self, head: &Head) -> &[(u32, u32)] {
        &self.sources[head.sources as usize..][..usize::from(head.known)]
    }

    fn written(&self, head: &Head) -> &[u8] {
        &self.bytes[head.start as usize..][..head.len as usize]
    }

    /// A parcel's bytes of a class, made by the first who asks.
    pub(crate) fn made(&self, number: u32, class: usize) -> &[u8] {
        let Some(parcel) = &self.parcels[number as usize] else {
            return &[];
        };
        let later = parcel.version != self.tick;
        parcel.made[usize::from(later)][class].get_or_init(|| {
            let mut out = Vec::new();
            delta::write(parcel, &self.layout, class, self.tick, &mut out);
            out.into_boxed_slice()
        })
    }
}
