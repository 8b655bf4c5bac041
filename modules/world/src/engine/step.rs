//! A tick: brings what changed into parcels, and writes down what each came to.

use std::collections::VecDeque;
use std::sync::Arc;

use super::delta;
use super::entities::{Audience, Entities, EntityId, GONE, MOVED, SHOWN_ANEW};
use super::parcel::{NOWHERE, Parcel, State};
use super::reckon;
use super::schema::{Channel, Layout};
use super::space::Place;
use super::view::{Head, View};
use super::world::Setup;

/// An empty parcel is kept for so many ticks: it tells where those that were in it have gone to.
const EMPTY_KEPT: u32 = 64;
/// But no more of them than this, or than there are entities.
const MANY_EMPTY: usize = 1024;

/// What goes on in a tick and between ticks, besides entities and the view.
#[derive(Debug, Default)]
pub(crate) struct Works {
    /// Parcels that changed in this tick.
    dirty: Vec<u32>,
    /// Leaves that may have too many.
    pub(crate) crowded: Vec<Place>,
    /// Cells whose children may have too few.
    pub(crate) sparse: Vec<Place>,
    /// Parcels that became empty: when, which, and its birth.
    empty: VecDeque<(u32, u32, u32)>,
    /// Numbers to be used again, and those that were freed in this tick: they may be used from the next on, so that a
    /// number and a birth are one parcel's.
    numbers: VecDeque<u32>,
    freed: Vec<u32>,
}

pub(crate) struct Step<'a> {
    pub(crate) tick: u32,
    pub(crate) layout: &'a Layout,
    pub(crate) setup: &'a Setup,
    pub(crate) view: &'a mut View,
    pub(crate) entities: &'a mut Entities,
    pub(crate) works: &'a mut Works,
    pub(crate) rolling: &'a mut Vec<u32>,
}

