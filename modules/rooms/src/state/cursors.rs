//! Live cursors: where people point, told in batches.
//!
//! Of each socket only the newest place is kept, and what has moved since the last batch goes out with the next: one event,
//! encoded once for all members. Batches are volatile, so nobody has a queue of them. A cursor that comes to rest is told
//! once more, and again every few seconds for as long as it is there: so whoever missed a batch sees it where it is, and
//! clients may forget those that are told no more, because their node is gone. In crowds batches come less often, by how
//! many positions a member is told in a second.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use lakh_hub::{Failure, Namespace, Payload, Person, Socket};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::requests::{InRoom, on};
use super::{Follow, Refusal, States, deliver};

/// When a cursor that rests is told again.
const SETTLED_MS: u64 = 500;
/// And how often after that. Clients may forget one that they heard nothing of for three times as long.
const AGAIN_MS: u64 = 10_000;
/// Wait for other nodes to say where their cursors are.
const PATIENCE: Duration = Duration::from_secs(1);
/// The event by which nodes ask each other that.
const ASK: &str = "rooms:cursors";

#[derive(Default)]
pub(super) struct Cursors(Mutex<Table>);

#[derive(Default)]
struct Table {
    rooms: HashMap<Arc<str>, Board>,
    ticking: bool,
}

/// The cursors of a room, those of this node.
#[derive(Default)]
struct Board {
    cursors: HashMap<Arc<str>, Cursor>,
    /// Who has moved since the last batch. Each stands here once.
    moved: Vec<Arc<str>>,
    /// Who has gone since then.
    gone: Vec<Arc<str>>,
    /// No batch before this time.
    next_ms: u64,
    /// When cursors at rest are looked at.
    rest_ms: u64,
}

struct Cursor {
    at: At,
    /// It stands among those that have moved.
    told: bool,
    /// When it's told again, though it hasn't moved.
    again_ms: u64,
}

#[derive(Clone)]
struct At {
    x: f64,
    y: f64,
    data: Option<Box<RawValue>>,
    user: Option<Arc<Person>>,
}

#[derive(Deserialize)]
struct Move {
    room: String,
    x: f64,
    y: f64,
    data: Option<Box<RawValue>>,
}

/// `[id, x, y]`, with `data` behind if there are any.
struct Place<'a>(&'a str, &'a At);

impl Serialize for Place<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(id, At { x, y, data, .. }) = self;
        match data {
            Some(data) => (id, Number(*x), Number(*y), data).serialize(serializer),
            None => (id, Number(*x), Number(*y)).serialize(serializer),
        }
    }
}

/// A number without the `.0` of a whole one: there are two for each cursor, in each batch.
struct Number(f64);

impl Serialize for Number {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// Below it every whole number has a place of its own.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if self.0.fract() == 0.0 && self.0.abs() < EXACT {
            return serializer.serialize_i64(self.0 as i64);
        }
        serializer.serialize_f64(self.0)
    }
}

#[derive(Serialize)]
struct Batch<'a> {
    room: &'a str,
    moved: Vec<Place<'a>>,
}

#[derive(Serialize)]
struct Gone<'a> {
    room: &'a str,
    ids: &'a [Arc<str>],
}

/// A cursor as it's told at joining, and among nodes.
#[derive(Serialize, Deserialize)]
struct Shown {
    id: Arc<str>,
    x: f64,
    y: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<Person>,
}

#[derive(Serialize)]
struct Joined {
    cursors: Vec<Shown>,
}

/// Marks the allowance of moves.
struct Moves;

pub(super) fn install(namespace: &Namespace, states: &States) {
    on(
        namespace,
        "cursor:join",
        states,
        async |states, socket, request: InRoom| states.watch_cursors(&socket, &request.room).await,
    );
    on(
        namespace,
        "cursor:leave",
        states,
        async |_, socket, request: InRoom| {
            crate::names::room(&request.room)?;
            socket.leave(Follow::Cursors.hub_room(&request.room));
            Ok(())
        },
    );
    on(
        namespace,
        "cursor:move",
        states,
        async |states, socket, request: Move| Ok(states.move_cursor(&socket, request)?),
    );
    let module = states.clone();
    namespace.on_server_event(ASK, async move |event| {
        if let Ok(room) = event.args::<String>() {
            // Whoever asked can do without.
            let _ = event.answer(&module.0.cursors.shown(&room));
        }
    });
}

