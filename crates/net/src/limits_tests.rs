//! Tests of the connection and handshake limits, under a clock made of numbers.
#![allow(clippy::unwrap_used)] // A panic is how a test fails.

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn cap(total: usize, per_address: u32) -> Arc<ConnectionCap> {
    ConnectionCap::new(ConnectionLimits {
        total: Some(total),
        per_address: Some(per_address),
    })
}

fn rate(per_second: u32, burst: u32) -> Rate {
    Rate { per_second, burst }
}

#[test]
fn a_full_process_refuses_and_a_dropped_permit_makes_room() {
    let cap = cap(2, 10);
    let first = cap.try_open().unwrap();
    let _second = cap.try_open().unwrap();
    assert_eq!(cap.try_open().unwrap_err(), Refusal::ProcessFull);
    assert_eq!(cap.open(), 2);
    drop(first);
    assert!(cap.try_open().is_ok());
}

#[test]
fn the_sixty_fourth_of_an_ipv6_address_counts_as_one_address() {
    let cap = cap(10, 1);
    let mut a = cap.try_open().unwrap();
    a.set_address(ip("2001:db8:0:1::1")).unwrap();
    let mut b = cap.try_open().unwrap();
    assert_eq!(
        b.set_address(ip("2001:db8:0:1:ffff::9")),
        Err(Refusal::AddressFull)
    );
    assert_eq!(b.set_address(ip("2001:db8:0:2::1")), Ok(()));
}

#[test]
fn a_mapped_ipv4_address_counts_as_the_ipv4_address() {
    assert_eq!(
        AddressKey::from(ip("::ffff:10.0.0.1")),
        AddressKey::from(ip("10.0.0.1"))
    );
    assert_ne!(
        AddressKey::from(ip("::10.0.0.1")),
        AddressKey::from(ip("10.0.0.1"))
    );
}

#[test]
fn an_address_vanishes_with_its_last_connection() {
    let cap = cap(10, 2);
    let mut a = cap.try_open().unwrap();
    let mut b = cap.try_open().unwrap();
    a.set_address(ip("10.0.0.1")).unwrap();
    b.set_address(ip("10.0.0.1")).unwrap();
    drop(a);
    assert_eq!(cap.addresses(), 1);
    drop(b);
    assert_eq!((cap.addresses(), cap.open()), (0, 0));
}

#[test]
fn a_connection_that_changes_its_client_moves_its_count() {
    let cap = cap(10, 1);
    let mut proxy = cap.try_open().unwrap();
    proxy.set_address(ip("10.0.0.1")).unwrap();
    proxy.set_address(ip("10.0.0.2")).unwrap();
    assert_eq!(cap.addresses(), 1);
    let mut other = cap.try_open().unwrap();
    assert_eq!(other.set_address(ip("10.0.0.1")), Ok(()));
    // Refused, the permit keeps what it had.
    assert_eq!(other.set_address(ip("10.0.0.2")), Err(Refusal::AddressFull));
    drop(proxy);
    assert_eq!(cap.addresses(), 1);
}

#[test]
fn the_map_gives_its_memory_back_after_a_storm() {
    let cap = cap(usize::MAX, 1);
    let permits: Vec<_> = (0..10_000u32)
        .map(|i| {
            let mut permit = cap.try_open().unwrap();
            permit.set_address(IpAddr::V4(i.into())).unwrap();
            permit
        })
        .collect();
    assert!(cap.by_address.lock().capacity() >= 10_000);
    drop(permits);
    assert!(cap.by_address.lock().capacity() < 512);
}

#[test]
fn permits_taken_from_many_threads_never_pass_the_bound() {
    let cap = cap(50, 1_000);
    let taken: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    (0..100)
                        .filter_map(|_| cap.try_open().ok())
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|w| w.join().unwrap())
            .collect()
    });
    assert_eq!((taken.len(), cap.open()), (50, 50));
    drop(taken);
    assert_eq!(cap.open(), 0);
}

