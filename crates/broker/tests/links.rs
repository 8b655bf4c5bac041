//! Two links over a real Redis: every message crosses, on every backend, and what Redis keeps is found again.

mod server;

use bytes::Bytes;
use lakh_broker::cluster::sharded::Mode;
use lakh_broker::cluster::streams::StreamId;
use lakh_broker::cluster::{
    Data, Flags, Form, Message, Opts, Others, RemoteSocket, RequestId, Response,
};
use lakh_broker::redis::{Backend, Config, Event};
use server::{Redis, Tested, config, event, event_to, linked, message, name, next, soon};

fn backends() -> [Backend; 5] {
    [
        Backend::Classic,
        Backend::Sharded {
            mode: Mode::Dynamic,
        },
        Backend::Sharded { mode: Mode::Static },
        Backend::Sharded {
            mode: Mode::DynamicPrivate,
        },
        Backend::streams(),
    ]
}

/// `["e",1]` in the form that the backend takes.
fn data(form: Form, binary: bool) -> Data {
    match form {
        Form::Json => Data::Json(r#"["e",1]"#.to_owned()),
        Form::JsonUnlessBinary if !binary => Data::Json(r#"["e",1]"#.to_owned()),
        _ => Data::Msgpack(Bytes::from_static(b"\x92\xa1e\xc4\x01\xff")),
    }
}

/// One of each, but for what classic alone has.
fn messages(backend: &Backend) -> Vec<Message> {
    let all = Opts::default;
    let except = Opts {
        rooms: vec!["a".into(), "b".into()],
        except: vec!["c".into()],
        flags: Flags {
            volatile: true,
            compress: Some(false),
            ..Flags::default()
        },
    };
    let plain = Opts {
        flags: Flags::default(),
        ..except.clone()
    };
    let waits = Opts {
        flags: Flags {
            timeout_ms: Some(1000),
            expect_single_response: true,
            ..Flags::default()
        },
        ..all()
    };
    let id = RequestId::new("req");
    let broadcast = |opts, ack| Message::Broadcast {
        data: Data::Json(String::new()),
        opts,
        ack,
    };
    let emit = |request| Message::ServerSideEmit {
        request,
        data: Data::Json(String::new()),
    };
    let mut messages = vec![
        broadcast(all(), None),
        broadcast(except, None),
        broadcast(Opts::rooms(["room"]), None),
        broadcast(Opts::rooms(["abcdefghijklmnopqrst"]), None),
        broadcast(waits, Some(id.clone())),
        Message::Join {
            opts: plain.clone(),
            rooms: vec!["x".into(), "y".into()],
        },
        Message::Leave {
            opts: all(),
            rooms: vec!["x".into()],
        },
        Message::Disconnect {
            opts: plain.clone(),
            close: true,
        },
        Message::FetchSockets {
            request: id.clone(),
            opts: plain,
        },
        emit(None),
        emit(Some(id.clone())),
    ];
    if *backend == Backend::Classic {
        messages.push(Message::AllRooms {
            request: id.clone(),
        });
        messages.push(Message::SocketIds {
            request: id,
            rooms: vec!["x".into()],
        });
    } else {
        messages.push(Message::Heartbeat { first: true });
        messages.push(Message::Heartbeat { first: false });
        messages.push(Message::Close);
    }
    messages
}

fn with_data(message: &Message, new: Data) -> Message {
    let mut message = message.clone();
    if let Message::Broadcast { data, .. } | Message::ServerSideEmit { data, .. } = &mut message {
        *data = new;
    }
    message
}

fn responses(backend: &Backend, form: impl Fn(&Response) -> Form) -> Vec<Response> {
    let request = RequestId::new("req");
    let value = |form| match form {
        Form::Msgpack => Data::Msgpack(Bytes::from_static(b"\xa1v")),
        _ => Data::Json("\"v\"".to_owned()),
    };
    let with = |response: Response| {
        let form = form(&response);
        match response {
            Response::Ack { request, .. } => Response::Ack {
                request,
                data: Some(value(form)),
            },
            Response::ServerSideEmit { request, .. } => Response::ServerSideEmit {
                request,
                data: Some(value(form)),
            },
            Response::Sockets { request, .. } => Response::Sockets {
                request,
                sockets: vec![RemoteSocket {
                    id: "s".to_owned(),
                    handshake: value(form),
                    rooms: vec!["a".into()],
                    data: value(form),
                }],
            },
            other => other,
        }
    };
    let none = || None;
    let mut all = vec![
        with(Response::Sockets {
            request: request.clone(),
            sockets: Vec::new(),
        }),
        with(Response::ServerSideEmit {
            request: request.clone(),
            data: none(),
        }),
        Response::ClientCount {
            request: request.clone(),
            count: 3,
        },
        with(Response::Ack {
            request: request.clone(),
            data: none(),
        }),
        Response::Ack {
            request: request.clone(),
            data: none(),
        },
    ];
    if *backend == Backend::Classic {
        all.push(Response::SocketIds {
            request: request.clone(),
            ids: vec!["s".to_owned()],
        });
        all.push(Response::AllRooms {
            request,
            rooms: vec!["a".into()],
        });
    }
    all
}

async fn all_cross(make: impl Fn(Backend) -> Config, backend: Backend) -> Tested {
    let (a, mut to_a) = linked(make(backend.clone())).await?;
    let (b, mut to_b) = linked(make(backend.clone())).await?;
    for room in ["room", "a", "abcdefghijklmnopqrst"] {
        b.want_room("/", room);
    }
    soon(b.settled()).await?;
    for plain in messages(&backend) {
        for binary in [false, true] {
            let sent = with_data(&plain, data(a.form(&plain), binary));
            let ticket = a.publish("/", &sent)?;
            if ticket.is_some() {
                let Event::Appended { ticket: told, .. } = next(&mut to_a).await? else {
                    return Err("an entry's place was not told".into());
                };
                assert_eq!(Some(told), ticket);
            }
            let received = message(&mut to_b).await?;
            assert_eq!(received.message, sent, "{backend:?}");
            assert_eq!(received.from.as_ref(), Some(a.uid()));
            assert_eq!(&*received.nsp, "/");
            assert_eq!(received.offset.is_some(), ticket.is_some());
        }
    }
    let form = |response: &Response| a.form(&Message::Response(response.clone()));
    for sent in responses(&backend, form) {
        b.respond("/", a.uid(), sent.clone())?;
        let Event::Response { from, response, .. } = next(&mut to_a).await? else {
            return Err("no answer came".into());
        };
        assert_eq!(from.as_ref(), Some(b.uid()));
        assert_eq!(response, sent);
    }
    // What is for one node goes nowhere, and is not waited for above.
    let local = Opts {
        flags: Flags {
            local: true,
            ..Flags::default()
        },
        ..Opts::default()
    };
    let local = Message::Disconnect {
        opts: local,
        close: false,
    };
    assert_eq!(a.publish("/", &local), Ok(None));
    soon(a.close()).await?;
    soon(b.close()).await?;
    assert_eq!(soon(to_b.recv()).await?, None);
    Ok(())
}

#[tokio::test]
async fn every_message_crosses_on_every_backend() -> Tested {
    let redis = Redis::start(&[])?;
    for backend in backends() {
        all_cross(|backend| config(&redis.url(), backend), backend).await?;
    }
    Ok(())
}

#[tokio::test]
async fn every_message_crosses_a_redis_cluster() -> Tested {
    let redis = Redis::start_cluster()?;
    let url = format!("redis+cluster://127.0.0.1:{}", redis.port());
    for backend in backends() {
        all_cross(|backend| config(&url, backend), backend).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_node_gets_what_its_rooms_want_and_only_that() -> Tested {
    let redis = Redis::start(&[])?;
    let backend = Backend::Sharded {
        mode: Mode::Dynamic,
    };
    let (a, _to_a) = linked(config(&redis.url(), backend.clone())).await?;
    let (b, mut to_b) = linked(config(&redis.url(), backend)).await?;
    let to_room = |text: &str| event_to(text, Opts::rooms(["r"]));
    b.want_room("/", "r");
    b.want_room("/", "r");
    b.unwant_room("/", "r");
    soon(b.settled()).await?;
    a.publish("/", &to_room("one member left"))?;
    assert_eq!(name(&message(&mut to_b).await?.message), "one member left");
    let read = b.stats().received;
    b.unwant_room("/", "r");
    soon(b.settled()).await?;
    a.publish("/", &to_room("nobody here"))?;
    a.publish("/", &event("all"))?;
    assert_eq!(name(&message(&mut to_b).await?.message), "all");
    // Not even sent to it.
    assert_eq!(b.stats().received, read + 1);
    Ok(())
}

#[tokio::test]
async fn nodes_are_counted_and_named() -> Tested {
    let redis = Redis::start(&[])?;
    for backend in backends() {
        let (a, _to_a) = linked(config(&redis.url(), backend.clone())).await?;
        assert_eq!(soon(a.others("/")).await??, Others::default());
        let (b, _to_b) = linked(config(&redis.url(), backend.clone())).await?;
        let (c, _to_c) = linked(config(&redis.url(), backend)).await?;
        // A room that is not a node.
        a.want_room("/", "0123456789");
        let mut names = vec![b.uid().clone(), c.uid().clone()];
        names.sort();
        let expected = Others { count: 2, names };
        assert_eq!(soon(a.others("/")).await??, expected);
        assert_eq!(soon(a.others("/nobody")).await??.count, 0);
        soon(b.close()).await?;
        soon(c.close()).await?;
        while soon(a.others("/")).await?? != Others::default() {
            tokio::task::yield_now().await;
        }
        soon(a.close()).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_log_is_read_in_pages_and_tells_when_it_no_longer_reaches_back() -> Tested {
    let redis = Redis::start(&[])?;
    let (a, mut to_a) = linked(config(&redis.url(), Backend::streams())).await?;
    a.subscribe("/other");
    let mut offsets = Vec::new();
    let start = soon(a.log_tail()).await??;
    let none = soon(a.read_log("/", start, 6)).await??;
    assert_eq!((none.whole, none.end, none.last), (true, true, start));
    for i in 0..5 {
        a.publish("/", &event(&i.to_string()))?;
        a.publish("/other", &event("other"))?;
        for _ in 0..2 {
            let Event::Appended { offset, .. } = next(&mut to_a).await? else {
                return Err("no place was told".into());
            };
            offsets.push(offset);
        }
    }
    assert_eq!(soon(a.log_tail()).await??, offsets[9]);
    let names = |page: &lakh_broker::redis::LogPage| -> Vec<String> {
        let logged = page.entries.iter();
        logged.map(|logged| name(&logged.message)).collect()
    };
    let first = soon(a.read_log("/", start, 6)).await??;
    assert_eq!((first.whole, first.end), (true, false));
    assert_eq!(names(&first), ["0", "1", "2"]);
    let second = soon(a.read_log("/", first.last, 6)).await??;
    assert_eq!((second.whole, second.end), (true, true));
    assert_eq!(names(&second), ["3", "4"]);
    assert_eq!(second.last, offsets[9]);

    let first = offsets[0];
    assert_eq!(soon(a.entry_before(first)).await??, None);
    for pair in offsets.windows(2) {
        assert_eq!(soon(a.entry_before(pair[1])).await??, Some(pair[0]));
    }
    // Places where nothing stands.
    let (ms, seq) = (offsets[9].ms + 1, 0);
    let later = StreamId { ms, seq };
    assert_eq!(soon(a.entry_before(later)).await??, Some(offsets[9]));
    let beginning = StreamId::default();
    assert_eq!(soon(a.entry_before(beginning)).await??, None);
    assert!(soon(a.read_log("/", beginning, 100)).await??.whole);

    redis.ask("XTRIM socket.io MAXLEN 3")?;
    assert_eq!(soon(a.entry_before(offsets[7])).await??, None);
    assert!(!soon(a.read_log("/", beginning, 100)).await??.whole);
    let kept = soon(a.read_log("/", offsets[7], 100)).await??;
    assert_eq!((kept.whole, names(&kept)), (true, vec!["4".to_owned()]));
    assert!(!soon(a.read_log("/", offsets[6], 100)).await??.whole);
    Ok(())
}
