//! Sessions over a real Redis: found by another node, kept for their time, and written by nobody but their owner.

mod server;

use bytes::Bytes;
use lakh_broker::cluster::Limits;
use lakh_broker::cluster::streams::{SessionRecord, StreamId, decode_session};
use lakh_broker::redis::{Backend, LinkError, SessionWrite, TakenOver};
use server::{Redis, Tested, config, linked, soon};

const STREAMS: &str = include_str!("fixtures/streams.tsv");

fn record(pid: &str, sid: &str) -> SessionRecord {
    SessionRecord {
        sid: sid.to_owned(),
        pid: pid.to_owned(),
        rooms: vec!["a".into(), sid.into()],
        after: vec![Some(StreamId { ms: 12, seq: 4 }), None],
        data: Bytes::from_static(b"\x81\xa1k\x01"),
        start: Some(StreamId { ms: 12, seq: 3 }),
        node: Some("0123456789abcdef".to_owned()),
    }
}

fn keep(pid: &str, epoch: u64, record: SessionRecord) -> SessionWrite {
    SessionWrite {
        pid: pid.to_owned(),
        epoch,
        ttl_ms: 60_000,
        record: Some(record),
    }
}

fn drop_it(pid: &str, epoch: u64) -> SessionWrite {
    SessionWrite {
        record: None,
        ..keep(pid, epoch, record(pid, ""))
    }
}

fn number(answer: &str) -> Option<i64> {
    answer.strip_prefix(':')?.trim_end().parse().ok()
}

#[tokio::test]
async fn a_session_is_its_new_owners_and_the_old_one_writes_it_no_longer() -> Tested {
    let single = Redis::start(&[])?;
    let cluster = Redis::start_cluster()?;
    let of_cluster = format!("redis+cluster://127.0.0.1:{}", cluster.port());
    for url in [single.url(), of_cluster] {
        for prefix in ["sio:session:", "{app}:session:"] {
            let backend = Backend::Streams {
                stream: "socket.io".to_owned(),
                max_len: 1000,
                session_prefix: prefix.to_owned(),
            };
            let (a, _to_a) = linked(config(&url, backend.clone())).await?;
            let (b, _to_b) = linked(config(&url, backend)).await?;
            assert_eq!(soon(b.take_over("p", 60_000)).await??, None);
            let by_a = keep("p", 0, record("p", "1"));
            assert_eq!(
                soon(a.write_sessions(std::slice::from_ref(&by_a))).await??,
                [true]
            );
            // Taken twice: as when the answer to the first was lost.
            for epoch in [1, 2] {
                let record = record("p", "1");
                let taken = Some(TakenOver { record, epoch });
                assert_eq!(soon(b.take_over("p", 60_000)).await??, taken);
            }
            let by_b = keep("p", 2, record("p", "2"));
            let others = [keep("q", 0, record("q", "3")), drop_it("r", 0)];
            let writes = [by_a.clone(), by_b, drop_it("p", 1)];
            let writes: Vec<SessionWrite> = writes.into_iter().chain(others).collect();
            let expected = [false, true, false, true, true];
            assert_eq!(soon(a.write_sessions(&writes)).await??, expected);
            let record = record("p", "2");
            let taken = Some(TakenOver { record, epoch: 3 });
            assert_eq!(soon(a.take_over("p", 60_000)).await??, taken);
            // The last owner drops it, and those before can't bring it back.
            let writes = [drop_it("p", 2), drop_it("p", 3), by_a];
            let written = soon(b.write_sessions(&writes)).await??;
            assert_eq!(written, [false, true, false]);
            assert_eq!(soon(b.take_over("p", 60_000)).await??, None);
            let nothing: [bool; 0] = [];
            assert_eq!(soon(b.write_sessions(&[])).await??, nothing);
        }
    }
    Ok(())
}

