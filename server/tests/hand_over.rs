//! One process takes over from another on the same address, and a service manager looks on. No connect is refused.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use lakh_testkit::{BOUND, WsClient};
use support::{Server, lakh, output};
use tempfile::TempDir;

const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";
const POLLING: &str = "/socket.io/?EIO=4&transport=polling";
const WINDOW: (&str, &str) = ("LAKH_DRAIN__WINDOW_MS", "300");
const SERVE: [&str; 3] = ["serve", "--log-format", "json"];

/// Starts the binary as a service manager does: the socket is descriptor 3, and the variables name this very process.
fn with_socket(folder: &Path, socket: impl Into<OwnedFd>, args: &[&str]) -> Command {
    let shell = "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\"";
    let lakh = lakh(folder, &[&SERVE, args].concat());
    let mut command = Command::new("/bin/sh");
    command.args(["-c", shell, "sh"]).arg(lakh.get_program());
    command
        .args(lakh.get_args())
        .current_dir(folder)
        .env_clear();
    command.env(WINDOW.0, WINDOW.1).stdin(socket.into());
    command
}

/// People who connect without a pause, by WebSocket and by long polling, each on a connection of its own.
struct Stream {
    over: Arc<AtomicBool>,
    connects: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<Vec<String>>>,
}

impl Stream {
    fn start(address: SocketAddr) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let connects = Arc::new(AtomicUsize::new(0));
        let people = (0..4).map(|number| {
            let (over, connects) = (Arc::clone(&over), Arc::clone(&connects));
            std::thread::spawn(move || {
                let mut failed = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    let connected = match number % 2 {
                        0 => open_websocket(address),
                        _ => open_polling(address),
                    };
                    failed.extend(connected.err());
                    connects.fetch_add(1, Ordering::Relaxed);
                }
                failed
            })
        });
        let threads = people.collect();
        Self {
            over,
            connects,
            threads,
        }
    }

    /// Waits for so many more connects.
    fn go_on(&self, more: usize) {
        let until = self.connects.load(Ordering::Relaxed) + more;
        while self.connects.load(Ordering::Relaxed) < until {
            std::thread::yield_now();
        }
    }

    /// How many came, and what went wrong.
    fn end(self) -> (usize, Vec<String>) {
        self.over.store(true, Ordering::Relaxed);
        let failed = self
            .threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap());
        let failed = failed.collect();
        (self.connects.load(Ordering::Relaxed), failed)
    }
}

fn open_websocket(address: SocketAddr) -> Result<(), String> {
    let mut ws = WsClient::open(address, WEBSOCKET).map_err(|error| error.to_string())?;
    let opened = ws.receive().map_err(|error| error.to_string())?.text();
    match opened.starts_with("0{") {
        true => Ok(()),
        false => Err(opened),
    }
}

fn open_polling(address: SocketAddr) -> Result<(), String> {
    let answer = lakh_testkit::get(address, POLLING).map_err(|error| error.to_string())?;
    match answer.status {
        200 => Ok(()),
        _ => Err(format!("{} {}", answer.status, answer.text())),
    }
}

/// Lets one server after the other take over, each started before its predecessor is told to go.
fn take_turns(first: Server, mut next: impl FnMut() -> Server) {
    let stream = Stream::start(first.address);
    let mut old = first;
    for _ in 0..2 {
        let new = next();
        stream.go_on(50);
        old.signal("-TERM");
        old.wait_for("drained");
        assert_eq!(old.wait().code(), Some(0));
        old = new;
        stream.go_on(50);
    }
    let (connects, failed) = stream.end();
    assert!(
        failed.is_empty(),
        "{} of {connects}: {failed:?}",
        failed.len()
    );
}

#[test]
fn two_processes_share_a_socket_and_the_old_one_leaves_it_to_the_new_one() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let start = |folder: &TempDir| {
        Server::run(&mut with_socket(
            folder.path(),
            socket.try_clone().unwrap(),
            &[],
        ))
    };
    let folders = [(); 3].map(|()| TempDir::new().unwrap());
    let mut rest = folders[1..].iter();
    take_turns(start(&folders[0]), || start(rest.next().unwrap()));
}

