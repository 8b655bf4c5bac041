//! Entries that Redis numbers: the numbers are the order of the stream, without holes, whatever happens in between.

mod server;

use std::collections::BTreeMap;
use std::time::Duration;

use lakh_broker::Once;
use lakh_broker::cluster::streams::StreamId;
use lakh_broker::cluster::{Data, Message};
use lakh_broker::redis::{Backend, Config, Event, Inbound, Link, PublishError};
use server::between::{Between, Cut};
use server::{Redis, Tested, config, event, linked, message, name, next, packed, soon, wait_for};

/// What was told of an entry of one's own.
type Told = BTreeMap<u64, (StreamId, Option<u64>)>;

/// Reads until so many entries were told of; what others sent is passed over.
async fn told(inbound: &mut Inbound, count: usize) -> Result<Told, Box<dyn std::error::Error>> {
    let mut told = Told::new();
    while told.len() < count {
        if let Event::Appended {
            ticket,
            offset,
            number,
        } = next(inbound).await?
        {
            assert_eq!(told.insert(ticket, (offset, number)), None, "told twice");
        }
    }
    Ok(told)
}

/// The next entries as others see them: name, place, number.
async fn seen(
    inbound: &mut Inbound,
    count: usize,
) -> Result<Vec<(String, StreamId, Option<u64>)>, Box<dyn std::error::Error>> {
    let mut seen = Vec::new();
    while seen.len() < count {
        let received = message(inbound).await?;
        let offset = received.offset.ok_or("it stands nowhere")?;
        seen.push((name(&received.message), offset, received.number));
    }
    Ok(seen)
}

/// Numbers from 1 on, in the order of the stream, and each name once.
fn check(seen: &[(String, StreamId, Option<u64>)]) {
    for (i, (_, _, number)) in seen.iter().enumerate() {
        assert_eq!(*number, Some(i as u64 + 1));
    }
    assert!(seen.is_sorted_by(|a, b| a.1 < b.1));
    let mut names: Vec<&str> = seen.iter().map(|(name, _, _)| name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), seen.len());
}

#[tokio::test]
async fn each_counter_counts_for_itself_and_from_its_floor_on() -> Tested {
    for stream in ["socket.io", "{tag}io", "a{b"] {
        let redis = Redis::start_cluster()?;
        let url = format!("redis+cluster://127.0.0.1:{}", redis.port());
        let backend = Backend::Streams {
            stream: stream.to_owned(),
            max_len: 1000,
            session_prefix: "s:".to_owned(),
        };
        let (a, mut to_a) = linked(config(&url, backend.clone())).await?;
        let (b, mut to_b) = linked(config(&url, backend)).await?;
        b.subscribe("/x");
        let entries = [
            ("/", "r", 0, 1),
            ("/", "r", 0, 2),
            ("/", "q", 0, 1),
            ("/x", "r", 0, 1),
            ("/", "r", 10, 11),
            ("/", "r", 3, 12),
            // As far as numbers are exact.
            ("/", "r", (1 << 53) - 2, (1 << 53) - 1),
        ];
        for (nsp, counter, floor, _) in entries {
            a.publish_counted(nsp, &event("e"), (counter, floor), None)?;
        }
        a.publish("/", &event("plain"))?;
        assert_eq!(a.last_ticket(), 8);
        let told = told(&mut to_a, 8).await?;
        let seen = seen(&mut to_b, 8).await?;
        for (i, (_, _, _, number)) in entries.iter().enumerate() {
            assert_eq!(seen[i].2, Some(*number));
            assert_eq!(told[&(i as u64 + 1)], (seen[i].1, Some(*number)));
        }
        assert_eq!((seen[7].2, told[&8].1), (None, None));
        assert_eq!(soon(b.count_of("/", "r")).await??, (1 << 53) - 1);
        assert_eq!(soon(b.count_of("/", "q")).await??, 1);
        assert_eq!(soon(b.count_of("/", "p")).await??, 0);
    }
    Ok(())
}

