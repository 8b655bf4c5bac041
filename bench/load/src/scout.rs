//! One connection before all others: is a Socket.IO server there, does it let us in, what protocol do its rooms speak,
//! and which process is it?
//!
//! A mistake shows here within a moment and with its reason, instead of ten thousand times after a minute.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::address::Address;
use crate::dialect::Words;
use crate::error::LoadError;
use crate::options::{Dialect, Target};
use crate::probe::Probe;
use crate::{frame, hints, owner};

/// How long an answer may take. Far above what any server needs for one connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long acknowledgements of the two ways to join may take.
const JOIN_PATIENCE: Duration = Duration::from_secs(3);
/// An answer to a handshake is never as long.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// A room that no scenario uses.
const ROOM: u32 = 0xff_ffff;

/// What is wanted from the scout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Connections alone.
    Connections,
    /// Rooms, too: the dialect must be known.
    Rooms,
    /// Connections under names, where there is no sign-in.
    Names,
}

/// The target with everything settled that was left open: the dialect, and the server's processes.
pub(crate) fn look(target: &Target, wanted: Wanted) -> Result<Target, LoadError> {
    let nodes = Address::all(target, 1)?;
    let mut settled = target.clone();
    let mut own = target.clone();
    if wanted == Wanted::Names {
        let name = || r#"{"name":"load"}"#.to_owned();
        own.auth.get_or_insert_with(name);
    }
    for (url, address) in target.urls().zip(&nodes) {
        let mut line = Line::open(url, address)?;
        line.enter(&own)?;
        // What one node speaks all speak.
        if settled.dialect == Dialect::Auto && wanted == Wanted::Rooms {
            settled.dialect = line.dialect(target)?;
        }
    }
    if target.pid.is_empty() {
        let found: Vec<_> = nodes
            .iter()
            .flat_map(|node| owner::listeners(node.server))
            .collect();
        // Found, but not ours to look into: as good as not found.
        if Probe::new(&found).is_ok() {
            settled.pid = found;
        }
    }
    Ok(settled)
}

/// The connection.
struct Line {
    stream: TcpStream,
    url: String,
    /// Read and not yet taken.
    bytes: Vec<u8>,
}

