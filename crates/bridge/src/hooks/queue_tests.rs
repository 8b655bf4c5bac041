//! The queue against a plain model: events, outcomes, pauses and crashes in any order that chance gives.
#![allow(clippy::unwrap_used)] // A panic is how a test fails.

use std::collections::HashSet;

use super::config::{Endpoint, Order};
use super::event::Stored;
use super::queue::{Attempt, Now, Outcome, Queue};
use super::queue_world::{LANES, World};
use super::retry::Retry;

fn endpoint(order: Order) -> Endpoint {
    Endpoint {
        batch_events: 4,
        concurrency: 3,
        batch_wait: std::time::Duration::from_millis(20),
        retry: Retry {
            first_ms: 100,
            longest_ms: 1_000,
        },
        max_attempts: u32::MAX,
        order,
        ..Endpoint::new("a", "https://a.example", Vec::new())
    }
}

#[test]
fn nothing_is_lost_and_each_lane_keeps_its_order_whatever_fails_and_dies() {
    for seed in 1..400 {
        let order = [Order::Room, Order::All][(seed % 4 == 0) as usize];
        let mut world = World::new(seed, endpoint(order));
        for _ in 0..300 {
            world.step();
        }
        world.recover();
        assert!(world.disk.dead.is_empty());
        for (lane, sent) in &world.sent {
            assert_eq!(
                world.taken.get(lane),
                Some(sent),
                "seed {seed}, lane {lane}"
            );
        }
    }
}

#[test]
fn what_fails_for_good_becomes_a_dead_letter_and_the_rest_arrives_in_order() {
    for seed in 1..200 {
        let mut world = World::new(
            seed,
            Endpoint {
                max_attempts: 3,
                ..endpoint(Order::Room)
            },
        );
        for _ in 0..300 {
            world.step();
        }
        world.recover();
        let dead: HashSet<_> = world
            .disk
            .dead
            .iter()
            .map(|event| event.id.clone())
            .collect();
        for (lane, sent) in &world.sent {
            let taken = world.taken.get(lane).cloned().unwrap_or_default();
            let all: HashSet<_> = taken.iter().cloned().chain(dead.iter().cloned()).collect();
            assert!(sent.iter().all(|id| all.contains(id)), "seed {seed}");
            // What was given up may have been taken nevertheless, now or after the node has died; the others are in order.
            let taken: Vec<_> = taken.iter().filter(|id| !dead.contains(*id)).collect();
            let alive: Vec<_> = sent.iter().filter(|id| !dead.contains(*id)).collect();
            assert_eq!(taken, alive, "seed {seed}");
        }
    }
}

#[test]
fn a_lane_that_always_fails_holds_back_itself_alone() {
    let mut world = World::new(7, endpoint(Order::Room));
    world.bad.insert(0);
    for _ in 0..50 {
        (0..LANES).for_each(|lane| world.append(lane));
    }
    for _ in 0..400 {
        world.read();
        world.launch();
        world.land(false);
        world.save(usize::MAX);
        world.pass(20);
    }
    for lane in 1..LANES {
        assert_eq!(world.taken.get(&lane), world.sent.get(&lane), "{lane}");
    }
    assert_eq!(world.taken.get(&0), None);
    // The log itself is empty: the lane has one of its own, whole and in order.
    assert!(world.disk.log.is_empty());
    let held = world.disk.held[&0].entries.values();
    let held: Vec<_> = held.map(|event| event.id.clone()).collect();
    assert_eq!(Some(&held), world.sent.get(&0));
    world.recover();
    assert_eq!(world.taken.get(&0), world.sent.get(&0));
}