#[tokio::test]
async fn a_counter_is_kept_for_a_day_and_a_forgotten_one_goes_on_from_its_floor() -> Tested {
    let redis = Redis::start(&[])?;
    let (a, mut to_a) = linked(config(&redis.url(), Backend::streams())).await?;
    a.publish_counted("/", &event("e"), ("r", 0), None)?;
    assert_eq!(told(&mut to_a, 1).await?[&1].1, Some(1));
    let left = redis.ask("TTL {socket.io}:n:/#r")?;
    assert!(
        [":86400\r\n", ":86399\r\n"].contains(&left.as_str()),
        "{left}"
    );
    assert!(redis.ask("DEL {socket.io}:n:/#r")?.starts_with(":1"));
    // Nor does it take a script that Redis still knows.
    assert!(redis.ask("SCRIPT FLUSH")?.starts_with("+OK"));
    a.publish_counted("/", &event("e"), ("r", 1), None)?;
    assert_eq!(told(&mut to_a, 1).await?[&2].1, Some(2));
    Ok(())
}

/// Another node sends again what one that died may have sent; so does a link that lost its connection.
#[tokio::test]
async fn what_is_to_stand_there_once_does_whoever_sends_it_again() -> Tested {
    let redis = Redis::start_cluster()?;
    let url = format!("redis+cluster://127.0.0.1:{}", redis.port());
    let (a, mut to_a) = linked(config(&url, Backend::streams())).await?;
    let (b, mut to_b) = linked(config(&url, Backend::streams())).await?;
    let once = |id: &str| Once {
        scope: "s".into(),
        id: id.into(),
        keep_ms: 60_000,
    };
    for id in ["1", "2", "2"] {
        a.publish_counted("/", &event(id), ("r", 0), Some(&once(id)))?;
    }
    let of_a = told(&mut to_a, 3).await?;
    let numbers: Vec<_> = of_a.values().map(|(_, number)| *number).collect();
    assert_eq!(numbers, [Some(1), Some(2), Some(2)]);
    for id in ["2", "3", "1"] {
        b.publish_counted("/", &event(id), ("r", 0), Some(&once(id)))?;
    }
    b.publish_counted("/", &event("4"), ("r", 0), None)?;
    let of_b = told(&mut to_b, 4).await?;
    let numbers: Vec<_> = of_b.values().map(|(_, number)| *number).collect();
    assert_eq!(numbers, [Some(2), Some(3), Some(1), Some(4)]);
    assert!(redis.ask("XLEN socket.io")?.starts_with(":4"));
    let left = redis.ask("PTTL {socket.io}:o:/#s#3")?;
    let left: u64 = left.trim_start_matches(':').trim().parse()?;
    assert!((1..=60_000).contains(&left), "{left}");
    Ok(())
}

#[tokio::test]
async fn only_entries_of_a_stream_are_counted() -> Tested {
    let redis = Redis::start(&[])?;
    let (a, _to_a) = linked(config(&redis.url(), Backend::streams())).await?;
    let passes = Message::ServerSideEmit {
        request: None,
        data: Data::Msgpack(vec![0x91, 0xa1, b'e'].into()),
    };
    let refused = a.publish_counted("/", &passes, ("r", 0), None);
    assert_eq!(refused, Err(PublishError::Uncounted));
    let (b, _to_b) = linked(config(&redis.url(), Backend::Classic)).await?;
    let refused = b.publish_counted("/", &packed("e"), ("r", 0), None);
    assert_eq!(refused, Err(PublishError::Uncounted));
    // What passes takes no ticket, nor does what was refused.
    assert_eq!(a.publish("/", &passes)?, None);
    assert_eq!((a.last_ticket(), b.last_ticket()), (0, 0));
    Ok(())
}

#[tokio::test]
async fn tickets_of_many_threads_are_in_the_order_of_the_stream() -> Tested {
    const THREADS: u64 = 4;
    const EACH: u64 = 2000;
    let redis = Redis::start(&[])?;
    let (a, mut to_a) = linked(config(&redis.url(), Backend::streams())).await?;
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let mut last = 0;
                for _ in 0..EACH {
                    let ticket = a.publish_counted("/", &event("e"), ("r", 0), None);
                    let ticket = ticket.expect("there is room");
                    assert!(last < ticket && ticket <= a.last_ticket());
                    last = ticket;
                }
            });
        }
    });
    assert_eq!(a.last_ticket(), THREADS * EACH);
    for expected in 1..=THREADS * EACH {
        let Event::Appended { ticket, number, .. } = next(&mut to_a).await? else {
            return Err("not told of an entry".into());
        };
        assert_eq!((ticket, number), (expected, Some(expected)));
    }
    Ok(())
}

