//! A backend that hooks are sent to, over plain sockets: it answers as a test says, or hangs, or cuts the connection.

#![allow(dead_code, reason = "each test binary uses its own part of this")]
#![allow(
    clippy::needless_pass_by_value,
    reason = "tests write `json!({…})` where it is needed"
)]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Tells a hang from slowness.
const BOUND: Duration = Duration::from_secs(60);

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) text: String,
    pub(crate) body: Value,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut headers = self.headers.iter();
        let found = headers.find(|(own, _)| own == name);
        found.map_or("", |(_, value)| value)
    }

    pub(crate) fn events(&self) -> Vec<Value> {
        self.body["events"].as_array().cloned().unwrap_or_default()
    }

    /// Whether it has an event of that room.
    pub(crate) fn has_room(&self, room: &str) -> bool {
        self.events().iter().any(|event| event["room"] == room)
    }
}

/// What is done with it.
#[derive(Clone, Debug)]
pub(crate) enum Reaction {
    /// Answered.
    Answer(u16, String),
    /// Answered when the gate of the receiver is opened; the request counts as taken before that.
    Late,
    /// Never answered.
    Hang,
    /// The connection is cut, and the request counts as taken.
    TakeAndCut,
    /// The connection is cut.
    Cut,
}

impl Reaction {
    pub(crate) fn ok() -> Self {
        Self::Answer(200, "{}".into())
    }

    pub(crate) fn status(status: u16) -> Self {
        Self::Answer(status, String::new())
    }

    pub(crate) fn json(answer: Value) -> Self {
        Self::Answer(200, answer.to_string())
    }
}

/// What came so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Requests, whatever was done with them.
    pub(crate) requests: Vec<Request>,
    /// Events of requests that were taken, each as often as it came.
    pub(crate) taken: Vec<Value>,
    /// Connections.
    pub(crate) connections: usize,
    is_open: bool,
    is_over: bool,
    streams: Vec<TcpStream>,
}

impl Seen {
    /// Each event once, as one who looks at ids sees them.
    pub(crate) fn once(&self) -> Vec<Value> {
        let mut ids = HashSet::new();
        let all = self.taken.iter();
        all.filter(|event| ids.insert(event["id"].as_str().unwrap().to_owned()))
            .cloned()
            .collect()
    }

    /// The numbers of a room's messages, each once.
    pub(crate) fn numbers(&self, room: &str) -> Vec<u64> {
        let all = self.once().into_iter();
        all.filter(|event| event["room"] == room && event["type"] == "message")
            .map(|event| event["seq"].as_u64().unwrap())
            .collect()
    }
}

struct Shared {
    seen: Mutex<Seen>,
    changed: Condvar,
    react: Box<dyn Fn(&Request) -> Reaction + Send + Sync>,
}

/// A backend on a free port.
pub(crate) struct Receiver {
    shared: Arc<Shared>,
    port: u16,
}

impl Receiver {
    pub(crate) fn start(react: impl Fn(&Request) -> Reaction + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            seen: Mutex::default(),
            changed: Condvar::new(),
            react: Box::new(react),
        });
        let all = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let own = Arc::clone(&all);
                let mut seen = own.seen.lock().unwrap();
                if seen.is_over {
                    return;
                }
                seen.connections += 1;
                seen.streams.push(stream.try_clone().unwrap());
                drop(seen);
                thread::spawn(move || serve(&own, stream));
            }
        });
        Self { shared, port }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// Lets late answers go.
    pub(crate) fn open(&self) {
        self.shared.seen.lock().unwrap().is_open = true;
        self.shared.changed.notify_all();
    }

    /// What came so far.
    pub(crate) fn look<R>(&self, read: impl FnOnce(&Seen) -> R) -> R {
        read(&self.shared.seen.lock().unwrap())
    }

    /// Waits until something holds for what came.
    pub(crate) fn wait(&self, what: &str, holds: impl Fn(&Seen) -> bool) {
        let end = Instant::now() + BOUND;
        let mut seen = self.shared.seen.lock().unwrap();
        while !holds(&seen) {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited for {what}; it saw {seen:?}");
            seen = self.shared.changed.wait_timeout(seen, left).unwrap().0;
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let mut seen = self.shared.seen.lock().unwrap();
        (seen.is_over, seen.is_open) = (true, true);
        for stream in seen.streams.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        drop(seen);
        self.shared.changed.notify_all();
        // Wakes the one who accepts.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn serve(shared: &Shared, mut stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(request) = read(&mut reader) {
        let reaction = (shared.react)(&request);
        let mut seen = shared.seen.lock().unwrap();
        seen.requests.push(request.clone());
        let takes = match &reaction {
            Reaction::Answer(status, _) => (200..300).contains(status),
            Reaction::Late | Reaction::TakeAndCut => true,
            Reaction::Hang | Reaction::Cut => false,
        };
        if takes {
            seen.taken.extend(request.events());
        }
        shared.changed.notify_all();
        let (status, body) = match reaction {
            Reaction::Answer(status, body) => (status, body),
            Reaction::Late => {
                while !seen.is_open {
                    seen = shared.changed.wait(seen).unwrap();
                }
                (200, String::new())
            }
            Reaction::Hang => {
                while !seen.is_over {
                    seen = shared.changed.wait(seen).unwrap();
                }
                return;
            }
            Reaction::TakeAndCut | Reaction::Cut => {
                let _ = stream.shutdown(Shutdown::Both);
                return;
            }
        };
        drop(seen);
        let length = body.len();
        let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n{body}");
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut headers = Vec::new();
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length")?;
    let mut body = vec![0; length.1.parse().unwrap()];
    reader.read_exact(&mut body).ok()?;
    let text = String::from_utf8(body).unwrap();
    Some(Request {
        headers,
        body: serde_json::from_str(&text).unwrap(),
        text,
    })
}
