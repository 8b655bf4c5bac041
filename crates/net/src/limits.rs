//! How many connections may be open, and how fast new ones may come: for the process and for one address.
//!
//! Invariants: a count falls when its [`ConnectionPermit`] is dropped, never by hand; an address without
//! connections takes no memory; the rate table holds at most the configured number of addresses. Time comes in as
//! milliseconds on any monotonic clock. The buckets follow the generic cell rate algorithm (ITU-T I.371), which
//! needs one number a bucket. An IPv6 client owns at least a /64 (RFC 6177), so that is what counts as one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use http::StatusCode;
use parking_lot::Mutex;

/// What counts as one address: an IPv4 address, or the /64 of an IPv6 address.
///
/// Eight bytes, since every connection keeps one. IPv4 lives under `ffff:ffff::/32`, which is multicast and so
/// can't be the source of a connection; IPv4-mapped IPv6 counts as IPv4. Kept inverted, so that the one that is missing,
/// all ones, is multicast too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressKey(NonZeroU64);

const IPV4_PREFIX: u64 = 0xffff_ffff_0000_0000;

impl From<IpAddr> for AddressKey {
    fn from(address: IpAddr) -> Self {
        let bits = match address.to_canonical() {
            IpAddr::V4(v4) => IPV4_PREFIX | u64::from(v4.to_bits()),
            // The cast keeps the upper half, which is the /64.
            IpAddr::V6(v6) => (v6.to_bits() >> 64) as u64,
        };
        Self(NonZeroU64::new(!bits).unwrap_or(NonZeroU64::MAX))
    }
}

/// Why a connection or a handshake was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The process holds as many connections as it may.
    #[error("too many connections: raise the process's connection limit or add a node")]
    ProcessFull,
    /// This address holds as many connections as it may.
    #[error("too many connections from this address")]
    AddressFull,
    /// New connections come faster than the process takes them.
    #[error("too many new connections; the next is taken in {wait_ms} ms")]
    ProcessRate {
        /// Milliseconds until the bucket has room for one more.
        wait_ms: u64,
    },
    /// New connections from this address come faster than it may.
    #[error("too many new connections from this address; the next is taken in {wait_ms} ms")]
    AddressRate {
        /// Milliseconds until the bucket has room for one more.
        wait_ms: u64,
    },
}

/// A full process asks for this many seconds of patience, and at most as many again by jitter.
const FULL_RETRY_AFTER_S: u64 = 5;

impl Refusal {
    /// 503 when the server is at its limit, 429 (RFC 6585) when one address is.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::ProcessFull | Self::ProcessRate { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::AddressFull | Self::AddressRate { .. } => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// Seconds for `Retry-After`, at least 1. `random` (any 32 random bits) spreads the answer over up to twice
    /// the wait, so that those turned away together don't come back together.
    #[must_use]
    pub fn retry_after_s(self, random: u32) -> u64 {
        let base = match self {
            Self::ProcessFull | Self::AddressFull => FULL_RETRY_AFTER_S,
            Self::ProcessRate { wait_ms } | Self::AddressRate { wait_ms } => {
                wait_ms.div_ceil(1000).max(1)
            }
        };
        base.saturating_add(u64::from(random) % base.saturating_add(1))
    }
}

/// Bounds of [`ConnectionCap`]. `None` is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections open at once in the process.
    pub total: Option<usize>,
    /// Connections open at once from one address (IPv6: one /64).
    pub per_address: Option<u32>,
}

/// Counts open connections and refuses those past the bounds.
///
/// One mutex over the addresses is enough: it is taken when a connection opens and closes, for a few tens of
/// nanoseconds, where accepting costs tens of microseconds; and not at all without a bound per address.
#[derive(Debug)]
pub struct ConnectionCap {
    limits: ConnectionLimits,
    open: AtomicUsize,
    by_address: Mutex<HashMap<AddressKey, u32>>,
}

