//! What a person, an address and a node may do a second, and what happens past it.
//!
//! What is counted stands in an [`Account`]: one for the node, one for each address and each person that has connections,
//! shared by all event loops. A connection is charged through its [`Meter`]. Rates follow the generic cell rate algorithm
//! (ITU-T I.371): one number each, the time at which the allowance is full again; as much as a second brings may come at
//! once. Nothing here reads a clock: milliseconds on any monotonic one come in.
//!
//! What must hold: who goes and comes back finds the account as it was, so a new connection buys nothing; and the table has
//! a bound, whoever connects: beside the accounts in use at most [`MAX_IDLE`] are kept.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Accounts kept that no connection uses, until their allowances are full again. Past it they are forgotten earlier.
pub const MAX_IDLE: usize = 65_536;
/// Accounts in a table before it's first looked which of them can go.
const FIRST_SWEEP: usize = 1_024;
/// Who was let do more than they may, because they are read slower, waits at most this long for it.
const LONGEST_DEBT_NS: u64 = 60_000_000_000;
/// The same for what all share: one must not stop the others for long.
const LONGEST_DEBT_OF_NODE_NS: u64 = 1_000_000_000;

/// Who is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Somebody who is signed in, over all their connections to this node.
    Person,
    /// An address (IPv6: a /64), as trusted proxies tell it.
    Address,
    /// All clients of this node together.
    Node,
}

/// Every scope, in the order of the counters.
pub const SCOPES: [Scope; 3] = [Scope::Person, Scope::Address, Scope::Node];

impl Scope {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Address => "address",
            Self::Node => "node",
        }
    }
}

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Events a second.
    Events,
    /// Joins a second.
    Joins,
    /// Bytes a second that come in.
    Bytes,
    /// Connections at the same time.
    Connections,
    /// Rooms at the same time.
    Rooms,
}

/// Every limit, in the order of the counters.
pub const LIMITS: [Limit; 5] = [
    Limit::Events,
    Limit::Joins,
    Limit::Bytes,
    Limit::Connections,
    Limit::Rooms,
];
/// The first of them are rates.
const RATES: usize = 3;

impl Limit {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Joins => "joins",
            Self::Bytes => "bytes",
            Self::Connections => "connections",
            Self::Rooms => "rooms",
        }
    }

    /// The code that a client is told.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Events | Self::Joins | Self::Bytes => "rate_limited",
            Self::Connections => "too_many_connections",
            Self::Rooms => "too_many_rooms",
        }
    }
}

/// What happens past a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Past {
    /// What is too much is refused, and its sender told.
    #[default]
    Refuse,
    /// It's done, and the connection read no further until there is room for more.
    Slow,
    /// The connection is closed, with a word why.
    Disconnect,
}

impl Past {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Slow => "slow",
            Self::Disconnect => "disconnect",
        }
    }
}

/// The bounds of one scope; `None` is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Events a second.
    pub events: Option<u32>,
    /// Joins a second.
    pub joins: Option<u32>,
    /// Bytes a second.
    pub bytes: Option<u32>,
    /// Connections at the same time. Of addresses and of the node they are counted where connections are accepted.
    pub connections: Option<u32>,
    /// Rooms at the same time: of persons only.
    pub rooms: Option<u32>,
}

impl Bounds {
    fn rate(&self, limit: Limit) -> Option<u32> {
        match limit {
            Limit::Events => self.events,
            Limit::Joins => self.joins,
            Limit::Bytes => self.bytes,
            Limit::Connections | Limit::Rooms => None,
        }
    }
}

/// What may be done, and what happens past it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of each person.
    pub person: Bounds,
    /// Of each address.
    pub address: Bounds,
    /// Of the node.
    pub node: Bounds,
    /// Past the events a second.
    pub past_events: Past,
    /// Past the joins a second, and the rooms.
    pub past_joins: Past,
    /// Past the bytes a second.
    pub past_bytes: Past,
    /// Past the connections.
    pub past_connections: Past,
}

