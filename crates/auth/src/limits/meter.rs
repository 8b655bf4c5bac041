//! The meter of a connection, by which it is charged.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::account::{Account, Rate, one_less};
use super::ledger::{Ledger, open};
use super::{Bounds, Hit, Limit, Past, Scope};

/// Somebody who is behind a socket of a connection.
#[derive(Debug)]
struct Behind {
    socket: u32,
    account: Arc<Account>,
}

/// What a connection is charged to: its address, the node, and whoever is behind its sockets.
#[derive(Debug)]
pub struct Meter {
    ledger: Arc<Ledger>,
    address: Option<Arc<Account>>,
    people: Vec<Behind>,
    /// Too many bytes came: events are refused until then.
    refused_until_ms: u64,
    told_client_at_ms: Option<u64>,
    told_others_at_ms: Option<u64>,
}

impl Meter {
    pub(super) fn new(ledger: Arc<Ledger>, address: Option<Arc<Account>>) -> Self {
        Self {
            ledger,
            address,
            people: Vec::new(),
            refused_until_ms: 0,
            told_client_at_ms: None,
            told_others_at_ms: None,
        }
    }

    /// Somebody signed in on a socket of this connection. Two sockets of one person are one connection.
    ///
    /// # Errors
    /// If they have as many connections as they may.
    pub fn enter(&mut self, socket: u32, person: &str, now_ms: u64) -> Result<(), Hit> {
        let bounds = &self.ledger.limits.person;
        if *bounds == Bounds::default() {
            return Ok(());
        }
        let account = open(&self.ledger.people, person.into(), now_ms);
        let counted = self.has(&account);
        if !counted && !account.enter(bounds.connections) {
            return Err(self.ledger.hit(Scope::Person, Limit::Connections, 0));
        }
        self.people.push(Behind { socket, account });
        Ok(())
    }

    fn has(&self, account: &Arc<Account>) -> bool {
        let mut people = self.people.iter();
        people.any(|behind| Arc::ptr_eq(&behind.account, account))
    }

    /// A socket is gone. Its rooms are left already.
    pub fn leave(&mut self, socket: u32) {
        let place = self
            .people
            .iter()
            .position(|behind| behind.socket == socket);
        let Some(gone) = place.map(|place| self.people.swap_remove(place)) else {
            return;
        };
        if !self.has(&gone.account) {
            one_less(&gone.account.connections);
        }
    }

    fn person(&self, socket: Option<u32>) -> Option<&Arc<Account>> {
        let mut people = self.people.iter();
        let found = match socket {
            Some(socket) => people.find(|behind| behind.socket == socket),
            // What comes in is not yet anybody's in particular.
            None => people.next(),
        };
        found.map(|behind| &behind.account)
    }

    /// A socket joined a room, or left one.
    pub fn room(&self, socket: u32, joined: bool) {
        if let Some(account) = self.person(Some(socket)) {
            match joined {
                true => {
                    account.rooms.fetch_add(1, Ordering::Relaxed);
                }
                false => one_less(&account.rooms),
            }
        }
    }

    /// Charges an event of a socket.
    ///
    /// # Errors
    /// If it's too much.
    pub fn event(&self, socket: u32, now_ms: u64) -> Result<(), Hit> {
        if now_ms < self.refused_until_ms {
            let left_ms = self.refused_until_ms - now_ms;
            return Err(Hit {
                scope: Scope::Person,
                limit: Limit::Bytes,
                past: Past::Refuse,
                retry_in_ms: left_ms,
            });
        }
        self.charge(Some(socket), Limit::Events, 1, now_ms)
    }

    /// Charges a join that a client asks for.
    ///
    /// # Errors
    /// If it's too much, or too many rooms.
    pub fn join(&self, socket: u32, now_ms: u64) -> Result<(), Hit> {
        let most = self.ledger.limits.person.rooms;
        let rooms = self.person(Some(socket)).map(|account| &account.rooms);
        if let (Some(most), Some(rooms)) = (most, rooms)
            && rooms.load(Ordering::Relaxed) >= most
        {
            return Err(self.ledger.hit(Scope::Person, Limit::Rooms, 0));
        }
        self.charge(Some(socket), Limit::Joins, 1, now_ms)
    }

    /// Charges bytes that came. They are here: however many they are, they count, and what comes later waits for it.
    ///
    /// # Errors
    /// If they are too many.
    pub fn bytes(&mut self, count: usize, now_ms: u64) -> Result<(), Hit> {
        let charged = self.charge(None, Limit::Bytes, count as u64, now_ms);
        if let Err(hit) = charged
            && hit.past == Past::Refuse
        {
            self.refused_until_ms = now_ms.saturating_add(hit.retry_in_ms);
        }
        charged
    }

    fn charge(
        &self,
        socket: Option<u32>,
        limit: Limit,
        count: u64,
        now_ms: u64,
    ) -> Result<(), Hit> {
        let ledger = &*self.ledger;
        let whatever = limit == Limit::Bytes || ledger.limits.past(limit) == Past::Slow;
        let accounts = [
            (Scope::Person, self.person(socket).map(|account| &**account)),
            (Scope::Address, self.address.as_deref()),
            (Scope::Node, Some(&ledger.node)),
        ];
        let charged = accounts.into_iter().filter_map(|(scope, account)| {
            let per_second = ledger.limits.of(scope).rate(limit)?;
            Some((scope, account?, Rate::new(per_second, count, now_ms, scope)))
        });
        let mut longest: Option<(Scope, u64)> = None;
        for (at, (scope, account, rate)) in charged.clone().enumerate() {
            let Err(wait_ns) = account.take(&rate, limit, whatever) else {
                continue;
            };
            if longest.is_none_or(|(_, longest)| longest < wait_ns) {
                longest = Some((scope, wait_ns));
            }
            if !whatever {
                // It doesn't happen, so it costs the others nothing.
                for (_, account, rate) in charged.take(at) {
                    account.give_back(&rate, limit);
                }
                break;
            }
        }
        match longest {
            None => Ok(()),
            Some((scope, wait_ns)) => Err(ledger.hit(scope, limit, wait_ns)),
        }
    }

    /// Whether its client is to be told now: at most once a second.
    pub fn tell_client(&mut self, now_ms: u64) -> bool {
        is_due(&mut self.told_client_at_ms, now_ms)
    }

    /// The same for others who want to know.
    pub fn tell_others(&mut self, now_ms: u64) -> bool {
        is_due(&mut self.told_others_at_ms, now_ms)
    }
}

fn is_due(told_at_ms: &mut Option<u64>, now_ms: u64) -> bool {
    let due = told_at_ms.is_none_or(|told_at| told_at.saturating_add(1_000) <= now_ms);
    if due {
        *told_at_ms = Some(now_ms);
    }
    due
}

impl Drop for Meter {
    fn drop(&mut self) {
        while let Some(socket) = self.people.last().map(|behind| behind.socket) {
            self.leave(socket);
        }
    }
}
