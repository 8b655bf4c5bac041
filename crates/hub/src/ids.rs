//! Session and socket ids.
//!
//! An id is 20 characters of `[A-Za-z0-9_-]`: three of a node tag, one of a shard tag, sixteen random (96 bits).
//! A proxy routes by the node tag and a node routes by the shard tag, without a table. Twenty characters also make the
//! sharded Redis adapter of Node treat rooms named by an id as private. Session ids are secrets; socket ids are public.

use std::fmt;

/// Bytes in an id.
const ID_LEN: usize = 20;
const NODE_LEN: usize = 3;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// The place of a byte in the alphabet; 64 and more for all others. Ids are read on the way of every broadcast.
const PLACES: [u8; 256] = {
    let mut places = [u8::MAX; 256];
    let mut at = 0;
    while at < ALPHABET.len() {
        places[ALPHABET[at] as usize] = at as u8;
        at += 1;
    }
    places
};

/// How many shards the one-character shard tag can name.
pub const MAX_SHARDS: usize = 64;

/// A session id, a socket id or a recovery id: 20 ASCII characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id([u8; ID_LEN]);

impl Id {
    /// Reads an id that a client sent. `None` if it can't be one of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; ID_LEN] = text.as_bytes().try_into().ok()?;
        bytes
            .iter()
            .all(|byte| PLACES[usize::from(*byte)] < 64)
            .then_some(Self(bytes))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only bytes of ALPHABET get in, so this can't fail; the empty text would be a visible fault, not a panic.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The shard that made this id.
    #[must_use]
    pub fn shard(&self) -> usize {
        // Only bytes of the alphabet get in.
        usize::from(PLACES[usize::from(self.0[NODE_LEN])] & 63)
    }

    /// The node tag in this id.
    #[must_use]
    pub fn node(&self) -> &str {
        std::str::from_utf8(&self.0[..NODE_LEN]).unwrap_or_default()
    }

    pub(crate) fn bytes(&self) -> &[u8; ID_LEN] {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The three characters by which a load balancer finds the node that made an id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NodeTag([u8; NODE_LEN]);

impl NodeTag {
    /// The first three characters of the node's name, padded with `-`. Characters outside the alphabet become `_`.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        let mut tag = [b'-'; NODE_LEN];
        for (slot, byte) in tag.iter_mut().zip(name.bytes()) {
            *slot = if ALPHABET.contains(&byte) { byte } else { b'_' };
        }
        Self(tag)
    }

    /// The tag as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Random bytes fetched at once: 341 ids, of some 110 connections.
const POOL: usize = 4096;

/// Makes ids of one shard. Random bytes come from the kernel in blocks: a system call an id would cost more than
/// the rest of the handshake's bookkeeping.
#[derive(Debug)]
pub(crate) struct IdMaker {
    prefix: [u8; NODE_LEN + 1],
    pool: Box<[u8; POOL]>,
    used: usize,
}

impl IdMaker {
    pub(crate) fn new(node: NodeTag, shard: usize) -> Self {
        let mut prefix = [0; NODE_LEN + 1];
        prefix[..NODE_LEN].copy_from_slice(&node.0);
        prefix[NODE_LEN] = ALPHABET[shard % MAX_SHARDS];
        Self {
            prefix,
            pool: Box::new([0; POOL]),
            used: POOL,
        }
    }

    pub(crate) fn make(&mut self) -> Id {
        /// 96 bits: six a character.
        const RANDOM: usize = (ID_LEN - NODE_LEN - 1) / 4 * 3;
        if self.used + RANDOM > self.pool.len() {
            // Without randomness ids could be guessed; a server that can't have it must not go on.
            getrandom::fill(&mut self.pool[..]).expect("the kernel's random source answers");
            self.used = 0;
        }
        let mut id = [0; ID_LEN];
        id[..=NODE_LEN].copy_from_slice(&self.prefix);
        let random = &mut self.pool[self.used..self.used + RANDOM];
        let letters = id[NODE_LEN + 1..].as_chunks_mut::<4>().0;
        for (four, three) in letters.iter_mut().zip(random.as_chunks::<3>().0) {
            let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
            *four = [18, 12, 6, 0].map(|shift| ALPHABET[(bits >> shift & 63) as usize]);
        }
        // A secret that was given out stays nowhere else.
        random.fill(0);
        self.used += RANDOM;
        Id(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_its_node_and_shard() {
        let mut ids = IdMaker::new(NodeTag::from_name("n1"), 5);
        let id = ids.make();
        assert_eq!(id.as_str().len(), 20);
        assert_eq!((id.node(), id.shard()), ("n1-", 5));
        assert_eq!(Id::parse(id.as_str()), Some(id));
    }

    #[test]
    fn ids_do_not_repeat() {
        let mut ids = IdMaker::new(NodeTag::from_name("n"), 0);
        let made: std::collections::HashSet<Id> = (0..10_000).map(|_| ids.make()).collect();
        assert_eq!(made.len(), 10_000);
    }

    #[test]
    fn foreign_text_is_no_id() {
        for bad in [
            "",
            "short",
            "has a space in it....",
            "ééééééééé!",
            "012345678901234567890",
        ] {
            assert_eq!(Id::parse(bad), None, "{bad}");
        }
    }
}
