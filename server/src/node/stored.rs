//! The store in the data folder.

use std::convert::Infallible;
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use lakh_store::{SqliteOptions, Store};

/// The file in the data folder, as docs/storage.md names it.
pub const FILE: &str = "lakh.db";

/// How often what has expired is removed. It is invisible before: this is about space only.
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// Documents removed in one commit, which others wait for.
const TIDY_AT_ONCE: usize = 1_000;

/// Opens the store, and makes the folder where it's missing: for this user alone, since it holds what people wrote.
pub(super) fn open(folder: &Path) -> anyhow::Result<Store> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(folder).with_context(|| {
        format!(
            "the data folder {} can't be made; --data takes another",
            folder.display()
        )
    })?;
    Ok(Store::sqlite(folder.join(FILE), &SqliteOptions::default())?)
}

/// Removes what has expired, every now and then, for as long as it is polled.
pub async fn tidy(store: Store, now_ms: fn() -> u64) -> Infallible {
    loop {
        tokio::time::sleep(TIDY_EVERY).await;
        loop {
            match store.purge(now_ms(), TIDY_AT_ONCE).await {
                Ok(purged) if purged.more => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "what has expired could not be removed; it is tried again");
                    break;
                }
            }
        }
    }
}

/// Does what the chat has to do now and then, for as long as it is polled: every node of a fleet does it, and twice is
/// harmless.
pub async fn tidy_chat(chat: lakh_chat::Chat) -> Infallible {
    loop {
        loop {
            match chat.tidy().await {
                Ok(true) => tokio::task::yield_now().await,
                Ok(false) => break,
                Err(failure) => {
                    tracing::warn!(
                        reason = failure.message,
                        "what is to go from the chat is still there; it is tried again"
                    );
                    break;
                }
            }
        }
        tokio::time::sleep(TIDY_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let below = file.path().join("data");
        let error = open(&below).err().unwrap().to_string();
        assert!(error.contains("--data takes another"), "{error}");
        assert!(error.contains(&below.display().to_string()), "{error}");
    }

    #[test]
    fn a_second_server_on_the_same_folder_is_refused() {
        let folder = tempfile::TempDir::new().unwrap();
        let _first = open(folder.path()).unwrap();
        let error = open(folder.path()).err().unwrap().to_string();
        assert!(error.contains("another process"), "{error}");
    }
}
