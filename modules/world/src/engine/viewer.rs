//! One client: what it has, what it lacks, and the frame of a tick made of that.

use smallvec::SmallVec;

use super::bits::{put_varint, varint_len};
use super::budget::Budget;
use super::frame::{Head, Own};
use super::interest::{Asked, Entry, Interest, Standing};
use super::query::{Ask, Centre, Part, Query, QueryError, Shape};
use super::schema::Layout;
use super::view::View;
use super::world::Pace;

/// Groups that a viewer may be of; of more, the lowest count.
pub const MAX_GROUPS: usize = 16;

/// What a client is to see.
#[derive(Clone, Debug, PartialEq)]
pub struct Sight {
    /// Anything that fits any of these.
    pub asks: Vec<Ask>,
}

impl Sight {
    /// All within a distance of where the viewer stands.
    #[must_use]
    pub fn around(radius: f64) -> Self {
        let centre = Centre::Own;
        let query = Query::In(Shape::Sphere { centre, radius });
        Self {
            asks: vec![Ask { query, every: 1 }],
        }
    }

    fn compiled(&self, layout: &Layout) -> Result<Vec<Asked>, QueryError> {
        if self.asks.is_empty() {
            return Err(QueryError::Empty);
        }
        let mut parts = 0;
        let asked = self.asks.iter().map(|ask| {
            let part = Part::new(&ask.query, layout, &mut parts)?;
            let every = 1 << ask.every.clamp(1, 64).ilog2();
            Ok(Asked { part, every })
        });
        asked.collect()
    }
}

/// What composing came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Composed {
    /// Bytes of the frame; 0: there was nothing to say.
    pub bytes: usize,
    /// Parcels in it.
    pub parcels: u32,
    /// Parcels that are later than they should be.
    pub late: u32,
}

/// A client's state at the server's end.
///
/// It may go on with views of another node's mirror, or of a world made anew: see [`View::epoch`].
///
/// Frames must reach the client in order and none may be lost. For a client that reads slowly don't compose: what it
/// misses is merged into its next frame.
#[derive(Clone, Debug)]
pub struct Viewer {
    pub(crate) interest: Interest,
    budget: Budget,
    input: u32,
    own: Option<Own>,
    /// Of the views that frames were made from.
    origin: Option<(u64, u32)>,
    /// Of the last frame.
    tick: u32,
    told_input: u32,
    settled: bool,
    pace: Pace,
    /// Ticks that were left out since the last frame.
    merged: u8,
    pub(crate) late: u32,
    /// Another part of the frame has something to say.
    aside: bool,
    /// Not all that was due fitted into the last frame.
    short: bool,
}

/// What is to be told of an entry, and how urgent it is.
struct Due<'v> {
    entry: u32,
    urgency: u32,
    bytes: &'v [u8],
}

/// By tier: an entity of the third waits as long as it takes to be as urgent as one of the first.
const WEIGHTS: [u32; 3] = [16, 4, 1];

type AllDue<'v> = SmallVec<[Due<'v>; 64]>;

impl Viewer {
    /// A client that has nothing yet.
    ///
    /// # Errors
    /// If that can't be asked for.
    pub fn new(layout: &Layout, sight: &Sight, bytes_a_second: u32) -> Result<Self, QueryError> {
        Ok(Self {
            interest: Interest::new(sight.compiled(layout)?),
            budget: Budget::new(bytes_a_second, layout.hz),
            input: 0,
            own: None,
            origin: None,
            tick: 0,
            told_input: 0,
            settled: false,
            pace: Pace::default(),
            merged: 0,
            late: 0,
            aside: false,
            short: false,
        })
    }

    /// Says where the client stands, for what is asked for around it.
    pub fn stand(&mut self, position: [f64; 3], layout: &Layout) {
        for (own, x) in self.interest.own.iter_mut().zip(position).take(layout.dims) {
            // A place that is none leaves it where it was.
            if x.is_finite() {
                *own = x / layout.precision;
            }
        }
    }

    /// Asks for something else.
    ///
    /// # Errors
    /// If that can't be asked for; then it stays as it was.
    pub fn look(&mut self, sight: &Sight, layout: &Layout) -> Result<(), QueryError> {
        self.interest.ask(sight.compiled(layout)?);
        Ok(())
    }

    /// Says of which groups the client is. What only groups see that it has left is dropped with the next frame.
    pub fn set_groups(&mut self, groups: &[u32]) {
        let mut groups = groups.to_vec();
        groups.sort_unstable();
        groups.dedup();
        groups.truncate(MAX_GROUPS);
        if groups != self.interest.groups {
            self.interest.groups = groups;
            self.interest.forget();
        }
    }