#[test]
fn two_processes_share_a_port_and_the_old_one_leaves_it_to_the_new_one() {
    let folders = [(); 3].map(|()| TempDir::new().unwrap());
    let start = |folder: &TempDir, bind: &str| {
        let args = [&SERVE[..], &["--bind", bind]].concat();
        let mut command = lakh(folder.path(), &args);
        command.env(WINDOW.0, WINDOW.1);
        Server::run(command.env("LAKH_SERVER__REUSE_PORT", "true"))
    };
    let first = start(&folders[0], "127.0.0.1:0");
    let address = first.address.to_string();
    let mut rest = folders[1..].iter();
    take_turns(first, || start(rest.next().unwrap(), &address));
}

#[test]
fn while_one_process_follows_another_in_the_same_folder_connects_wait_in_the_socket() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = TempDir::new().unwrap();
    let start = || {
        Server::run(&mut with_socket(
            folder.path(),
            socket.try_clone().unwrap(),
            &[],
        ))
    };
    let mut server = start();
    let stream = Stream::start(server.address);
    for _ in 0..2 {
        stream.go_on(50);
        server.signal("-TERM");
        assert_eq!(server.wait().code(), Some(0));
        server = start();
    }
    stream.go_on(50);
    let (connects, failed) = stream.end();
    assert!(
        failed.is_empty(),
        "{} of {connects}: {failed:?}",
        failed.len()
    );
}

#[test]
fn a_socket_that_strangers_reach_needs_a_sign_in_whatever_the_settings_bind() {
    let socket = TcpListener::bind("0.0.0.0:0").unwrap();
    let folder = TempDir::new().unwrap();
    let refused = with_socket(folder.path(), socket, &[]).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("no sign-in is configured"), "{said}");
}

#[test]
fn a_socket_file_can_be_handed_over() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("lakh.sock");
    let socket = UnixListener::bind(&path).unwrap();
    let mut command = with_socket(folder.path(), socket, &[]);
    let mut server = Server::run_at(&mut command, "the socket file that was handed over");
    let mut stream = UnixStream::connect(&path).unwrap();
    stream
        .write_all(b"GET /ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    server.signal("-TERM");
    assert_eq!(server.wait().code(), Some(0));
    assert!(path.exists());
}

#[test]
fn the_service_manager_hears_when_it_is_ready_alive_and_stopping() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(BOUND)).unwrap();
    let heard = || {
        let mut message = [0; 1_024];
        let length = manager.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    };
    let args = [&SERVE[..], &["--bind", "127.0.0.1:0"]].concat();
    let mut command = lakh(folder.path(), &args);
    command
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "200000");
    let mut server = Server::run(command.env(WINDOW.0, WINDOW.1));
    let ready = heard();
    assert!(ready.contains("READY=1\n"), "{ready}");
    assert!(
        ready.contains(&format!("at http://{}\n", server.address)),
        "{ready}"
    );
    for _ in 0..2 {
        assert_eq!(heard(), "WATCHDOG=1\n");
    }
    server.signal("-TERM");
    let stopping = loop {
        let message = heard();
        if message != "WATCHDOG=1\n" {
            break message;
        }
    };
    assert!(stopping.contains("STOPPING=1\n"), "{stopping}");
    assert!(
        stopping.contains("EXTEND_TIMEOUT_USEC=30300000\n"),
        "{stopping}"
    );
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let folder = TempDir::new().unwrap();
    let (code, _, err) = output(folder.path(), &["man-pages", "."]);
    assert_eq!(code, 0, "{err}");
    for (page, says) in [
        ("lakh.1", "real"),
        ("lakh-serve.1", "\\-\\-bind"),
        ("lakh-token.1", "\\-\\-sub"),
    ] {
        let text = std::fs::read_to_string(folder.path().join(page)).unwrap();
        assert!(text.contains(says), "{page}: {text}");
    }
    assert!(!folder.path().join("lakh-man-pages.1").exists());
}
