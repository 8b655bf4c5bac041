//! The server that the official Socket.IO and Engine.IO suites ask for: `make conformance SUITES=DIR` starts it.
//!
//! Socket.IO is served at /socket.io/ and Engine.IO alone at /engine.io/, with the suites' short heartbeats.
//! `PORT` chooses the port, 3000 by default.

use lakh::{
    Ack, EngineHandlers, Event, Limits, Millis, Options, Server, SessionConfig, Settings, Socket,
};

fn main() -> Result<(), lakh::StartError> {
    let port = std::env::var("PORT")
        .ok()
        .and_then(|port| port.parse().ok())
        .unwrap_or(3000);
    let settings = Settings {
        engine: SessionConfig {
            ping_interval: Millis(300),
            ping_timeout: Millis(200),
            ..SessionConfig::default()
        },
        connect_timeout: Millis(1000),
        limits: Limits {
            max_payload_bytes: 1_000_000,
            ..Limits::default()
        },
        ..Settings::default()
    };
    let options = Options {
        listen: lakh::net::accept::ListenAddress::Tcp(([127, 0, 0, 1], port).into()),
        engine_path: Some("/engine.io/".to_owned()),
        allow_eio3: true,
        ..Options::default()
    };
    let server = Server::with(settings, options);

    for name in ["/", "/custom"] {
        server.of(name).on_connect(async |socket: Socket| {
            let auth: serde_json::Value = socket.auth().unwrap_or_default();
            let _ = socket.emit(
                "auth",
                &if auth.is_null() {
                    serde_json::json!({})
                } else {
                    auth
                },
            );
        });
    }
    let main = server.of("/");
    main.on("message", async |socket: Socket, event: Event| {
        let _ = socket.emit_raw(event.payload().renamed("message-back"));
    });
    main.on(
        "message-with-ack",
        async |_: Socket, event: Event, ack: Ack| {
            ack.send_raw(event.payload().without_name());
        },
    );

    server.set_engine_io(
        EngineHandlers::default().on_message(|socket, message| socket.send(&message)),
    );
    server.run()
}