#[test]
fn an_endpoint_that_is_away_is_asked_ever_more_seldom_and_then_gets_everything() {
    let mut world = World::new(7, endpoint(Order::Room));
    world.is_away = true;
    for _ in 0..50 {
        (0..LANES).for_each(|lane| world.append(lane));
    }
    let mut attempts = 0;
    for _ in 0..3_000 {
        world.read();
        world.launch();
        attempts += world.flying.len();
        while !world.flying.is_empty() {
            world.land(false);
        }
        world.save(usize::MAX);
        world.pass(20);
    }
    // A minute, with a second between.
    assert!((40..=120).contains(&attempts), "{attempts}");
    assert!(world.queue.is_down());
    assert!(world.disk.held.is_empty(), "nobody is to blame");
    world.recover();
    assert_eq!(world.taken, world.sent);
}

#[test]
fn two_that_store_the_other_way_round_are_put_in_order() {
    let mut queue = Queue::new(endpoint(Order::Room));
    let event = |at, seq| Stored {
        at,
        id: format!("e{at}").into(),
        lane: 1,
        seq,
        stored_ms: 0,
        json: b"{}".as_slice().into(),
    };
    let all = [(1, Some(5)), (2, None), (3, Some(7)), (4, Some(6))];
    for (at, seq) in all {
        queue.take_in(event(at, seq), 0);
    }
    let at = |ms| Now {
        steady_ms: ms,
        wall_ms: ms,
    };
    assert_eq!(queue.next(at(19)), None, "they wait for others");
    assert_eq!(queue.due_ms(), Some(20));
    let Some(Attempt::Fresh { flight, events }) = queue.next(at(20)) else {
        panic!("nothing to send");
    };
    let order: Vec<_> = events.iter().map(|event| event.at).collect();
    assert_eq!(order, [1, 2, 4, 3]);
    queue.finish(flight, &Outcome::Taken, Vec::new(), at(30), 0);
    assert_eq!(queue.late, 0);
    // Whoever comes later than that is sent, and counted.
    queue.take_in(event(5, Some(4)), 30);
    let Some(Attempt::Fresh { flight, .. }) = queue.next(at(60)) else {
        panic!("nothing to send");
    };
    queue.finish(flight, &Outcome::Taken, Vec::new(), at(60), 0);
    assert_eq!(queue.late, 1);
}

#[test]
fn what_waits_for_too_long_becomes_a_dead_letter() {
    let mut world = World::new(
        3,
        Endpoint {
            max_age_ms: 10_000,
            ..endpoint(Order::Room)
        },
    );
    world.is_away = true;
    world.append(1);
    world.read();
    world.pass(9_000);
    world.append(2);
    world.read();
    world.pass(2_000);
    world.launch();
    world.save(usize::MAX);
    assert_eq!(world.disk.dead.len(), 1);
    assert_eq!(world.disk.dead[0].lane, 1);
    world.recover();
    assert_eq!(world.taken.get(&2), world.sent.get(&2));
}

#[test]
fn what_rooms_that_fail_may_hold_is_bounded_and_the_rest_becomes_dead_letters() {
    let mut world = World::new(
        5,
        Endpoint {
            max_bytes: 200,
            ..endpoint(Order::Room)
        },
    );
    world.bad.insert(0);
    world.append(0);
    for _ in 0..100 {
        world.read();
        world.launch();
        world.land(false);
        world.save(usize::MAX);
        world.pass(20);
        world.append(0);
    }
    world.read();
    world.save(usize::MAX);
    let held: usize = world.disk.held[&0]
        .entries
        .values()
        .map(|event| event.json.len())
        .sum();
    assert!((200..=300).contains(&held), "{held}");
    assert!(world.disk.dead.len() > 50, "{}", world.disk.dead.len());
    assert!(world.disk.log.is_empty());
    world.recover();
    let dead: HashSet<_> = world
        .disk
        .dead
        .iter()
        .map(|event| event.id.clone())
        .collect();
    let rest: Vec<_> = world.sent[&0]
        .iter()
        .filter(|id| !dead.contains(*id))
        .cloned()
        .collect();
    assert_eq!(world.taken[&0], rest, "in order");
}
