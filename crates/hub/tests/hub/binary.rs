//! Events with one binary argument: the packet that stock clients know, to those alone who can take it.

use lakh_hub::{Bytes, LogLimits, Payload, Socket};
use lakh_wire::engine::{Transport, Version};

use crate::support::{Client, Frame, Log, World, run};

/// Each time a client says `go` it's sent such an event, and noted whether it took it; a word before says the same.
fn ready(world: &World) -> Log {
    let (namespace, log) = (world.of("/w"), Log::default());
    let (event, noted) = (namespace.binary_event("tick"), log.clone());
    namespace.on("go", async move |socket: Socket, bytes: Vec<u8>| {
        let took = (socket.takes(), socket.emit_binary(&event, &bytes));
        noted.add(format!("{took:?}"));
    });
    log
}

fn go(client: &Client) {
    client.send(r#"42/w,["go",[0,255,7]]"#);
}

const HEAD: &str = r#"51-/w,["tick",{"_placeholder":true,"num":0}]"#;

#[test]
fn a_binary_event_is_a_text_with_a_placeholder_and_the_bytes() {
    run(async |world| {
        let log = ready(&world);
        let client = world.client();
        client.connect("/w");
        go(&client);
        let expected = [
            Frame::Text(format!("4{HEAD}")),
            Frame::Binary(vec![0, 255, 7]),
        ];
        assert_eq!(client.frames(), expected);
        assert_eq!(log.take(), ["(true, true)"]);
    });
}

#[test]
fn nothing_waits_for_a_client_that_can_not_take_it() {
    run(async |world| {
        let log = ready(&world);
        let slow = world.client();
        slow.connect("/w");
        slow.get_stuck();
        for _ in 0..100 {
            go(&slow);
        }
        assert_eq!((slow.queued(), slow.closed()), (0, None));
        assert_eq!(log.take(), vec!["(false, false)"; 100]);
        slow.come_unstuck();
        go(&slow);
        assert_eq!(slow.frames().len(), 2);
        assert_eq!(world.hub().stats().dropped_volatile, 100);
    });
}

#[test]
fn who_listens_to_what_goes_out_hears_it_and_a_recoverable_namespace_adds_its_offset() {
    run(async |world| {
        ready(&world);
        let (namespace, heard) = (world.of("/w"), Log::default());
        let seen = heard.clone();
        namespace.on_any_outgoing(move |_, payload: &Payload| {
            let bytes: Vec<&Bytes> = payload.attachments().iter().collect();
            seen.add(format!("{} {bytes:?}", payload.text()));
        });
        let client = world.client();
        client.connect("/w");
        go(&client);
        assert_eq!(client.frames().len(), 2);
        let told = heard.take();
        assert!(told[0].starts_with(&HEAD[6..]), "{told:?}");
        namespace.recoverable(LogLimits::default());
        let other = world.client();
        other.connect("/w");
        go(&other);
        let frames = other.frames();
        let Some(Frame::Text(text)) = frames
            .iter()
            .find(|frame| matches!(frame, Frame::Text(text) if text.contains("tick")))
        else {
            panic!("no event: {frames:?}");
        };
        assert!(
            text.starts_with(&format!("4{}", &HEAD[..HEAD.len() - 1])),
            "{text}"
        );
        assert!(
            text.len() > HEAD.len() + 1,
            "an offset stands behind: {text}"
        );
    });
}

#[test]
fn how_much_the_kernel_keeps_back_is_said_to_the_transport_once_there_is_one() {
    run(async |world| {
        let (namespace, log) = (world.of("/w"), Log::default());
        let noted = log.clone();
        namespace.on("limit", async move |socket: Socket| {
            noted.add(socket.limit_unsent(20_000).to_string());
        });
        let client = world.client();
        client.connect("/w");
        client.signals();
        client.send(r#"42/w,["limit"]"#);
        assert_eq!(log.take(), ["true"]);
        // The power of two below.
        assert_eq!(client.signals()[0].unsent_bits, 14);
        let polling = world.open(Version::V4, Transport::Polling);
        polling.send("40/w,");
        polling.send(r#"42/w,["limit"]"#);
        assert_eq!(log.take(), ["false"]);
    });
}
