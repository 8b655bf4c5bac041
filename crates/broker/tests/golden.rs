//! What Node's adapters really sent, recorded from Redis: each message is understood, and written again byte for byte.

use std::error::Error;

use bytes::Bytes;
use lakh_broker::cluster::classic::{self, Place};
use lakh_broker::cluster::sharded::{self, Mode};
use lakh_broker::cluster::streams::{self, Fields};
use lakh_broker::cluster::{Data, Envelope, Flags, Limits, Message, Response, Uid};

const CLASSIC: &str = include_str!("fixtures/classic.tsv");
const SHARDED: &str = include_str!("fixtures/sharded.tsv");
const SHARDED_STATIC: &str = include_str!("fixtures/sharded-static.tsv");
const SHARDED_PRIVATE: &str = include_str!("fixtures/sharded-private.tsv");
const STREAMS: &str = include_str!("fixtures/streams.tsv");

/// A recorded command.
struct Sent<'a> {
    operation: &'a str,
    command: &'a str,
    arguments: Vec<Bytes>,
}

impl Sent<'_> {
    fn text(&self, index: usize) -> Result<&str, Box<dyn Error>> {
        Ok(std::str::from_utf8(&self.arguments[index])?)
    }
}

fn recorded(fixture: &str) -> Vec<Sent<'_>> {
    let lines = fixture.lines().filter(|line| !line.starts_with('#'));
    let sent: Vec<Sent<'_>> = lines.map(line_of).collect();
    assert!(sent.len() >= 4, "the fixture is empty");
    sent
}

fn line_of(line: &str) -> Sent<'_> {
    let mut parts = line.split('\t');
    let mut next = || parts.next().unwrap_or_default();
    let (operation, command) = (next(), next());
    let arguments = parts.map(|part| match part.split_at(2) {
        ("x:", hex) => lakh_testkit::from_hex(hex).into(),
        (_, text) => Bytes::copy_from_slice(text.as_bytes()),
    });
    Sent {
        operation,
        command,
        arguments: arguments.collect(),
    }
}

/// Written differently on purpose: rooms are always text here, and the emitters order their keys otherwise.
fn only_read(operation: &str) -> bool {
    operation.ends_with("number-room") || operation.contains("emitter-")
}

fn nsp_of(operation: &str) -> &'static str {
    if operation.ends_with("nsp") || operation.ends_with("of") {
        "/chat"
    } else {
        "/"
    }
}

#[test]
fn classic_is_read_and_written_as_node_does() -> Result<(), Box<dyn Error>> {
    for sent in recorded(CLASSIC) {
        let (channel, body) = (sent.text(0)?, &sent.arguments[1]);
        let nsp = nsp_of(sent.operation);
        let place = match channel {
            _ if channel.starts_with("socket.io-request#") => Place::Request,
            _ if channel.starts_with("socket.io-response#") => Place::Response,
            _ => Place::Broadcast,
        };
        let found = classic::decode(place, body, &Limits::default())
            .map_err(|error| format!("{}: {error}", sent.operation))?;
        assert_eq!(classic::place(&found.message), place, "{}", sent.operation);
        check_classic_channel(channel, nsp, &found);
        if only_read(sent.operation) {
            continue;
        }
        if let Message::Response(response) = &found.message {
            check_classic_answer(body, response)?;
            continue;
        }
        let from = found.from.ok_or("a node's message names the node")?;
        let written = classic::encode(&from, nsp, &found.message)?;
        assert_eq!(&written, body, "{}", sent.operation);
    }
    Ok(())
}

fn check_classic_channel(channel: &str, nsp: &str, found: &Envelope) {
    let expected = match &found.message {
        Message::Broadcast {
            opts, ack: None, ..
        } => {
            let only = (opts.rooms.len() == 1).then(|| &*opts.rooms[0]);
            classic::broadcast_channel("socket.io", nsp, only)
        }
        Message::Response(_) => classic::response_channel("socket.io", nsp, None),
        _ => classic::request_channel("socket.io", nsp),
    };
    assert_eq!(channel, expected);
}

