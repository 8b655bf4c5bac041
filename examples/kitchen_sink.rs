//! Every feature of the library behind an event of its own, for clients that try them one by one (tests/conformance).
//!
//! Prints `listening on http://…`. `PORT` chooses the port, 3000 by default; 0 takes a free one. `RECOVERY=1` makes `/`
//! recoverable, `ALLOW_EIO3=1` lets clients of version 2 in, `PING_INTERVAL_MS` is the time between heartbeats. The events
//! of `/`:
//!
//! | event | arguments | effect |
//! |---|---|---|
//! | message | any | comes back as `message-back` |
//! | message-with-ack | any | is acknowledged with its arguments |
//! | join, leave | room | acknowledged with the socket's rooms |
//! | broadcast, to-all, volatile | room, event, any | to the others in the room, to everyone in it, or volatile |
//! | except | room, room, event, any | to everyone in the first room who is not in the second |
//! | ask | event, value | asks the socket; acknowledged `{value}` or `{error}` |
//! | ask-room | room, event, value | asks a room; acknowledged `{timedOut, values}` |
//! | name, who | name; room | sets the socket's data; tells ids, names and rooms of a room's members |
//! | sockets-join, sockets-leave | room, room | moves the members of the first room |
//! | disconnect-sockets | room, close | ends the members' sockets or connections |
//! | leave-me, close-me, silent, handshake | | ends the socket, its connection; never acknowledges; tells the handshake |
//!
//! On connection it emits `auth` with the client's auth. `/reasons` hears of every socket that goes, `/auth` wants a
//! token, `/packets` refuses an event, `/dynamic-<n>` takes any number, `/catchall` tells what it hears.

use std::str::FromStr;
use std::time::Duration;

use lakh::net::accept::ListenAddress;
use lakh::{
    Ack, CloseReason, ConnectError, Event, LogLimits, Millis, Namespace, Options, Payload, Server,
    Settings, Socket,
};
use serde_json::{Value, json};

/// How long a client may take to answer the server.
const PATIENCE: Duration = Duration::from_secs(3);