async fn publish_some(link: &Link, by: &str, range: std::ops::Range<usize>) -> Tested {
    for i in range {
        link.publish_counted("/", &event(&format!("{by}{i}")), ("r", 0), None)?;
        if i % 8 == 0 {
            // The others' turn.
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

#[tokio::test]
async fn two_nodes_count_without_holes_while_connections_are_cut_and_redis_restarts() -> Tested {
    const ROUNDS: usize = 4;
    const EACH: usize = 400;
    let mut redis = Redis::start(&["--appendonly", "yes", "--appendfsync", "always"])?;
    let (a, mut to_a) = linked(config(&redis.url(), Backend::streams())).await?;
    let (b, mut to_b) = linked(config(&redis.url(), Backend::streams())).await?;
    let (_c, mut to_c) = linked(config(&redis.url(), Backend::streams())).await?;
    let mut all = Vec::new();
    for round in 0..ROUNDS {
        let (start, half, end) = (round * EACH, round * EACH + EACH / 2, (round + 1) * EACH);
        tokio::try_join!(
            publish_some(&a, "a", start..half),
            publish_some(&b, "b", start..half)
        )?;
        // Some are on their way just now.
        all.extend(seen(&mut to_c, 1).await?);
        if round % 2 == 0 {
            redis.ask("CLIENT KILL TYPE normal SKIPME yes")?;
        } else {
            redis.kill()?;
            wait_for(&a, false).await?;
        }
        tokio::try_join!(
            publish_some(&a, "a", half..end),
            publish_some(&b, "b", half..end)
        )?;
        if round % 2 == 1 {
            redis.restart()?;
        }
        all.extend(seen(&mut to_c, 2 * end - all.len()).await?);
    }
    check(&all);
    for (link, inbound, by) in [(&a, &mut to_a, "a"), (&b, &mut to_b, "b")] {
        let told = told(inbound, ROUNDS * EACH).await?;
        let own: Vec<_> = all.iter().filter(|seen| seen.0.starts_with(by)).collect();
        for (i, (ticket, told)) in told.iter().enumerate() {
            assert_eq!(*ticket, i as u64 + 1);
            assert_eq!(own[i].0, format!("{by}{i}"));
            assert_eq!(*told, (own[i].1, own[i].2));
        }
        assert_eq!(link.last_ticket(), (ROUNDS * EACH) as u64);
        assert_eq!(soon(link.count_of("/", "r")).await??, all.len() as u64);
    }
    Ok(())
}

#[tokio::test]
async fn an_entry_whose_answer_was_lost_is_found_again_with_its_number() -> Tested {
    let redis = Redis::start(&[])?;
    let between = Between::put(&redis, Cut::Nobody)?;
    let (a, mut to_a) = linked(config(&between.url(), Backend::streams())).await?;
    let (b, mut to_b) = linked(config(&redis.url(), Backend::streams())).await?;
    let mut all = Vec::new();
    for round in 0..5 {
        between.cut(Cut::Answer);
        for i in 0..3 {
            a.publish_counted("/", &event(&format!("a{round}.{i}")), ("r", 0), None)?;
        }
        let told = told(&mut to_a, 3).await?;
        assert_eq!(between.cuts(), Cut::Nobody, "the answer was lost");
        b.publish_counted("/", &event(&format!("b{round}")), ("r", 0), None)?;
        let last = all.len();
        all.extend(seen(&mut to_b, 3).await?);
        for (told, seen) in told.values().zip(&all[last..]) {
            assert_eq!(*told, (seen.1, seen.2));
        }
        // Its own is not handed out to b, but to a.
        all.extend(seen(&mut to_a, 1).await?);
    }
    check(&all);
    // What was found again is told of before the connection counts as made.
    wait_for(&a, true).await?;
    assert!(a.stats().connects >= 6, "{:?}", a.stats());
    Ok(())
}

#[tokio::test]
async fn nothing_is_counted_twice_when_redis_stands_still_and_goes_on() -> Tested {
    let redis = Redis::start(&[])?;
    let impatient = Config {
        response_timeout: Duration::from_millis(100),
        connect_timeout: Duration::from_millis(100),
        ..config(&redis.url(), Backend::streams())
    };
    let (a, _to_a) = linked(impatient).await?;
    let (_b, mut to_b) = linked(config(&redis.url(), Backend::streams())).await?;
    let mut all = Vec::new();
    for round in 0..3 {
        redis.signal("STOP")?;
        publish_some(&a, "a", round * 200..(round + 1) * 200).await?;
        // Given up, with all of it in the buffers of a connection that Redis has not looked at yet.
        wait_for(&a, false).await?;
        redis.signal("CONT")?;
        all.extend(seen(&mut to_b, 200).await?);
    }
    check(&all);
    Ok(())
}
