//! What connections keep and events allocate in a server with real sockets: the event loop, its runtime and the HTTP
//! library counted in.
//!
//! The whole process is counted, so this binary has one test. Its clients are bare sockets that keep no memory. The
//! counts are read on the event loop itself, between two of its tasks, so that nothing is half done meanwhile.

#![allow(clippy::unwrap_used)] // A panic is how a test fails.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use lakh_counts::counting::{Counting, Counts, of_the_process};
use lakh_counts::house::{ALL_IS_OVER_MS, Time, client_frame};
use lakh_counts::ratchet::{Figures, Tolerance, hold};
use lakh_hub::{Ack, Hub, Settings, Shard, Socket};
use lakh_net::{Options, Running, Server};

#[global_allocator]
static COUNTING: Counting = Counting;

const WEBSOCKETS: usize = 1000;
const POLLS: usize = 200;
const ECHOES: usize = 200;
const BROADCASTS: usize = 20;
/// The least of so many readings has to be that of as many before, for the server to be at rest.
const READINGS: usize = 10;
/// Tells a hang from slowness, and nothing else.
const BOUND: Duration = Duration::from_secs(60);

const TEXT: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const UPGRADE: &str = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\n\
    Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A server with one loop.
struct Site {
    hub: Hub,
    /// Stands still while connections are open, so that nothing falls due, and all timers lie in the same places.
    time: Time,
    running: Running,
    address: SocketAddr,
    connect: Vec<u8>,
}

impl Site {
    fn start() -> Self {
        let time = Time::default();
        let hub = Hub::new(Settings::default(), time.clone());
        let namespace = hub.of("/");
        namespace.on_connect(async |socket| {
            socket.join("everyone");
            socket.join("news");
        });
        namespace.on("echo", async |_: Socket, text: String, ack: Ack| {
            ack.send(&text).unwrap();
        });
        namespace.on("say", async |socket: Socket, text: String| {
            socket.namespace().to("everyone").emit("m", &text).unwrap();
        });
        let options = Options::listening_on(([127, 0, 0, 1], 0));
        let running = Server::new(hub.clone(), options).start().unwrap();
        Self {
            address: running.local_addr().unwrap(),
            hub,
            time,
            running,
            connect: client_frame("40"),
        }
    }

    /// The counts as the loop sees them between two tasks, once they no longer change. The least of some readings: what
    /// the last request has left is not always cleared away.
    fn at_rest(&self) -> Counts {
        let start = Instant::now();
        let one = || {
            // Commands alone could all be worked through in one turn of the loop. What arrived before this request is
            // read before it's answered.
            self.ask_for_nothing();
            self.reading()
        };
        let least = || {
            (0..READINGS)
                .map(|_| one())
                .min_by_key(|counts| counts.live_bytes)
        };
        let mut last = least();
        loop {
            assert!(start.elapsed() < BOUND, "the server does not come to rest");
            let next = least();
            match (last, next) {
                (Some(last), Some(next))
                    if (last.live, last.live_bytes) == (next.live, next.live_bytes) =>
                {
                    return next;
                }
                _ => last = next,
            }
        }
    }

    fn reading(&self) -> Counts {
        self.on_the_loop(|_| of_the_process())
    }

    fn on_the_loop<T: Send + 'static>(&self, work: fn(&Shard) -> T) -> T {
        let (send, receive) = std::sync::mpsc::channel();
        self.hub
            .run_on(0, move |shard| send.send(work(shard)).unwrap())
            .unwrap();
        receive.recv_timeout(BOUND).unwrap()
    }

    fn tcp(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(BOUND)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// A WebSocket that is in the main namespace and in two rooms.
    fn websocket(&self) -> TcpStream {
        let mut stream = self.tcp();
        stream.write_all(UPGRADE.as_bytes()).unwrap();
        read_until(&mut stream, "\"maxPayload\":1000000}");
        stream.write_all(&self.connect).unwrap();
        read_until(&mut stream, "\"}");
        stream
    }

    /// A session over long polling, in the same namespace and rooms, with a poll pending.
    fn polling(&self) -> TcpStream {
        let mut stream = self.tcp();
        let mut ask = |method: &str, sid: &str, body: &str, answer: Option<&str>| {
            let length = body.len();
            let request = format!(
                "{method} /socket.io/?EIO=4&transport=polling{sid} HTTP/1.1\r\nHost: localhost\r\n\
                 Content-Length: {length}\r\n\r\n{body}"
            );
            stream.write_all(request.as_bytes()).unwrap();
            answer.map(|end| read_until(&mut stream, end))
        };
        let opened = ask("GET", "", "", Some("\"maxPayload\":1000000}")).unwrap();
        let (_, sid) = opened.split_once("\"sid\":\"").unwrap();
        let sid = format!("&sid={}", &sid[..20]);
        ask("POST", &sid, "40", Some("\r\n\r\nok"));
        ask("GET", &sid, "", Some("\"}"));
        ask("GET", &sid, "", None);
        stream
    }

    /// A request that has nothing to do with sessions.
    fn ask_for_nothing(&self) {
        let mut stream = self.tcp();
        let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request).unwrap();
        read_until(&mut stream, "Not found");
        assert_eq!(stream.read(&mut [0; 8]).unwrap(), 0);
    }

    /// Opens so many, and gives what they keep.
    fn open(&self, count: usize, one: fn(&Self) -> TcpStream) -> (Vec<TcpStream>, Counts) {
        let mut all = Vec::with_capacity(count);
        let before = self.at_rest();
        all.extend((0..count).map(|_| one(self)));
        let kept = self.at_rest() - before;
        assert_eq!(self.hub.stats().sockets, count as u64);
        (all, kept)
    }

    /// Waits until the server has noticed that all clients are gone, and their timers as well.
    fn close(&self, all: Vec<TcpStream>) {
        drop(all);
        let (start, observer) = (Instant::now(), self.running.observer());
        while observer.stats().connections > 0 {
            assert!(start.elapsed() < BOUND, "connections stay");
            std::thread::yield_now();
        }
        self.at_rest();
        while self.hub.stats().sessions > 0 {
            assert!(start.elapsed() < BOUND, "sessions stay");
            self.until_over();
        }
        self.until_over();
    }

    fn until_over(&self) {
        self.time.pass(ALL_IS_OVER_MS);
        self.on_the_loop(Shard::advance);
    }
}

