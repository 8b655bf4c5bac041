//! A server of the test's own and clients that share no code with it: HTTP/1.1 and RFC 6455, blocking.

#![allow(unreachable_pub)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use lakh_hub::{Ack, Binary, Hub, Settings, Socket};
use lakh_net::accept::ListenAddress;
use lakh_net::tls::{TlsFiles, TlsReloader};
use lakh_net::{Options, Running, Server, SystemClock};
use rustls::pki_types::ServerName;

/// Tells a hang from slowness, and nothing else.
pub const BOUND: Duration = Duration::from_secs(30);

/// A running server, stopped when it's dropped.
pub struct TestServer {
    pub hub: Hub,
    pub address: SocketAddr,
    pub running: Option<Running>,
    /// Why sockets went, in order.
    pub gone: std::sync::mpsc::Receiver<&'static str>,
}

/// Settings for this many loops.
pub fn loops(shards: usize) -> Settings {
    Settings {
        shards,
        keep_headers: vec!["x-kept".to_owned()],
        ..Settings::default()
    }
}

pub fn start(settings: Settings, options: Options) -> TestServer {
    start_with(settings, options, None)
}

/// `/` echoes, says who asks, and can be told to send.
pub fn start_with(
    settings: Settings,
    options: Options,
    router: Option<lakh_net::Router>,
) -> TestServer {
    let hub = Hub::new(settings, SystemClock::default());
    let ns = hub.of("/");
    ns.on("echo", async |_: Socket, text: String, ack: Ack| {
        ack.send(&text).unwrap()
    });
    ns.on("bin", async |socket: Socket, data: Binary| {
        socket.emit("bin", &data).unwrap()
    });
    ns.on("who", async |socket: Socket, _: (), ack: Ack| {
        let handshake = socket.handshake();
        let kept = handshake.header("x-kept").unwrap_or_default().to_owned();
        ack.send(&(handshake.address.to_string(), handshake.secure, kept))
            .unwrap();
    });
    ns.on("plain", async |socket: Socket, text: String| {
        socket.compress(false).emit("plain", &text).unwrap();
        socket.compress(true).emit("small", &text).unwrap();
    });
    ns.on("leave", async |socket: Socket, close: bool| {
        socket.disconnect(close)
    });
    let (send, gone) = std::sync::mpsc::channel();
    ns.on_disconnect(async move |_, reason| {
        // The test may be over.
        let _ = send.send(reason.as_str());
    });
    let options = Options {
        listen: ListenAddress::Tcp(([127, 0, 0, 1], 0).into()),
        ..options
    };
    let mut server = Server::new(hub.clone(), options);
    if let Some(router) = router {
        server = server.router(router);
    }
    let running = server.start().unwrap();
    TestServer {
        hub,
        address: running.local_addr().unwrap(),
        running: Some(running),
        gone,
    }
}

impl TestServer {
    pub fn connect(&self) -> Conn {
        Conn::new(Box::new(self.tcp()))
    }

    pub fn tcp(&self) -> TcpStream {
        let tcp = TcpStream::connect(self.address).unwrap();
        tcp.set_read_timeout(Some(BOUND)).unwrap();
        tcp.set_write_timeout(Some(BOUND)).unwrap();
        tcp
    }

    pub fn connect_tls(&self, config: &Arc<rustls::ClientConfig>) -> Conn {
        let name = ServerName::try_from("localhost").unwrap();
        let client = rustls::ClientConnection::new(Arc::clone(config), name).unwrap();
        Conn::new(Box::new(rustls::StreamOwned::new(client, self.tcp())))
    }

    /// A WebSocket that is connected to `/`.
    pub fn joined(&self) -> Conn {
        let mut ws = self.connect();
        ws.upgrade(WS).unwrap();
        ws.join();
        ws
    }

    /// Why the next socket went.
    pub fn next_gone(&self) -> &'static str {
        self.gone.recv_timeout(BOUND).unwrap()
    }
}

/// A certificate for `localhost`, and clients that trust it.
pub struct Certified {
    pub tls: Arc<TlsReloader>,
    pub client: Arc<rustls::ClientConfig>,
    _dir: tempfile::TempDir,
}

impl Certified {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let files = TlsFiles {
            certificate: dir.path().join("cert.pem"),
            key: dir.path().join("key.pem"),
        };
        std::fs::write(&files.certificate, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            tls: Arc::new(TlsReloader::new(files).unwrap()),
            client: Arc::new(client),
            _dir: dir,
        }
    }
}

pub const WS: &str = "/socket.io/?EIO=4&transport=websocket";
pub const POLL: &str = "/socket.io/?EIO=4&transport=polling";

pub fn poll_path(sid: &str) -> String {
    format!("{POLL}&sid={sid}")
}

pub fn ws_path(sid: &str) -> String {
    format!("{WS}&sid={sid}")
}

pub trait Io: Read + Write + Send {}
impl<T: Read + Write + Send> Io for T {}

/// A connection, whatever it carries.
pub struct Conn {
    io: Box<dyn Io>,
    /// Read, not yet used.
    read: Vec<u8>,
}

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

impl Conn {
    pub fn new(io: Box<dyn Io>) -> Self {
        Self {
            io,
            read: Vec::new(),
        }
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.io.write_all(bytes).unwrap();
        self.io.flush().unwrap();
    }

    /// Whether bytes could be written; a server may have closed.
    pub fn try_write(&mut self, bytes: &[u8]) -> bool {
        self.io
            .write_all(bytes)
            .and_then(|()| self.io.flush())
            .is_ok()
    }

