//! The way of a broadcast: into the log, to the loops that have members, to the other nodes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lakh_broker::Once;
use lakh_broker::Position;
use tokio::sync::oneshot;

use crate::ack::Collector;
use crate::cluster::Confirmed;
use crate::hub::Hub;
use crate::mailbox::{Command, Full, Mailbox};
use crate::namespace::Recovery;
use crate::outgoing::Outgoing;
use crate::shard::{CurrentShard, Shard};

impl Hub {
    /// Sends a broadcast on its way.
    pub(crate) fn publish(&self, outgoing: Outgoing) -> Result<(), Full> {
        self.check_room()?;
        let own = Shard::current(self);
        let here = self.publish_from(outgoing, own.as_deref())?;
        Self::deliver_here(own, here);
        Ok(())
    }

    /// Sends a broadcast on its way in this node, to the other nodes, or into the stream that all of them follow.
    fn publish_from(
        &self,
        outgoing: Outgoing,
        own: Option<&Shard>,
    ) -> Result<Option<Arc<Outgoing>>, Full> {
        if let Some(cluster) = self.cluster() {
            if cluster.takes(&outgoing) {
                let ticket = cluster.append(&outgoing)?;
                if let Some(shard) = own {
                    shard.note_ticket(ticket);
                }
                return Ok(None);
            }
            cluster.pass_on(&outgoing);
        }
        Ok(self.log_and_route(outgoing, own))
    }

    /// Sends a broadcast that carries a number of the fleet's own. `None`: no stream is followed here.
    pub(crate) fn publish_counted(
        &self,
        outgoing: &Outgoing,
        counter: (&str, u64),
        once: Option<&Once>,
    ) -> Option<Result<oneshot::Receiver<Confirmed>, Full>> {
        let cluster = self
            .followed()
            .filter(|_| outgoing.namespace.recovery.get().is_some())?;
        let appended = cluster.append_counted(outgoing, counter, once);
        Some(appended.map(|(ticket, confirmed)| {
            if let Some(shard) = Shard::current(self) {
                shard.note_ticket(ticket);
            }
            confirmed
        }))
    }

    /// Sends the broadcast that `make` gives, if it gives one. What it gives besides (a lock) is dropped when the
    /// broadcast has its place in the order, and before anything is delivered: deliveries run hooks.
    pub(crate) fn publish_ordered<G>(
        &self,
        make: impl FnOnce() -> Option<(Outgoing, G)>,
    ) -> Result<bool, Full> {
        self.check_room()?;
        let Some((outgoing, guard)) = make() else {
            return Ok(false);
        };
        let own = Shard::current(self);
        let here = self.publish_from(outgoing, own.as_deref());
        drop(guard);
        let here = here?;
        Self::deliver_here(own, here);
        Ok(true)
    }

    /// Sends the broadcasts that `make` gives as one step: what it gives besides (a lock) is dropped when all of them have
    /// their place in the order.
    pub(crate) fn publish_step<G>(
        &self,
        make: impl FnOnce() -> (Vec<Outgoing>, G),
    ) -> Result<(), Full> {
        self.check_room()?;
        let (all, guard) = make();
        let own = Shard::current(self);
        // More than one: not around the mailbox, or work that runs between the first and the second would see half of it.
        let at_once = own.as_deref().filter(|_| all.len() == 1);
        let mut sent = Ok(());
        let mut here = None;
        for outgoing in all {
            match self.publish_from(outgoing, at_once) {
                Ok(alone) => here = alone,
                Err(full) => sent = Err(full),
            }
        }
        drop(guard);
        Self::deliver_here(own, here);
        sent
    }

