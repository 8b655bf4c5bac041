//! Engine.IO without Socket.IO on top: the server that the test suite of engine.io-client itself asks for, what
//! `test/support/hooks.js` is in Node.
//!
//! In a checkout of `socketio/socket.io` with its packages compiled, and with this running, the suite takes it for its own
//! server when that is left out (no `--require test/support/hooks.js`):
//! `cd packages/engine.io-client && npx mocha --exit test/index.js`.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lakh::net::{HeaderValue, Method, Parts};
use lakh::{
    EngineHandlers, EngineSocket, Hooks, Limits, Message, Millis, Options, Server, SessionConfig,
    Settings,
};

const COOKIES: [&str; 4] = [
    "1=1; Max-Age=86400",
    "2=2; Path=/; HttpOnly; Secure; SameSite=Strict",
    "3=3; Max-Age=0",
    "4=4; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
];

fn main() -> Result<(), lakh::StartError> {
    let settings = Settings {
        engine: SessionConfig {
            ping_interval: Millis(500),
            ..SessionConfig::default()
        },
        limits: Limits {
            max_payload_bytes: 100,
            ..Limits::default()
        },
        ..Settings::default()
    };
    let posts = Posts::default();
    let options = Options {
        engine_path: Some("/engine.io/".to_owned()),
        hooks: hooks(posts.clone()),
        ..Options::listening_on(([127, 0, 0, 1], 3000))
    };
    let server = Server::with(settings, options);
    let (new, gone) = (posts.clone(), posts.clone());
    server.set_engine_io(
        EngineHandlers::default()
            .on_open(move |socket| {
                new.lock().entry(socket.id().to_owned()).or_default();
                socket.send_text("hi");
            })
            .on_message(move |socket, message| answer(&posts, socket, &message))
            .on_close(move |socket, _| drop(gone.lock().remove(socket.id()))),
    );
    server.run()
}

fn hooks(posts: Posts) -> Hooks {
    Hooks::default()
        .use_request(move |request| {
            posts.remember(request);
            Ok(())
        })
        .allow_request(async |request| {
            let query = request.uri.query().unwrap_or_default();
            match query.contains("deny") {
                true => Err("it asked for it".to_owned()),
                false => Ok(()),
            }
        })
        .initial_headers(|_, headers| {
            for cookie in COOKIES {
                headers.append("set-cookie", HeaderValue::from_static(cookie));
            }
        })
}

fn answer(posts: &Posts, socket: &EngineSocket, message: &Message<'_>) {
    match message {
        Message::Text("give binary") => socket.send_binary(&[0, 1, 2, 3, 4]),
        Message::Text("give utf8") => socket.send_text("пойду спать всем спокойной ночи"),
        Message::Text("sendHeaders") => {
            let headers = serde_json::json!(posts.lock().get(socket.id()));
            socket.send_text(&headers.to_string());
        }
        message => socket.send(message),
    }
}

/// The headers of each session's latest POST, by the session's id. Messages don't know the request that brought them.
#[derive(Clone, Default)]
struct Posts(Arc<Mutex<HashMap<String, BTreeMap<String, String>>>>);

impl Posts {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, BTreeMap<String, String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, request: &Parts) {
        let mut query = request.uri.query().unwrap_or_default().split('&');
        let Some(id) = query.find_map(|pair| pair.strip_prefix("sid=")) else {
            return;
        };
        if request.method == Method::POST {
            let headers = request.headers.iter().map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes());
                (name.to_string(), value.into_owned())
            });
            // Only for sessions that there are: anybody may post under any id.
            if let Some(latest) = self.lock().get_mut(id) {
                *latest = headers.collect();
            }
        }
    }
}
