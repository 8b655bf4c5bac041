//! The server that the test suite of socket.io-client itself asks for: what `test/support/server.ts` is in Node.
//!
//! In a checkout of `socketio/socket.io` with its packages compiled, and with this running, the suite takes it for its own
//! server when that is left out (no `--require test/support/hooks.ts`):
//! `cd packages/socket.io-client && npx mocha --import=tsx --exit test/index.ts`.

use std::collections::BTreeMap;
use std::time::Duration;

use lakh::{
    Ack, Binary, Bytes, ConnectError, Hooks, LogLimits, Millis, Namespace, Options, Server,
    SessionConfig, Settings, Socket,
};
use serde::Deserialize;
use serde_json::{Value, json};

fn main() -> Result<(), lakh::StartError> {
    let settings = Settings {
        engine: SessionConfig {
            ping_interval: Millis(2000),
            ..SessionConfig::default()
        },
        ..Settings::default()
    };
    let options = Options {
        // The suite wants a delay, to see its own time-outs.
        hooks: Hooks::default().allow_request(async |_| {
            tokio::time::sleep(Duration::from_millis(10)).await;
            Ok(())
        }),
        ..Options::listening_on(([127, 0, 0, 1], 3210))
    };
    let server = Server::with(settings, options);
    for name in [
        "/",
        "/foo",
        "/abc",
        "/no",
        "/asd",
        "/valid",
        "/timeout_socket",
    ] {
        server.of(name).recoverable(LogLimits::default());
    }
    let main = server.of("/");
    main.use_connect(
        async |socket: Socket| match socket.handshake().query_param("fail") {
            Some(_) => Err(ConnectError::new("Auth failed (main namespace)")),
            None => Ok(()),
        },
    );
    main.on("getHandshake", async |socket: Socket, ack: Ack| {
        let _ = ack.send(&handshake(&socket));
    });
    for namespace in [&main, &server.of("/foo")] {
        namespace.on("getId", async |socket: Socket, ack: Ack| {
            let _ = ack.send(socket.id());
        });
    }
    texts(&main);
    binaries(&main);
    server
        .of("/no")
        .use_connect(async |_| Err(ConnectError::new("Auth failed (custom namespace)")));
    server.of("/abc").on_connect(async |socket: Socket| {
        let _ = socket.emit("handshake", &handshake(&socket));
    });
    server.run()
}

fn handshake(socket: &Socket) -> Value {
    let query: BTreeMap<String, String> = socket.handshake().query_params().collect();
    json!({ "query": query, "auth": socket.auth::<Value>().unwrap_or_default() })
}

fn texts(main: &Namespace) {
    /// As `JSON.stringify` writes a `Date`.
    const DATE: &str = "2024-02-29T12:00:00.000Z";
    // Fails only if the client is too far behind; it would be told by being disconnected.
    main.on("hi", async |socket: Socket| drop(socket.emit("hi", &())));
    main.on("false", async |socket: Socket| {
        drop(socket.emit("false", &false))
    });
    main.on("echo", async |_: Socket, value: Value, ack: Ack| {
        drop(ack.send(&value))
    });
    main.on("getAckDate", async |_: Socket, _: Value, ack: Ack| {
        drop(ack.send(DATE))
    });
    main.on("getDate", async |socket: Socket| {
        drop(socket.emit("takeDate", DATE))
    });
    main.on("getDateObj", async |socket: Socket| {
        let _ = socket.emit("takeDateObj", &json!({ "date": DATE }));
    });
    main.on("getUtf8", async |socket: Socket| {
        for text in [
            "てすと",
            "Я Б Г Д Ж Й",
            "Ä ä Ü ü ß",
            "utf8 — string",
            "utf8 — string",
        ] {
            let _ = socket.emit("takeUtf8", text);
        }
    });
    main.on("ack", async |socket: Socket| {
        let Ok(answer) = socket.emit_with_ack::<(u64, Value)>("ack", &()) else {
            return;
        };
        if let Ok((5, value)) = answer.await
            && value["test"] == true
        {
            let _ = socket.emit("got it", &());
        }
    });
}

/// An object with a buffer in it.
#[derive(Deserialize)]
struct Mixed {
    hello: String,
    message: Binary,
    goodbye: String,
}

/// Kept with a socket once its first buffer has come.
struct First;

fn binaries(main: &Namespace) {
    for (event, answer) in [("doge", "doge"), ("getbin", "takebin")] {
        main.on(event, async move |socket: Socket| {
            let _ = socket.emit(answer, &Binary(Bytes::from_static(b"asdfasdf")));
        });
    }
    for (event, answer) in [("buffa", "buffack"), ("blob", "back")] {
        // Called only when the argument is binary.
        main.on(event, async move |socket: Socket, _: Binary| {
            let _ = socket.emit(answer, &());
        });
    }
    for (event, answer) in [("jsonbuff", "jsonbuff-ack"), ("jsonblob", "jsonblob-ack")] {
        main.on(event, async move |socket: Socket, mixed: Mixed| {
            if mixed.hello == "lol" && !mixed.message.0.is_empty() && mixed.goodbye == "gotcha" {
                let _ = socket.emit(answer, &());
            }
        });
    }
    for event in ["abuff1", "blob1"] {
        main.on(event, async |socket: Socket, _: Binary| {
            socket.insert(First)
        });
    }
    for (event, answer) in [("abuff2", "abuff2-ack"), ("blob3", "blob3-ack")] {
        main.on(event, async move |socket: Socket| {
            if socket.get::<First>().is_some() {
                let _ = socket.emit(answer, &());
            }
        });
    }
}