    fn fill(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        match self.io.read(&mut buffer) {
            Ok(0) => false,
            Ok(n) => {
                self.read.extend_from_slice(&buffer[..n]);
                true
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                panic!("nothing came in time")
            }
            Err(_) => false,
        }
    }

    pub fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.read.len() < count {
            if !self.fill() {
                return None;
            }
        }
        Some(self.read.drain(..count).collect())
    }

    /// Whether the server has closed, nothing more having come.
    pub fn is_closed(&mut self) -> bool {
        self.read.is_empty() && !self.fill()
    }

    pub fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if method == "POST" {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        self.write(&[head.as_bytes(), body].concat());
        self.response().unwrap()
    }

    pub fn get(&mut self, path: &str) -> Response {
        self.request("GET", path, &[], b"")
    }

    pub fn post(&mut self, path: &str, body: &[u8]) -> Response {
        self.request(
            "POST",
            path,
            &[("Content-Type", "text/plain;charset=UTF-8")],
            body,
        )
    }

    /// The next response; `None` if the server closed instead.
    pub fn response(&mut self) -> Option<Response> {
        let end = loop {
            match self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                Some(at) => break at,
                None if self.fill() => {}
                None => return None,
            }
        };
        let head = String::from_utf8(self.read.drain(..end + 4).collect()).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap()[9..12].parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut response = Response {
            status,
            headers,
            body: Vec::new(),
        };
        if status != 101 && status != 204 {
            response.body = match response.header("content-length") {
                Some(length) => self.take(length.parse().unwrap()).unwrap(),
                None => {
                    while self.fill() {}
                    std::mem::take(&mut self.read)
                }
            };
        }
        Some(response)
    }

    // Engine.IO over polling.

    /// Opens a session and gives its id.
    pub fn open(&mut self) -> String {
        sid_of(&self.get(POLL).text())
    }

    /// Polls until a packet fits.
    pub fn poll_for(&mut self, sid: &str, fits: impl Fn(&str) -> bool) -> String {
        loop {
            let response = self.get(&poll_path(sid));
            assert_eq!(response.status, 200, "{response:?}");
            let text = response.text();
            if let Some(found) = text.split('\u{1e}').find(|packet| fits(packet)) {
                return found.to_owned();
            }
        }
    }

    // WebSocket.

    pub fn upgrade(&mut self, path: &str) -> Result<Response, Response> {
        self.upgrade_with(path, &[])
    }

    pub fn upgrade_with(
        &mut self,
        path: &str,
        more: &[(&str, &str)],
    ) -> Result<Response, Response> {
        let mut headers = vec![
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        headers.extend_from_slice(more);
        let response = self.request("GET", path, &headers, b"");
        if response.status != 101 {
            return Err(response);
        }
        // RFC 6455 section 1.3 works this one out.
        let accepted = response.header("sec-websocket-accept");
        assert_eq!(accepted, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        Ok(response)
    }

    /// Sends a frame; `first` is its first byte.
    pub fn frame(&mut self, first: u8, payload: &[u8]) {
        let bytes = frame(first, payload);
        self.write(&bytes);
    }

    pub fn send(&mut self, text: &str) {
        self.frame(0x81, text.as_bytes());
    }

    /// The first byte and the payload of the next frame; `None` when the connection is closed.
    pub fn receive(&mut self) -> Option<(u8, Vec<u8>)> {
        let head = self.take(2)?;
        assert_eq!(head[1] & 0x80, 0, "a server masks nothing");
        let length = match head[1] {
            126 => self
                .take(2)?
                .iter()
                .fold(0, |n, byte| n << 8 | usize::from(*byte)),
            127 => self
                .take(8)?
                .iter()
                .fold(0, |n, byte| n << 8 | usize::from(*byte)),
            short => usize::from(short),
        };
        Some((head[0], self.take(length)?))
    }

    /// The next text frame.
    pub fn text(&mut self) -> String {
        let (first, payload) = self.receive().unwrap();
        assert_eq!(first, 0x81, "{payload:?}");
        String::from_utf8(payload).unwrap()
    }

    /// Takes the open packet of a fresh WebSocket and connects to `/`.
    pub fn join(&mut self) -> String {
        let sid = sid_of(&self.text());
        self.send("40");
        assert!(self.text().starts_with("40{"));
        sid
    }

    /// Asks and gives the answer.
    pub fn ask(&mut self, event: &str) -> String {
        self.send(&format!("427{event}"));
        self.text()
    }
}

pub fn sid_of(open: &str) -> String {
    let open: serde_json::Value = serde_json::from_str(open.strip_prefix('0').unwrap()).unwrap();
    open["sid"].as_str().unwrap().to_owned()
}

/// A masked frame, as clients send them.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [1, 2, 3, 4];
    let mut bytes = vec![first];
    match u16::try_from(payload.len()) {
        Ok(length @ 0..126) => bytes.push(0x80 | length as u8),
        Ok(length) => {
            bytes.push(0x80 | 126);
            bytes.extend(length.to_be_bytes());
        }
        Err(_) => {
            bytes.push(0x80 | 127);
            bytes.extend((payload.len() as u64).to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(
        payload
            .iter()
            .zip(MASK.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    bytes
}

/// Waits until something that the server does by itself has come about.
pub fn until(what: &str, mut come: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !come() {
        assert!(start.elapsed() < BOUND, "{what} never came about");
        std::thread::yield_now();
    }
}

pub fn block_on<R>(work: impl Future<Output = R>) -> R {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work)
}
