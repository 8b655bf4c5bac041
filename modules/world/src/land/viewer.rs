//! One client's part of the land: which chunks it has and in what version, and the section of a frame made of that.
//!
//! What is out of reach is dropped first, then what has changed is told, then what is under way goes on, and then come
//! the nearest of the chunks that it lacks. What doesn't fit into a frame goes over several, one thing at a time.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::SECTION;
use super::cache::Land;
use super::chunk::Chunk;
use super::plan::{Coords, LandPlan};
use super::reach::Reach;
use super::transfer::{Transfer, Writer};
use crate::engine::bits::{put_varint, varint_len};

/// Chunks that a frame begins with at most, so that those who walk fast are not sent what they have passed already.
const MAX_NEW: usize = 16;
/// Below it a section is not begun.
const LEAST: usize = 64;
/// Chunks that are asked for at once.
const MAX_WANTED: usize = 32;

/// What composing came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LandComposed {
    /// Bytes of the section, with its head; 0: there was nothing to say.
    pub bytes: usize,
    /// Chunks within reach that the client does not have yet, or not as they are.
    pub waiting: usize,
    /// Chunks that have to be read before they can be shown, the nearest first.
    pub wanted: Vec<Coords>,
}

/// A client's state at the server's end. As with entities, sections must reach the client in order and none may be lost.
#[derive(Clone, Debug)]
pub struct LandViewer {
    reach: Reach,
    /// What the client has, and in which versions: the cells, then each layer.
    held: FxHashMap<Coords, SmallVec<[u32; 2]>>,
    /// Within reach and not held, the farthest first.
    lacks: Vec<Coords>,
    /// Held and out of reach.
    gone: Vec<Coords>,
    /// Held and perhaps changed. Each once.
    changed: VecDeque<Coords>,
    transfer: Option<Transfer>,
    stamp: u64,
}

impl LandViewer {
    /// A client that has nothing yet, and sees as far as the plan says, or less.
    #[must_use]
    pub fn new(plan: &LandPlan, reach: f64) -> Self {
        let mut viewer = Self {
            reach: Reach::new(0.0),
            held: FxHashMap::default(),
            lacks: Vec::new(),
            gone: Vec::new(),
            changed: VecDeque::new(),
            transfer: None,
            stamp: 0,
        };
        viewer.set_reach(plan, reach);
        viewer
    }

    /// Says how far chunks are shown, in units; at most what the plan says.
    pub fn set_reach(&mut self, plan: &LandPlan, reach: f64) {
        // A NaN becomes the plan's.
        self.reach.set(plan.reach.min(reach).max(0.0));
    }

    /// The client has nothing any more: it's told all anew.
    pub fn start_over(&mut self) {
        self.held.clear();
        self.lacks.clear();
        self.gone.clear();
        self.changed.clear();
        self.transfer = None;
        self.stamp = 0;
        self.reach.forget();
    }

    /// Chunks that the client has.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Whether there may be something to say.
    #[must_use]
    pub fn has_news(&mut self, land: &Land, position: [f64; 3]) -> bool {
        self.look(land, position);
        !self.is_settled()
    }

    fn look(&mut self, land: &Land, position: [f64; 3]) {
        if self.reach.moved(land.plan(), position) {
            self.walk(land.plan());
        }
        self.note_changes(land);
    }

    /// Appends the section of a frame, if there is something to say and it fits into the budget.
    pub fn compose(
        &mut self,
        land: &Land,
        position: [f64; 3],
        budget_bytes: usize,
        out: &mut Vec<u8>,
    ) -> LandComposed {
        self.look(land, position);
        let plan = land.plan();
        let mut composed = LandComposed::default();
        if self.is_settled() {
            return composed;
        }
        let mark = out.len();
        // Its number, and its length: at most what fits.
        let head = 1 + varint_len(budget_bytes as u32);
        if let Some(left) = budget_bytes.checked_sub(head)
            && budget_bytes >= LEAST
        {
            let mut writer = Writer {
                out,
                axes: plan.axes(),
                left,
            };
            self.write(land, &mut writer, &mut composed.wanted);
            composed.bytes = close(mark, out);
        } else {
            self.want(land, &mut composed.wanted);
        }
        composed.waiting =
            self.lacks.len() + self.changed.len() + usize::from(self.transfer.is_some());
        composed
    }

    fn is_settled(&self) -> bool {
        self.lacks.is_empty()
            && self.gone.is_empty()
            && self.changed.is_empty()
            && self.transfer.is_none()
    }

    /// Works out anew what is within reach.
    fn walk(&mut self, plan: &LandPlan) {
        let Self {
            held, gone, reach, ..
        } = self;
        held.retain(|at, _| {
            let beyond = reach.is_beyond(plan, *at);
            if beyond {
                gone.push(*at);
            }
            !beyond
        });
        if !gone.is_empty() {
            self.changed.retain(|at| held.contains_key(at));
            // Whoever drops a chunk drops what has come of it so far.
            self.transfer
                .take_if(|transfer| gone.contains(&transfer.chunk));
        }
        self.lacks = self.reach.chunks(plan, |at| self.held.contains_key(&at));
    }

