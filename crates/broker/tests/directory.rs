//! Nodes that announce themselves in a Redis of the tests' own.

mod server;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lakh_broker::redis::{Announced, Directory, DirectoryConfig};
use parking_lot::Mutex;
use server::{Redis, Tested, soon};

fn config(redis: &Redis) -> DirectoryConfig {
    let ms = Duration::from_millis;
    DirectoryConfig {
        beat: ms(50),
        gap: ms(5),
        backoff: (ms(5), ms(50)),
        ..DirectoryConfig::new(&redis.url(), "test", Arc::new(|_| {}))
    }
}

fn node(name: &str, port: u16) -> Announced {
    Announced {
        tag: name[..2].to_owned() + "-",
        name: name.to_owned(),
        at: ([10, 0, 0, 7], port).into(),
        secret: format!("secret-of-{name}"),
    }
}

/// Looks until it is so.
async fn until(directory: &Directory, is_so: impl Fn(&Directory) -> bool) -> Tested {
    soon(async {
        while !is_so(directory) {
            directory.read_again().await;
            tokio::task::yield_now().await;
        }
    })
    .await
}

#[tokio::test]
async fn nodes_find_each_other_with_the_first_look_and_those_that_leave_no_more() -> Tested {
    let redis = Redis::start(&[])?;
    let one = Directory::open(config(&redis))?;
    let two = Directory::open(config(&redis))?;
    assert_eq!(two.find("n1-"), None);
    let at = one.announce(node("n1", 3000)).await;
    assert_eq!(at, Some(([10, 0, 0, 7], 3000).into()));
    two.read_again().await;
    assert_eq!(two.find("n1-").as_deref(), Some(&node("n1", 3000)));
    assert_eq!(two.find("n2-"), None);
    // It reads of the others, not of itself.
    assert_eq!((one.len(), two.len()), (0, 1));
    two.announce(node("n2", 3001)).await;
    one.read_again().await;
    assert_eq!(one.find("n2-").map(|node| node.at.port()), Some(3001));
    one.leave().await;
    let three = Directory::open(config(&redis))?;
    three.read_again().await;
    assert_eq!((three.len(), three.find("n1-")), (1, None));
    Ok(())
}

#[tokio::test]
async fn a_node_that_was_killed_is_forgotten_after_its_lifetime() -> Tested {
    let redis = Redis::start(&[])?;
    let short = DirectoryConfig {
        lifetime: Duration::from_millis(300),
        ..config(&redis)
    };
    let one = Directory::open(short.clone())?;
    let two = Directory::open(short)?;
    one.announce(node("n1", 3000)).await;
    until(&two, |two| two.find("n1-").is_some()).await?;
    drop(one);
    until(&two, Directory::is_empty).await
}

#[tokio::test]
async fn who_takes_a_dead_nodes_place_is_found_in_its_place() -> Tested {
    let redis = Redis::start(&[])?;
    let (one, two) = (
        Directory::open(config(&redis))?,
        Directory::open(config(&redis))?,
    );
    one.announce(node("n1", 3000)).await;
    drop(one);
    let again = Directory::open(config(&redis))?;
    again.announce(node("n1", 4000)).await;
    // Both may have spoken in the same millisecond; the one that is alive speaks again.
    let port = |two: &Directory| two.find("n1-").map(|node| node.at.port());
    until(&two, |two| two.len() == 2 && port(two) == Some(4000)).await
}

#[tokio::test]
async fn a_redis_that_was_away_and_lost_all_costs_nobody_his_neighbours() -> Tested {
    let mut redis = Redis::start(&[])?;
    let (one, two) = (
        Directory::open(config(&redis))?,
        Directory::open(config(&redis))?,
    );
    one.announce(node("n1", 3000)).await;
    until(&two, |two| two.find("n1-").is_some()).await?;
    redis.kill()?;
    // Nobody waits for a Redis that is away.
    soon(async {
        for _ in 0..100 {
            two.read_again().await;
        }
    })
    .await?;
    assert!(two.find("n1-").is_some());
    redis.restart()?;
    let looks = two.looks();
    until(&two, |two| {
        assert!(two.find("n1-").is_some());
        two.looks() > looks + 5
    })
    .await?;
    // And the entry is written again.
    let three = Directory::open(config(&redis))?;
    until(&three, |three| three.find("n1-").is_some()).await
}

#[tokio::test]
async fn looks_are_shared_and_have_a_least_time_between_them() -> Tested {
    let redis = Redis::start(&[])?;
    let slow = DirectoryConfig {
        gap: Duration::from_millis(100),
        ..config(&redis)
    };
    let one = Arc::new(Directory::open(slow)?);
    one.read_again().await;
    let before = one.looks();
    let all = (0..1_000).map(|_| {
        let one = Arc::clone(&one);
        tokio::spawn(async move { one.read_again().await })
    });
    for looked in all.collect::<Vec<_>>() {
        soon(looked).await??;
    }
    // The one that was under way, and the one that all waited for; a beat may fall between.
    assert!(one.looks() - before <= 4, "{}", one.looks() - before);
    Ok(())
}

#[tokio::test]
async fn two_that_live_with_the_same_tag_are_told_of_each_other_once() -> Tested {
    let redis = Redis::start(&[])?;
    let told = Arc::new(Mutex::new(Vec::new()));
    let telling = || {
        let told = Arc::clone(&told);
        DirectoryConfig {
            on_conflict: Arc::new(move |other| told.lock().push(other.name.clone())),
            ..config(&redis)
        }
    };
    let dead = Directory::open(telling())?;
    dead.announce(node("n1-dead", 1)).await;
    drop(dead);
    let (one, two) = (Directory::open(telling())?, Directory::open(telling())?);
    one.announce(node("n1-blue", 2)).await;
    two.announce(node("n1-green", 3)).await;
    until(&one, |_| told.lock().len() >= 2).await?;
    let looks = one.looks();
    until(&one, |one| one.looks() > looks + 5).await?;
    let mut told = told.lock().clone();
    told.sort();
    assert_eq!(told, ["n1-blue", "n1-green"]);
    Ok(())
}

#[tokio::test]
async fn a_node_on_all_addresses_is_found_at_the_one_that_reaches_redis() -> Tested {
    let redis = Redis::start_on_port(&[])?;
    let one = Directory::open(config(&redis))?;
    let all = |port| Announced {
        at: SocketAddr::from(([0, 0, 0, 0], port)),
        ..node("n1", 0)
    };
    let at = one.announce(all(3000)).await;
    assert_eq!(at, Some(([127, 0, 0, 1], 3000).into()));
    // A socket file says nothing of that.
    let unix = Redis::start(&[])?;
    let one = Directory::open(config(&unix))?;
    assert_eq!(one.announce(all(3000)).await, None);
    Ok(())
}

#[tokio::test]
async fn a_cluster_holds_the_entries_in_one_slot() -> Tested {
    let redis = Redis::start_cluster()?;
    let mut config = config(&redis);
    config.url = format!("redis+cluster://127.0.0.1:{}", redis.port());
    let (one, two) = (Directory::open(config.clone())?, Directory::open(config)?);
    one.announce(node("n1", 3000)).await;
    until(&two, |two| two.find("n1-").is_some()).await?;
    one.leave().await;
    Ok(())
}
