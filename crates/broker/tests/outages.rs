//! Redis goes away and comes back, or is too slow, or too fast for a node.

mod server;

use std::time::Duration;

use lakh_broker::cluster::sharded::Mode;
use lakh_broker::cluster::streams::StreamId;
use lakh_broker::cluster::{Data, Message, Opts};
use lakh_broker::redis::{Backend, Config, Event, Gap, Link, PublishError};
use server::between::{Between, Cut};
use server::{
    Redis, Tested, config, event, linked, message, name, next, packed, packed_to, soon, wait_for,
};

#[tokio::test]
async fn pub_sub_comes_back_after_redis_and_says_that_something_may_be_missed() -> Tested {
    for backend in [
        Backend::Classic,
        Backend::Sharded {
            mode: Mode::Dynamic,
        },
    ] {
        let mut redis = Redis::start(&[])?;
        let (a, _to_a) = linked(config(&redis.url(), backend.clone())).await?;
        let (b, mut to_b) = linked(config(&redis.url(), backend.clone())).await?;
        b.want_room("/", "r");
        soon(b.settled()).await?;
        let since_ms = a.state().since_ms;
        redis.kill()?;
        wait_for(&a, false).await?;
        wait_for(&b, false).await?;
        assert!(a.state().since_ms > since_ms);
        let lost = a.publish("/", &packed("lost"));
        assert_eq!(lost, Err(PublishError::Down));
        // Wanted while Redis is away.
        b.want_room("/", "new");
        redis.restart()?;
        wait_for(&a, true).await?;
        soon(b.settled()).await?;
        assert_eq!(next(&mut to_b).await?, Event::Gap(Gap::Reconnected));
        for room in ["r", "new"] {
            a.publish("/", &packed_to(room, Opts::rooms([room])))?;
            assert_eq!(name(&message(&mut to_b).await?.message), room);
        }
        assert!(b.stats().connects >= 2);
    }
    Ok(())
}

#[tokio::test]
async fn a_stream_loses_and_doubles_nothing_while_redis_is_away() -> Tested {
    let durable = ["--appendonly", "yes", "--appendfsync", "always"];
    let mut redis = Redis::start(&durable)?;
    let (a, mut to_a) = linked(config(&redis.url(), Backend::streams())).await?;
    let echo = Config {
        echo: true,
        ..config(&redis.url(), Backend::streams())
    };
    let (b, mut to_b) = linked(echo).await?;
    const ROUNDS: usize = 4;
    const EACH: usize = 500;
    let mut seen = Vec::new();
    for round in 0..ROUNDS {
        for i in 0..EACH {
            a.publish("/", &event(&format!("{}", round * EACH + i)))?;
            if i == EACH / 2 {
                // Some of them are on their way just now.
                seen.push(name(&message(&mut to_b).await?.message));
                redis.kill()?;
            }
        }
        wait_for(&b, false).await?;
        b.publish("/", &event("from b"))?;
        redis.restart()?;
        wait_for(&a, true).await?;
        wait_for(&b, true).await?;
        while seen.len() < (round + 1) * (EACH + 1) {
            seen.push(name(&message(&mut to_b).await?.message));
        }
    }
    let (own, others): (Vec<_>, Vec<_>) = seen.into_iter().partition(|name| name == "from b");
    assert_eq!(own.len(), ROUNDS);
    let expected: Vec<String> = (0..ROUNDS * EACH).map(|i| i.to_string()).collect();
    assert_eq!(others, expected);
    let mut offsets = Vec::new();
    let mut told = 0;
    while told < ROUNDS * EACH {
        if let Event::Appended { offset, ticket, .. } = next(&mut to_a).await? {
            told += 1;
            assert_eq!(ticket, told as u64);
            offsets.push(offset);
        }
    }
    assert!(offsets.is_sorted());
    assert_eq!(a.stats().lost, 0);
    Ok(())
}

#[tokio::test]
async fn what_is_sent_before_the_reader_is_there_comes_back_once() -> Tested {
    let mut redis = Redis::start(&[])?;
    redis.kill()?;
    let between = Between::put(&redis, Cut::Readers)?;
    let echo = Config {
        echo: true,
        ..config(&between.url(), Backend::streams())
    };
    let (a, mut to_a) = Link::open(echo)?;
    a.subscribe("/");
    for i in 0..300 {
        a.publish("/", &event(&i.to_string()))?;
    }
    assert_eq!(a.start(), None);
    redis.restart()?;
    for _ in 0..300 {
        assert!(matches!(next(&mut to_a).await?, Event::Appended { .. }));
    }
    assert_eq!(a.start(), Some(StreamId::default()));
    between.cut(Cut::Nobody);
    a.publish("/", &event("300"))?;
    for i in 0..=300 {
        let received = message(&mut to_a).await?;
        assert!(received.own);
        assert_eq!(name(&received.message), i.to_string());
    }
    Ok(())
}

