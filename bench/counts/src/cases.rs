//! The work that is counted: a round of each case does the same work again, in a steady state.

use std::hint::black_box;
use std::sync::{Arc, Mutex};

use lakh_hub::{Ack, LogLimits, Namespace, Socket};
use lakh_wire::engine::{self, Message, Packet, Version};
use lakh_wire::socketio::{self, Outgoing, Parser};
use lakh_wire::{Limits, ws};

use crate::chat;
use crate::house::{House, client_frame};
use crate::world;

/// 64 characters: a short message of a chat, or a small state.
const TEXT: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// Operations that cost little are done so often in a round.
const MANY: usize = 100;

/// A round: does the work once, and gives the number of its results (frames written, packets decoded).
pub type Round = Box<dyn FnMut() -> usize>;

/// One kind of work.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Its name, here and in `counts.json`.
    pub name: &'static str,
    /// Operations in a round: what the figures are given for.
    pub operations: usize,
    /// Results of a round.
    pub results: usize,
    /// Sets the stage.
    pub start: fn() -> Round,
}

const fn case(name: &'static str, operations: usize, results: usize, start: fn() -> Round) -> Case {
    Case {
        name,
        operations,
        results,
        start,
    }
}

/// All of them.
pub const ALL: &[Case] = &[
    case("encode-json", MANY, MANY, || encode(Parser::Json)),
    case("encode-msgpack", MANY, MANY, || encode(Parser::Msgpack)),
    case("decode-json", MANY, MANY, decode_json),
    case("decode-msgpack", MANY, MANY, decode_msgpack),
    case("echo-with-ack", MANY, MANY, echo),
    case("emit-to-one", MANY, MANY, emit_to_one),
    case("connect-and-end", MANY, 2 * MANY, connect_and_end),
    case("join-and-leave-room", MANY, 0, join_and_leave),
    case("heartbeat", 1000, 1000, heartbeat),
    case("fanout-10", 1, 10, || fanout(10, false)),
    case("fanout-1000", 1, 1000, || fanout(1000, false)),
    case("fanout-10-recoverable", 1, 10, || fanout(10, true)),
    case("fanout-1000-recoverable", 1, 1000, || fanout(1000, true)),
    // A frame, with its part of the tick.
    case("world-frame", FRAMES, FRAMES, world::ticks),
];

const FRAMES: usize = world::PEOPLE * world::TICKS;

/// Those that keep what they are given: a round leaves memory behind.
pub const STORING: &[Case] = &[
    // To ten who watch, and the answer.
    case("chat-message-to-10", MANY, 11 * MANY, || {
        chat::messages(10, MANY)
    }),
];