impl ConnectionCap {
    /// A cap that nobody has taken from yet.
    #[must_use]
    pub fn new(limits: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            open: AtomicUsize::new(0),
            by_address: Mutex::new(HashMap::new()),
        })
    }

    /// Takes a place for a connection, without saying yet whose it is.
    ///
    /// # Errors
    /// [`Refusal::ProcessFull`].
    pub fn try_open(self: &Arc<Self>) -> Result<ConnectionPermit, Refusal> {
        let total = self.limits.total.unwrap_or(usize::MAX);
        // The counts guard no other memory, so relaxed order is enough.
        self.open
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| {
                (open < total).then_some(open + 1)
            })
            .map_err(|_| Refusal::ProcessFull)?;
        Ok(ConnectionPermit {
            cap: Arc::clone(self),
            address: None,
        })
    }

    /// Connections open now.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Addresses that are counted now. 0 without a bound per address.
    #[must_use]
    pub fn addresses(&self) -> usize {
        self.by_address.lock().len()
    }

    fn enter(&self, key: AddressKey) -> Result<bool, Refusal> {
        let Some(max) = self.limits.per_address else {
            return Ok(false);
        };
        let mut counts = self.by_address.lock();
        let held = counts.get(&key).copied().unwrap_or(0);
        if held >= max {
            return Err(Refusal::AddressFull);
        }
        counts.insert(key, held + 1);
        Ok(true)
    }

    fn leave(&self, key: AddressKey) {
        let mut counts = self.by_address.lock();
        if let Some(count) = counts.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&key);
                give_back(&mut counts);
            }
        }
    }
}

/// A map never shrinks by itself; after a storm its memory would stay.
fn give_back<V>(map: &mut HashMap<AddressKey, V>) {
    if map.capacity() > 256 && map.len() < map.capacity() / 8 {
        map.shrink_to(map.len() * 2);
    }
}

/// The right to hold one connection open; dropping it gives the place back.
#[derive(Debug)]
pub struct ConnectionPermit {
    cap: Arc<ConnectionCap>,
    address: Option<AddressKey>,
}

impl ConnectionPermit {
    /// Says whose connection it is. Behind a trusted proxy the address is known only with the request, and a
    /// connection kept alive may carry requests of several clients: a second call moves the count.
    ///
    /// # Errors
    /// [`Refusal::AddressFull`]; the permit then still counts for the address it had.
    pub fn set_address(&mut self, address: IpAddr) -> Result<(), Refusal> {
        let key = AddressKey::from(address);
        if self.address == Some(key) {
            return Ok(());
        }
        if self.cap.enter(key)? {
            let before = self.address.replace(key);
            if let Some(before) = before {
                self.cap.leave(before);
            }
        }
        Ok(())
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        if let Some(key) = self.address {
            self.cap.leave(key);
        }
        self.cap.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A rate with room for a burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many a second, on average. 0 counts as 1.
    pub per_second: u32,
    /// How many at once after a pause. 0 counts as 1.
    pub burst: u32,
}

impl Rate {
    fn interval_ns(self) -> u64 {
        1_000_000_000 / u64::from(self.per_second.max(1))
    }

    /// After this long without a taker a bucket is full, whatever it was before.
    fn refill_ns(self) -> u64 {
        self.interval_ns()
            .saturating_mul(u64::from(self.burst.max(1)))
    }

    /// One step of the algorithm: the bucket's next state, or how many nanoseconds to wait.
    /// The state is the time at which the bucket will be full again.
    fn step(self, full_at_ns: u64, now_ns: u64) -> Result<u64, u64> {
        let next = full_at_ns.max(now_ns).saturating_add(self.interval_ns());
        let ahead = next - now_ns;
        if ahead <= self.refill_ns() {
            Ok(next)
        } else {
            Err(ahead - self.refill_ns())
        }
    }
}

/// Bounds of [`HandshakeRate`]. `None` is no bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// New connections in the process.
    pub process: Option<Rate>,
    /// New connections from one address (IPv6: one /64).
    pub per_address: Option<Rate>,
    /// How many addresses are remembered at once. Past it the oldest half is forgotten: a flood from very many
    /// addresses may so get past the bound per address, never past that of the process.
    pub max_addresses: usize,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            process: None,
            per_address: None,
            max_addresses: 65_536,
        }
    }
}

/// Nobody is sent away for longer: who comes after may be luckier, and clients have patience of their own.
const LONGEST_LINE_NS: u64 = 30_000_000_000;

/// Token buckets for handshakes: one for the process, one for each address seen lately.
#[derive(Debug)]
pub struct HandshakeRate {
    limits: RateLimits,
    process_full_at_ns: AtomicU64,
    /// The end of the line of those who were refused. Each is told the time at which its turn would come, so that they
    /// come back at the rate at which they can be taken.
    line_ends_at_ns: AtomicU64,
    addresses: Mutex<Generations>,
}