#[tokio::test]
async fn a_stream_doubles_nothing_when_redis_stands_still_and_goes_on() -> Tested {
    let redis = Redis::start(&[])?;
    let impatient = Config {
        response_timeout: Duration::from_millis(100),
        connect_timeout: Duration::from_millis(100),
        ..config(&redis.url(), Backend::streams())
    };
    let (a, _to_a) = linked(impatient).await?;
    let (b, mut to_b) = linked(config(&redis.url(), Backend::streams())).await?;
    for round in 0..3 {
        redis.signal("STOP")?;
        for i in 0..200 {
            a.publish("/", &event(&format!("{}", round * 200 + i)))?;
        }
        // Given up, with all of it in the buffers of a connection that Redis has not looked at yet.
        wait_for(&a, false).await?;
        redis.signal("CONT")?;
        wait_for(&a, true).await?;
        for i in 0..200 {
            let expected = format!("{}", round * 200 + i);
            assert_eq!(name(&message(&mut to_b).await?.message), expected);
        }
    }
    a.publish("/", &event("end"))?;
    assert_eq!(name(&message(&mut to_b).await?.message), "end");
    assert!(b.state().up);
    Ok(())
}

#[tokio::test]
async fn a_stream_that_redis_lost_is_read_on_and_the_gap_is_told() -> Tested {
    let mut redis = Redis::start(&[])?;
    let (a, mut to_a) = linked(config(&redis.url(), Backend::streams())).await?;
    let (b, mut to_b) = linked(config(&redis.url(), Backend::streams())).await?;
    a.publish("/", &event("before"))?;
    assert_eq!(name(&message(&mut to_b).await?.message), "before");
    // Confirmed: or it would be sent again to a Redis that knows nothing of it.
    assert!(matches!(next(&mut to_a).await?, Event::Appended { .. }));
    redis.kill()?;
    wait_for(&b, false).await?;
    redis.restart()?;
    wait_for(&b, true).await?;
    assert_eq!(next(&mut to_b).await?, Event::Gap(Gap::Trimmed));
    a.publish("/", &event("after"))?;
    assert_eq!(name(&message(&mut to_b).await?.message), "after");
    Ok(())
}