fn event_args(name: &str) -> String {
    format!(r#"["{name}","{TEXT}"]"#)
}

/// An event with one string, for everyone in the main namespace.
fn encode(parser: Parser) -> Round {
    let args = event_args("m");
    Box::new(move || {
        for _ in 0..MANY {
            let packet = Outgoing::event("/", black_box(&args));
            black_box(socketio::encode(parser, &packet));
        }
        MANY
    })
}

/// A masked text frame with an event that wants an acknowledgement.
fn decode_json() -> Round {
    let frame = client_frame(&format!("421234{}", event_args("echo")));
    let mut buffer = vec![0; frame.len()];
    let mut frames = ws::Decoder::new(1 << 20, false);
    let mut packets = socketio::Decoder::new(None);
    let limits = Limits::default();
    Box::new(move || {
        let mut decoded = 0;
        for _ in 0..MANY {
            buffer.copy_from_slice(black_box(&frame));
            if let Ok((_, Some(ws::Event::Text(text)))) = frames.decode(&mut buffer)
                && let Ok(Packet::Message(Message::Text(text))) =
                    engine::decode_text(Version::V4, text)
                && let Ok(Some(packet)) = packets.text(text, &limits)
            {
                decoded += usize::from(black_box(packet).id == Some(1234));
            }
        }
        decoded
    })
}

/// The same as a binary frame of a client with the msgpack parser.
fn decode_msgpack() -> Round {
    let args = event_args("echo");
    let packet = Outgoing {
        id: Some(1234),
        ..Outgoing::event("/", &args)
    };
    let encoded = socketio::encode(Parser::Msgpack, &packet);
    // Our own frame: two bytes of header before the payload, four where it's longer than 125 bytes.
    let all = encoded.ws(Version::V4);
    let payload = if all[1] < 126 { &all[2..] } else { &all[4..] };
    let frame = ws::client::encode(ws::Opcode::Binary, payload, [7, 77, 177, 207]);
    let mut buffer = vec![0; frame.len()];
    let mut frames = ws::Decoder::new(1 << 20, false);
    let mut packets = socketio::Decoder::new(None);
    let limits = Limits::default();
    Box::new(move || {
        let mut decoded = 0;
        for _ in 0..MANY {
            buffer.copy_from_slice(black_box(&frame));
            if let Ok((_, Some(ws::Event::Binary(data)))) = frames.decode(&mut buffer)
                && let Ok(Packet::Message(Message::Binary(data))) =
                    engine::decode_binary(Version::V4, data)
                && let Ok(Some(packet)) = packets.binary(&data, &limits)
            {
                decoded += usize::from(black_box(packet).id == Some(1234));
            }
        }
        decoded
    })
}

/// Sockets of a namespace, in the order of their coming.
#[derive(Clone, Default)]
struct Sockets(Arc<Mutex<Vec<Socket>>>);

impl Sockets {
    fn of(namespace: &Namespace) -> Self {
        let sockets = Self::default();
        let list = Arc::clone(&sockets.0);
        namespace.on_connect(async move |socket| {
            // Only a panic while it was locked could have poisoned it, and there is none.
            list.lock().expect("no panic before").push(socket);
        });
        sockets
    }

    fn take(&self) -> Vec<Socket> {
        std::mem::take(&mut self.0.lock().expect("no panic before"))
    }
}

/// A turn in which each of a hundred clients sends an event, whose handler answers with what it got.
fn echo() -> Round {
    let mut house = House::default();
    house
        .hub
        .of("/")
        .on("echo", async |_: Socket, text: String, ack: Ack| {
            // A string can always be written.
            ack.send(&text).expect("a string is JSON");
        });
    let connect = client_frame("40");
    let sessions: Vec<_> = (0..MANY).map(|_| house.join(&connect)).collect();
    let frame = client_frame(&format!("421234{}", event_args("echo")));
    Box::new(move || {
        for key in &sessions {
            house.feed(*key, &frame);
        }
        house.flush()
    })
}

/// A turn in which each of a hundred sockets is sent an event of its own.
fn emit_to_one() -> Round {
    let mut house = House::default();
    let all = Sockets::of(&house.hub.of("/"));
    let connect = client_frame("40");
    for _ in 0..MANY {
        house.join(&connect);
    }
    let sockets = all.take();
    Box::new(move || {
        for socket in &sockets {
            // The mailbox of the loop that this runs on is not used.
            socket.emit("m", black_box(TEXT)).expect("nothing is full");
        }
        house.flush()
    })
}

/// A client comes, connects, is put into two rooms, and goes.
fn connect_and_end() -> Round {
    let mut house = House::default();
    house.hub.of("/").on_connect(async |socket| {
        socket.join("lobby");
        socket.join("news");
    });
    let connect = client_frame("40");
    Box::new(move || {
        let mut frames = 0;
        for _ in 0..MANY {
            let key = house.open();
            frames += house.flush();
            house.feed(key, &connect);
            frames += house.flush();
            house.cut(key);
            frames += house.flush();
        }
        // Stale entries leave the wheel.
        house.pass(60_000);
        frames
    })
}

/// Sockets join a room that others are in, and leave it.
fn join_and_leave() -> Round {
    let mut house = House::default();
    let all = Sockets::of(&house.hub.of("/"));
    let connect = client_frame("40");
    for _ in 0..2 * MANY {
        house.join(&connect);
    }
    let mut sockets = all.take();
    for resident in sockets.split_off(MANY) {
        resident.join("room");
    }
    Box::new(move || {
        for socket in &sockets {
            socket.join("room");
        }
        for socket in &sockets {
            socket.leave("room");
        }
        house.flush()
    })
}

/// A ping to each of a thousand clients, and their pongs.
fn heartbeat() -> Round {
    let mut house = House::default();
    drop(house.hub.of("/"));
    let connect = client_frame("40");
    let sessions: Vec<_> = (0..1000).map(|_| house.join(&connect)).collect();
    let interval = house.hub.settings().engine.ping_interval.0;
    let pong = client_frame("3");
    Box::new(move || {
        house.pass(interval);
        let pings = house.flush();
        for key in &sessions {
            house.feed(*key, &pong);
        }
        pings + house.flush()
    })
}

/// A turn with one broadcast to a room of so many.
fn fanout(members: usize, recoverable: bool) -> Round {
    let mut house = House::default();
    let namespace = house.hub.of("/");
    if recoverable {
        // So small that it's full, and trimmed with each broadcast, before anything is counted.
        namespace.recoverable(LogLimits {
            max_bytes: 2048,
            ..LogLimits::default()
        });
    }
    namespace.on_connect(async |socket| {
        socket.join("room");
    });
    let connect = client_frame("40");
    for _ in 0..members {
        house.join(&connect);
    }
    Box::new(move || {
        namespace
            .to("room")
            .emit("m", black_box(TEXT))
            .expect("nothing is full");
        house.flush()
    })
}