impl Limits {
    /// Whether there are any.
    #[must_use]
    pub fn are_none(&self) -> bool {
        [self.person, self.address, self.node] == [Bounds::default(); 3]
    }

    fn of(&self, scope: Scope) -> &Bounds {
        match scope {
            Scope::Person => &self.person,
            Scope::Address => &self.address,
            Scope::Node => &self.node,
        }
    }

    fn past(&self, limit: Limit) -> Past {
        match limit {
            Limit::Events => self.past_events,
            Limit::Joins => self.past_joins,
            Limit::Bytes => self.past_bytes,
            Limit::Connections => self.past_connections,
            Limit::Rooms => match self.past_joins {
                Past::Disconnect => Past::Disconnect,
                // There is nothing to wait for: rooms come free when somebody leaves some.
                Past::Refuse | Past::Slow => Past::Refuse,
            },
        }
    }
}

/// Somebody ran into a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Whose.
    pub scope: Scope,
    /// Which.
    pub limit: Limit,
    /// What is to happen.
    pub past: Past,
    /// Milliseconds until there is room for one more; 0 where time does not help.
    pub retry_in_ms: u64,
}

/// What somebody has used. 32 bytes.
#[derive(Debug, Default)]
pub struct Account {
    full_at_ns: [AtomicU64; RATES],
    connections: AtomicU32,
    rooms: AtomicU32,
}

impl Account {
    /// Takes what an act costs, if it fits. `whatever`: also if it doesn't. `Err` is how long there is no room.
    fn take(&self, rate: &Rate, limit: Limit, whatever: bool) -> Result<(), u64> {
        let mut late = 0;
        let taken = self.full_at_ns[limit as usize].fetch_update(
            // The numbers guard no other memory.
            Ordering::Relaxed,
            Ordering::Relaxed,
            |full_at| {
                let next = full_at.max(rate.now_ns).saturating_add(rate.cost_ns);
                late = next
                    .saturating_sub(rate.now_ns)
                    .saturating_sub(rate.window_ns);
                match (late, whatever) {
                    (0, _) => Some(next),
                    (_, true) => {
                        let most = rate.now_ns + rate.window_ns + rate.longest_debt_ns;
                        Some(next.min(most))
                    }
                    (_, false) => None,
                }
            },
        );
        match (taken, late) {
            (Ok(_), 0) => Ok(()),
            _ => Err(late.min(rate.longest_debt_ns.max(rate.cost_ns))),
        }
    }

    fn give_back(&self, rate: &Rate, limit: Limit) {
        let less = |full_at: u64| Some(full_at.saturating_sub(rate.cost_ns));
        // The closure never declines.
        let _ = self.full_at_ns[limit as usize].fetch_update(
            Ordering::Relaxed,
            Ordering::Relaxed,
            less,
        );
    }

    fn is_full(&self, now_ns: u64) -> bool {
        let mut rates = self.full_at_ns.iter();
        rates.all(|full_at| full_at.load(Ordering::Relaxed) <= now_ns)
    }

    fn enter(&self, most: Option<u32>) -> bool {
        let most = most.unwrap_or(u32::MAX);
        let one_more = |open: u32| (open < most).then_some(open + 1);
        self.connections
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .is_ok()
    }
}

fn one_less(count: &AtomicU32) {
    let less = |open: u32| Some(open.saturating_sub(1));
    // The closure never declines.
    let _ = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
}

/// What some acts cost now.
struct Rate {
    now_ns: u64,
    cost_ns: u64,
    window_ns: u64,
    longest_debt_ns: u64,
}

impl Rate {
    fn new(per_second: u32, count: u64, now_ms: u64, scope: Scope) -> Self {
        const SECOND_NS: u64 = 1_000_000_000;
        let per_second = u64::from(per_second.max(1));
        Self {
            // From one second on: a fresh account is full then, whatever the clock begins with.
            now_ns: now_ms.saturating_mul(1_000_000).saturating_add(SECOND_NS),
            cost_ns: count.saturating_mul(SECOND_NS) / per_second,
            window_ns: SECOND_NS,
            longest_debt_ns: match scope {
                Scope::Person | Scope::Address => LONGEST_DEBT_NS,
                Scope::Node => LONGEST_DEBT_OF_NODE_NS,
            },
        }
    }
}

