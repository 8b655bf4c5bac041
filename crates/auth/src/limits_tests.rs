//! Tests of the limits.

use std::net::IpAddr;
use std::sync::Arc;

use super::*;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

fn person(bounds: Bounds) -> Limits {
    Limits {
        person: bounds,
        ..Limits::default()
    }
}

fn events(per_second: u32) -> Bounds {
    Bounds {
        events: Some(per_second),
        ..Bounds::default()
    }
}

fn signed_in(ledger: &Arc<Ledger>, name: &str, now_ms: u64) -> Meter {
    let mut meter = ledger.meter(HERE, now_ms);
    meter.enter(1, name, now_ms).unwrap();
    meter
}

fn passed(meter: &Meter, times: std::ops::Range<u64>) -> usize {
    times.filter(|now| meter.event(1, *now).is_ok()).count()
}

#[test]
fn a_second_s_worth_may_come_at_once_and_then_the_rate_holds() {
    let ledger = Ledger::new(person(events(10)));
    for start in [0, 5_000_000] {
        let meter = signed_in(&ledger, &format!("ada at {start}"), start);
        let at_once = (0..50).filter(|_| meter.event(1, start).is_ok()).count();
        assert_eq!(at_once, 10);
        assert_eq!(
            meter.event(1, start),
            Err(Hit {
                scope: Scope::Person,
                limit: Limit::Events,
                past: Past::Refuse,
                retry_in_ms: 100,
            })
        );
        assert_eq!(passed(&meter, start + 1..start + 2_001), 20);
    }
}

#[test]
fn all_connections_of_a_person_share_an_account_and_others_do_not() {
    let ledger = Ledger::new(person(events(4)));
    let (one, two) = (signed_in(&ledger, "ada", 0), signed_in(&ledger, "ada", 0));
    let eve = signed_in(&ledger, "eve", 0);
    let both = (0..8)
        .filter(|n| if n % 2 == 0 { &one } else { &two }.event(1, 0).is_ok())
        .count();
    assert_eq!(both, 4);
    assert!(eve.event(1, 0).is_ok());
    // A new connection buys nothing.
    drop((one, two));
    assert!(signed_in(&ledger, "ada", 0).event(1, 0).is_err());
}

#[test]
fn what_one_scope_refuses_costs_the_others_nothing() {
    let ledger = Ledger::new(Limits {
        node: events(5),
        ..person(events(2))
    });
    let (ada, eve) = (signed_in(&ledger, "ada", 0), signed_in(&ledger, "eve", 0));
    let hits: Vec<_> = (0..20).filter_map(|_| ada.event(1, 0).err()).collect();
    assert_eq!(hits.len(), 18);
    assert!(hits.iter().all(|hit| hit.scope == Scope::Person));
    assert_eq!(passed(&eve, 0..1), 1);
    assert_eq!(passed(&eve, 0..1), 1);
    // Ada's two and Eve's two: one is left, and it's nobody's.
    let anonymous = ledger.meter(HERE, 0);
    assert!(anonymous.event(1, 0).is_ok());
    let refused = anonymous.event(1, 0).unwrap_err();
    assert_eq!(refused.scope, Scope::Node);
    let hits: Vec<_> = ledger.hits().filter(|(.., count)| *count > 0).collect();
    assert_eq!(
        hits,
        [
            (Scope::Person, Limit::Events, 18),
            (Scope::Node, Limit::Events, 1)
        ]
    );
}

#[test]
fn who_is_slowed_is_served_and_waits_for_what_it_was() {
    let ledger = Ledger::new(Limits {
        past_events: Past::Slow,
        ..person(events(10))
    });
    let meter = signed_in(&ledger, "ada", 0);
    let waits: Vec<u64> = (0..13)
        .filter_map(|_| meter.event(1, 0).err())
        .map(|hit| hit.retry_in_ms)
        .collect();
    assert_eq!(waits, [100, 200, 300]);
    // The debt has a bound.
    for _ in 0..10_000 {
        let _ = meter.event(1, 0);
    }
    assert_eq!(meter.event(1, 0).unwrap_err().retry_in_ms, 60_000);
    assert!(meter.event(1, 60_100).is_ok());
}

