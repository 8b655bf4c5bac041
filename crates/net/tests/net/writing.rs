//! Broadcasts to many connections, with io_uring where the kernel offers it and without.

use lakh_net::Options;
use socket2::{Domain, Socket, Type};

use crate::support::{BOUND, Conn, TestServer, WS, frame, loops, start};

/// With the ring, then without; and whether the server says the same of itself.
fn both(test: impl Fn(&TestServer)) {
    for io_uring in [true, false] {
        let options = Options {
            io_uring,
            ..Options::default()
        };
        let mut settings = loops(1);
        settings.hub_limits.outbox_bytes = 64 << 20;
        let server = start(settings, options);
        test(&server);
        let used = server.running.as_ref().unwrap().observer().stats();
        assert!(io_uring || used.io_uring_loops == 0);
        if io_uring && used.io_uring_loops == 0 {
            eprintln!("the kernel offers no io_uring here: only the other way was tried");
        }
    }
}

fn crowd(server: &TestServer, count: usize) -> Vec<Conn> {
    (0..count).map(|_| server.joined()).collect()
}

fn message(number: usize, filler: &str) -> String {
    format!(r#"42["m",{number},"{filler}"]"#)
}

fn all_arrive_in_order(conn: &mut Conn, fillers: &[&str], count: usize) {
    for number in 0..count {
        assert_eq!(
            conn.text(),
            message(number, fillers[number % fillers.len()])
        );
    }
}

#[test]
fn one_broadcast_reaches_many() {
    both(|server| {
        let mut members = crowd(server, 40);
        server.hub.of("/").emit("m", &(0, "once")).unwrap();
        for member in &mut members {
            all_arrive_in_order(member, &["once"], 1);
        }
    });
}

#[test]
fn a_burst_of_all_sizes_arrives_whole_and_in_order() {
    let fillers = ["", "short", &"b".repeat(200), &"c".repeat(20_000)];
    both(|server| {
        let mut members = crowd(server, 8);
        let ns = server.hub.of("/");
        for number in 0..400 {
            ns.emit("m", &(number, fillers[number % fillers.len()]))
                .unwrap();
        }
        for member in &mut members {
            all_arrive_in_order(member, &fillers, 400);
        }
    });
}

/// What nobody reads fills the kernel's buffers: sends are taken in part or not at all, and go on when there is room.
#[test]
fn those_who_read_late_miss_nothing() {
    let fillers = [&*"d".repeat(300_000), "small", "", &"e".repeat(70_000)];
    both(|server| {
        let mut members: Vec<Conn> = (0..4).map(|_| with_little_room(server)).collect();
        let ns = server.hub.of("/");
        let mut witness = server.joined();
        for number in 0..100 {
            let filler = fillers[number % fillers.len()];
            ns.emit("m", &(number, filler)).unwrap();
            // It has been written to, and so have those before it in the same turn.
            assert_eq!(witness.text(), message(number, filler));
        }
        for member in &mut members {
            all_arrive_in_order(member, &fillers, 100);
        }
    });
}

/// A member whose kernel takes 4 KiB and no more until it reads. Ours takes up to 4 MiB (`tcp_wmem`).
fn with_little_room(server: &TestServer) -> Conn {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.set_read_timeout(Some(BOUND)).unwrap();
    socket.connect(&server.address.into()).unwrap();
    let mut member = Conn::new(Box::new(socket));
    member.upgrade(WS).unwrap();
    member.join();
    member
}

#[test]
fn a_member_that_is_gone_harms_nobody() {
    both(|server| {
        let mut members = crowd(server, 10);
        let ns = server.hub.of("/");
        members.truncate(5);
        for number in 0..50 {
            ns.emit("m", &(number, "on")).unwrap();
        }
        for member in &mut members {
            all_arrive_in_order(member, &["on"], 50);
        }
        for _ in 0..5 {
            assert!(server.next_gone().starts_with("transport"));
        }
    });
}

/// More is published within one turn of the loop than an outbox holds. Who reads is no slow reader for that.
#[test]
fn publishers_that_are_faster_than_a_turn_cost_no_reader_its_connection() {
    let mut settings = loops(1);
    settings.hub_limits.outbox_bytes = 1 << 20;
    let server = start(settings, Options::default());
    let ns = server.hub.of("/");
    let all = ns.clone();
    ns.on("join", async |socket: lakh_hub::Socket, (): ()| {
        socket.join("room");
    });
    ns.on("say", async move |_: lakh_hub::Socket, text: String| {
        all.to("room").emit("said", &text).unwrap();
    });
    let (began, begins) = std::sync::mpsc::channel();
    let (go_on, waits) = std::sync::mpsc::channel();
    let waits = std::sync::Mutex::new(waits);
    ns.on("block", async move |_: lakh_hub::Socket, (): ()| {
        began.send(()).unwrap();
        waits.lock().unwrap().recv_timeout(BOUND).unwrap();
    });
    let mut members = crowd(&server, 2);
    for member in &mut members {
        member.send(r#"42["join"]"#);
        member.ask(r#"["echo","in"]"#);
    }
    let mut publishers = crowd(&server, 30);
    members[0].send(r#"42["block"]"#);
    begins.recv_timeout(BOUND).unwrap();
    let said = frame(
        0x81,
        format!(r#"42["say","{}"]"#, "x".repeat(950)).as_bytes(),
    );
    for publisher in &mut publishers {
        publisher.write(&said.repeat(50));
    }
    go_on.send(()).unwrap();
    std::thread::scope(|scope| {
        for member in &mut members {
            scope.spawn(move || {
                for _ in 0..30 * 50 {
                    assert!(member.text().starts_with(r#"42["said","x"#));
                }
            });
        }
    });
}
