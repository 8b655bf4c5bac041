//! What ends by itself: typing, the grace of a broken connection. It stands in one queue, and one task of the node sleeps
//! until the first of it is due. The task ends when nothing is due.

use std::time::Duration;

use lakh_hub::presence::Ms;

use crate::{Chat, live, names, ordered, typing};

/// How long to wait before something is told again that the server was too busy to take.
const AGAIN: Ms = 100;
/// The clock of the hub may be moved by hand: so long is slept at most.
const MOST_SLEEP: Ms = 500;

/// Sees to it that what is due later is looked after.
pub(crate) fn watch(chat: &Chat) {
    if chat.0.table.lock().start_sweeping() {
        let sweeping = Sweeping {
            chat: chat.clone(),
            is_over: false,
        };
        // Backends ask from any thread, not only on a loop.
        tokio::spawn(keep_sweeping(sweeping));
    } else {
        chat.0.earlier.notify_one();
    }
}

/// Lets another sweeper be started when this one is cut off: its loop has ended.
struct Sweeping {
    chat: Chat,
    /// It has ended by itself, and the table knows.
    is_over: bool,
}

impl Drop for Sweeping {
    fn drop(&mut self) {
        if !self.is_over {
            self.chat.0.table.lock().stop_sweeping();
        }
    }
}

async fn keep_sweeping(mut sweeping: Sweeping) {
    loop {
        let next = sweeping.chat.0.table.lock().next_due();
        let Some(next) = next else {
            sweeping.is_over = true;
            return;
        };
        let wait = next
            .saturating_sub(sweeping.chat.clock_ms())
            .min(MOST_SLEEP);
        let wait = Duration::from_millis(wait);
        tokio::select! {
            () = tokio::time::sleep(wait) => sweep(&sweeping.chat),
            () = sweeping.chat.0.earlier.notified() => {}
        }
    }
}

/// Tells what is due by now.
pub(crate) fn sweep(chat: &Chat) {
    let now = chat.clock_ms();
    loop {
        // Not in the head of the loop: the lock would be held through its body.
        let due = chat.0.table.lock().pop_due(now);
        let Some(due) = due else { return };
        match &due.person {
            None => {
                ordered::tell(chat, &due.room);
                live::tell(chat, &due.room);
            }
            Some(id) => look_after(chat, &due.room, id, now),
        }
    }
}

fn look_after(chat: &Chat, room: &str, id: &str, now: Ms) {
    let to = || chat.0.namespace.to(names::hub_room(room));
    let told = typing::ended(chat, to, room, id, |people| people.take_typed(id, now));
    if told.is_err() {
        chat.0.table.lock().later(now + AGAIN, room, Some(id));
        return watch(chat);
    }
    let mut table = chat.0.table.lock();
    table.with_people(room, id, |people| people.take_gone(id, now));
}

/// Tells the room's messages a little later: the server is too busy now.
pub(crate) fn tell_later(chat: &Chat, room: &str) {
    let at = chat.clock_ms() + AGAIN;
    chat.0.table.lock().later(at, room, None);
    chat.0.earlier.notify_one();
}
