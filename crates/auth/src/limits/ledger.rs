//! The accounts of a node, by whose they are, and how often somebody ran into what.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::account::{Account, Rate};
use super::{Bounds, Hit, LIMITS, Limit, Limits, Meter, SCOPES, Scope};

/// Accounts kept that no connection uses, until their allowances are full again. Past it they are forgotten earlier.
pub const MAX_IDLE: usize = 65_536;
/// Accounts in a table before it's first looked which of them can go.
const FIRST_SWEEP: usize = 1_024;

/// Accounts by whose they are.
#[derive(Debug)]
pub(super) struct Table<K> {
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
    pub(super) limits: Limits,
    pub(super) node: Account,
    addresses: Mutex<Table<IpAddr>>,
    pub(super) people: Mutex<Table<Box<str>>>,
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
        Meter::new(Arc::clone(self), address)
    }

    pub(super) fn hit(&self, scope: Scope, limit: Limit, retry_in_ns: u64) -> Hit {
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

pub(super) fn open<K: Hash + Eq>(table: &Mutex<Table<K>>, key: K, now_ms: u64) -> Arc<Account> {
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