impl States {
    async fn watch_cursors(&self, socket: &Socket, room: &str) -> Result<Joined, Refusal> {
        crate::names::room(room)?;
        self.may(socket, room, "cursor")?;
        if !socket.join(Follow::Cursors.hub_room(room)) {
            let message = "this socket is in as many rooms as it may; leave one first";
            return Err(Failure::new("too_large", message).into());
        }
        let namespace = socket.namespace();
        let mut cursors = Vec::new();
        if namespace.hub().cluster_state().is_some() {
            let asked = namespace.server_side_emit_with_ack::<Vec<Shown>>(ASK, room, PATIENCE);
            if let Ok(answers) = asked.await {
                cursors.extend(answers.answers.into_iter().flatten());
            }
        }
        // Behind the waiting: whatever moves from here on is in a batch.
        cursors.extend(self.0.cursors.shown(room));
        Ok(Joined { cursors })
    }

    fn move_cursor(&self, socket: &Socket, request: Move) -> Result<(), Failure> {
        let Move { room, x, y, data } = request;
        let options = self.options(&room);
        if !socket.is_in(&Follow::Cursors.hub_room(&room)) {
            return Err(Failure::new(
                "not_member",
                "send cursor:join before you move a cursor",
            ));
        }
        self.may(socket, &room, "cursor")?;
        socket.pace::<Moves>(options.cursor_moves_per_second)?;
        let bytes = data.as_ref().map_or(0, |data| data.get().len());
        if bytes > options.max_cursor_bytes {
            let most = options.max_cursor_bytes;
            return Err(Failure::new(
                "too_large",
                format!("the data has {bytes} bytes; {most} are allowed"),
            ));
        }
        let at = At {
            x,
            y,
            data,
            user: socket.get::<Person>(),
        };
        let namespace = socket.namespace();
        let now_ms = namespace.hub().clock_ms();
        let start = self.0.cursors.moved(&room, socket.id(), at, now_ms);
        if start {
            let ticking = Ticking(self.clone());
            tokio::spawn(tick(ticking, namespace));
        }
        Ok(())
    }
}

impl Cursors {
    /// A cursor has moved. `true`: somebody has to start the ticks.
    fn moved(&self, room: &str, id: &str, at: At, now_ms: u64) -> bool {
        let mut table = self.0.lock();
        if !table.rooms.contains_key(room) {
            table.rooms.insert(room.into(), Board::default());
        }
        if let Some(board) = table.rooms.get_mut(room) {
            board.moved(id, at, now_ms + SETTLED_MS);
        }
        !std::mem::replace(&mut table.ticking, true)
    }

    /// Whoever has it is gone, or wants no cursor any more.
    pub(super) fn gone(&self, room: &str, id: &str) {
        let mut table = self.0.lock();
        let Some(board) = table.rooms.get_mut(room) else {
            return;
        };
        if let Some((id, _)) = board.cursors.remove_entry(id) {
            // The ticks go on as long as there are rooms.
            board.moved.retain(|other| *other != id);
            board.gone.push(id);
        }
    }

    fn shown(&self, room: &str) -> Vec<Shown> {
        let table = self.0.lock();
        let cursors = table
            .rooms
            .get(room)
            .into_iter()
            .flat_map(|board| &board.cursors);
        let shown = cursors.map(|(id, Cursor { at, .. })| Shown {
            id: Arc::clone(id),
            x: at.x,
            y: at.y,
            data: at
                .data
                .as_ref()
                .and_then(|data| serde_json::from_str(data.get()).ok()),
            user: at.user.as_deref().cloned(),
        });
        shown.collect()
    }
}

impl Board {
    fn moved(&mut self, id: &str, at: At, again_ms: u64) {
        let mut moved = Cursor {
            at,
            told: true,
            again_ms,
        };
        let key = match self.cursors.get_key_value(id) {
            Some((key, _)) => Arc::clone(key),
            None => {
                // It may have been here before, in this very tick.
                self.gone.retain(|gone| **gone != *id);
                id.into()
            }
        };
        if let Some(cursor) = self.cursors.get_mut(&key) {
            std::mem::swap(cursor, &mut moved);
            if moved.told {
                return;
            }
        } else {
            self.cursors.insert(Arc::clone(&key), moved);
        }
        self.moved.push(key);
    }

    /// What is to be told now.
    fn batch(&mut self, room: &str, now_ms: u64, positions: u32, tick_ms: u64) -> Told {
        let mut told = Told::default();
        if !self.gone.is_empty() {
            told.gone = Some(deliver::event(
                "cursor:left",
                &Gone {
                    room,
                    ids: &self.gone,
                },
            ));
            self.gone.clear();
        }
        if self.next_ms > now_ms {
            return told;
        }
        self.rest(now_ms);
        let mut ids = std::mem::take(&mut self.moved);
        if ids.is_empty() {
            self.moved = ids;
            return told;
        }
        let mut moved = Vec::with_capacity(ids.len());
        for id in &ids {
            if let Some(cursor) = self.cursors.get_mut(id) {
                cursor.told = false;
            }
        }
        for id in &ids {
            if let Some(cursor) = self.cursors.get(id) {
                moved.push(Place(id, &cursor.at));
            }
        }
        let share_ms = moved.len() as u64 * 1_000 / u64::from(positions.max(1));
        // A tick comes a little early or late: half of one is no reason to wait for the next.
        self.next_ms = now_ms + share_ms.max(tick_ms).saturating_sub(tick_ms / 2);
        told.moved = Some(deliver::event("cursor:moved", &Batch { room, moved }));
        ids.clear();
        self.moved = ids;
        told
    }

