//! Long polling, as far as a client at rest needs it: one HTTP connection that either sends or has a poll pending.
//!
//! A browser sends over a second connection while its poll is pending. A client that is to hold still has nothing to say
//! until the poll is answered (with a ping), so one connection does: answer the ping, then poll again. What it costs the
//! server is the pending poll, which is the same for both.
//! Source: Engine.IO protocol 4, HTTP long-polling; packets are separated by 0x1e.

use super::{Sink, State, Swarm};

const SEPARATOR: u8 = 0x1e;

/// What the next answer is to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Asked {
    /// For packets: the handshake, or a poll.
    #[default]
    Packets,
    /// That packets be taken.
    Post,
}

/// One client's state.
#[derive(Debug, Default)]
pub(crate) struct Polling {
    sid: String,
    asked: Asked,
    /// Packets to send, with separators.
    posts: Vec<u8>,
}

impl Polling {
    pub(super) fn say(&mut self, text: &[u8]) {
        if !self.posts.is_empty() {
            self.posts.push(SEPARATOR);
        }
        self.posts.extend_from_slice(text);
    }
}

/// An answer at the front of what was read.
enum Answer<'a> {
    /// Not all of it is there.
    Part,
    /// Its body, and where it ends.
    Whole(&'a [u8], usize),
    /// It's not one that we want.
    Bad(String),
}

fn answer(bytes: &[u8]) -> Answer<'_> {
    let mut headers = [httparse::EMPTY_HEADER; 48];
    let mut response = httparse::Response::new(&mut headers);
    let start = match response.parse(bytes) {
        Ok(httparse::Status::Complete(start)) => start,
        Ok(httparse::Status::Partial) => return Answer::Part,
        Err(error) => return Answer::Bad(format!("the server's HTTP can't be read: {error}")),
    };
    if response.code != Some(200) {
        let code = response.code.unwrap_or_default();
        let reason = response.reason.unwrap_or_default();
        return Answer::Bad(format!("the server answered HTTP/1.1 {code} {reason}"));
    }
    let length = response
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok());
    let Some(end) = length.and_then(|length| start.checked_add(length)) else {
        return Answer::Bad("the server answers polls without a Content-Length".to_owned());
    };
    match bytes.get(start..end) {
        Some(body) => Answer::Whole(body, end),
        None => Answer::Part,
    }
}

impl Swarm {
    /// Asks for the handshake.
    pub(super) fn start_polling(&mut self, index: u32) {
        let conn = &mut self.conns[index as usize];
        conn.state = State::Opening;
        conn.polling = Some(Box::default());
        self.poll(index, "");
    }

    /// Takes the answers out of what was read; says how much of it was whole.
    pub(super) fn feed_polling(&mut self, index: u32, bytes: &[u8], sink: &mut impl Sink) -> usize {
        let mut at = 0;
        loop {
            match answer(&bytes[at..]) {
                Answer::Part => return at,
                Answer::Bad(reason) => {
                    self.lost(index, &reason);
                    return bytes.len();
                }
                Answer::Whole(body, end) => {
                    at += end;
                    self.answered(index, body, sink);
                }
            }
            if self.conns[index as usize].fd.is_none() {
                return bytes.len();
            }
        }
    }

    fn answered(&mut self, index: u32, body: &[u8], sink: &mut impl Sink) {
        let now = self.clock.now_ns();
        let Some(polling) = &mut self.conns[index as usize].polling else {
            return;
        };
        if polling.asked == Asked::Packets {
            for packet in body.split(|byte| *byte == SEPARATOR) {
                match packet.first() {
                    Some(b'0') => self.take_sid(index, &packet[1..]),
                    Some(b'1') => self.lost(index, "the server closed the session"),
                    _ => {}
                }
                self.packet(index, packet, sink, now);
            }
        }
        self.ask(index);
    }

    fn take_sid(&mut self, index: u32, open: &[u8]) {
        let open: serde_json::Value = serde_json::from_slice(open).unwrap_or_default();
        let sid = open["sid"].as_str().unwrap_or_default();
        if let Some(polling) = &mut self.conns[index as usize].polling {
            sid.clone_into(&mut polling.sid);
        }
    }

    /// Sends what is to be sent, or polls.
    fn ask(&mut self, index: u32) {
        let Some(polling) = &mut self.conns[index as usize].polling else {
            return;
        };
        let posts = std::mem::take(&mut polling.posts);
        let sid = format!("&sid={}", polling.sid);
        if posts.is_empty() {
            polling.asked = Asked::Packets;
            return self.poll(index, &sid);
        }
        polling.asked = Asked::Post;
        let head = format!(
            "POST {}?EIO=4&transport=polling{sid} HTTP/1.1\r\nHost: {}\r\n\
             Content-Type: text/plain;charset=UTF-8\r\nContent-Length: {}\r\n\r\n",
            self.address(index).path,
            self.address(index).host,
            posts.len()
        );
        self.queue(index, |out| {
            out.extend_from_slice(head.as_bytes());
            out.extend_from_slice(&posts);
        });
    }

    fn poll(&mut self, index: u32, sid: &str) {
        let request = format!(
            "GET {}?EIO=4&transport=polling{sid} HTTP/1.1\r\nHost: {}\r\n\r\n",
            self.address(index).path,
            self.address(index).host
        );
        self.queue(index, |out| out.extend_from_slice(request.as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_when_all_of_it_is_there() {
        let whole = b"HTTP/1.1 200 OK\r\ncontent-Length: 5\r\n\r\n2\x1e40xHTTP/1.1";
        let end = whole.len() - 8;
        assert!(matches!(answer(whole), Answer::Whole(b"2\x1e40x", at) if at == end));
        for cut in 1..end {
            assert!(matches!(answer(&whole[..cut]), Answer::Part), "{cut}");
        }
    }

    #[test]
    fn refusals_and_answers_without_a_length_are_told() {
        for (bytes, word) in [
            (
                &b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"[..],
                "503",
            ),
            (b"HTTP/1.1 200 OK\r\n\r\n", "Content-Length"),
            (b"SSH-2.0\r\n\r\n", "HTTP"),
        ] {
            assert!(matches!(answer(bytes), Answer::Bad(reason) if reason.contains(word)));
        }
    }

    #[test]
    fn packets_of_one_request_are_separated() {
        let mut polling = Polling::default();
        polling.say(b"40");
        polling.say(b"3");
        assert_eq!(polling.posts, b"40\x1e3");
    }
}