    fn note_changes(&mut self, land: &Land) {
        if self.stamp == land.stamp() {
            return;
        }
        let Self { held, changed, .. } = self;
        match land.changed_since(self.stamp) {
            Some(news) => {
                for at in news {
                    if held.contains_key(&at) && !changed.contains(&at) {
                        changed.push_back(at);
                    }
                }
            }
            None => {
                let mut all: Vec<Coords> = held.keys().copied().collect();
                all.sort_unstable();
                *changed = all.into();
            }
        }
        self.stamp = land.stamp();
    }

    /// Asks for what is to be read, without sending anything.
    fn want(&self, land: &Land, wanted: &mut Vec<Coords>) {
        let all = self.changed.iter().chain(self.lacks.iter().rev());
        let missing = all.filter(|at| land.get(**at).is_none());
        wanted.extend(missing.take(MAX_WANTED));
    }

    fn write(&mut self, land: &Land, writer: &mut Writer<'_>, wanted: &mut Vec<Coords>) {
        while let Some(at) = self.gone.last() {
            if !writer.gone(*at) {
                return;
            }
            self.gone.pop();
        }
        // Where much changes all the time, what is under way goes on all the same.
        let under_way = self.transfer.is_some() || !self.lacks.is_empty();
        let kept = if under_way { writer.left / 4 } else { 0 };
        writer.left -= kept;
        self.tell_changes(land, writer, wanted);
        writer.left += kept;
        self.go_on(writer);
        self.tell_new(land, writer, wanted);
    }

    /// What changed in the chunks that the client has, the longest known first.
    fn tell_changes(&mut self, land: &Land, writer: &mut Writer<'_>, wanted: &mut Vec<Coords>) {
        for _ in 0..self.changed.len() {
            let Some(at) = self.changed.pop_front() else {
                return;
            };
            let Some(chunk) = land.get(at) else {
                if wanted.len() < MAX_WANTED {
                    wanted.push(at);
                }
                self.changed.push_back(at);
                continue;
            };
            if !self.tell_changed(at, chunk, writer) {
                return self.changed.push_front(at);
            }
        }
    }

    /// Brings one chunk up to what it is. `false`: not all of it fitted.
    fn tell_changed(&mut self, at: Coords, chunk: &Chunk, writer: &mut Writer<'_>) -> bool {
        let Some(held) = self.held.get_mut(&at) else {
            return true;
        };
        for layer in 0..=chunk.layers() {
            let has = &mut held[usize::from(layer)];
            let version = chunk.version_in(layer);
            // What is under way is of a version of its own: what came behind is told when it's there.
            let is_coming = self
                .transfer
                .as_ref()
                .is_some_and(|transfer| transfer.chunk == at && transfer.layer == layer);
            if *has >= version || is_coming {
                continue;
            }
            let whole = chunk.whole(layer);
            let mut told = false;
            if layer == 0 {
                let changes = chunk.changes(*has);
                if changes.len() < whole.len() {
                    told = writer.changes(at, version, &changes);
                }
            }
            if !told && !writer.whole(at, layer, version, &whole) {
                if self.transfer.is_some() {
                    return false;
                }
                let mut transfer = Transfer::new(at, layer, version, whole);
                writer.piece(&mut transfer);
                self.transfer = Some(transfer);
                continue;
            }
            *has = version;
        }
        true
    }

    /// What is under way.
    fn go_on(&mut self, writer: &mut Writer<'_>) {
        let Some(transfer) = &mut self.transfer else {
            return;
        };
        if !transfer.is_done() {
            writer.piece(transfer);
        }
        if !transfer.is_done() {
            return;
        }
        let (at, layer, version) = (transfer.chunk, transfer.layer, transfer.version);
        self.transfer = None;
        if let Some(held) = self.held.get_mut(&at) {
            held[usize::from(layer)] = version;
            // Something may have come behind it.
            if !self.changed.contains(&at) {
                self.changed.push_back(at);
            }
        }
    }

    /// The nearest chunks that the client lacks: their cells now, what else they have behind that.
    fn tell_new(&mut self, land: &Land, writer: &mut Writer<'_>, wanted: &mut Vec<Coords>) {
        let (mut new, mut unread) = (0, Vec::new());
        while new < MAX_NEW
            && self.transfer.is_none()
            && let Some(at) = self.lacks.pop()
        {
            let Some(chunk) = land.get(at) else {
                unread.push(at);
                if wanted.len() < MAX_WANTED {
                    wanted.push(at);
                    continue;
                }
                break;
            };
            let whole = chunk.whole(0);
            let mut has: SmallVec<[u32; 2]> =
                SmallVec::from_elem(0, usize::from(chunk.layers()) + 1);
            if writer.whole(at, 0, chunk.version(), &whole) {
                has[0] = chunk.version();
            } else {
                let mut transfer = Transfer::new(at, 0, chunk.version(), whole);
                writer.piece(&mut transfer);
                self.transfer = Some(transfer);
            }
            self.held.insert(at, has);
            if (1..=chunk.layers()).any(|layer| chunk.version_in(layer) > 0) {
                self.changed.push_back(at);
            }
            new += 1;
        }
        self.lacks.extend(unread.into_iter().rev());
    }
}

/// Puts the head in front of a section, or takes away one in which nothing stands.
fn close(mark: usize, out: &mut Vec<u8>) -> usize {
    let len = out.len() - mark;
    if len == 0 {
        return 0;
    }
    let head = 1 + varint_len(len as u32);
    out.push(SECTION);
    put_varint(out, len as u32);
    out[mark..].rotate_right(head);
    len + head
}
