//! What ends by itself: typing, the grace of a broken connection. It stands in one queue, and one task of the node sleeps
//! until the first of it is due. The task ends when nothing is due.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::{Chat, live, names, ordered, typing};

/// How long to wait before something is told again that the server was too busy to take.
const AGAIN: Duration = Duration::from_millis(100);

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
        tokio::select! {
            () = sleep_until(next) => sweep(&sweeping.chat),
            () = sweeping.chat.0.earlier.notified() => {}
        }
    }
}

/// Tells what is due by now.
pub(crate) fn sweep(chat: &Chat) {
    let now = Instant::now();
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

fn look_after(chat: &Chat, room: &str, id: &str, now: Instant) {
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
    chat.0
        .table
        .lock()
        .later(Instant::now() + AGAIN, room, None);
    chat.0.earlier.notify_one();
}
