//! Bytes on their way in: to a file of their own, hashed as they come, that is gone with whoever gives up.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tempfile::{NamedTempFile, TempPath};

use crate::folder::{make, off_loop};
use crate::hex;

/// Bytes gathered before they are written: each write takes a turn of another thread.
const GATHER: usize = 256 << 10;
/// Bytes from the beginning by which a file is recognised.
const HEAD: usize = 8 << 10;
/// What the names of files here begin with.
const PREFIX: &str = "up-";

/// The folder where files are while they arrive. It should be on the same disk as where they are kept.
#[derive(Clone, Debug)]
pub struct Spool(Arc<PathBuf>);

/// A file that is arriving. Dropped, it is gone.
#[derive(Debug)]
pub struct Writing {
    /// `None` after a write that failed, or that nobody waited for.
    to: Option<(NamedTempFile, Sha256)>,
    gathered: Vec<u8>,
    head: Vec<u8>,
    size: u64,
}

/// A file that has arrived. Dropped, it is gone, unless it was moved.
#[derive(Debug)]
pub struct Spooled {
    path: TempPath,
    /// Bytes.
    pub size: u64,
    /// SHA-256 in hexadecimal.
    pub hash: String,
    /// Its beginning.
    pub head: Vec<u8>,
}

impl Spool {
    /// A folder, which is made where it's missing.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self(Arc::new(path))
    }

    /// Begins a file.
    ///
    /// # Errors
    /// If it can't be made.
    pub async fn begin(&self) -> io::Result<Writing> {
        let folder = Arc::clone(&self.0);
        let file = off_loop(move || {
            make(&folder)?;
            tempfile::Builder::new()
                .prefix(PREFIX)
                .tempfile_in(&*folder)
        });
        Ok(Writing {
            to: Some((file.await?, Sha256::new())),
            gathered: Vec::new(),
            head: Vec::new(),
            size: 0,
        })
    }

    /// Makes a file of bytes that are all there.
    ///
    /// # Errors
    /// If it can't be written.
    pub async fn put(&self, bytes: Bytes) -> io::Result<Spooled> {
        let mut writing = self.begin().await?;
        writing.write(bytes).await?;
        writing.finish().await
    }

    /// Removes files that nobody has written to for so long: of a process that was killed.
    ///
    /// # Errors
    /// If the folder can't be read.
    pub async fn tidy(&self, now: SystemTime, older_than: Duration) -> io::Result<usize> {
        let folder = Arc::clone(&self.0);
        off_loop(move || {
            let entries = match std::fs::read_dir(&*folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
                entries => entries?,
            };
            let mut removed = 0;
            for entry in entries {
                let entry = entry?;
                let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
                let changed = entry.metadata().and_then(|data| data.modified());
                let is_old = changed
                    .is_ok_and(|at| now.duration_since(at).is_ok_and(|age| age > older_than));
                if is_ours && is_old && std::fs::remove_file(entry.path()).is_ok() {
                    removed += 1;
                }
            }
            Ok(removed)
        })
        .await
    }
}

impl Writing {
    /// Bytes so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Takes bytes.
    ///
    /// # Errors
    /// If they can't be written; then the file is lost.
    pub async fn write(&mut self, mut bytes: Bytes) -> io::Result<()> {
        self.size += bytes.len() as u64;
        let missing = HEAD.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..missing]);
        while !bytes.is_empty() {
            let part = bytes.split_to(bytes.len().min(GATHER - self.gathered.len()));
            self.gathered.extend_from_slice(&part);
            if self.gathered.len() == GATHER {
                self.flush().await?;
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> io::Result<()> {
        let lost = || io::Error::other("an earlier part of the file was not written");
        let (mut file, mut hash) = self.to.take().ok_or_else(lost)?;
        let mut gathered = std::mem::take(&mut self.gathered);
        let (to, gathered) = off_loop(move || {
            hash.update(&gathered);
            file.write_all(&gathered)?;
            gathered.clear();
            Ok(((file, hash), gathered))
        })
        .await?;
        (self.to, self.gathered) = (Some(to), gathered);
        Ok(())
    }

    /// All of it is there.
    ///
    /// # Errors
    /// If the rest can't be written.
    pub async fn finish(mut self) -> io::Result<Spooled> {
        self.flush().await?;
        let lost = || io::Error::other("a part of the file was not written");
        let (file, hash) = self.to.take().ok_or_else(lost)?;
        Ok(Spooled {
            path: file.into_temp_path(),
            size: self.size,
            hash: hex(&hash.finalize()),
            head: self.head,
        })
    }
}

impl Spooled {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_are_hashed_as_they_come_and_gone_with_whoever_gives_up() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::new(folder.path().join("tmp"));
        let files = || {
            std::fs::read_dir(folder.path().join("tmp"))
                .unwrap()
                .count()
        };
        let mut writing = spool.begin().await.unwrap();
        for _ in 0..1_000 {
            writing
                .write(Bytes::from_static(&[7; 1_000]))
                .await
                .unwrap();
        }
        assert_eq!((writing.size(), files()), (1_000_000, 1));
        let spooled = writing.finish().await.unwrap();
        assert_eq!(spooled.size, 1_000_000);
        assert_eq!(spooled.head, [7; HEAD]);
        assert_eq!(spooled.hash, hex(&Sha256::digest(vec![7; 1_000_000])));
        assert_eq!(std::fs::read(spooled.path()).unwrap(), vec![7; 1_000_000]);
        drop(spooled);
        assert_eq!(files(), 0);
        let mut writing = spool.begin().await.unwrap();
        writing.write(Bytes::from(vec![0; 300_000])).await.unwrap();
        drop(writing);
        assert_eq!(files(), 0);
        let empty = spool.put(Bytes::new()).await.unwrap();
        assert!(empty.hash.starts_with("e3b0c442"));
    }

    #[tokio::test]
    async fn what_a_killed_process_left_is_removed_when_it_is_old() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::new(folder.path().to_owned());
        std::fs::write(folder.path().join("up-left"), "x").unwrap();
        std::fs::write(folder.path().join("other"), "x").unwrap();
        let day = Duration::from_secs(86_400);
        let now = SystemTime::now();
        assert_eq!(spool.tidy(now, day).await.unwrap(), 0);
        assert_eq!(spool.tidy(now + day * 2, day).await.unwrap(), 1);
        assert!(folder.path().join("other").exists());
        let none = Spool::new(folder.path().join("none"));
        assert_eq!(none.tidy(now, day).await.unwrap(), 0);
    }
}