    /// Puts a broadcast into the log, if there is one, and into the mailboxes. Nothing is delivered yet: what comes back
    /// is to be delivered to the calling thread's own shard, next.
    pub(crate) fn log_and_route(
        &self,
        outgoing: Outgoing,
        own: Option<&Shard>,
    ) -> Option<Arc<Outgoing>> {
        let namespace = Arc::clone(&outgoing.namespace);
        match namespace.recovery.get() {
            Some(recovery) if outgoing.ack.is_none() && !outgoing.flags.unlogged => {
                let channel = &recovery.channel;
                if outgoing.flags.is_passing() {
                    return channel.pass(|at| self.route(Arc::new(outgoing.at(at)), own));
                }
                channel.publish(
                    outgoing.cost(),
                    self.now().0,
                    |at| Arc::new(outgoing.at(at)),
                    |made| &made.targets.rooms,
                    |made| self.route(made, own),
                )
            }
            _ => self.route(Arc::new(outgoing), own),
        }
    }

    fn deliver_here(own: Option<CurrentShard>, here: Option<Arc<Outgoing>>) {
        match (own, here) {
            (Some(shard), Some(outgoing)) => shard.deliver(&outgoing),
            (Some(shard), None) => shard.drain_mailbox(),
            (None, _) => {}
        }
    }

    /// Sends an event of a recoverable namespace to one socket, from its own loop, unlogged. `false`: something waits
    /// before it, so it must take its turn.
    pub(crate) fn pass_now(
        &self,
        shard: &Shard,
        recovery: &Recovery,
        send: impl FnOnce(Position),
    ) -> bool {
        let at = recovery.channel.pass(|at| shard.is_settled().then_some(at));
        at.map(send).is_some()
    }

    /// Asks the sockets of this node.
    pub(crate) fn publish_with_ack(
        &self,
        outgoing: &Arc<Outgoing>,
        collector: &Arc<Collector>,
        timeout: Duration,
    ) -> Result<(), Full> {
        self.check_room()?;
        let at =
            self.now() + lakh_wire::Millis(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
        for index in 0..self.shard_count() {
            let (outgoing, collector) = (Arc::clone(outgoing), Arc::clone(collector));
            // Checked above; a thread that races past the bound is a few messages over it.
            self.run_on(index, move |shard| {
                if index == 0 {
                    shard.collect_until(&collector, at);
                }
                shard.deliver_with_ack(&outgoing, &collector, at);
            })?;
        }
        self.settle();
        Ok(())
    }

    /// A broadcast reaches all loops or none.
    fn check_room(&self) -> Result<(), Full> {
        self.0.mailboxes.iter().try_for_each(Mailbox::check)
    }

    /// Hands a broadcast to the shards that have members. It comes back if the calling thread's shard has some and
    /// nothing waits there before it: no detour through the mailbox.
    pub(crate) fn route(
        &self,
        outgoing: Arc<Outgoing>,
        own: Option<&Shard>,
    ) -> Option<Arc<Outgoing>> {
        outgoing.namespace.listeners.tell(&outgoing);
        let shards = self.shards_for(&outgoing);
        let at_once = own.filter(|shard| shards & (1 << shard.index()) != 0 && shard.is_settled());
        let at_once = at_once.map(Shard::index);
        for (index, mailbox) in self.0.mailboxes.iter().enumerate() {
            if shards & (1 << index) != 0 && at_once != Some(index) {
                mailbox.force(Command::Deliver(Arc::clone(&outgoing)));
            }
        }
        at_once.map(|_| outgoing)
    }

    fn shards_for(&self, outgoing: &Outgoing) -> u64 {
        if let Some((shard, _)) = outgoing.only {
            return 1 << shard;
        }
        if self.shard_count() == 1 || outgoing.targets.rooms.is_empty() {
            return u64::MAX;
        }
        // A join that is on its way to its loop stands before this broadcast in that loop's mailbox.
        if outgoing.namespace.joining.load(Ordering::Acquire) > 0 {
            return u64::MAX;
        }
        let shards_of = outgoing.namespace.shards_of.read();
        let rooms = outgoing.targets.rooms.iter();
        rooms.fold(0, |shards, room| {
            shards | shards_of.get(room).copied().unwrap_or(0) | own_room_shard(room)
        })
    }
}

/// The shard of the socket whose own room this is, as a bit; none if the name is no socket's.
fn own_room_shard(room: &str) -> u64 {
    let id = room.rsplit_once('#').map_or(room, |(_, id)| id);
    crate::ids::Id::parse(id).map_or(0, |id| 1 << id.shard())
}
