//! Writing out what a turn left in outboxes.
//!
//! Sessions over plain TCP that have nothing but packets to write, nearly all of them nearly always, are written as a
//! batch: first all are looked at, then all is sent, then what the kernel did not take is put back. Looking at all
//! before sending lets the processor fetch the sessions' memory side by side, and the sends of a batch can be handed
//! to io_uring with one system call. Everybody else goes through [`EventLoop::flush`], one at a time.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use lakh_hub::Signals;
use lakh_hub::shard::SessionKey;
use lakh_wire::control_frame;
use lakh_wire::engine::payload::ContentType;
use lakh_wire::engine::{Control, End, Side, Version};

use super::EventLoop;
use crate::batch::{Batch, MOST_SENDS};
use crate::polling::PollAnswer;
use crate::ring::Ring;
use crate::ws::Wrote;

/// What the flusher works with. Kept between turns: lists for each would be allocations a turn.
pub(super) struct Turn {
    dirty: Vec<SessionKey>,
    batch: Batch,
    /// Those that are written one at a time.
    others: Vec<SessionKey>,
    failed: Vec<SessionKey>,
}

impl Turn {
    pub(super) fn new(ring: Option<Ring>) -> Self {
        Self {
            dirty: Vec::new(),
            batch: Batch::new(ring),
            others: Vec::new(),
            failed: Vec::new(),
        }
    }
}

impl EventLoop {
    /// Writes out what the turn left in outboxes. It's woken by the first and runs behind all that was ready then: so
    /// a burst of events costs a connection one write.
    pub(super) async fn flusher(self: Rc<Self>) {
        loop {
            poll_fn(|cx| {
                if self.shard.register_flusher(cx.waker()) {
                    Poll::Pending
                } else {
                    Poll::Ready(())
                }
            })
            .await;
            // After a batch other tasks get their turn.
            while self.flush_dirty() {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Writes out all that waits.
    pub(super) fn flush_all(&self) {
        while self.flush_dirty() {}
    }

    /// Writes out before anything more is read, if outboxes fill up within the turn.
    pub(crate) fn relieve(&self) {
        if self.shard.is_pressed() {
            self.flush_all();
        }
    }

    /// Writes out the sessions that turned dirty first. `true`: there are more.
    fn flush_dirty(&self) -> bool {
        let mut turn = self.turn.borrow_mut();
        let more = self.shard.take_dirty(&mut turn.dirty, MOST_SENDS);
        self.write_batch(&mut turn);
        for key in turn.failed.drain(..) {
            self.shard.end(key, Side::Main, End::Error);
        }
        for key in turn.others.drain(..) {
            self.flush(key);
        }
        more
    }

    fn write_batch(&self, turn: &mut Turn) {
        let mut outboxes = self.shard.outboxes();
        let links = self.links.borrow();
        let mut sent = 0;
        for key in turn.dirty.drain(..) {
            let Some((outbox, version)) = outboxes.get(key) else {
                continue;
            };
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