impl Step<'_> {
    pub(crate) fn run(mut self, queue: &mut Vec<u32>) {
        for index in queue.drain(..) {
            self.bring_in(index as usize);
        }
        self.roll();
        self.divide_and_unite();
        self.close_empty();
        self.write_down();
        let freed = std::mem::take(&mut self.works.freed);
        self.works.numbers.extend(freed);
    }

    /// Takes up what changed about an entity.
    fn bring_in(&mut self, index: usize) {
        let entity = self.entities.at_mut(index);
        let dirty = std::mem::take(&mut entity.dirty);
        if dirty & GONE == 0 && self.shown_as_before(index) && dirty & SHOWN_ANEW != 0 {
            // Only whether it's seen everywhere has changed: whoever sees it knows where it goes.
            return self.relocate(index);
        }
        let entity = self.entities.at(index);
        if dirty & (GONE | SHOWN_ANEW) != 0 {
            if entity.parcel != NOWHERE {
                self.leave(index, NOWHERE);
            }
            if dirty & GONE != 0 {
                self.entities.remove(index);
            } else if self.entities.at(index).audience != Audience::Nobody {
                let number = self.join(index);
                self.view.heads[number as usize].fresh = self.tick;
            }
            return;
        }
        if entity.parcel == NOWHERE {
            return;
        }
        let kept = self
            .view
            .place(entity.parcel)
            .is_some_and(|place| place.keeps(entity.q, self.layout));
        if !kept {
            let (q, from) = (entity.q, self.view.place(entity.parcel));
            self.relocate(index);
            // Who comes from afar comes from where many don't look.
            if !from.is_some_and(|from| from.is_next_to(q, self.layout)) {
                let number = self.entities.at(index).parcel;
                self.view.heads[number as usize].fresh = self.tick;
            }
            return;
        }
        self.bring_in_place(index, dirty);
    }

    /// Whether it's in a parcel of its audience.
    fn shown_as_before(&self, index: usize) -> bool {
        let entity = self.entities.at(index);
        let head = self.view.heads.get(entity.parcel as usize);
        head.is_some_and(|head| head.birth != 0 && head.audience == entity.audience)
    }

    pub(crate) fn relocate(&mut self, index: usize) {
        let entity = self.entities.at(index);
        let (from, slot) = (entity.parcel, usize::from(entity.slot));
        let to = self.join(index);
        self.note_source(index, from, slot);
        self.vacate(from, slot, to);
    }

    /// Notes with whom has just come into a parcel where it came from.
    fn note_source(&mut self, index: usize, from: u32, old: usize) {
        let entity = self.entities.at(index);
        let (to, slot) = (entity.parcel as usize, usize::from(entity.slot));
        let channels = &self.layout.kinds[usize::from(entity.kind)].channels;
        let both = self.view.parcels.get_disjoint_mut([from as usize, to]);
        if let Ok([Some(source), Some(parcel)]) = both {
            Arc::make_mut(parcel).comes_from(slot, source, old, channels);
        }
    }

    /// Takes up changes of an entity that stays in its parcel.
    fn bring_in_place(&mut self, index: usize, dirty: u64) {
        let entity = self.entities.at(index);
        let kind = &self.layout.kinds[usize::from(entity.kind)];
        let mut channels = dirty & !MOVED;
        let mut moved = dirty & MOVED != 0 && entity.q != entity.sent;
        if let Some(error) = kind.error {
            moved = reckon::is_off(entity, kind, error, self.tick, self.layout);
            channels = channels & !1 | u64::from(moved && entity.values[0] != entity.sent_velocity);
        }
        if !moved && channels == 0 {
            return;
        }
        let (number, slot) = (entity.parcel, usize::from(entity.slot));
        self.touch(number);
        let entity = self.entities.at_mut(index);
        let Some(parcel) = self.view.parcels[number as usize]
            .as_mut()
            .map(Arc::make_mut)
        else {
            return;
        };
        if moved {
            parcel.set_position(slot, entity.q, self.tick);
            entity.sent = entity.q;
            entity.sent_at = self.tick;
        }
        for channel in delta::bits_of(channels) {
            if let Channel::Text { index, .. } = kind.channels[channel] {
                let index = usize::from(index);
                parcel.set_text(slot, channel, index, &entity.texts[index], self.tick);
            } else {
                parcel.set_value(slot, channel, entity.values[channel], self.tick);
            }
        }
        if kind.has_velocity {
            entity.sent_velocity = if kind.error.is_none() || moved {
                entity.values[0]
            } else {
                entity.sent_velocity
            };
            self.start_rolling(index);
        }
    }

    fn start_rolling(&mut self, index: usize) {
        let entity = self.entities.at_mut(index);
        let kind = &self.layout.kinds[usize::from(entity.kind)];
        if !entity.rolling && reckon::rolls(kind, entity.sent_velocity) {
            entity.rolling = true;
            self.rolling.push(index as u32);
        }
    }

    /// Looks at all that clients move on by themselves.
    fn roll(&mut self) {
        let mut rolling = std::mem::take(self.rolling);
        rolling.retain(|&index| {
            let index = index as usize;
            let entity = self.entities.at_mut(index);
            if entity.parcel != NOWHERE && entity.sent_at != self.tick {
                self.bring_in_place(index, 0);
            }
            let entity = self.entities.at_mut(index);
            let kind = &self.layout.kinds[usize::from(entity.kind)];
            entity.rolling = entity.parcel != NOWHERE && reckon::rolls(kind, entity.sent_velocity);
            entity.rolling
        });
        // What started meanwhile.
        rolling.append(self.rolling);
        *self.rolling = rolling;
    }

    /// Marks a parcel as changed in this tick.
    pub(crate) fn touch(&mut self, number: u32) {
        let Some(parcel) = &mut self.view.parcels[number as usize] else {
            return;
        };
        if parcel.version != self.tick && Arc::make_mut(parcel).touch(self.tick) {
            self.works.dirty.push(number);
        }
    }

    /// Puts an entity into a parcel of where it is.
    pub(crate) fn join(&mut self, index: usize) -> u32 {
        let entity = self.entities.at(index);
        let (kind, audience) = (entity.kind, entity.audience);
        let most = self.layout.kinds[usize::from(kind)].slots;
        let place = if entity.always {
            Place::EVERYWHERE
        } else {
            self.view.grid.leaf(entity.q)
        };
        let list = if entity.always {
            &self.view.everywhere[..]
        } else {
            self.view.grid.parcels(place)
        };
        let (mut of_kind, mut found) = (1, None);
        for &number in list {
            let head = &self.view.heads[number as usize];
            if head.kind == kind {
                of_kind += usize::from(head.count);
                if head.audience == audience && found.is_none() && self.has_room(number, most) {
                    found = Some(number);
                }
            }
        }
        if of_kind > self.setup.split && !place.is_everywhere() {
            self.works.crowded.push(place);
        }
        let number = found.unwrap_or_else(|| self.create(kind, audience, place));
        self.occupy(index, number, most);
        number
    }

    fn has_room(&self, number: u32, most: usize) -> bool {
        let parcel = self.view.parcels[number as usize].as_ref();
        parcel.is_some_and(|parcel| parcel.vacancy(self.tick, most).is_some())
    }

    fn occupy(&mut self, index: usize, number: u32, most: usize) {
        self.touch(number);
        let id = self.entities.id(index).0;
        let entity = self.entities.at_mut(index);
        let parcel = self.view.parcels[number as usize]
            .as_mut()
            .map(Arc::make_mut);
        // There is one of this number, with a vacancy: it was just found or made.
        let Some((parcel, slot)) = parcel.and_then(|parcel| {
            let slot = parcel.vacancy(self.tick, most)?;
            Some((parcel, slot))
        }) else {
            return;
        };
        let state = State {
            id,
            q: entity.q,
            values: &entity.values,
            texts: &entity.texts,
        };
        parcel.occupy(slot, &state, self.tick);
        self.view.heads[number as usize].count += 1;
        entity.parcel = number;
        entity.slot = slot as u8;
        entity.sent = entity.q;
        entity.sent_at = self.tick;
        if self.layout.kinds[usize::from(entity.kind)].has_velocity {
            entity.sent_velocity = entity.values[0];
            self.start_rolling(index);
        }
    }

    fn leave(&mut self, index: usize, to: u32) {
        let entity = self.entities.at_mut(index);
        let (from, slot) = (entity.parcel, usize::from(entity.slot));
        entity.parcel = NOWHERE;
        self.vacate(from, slot, to);
    }

    fn vacate(&mut self, number: u32, slot: usize, to: u32) {
        self.touch(number);
        let Some(parcel) = self.view.parcels[number as usize]
            .as_mut()
            .map(Arc::make_mut)
        else {
            return;
        };
        parcel.vacate(slot, to, self.tick);
        let head = &mut self.view.heads[number as usize];
        head.count -= 1;
        if head.count == 0 {
            self.works.empty.push_back((self.tick, number, head.birth));
        }
        if usize::from(head.count) <= self.setup.join {
            self.works.sparse.extend(parcel.place.parent());
        }
    }

    fn create(&mut self, kind: u8, audience: Audience, place: Place) -> u32 {
        let view = &mut *self.view;
        let number = self
            .works
            .numbers
            .pop_front()
            .unwrap_or(view.heads.len() as u32);
        let head = Head {
            birth: self.tick,
            version: self.tick,
            audience,
            kind,
            fresh: self.tick,
            ..Head::NONE
        };
        let parcel = Some(Arc::new(Parcel::new(number, self.tick, kind, place)));
        if number as usize == view.heads.len() {
            view.heads.push(head);
            view.parcels.push(parcel);
        } else {
            view.heads[number as usize] = head;
            view.parcels[number as usize] = parcel;
        }
        if place.is_everywhere() {
            view.everywhere.push(number);
        } else if let Some(list) = view.grid.parcels_mut(place) {
            list.push(number);
        }
        view.born.push((self.tick, number));
        self.works.dirty.push(number);
        number
    }

    /// Closes a parcel that no leaf has any more, and gives the entities that are to leave it.
    pub(crate) fn close(&mut self, number: u32, entities: &mut Vec<usize>) {
        let head = &mut self.view.heads[number as usize];
        head.closed = true;
        if head.count == 0 {
            self.works.empty.push_back((self.tick, number, head.birth));
        }
        if let Some(parcel) = &self.view.parcels[number as usize] {
            let slots = delta::bits_of(parcel.occupied);
            entities.extend(slots.map(|slot| EntityId(parcel.slots[slot].id).index()));
        }
    }

    fn close_empty(&mut self) {
        let most = MANY_EMPTY.max(self.entities.alive);
        while let Some(&(since, number, birth)) = self.works.empty.front() {
            let many = self.works.empty.len() > most;
            if since + EMPTY_KEPT > self.tick && !many {
                return;
            }
            self.works.empty.pop_front();
            let head = self.view.heads[number as usize];
            let parcel = self.view.parcels[number as usize].as_ref();
            let Some(place) = parcel
                .filter(|parcel| head.birth == birth && parcel.count() == 0)
                // It may have been taken and left again since; then it's noted once more.
                .filter(|parcel| many || parcel.version + EMPTY_KEPT <= self.tick)
                .map(|parcel| parcel.place)
            else {
                continue;
            };
            if head.closed {
                // No leaf has it.
            } else if place.is_everywhere() {
                self.view.everywhere.retain(|other| *other != number);
            } else if let Some(list) = self.view.grid.parcels_mut(place) {
                list.retain(|other| *other != number);
                self.view.grid.tidy(place);
            }
            self.view.parcels[number as usize] = None;
            self.view.heads[number as usize].birth = 0;
            self.works.freed.push(number);
        }
    }

    /// Writes the recent deltas of all parcels that changed.
    fn write_down(&mut self) {
        for number in self.works.dirty.drain(..) {
            let Some(parcel) = &self.view.parcels[number as usize] else {
                continue;
            };
            let head = &mut self.view.heads[number as usize];
            (head.version, head.prev) = (parcel.version, parcel.prev);
            self.view.write_down(number);
        }
    }
}
