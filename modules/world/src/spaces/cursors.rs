//! Live cursors. Of each member only the newest place is kept, and those who moved since the last batch are told of in one
//! event, encoded once for all. Batches are volatile: nobody has a queue of them. A cursor that comes to rest is told once
//! more, since what was told last may have been dropped; and all are told again when somebody comes in. In crowds
//! batches come less often, by how many places a member is told a second.

use std::collections::HashMap;
use std::sync::Arc;

use lakh_hub::presence::Ms;
use lakh_hub::{Failure, Socket};
use serde::Serialize;
use serde_json::value::RawValue;

use super::due::Item;
use super::{Spaces, hub_room};

/// When a cursor that rests is told again.
const SETTLED_MS: Ms = 500;

/// The cursors of this node's members, by space.
pub(super) type Boards = HashMap<Arc<str>, Board>;

#[derive(Default)]
pub(super) struct Board {
    cursors: HashMap<Arc<str>, Cursor>,
    /// Who has moved since the last batch. Each once.
    moved: Vec<Arc<str>>,
    /// No batch before this time.
    next: Ms,
    /// Somebody looks after it at this time.
    planned: Option<Ms>,
}

struct Cursor {
    at: At,
    told: bool,
    /// When it's told once more; `None`: it was.
    settles: Option<Ms>,
}

/// Where somebody points.
#[derive(Clone, Debug, Serialize)]
pub(super) struct At {
    pub x: f64,
    pub y: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct Place<'a> {
    session: &'a str,
    #[serde(flatten)]
    at: &'a At,
}

#[derive(Serialize)]
struct Batch<'a> {
    space: &'a str,
    cursors: Vec<Place<'a>>,
}

impl Board {
    fn mark(&mut self, session: &Arc<str>, settles: Option<Ms>) {
        if let Some(cursor) = self.cursors.get_mut(session) {
            cursor.settles = settles;
            if std::mem::replace(&mut cursor.told, false) {
                self.moved.push(Arc::clone(session));
            }
        }
    }

    fn moves(&mut self, session: &Arc<str>, at: At, now: Ms) {
        match self.cursors.get_mut(session) {
            Some(cursor) => cursor.at = at,
            None => {
                let cursor = Cursor {
                    at,
                    told: true,
                    settles: None,
                };
                self.cursors.insert(Arc::clone(session), cursor);
            }
        }
        self.mark(session, Some(now + SETTLED_MS));
    }

    /// When it's to be looked after next.
    fn next(&self, now: Ms) -> Option<Ms> {
        if !self.moved.is_empty() {
            return Some(self.next.max(now));
        }
        let settles = self.cursors.values().filter_map(|cursor| cursor.settles);
        settles.min().map(|at| at.max(self.next))
    }

    /// What is told now.
    fn batch<'a>(
        &'a mut self,
        space: &'a str,
        now: Ms,
        (tick, places): (Ms, u32),
    ) -> Option<Batch<'a>> {
        if self.next > now {
            return None;
        }
        let settled = self
            .cursors
            .iter()
            .filter(|(_, cursor)| cursor.told && cursor.settles.is_some_and(|at| at <= now));
        let settled: Vec<_> = settled.map(|(session, _)| Arc::clone(session)).collect();
        for session in &settled {
            self.mark(session, None);
        }
        let moved = std::mem::take(&mut self.moved);
        for session in &moved {
            if let Some(cursor) = self.cursors.get_mut(session) {
                cursor.told = true;
            }
        }
        let cursors = moved.iter().filter_map(|session| {
            let (session, cursor) = self.cursors.get_key_value(session)?;
            Some(Place {
                session,
                at: &cursor.at,
            })
        });
        let cursors: Vec<_> = cursors.collect();
        if cursors.is_empty() {
            return None;
        }
        let share = cursors.len() as u64 * 1_000 / u64::from(places.max(1));
        self.next = now + share.max(tick);
        Some(Batch { space, cursors })
    }
}

/// Marks the allowance of moves.
pub(super) struct Moves;

impl Spaces {
    /// A member points somewhere.
    pub(super) fn point(&self, socket: &Socket, space: &str, at: At) -> Result<(), Failure> {
        let session = self.session(socket, space)?;
        let now = self.clock_ms();
        let next = {
            let mut boards = self.0.cursors.lock();
            if !boards.contains_key(space) {
                boards.insert(space.into(), Board::default());
            }
            boards.get_mut(space).and_then(|board| {
                board.moves(&session, at, now);
                plan(board, now)
            })
        };
        self.look_at_cursors(space, next);
        Ok(())
    }

