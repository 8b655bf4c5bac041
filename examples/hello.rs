//! The smallest server: two namespaces, a middleware, a room and an acknowledgement.
//!
//! `cargo run --example hello`, then connect any Socket.IO client to http://localhost:3000.

use lakh::{Ack, ConnectError, Server, Socket};

fn main() -> Result<(), lakh::StartError> {
    let server = Server::new();

    let chat = server.of("/");
    chat.on_connect(async |socket: Socket| {
        socket.join("lobby");
    });
    chat.on("say", async |socket: Socket, text: String, ack: Ack| {
        let sent = socket.to("lobby").emit("said", &(socket.id(), &text));
        let _ = ack.send(&sent.is_ok());
    });

    let admin = server.of("/admin");
    admin.use_connect(
        async |socket: Socket| match socket.auth::<Option<String>>() {
            Ok(Some(word)) if word == "sesame" => Ok(()),
            _ => Err(ConnectError::new("Say the word")),
        },
    );
    admin.on("shout", async move |_: Socket, text: String| {
        let _ = chat.to("lobby").emit("said", &("admin", text));
    });

    server.run()
}
