//! `[spaces]`: spaces of the module world.

use crate::config::section::{above_zero, section};

section! {
    /// Spaces of the module world: members, locations, cursors and locks of what people work on together.
    Spaces as "spaces" {
        /// Most members of one space.
        max_members: u32 = 500;
        /// Time for which somebody whose connection broke off is still a member, and keeps what they locked.
        grace_ms: u64 = 15_000;
        /// A node that says nothing for this long counts as gone, and the members on it as well.
        silence_ms: u64 = 6_000;
        /// Time between batches of cursors.
        cursor_ms: u64 = 25;
        /// Moves of cursors that one connection may send a second. As many may come at once.
        cursor_moves_per_second: u32 = 60;
        /// Places of cursors that a member is told a second from one node; in crowds batches come less often.
        cursor_places_per_second: u32 = 4_000;
        /// Most locks of one space.
        max_locks: u32 = 500;
        /// Seconds for which a lock holds where nothing is said.
        lock_s: u64 = 60;
        /// Most bytes of a profile, a location, and of what goes with a lock or a cursor, as JSON.
        max_data_bytes: u32 = 4_096;
    }
    check |spaces, wrong| {
        above_zero(wrong, &[
            ("max_members", spaces.max_members.into()),
            ("silence_ms", spaces.silence_ms),
            ("cursor_ms", spaces.cursor_ms),
            ("cursor_moves_per_second", spaces.cursor_moves_per_second.into()),
            ("cursor_places_per_second", spaces.cursor_places_per_second.into()),
            ("max_locks", spaces.max_locks.into()),
        ]);
        if spaces.max_locks > 10_000 {
            wrong.push(("max_locks", "must be at most 10000".into()));
        }
        if !(1..=86_400).contains(&spaces.lock_s) {
            wrong.push(("lock_s", "must be 1 to 86400".into()));
        }
    };
}
