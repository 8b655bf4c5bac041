//! A raw WebSocket client (RFC 6455). Frames of a client are masked (section 5.3); a test may also send what no client
//! should.

use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::http::{Response, invalid, read_response};
use crate::net::connect;

/// A frame's opcode (RFC 6455 section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// Goes on with a fragmented message.
    Continuation = 0,
    /// Text, UTF-8.
    Text = 1,
    /// Binary.
    Binary = 2,
    /// The closing handshake, with an optional code and reason.
    Close = 8,
    /// Wants a pong with the same payload.
    Ping = 9,
    /// Answers a ping.
    Pong = 10,
}

impl Opcode {
    fn from_bits(bits: u8) -> io::Result<Self> {
        Ok(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            other => return Err(invalid(format!("unknown opcode {other}"))),
        })
    }
}

/// One frame of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Whether it ends its message.
    pub fin: bool,
    /// What it is.
    pub opcode: Opcode,
    /// What it carries.
    pub payload: Vec<u8>,
}

impl Frame {
    /// The code of a close frame, if it has one.
    #[must_use]
    pub fn close_code(&self) -> Option<u16> {
        match (self.opcode, self.payload.as_slice()) {
            (Opcode::Close, [high, low, ..]) => Some(u16::from_be_bytes([*high, *low])),
            _ => None,
        }
    }

    /// The payload as text; what isn't UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.payload).into_owned()
    }
}

/// A WebSocket connection.
#[derive(Debug)]
pub struct WsClient {
    reader: BufReader<TcpStream>,
    writer: TcpStream,
}

impl WsClient {
    /// Opens a WebSocket at `path`, such as `/socket.io/?EIO=4&transport=websocket`.
    ///
    /// # Errors
    /// What the system says; `ConnectionRefused` with status and body when the server answers anything but 101.
    pub fn open(server: SocketAddr, path: &str) -> io::Result<Self> {
        Self::open_on(connect(server)?, server, path)
    }

    /// The same on a connection that is there already.
    ///
    /// # Errors
    /// As [`WsClient::open`].
    pub fn open_on(stream: TcpStream, server: SocketAddr, path: &str) -> io::Result<Self> {
        let mut writer = stream;
        write!(
            writer,
            "GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )?;
        let mut reader = BufReader::new(writer.try_clone()?);
        let response = read_response(&mut reader)?;
        check_accepted(&response)?;
        Ok(Self { reader, writer })
    }

    /// Sends a whole text message.
    ///
    /// # Errors
    /// What the system says.
    pub fn send_text(&mut self, text: &str) -> io::Result<()> {
        self.send(true, Opcode::Text, text.as_bytes())
    }

    /// Sends a whole binary message.
    ///
    /// # Errors
    /// What the system says.
    pub fn send_binary(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.send(true, Opcode::Binary, bytes)
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// What the system says.
    pub fn send(&mut self, fin: bool, opcode: Opcode, payload: &[u8]) -> io::Result<()> {
        self.writer.write_all(&masked(fin, opcode, payload))
    }

    /// Sends bytes as they are, frame or not.
    ///
    /// # Errors
    /// What the system says.
    pub fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes)
    }

    /// The next frame of the server.
    ///
    /// # Errors
    /// What the system says; `UnexpectedEof` when the connection is closed; `InvalidData` for a frame that breaks the
    /// RFC: a server's frame carries no mask, and no reserved bit that was not negotiated.
    pub fn receive(&mut self) -> io::Result<Frame> {
        let mut head = [0; 2];
        self.reader.read_exact(&mut head)?;
        if head[0] & 0x70 != 0 {
            return Err(invalid(format!("reserved bits in {:#04x}", head[0])));
        }
        if head[1] & 0x80 != 0 {
            return Err(invalid("a masked frame of a server".to_owned()));
        }
        let length = match head[1] {
            126 => u64::from(u16::from_be_bytes(self.read_array()?)),
            127 => u64::from_be_bytes(self.read_array()?),
            short => u64::from(short),
        };
        let length = usize::try_from(length).map_err(|_| invalid(format!("{length} bytes")))?;
        let mut payload = vec![0; length];
        self.reader.read_exact(&mut payload)?;
        Ok(Frame {
            fin: head[0] & 0x80 != 0,
            opcode: Opcode::from_bits(head[0] & 0x0f)?,
            payload,
        })
    }

    /// Reads until the server closes, by a close frame or by the connection's end. Returns the close code, if there was
    /// one.
    ///
    /// # Errors
    /// `TimedOut` or `WouldBlock` when the server doesn't close; `InvalidData` as [`WsClient::receive`].
    pub fn receive_close(&mut self) -> io::Result<Option<u16>> {
        loop {
            match self.receive() {
                Ok(frame) if frame.opcode == Opcode::Close => return Ok(frame.close_code()),
                Ok(_) => {}
                Err(error) if is_closed(&error) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// A second hand on the same connection, for a thread that reads. It takes over what was read ahead, so this one is
    /// only good for writing afterwards.
    ///
    /// # Errors
    /// What the system says.
    pub fn reader(&mut self) -> io::Result<Self> {
        let mut other = Self {
            reader: BufReader::new(self.writer.try_clone()?),
            writer: self.writer.try_clone()?,
        };
        std::mem::swap(&mut self.reader, &mut other.reader);
        Ok(other)
    }

    /// The connection below, to set its options or to end it.
    #[must_use]
    pub fn stream(&self) -> &TcpStream {
        &self.writer
    }

    fn read_array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

/// Whether an error says that the other side has closed the connection.
fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

fn check_accepted(response: &Response) -> io::Result<()> {
    // The accept value of the key above, as RFC 6455 section 1.3 works it out.
    let accepted = response.header("sec-websocket-accept") == Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    if response.status == 101 && accepted {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::ConnectionRefused,
        format!("no WebSocket: {} {}", response.status, response.text()),
    ))
}

/// A masked frame. The mask is fixed: it hides nothing here, and a test's bytes stay the same from run to run.
fn masked(fin: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = Vec::with_capacity(payload.len() + 14);
    frame.push((u8::from(fin) << 7) | opcode as u8);
    // Each cast is behind the comparison that makes it fit.
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length @ 126..=65_535 => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(
        payload
            .iter()
            .zip(MASK.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    frame
}

#[cfg(test)]
mod tests {
    use super::{Opcode, masked};

    #[test]
    fn the_masked_hello_of_the_rfc_comes_out() {
        // RFC 6455 section 5.7: "A single-frame masked text message", with the same mask.
        let expected = [
            0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
        ];
        assert_eq!(masked(true, Opcode::Text, b"Hello"), expected);
    }

    #[test]
    fn lengths_take_the_shortest_form() {
        assert_eq!(masked(true, Opcode::Binary, &[0; 125])[1], 0x80 | 125);
        assert_eq!(
            masked(true, Opcode::Binary, &[0; 126])[1..4],
            [0x80 | 126, 0, 126]
        );
        let long = masked(false, Opcode::Binary, &[0; 65_536]);
        assert_eq!(long[..10], [0x02, 0x80 | 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    }
}