#[test]
fn bytes_count_however_many_came_and_events_wait_for_it() {
    let bytes = Bounds {
        bytes: Some(1_000),
        ..Bounds::default()
    };
    let ledger = Ledger::new(person(bytes));
    let mut meter = signed_in(&ledger, "ada", 0);
    assert_eq!(meter.bytes(1_000, 0), Ok(()));
    let hit = meter.bytes(2_000, 0).unwrap_err();
    assert_eq!((hit.limit, hit.retry_in_ms), (Limit::Bytes, 2_000));
    assert!(meter.event(1, 1_999).is_err());
    assert!(meter.event(1, 2_000).is_ok());
}

#[test]
fn connections_are_counted_once_a_person_and_given_back() {
    let bounds = Bounds {
        connections: Some(2),
        ..Bounds::default()
    };
    let ledger = Ledger::new(person(bounds));
    let mut first = signed_in(&ledger, "ada", 0);
    // Another namespace of the same connection.
    assert_eq!(first.enter(2, "ada", 0), Ok(()));
    let second = signed_in(&ledger, "ada", 0);
    let mut third = ledger.meter(HERE, 0);
    let hit = third.enter(1, "ada", 0).unwrap_err();
    assert_eq!(
        (hit.limit, hit.limit.code()),
        (Limit::Connections, "too_many_connections")
    );
    assert_eq!(third.enter(1, "eve", 0), Ok(()));
    first.leave(1);
    assert!(third.enter(2, "ada", 0).is_err(), "one namespace is left");
    first.leave(2);
    assert_eq!(third.enter(2, "ada", 0), Ok(()));
    drop(second);
    assert_eq!(first.enter(3, "ada", 0), Ok(()));
}

#[test]
fn rooms_are_counted_over_all_sockets_of_a_person() {
    let bounds = Bounds {
        rooms: Some(2),
        joins: Some(100),
        ..Bounds::default()
    };
    let ledger = Ledger::new(person(bounds));
    let (one, two) = (signed_in(&ledger, "ada", 0), signed_in(&ledger, "ada", 0));
    for meter in [&one, &two] {
        assert_eq!(meter.join(1, 0), Ok(()));
        meter.room(1, true);
    }
    let hit = one.join(1, 0).unwrap_err();
    assert_eq!(
        (hit.limit, hit.limit.code()),
        (Limit::Rooms, "too_many_rooms")
    );
    two.room(1, false);
    assert_eq!(one.join(1, 0), Ok(()));
}

#[test]
fn an_ipv6_client_is_its_64_and_mapped_addresses_are_ipv4() {
    let limits = Limits {
        address: events(1),
        ..Limits::default()
    };
    let ledger = Ledger::new(limits);
    let meter = |address: &str| ledger.meter(address.parse().unwrap(), 0);
    for (address, ok) in [
        ("2001:db8::1", true),
        ("2001:db8::2", false),
        ("2001:db8:0:1::1", true),
        ("192.0.2.1", true),
        ("::ffff:192.0.2.1", false),
    ] {
        assert_eq!(meter(address).event(1, 0).is_ok(), ok, "{address}");
    }
}

#[test]
fn the_table_has_a_bound_whoever_comes() {
    let limits = Limits {
        address: events(1),
        ..Limits::default()
    };
    let ledger = Ledger::new(limits);
    let kept: Vec<Meter> = (0..3_000_u32)
        .map(|n| ledger.meter(IpAddr::V4(n.into()), 0))
        .collect();
    for n in 0..300_000_u32 {
        let meter = ledger.meter(IpAddr::V4((0x0a00_0000 + n).into()), 0);
        assert!(meter.event(1, 0).is_ok());
    }
    let (addresses, _) = ledger.sizes();
    assert!(addresses <= 2 * MAX_IDLE + 2 * kept.len(), "{addresses}");
    // Those whose allowance is full again are forgotten first.
    for n in 0..140_000_u32 {
        let _ = ledger.meter(IpAddr::V4((0x1a00_0000 + n).into()), 5_000);
    }
    let (addresses, _) = ledger.sizes();
    assert!(addresses <= MAX_IDLE + 2 * kept.len(), "{addresses}");
}

#[test]
fn a_client_is_told_once_a_second() {
    let ledger = Ledger::new(person(events(1)));
    let mut meter = signed_in(&ledger, "ada", 0);
    let told: Vec<u64> = (0..3_000).filter(|now| meter.tell_client(*now)).collect();
    assert_eq!(told, [0, 1_000, 2_000]);
    assert!(meter.tell_others(2_999), "apart from its client");
}

#[test]
fn an_account_takes_32_bytes() {
    assert_eq!(size_of::<Account>(), 32);
}
