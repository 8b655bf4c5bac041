//! A raw client of Engine.IO v4 over HTTP long polling (engine.io-protocol v4, "HTTP long-polling").

use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpStream};

use crate::http::{Response, invalid, read_response};
use crate::net::connect;

/// Stands between two packets of a payload.
const SEPARATOR: char = '\u{1e}';

/// One session over polling, on one connection that is kept open.
#[derive(Debug)]
pub struct PollingClient {
    server: SocketAddr,
    path: String,
    connection: BufReader<TcpStream>,
    /// The session's id.
    pub sid: String,
}

impl PollingClient {
    /// Opens a session at `path`, such as `/socket.io/`.
    ///
    /// # Errors
    /// What the system says; `InvalidData` when the server's answer is not a handshake.
    pub fn open(server: SocketAddr, path: &str) -> io::Result<Self> {
        let mut client = Self {
            server,
            path: path.to_owned(),
            connection: BufReader::new(connect(server)?),
            sid: String::new(),
        };
        let response = client.request("GET", b"")?;
        let text = response.text();
        let handshake: serde_json::Value = text
            .strip_prefix('0')
            .and_then(|json| serde_json::from_str(json).ok())
            .ok_or_else(|| invalid(format!("no handshake: {} {text}", response.status)))?;
        client.sid = handshake["sid"].as_str().unwrap_or_default().to_owned();
        Ok(client)
    }

    /// Opens a session and joins the namespace `/` with `auth`, as a Socket.IO client does.
    ///
    /// # Errors
    /// As [`PollingClient::open`] and [`PollingClient::poll`].
    pub fn join(server: SocketAddr, auth: &serde_json::Value) -> io::Result<Self> {
        let mut client = Self::open(server, "/socket.io/")?;
        client.send(&[&format!("40{auth}")])?;
        client.poll_until(|packet| packet.starts_with("40{"))?;
        Ok(client)
    }

    /// Sends packets in one payload, such as `["40", "42[\"hi\"]"]`.
    ///
    /// # Errors
    /// What the system says.
    pub fn send(&mut self, packets: &[&str]) -> io::Result<Response> {
        let payload = packets.join(&SEPARATOR.to_string());
        self.post(payload.as_bytes())
    }

    /// Sends any body.
    ///
    /// # Errors
    /// What the system says.
    pub fn post(&mut self, body: &[u8]) -> io::Result<Response> {
        self.request("POST", body)
    }

    /// Asks once for packets.
    ///
    /// # Errors
    /// What the system says; `InvalidData` with the answer for any status but 200.
    pub fn poll(&mut self) -> io::Result<Vec<String>> {
        let response = self.request("GET", b"")?;
        let text = response.text();
        if response.status != 200 {
            return Err(invalid(format!("{} {text}", response.status)));
        }
        Ok(text.split(SEPARATOR).map(str::to_owned).collect())
    }

    /// Polls until a packet fits, answers pings on the way, and returns it.
    ///
    /// # Errors
    /// As [`PollingClient::poll`].
    pub fn poll_until(&mut self, fits: impl Fn(&str) -> bool) -> io::Result<String> {
        loop {
            let packets = self.poll()?;
            if packets.iter().any(|packet| packet == "2") {
                self.send(&["3"])?;
            }
            if let Some(found) = packets.into_iter().find(|packet| fits(packet)) {
                return Ok(found);
            }
        }
    }

    fn request(&mut self, method: &str, body: &[u8]) -> io::Result<Response> {
        let sid = if self.sid.is_empty() {
            String::new()
        } else {
            format!("&sid={}", self.sid)
        };
        let head = format!(
            "{method} {}?EIO=4&transport=polling{sid} HTTP/1.1\r\nHost: {}\r\n\
             Content-Type: text/plain;charset=UTF-8\r\nContent-Length: {}\r\n\r\n",
            self.path,
            self.server,
            body.len()
        );
        let response = self.send_request(head.as_bytes(), body)?;
        if response.header("connection") == Some("close") {
            self.connection = BufReader::new(connect(self.server)?);
        }
        Ok(response)
    }

    fn send_request(&mut self, head: &[u8], body: &[u8]) -> io::Result<Response> {
        let stream = self.connection.get_mut();
        stream.write_all(head)?;
        // A server may answer, and close, before it has read a body that it doesn't want: then the write fails and
        // the answer is there all the same.
        let written = stream.write_all(body);
        match (read_response(&mut self.connection), written) {
            (Ok(response), _) => Ok(response),
            (Err(_), Err(error)) | (Err(error), Ok(())) => Err(error),
        }
    }
}
