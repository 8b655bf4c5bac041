//! The protocol of the load generator on socketioxide, as its documentation writes servers.
//! `THREADS` chooses the runtime's threads, 1 by default; `PING_MS` changes the heartbeat.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, Data, SocketRef};

fn variable(name: &str, otherwise: u64) -> u64 {
    let value = std::env::var(name).ok();
    value
        .and_then(|text| text.parse().ok())
        .unwrap_or(otherwise)
}

fn main() -> std::io::Result<()> {
    let threads = variable("THREADS", 1) as usize;
    let mut builder = match threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    builder
        .worker_threads(threads)
        .enable_all()
        .build()?
        .block_on(serve())
}

async fn serve() -> std::io::Result<()> {
    let (layer, io) = SocketIo::builder()
        .ping_interval(Duration::from_millis(variable("PING_MS", 25_000)))
        .build_layer();
    let ticked: Arc<Mutex<Vec<SocketRef>>> = Arc::default();
    io.ns("/", async move |io: SocketIo, socket: SocketRef| {
        socket.on(
            "join",
            async |socket: SocketRef, Data(room): Data<String>, ack: AckSender| {
                socket.join(room);
                ack.send(&()).ok();
            },
        );
        socket.on(
            "pub",
            async move |Data((room, payload)): Data<(String, String)>| {
                io.to(room).emit("m", &payload).await.ok();
            },
        );
        socket.on(
            "echo",
            async |Data(payload): Data<String>, ack: AckSender| {
                ack.send(&payload).ok();
            },
        );
        socket.on(
            "tick",
            async move |socket: SocketRef,
                        Data((hz, bytes)): Data<(u32, usize)>,
                        ack: AckSender| {
                let mut sockets = ticked
                    .lock()
                    .unwrap_or_else(|poisoned| poisoned.into_inner());
                sockets.push(socket);
                if sockets.len() == 1 {
                    tokio::spawn(ticks(hz.max(1), bytes, Arc::clone(&ticked)));
                }
                ack.send(&()).ok();
            },
        );
    });
    let listen = std::env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(listen).await?;
    axum::serve(listener, axum::Router::new().layer(layer)).await
}

/// Sends everybody who asked for it a payload of their own, until all are gone.
async fn ticks(hz: u32, bytes: usize, ticked: Arc<Mutex<Vec<SocketRef>>>) {
    let mut interval = tokio::time::interval(Duration::from_secs(1) / hz);
    for number in 0u32.. {
        interval.tick().await;
        let mut sockets = ticked
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        sockets.retain(|socket| socket.connected());
        for socket in sockets.iter() {
            let mut payload = format!("{number:08x}");
            while payload.len() < bytes {
                payload.push_str(socket.id.as_str());
            }
            payload.truncate(bytes);
            // A full buffer drops the payload, which is what volatile means.
            socket.emit("t", &payload).ok();
        }
        if sockets.is_empty() {
            return;
        }
    }
}
