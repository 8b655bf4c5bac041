//! Bytes in a bucket that speaks the API of S3: of Amazon, or MinIO, Ceph, R2 and others.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Key;
use object_store::{
    BackoffConfig, ClientOptions, Error, GetOptions, MultipartUpload, ObjectStore, ObjectStoreExt,
    RetryConfig,
};
use tokio::io::AsyncReadExt as _;

use crate::place::{ByteStream, PlaceError};

/// Bytes of one part; a file of less goes up as one. S3 wants 5 MiB at least.
const PART: usize = 8 << 20;
/// How long a connection to the bucket may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long one request may take: a part goes through at 70 kB a second.
const REQUEST: Duration = Duration::from_secs(120);

/// What a bucket is reached by.
#[derive(Clone)]
pub struct BucketOptions {
    /// Its name.
    pub bucket: String,
    /// What stands before every key; may be empty.
    pub prefix: String,
    /// Where it is, if not at Amazon: `http://minio:9000`.
    pub endpoint: Option<String>,
    /// The region.
    pub region: String,
    /// The key's id.
    pub key_id: String,
    /// The key's secret.
    pub secret: String,
}

impl std::fmt::Debug for BucketOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BucketOptions")
            .field("bucket", &self.bucket)
            .field("prefix", &self.prefix)
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// A bucket. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Bucket {
    store: Arc<AmazonS3>,
    prefix: String,
}

impl Bucket {
    /// Asks nobody yet.
    ///
    /// # Errors
    /// If the options make no sense.
    pub fn new(options: &BucketOptions) -> Result<Self, PlaceError> {
        // What is there already may stay: any provider does.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let is_plain = |endpoint: &String| endpoint.starts_with("http://");
        let client = ClientOptions::new()
            .with_connect_timeout(CONNECT)
            .with_timeout(REQUEST)
            .with_allow_http(options.endpoint.as_ref().is_some_and(is_plain));
        let retry = RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: 3,
            retry_timeout: REQUEST,
        };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&options.bucket)
            .with_region(&options.region)
            .with_access_key_id(&options.key_id)
            .with_secret_access_key(&options.secret)
            .with_client_options(client)
            .with_retry(retry);
        if let Some(endpoint) = &options.endpoint {
            builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
        }
        let prefix = options.prefix.trim_matches('/');
        Ok(Self {
            store: Arc::new(builder.build().map_err(PlaceError::Bucket)?),
            prefix: match prefix {
                "" => String::new(),
                prefix => format!("{prefix}/"),
            },
        })
    }

    fn key(&self, key: &str) -> Key {
        let (folder, name) = key.split_at(2);
        Key::from(format!("{}{folder}/{name}", self.prefix))
    }

    pub(crate) async fn keep(&self, key: &str, file: &Path) -> Result<(), PlaceError> {
        let (to, path) = (self.key(key), PathBuf::from(file));
        let mut file = tokio::fs::File::open(path).await?;
        let first = part(&mut file).await?;
        if first.len() < PART {
            let put = self.store.put(&to, first.into()).await;
            return put.map(drop).map_err(PlaceError::Bucket);
        }
        let begun = self.store.put_multipart(&to).await;
        let mut upload = begun.map_err(PlaceError::Bucket)?;
        let sent = send(&mut *upload, first, &mut file).await;
        if sent.is_err()
            && let Err(error) = upload.abort().await
        {
            tracing::warn!(%error, "parts of a file may be left in the bucket");
        }
        sent
    }

    pub(crate) async fn read(
        &self,
        key: &str,
        range: Range<u64>,
    ) -> Result<ByteStream, PlaceError> {
        if range.is_empty() {
            return Ok(Box::pin(futures_util::stream::empty()));
        }
        let wanted = range.end - range.start;
        let options = GetOptions {
            range: Some(range.into()),
            ..GetOptions::default()
        };
        let got = self.store.get_opts(&self.key(key), options).await;
        let got = got.map_err(|error| match error {
            Error::NotFound { .. } => PlaceError::Missing,
            error => PlaceError::Bucket(error),
        })?;
        if got.range.end - got.range.start != wanted {
            return Err(PlaceError::Missing);
        }
        Ok(Box::pin(got.into_stream().map_err(io::Error::other)))
    }

    pub(crate) async fn remove(&self, key: &str) -> Result<(), PlaceError> {
        match self.store.delete(&self.key(key)).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(PlaceError::Bucket(error)),
        }
    }
}

async fn send(
    upload: &mut dyn MultipartUpload,
    mut next: Bytes,
    file: &mut tokio::fs::File,
) -> Result<(), PlaceError> {
    while !next.is_empty() {
        // One after another: a file takes two parts' room at most.
        let sent = upload.put_part(next.into()).await;
        sent.map_err(PlaceError::Bucket)?;
        next = part(file).await?;
    }
    let completed = upload.complete().await;
    completed.map(drop).map_err(PlaceError::Bucket)
}

async fn part(file: &mut tokio::fs::File) -> io::Result<Bytes> {
    let mut bytes = Vec::new();
    file.take(PART as u64).read_to_end(&mut bytes).await?;
    Ok(Bytes::from(bytes))
}
