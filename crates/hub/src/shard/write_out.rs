//! How the transport gets at what is to be written: which sessions have something, and their outboxes.

use std::cell::RefMut;
use std::task::Waker;

use lakh_wire::engine::Version;

use super::{SessionKey, Shard, State};
use crate::outbox::Outbox;

/// The outboxes of a shard, for writing many of them out in one go. Nothing else of the shard can be used meanwhile.
pub struct Outboxes<'a>(RefMut<'a, State>);

impl Shard {
    /// Asks to be woken when a session turns dirty. `false`: there are some already.
    pub fn register_flusher(&self, waker: &Waker) -> bool {
        let mut state = self.state.borrow_mut();
        let idle = state.dirty.is_empty();
        if idle {
            state.flusher = Some(waker.clone());
        }
        idle
    }

    /// Whether outboxes should be written out before anything more is read: publishers are faster than a turn of the
    /// loop, and those who read well would pass for slow readers.
    #[must_use]
    pub fn is_pressed(&self) -> bool {
        self.pressed.get()
    }

    /// Moves the sessions that turned dirty first, `most` of them, into `into`. The caller looks after the outbox of
    /// each. `true`: there are more.
    pub fn take_dirty(&self, into: &mut Vec<SessionKey>, most: usize) -> bool {
        let mut state = self.state.borrow_mut();
        let State {
            dirty, sessions, ..
        } = &mut *state;
        let count = most.min(dirty.len());
        for key in &dirty[..count] {
            if let Some(entry) = sessions.get_mut(key.slot as usize) {
                entry.dirty = false;
            }
        }
        into.extend(dirty.drain(..count));
        if dirty.is_empty() {
            self.pressed.set(false);
        }
        !dirty.is_empty()
    }

    /// Takes up what was [put off](Outboxes::put_off).
    pub fn take_up(&self, put_off: &mut Vec<SessionKey>) {
        self.state.borrow_mut().dirty.append(put_off);
    }

    /// All outboxes, for as long as the guard lives.
    #[must_use]
    pub fn outboxes(&self) -> Outboxes<'_> {
        Outboxes(self.state.borrow_mut())
    }

    /// Looks into the outbox of one session, for writing it out.
    pub fn with_outbox<R>(
        &self,
        key: SessionKey,
        work: impl FnOnce(&mut Outbox, Version) -> R,
    ) -> Option<R> {
        let mut outboxes = self.outboxes();
        let (outbox, version) = outboxes.get(key)?;
        let result = work(outbox, version);
        outboxes.give_back(key);
        Some(result)
    }
}

impl Outboxes<'_> {
    /// The outbox of a session that was not released yet.
    pub fn get(&mut self, key: SessionKey) -> Option<(&mut Outbox, Version)> {
        let entry = self.0.session(key)?;
        Some((&mut entry.outbox, entry.engine.version()))
    }

    /// Leaves this one dirty: whoever took it brings it back with [`Shard::take_up`], and it's not taken before.
    pub fn put_off(&mut self, key: SessionKey) {
        if let Some(entry) = self.0.session(key) {
            entry.dirty = true;
        }
    }

    /// Done with this one for now: if it's empty, its queue may serve another.
    pub fn give_back(&mut self, key: SessionKey) {
        let State { sessions, pool, .. } = &mut *self.0;
        if let Some(entry) = sessions.get_mut(key.slot as usize) {
            entry.outbox.give_back(pool);
        }
    }
}