    fn look_at_cursors(&self, space: &str, at: Option<Ms>) {
        if let Some(at) = at {
            self.later(at, Item::Cursors(space.into()));
        }
    }

    /// Somebody came who has seen no cursor yet.
    pub(super) fn show_cursors(&self, space: &str) {
        let now = self.clock_ms();
        let next = self.0.cursors.lock().get_mut(space).and_then(|board| {
            let all: Vec<_> = board.cursors.keys().cloned().collect();
            for session in &all {
                // Again a little later: whoever came may have come into the room behind the first batch.
                board.mark(session, Some(now + SETTLED_MS));
            }
            plan(board, now)
        });
        self.look_at_cursors(space, next);
    }

    /// Whoever has it is gone.
    pub(super) fn forget_cursor(&self, space: &str, session: &str) {
        let mut boards = self.0.cursors.lock();
        let Some(board) = boards.get_mut(space) else {
            return;
        };
        if board.cursors.remove(session).is_some() {
            board.moved.retain(|other| **other != *session);
        }
        if board.cursors.is_empty() {
            boards.remove(space);
        }
    }

    /// Tells a batch, if it's time for one.
    pub(super) fn tell_cursors(&self, space: &str, now: Ms) {
        let pace = (
            self.0.config.cursor_ms,
            self.0.config.cursor_places_per_second,
        );
        let (batch, next) = {
            let mut boards = self.0.cursors.lock();
            let Some(board) = boards.get_mut(space) else {
                return;
            };
            board.planned = None;
            let batch = board.batch(space, now, pace);
            let batch =
                batch.and_then(|batch| serde_json::to_string(&("space:cursors", batch)).ok());
            (batch, plan(board, now))
        };
        self.look_at_cursors(space, next);
        let Some(batch) = batch else { return };
        let to = self
            .0
            .namespace
            .to(hub_room(space))
            .volatile()
            .compress(false);
        let payload = lakh_hub::Payload::from_raw(batch, Vec::new());
        if let Err(error) = to.emit_raw(payload) {
            tracing::debug!(%error, "a batch of cursors was dropped");
        }
    }
}

/// When somebody has to look after a board, if nobody does so early.
fn plan(board: &mut Board, now: Ms) -> Option<Ms> {
    let next = board.next(now)?;
    if board.planned.is_some_and(|planned| planned <= next) {
        return None;
    }
    board.planned = Some(next);
    Some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(x: f64) -> At {
        At {
            x,
            y: 0.5,
            data: None,
        }
    }

    fn told(board: &mut Board, now: Ms) -> Vec<(String, f64)> {
        let batch = board.batch("s", now, (25, 4_000));
        let cursors = batch.into_iter().flat_map(|batch| batch.cursors);
        cursors
            .map(|place| (place.session.to_owned(), place.at.x))
            .collect()
    }

    #[test]
    fn a_batch_has_the_newest_place_of_whoever_moved() {
        let (mut board, [ada, ben]) = (Board::default(), ["ada", "ben"].map(Arc::from));
        for x in 0..10 {
            board.moves(&ada, at(x.into()), 0);
        }
        board.moves(&ben, at(1.5), 0);
        assert_eq!(
            told(&mut board, 0),
            [("ada".to_owned(), 9.0), ("ben".to_owned(), 1.5)]
        );
        board.moves(&ben, at(2.5), 10);
        assert_eq!(plan(&mut board, 10), Some(25));
        assert_eq!(plan(&mut board, 12), None, "it's planned");
        assert_eq!(told(&mut board, 24), [], "no two batches within a tick");
        assert_eq!(told(&mut board, 25), [("ben".to_owned(), 2.5)]);
    }

    #[test]
    fn a_cursor_that_rests_is_told_once_more() {
        let (mut board, ada) = (Board::default(), Arc::from("ada"));
        board.moves(&ada, at(1.0), 0);
        assert_eq!(told(&mut board, 0).len(), 1);
        assert_eq!(board.next(30), Some(SETTLED_MS));
        assert_eq!(told(&mut board, SETTLED_MS), [("ada".to_owned(), 1.0)]);
        assert_eq!(board.next(SETTLED_MS + 30), None, "there is nothing to do");
    }

    #[test]
    fn in_crowds_batches_come_less_often() {
        let (mut board, mut batches) = (Board::default(), 0);
        let all: Vec<Arc<str>> = (0..400).map(|n| n.to_string().into()).collect();
        for now in (0..10_000).step_by(25) {
            for session in &all {
                board.moves(session, at(now as f64), now);
            }
            batches += usize::from(!told(&mut board, now).is_empty());
        }
        // 400 places a batch, 4,000 a second: one every 100 ms.
        assert!((95..=105).contains(&batches), "{batches}");
    }
}