    /// Says how many bytes a second it may have; at least [`super::budget::LEAST_BYTES_A_SECOND`].
    pub fn set_budget(&mut self, bytes_a_second: u32) {
        self.budget.set_rate(bytes_a_second);
    }

    /// Says which of the client's inputs was taken last, and where its entity is if that is not what the client expects.
    pub fn answer(&mut self, input: u32, own: Option<Own>) {
        self.input = input;
        self.own = own.or(self.own);
    }

    /// Says whether something else is to be appended to the next frames, such as land: then there is a frame even if no entity
    /// has changed, and some of the budget is left for that.
    pub fn set_aside(&mut self, aside: bool) {
        self.aside = aside;
    }

    /// Bytes of the budget that are for what is appended: all that is left of it, but where entities are short of it only
    /// what was set aside.
    #[must_use]
    pub fn left_aside(&self) -> usize {
        let left = self.budget.left();
        match self.short {
            true => left.min(self.budget.share()),
            false => left,
        }
    }

    /// So many bytes were appended.
    pub fn spend(&mut self, bytes: usize) {
        self.budget.spend(bytes);
    }

    /// The client has yet to take its last frame, so there is none for this tick: its next one says so.
    pub fn leave_out(&mut self) {
        self.merged = self.merged.saturating_add(1);
    }

    /// The client has nothing any more: its next frame tells all anew.
    pub fn start_over(&mut self) {
        self.interest.entries.clear();
        self.interest.forget();
        self.tick = 0;
        self.settled = false;
    }

    /// Appends the frame of a tick. Nothing is appended if there is nothing to say, or not enough budget to say it.
    pub fn compose(&mut self, view: &View, out: &mut Vec<u8>) -> Composed {
        if self.origin != Some(view.origin) {
            self.begin(view);
        }
        let last = self.tick;
        if view.tick <= last {
            return Composed::default();
        }
        self.budget.advance(view.tick);
        self.interest.bring_up(view);
        let mut head = Head {
            tick: view.tick,
            input: self.input,
            settled: false,
            own: self.own,
            pace: view.pace,
            merged: self.merged,
            late: 0,
        };
        let mut left = self.budget.left();
        if self.aside {
            left = left.saturating_sub(self.budget.share());
        }
        let Some(left) = left.checked_sub(head.len(view.layout.dims) + 5) else {
            return Composed::default();
        };
        let mut due = AllDue::new();
        let (drops, wanted, new) = self.gather(view, &mut due);
        let (drops, fitting, fresh) = if wanted <= left {
            (drops, due.len(), new)
        } else {
            self.choose(&mut due, drops, left)
        };
        head.late = self.put_off(view, &due[fitting..]);
        head.settled = fresh == new;
        self.short = fitting < due.len();
        let quiet = drops == 0 && fitting == 0 && self.own.is_none() && self.same(&head);
        let quiet = quiet && !self.aside;
        if quiet && last != 0 && view.tick < last + view.layout.hz {
            return Composed {
                late: head.late,
                ..Composed::default()
            };
        }
        let start = out.len();
        self.write(view, &head, drops, &due[..fitting], out);
        let bytes = out.len() - start;
        self.budget.spend(bytes);
        self.own = None;
        self.tick = view.tick;
        (self.told_input, self.settled) = (head.input, head.settled);
        (self.pace, self.late) = (head.pace, head.late);
        self.merged = 0;
        Composed {
            bytes,
            parcels: fitting as u32,
            late: head.late,
        }
    }

    /// Goes on with a view of another origin: nothing that was sent has to do with what is in it. The client is told that
    /// all parcels ended, and of those that are, so that who is in both neither leaves nor enters.
    fn begin(&mut self, view: &View) {
        if self.origin.replace(view.origin).is_some() {
            self.interest.end_all();
            self.budget.restart(view.tick);
            self.tick = 0;
            self.settled = false;
        }
    }

    fn same(&self, head: &Head) -> bool {
        (self.told_input, self.settled, self.pace, self.late)
            == (head.input, head.settled, head.pace, head.late)
    }

