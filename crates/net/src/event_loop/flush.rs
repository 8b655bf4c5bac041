//! Writing out what a turn left in outboxes.
//!
//! Sessions over plain TCP that have nothing but packets to write, nearly all of them nearly always, are written as a
//! batch: first all are looked at, then all is sent, then what the kernel did not take is put back. Looking at all
//! before sending lets the processor fetch the sessions' memory side by side, and the sends of a batch can be handed
//! to io_uring with one system call. Everybody else goes through [`EventLoop::flush`], one at a time.
//!
//! Sending is nearly all that a broadcast costs, and costs the same for one packet as for ten. So who has just been written
//! to as one of many waits a little for what comes next: see [`GATHER`].

use std::future::poll_fn;
use std::num::NonZeroU16;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use lakh_hub::Signals;
use lakh_hub::shard::SessionKey;
use lakh_wire::control_frame;
use lakh_wire::engine::payload::ContentType;
use lakh_wire::engine::{Control, End, Side, Version};
use tokio::time::Instant;

use super::EventLoop;
use crate::alarm::Alarm;
use crate::batch::{Batch, MOST_SENDS};
use crate::polling::PollAnswer;
use crate::ring::Ring;
use crate::ws::Wrote;

/// Sessions that are written together count as a crowd from here on.
const CROWD: usize = 32;
/// Who was written to in a crowd is written to again after so many [`STEP`]s at the earliest, some 1.5 ms. The first of a
/// room's messages goes out at once, and those of a room with fewer than some six hundred a second; what is denser
/// shares its writes. Nobody else waits, but for one in some thousands of those who were in a crowd a while ago.
const GATHER: u16 = 24;
/// Each outbox remembers when it was in a crowd, so that is counted in steps, which begin anew every four seconds: two bytes a
/// connection.
const STEP: Duration = Duration::from_micros(64);

/// What the flusher works with. Kept between turns: lists for each would be allocations a turn.
pub(super) struct Turn {
    dirty: Vec<SessionKey>,
    batch: Batch,
    /// Those that are written one at a time.
    others: Vec<SessionKey>,
    failed: Vec<SessionKey>,
    /// Those that are written to a little later.
    put_off: Vec<SessionKey>,
    /// When the first of them is due.
    due: Option<u16>,
    began: Instant,
}

impl Turn {
    pub(super) fn new(ring: Option<Ring>) -> Self {
        Self {
            dirty: Vec::new(),
            batch: Batch::new(ring),
            others: Vec::new(),
            failed: Vec::new(),
            put_off: Vec::new(),
            due: None,
            began: Instant::now(),
        }
    }

    /// The step that it is now. Never 0.
    fn now(&self) -> NonZeroU16 {
        let steps = self.began.elapsed().as_micros() / STEP.as_micros();
        NonZeroU16::new(steps as u16).unwrap_or(NonZeroU16::MIN)
    }

    /// Whether an outbox has to wait; notes when it's due.
    fn gathers(&mut self, crowd: Option<NonZeroU16>, now: NonZeroU16) -> bool {
        let Some(wait) = crowd
            .and_then(|crowd| GATHER.checked_sub(now.get().wrapping_sub(crowd.get())))
            .filter(|wait| *wait > 0)
        else {
            return false;
        };
        let soonest = self.due.map(|due| until(due, now));
        if soonest.is_none_or(|soonest| wait < soonest) {
            self.due = Some(now.get().wrapping_add(wait));
        }
        true
    }
}

/// Steps to go, 0 if it's past.
fn until(due: u16, now: NonZeroU16) -> u16 {
    let wait = due.wrapping_sub(now.get());
    if wait > GATHER { 0 } else { wait }
}

impl EventLoop {
    /// Writes out what the turn left in outboxes. It's woken by the first and runs behind all that was ready then: so
    /// a burst of events costs a connection one write.
    pub(super) async fn flusher(self: Rc<Self>) {
        let (mut alarm, mut set) = (Alarm::new(), None);
        loop {
            let due = {
                let turn = self.turn.borrow();
                turn.due
                    .map(|due| (due, STEP * until(due, turn.now()).into()))
            };
            if let Some((due, wait)) = due
                && set.replace(due) != Some(due)
            {
                alarm.set(wait);
            }
            let is_due = poll_fn(|cx| {
                if due.is_some() && alarm.poll(cx).is_ready() {
                    return Poll::Ready(true);
                }
                match self.shard.register_flusher(cx.waker()) {
                    true => Poll::Pending,
                    false => Poll::Ready(false),
                }
            })
            .await;
            if is_due {
                set = None;
                self.take_up();
            }
            // After a batch other tasks get their turn.
            while self.flush_dirty(true) {
                tokio::task::yield_now().await;
            }
        }
    }

    fn take_up(&self) {
        let mut turn = self.turn.borrow_mut();
        turn.due = None;
        self.shard.take_up(&mut turn.put_off);
    }

    /// Writes out all that waits, and at once.
    pub(super) fn flush_all(&self) {
        self.take_up();
        while self.flush_dirty(false) {}
    }

    /// Writes out before anything more is read, if outboxes fill up within the turn.
    pub(crate) fn relieve(&self) {
        if self.shard.is_pressed() {
            self.flush_all();
        }
    }