/// Accounts by whose they are.
#[derive(Debug)]
struct Table<K> {
    accounts: HashMap<K, Arc<Account>>,
    sweep_at: usize,
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self {
            accounts: HashMap::new(),
            sweep_at: FIRST_SWEEP,
        }
    }
}

impl<K: Hash + Eq> Table<K> {
    fn open(&mut self, key: K, now_ms: u64) -> Arc<Account> {
        if self.accounts.len() >= self.sweep_at {
            self.sweep(now_ms);
        }
        Arc::clone(self.accounts.entry(key).or_default())
    }

    fn sweep(&mut self, now_ms: u64) {
        let now_ns = Rate::new(1, 0, now_ms, Scope::Node).now_ns;
        let in_use = |account: &Arc<Account>| Arc::strong_count(account) > 1;
        self.accounts
            .retain(|_, account| in_use(account) || !account.is_full(now_ns));
        let idle = self.accounts.values().filter(|account| !in_use(account));
        if idle.count() > MAX_IDLE {
            self.accounts.retain(|_, account| in_use(account));
        }
        self.sweep_at =
            (2 * self.accounts.len()).clamp(FIRST_SWEEP, self.accounts.len() + MAX_IDLE);
        if self.accounts.capacity() > 4 * self.sweep_at {
            self.accounts.shrink_to(self.sweep_at);
        }
    }
}

/// All accounts of a node.
#[derive(Debug, Default)]
pub struct Ledger {
    limits: Limits,
    node: Account,
    addresses: Mutex<Table<IpAddr>>,
    people: Mutex<Table<Box<str>>>,
    /// How often somebody ran into what.
    hits: [[AtomicU64; LIMITS.len()]; SCOPES.len()],
}

impl Ledger {
    /// Accounts that nobody has used yet.
    #[must_use]
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            ..Self::default()
        })
    }

    /// The limits.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The meter of a connection from this address.
    #[must_use]
    pub fn meter(self: &Arc<Self>, address: IpAddr, now_ms: u64) -> Meter {
        let counts = self.limits.address != Bounds::default();
        let address = counts.then(|| open(&self.addresses, one_client(address), now_ms));
        Meter {
            ledger: Arc::clone(self),
            address,
            people: Vec::new(),
            refused_until_ms: 0,
            told_client_at_ms: None,
            told_others_at_ms: None,
        }
    }

    fn hit(&self, scope: Scope, limit: Limit, retry_in_ns: u64) -> Hit {
        self.hits[scope as usize][limit as usize].fetch_add(1, Ordering::Relaxed);
        Hit {
            scope,
            limit,
            past: self.limits.past(limit),
            retry_in_ms: retry_in_ns.div_ceil(1_000_000),
        }
    }

    /// How often somebody ran into what.
    pub fn hits(&self) -> impl Iterator<Item = (Scope, Limit, u64)> + '_ {
        SCOPES.into_iter().flat_map(move |scope| {
            let counts = &self.hits[scope as usize];
            LIMITS.into_iter().map(move |limit| {
                let count = counts[limit as usize].load(Ordering::Relaxed);
                (scope, limit, count)
            })
        })
    }

    /// Accounts of addresses and of people that are kept now.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize) {
        let addresses = locked(&self.addresses).accounts.len();
        (addresses, locked(&self.people).accounts.len())
    }
}

fn open<K: Hash + Eq>(table: &Mutex<Table<K>>, key: K, now_ms: u64) -> Arc<Account> {
    locked(table).open(key, now_ms)
}

/// A panic under the lock leaves counters that are a little off, and nothing else.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// What counts as one address: an IPv6 client owns at least a /64 (RFC 6177).
fn one_client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

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

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