impl Line {
    /// Connects, up to the engine's open packet.
    fn open(url: &str, address: &Address) -> Result<Self, LoadError> {
        let url = url.to_owned();
        let stream = TcpStream::connect_timeout(&address.server, PATIENCE);
        let stream = stream.map_err(|source| LoadError::Absent {
            url: url.clone(),
            source,
        })?;
        let mut line = Self {
            stream,
            url,
            bytes: Vec::new(),
        };
        line.send(&address.upgrade());
        let deadline = Instant::now() + PATIENCE;
        let end = loop {
            let end = line.bytes.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                break end + 4;
            }
            if line.bytes.len() > MAX_ANSWER_BYTES || !line.fill(deadline)? {
                let said = "it doesn't answer a WebSocket's handshake";
                return Err(line.stranger(said));
            }
        };
        line.status(end, deadline)?;
        line.bytes.drain(..end);
        match line.text(deadline)? {
            Some(open) if open.starts_with(b"0{") => Ok(line),
            _ => Err(line.stranger("it takes WebSockets, but doesn't begin as Engine.IO 4 does")),
        }
    }

    /// Looks at the answer to the handshake.
    fn status(&mut self, end: usize, deadline: Instant) -> Result<(), LoadError> {
        let head = String::from_utf8_lossy(&self.bytes[..end]).into_owned();
        let line = head.lines().next().unwrap_or_default().to_owned();
        let status = line
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.split(' ').next());
        match status {
            Some("101") => Ok(()),
            Some("429" | "503") => Err(LoadError::TurnedAway {
                hint: hints::connecting(&line),
                answer: line,
                url: self.url.clone(),
            }),
            Some("404") => Err(self.stranger(
                "there is a web server, but nothing at this path; Socket.IO's is /socket.io/ unless it was changed",
            )),
            Some(_) => {
                // Servers tell in the body what they don't like.
                while self.bytes.len() < MAX_ANSWER_BYTES && self.fill(deadline)? {
                    if self.bytes.ends_with(b"}") {
                        break;
                    }
                }
                let body = String::from_utf8_lossy(&self.bytes[end..]);
                let body: String = body.trim().chars().take(200).collect();
                Err(self.stranger(&format!("it answered {line} {body}")))
            }
            None => Err(self.stranger("what answers there is no HTTP server")),
        }
    }

    fn stranger(&self, reason: &str) -> LoadError {
        LoadError::Stranger {
            url: self.url.clone(),
            reason: reason.to_owned(),
        }
    }

    /// Into the namespace.
    fn enter(&mut self, target: &Target) -> Result<(), LoadError> {
        let words = Words::new(target);
        self.say(&words.connect);
        let deadline = Instant::now() + PATIENCE;
        while let Some(text) = self.text(deadline)? {
            if text.starts_with(&words.connected) {
                return Ok(());
            }
            if let Some(reason) = text.strip_prefix(words.refused.as_slice()) {
                let reason = String::from_utf8_lossy(reason).into_owned();
                let message = serde_json::from_str::<Value>(&reason);
                let message = message.ok().and_then(|value| {
                    let text = value.get("message")?.as_str()?;
                    Some(text.to_owned())
                });
                return Err(LoadError::Refused {
                    namespace: target.namespace.clone(),
                    hint: hints::connecting(&reason),
                    message: message.unwrap_or(reason),
                });
            }
        }
        Err(LoadError::Silent(format!(
            "it took the connection, but didn't answer CONNECT to the namespace {}",
            target.namespace
        )))
    }

    /// Asks in both dialects, and takes the one that is answered.
    fn dialect(&mut self, target: &Target) -> Result<Dialect, LoadError> {
        const DIALECTS: [Dialect; 2] = [Dialect::Bench, Dialect::Rooms];
        let words = DIALECTS.map(|dialect| {
            let mut target = target.clone();
            target.dialect = dialect;
            Words::new(&target)
        });
        for (ack, words) in words.iter().enumerate() {
            self.say(words.join(ack as u32, ROOM).as_bytes());
        }
        let deadline = Instant::now() + JOIN_PATIENCE;
        while let Some(text) = self.text(deadline)? {
            for (ack, dialect) in DIALECTS.into_iter().enumerate() {
                match words[ack].numbered_ack(&text) {
                    Some((number, arguments)) if number == ack as u32 => {
                        return match words[ack].refusal(arguments) {
                            None => Ok(dialect),
                            Some(refusal) => Err(LoadError::Join(refusal.to_string())),
                        };
                    }
                    _ => {}
                }
            }
        }
        Err(LoadError::NoRooms(target.namespace.clone()))
    }

    fn say(&mut self, text: &[u8]) {
        let mut out = Vec::new();
        frame::append_payload(&mut out, frame::TEXT, text);
        self.send(&out);
    }

    fn send(&mut self, bytes: &[u8]) {
        // A server that has hung up is heard by the next read, behind what it said before.
        let _ = self.stream.write_all(bytes);
    }

    /// The next text message; `None` when there is no more in time, or at all. Pings are answered.
    fn text(&mut self, deadline: Instant) -> Result<Option<Vec<u8>>, LoadError> {
        loop {
            if let Some(found) = frame::scan(&self.bytes) {
                let text = self.bytes[found.start..found.end].to_vec();
                self.bytes.drain(..found.end);
                match found.opcode {
                    frame::TEXT if text == b"2" => self.say(b"3"),
                    frame::TEXT => return Ok(Some(text)),
                    frame::CLOSE => return Ok(None),
                    _ => {}
                }
            } else if !self.fill(deadline)? {
                return Ok(None);
            }
        }
    }

    /// Reads some more. `false`: there is none, or not in time.
    fn fill(&mut self, deadline: Instant) -> Result<bool, LoadError> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        let limited = self.stream.set_read_timeout(Some(left));
        limited.map_err(LoadError::system("limiting a read"))?;
        let mut part = [0; 4096];
        match self.stream.read(&mut part) {
            Ok(0) => Ok(false),
            Ok(read) => {
                self.bytes.extend_from_slice(&part[..read]);
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(true),
            // Also a time-out, and a server that hangs up on what it doesn't understand.
            Err(_) => Ok(false),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A panic is how a test fails.
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// What the scout says of a server that answers the handshake with this, and hangs up.
    fn met(answer: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") {
                peer.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            peer.write_all(answer).unwrap();
        });
        let error = look(&Target::at(&url), Wanted::Rooms).unwrap_err();
        server.join().unwrap();
        error.to_string()
    }

    #[test]
    fn each_way_of_not_being_a_server_is_told_apart() {
        for (answer, word) in [
            (&b"SSH-2.0-OpenSSH\r\n\r\n"[..], "no HTTP server"),
            (b"HTTP/1.1 404 Not Found\r\n\r\n", "/socket.io/"),
            (b"HTTP/1.1 200 OK\r\n\r\n<html>", "200 OK <html>"),
            (
                b"HTTP/1.1 400 Bad Request\r\n\r\n{\"code\":0,\"message\":\"Transport unknown\"}",
                "Transport unknown",
            ),
            (
                b"HTTP/1.1 429 Too Many Requests\r\n\r\n",
                "limits.handshakes_per_second_per_address",
            ),
            (
                b"HTTP/1.1 503 Service Unavailable\r\n\r\n",
                "limits.max_connections",
            ),
            (
                b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x02hi",
                "Engine.IO 4",
            ),
            (
                b"HTTP/1.1 101 S\r\n\r\n\x81\x020{\x81\x1a44{\"message\":\"unauthorized\"}",
                "lakh token",
            ),
            (b"HTTP/1.1 101 S\r\n\r\n\x81\x020{\x81\x0240", "neither"),
        ] {
            let error = met(answer);
            assert!(error.contains(word), "{word}: {error}");
        }
    }

    #[test]
    fn nobody_there_is_told_with_what_to_start() {
        // Port 1 is nobody's.
        let error = look(&Target::at("http://127.0.0.1:1"), Wanted::Rooms).unwrap_err();
        assert!(error.to_string().contains("lakh serve"), "{error}");
    }
}
