//! State as Colyseus sends it, for one schema: a map of players, each with `x` and `y` quantised to 16 bits.
//!
//! See `decoder/` of `@colyseus/schema` 5. Structures have numbers: 0 is the state, which has the map of players as its
//! field 0; what comes is operations, behind the number of the structure that they are about.

use std::collections::HashMap;

/// Codes of messages, their first byte.
pub(super) const JOIN_ROOM: u8 = 10;
pub(super) const ROOM_DATA: u8 = 13;
const ROOM_STATE: u8 = 14;
const ROOM_STATE_PATCH: u8 = 15;

const SWITCH_TO_STRUCTURE: u8 = 255;
const TYPE_ID: u8 = 213;
const ADD: u8 = 128;
const DELETE: u8 = 64;
const CLEAR: u8 = 10;
/// The edge of the square that coordinates are quantised in; the server has the same.
pub(super) const SIDE: f64 = 1024.0;

/// The state of a room, as one client has it.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The number of the map.
    map: Option<u32>,
    /// Of the map's entries: key and player by index.
    entries: HashMap<u32, (String, u32)>,
    players: HashMap<u32, [u16; 2]>,
    indices: HashMap<String, u32>,
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or("a patch ends too early")?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    fn u16(&mut self) -> Result<u16, String> {
        let bytes = self.take(2)?;
        Ok(u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    fn number(&mut self) -> Result<u32, String> {
        match self.byte()? {
            small @ 0..0x80 => Ok(small.into()),
            0xcc => Ok(self.byte()?.into()),
            0xcd => Ok(self.u16()?.into()),
            0xce => {
                let low = u32::from(self.u16()?);
                Ok(low | u32::from(self.u16()?) << 16)
            }
            other => Err(format!("a number begins with {other}")),
        }
    }

    fn string(&mut self) -> Result<String, String> {
        let len = match self.byte()? {
            0xd9 => self.byte()?.into(),
            short @ 0..0xc0 => usize::from(short & 0x1f),
            other => return Err(format!("a string begins with {other}")),
        };
        Ok(String::from_utf8_lossy(self.take(len)?).into_owned())
    }
}

impl State {
    /// Takes a message; those that are no state are none of ours.
    pub(super) fn take(&mut self, message: &[u8]) -> Result<(), String> {
        match message.split_first() {
            Some((&(ROOM_STATE | ROOM_STATE_PATCH), patch)) => self.patch(Bytes(patch)),
            _ => Ok(()),
        }
    }

    /// Where somebody is, if they are in view.
    pub(super) fn place(&self, session: &str) -> Option<[f64; 2]> {
        let (_, player) = self.entries.get(self.indices.get(session)?)?;
        let steps = self.players.get(player)?;
        Some(steps.map(|step| f64::from(step) / f64::from(u16::MAX) * SIDE))
    }

    fn patch(&mut self, mut bytes: Bytes<'_>) -> Result<(), String> {
        let mut structure = 0;
        while let Some(&next) = bytes.0.first() {
            if next == SWITCH_TO_STRUCTURE {
                bytes.byte()?;
                structure = bytes.number()?;
            } else if structure == 0 {
                let (operation, field) = compressed(bytes.byte()?);
                if field != 0 {
                    return Err(format!("the state has no field {field}"));
                }
                if operation != DELETE {
                    self.map = Some(bytes.number()?);
                }
            } else if Some(structure) == self.map {
                self.entry(&mut bytes)?;
            } else {
                let (operation, field) = compressed(bytes.byte()?);
                let player = self.players.get_mut(&structure);
                let player = player.ok_or_else(|| format!("there is no structure {structure}"))?;
                let coordinate = player.get_mut(usize::from(field));
                let coordinate =
                    coordinate.ok_or_else(|| format!("a player has no field {field}"))?;
                if operation != DELETE {
                    *coordinate = bytes.u16()?;
                }
            }
        }
        Ok(())
    }

    fn entry(&mut self, bytes: &mut Bytes<'_>) -> Result<(), String> {
        let operation = bytes.byte()?;
        if operation == CLEAR {
            self.entries.clear();
            return Ok(());
        }
        let index = bytes.number()?;
        let added = operation & ADD == ADD;
        let key = if added { Some(bytes.string()?) } else { None };
        if operation & DELETE == DELETE
            && let Some((key, player)) = self.entries.remove(&index)
        {
            self.indices.remove(&key);
            self.players.remove(&player);
        }
        if operation == DELETE {
            return Ok(());
        }
        let player = bytes.number()?;
        if added && bytes.0.first() == Some(&TYPE_ID) {
            bytes.byte()?;
            bytes.number()?;
        }
        self.players.entry(player).or_default();
        if let Some(key) = key {
            self.indices.insert(key.clone(), index);
            self.entries.insert(index, (key, player));
        }
        Ok(())
    }
}

/// An operation and a field in one byte.
fn compressed(byte: u8) -> (u8, u8) {
    (byte & 0b1100_0000, byte & 0b0011_1111)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A panic is how a test fails.
mod tests {
    use super::*;

    #[test]
    fn players_come_move_and_go() {
        let mut state = State::default();
        // The state's map is structure 1; of it, entry 0 is "ab", structure 2, at the far corner.
        let full = [
            14, 128, 1, 255, 1, 128, 0, 0xa2, b'a', b'b', 2, 255, 2, 128, 0, 0, 129, 255, 255,
        ];
        state.take(&full).unwrap();
        assert_eq!(state.place("ab"), Some([0.0, SIDE]));
        assert_eq!(state.place("cd"), None);
        state.take(&[15, 255, 2, 0, 255, 255]).unwrap();
        assert_eq!(state.place("ab"), Some([SIDE, SIDE]));
        assert!(state.take(&[15, 255, 9, 0, 1, 1]).is_err());
        assert!(state.take(&[15, 255, 2, 0, 1]).is_err());
        state.take(&[15, 255, 1, 64, 0]).unwrap();
        assert_eq!(state.place("ab"), None);
        state.take(&[13, 1, 2, 3]).unwrap();
    }
}