/// Reads until what came ends so.
fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut buffer = [0; 2048];
    let mut length = 0;
    while !buffer[..length].ends_with(end.as_bytes()) {
        let read = stream.read(&mut buffer[length..]).unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&buffer[..length]));
        length += read;
    }
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

/// Reads so many bytes, and keeps none.
fn read_bytes(stream: &mut TcpStream, count: usize) {
    let mut buffer = [0; 256];
    stream.read_exact(&mut buffer[..count]).unwrap();
}

/// Allocations of a thing that is done so often, after as many times that aren't counted.
fn allocations(site: &Site, times: usize, mut work: impl FnMut()) -> f64 {
    (0..times).for_each(|_| work());
    // Reading itself allocates, after the first as often each time: that is taken off.
    site.reading();
    let (first, second) = (site.reading(), site.reading());
    let own = second - first;
    (0..times).for_each(|_| work());
    let third = site.reading();
    each((third - second - own).made, times)
}

fn each(total: i64, count: usize) -> f64 {
    (total as f64 / count as f64 * 10.0).round() / 10.0
}

fn count_events(site: &Site, sockets: &mut [TcpStream], counted: &mut Figures) {
    let echo = client_frame(&format!(r#"421234["echo","{TEXT}"]"#));
    let answer = format!(r#"431234["{TEXT}"]"#).len() + 2;
    let an_echo = allocations(site, ECHOES, || {
        sockets[0].write_all(&echo).unwrap();
        read_bytes(&mut sockets[0], answer);
    });
    let say = client_frame(&format!(r#"42["say","{TEXT}"]"#));
    let message = format!(r#"42["m","{TEXT}"]"#).len() + 2;
    let a_broadcast = allocations(site, BROADCASTS, || {
        sockets[0].write_all(&say).unwrap();
        sockets
            .iter_mut()
            .for_each(|socket| read_bytes(socket, message));
    });
    // By the message, to two digits: whether a broadcast itself makes six or seven is up to the clock, which decides
    // how many sessions share a turn of the loop.
    let a_message = (a_broadcast / WEBSOCKETS as f64 * 100.0).round() / 100.0;
    counted.insert("echo with ack, allocations".to_owned(), an_echo);
    counted.insert(
        format!("a message of a broadcast to {WEBSOCKETS}, allocations"),
        a_message,
    );
}

#[test]
fn what_connections_keep_and_events_allocate_only_falls() {
    lakh_testkit::raise_descriptor_limit().unwrap();
    let site = Site::start();
    let mut counted = Figures::new();
    let mut note = |what: &str, kept: Counts, count| {
        counted.insert(format!("{what}, bytes"), each(kept.live_bytes, count));
        counted.insert(format!("{what}, allocations"), each(kept.live, count));
    };
    let (sockets, kept) = site.open(WEBSOCKETS, Site::websocket);
    note("websocket with tables", kept, WEBSOCKETS);
    site.close(sockets);
    let empty = site.at_rest();
    let (sockets, kept) = site.open(WEBSOCKETS, Site::websocket);
    note("websocket", kept, WEBSOCKETS);
    site.close(sockets);
    let (polls, _) = site.open(POLLS, Site::polling);
    site.close(polls);
    let (polls, kept) = site.open(POLLS, Site::polling);
    note("pending long poll", kept, POLLS);
    site.close(polls);
    // Readings and the runtime's own tables differ by a few. What a connection leaves behind is seen a thousand times.
    let left = site.at_rest() - empty;
    assert!(
        left.live < 50 && left.live_bytes < 20_000,
        "connections that are gone have left {left:?}"
    );
    let (mut sockets, _) = site.open(WEBSOCKETS, Site::websocket);
    count_events(&site, &mut sockets, &mut counted);
    hold("connections", &counted, Tolerance::part(0.01), None);
}
