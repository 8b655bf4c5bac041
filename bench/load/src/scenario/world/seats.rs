//! Coming in: the requests of each server, and Colyseus' reservations.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::address::Address;
use crate::error::LoadError;
use crate::frame;

use super::eyes::Kind;
use super::schema::{JOIN_ROOM, ROOM_DATA};

/// How long a reservation may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a bot says, as the payload of a frame, and whether that is text.
pub(super) fn enter(kind: Kind, at: [f64; 2], sight: f64, out: &mut Vec<u8>) {
    let [x, y] = at;
    let text = match kind {
        Kind::Lakh => format!(
            "42/world,1[\"world:enter\",{{\"world\":\"bench\",\"at\":[{x:.4},{y:.4}],\"view\":{sight},\"fields\":{{\"name\":\"\"}}}}]"
        ),
        Kind::Rooms => format!("421[\"enter\",{x:.2},{y:.2}]"),
        Kind::Colyseus => return frame::append_payload(out, frame::BINARY, &[JOIN_ROOM]),
    };
    frame::append_payload(out, frame::TEXT, text.as_bytes());
}

/// A move.
pub(super) fn go(kind: Kind, seq: u32, at: [f64; 2], velocity: [f64; 2], out: &mut Vec<u8>) {
    let [x, y] = at;
    let text = match kind {
        Kind::Lakh => {
            let [vx, vy] = velocity;
            format!(
                "42/world,[\"world:input\",{{\"seq\":{seq},\"at\":[{x:.4},{y:.4}],\"velocity\":[{vx:.3},{vy:.3}]}}]"
            )
        }
        Kind::Rooms => format!("42[\"move\",{x:.2},{y:.2}]"),
        Kind::Colyseus => {
            // The event's name, then two floats in a list of MessagePack.
            let mut message = vec![ROOM_DATA, 0xa4, b'm', b'o', b'v', b'e', 0x92];
            for x in at {
                message.push(0xca);
                message.extend_from_slice(&(x as f32).to_be_bytes());
            }
            return frame::append_payload(out, frame::BINARY, &message);
        }
    };
    frame::append_payload(out, frame::TEXT, text.as_bytes());
}

/// A seat in Colyseus' room: where its WebSocket is, and the player's name.
pub(super) fn reserve(
    address: &Address,
    url: &str,
    at: [f64; 2],
) -> Result<(String, String), LoadError> {
    let silent = |what: String| LoadError::Silent(format!("no seat at {url}: {what}"));
    let body = ask(address, at).map_err(|error| silent(error.to_string()))?;
    let answer: Value = serde_json::from_str(&body).unwrap_or_default();
    // Versions before 0.17 have the room in an object of its own.
    let room = if answer["room"].is_object() {
        &answer["room"]
    } else {
        &answer
    };
    let (process, room, session) = (&room["processId"], &room["roomId"], &answer["sessionId"]);
    match (process.as_str(), room.as_str(), session.as_str()) {
        (Some(process), Some(room), Some(session)) => {
            let path = format!("/{process}/{room}?sessionId={session}");
            Ok((path, session.to_owned()))
        }
        _ => Err(silent(body)),
    }
}

fn ask(address: &Address, [x, y]: [f64; 2]) -> std::io::Result<String> {
    let options = format!("{{\"x\":{x:.2},\"y\":{y:.2}}}");
    let mut stream = TcpStream::connect_timeout(&address.server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = format!(
        "POST /matchmake/joinOrCreate/world HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{options}",
        address.host,
        options.len()
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let from = answer.find('{').unwrap_or(answer.len());
    let until = answer.rfind('}').map_or(from, |end| end + 1);
    Ok(answer[from..until].to_owned())
}
