//! What people may ask of what is kept of them: to have it ([`export`]), and to be rid of it ([`erase`]).
//!
//! What somebody wrote and where they reacted is found by indexes of their own (`chat_written:<person>`,
//! `chat_reacted:<person>`), so nobody's log is read through.

mod erase;
mod export;

pub(crate) use erase::erase;
pub use export::Export;
pub(crate) use export::export;

use lakh_hub::Failure;

use crate::{Chat, retention, rooms};

impl Chat {
    /// Does a bounded part of what is to be done now and then, on whichever node: takes away messages that are kept for a time
    /// only, and goes on with erasures and deletions of rooms whose node is gone. Whether there is more to do at once.
    ///
    /// # Errors
    /// `unavailable`; then it's to be tried again later.
    pub async fn tidy(&self) -> Result<bool, Failure> {
        rooms::go_on(self).await?;
        erase::go_on(self).await?;
        retention::step(self).await
    }
}

/// The room, thread and number that a key of an index ends in.
fn place(key: &str) -> Option<(&str, Option<u64>, u64)> {
    let (room, rest) = key.split_once('\n')?;
    match rest.split_once('\n') {
        None => Some((room, None, rest.parse().ok()?)),
        Some((root, seq)) => {
            let root = root.strip_prefix('t')?.parse().ok()?;
            Some((room, Some(root), seq.parse().ok()?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names;

    #[test]
    fn a_key_leads_to_its_message() {
        for thread in [None, Some(7)] {
            let key = names::in_room("a:t1", thread) + &names::seq_key(12);
            assert_eq!(place(&key), Some(("a:t1", thread, 12)));
        }
        for key in ["", "a", "a\n", "a\nx\n1", "a\nt1\n"] {
            assert_eq!(place(key), None, "{key:?}");
        }
    }
}