    /// Finds what is due: how many parcels are to be dropped, how many bytes all of it takes, and how many are new.
    fn gather<'v>(&mut self, view: &'v View, due: &mut AllDue<'v>) -> (usize, usize, usize) {
        let (mut drops, mut wanted, mut new) = (0, 0, 0);
        for index in 0..self.interest.entries.len() {
            let entry = &mut self.interest.entries[index];
            match entry.standing {
                Standing::Held => {
                    let head = &view.heads[entry.number as usize];
                    // What bears its number by now says nothing of this one, and may be unknown to another node.
                    let is_fresh = head.birth == entry.birth && head.fresh > entry.since;
                    if !entry.is_due(view.tick) && !is_fresh {
                        continue;
                    }
                    if head.birth != entry.birth {
                        entry.standing = Standing::Ended;
                        drops += 1;
                        wanted += varint_len(entry.number << 1);
                    } else if head.version <= entry.since {
                        entry.since = view.tick;
                        entry.late = false;
                    } else {
                        let entry = *entry;
                        let knows = |sources: &[(u32, u32)]| self.interest.knows(sources, view);
                        let bytes = view.delta(entry.number, head, entry.since, knows);
                        wanted += bytes.len();
                        due.push(due_of(index, &entry, view, bytes));
                    }
                }
                Standing::New => {
                    let head = &view.heads[entry.number as usize];
                    if head.birth != entry.birth {
                        // It has ended again; there is nothing to be told of it but, perhaps, of an earlier one.
                        entry.standing = Standing::Ended;
                        drops += 1;
                        wanted += varint_len(entry.number << 1);
                        continue;
                    }
                    let entry = *entry;
                    let knows = |sources: &[(u32, u32)]| self.interest.knows(sources, view);
                    let bytes = view.whole(entry.number, head, knows);
                    new += 1;
                    wanted += bytes.len();
                    due.push(due_of(index, &entry, view, bytes));
                }
                Standing::Dropped | Standing::Ended => {
                    drops += 1;
                    wanted += varint_len(entry.number << 1);
                }
            }
        }
        (drops, wanted, new)
    }

    /// Not all fits: what is dropped goes first, then the most urgent. Nothing goes before what is more urgent, however
    /// small it is, so that all of it comes at some time. Gives how many are dropped, told of, and new among these.
    fn choose(
        &mut self,
        due: &mut AllDue<'_>,
        drops: usize,
        mut left: usize,
    ) -> (usize, usize, usize) {
        let mut dropping = 0;
        for entry in self
            .interest
            .entries
            .iter()
            .filter(|entry| entry.is_dropped())
        {
            match left.checked_sub(varint_len(entry.number << 1)) {
                Some(rest) => left = rest,
                None => return (dropping, 0, 0),
            }
            dropping += 1;
        }
        debug_assert!(dropping == drops);
        due.sort_unstable_by_key(|due| (std::cmp::Reverse(due.urgency), due.entry));
        let (mut fitting, mut fresh) = (0, 0);
        for due in due.iter() {
            match left.checked_sub(due.bytes.len()) {
                Some(rest) => left = rest,
                None => break,
            }
            fitting += 1;
            let standing = self.interest.entries[due.entry as usize].standing;
            fresh += usize::from(standing == Standing::New);
        }
        (dropping, fitting, fresh)
    }

    /// Notes what did not fit, and counts what is later than it should be.
    fn put_off(&mut self, view: &View, due: &[Due<'_>]) -> u32 {
        for due in due {
            self.interest.entries[due.entry as usize].late = true;
        }
        let late = due.iter().filter(|due| {
            let entry = &self.interest.entries[due.entry as usize];
            entry.standing == Standing::New || view.tick - entry.since > u32::from(entry.mask) + 1
        });
        late.count() as u32 + self.interest.beyond
    }

    fn write(
        &mut self,
        view: &View,
        head: &Head,
        drops: usize,
        due: &[Due<'_>],
        out: &mut Vec<u8>,
    ) {
        head.write(view.layout.dims, out);
        put_varint(out, drops as u32);
        let dropped = self
            .interest
            .entries
            .iter()
            .filter(|entry| entry.is_dropped());
        for entry in dropped.take(drops) {
            put_varint(
                out,
                entry.number << 1 | u32::from(entry.standing == Standing::Ended),
            );
        }
        put_varint(out, due.len() as u32);
        for due in due {
            out.extend_from_slice(due.bytes);
        }
        for due in due {
            let entry = &mut self.interest.entries[due.entry as usize];
            entry.since = view.tick;
            entry.late = false;
            entry.stale = false;
            entry.standing = Standing::Held;
        }
        if drops != 0 {
            let mut left = drops;
            self.interest.entries.retain(|entry| {
                let told = entry.is_dropped() && left != 0;
                left -= usize::from(told);
                !told
            });
        }
    }
}

#[inline]
fn due_of<'v>(index: usize, entry: &Entry, view: &View, bytes: &'v [u8]) -> Due<'v> {
    let age = view.tick - entry.since + 1;
    // What is new is waited for the most.
    let new = 1 + u32::from(entry.standing == Standing::New);
    Due {
        entry: index as u32,
        urgency: age * WEIGHTS[usize::from(entry.tier)] * new,
        bytes,
    }
}