fn main() -> Result<(), lakh::StartError> {
    let mut settings = Settings {
        shards: 2,
        keep_headers: vec!["x-test".to_owned()],
        ..Settings::default()
    };
    if let Some(interval) = number("PING_INTERVAL_MS") {
        settings.engine.ping_interval = Millis(interval);
    }
    let port = number("PORT");
    let options = Options {
        listen: ListenAddress::Tcp(([127, 0, 0, 1], port.unwrap_or(3000)).into()),
        allow_eio3: variable("ALLOW_EIO3").is_some(),
        ..Options::default()
    };
    let server = Server::with(settings, options);
    let main = server.of("/");
    if variable("RECOVERY").is_some() {
        main.recoverable(LogLimits::default());
    }
    echo(&main);
    rooms(&main);
    requests(&main);
    members(&main);
    endings(&main, &server.of("/reasons"));
    other_namespaces(&server);

    let running = server.start()?;
    if let Some(address) = running.local_addr() {
        println!("listening on http://{address}");
    }
    // The loops have threads of their own; this one has nothing left to do until the process is ended.
    loop {
        std::thread::park();
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn number<N: FromStr>(name: &str) -> Option<N> {
    variable(name)?.parse().ok()
}

fn echo(main: &Namespace) {
    main.on_connect(async |socket: Socket| {
        let auth: Option<Value> = socket.auth().unwrap_or_default();
        tell(socket.emit("auth", &auth.unwrap_or_else(|| json!({}))));
    });
    main.on("message", async |socket: Socket, event: Event| {
        tell(socket.emit_raw(event.payload().renamed("message-back")));
    });
    main.on(
        "message-with-ack",
        async |_: Socket, event: Event, ack: Ack| {
            ack.send_raw(event.payload().without_name());
        },
    );
    main.on("silent", async |_: Socket, _: Event| {});
}

fn rooms(main: &Namespace) {
    main.on("join", async |socket: Socket, room: String, ack: Ack| {
        socket.join(room);
        tell(ack.send(&sorted(&socket.rooms().await)));
    });
    main.on("leave", async |socket: Socket, room: String, ack: Ack| {
        socket.leave(room);
        tell(ack.send(&sorted(&socket.rooms().await)));
    });
    main.on("broadcast", async |socket: Socket, event: Event| {
        let Ok(room) = event.args::<String>() else {
            return;
        };
        let news = event.payload().without_name().without_name();
        tell(socket.to(room).emit_raw(news));
    });
    main.on("to-all", async |socket: Socket, event: Event| {
        let Ok(room) = event.args::<String>() else {
            return;
        };
        let news = event.payload().without_name().without_name();
        tell(socket.namespace().to(room).emit_raw(news));
    });
    main.on("volatile", async |socket: Socket, event: Event| {
        let Ok(room) = event.args::<String>() else {
            return;
        };
        let news = event.payload().without_name().without_name();
        tell(socket.namespace().to(room).volatile().emit_raw(news));
    });
    main.on("except", async |socket: Socket, event: Event| {
        let Ok((room, not)) = event.args::<(String, String)>() else {
            return;
        };
        let news = event.payload().without_name().without_name().without_name();
        tell(socket.namespace().to(room).except(not).emit_raw(news));
    });
}

fn requests(main: &Namespace) {
    main.on(
        "ask",
        async |socket: Socket, (event, value): (String, Value), ack: Ack| {
            let answer = match socket
                .timeout(PATIENCE)
                .emit_with_ack::<Value>(&event, &value)
            {
                Ok(answer) => answer.await,
                Err(error) => return eprintln!("{error}"),
            };
            tell(ack.send(&match answer {
                Ok(value) => json!({ "value": value }),
                Err(_) => json!({ "error": "timeout" }),
            }));
        },
    );
    main.on(
        "ask-room",
        async |socket: Socket, (room, event, value): (String, String, Value), ack: Ack| {
            let room = socket.namespace().to(room).timeout(PATIENCE);
            let answers = match room.emit_with_ack::<Value>(&event, &value) {
                Ok(answers) => answers.await,
                Err(error) => return eprintln!("{error}"),
            };
            let timed_out = !answers.is_complete();
            tell(ack.send(&json!({ "timedOut": timed_out, "values": answers.answers })));
        },
    );
    main.on("handshake", async |socket: Socket, _: Event, ack: Ack| {
        let handshake = socket.handshake();
        let auth: Value = socket.auth().unwrap_or_default();
        tell(ack.send(&json!({
            "auth": auth,
            "query": { "color": handshake.query_param("color"), "EIO": handshake.query_param("EIO") },
            "header": handshake.header("x-test"),
            "address": handshake.address.ip().to_string(),
            "secure": handshake.secure,
        })));
    });
}

fn members(main: &Namespace) {
    main.on("name", async |socket: Socket, name: String, ack: Ack| {
        socket.set_data(json!({ "name": name }));
        tell(ack.send(&()));
    });
    main.on("who", async |socket: Socket, room: String, ack: Ack| {
        let found = socket.namespace().in_(room).fetch_sockets().await;
        let told: Vec<Value> = found
            .into_iter()
            .map(
                |one| json!({ "id": one.id, "name": one.data["name"], "rooms": sorted(&one.rooms) }),
            )
            .collect();
        tell(ack.send(&told));
    });
    main.on(
        "sockets-join",
        async |socket: Socket, (room, other): (String, String), ack: Ack| {
            socket.namespace().in_(room).sockets_join([other]);
            tell(ack.send(&()));
        },
    );
    main.on(
        "sockets-leave",
        async |socket: Socket, (room, other): (String, String), ack: Ack| {
            socket.namespace().in_(room).sockets_leave([other]);
            tell(ack.send(&()));
        },
    );
}

fn endings(main: &Namespace, reasons: &Namespace) {
    main.on(
        "disconnect-sockets",
        async |socket: Socket, (room, close): (String, bool)| {
            socket.namespace().in_(room).disconnect_sockets(close);
        },
    );
    main.on("leave-me", async |socket: Socket| socket.disconnect(false));
    main.on("close-me", async |socket: Socket| socket.disconnect(true));
    let reasons = reasons.clone();
    main.on_disconnect(async move |socket: Socket, reason: CloseReason| {
        let gone = json!({ "id": socket.id(), "reason": reason.as_str() });
        tell(reasons.emit("gone", &gone));
    });
}

fn other_namespaces(server: &Server) {
    let auth = server.of("/auth");
    auth.use_connect(async |socket: Socket| {
        let auth: Value = socket.auth().unwrap_or_default();
        if auth["token"] == "secret" {
            return Ok(());
        }
        let data = json!({ "code": 401, "content": "Please retry later" });
        Err(ConnectError::new("not authorized").with_data(data))
    });
    auth.on_connect(async |socket: Socket| tell(socket.emit("welcome", "in")));

    let packets = server.of("/packets");
    packets.use_packet(async |socket: Socket, event: Event| {
        if event.name() != "forbidden" {
            return Ok(());
        }
        tell(socket.emit("refused", "refused by middleware"));
        Err("refused by middleware".to_owned())
    });
    packets.on("allowed", async |_: Socket, _: Event, ack: Ack| {
        tell(ack.send("fine"))
    });
    packets.on("forbidden", async |_: Socket, _: Event, ack: Ack| {
        tell(ack.send("must not happen"));
    });

    let dynamic = server.of_fn(async |name: String, _| {
        let number = name.strip_prefix("/dynamic-").unwrap_or_default();
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    });
    dynamic.on_connect(async |socket: Socket| {
        tell(socket.emit("welcome", socket.namespace().name()));
    });

    let catchall = server.of("/catchall");
    catchall.on_any(async |socket: Socket, event: Event| {
        let heard = event.payload();
        let told = format!("[\"any\",{}]", heard.text());
        tell(socket.emit_raw(Payload::from_raw(told, heard.attachments().to_vec())));
    });
}

fn sorted(rooms: &[lakh::Room]) -> Vec<String> {
    let mut names: Vec<String> = rooms.iter().map(|room| room.to_string()).collect();
    names.sort();
    names
}

/// Says what could not be sent. A server of one's own would decide here what to do about it.
fn tell<E: std::fmt::Display>(result: Result<(), E>) {
    if let Err(error) = result {
        eprintln!("not sent: {error}");
    }
}
