//! What clients write down, as lines of text, and what is read from it.
//!
//! Each worker has a file of its own; the lines of one client are in the order in which it lived through them. Times
//! are microseconds since the run began, by the machine's clock. A line is one of
//!
//! ```text
//! c TIME CLIENT NODE 0|1 SID        connected; 1: recovered
//! d TIME CLIENT REASON              disconnected
//! j TIME CLIENT ROOM                a join was acknowledged
//! w TIME CLIENT ROOM NUMBER         a message was sent
//! a TIME CLIENT ROOM NUMBER         it was acknowledged
//! x TIME CLIENT ROOM NUMBER WHY     it was refused, or the connection broke before
//! e TIME CLIENT ROOM WRITER NUMBER COUNT  a message was seen; the server counts it as COUNT in its room (0: doesn't)
//! ```

use std::collections::HashMap;
use std::fmt;

/// A message: who wrote it, and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// The writer's number.
    pub writer: u32,
    /// The message's number among its writer's.
    pub number: u32,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "w{}#{}", self.writer, self.number)
    }
}

/// What is known of a message from its writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its room.
    pub room: u32,
    /// When it was sent.
    pub sent: u64,
    /// On which connection of its writer, counted from 1.
    pub connection: u32,
    /// When it was acknowledged.
    pub acked: Option<u64>,
}

/// One thing that a client lived through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lived {
    /// It was let in.
    Connected {
        /// The node it went to.
        node: usize,
        /// What it was told.
        recovered: bool,
        /// The socket's id.
        sid: String,
    },
    /// The connection was lost, as the client calls it.
    Lost(String),
    /// It is in the room.
    Joined(u32),
    /// A message was refused in that room.
    Refused(u32, String),
    /// It saw a message of that room, which the server counts so (0: it does not count).
    Saw(u32, Name, u64),
}

/// The whole of a run.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// Every message that was sent.
    pub messages: HashMap<Name, Message>,
    /// What each client lived through, with times. The index is the client's number.
    pub clients: Vec<Vec<(u64, Lived)>>,
}

impl Records {
    /// Takes in what a worker wrote.
    ///
    /// # Errors
    /// The line that can't be read.
    pub fn read(&mut self, text: &str) -> Result<(), String> {
        for (index, line) in text.lines().enumerate() {
            self.line(line)
                .ok_or_else(|| format!("line {}: `{line}` is no record", index + 1))?;
        }
        Ok(())
    }

    fn line(&mut self, line: &str) -> Option<()> {
        let mut words = line.splitn(4, ' ');
        let kind = words.next()?;
        let time: u64 = words.next()?.parse().ok()?;
        let client: u32 = words.next()?.parse().ok()?;
        let rest = words.next()?;
        let index = client as usize;
        if self.clients.len() <= index {
            self.clients.resize_with(index + 1, Vec::new);
        }
        let lived = match kind {
            "c" => connected(rest)?,
            "d" => Lived::Lost(rest.to_owned()),
            "j" => Lived::Joined(room(rest)?),
            "e" => {
                let mut words = rest.split(' ');
                let place = room(words.next()?)?;
                let writer = words.next()?.parse().ok()?;
                let number = words.next()?.parse().ok()?;
                let count = words.next()?.parse().ok()?;
                Lived::Saw(place, Name { writer, number }, count)
            }
            "w" | "a" | "x" => return self.written(kind, time, client, rest),
            _ => return None,
        };
        self.clients[index].push((time, lived));
        Some(())
    }

    fn written(&mut self, kind: &str, time: u64, client: u32, rest: &str) -> Option<()> {
        let mut words = rest.splitn(3, ' ');
        let place = room(words.next()?)?;
        let number = words.next()?.parse().ok()?;
        let name = Name {
            writer: client,
            number,
        };
        let lived = &mut self.clients[client as usize];
        match kind {
            "w" => {
                let connections = lived
                    .iter()
                    .filter(|(_, lived)| matches!(lived, Lived::Connected { .. }));
                let message = Message {
                    room: place,
                    sent: time,
                    connection: u32::try_from(connections.count()).ok()?,
                    acked: None,
                };
                // A number is used once: a second message of that name would hide a loss.
                self.messages.insert(name, message).is_none().then_some(())
            }
            "a" => {
                self.messages.get_mut(&name)?.acked = Some(time);
                Some(())
            }
            _ => {
                lived.push((time, Lived::Refused(place, words.next()?.to_owned())));
                Some(())
            }
        }
    }
}

fn connected(rest: &str) -> Option<Lived> {
    let mut words = rest.split(' ');
    Some(Lived::Connected {
        node: words.next()?.parse().ok()?,
        recovered: words.next()? == "1",
        sid: words.next()?.to_owned(),
    })
}

/// Rooms are called `r` and a number.
fn room(word: &str) -> Option<u32> {
    word.strip_prefix('r')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Lived, Name, Records};

    #[test]
    fn lines_become_lives_and_messages() -> Result<(), String> {
        let mut records = Records::default();
        records.read(
            "c 10 1 0 0 abc\nj 20 1 r3\nw 30 1 r3 1\na 40 1 r3 1\ne 41 1 r3 1 1 7\nd 50 1 transport close\n\
             c 60 1 2 1 abc\nw 70 1 r3 2\nx 80 1 r3 2 not_member\n",
        )?;
        let name = |number| Name { writer: 1, number };
        assert_eq!(records.messages[&name(1)].acked, Some(40));
        assert_eq!(records.messages[&name(1)].connection, 1);
        assert_eq!(records.messages[&name(2)].acked, None);
        assert_eq!(records.messages[&name(2)].connection, 2);
        let lost = Lived::Lost("transport close".to_owned());
        assert!(records.clients[1].contains(&(50, lost)));
        assert!(records.clients[1].contains(&(41, Lived::Saw(3, name(1), 7))));
        Ok(())
    }

    #[test]
    fn a_number_that_is_used_twice_is_an_error() {
        let mut records = Records::default();
        let error = records.read("w 1 1 r1 1\nw 2 1 r1 1\n");
        assert_eq!(error, Err("line 2: `w 2 1 r1 1` is no record".to_owned()));
    }
}
