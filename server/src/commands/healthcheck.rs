//! `lakh healthcheck`: one GET of `/ready` over a plain socket, so that a container needs no other tool.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::{Failure, pinned_tls};
use crate::config::Settings;

/// More than the answer of `/ready` ever is.
const MAX_ANSWER_BYTES: usize = 64 * 1_024;

/// Asks the server; the exit code is the answer, and the words on standard output are for people.
pub fn run(settings: &Settings, timeout: Duration) -> Result<ExitCode, Failure> {
    let address = reachable(settings.server.bind.0);
    let answer = match &settings.tls.cert {
        None => TcpStream::connect_timeout(&address, timeout)
            .and_then(|stream| ask(Deadline::new(stream, timeout), address)),
        Some(cert) => TcpStream::connect_timeout(&address, timeout)
            .and_then(|stream| pinned_tls::open(Deadline::new(stream, timeout), cert))
            .and_then(|stream| ask(stream, address)),
    };
    let (word, code) = match answer {
        Ok(answer) => judge(&answer),
        Err(error) => (
            format!("no answer from {address}: {error}"),
            ExitCode::FAILURE,
        ),
    };
    super::print(&(word + "\n"))?;
    Ok(code)
}

/// Where a server that is bound there can be reached from its own machine.
pub(super) fn reachable(bind: SocketAddr) -> SocketAddr {
    let ip = match bind.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bind.port())
}

fn ask(mut stream: impl Read + Write, address: SocketAddr) -> io::Result<Vec<u8>> {
    let request = format!("GET /ready HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    stream.flush()?;
    let mut answer = Vec::new();
    let mut part = [0; 4_096];
    while answer.len() < MAX_ANSWER_BYTES {
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(length) => answer.extend_from_slice(&part[..length]),
            // A peer that closes TLS without a farewell has still said all of it.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
    }
    Ok(answer)
}

fn judge(answer: &[u8]) -> (String, ExitCode) {
    let text = String::from_utf8_lossy(answer);
    let status = text.split(' ').nth(1).unwrap_or_default();
    let body = text
        .split_once("\r\n\r\n")
        .map_or("", |(_, body)| body.trim());
    match (text.starts_with("HTTP/1."), status) {
        (true, "200") => (format!("ready {body}"), ExitCode::SUCCESS),
        (true, _) => (format!("not ready ({status}) {body}"), ExitCode::FAILURE),
        _ => ("no HTTP there".into(), ExitCode::FAILURE),
    }
}

/// A stream with one time limit for all that is read and written: a peer that sends a byte now and then can't hold it.
#[derive(Debug)]
pub(super) struct Deadline {
    stream: TcpStream,
    end: Instant,
}

impl Deadline {
    pub(super) fn new(stream: TcpStream, timeout: Duration) -> Self {
        let end = Instant::now() + timeout;
        Self { stream, end }
    }

    fn left(&self) -> io::Result<Option<Duration>> {
        match self.end.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => Ok(Some(left)),
            _ => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl Read for Deadline {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buffer)
    }
}

impl Write for Deadline {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn every_address_means_loopback_from_the_same_machine() {
        for (bind, reached) in [
            ("0.0.0.0:1", "127.0.0.1:1"),
            ("[::]:1", "[::1]:1"),
            ("10.0.0.7:1", "10.0.0.7:1"),
        ] {
            assert_eq!(reachable(bind.parse().unwrap()), reached.parse().unwrap());
        }
    }

    #[test]
    fn only_200_is_ready() {
        for (answer, ready) in [
            ("HTTP/1.1 200 OK\r\n\r\n{}", true),
            (
                "HTTP/1.1 503 Service Unavailable\r\n\r\n{\"status\":\"draining\"}",
                false,
            ),
            ("HTTP/1.1 2000 ?\r\n\r\n", false),
            ("SSH-2.0 200", false),
            ("", false),
        ] {
            let (word, _) = judge(answer.as_bytes());
            assert_eq!(word.starts_with("ready"), ready, "{answer}: {word}");
        }
    }

    #[test]
    fn the_request_is_whole_and_the_answer_is_read_to_its_end() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") {
                peer.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            peer.write_all(b"HTTP/1.1 200 OK\r\n\r\nwell").unwrap();
            String::from_utf8(request).unwrap()
        });
        let stream = TcpStream::connect(address).unwrap();
        let answer = ask(Deadline::new(stream, Duration::from_secs(60)), address).unwrap();
        assert_eq!(judge(&answer).0, "ready well");
        assert!(
            server
                .join()
                .unwrap()
                .starts_with("GET /ready HTTP/1.1\r\n")
        );
    }

    #[test]
    fn a_peer_that_says_nothing_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stream = TcpStream::connect(address).unwrap();
        assert!(ask(Deadline::new(stream, Duration::from_millis(5)), address).is_err());
    }
}
