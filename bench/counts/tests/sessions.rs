//! What a session at rest keeps in the hub: bytes and allocations. They may only fall, and all of them are given back.
//!
//! Each wave of sessions comes, enters a namespace and two rooms, joins further rooms, and goes. The first finds an
//! empty shard, so its figures hold the growth of the shard's tables; those of a later one are what is kept besides.

#![allow(clippy::unwrap_used)] // A panic is how a test fails.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use lakh_counts::counting::{Counting, Counts, of_this_thread};
use lakh_counts::house::{ALL_IS_OVER_MS, House, client_frame};
use lakh_counts::ratchet::{Figures, Tolerance, hold};
use lakh_hub::{LogLimits, Socket};

#[global_allocator]
static COUNTING: Counting = Counting;

const SESSIONS: usize = 10_000;
/// Members of each room.
const MEMBERS: usize = 100;

struct Waves {
    house: House,
    sockets: Arc<Mutex<Vec<Socket>>>,
    connect: Vec<u8>,
}

/// What the steps of a wave have added.
struct Wave {
    session: Counts,
    further_room: Counts,
    room_of_one: Counts,
}

impl Waves {
    fn new(recoverable: bool) -> Self {
        let house = House::default();
        let namespace = house.hub.of("/");
        if recoverable {
            namespace.recoverable(LogLimits::default());
        }
        let sockets = Arc::new(Mutex::new(Vec::with_capacity(SESSIONS + 1)));
        let (list, count) = (Arc::clone(&sockets), AtomicUsize::new(0));
        namespace.on_connect(async move |socket| {
            let n = count.fetch_add(1, Ordering::Relaxed) % SESSIONS;
            socket.join(format!("a{}", n / MEMBERS));
            socket.join(format!("b{}", n % (SESSIONS / MEMBERS)));
            list.lock().unwrap().push(socket);
        });
        Self {
            house,
            sockets,
            connect: client_frame("40"),
        }
    }

    fn join_all(&self, room_of: impl Fn(usize) -> String) -> Counts {
        let before = of_this_thread();
        for (n, socket) in self.sockets.lock().unwrap().iter().enumerate() {
            assert!(socket.join(room_of(n)));
        }
        of_this_thread() - before
    }

    fn run(&mut self) -> Wave {
        let mut keys = Vec::with_capacity(SESSIONS);
        let before = of_this_thread();
        for _ in 0..SESSIONS {
            keys.push(self.house.join(&self.connect));
        }
        let wave = Wave {
            session: of_this_thread() - before,
            further_room: self.join_all(|n| format!("c{}", n / MEMBERS)),
            room_of_one: self.join_all(|n| format!("d{n}")),
        };
        self.sockets.lock().unwrap().clear();
        for key in keys {
            self.house.cut(key);
        }
        self.house.flush();
        assert_eq!(self.house.hub.stats().sessions, 0);
        self.house.pass(ALL_IS_OVER_MS);
        // Records of sessions that could have come back are looked through when one more is made.
        let key = self.house.join(&self.connect);
        self.sockets.lock().unwrap().clear();
        self.house.cut(key);
        self.house.flush();
        self.house.pass(ALL_IS_OVER_MS);
        wave
    }
}

fn each(total: i64) -> f64 {
    (total as f64 / SESSIONS as f64 * 100.0).round() / 100.0
}

fn note(into: &mut Figures, what: &str, tables: &str, counts: Counts) {
    into.insert(format!("{what}, bytes{tables}"), each(counts.live_bytes));
    into.insert(format!("{what}, allocations{tables}"), each(counts.live));
}

#[test]
fn what_a_session_at_rest_keeps_only_falls_and_all_is_given_back() {
    let mut counted = Figures::new();
    for (kind, recoverable) in [("session", false), ("recoverable session", true)] {
        let mut waves = Waves::new(recoverable);
        for tables in [" with tables", ""] {
            let wave = waves.run();
            note(&mut counted, kind, tables, wave.session);
            // Among sockets of 100 other sessions, and alone.
            note(&mut counted, "further room", "", wave.further_room);
            note(&mut counted, "room of its own", "", wave.room_of_one);
        }
        let before = of_this_thread();
        waves.run();
        let kept = of_this_thread() - before;
        assert_eq!(
            (kept.live, kept.live_bytes),
            (0, 0),
            "{kind}: a wave left something behind"
        );
    }
    // Runs do not differ. Eight bytes more in a session are past this; what a compiler lays out otherwise may not be.
    hold("sessions", &counted, Tolerance::part(0.01), None);
}
