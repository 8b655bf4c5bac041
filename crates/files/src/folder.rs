//! Bytes in a folder: `ab/cdef…`, the first two letters of a key being a folder of their own, so that none holds too many.
//!
//! A file comes there by being renamed, after its bytes are on the disk; then the folder's own entry is brought there, too.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use tokio::task::spawn_blocking;

use crate::place::{ByteStream, PlaceError};

/// Bytes read at once.
const CHUNK: u64 = 256 << 10;

/// A folder of files.
#[derive(Clone, Debug)]
pub struct Folder(Arc<PathBuf>);

impl Folder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(Arc::new(path))
    }

    fn path(&self, key: &str) -> PathBuf {
        // Keys were checked: plain letters, more than two.
        let (folder, name) = key.split_at(2);
        self.0.join(folder).join(name)
    }

    pub(crate) async fn keep(&self, key: &str, file: &Path) -> Result<(), PlaceError> {
        let (to, from) = (self.path(key), file.to_owned());
        off_loop(move || {
            File::open(&from)?.sync_all()?;
            let Some(folder) = to.parent() else {
                return Err(io::ErrorKind::InvalidInput.into());
            };
            make(folder)?;
            fs::rename(&from, &to)?;
            File::open(folder)?.sync_all()
        })
        .await
        .map_err(PlaceError::Folder)
    }

    pub(crate) async fn read(
        &self,
        key: &str,
        range: Range<u64>,
    ) -> Result<ByteStream, PlaceError> {
        let path = self.path(key);
        let opened = off_loop(move || {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(range.start))?;
            Ok((file, range.end.saturating_sub(range.start)))
        })
        .await;
        let opened = opened.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => PlaceError::Missing,
            _ => PlaceError::Folder(error),
        })?;
        Ok(Box::pin(stream::try_unfold(opened, chunk)))
    }

    pub(crate) async fn remove(&self, key: &str) -> Result<(), PlaceError> {
        let path = self.path(key);
        let removed = off_loop(move || match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        });
        removed.await.map_err(PlaceError::Folder)
    }
}

async fn chunk((mut file, left): (File, u64)) -> io::Result<Option<(Bytes, (File, u64))>> {
    if left == 0 {
        return Ok(None);
    }
    off_loop(move || {
        let mut bytes = Vec::new();
        file.by_ref()
            .take(left.min(CHUNK))
            .read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            // The length was promised already.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let left = left - bytes.len() as u64;
        Ok(Some((Bytes::from(bytes), (file, left))))
    })
    .await
}

/// Makes a folder for this user alone, with those above it.
pub(crate) fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Does something that waits for a disk where that holds up nobody.
pub(crate) async fn off_loop<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(io::Error::other(error)),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt as _;

    use super::*;
    use crate::Place;

    const KEY: &str = "0123456789abcdef";

    async fn read(place: &Place, range: Range<u64>) -> io::Result<Vec<u8>> {
        let stream = place.read(KEY, range).await.unwrap();
        stream
            .try_fold(Vec::new(), |mut all, part| async move {
                all.extend(part);
                Ok(all)
            })
            .await
    }

    #[tokio::test]
    async fn what_is_kept_is_read_in_parts_until_it_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::folder(folder.path().join("files"));
        assert!(matches!(
            place.read(KEY, 0..1).await,
            Err(PlaceError::Missing)
        ));
        let content: Vec<u8> = (0..700_000_u32).map(|number| number as u8).collect();
        let file = folder.path().join("new");
        fs::write(&file, &content).unwrap();
        place.keep(KEY, &file).await.unwrap();
        assert!(!file.exists(), "it was moved");
        assert!(folder.path().join("files/01/23456789abcdef").is_file());
        for range in [0..700_000, 0..1, 5..300_000, 699_999..700_000, 3..3] {
            let (start, end) = (range.start as usize, range.end as usize);
            assert_eq!(read(&place, range).await.unwrap(), content[start..end]);
        }
        // More was promised than is there.
        assert!(read(&place, 0..700_001).await.is_err());
        place.remove(KEY).await.unwrap();
        place.remove(KEY).await.unwrap();
        assert!(matches!(
            place.read(KEY, 0..1).await,
            Err(PlaceError::Missing)
        ));
    }
}