#[tokio::test]
async fn sessions_and_their_epochs_end_in_time() -> Tested {
    let redis = Redis::start(&[])?;
    let (a, _to_a) = linked(config(&redis.url(), Backend::streams())).await?;
    let keys = ["sio:session:p", "{sio:session:p}:epoch"];
    let left = |key: &str| -> Result<i64, Box<dyn std::error::Error>> {
        Ok(number(&redis.ask(&format!("PTTL {key}"))?).ok_or("no number")?)
    };
    let write = |ttl_ms, epoch, record| SessionWrite {
        ttl_ms,
        ..keep("p", epoch, record)
    };
    soon(a.write_sessions(&[write(100_000, 0, record("p", "1"))])).await??;
    assert!((90_000..=100_000).contains(&left(keys[0])?));
    assert_eq!(left(keys[1])?, -2, "it was never taken over");
    // Not shortened.
    soon(a.take_over("p", 1000)).await??;
    for key in keys {
        assert!((80_000..=100_000).contains(&left(key)?), "{key}");
    }
    soon(a.take_over("p", 200_000)).await??;
    for key in keys {
        assert!((180_000..=200_000).contains(&left(key)?), "{key}");
    }
    soon(a.write_sessions(&[write(300_000, 2, record("p", "1"))])).await??;
    for key in keys {
        assert!((280_000..=300_000).contains(&left(key)?), "{key}");
    }
    soon(a.write_sessions(&[write(1, 2, record("p", "1"))])).await??;
    while redis.ask("DBSIZE")? != ":0\r\n" {
        tokio::task::yield_now().await;
    }
    assert_eq!(soon(a.take_over("p", 1000)).await??, None);
    Ok(())
}

#[tokio::test]
async fn a_session_of_a_node_server_is_taken_over() -> Tested {
    let redis = Redis::start(&[])?;
    let (a, _to_a) = linked(config(&redis.url(), Backend::streams())).await?;
    let line = STREAMS.lines().find(|line| line.contains("\tSET\t"));
    let mut parts = line.ok_or("no session was recorded")?.split('\t').skip(2);
    let mut next = || parts.next().and_then(|part| part.strip_prefix("t:"));
    let (key, value) = (next().ok_or("no key")?, next().ok_or("no value")?);
    assert!(redis.ask(&format!("SET {key} {value}"))?.starts_with("+OK"));
    let record = decode_session(value, &Limits::default())?;
    assert_eq!((record.start, &record.node), (None, &None));
    let pid = record.pid.clone();
    let taken = soon(a.take_over(&pid, 1000)).await??;
    assert_eq!(taken, Some(TakenOver { record, epoch: 1 }));
    assert_eq!(redis.ask(&format!("PTTL {key}"))?, ":-1\r\n");
    Ok(())
}

#[tokio::test]
async fn many_sessions_are_written_to_all_servers_of_a_cluster() -> Tested {
    const MANY: usize = 1200;
    let servers = Redis::start_cluster_of_two()?;
    let url = format!("redis+cluster://127.0.0.1:{}", servers[0].port());
    let (a, _to_a) = linked(config(&url, Backend::streams())).await?;
    for round in 0..2 {
        let pid = |i| format!("{round}.{i}");
        let writes: Vec<_> = (0..MANY)
            .map(|i| keep(&pid(i), 0, record(&pid(i), "s")))
            .collect();
        let written = soon(a.write_sessions(&writes)).await??;
        assert_eq!(written, vec![true; MANY]);
        for i in [0, 1, 2, 3, MANY - 1] {
            let taken = soon(a.take_over(&pid(i), 1000)).await??;
            assert_eq!(taken.ok_or("it isn't there")?.record, record(&pid(i), "s"));
        }
    }
    for server in &servers {
        let keys = number(&server.ask("DBSIZE")?);
        assert!(keys.is_some_and(|keys| keys > 0), "{keys:?}");
    }
    Ok(())
}

#[tokio::test]
async fn only_streams_keep_sessions() -> Tested {
    let redis = Redis::start(&[])?;
    let (a, _to_a) = linked(config(&redis.url(), Backend::Classic)).await?;
    let refused = soon(a.take_over("p", 1000)).await?;
    assert!(matches!(refused, Err(LinkError::Unsupported)));
    let refused = soon(a.write_sessions(&[drop_it("p", 0)])).await?;
    assert!(matches!(refused, Err(LinkError::Unsupported)));
    Ok(())
}