#[tokio::test]
async fn what_is_published_while_redis_is_away_is_bounded() -> Tested {
    let mut redis = Redis::start(&[])?;
    let bounded = Config {
        max_outbound_bytes: 10_000,
        ..config(&redis.url(), Backend::streams())
    };
    let (a, _to_a) = linked(bounded).await?;
    redis.kill()?;
    wait_for(&a, false).await?;
    let mut taken = 0;
    let refused = loop {
        match a.publish("/", &event("x")) {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused, PublishError::Full);
    assert!(a.stats().outbound_bytes <= 10_000);
    // What only passes is of no use later.
    let emit = Message::ServerSideEmit {
        request: None,
        data: Data::Msgpack(vec![0x91, 0xa1, b'e'].into()),
    };
    assert_eq!(a.publish("/", &emit), Err(PublishError::Down));
    redis.restart()?;
    let (b, _to_b) = linked(config(&redis.url(), Backend::streams())).await?;
    wait_for(&a, true).await?;
    while a.stats().sent < taken {
        tokio::task::yield_now().await;
    }
    let page = soon(b.read_log("/", Default::default(), 10_000)).await??;
    assert_eq!(page.entries.len() as u64, taken);
    Ok(())
}

#[tokio::test]
async fn a_flood_is_dropped_past_its_bound_and_the_hub_is_told_where() -> Tested {
    let redis = Redis::start(&[])?;
    let bounded = Config {
        max_inbound_bytes: 20_000,
        ..config(&redis.url(), Backend::Classic)
    };
    let (a, _to_a) = linked(config(&redis.url(), Backend::Classic)).await?;
    let (b, mut to_b) = linked(bounded).await?;
    for i in 0..1000 {
        a.publish("/", &packed(&i.to_string()))?;
    }
    while b.stats().received < 1000 {
        tokio::task::yield_now().await;
    }
    let stats = b.stats();
    assert!(
        stats.dropped > 0 && stats.inbound_bytes <= 20_000,
        "{stats:?}"
    );
    let kept = 1000 - stats.dropped;
    for i in 0..kept {
        assert_eq!(name(&message(&mut to_b).await?.message), i.to_string());
    }
    assert_eq!(next(&mut to_b).await?, Event::Gap(Gap::Overflow));
    a.publish("/", &packed("on"))?;
    assert_eq!(name(&message(&mut to_b).await?.message), "on");
    Ok(())
}

#[tokio::test]
async fn a_hub_that_reads_slowly_misses_nothing_of_a_stream() -> Tested {
    let redis = Redis::start(&[])?;
    let bounded = Config {
        max_inbound_bytes: 5000,
        ..config(&redis.url(), Backend::streams())
    };
    let (a, mut to_a) = linked(config(&redis.url(), Backend::streams())).await?;
    let (b, mut to_b) = linked(bounded).await?;
    for i in 0..2000 {
        a.publish("/", &event(&i.to_string()))?;
    }
    for _ in 0..2000 {
        next(&mut to_a).await?;
    }
    assert!(b.stats().inbound_bytes <= 5200);
    for i in 0..2000 {
        assert_eq!(name(&message(&mut to_b).await?.message), i.to_string());
    }
    assert_eq!(b.stats().dropped, 0);
    Ok(())
}

#[tokio::test]
async fn a_link_follows_a_cluster_that_comes_back() -> Tested {
    let mut redis = Redis::start_cluster()?;
    let url = format!("redis+cluster://127.0.0.1:{}", redis.port());
    let backend = Backend::Sharded {
        mode: Mode::Dynamic,
    };
    let (a, _to_a) = linked(config(&url, backend.clone())).await?;
    let (b, mut to_b) = linked(config(&url, backend)).await?;
    b.want_room("/", "r");
    soon(b.settled()).await?;
    redis.kill()?;
    wait_for(&a, false).await?;
    wait_for(&b, false).await?;
    redis.restart()?;
    wait_for(&a, true).await?;
    wait_for(&b, true).await?;
    assert_eq!(next(&mut to_b).await?, Event::Gap(Gap::Reconnected));
    a.publish("/", &packed_to("r", Opts::rooms(["r"])))?;
    assert_eq!(name(&message(&mut to_b).await?.message), "r");
    Ok(())
}

#[tokio::test]
async fn a_link_follows_the_sentinels_to_the_new_master() -> Tested {
    let first = Redis::start_on_port(&[])?;
    let port = first.port().to_string();
    let second = Redis::start_on_port(&["--replicaof", "127.0.0.1", &port])?;
    let sentinel = Redis::start_sentinel(first.port())?;
    let ask = |command: &str| sentinel.ask(command);
    // The sentinel learns of the replica from its master, and the replica must be one that can take over.
    while !second
        .ask("INFO replication")?
        .contains("master_link_status:up")
        || !ask("SENTINEL REPLICAS mine")?.contains(&second.port().to_string())
    {
        tokio::task::yield_now().await;
    }
    let url = format!("redis+sentinel://127.0.0.1:{}/mine", sentinel.port());
    let (a, _to_a) = linked(config(&url, Backend::streams())).await?;
    let (_b, mut to_b) = linked(config(&url, Backend::streams())).await?;
    a.publish("/", &event("before"))?;
    assert_eq!(name(&message(&mut to_b).await?.message), "before");
    // A replica that has just come gets nothing until it has reported, and what it lacks is lost with its master.
    while !second.ask("XLEN socket.io")?.starts_with(":1") {
        tokio::task::yield_now().await;
    }
    while !ask("SENTINEL FAILOVER mine")?.starts_with("+OK") {
        tokio::task::yield_now().await;
    }
    // The old master is made a replica some seconds later, and only then sends its clients away.
    let mut state = a.watch_state();
    while a.stats().connects < 2 || !state.borrow().up {
        soon(state.changed()).await??;
    }
    a.publish("/", &event("after"))?;
    assert_eq!(name(&message(&mut to_b).await?.message), "after");
    // It stands with the new one.
    while !second.ask("XLEN socket.io")?.starts_with(":2") {
        tokio::task::yield_now().await;
    }
    Ok(())
}