    /// Cursors at rest are told again when their time has come.
    fn rest(&mut self, now_ms: u64) {
        if self.rest_ms > now_ms {
            return;
        }
        self.rest_ms = now_ms + SETTLED_MS / 2;
        for (id, cursor) in &mut self.cursors {
            if cursor.again_ms <= now_ms && !std::mem::replace(&mut cursor.told, true) {
                cursor.again_ms = now_ms + AGAIN_MS;
                self.moved.push(Arc::clone(id));
            }
        }
    }
}

#[derive(Default)]
struct Told {
    moved: Option<Payload>,
    gone: Option<Payload>,
}

/// Lets the ticks be started again when they are cut off: their loop has ended.
struct Ticking(States);

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.0.cursors.0.lock().ticking = false;
    }
}

async fn tick(ticking: Ticking, namespace: Namespace) {
    let states = &ticking.0;
    let tick_ms = states.setup().cursor_tick_ms.max(1);
    let mut ticks = tokio::time::interval(Duration::from_millis(tick_ms));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut told = Vec::new();
    loop {
        ticks.tick().await;
        let now_ms = namespace.hub().clock_ms();
        {
            let mut table = states.0.cursors.0.lock();
            for (room, board) in &mut table.rooms {
                let positions = states.options(room).cursor_positions_per_second;
                told.push((
                    Arc::clone(room),
                    board.batch(room, now_ms, positions, tick_ms),
                ));
            }
            table
                .rooms
                .retain(|_, board| !board.cursors.is_empty() || !board.gone.is_empty());
            if table.rooms.is_empty() && told.is_empty() {
                // Under the lock: who moves next starts them again.
                return;
            }
        }
        for (room, told) in told.drain(..) {
            tell(&namespace, &room, told);
        }
    }
}

fn tell(namespace: &Namespace, room: &str, told: Told) {
    let to = || namespace.to(Follow::Cursors.hub_room(room));
    if let Some(moved) = told.moved
        && let Err(error) = to().volatile().compress(false).emit_raw(moved)
    {
        tracing::debug!(%error, "a batch of cursors was dropped");
    }
    if let Some(gone) = told.gone
        && let Err(error) = to().emit_raw(gone)
    {
        tracing::warn!(%error, "cursors that have gone were not told; clients forget them after a while");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(x: f64) -> At {
        At {
            x,
            y: 0.5,
            data: None,
            user: None,
        }
    }

    fn text(payload: Option<Payload>) -> Option<String> {
        payload.map(|payload| payload.text().to_owned())
    }

    #[test]
    fn a_batch_has_the_newest_place_of_whoever_moved_and_nothing_else() {
        let mut board = Board::default();
        for x in 0..10 {
            board.moved("a", at(x.into()), 500);
        }
        board.moved("b", at(1.25), 500);
        let told = board.batch("r", 0, 2_000, 50);
        let batch = r#"["cursor:moved",{"room":"r","moved":[["a",9,0.5],["b",1.25,0.5]]}]"#;
        assert_eq!(text(told.moved).as_deref(), Some(batch));
        assert!(
            board.batch("r", 100, 2_000, 50).moved.is_none(),
            "nobody moved"
        );
    }

    #[test]
    fn in_crowds_batches_come_less_often() {
        let mut board = Board::default();
        let mut batches = 0;
        for now in (0..10_000).step_by(50) {
            for n in 0..400 {
                board.moved(&n.to_string(), at(now as f64), now + 500);
            }
            batches += u32::from(board.batch("r", now, 2_000, 50).moved.is_some());
        }
        // 400 places a batch, 2,000 a second: one every 200 ms.
        assert!((48..=58).contains(&batches), "{batches}");
    }

    #[test]
    fn a_cursor_at_rest_is_told_again_and_one_that_has_gone_is_not() {
        let mut board = Board::default();
        board.moved("a", at(1.0), 500);
        assert!(board.batch("r", 0, 2_000, 50).moved.is_some());
        let mut told = Vec::new();
        for now in (50..21_000).step_by(50) {
            if board.batch("r", now, 2_000, 50).moved.is_some() {
                told.push(now);
            }
        }
        assert_eq!(told.len(), 3, "{told:?}");
        assert!((500..=800).contains(&told[0]), "{told:?}");
    }
}