    /// Writes out the sessions that turned dirty first. `true`: there are more.
    fn flush_dirty(&self, gather: bool) -> bool {
        let mut turn = self.turn.borrow_mut();
        let more = self.shard.take_dirty(&mut turn.dirty, MOST_SENDS);
        self.write_batch(&mut turn, gather);
        for key in turn.failed.drain(..) {
            self.shard.end(key, Side::Main, End::Error);
        }
        for key in turn.others.drain(..) {
            self.flush(key);
        }
        more
    }

    fn write_batch(&self, turn: &mut Turn, gather: bool) {
        let now = turn.now();
        let crowd = (turn.dirty.len() >= CROWD).then_some(now);
        let mut dirty = std::mem::take(&mut turn.dirty);
        let mut outboxes = self.shard.outboxes();
        let links = self.links.borrow();
        let mut sent = 0;
        for key in dirty.drain(..) {
            let Some((outbox, version)) = outboxes.get(key) else {
                continue;
            };
            if gather && turn.gathers(outbox.crowd, now) {
                turn.put_off.push(key);
                outboxes.put_off(key);
                continue;
            }
            outbox.crowd = crowd;
            let link = links.get(key.slot as usize);
            let batched = match link.and_then(|link| link.main.as_ref()) {
                Some(conn) if outbox.signals == Signals::default() && conn.is_batchable() => {
                    turn.batch.add(key, conn, outbox, version)
                }
                _ => false,
            };
            if !batched {
                turn.others.push(key);
            }
            if turn.batch.is_full() {
                turn.batch.send();
                sent += turn.batch.settle(&mut outboxes, &mut turn.failed);
            }
        }
        turn.batch.send();
        sent += turn.batch.settle(&mut outboxes, &mut turn.failed);
        turn.dirty = dirty;
        self.count_out(sent);
    }

    fn flush(&self, key: SessionKey) {
        let Some(signals) = self
            .shard
            .with_outbox(key, |outbox, _| std::mem::take(&mut outbox.signals))
        else {
            return;
        };
        self.obey(key, signals);
        let (main, polls) = self.with_link(key, |link| {
            let polling = link.polling.as_ref();
            let polls = polling.is_some_and(|polling| polling.poll.is_some());
            (link.main.clone(), polls)
        });
        match main {
            Some(conn) if signals.closed.is_some() => {
                self.shard
                    .with_outbox(key, |outbox, version| conn.finish(outbox, version));
            }
            Some(conn) => {
                if signals.unsent_bits != 0 {
                    conn.limit_unsent(1 << signals.unsent_bits);
                }
                if self.flush_ws(key, &conn) == Wrote::Failed {
                    self.shard.end(key, Side::Main, End::Error);
                }
                if signals.resume {
                    conn.wake();
                }
            }
            None if polls => self.answer_poll(key, signals),
            None => self.keep_last_words(key, signals),
        }
        if signals.closed.is_some() {
            self.with_link(key, std::mem::take);
            self.shard.release(key);
        }
    }

    fn obey(&self, key: SessionKey, signals: Signals) {
        if signals.pong_probe
            && let Some(probe) = self.with_link(key, |link| link.polling().probe.clone())
        {
            self.send_own(&probe, control_frame(Control::PongProbe, Version::V4));
        }
        if signals.upgraded {
            let poller = self.with_link(key, |link| {
                link.main = link.take_probe();
                if let Some(main) = &link.main {
                    main.promote();
                }
                link.take_poll()
            });
            if let Some(reply) = poller {
                let noop = Control::Noop.as_text(Version::V4).into();
                // A client that upgraded has no more use for its last poll, and may have dropped it.
                let _ = reply.send(PollAnswer::Payload(noop, ContentType::TextPlain));
            }
        }
        if (signals.close_probe || signals.closed.is_some())
            && let Some(probe) = self.with_link(key, super::Link::take_probe)
        {
            probe.close(1000, "");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(at: u16) -> NonZeroU16 {
        NonZeroU16::new(at).expect("not zero")
    }

    #[test]
    fn only_who_was_in_a_crowd_just_now_waits_and_the_first_sets_the_time() {
        let mut turn = Turn::new(None);
        assert!(!turn.gathers(None, step(500)), "in no crowd");
        assert!(!turn.gathers(Some(step(100)), step(100 + GATHER)));
        assert_eq!(turn.due, None);
        assert!(turn.gathers(Some(step(490)), step(500)));
        assert!(turn.gathers(Some(step(480)), step(500)));
        assert!(turn.gathers(Some(step(499)), step(500)));
        assert_eq!(turn.due, Some(480 + GATHER));
        assert_eq!(until(480 + GATHER, step(500)), GATHER - 20);
        assert_eq!(until(480 + GATHER, step(900)), 0, "it's past");
    }

    #[test]
    fn the_clock_may_begin_anew_meanwhile() {
        let mut turn = Turn::new(None);
        let before = step(u16::MAX - 9);
        assert!(turn.gathers(Some(before), step(9)));
        assert_eq!(until(turn.due.expect("it waits"), step(9)), GATHER - 19);
        assert!(!turn.gathers(Some(before), step(GATHER)));
    }
}
