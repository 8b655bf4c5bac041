//! Lua that Redis runs in one piece, and the keys that it needs beside each other.

use redis::{Cmd, cmd};
use sha1::{Digest, Sha1};

/// A script, and the name by which Redis knows it once it has run.
pub(crate) struct Script {
    text: &'static str,
    hash: String,
}

impl Script {
    pub(crate) fn new(text: &'static str) -> Self {
        let digest = Sha1::digest(text);
        let hash = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { text, hash }
    }

    /// Begins a call with the whole text, which always runs. What follows it on the same connection may go by name.
    pub(crate) fn whole(&self, keys: &[&str]) -> Cmd {
        call("EVAL", self.text, keys)
    }

    /// Begins a call by name. Redis answers `NOSCRIPT` if it doesn't know it, having done nothing.
    pub(crate) fn named(&self, keys: &[&str]) -> Cmd {
        call("EVALSHA", &self.hash, keys)
    }
}

fn call(verb: &str, script: &str, keys: &[&str]) -> Cmd {
    let mut call = cmd(verb);
    call.arg(script).arg(keys.len()).arg(keys);
    call
}

/// A key that a Redis Cluster keeps on the same server as `key`, for scripts take no others. `key` may hold a tag of its
/// own; only one that holds a closing brace and no tag has no such neighbours.
pub(crate) fn beside(key: &str, rest: &str) -> String {
    let tagged = key
        .split_once('{')
        .and_then(|(_, behind)| behind.split_once('}'))
        .is_some_and(|(tag, _)| !tag.is_empty());
    if tagged {
        format!("{key}{rest}")
    } else {
        format!("{{{key}}}{rest}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbour_has_the_tag_of_its_key_or_the_key_as_its_tag() {
        assert_eq!(beside("socket.io", ":n"), "{socket.io}:n");
        assert_eq!(beside("{app}:io", ":n"), "{app}:io:n");
        assert_eq!(beside("a{b}", ":n"), "a{b}:n");
        assert_eq!(beside("a{b", ":n"), "{a{b}:n");
    }
}