#[test]
fn a_process_bucket_gives_its_burst_and_then_its_rate() {
    let limits = RateLimits {
        process: Some(rate(10, 5)),
        ..RateLimits::default()
    };
    let handshakes = HandshakeRate::new(limits);
    let now = 1_000_000;
    for _ in 0..5 {
        handshakes.admit(now).unwrap();
    }
    assert_eq!(
        handshakes.admit(now),
        Err(Refusal::ProcessRate { wait_ms: 100 })
    );
    assert_eq!(
        handshakes.admit(now + 99),
        Err(Refusal::ProcessRate { wait_ms: 101 }),
        "the one before it comes first"
    );
    assert_eq!(handshakes.admit(now + 100), Ok(()));
    // An hour of rest is one burst, not 36,000.
    let later = now + 3_600_000;
    let taken = (0..100).filter(|_| handshakes.admit(later).is_ok()).count();
    assert_eq!(taken, 5);
}

fn per_address(rate: Rate, max_addresses: usize) -> HandshakeRate {
    HandshakeRate::new(RateLimits {
        process: None,
        per_address: Some(rate),
        max_addresses,
    })
}

#[test]
fn one_loud_address_does_not_take_from_another() {
    let handshakes = per_address(rate(1, 2), 100);
    for _ in 0..2 {
        handshakes.admit_address(ip("10.0.0.1"), 5).unwrap();
    }
    assert_eq!(
        handshakes.admit_address(ip("10.0.0.1"), 5),
        Err(Refusal::AddressRate { wait_ms: 1000 })
    );
    assert_eq!(handshakes.admit_address(ip("10.0.0.2"), 5), Ok(()));
}

#[test]
fn a_turn_of_generations_does_not_refill_a_bucket() {
    let handshakes = per_address(rate(1, 4), 100);
    let mut taken = 0;
    // Six tries each 100 ms for 20 s: the burst of 4 and one a second, whenever the table turned meanwhile.
    for now in (0..20_000).step_by(100) {
        taken += (0..6)
            .filter(|_| handshakes.admit_address(ip("10.0.0.1"), now).is_ok())
            .count();
    }
    assert_eq!(taken, 4 + 19);
}

#[test]
fn the_table_of_addresses_stays_within_its_bound() {
    let handshakes = per_address(rate(1, 60), 1_000);
    for i in 0..50_000u32 {
        handshakes.admit_address(IpAddr::V4(i.into()), 7).unwrap();
        assert!(handshakes.addresses() <= 1_000);
    }
    // The latest are still remembered.
    assert!(handshakes.addresses() >= 500);
}

#[test]
fn idle_addresses_are_forgotten() {
    let handshakes = per_address(rate(10, 10), 1_000);
    handshakes.admit_address(ip("10.0.0.1"), 0).unwrap();
    handshakes.sweep(1_000);
    assert_eq!(handshakes.addresses(), 1);
    handshakes.sweep(2_000);
    assert_eq!(handshakes.addresses(), 0);
}

#[test]
fn retry_after_is_spread_between_the_wait_and_twice_the_wait() {
    let refusal = Refusal::ProcessRate { wait_ms: 3_200 };
    let answers: Vec<_> = (0..100)
        .map(|random| refusal.retry_after_s(random))
        .collect();
    assert_eq!(answers.iter().min(), Some(&4));
    assert_eq!(answers.iter().max(), Some(&8));
    assert!(Refusal::AddressRate { wait_ms: 0 }.retry_after_s(0) >= 1);
    assert_eq!(Refusal::ProcessFull.status(), 503);
    assert_eq!(Refusal::AddressFull.status(), 429);
}

#[test]
fn those_who_are_refused_are_told_to_come_back_at_the_rate_that_is_served() {
    let limits = RateLimits {
        process: Some(Rate {
            per_second: 100,
            burst: 100,
        }),
        ..RateLimits::default()
    };
    let handshakes = HandshakeRate::new(limits);
    let waits: Vec<u64> = (0..1_100)
        .filter_map(|_| match handshakes.admit(5_000) {
            Ok(()) => None,
            Err(Refusal::ProcessRate { wait_ms }) => Some(wait_ms),
            Err(other) => panic!("{other}"),
        })
        .collect();
    assert_eq!(waits.len(), 1_000);
    // A place each 10 ms, the first when the bucket has room again.
    assert_eq!((waits[0], waits[1], waits[999]), (10, 20, 10_000));
    // Ten seconds on, nobody stands in line; and the line is never longer than anybody waits.
    for _ in 0..100 {
        handshakes.admit(15_000).unwrap();
    }
    let mut last = 0;
    for _ in 0..5_000 {
        last = match handshakes.admit(15_000) {
            Err(Refusal::ProcessRate { wait_ms }) => wait_ms,
            other => panic!("{other:?}"),
        };
    }
    assert_eq!(last, 30_000);
}
