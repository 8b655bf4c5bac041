//! Where bytes are kept: in a folder, or in a bucket that speaks the API of S3.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;

use crate::folder::Folder;
#[cfg(feature = "s3")]
use crate::s3::Bucket;

/// Bytes as they are read.
pub type ByteStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// Where bytes are kept. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Place {
    /// A folder of this machine, or one that several machines share.
    Folder(Folder),
    /// A bucket.
    #[cfg(feature = "s3")]
    Bucket(Bucket),
}

/// Why bytes could not be kept or fetched.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// They aren't there.
    #[error("the bytes of this file are not where they should be")]
    Missing,
    /// The folder can't be used.
    #[error("the folder of files: {0}")]
    Folder(#[from] io::Error),
    /// The bucket doesn't do what it should.
    #[cfg(feature = "s3")]
    #[error("the bucket of files: {0}")]
    Bucket(#[source] object_store::Error),
    /// It would be no name of a file.
    #[error("`{0}` is no key of a file")]
    Key(String),
}

impl Place {
    /// A folder, which is made where it's missing.
    #[must_use]
    pub fn folder(path: PathBuf) -> Self {
        Self::Folder(Folder::new(path))
    }

    /// Keeps the content of a file under a key. When this is done it is durable; before, there is nothing under the key. In a
    /// folder the file itself is moved.
    ///
    /// # Errors
    /// [`PlaceError`]; then nothing is there.
    pub async fn keep(&self, key: &str, file: &Path) -> Result<(), PlaceError> {
        check(key)?;
        match self {
            Self::Folder(folder) => folder.keep(key, file).await,
            #[cfg(feature = "s3")]
            Self::Bucket(bucket) => bucket.keep(key, file).await,
        }
    }

    /// Reads a part of what is kept under a key.
    ///
    /// # Errors
    /// [`PlaceError::Missing`] if nothing is there, and others.
    pub async fn read(&self, key: &str, range: Range<u64>) -> Result<ByteStream, PlaceError> {
        check(key)?;
        match self {
            Self::Folder(folder) => folder.read(key, range).await,
            #[cfg(feature = "s3")]
            Self::Bucket(bucket) => bucket.read(key, range).await,
        }
    }

    /// Removes what is kept under a key, if anything is.
    ///
    /// # Errors
    /// [`PlaceError`]; then it's to be tried again.
    pub async fn remove(&self, key: &str) -> Result<(), PlaceError> {
        check(key)?;
        match self {
            Self::Folder(folder) => folder.remove(key).await,
            #[cfg(feature = "s3")]
            Self::Bucket(bucket) => bucket.remove(key).await,
        }
    }
}

/// Keys are made by the server; this keeps a mistake from becoming a path.
fn check(key: &str) -> Result<(), PlaceError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    match (8..=128).contains(&key.len()) && key.bytes().all(plain) {
        true => Ok(()),
        false => Err(PlaceError::Key(key.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_a_path() {
        assert!(check("0123456789abcdef-0a1b").is_ok());
        for key in ["", "../../etc", "ab/cdefgh", "abcdefg\0", ".abcdefgh", "a"] {
            assert!(check(key).is_err(), "{key}");
        }
    }
}