/// Ours says who answers in a last field of its own; the rest is Node's.
fn check_classic_answer(body: &Bytes, response: &Response) -> Result<(), Box<dyn Error>> {
    let us = Uid::new("abcdef");
    let written = classic::encode(&us, "/", &Message::Response(response.clone()))?;
    if body[0] == b'{' {
        let mut expected = String::from_utf8(body.to_vec())?;
        expected.pop();
        expected.push_str(r#","uid":"abcdef"}"#);
        assert_eq!(written, expected);
    } else {
        // One entry more in the map.
        assert_eq!(written[0], body[0] + 1);
        assert_eq!(written[1..body.len()], body[1..]);
        assert_eq!(&written[body.len()..], b"\xa3uid\xa6abcdef");
    }
    Ok(())
}

#[test]
fn sharded_is_read_and_written_as_node_does() -> Result<(), Box<dyn Error>> {
    for (fixture, mode) in [
        (SHARDED, Mode::Dynamic),
        (SHARDED_STATIC, Mode::Static),
        (SHARDED_PRIVATE, Mode::DynamicPrivate),
    ] {
        for sent in recorded(fixture) {
            let (channel, body) = (sent.text(0)?, &sent.arguments[1]);
            let nsp = nsp_of(sent.operation);
            let found = sharded::decode(body, &Limits::default())
                .map_err(|error| format!("{}: {error}", sent.operation))?;
            assert_eq!(found.nsp.as_deref(), Some(nsp));
            if !matches!(found.message, Message::Response(_)) {
                let expected = match sharded::room_of(mode, &found.message) {
                    Some(room) => sharded::sub_channel("socket.io", nsp, room),
                    None => sharded::channel("socket.io", nsp),
                };
                assert_eq!(channel, expected, "{}", sent.operation);
            }
            if only_read(sent.operation) {
                continue;
            }
            let from = found.from.ok_or("each message names its sender")?;
            let written = sharded::encode(&from, nsp, &found.message)?;
            assert_eq!(&written, body, "{}", sent.operation);
        }
    }
    Ok(())
}

#[test]
fn streams_are_read_and_written_as_node_does() -> Result<(), Box<dyn Error>> {
    let limits = Limits::default();
    for sent in recorded(STREAMS) {
        let nsp = nsp_of(sent.operation);
        match sent.command {
            "XADD" => {
                let fields = Fields {
                    uid: sent.text(1)?.to_owned(),
                    nsp: sent.text(2)?.to_owned(),
                    kind: sent.text(3)?.to_owned(),
                    data: Some(sent.text(4)?.to_owned()),
                };
                let found = streams::decode_entry(&fields, &limits)
                    .map_err(|error| format!("{}: {error}", sent.operation))?;
                assert_eq!(found.nsp.as_deref(), Some(nsp));
                if !only_read(sent.operation) {
                    assert!(!streams::passes(&found.message), "{}", sent.operation);
                    let from = found.from.ok_or("each entry names its sender")?;
                    let written = streams::encode_entry(&from, nsp, &found.message)?;
                    assert_eq!(written, fields, "{}", sent.operation);
                }
            }
            "PUBLISH" => {
                let body = &sent.arguments[1];
                let found = streams::decode_passing(body, &limits)?;
                assert!(streams::passes(&found.message), "{}", sent.operation);
                let from = found.from.ok_or("each message names its sender")?;
                let written = streams::encode_passing(&from, nsp, &found.message)?;
                assert_eq!(&written, body, "{}", sent.operation);
            }
            _ => {
                let value = sent.text(1)?;
                let record = streams::decode_session(value, &limits)?;
                let key = streams::session_key("sio:session:", &record.pid);
                assert_eq!(sent.text(0)?, key);
                assert_eq!(record.rooms.len(), 4);
                assert_eq!(streams::encode_session(&record), value);
            }
        }
    }
    Ok(())
}

#[test]
fn what_was_recorded_means_what_was_done() -> Result<(), Box<dyn Error>> {
    let limits = Limits::default();
    let find = |fixture, operation: &str| -> Result<Envelope, Box<dyn Error>> {
        let all = recorded(fixture);
        let sent = all.iter().find(|sent| sent.operation == operation);
        let body = &sent.ok_or("not recorded")?.arguments[1];
        Ok(match fixture {
            CLASSIC => classic::decode(Place::Broadcast, body, &limits)?,
            _ => sharded::decode(body, &limits)?,
        })
    };
    for fixture in [CLASSIC, SHARDED] {
        let Message::Broadcast { opts, .. } = find(fixture, "broadcast-two-rooms-except")?.message
        else {
            return Err("no broadcast".into());
        };
        let names = |rooms: &[lakh_broker::Room]| rooms.join(",");
        assert_eq!(
            (names(&opts.rooms), names(&opts.except)),
            ("r1,r2".into(), "r3".into())
        );

        let Message::Broadcast { opts, .. } = find(fixture, "broadcast-volatile")?.message else {
            return Err("no broadcast".into());
        };
        let volatile = Flags {
            volatile: true,
            ..Flags::default()
        };
        assert_eq!(opts.flags, volatile);

        let Message::Broadcast { opts, .. } = find(fixture, "broadcast-number-room")?.message
        else {
            return Err("no broadcast".into());
        };
        assert_eq!(names(&opts.rooms), "7");

        let Message::Broadcast { data, .. } = find(fixture, "broadcast-binary")?.message else {
            return Err("no broadcast".into());
        };
        let packed = b"\x93\xa3bin\xc4\x03\x01\x02\x03\x81\xa1b\xc4\x01\xff";
        assert_eq!(data, Data::Msgpack(Bytes::from_static(packed)));
    }
    let Message::Broadcast { data, .. } = find(SHARDED, "broadcast-room")?.message else {
        return Err("no broadcast".into());
    };
    assert_eq!(data, Data::Json(r#"["hello",1]"#.to_owned()));
    Ok(())
}