/// Buckets touched since the last turn, and those of the turn before. An address in neither has a full bucket:
/// a turn comes no sooner than a bucket takes to fill, unless the bound on entries asks for one.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<AddressKey, u64>,
    old: HashMap<AddressKey, u64>,
    turned_at_ns: u64,
}

impl Generations {
    fn turn(&mut self, now_ns: u64) {
        self.old = std::mem::take(&mut self.young);
        self.turned_at_ns = now_ns;
    }

    fn turn_if_due(&mut self, now_ns: u64, period_ns: u64) {
        let since = now_ns.saturating_sub(self.turned_at_ns);
        if since >= period_ns {
            // After two periods even the young are full.
            if since >= period_ns.saturating_mul(2) {
                self.young = HashMap::new();
            }
            self.turn(now_ns);
        }
    }
}

impl HandshakeRate {
    /// Buckets that are all full.
    #[must_use]
    pub fn new(limits: RateLimits) -> Self {
        Self {
            limits,
            process_full_at_ns: AtomicU64::new(0),
            line_ends_at_ns: AtomicU64::new(0),
            addresses: Mutex::new(Generations::default()),
        }
    }

    /// Takes one from the bucket of the process: when a connection is accepted.
    ///
    /// # Errors
    /// [`Refusal::ProcessRate`].
    pub fn admit(&self, now_ms: u64) -> Result<(), Refusal> {
        let Some(rate) = self.limits.process else {
            return Ok(());
        };
        let now_ns = ns(now_ms);
        self.process_full_at_ns
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
                rate.step(full_at, now_ns).ok()
            })
            .map(drop)
            .map_err(|full_at| {
                let wait_ns = rate.step(full_at, now_ns).err().unwrap_or(0);
                Refusal::ProcessRate {
                    wait_ms: wait_ms(self.stand_in_line(rate, now_ns, wait_ns)),
                }
            })
    }

    /// How long the newcomer waits who can't be taken for `least_ns`. Those whose turn came stand in line no more,
    /// whether or not they came back.
    fn stand_in_line(&self, rate: Rate, now_ns: u64, least_ns: u64) -> u64 {
        let end = |ends_at: u64| {
            let first = now_ns.saturating_add(least_ns);
            let next = ends_at.saturating_add(rate.interval_ns());
            next.clamp(first, now_ns.saturating_add(LONGEST_LINE_NS).max(first))
        };
        // The closure never declines.
        let before =
            self.line_ends_at_ns
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |ends_at| {
                    Some(end(ends_at))
                });
        end(before.unwrap_or(now_ns)) - now_ns
    }

    /// Takes one from the bucket of an address: when the client's address is known.
    ///
    /// # Errors
    /// [`Refusal::AddressRate`].
    pub fn admit_address(&self, address: IpAddr, now_ms: u64) -> Result<(), Refusal> {
        let Some(rate) = self.limits.per_address else {
            return Ok(());
        };
        let (key, now_ns) = (AddressKey::from(address), ns(now_ms));
        let mut table = self.addresses.lock();
        table.turn_if_due(now_ns, period_ns(rate));
        let known = table.young.get(&key).or_else(|| table.old.get(&key));
        let full_at = known.copied().unwrap_or(0);
        let next = rate
            .step(full_at, now_ns)
            .map_err(|wait| Refusal::AddressRate {
                wait_ms: wait_ms(wait),
            })?;
        if table.young.len() >= (self.limits.max_addresses / 2).max(1)
            && !table.young.contains_key(&key)
        {
            table.turn(now_ns);
        }
        table.old.remove(&key);
        table.young.insert(key, next);
        Ok(())
    }

    /// Forgets addresses whose buckets are full again. Every call of [`Self::admit_address`] does this too; a
    /// timer (a minute is fine) does it for a server that nobody calls any more.
    pub fn sweep(&self, now_ms: u64) {
        if let Some(rate) = self.limits.per_address {
            self.addresses
                .lock()
                .turn_if_due(ns(now_ms), period_ns(rate));
        }
    }

    /// Addresses remembered now.
    #[must_use]
    pub fn addresses(&self) -> usize {
        let table = self.addresses.lock();
        table.young.len() + table.old.len()
    }
}

/// How often the generations turn: when the youngest bucket is full, but not so often that turning costs.
fn period_ns(rate: Rate) -> u64 {
    rate.refill_ns().max(1_000_000_000)
}

fn ns(ms: u64) -> u64 {
    ms.saturating_mul(1_000_000)
}

fn wait_ms(wait_ns: u64) -> u64 {
    wait_ns.div_ceil(1_000_000)
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
