//! A raw HTTP/1.1 client (RFC 9112): the bytes that a test gives go out as they are.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::net::connect;

/// An HTTP response.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code, such as 200.
    pub status: u16,
    /// Names in lower case, in the order received.
    pub headers: Vec<(String, String)>,
    /// The body, without its chunks' framing.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of that name (in lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as text; what isn't UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends `request` on a connection of its own and reads one response.
///
/// # Errors
/// What the system says; `InvalidData` for a response that isn't HTTP.
pub fn exchange(server: SocketAddr, request: &[u8]) -> io::Result<Response> {
    let mut stream = connect(server)?;
    stream.write_all(request)?;
    read_response(&mut BufReader::new(stream))
}

/// `GET path`.
///
/// # Errors
/// As [`exchange`].
pub fn get(server: SocketAddr, path: &str) -> io::Result<Response> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n");
    exchange(server, request.as_bytes())
}

/// Reads one response to its end: by length, by chunks, or until the connection closes.
///
/// # Errors
/// As [`exchange`].
pub fn read_response(from: &mut BufReader<TcpStream>) -> io::Result<Response> {
    let status_line = read_line(from)?;
    let status = status_line
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| invalid(format!("no HTTP response: {status_line:?}")))?;
    let mut response = Response {
        status,
        headers: read_headers(from)?,
        body: Vec::new(),
    };
    if status == 101 || status == 204 || status == 304 {
        return Ok(response);
    }
    response.body = if response.header("transfer-encoding") == Some("chunked") {
        read_chunks(from)?
    } else if let Some(length) = response.header("content-length") {
        let length = length
            .parse()
            .map_err(|_| invalid("a bad length".to_owned()))?;
        let mut body = vec![0; length];
        from.read_exact(&mut body)?;
        body
    } else {
        let mut body = Vec::new();
        from.read_to_end(&mut body)?;
        body
    };
    Ok(response)
}

fn read_headers(from: &mut BufReader<TcpStream>) -> io::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let line = read_line(from)?;
        if line.is_empty() {
            return Ok(headers);
        }
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| invalid(format!("no header: {line:?}")))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn read_chunks(from: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(from)?;
        let size = usize::from_str_radix(line.trim(), 16)
            .map_err(|_| invalid(format!("no chunk size: {line:?}")))?;
        let start = body.len();
        body.resize(start + size, 0);
        from.read_exact(&mut body[start..])?;
        read_line(from)?;
        if size == 0 {
            return Ok(body);
        }
    }
}

fn read_line(from: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the server closed the connection",
        ));
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// An error that says what came instead of what was expected.
pub(crate) fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
