//! The WebSocket handshake (RFC 6455 section 4.2.2) and the engine's open packet, in one answer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use crate::codec;

/// The answer to the request at the front of `bytes`, and how long that was. `None` until all of it is there.
/// An error is a request that isn't one for a WebSocket.
pub(crate) fn answer(bytes: &[u8], id: u64, ping_ms: u64) -> Option<Result<(usize, Vec<u8>), ()>> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let key = bytes[..end].split(|byte| *byte == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(18)?;
        name.eq_ignore_ascii_case(b"sec-websocket-key:")
            .then(|| value.trim_ascii())
    });
    let Some(key) = key else {
        return Some(Err(()));
    };
    let mut digest = Sha1::new();
    digest.update(key);
    digest.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let accept = STANDARD.encode(digest.finalize());
    let open = format!(
        "0{{\"sid\":\"{id:020}\",\"upgrades\":[],\"pingInterval\":{ping_ms},\"pingTimeout\":20000,\"maxPayload\":1000000}}"
    );
    let mut out = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .into_bytes();
    out.extend_from_slice(&codec::text(&[open.as_bytes()]));
    Some(Ok((end, out)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_the_rfc_is_answered_as_there() {
        let request = b"GET / HTTP/1.1\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nrest";
        let Some(Ok((used, out))) = answer(request, 1, 25_000) else {
            panic!("no answer");
        };
        assert_eq!(&request[used..], b"rest");
        let text = String::from_utf8_lossy(&out);
        assert!(text.contains("Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert_eq!(answer(&request[..20], 1, 1), None);
    }
}
