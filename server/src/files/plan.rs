//! Where files are to be kept, from the settings.

use std::path::PathBuf;

use lakh_files::{Place, PlaceError, Spool};

use crate::config::{Broker, Settings, StoreKind};

/// Why a node takes no files.
const NOT_SHARED: &str = "this server takes no files: it is one of several, and they have no place for them that all can \
    reach; whoever runs it can name a bucket (chat.files.s3_url), or say that the folder is shared (chat.files.shared_folder)";

/// Where files are kept, and what may be sent.
#[derive(Clone, Debug)]
pub struct Plan {
    at: At,
    spool: PathBuf,
    pub(super) max_pixels: u64,
    chat: lakh_chat::Files,
}

#[derive(Clone, Debug)]
enum At {
    Folder(PathBuf),
    #[cfg(feature = "s3")]
    Bucket {
        options: lakh_files::BucketOptions,
        #[expect(dead_code, reason = "by it plans differ that are shown")]
        secret: Fingerprint,
    },
}

/// The beginning of a secret's hash: enough to see that it's another, and nothing to find it by.
#[cfg(feature = "s3")]
#[derive(Clone)]
struct Fingerprint(String);

#[cfg(feature = "s3")]
impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where files are to be kept can't be used.
#[derive(Debug, thiserror::Error)]
#[error("`[chat.files]`: {0}")]
pub struct PlanError(#[from] PlaceError);

impl Plan {
    /// What the settings say.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let files = &settings.chat_files;
        let folder = files.folder.clone();
        let folder = folder.unwrap_or_else(|| settings.server.data.join("files"));
        let is_bucket = files.s3_url.is_some();
        let redis = &settings.redis;
        let is_fleet = redis.broker() != Broker::Local || redis.store() != StoreKind::Sqlite;
        let is_shared = is_bucket || files.shared_folder || !is_fleet;
        Self {
            spool: match is_bucket {
                true => settings.server.data.join("files").join("tmp"),
                false => folder.join("tmp"),
            },
            at: at(settings, folder),
            max_pixels: files.max_pixels,
            chat: lakh_chat::Files {
                refusal: (!is_shared).then_some(NOT_SHARED),
                max_bytes: files.max_bytes,
                types: files
                    .types
                    .iter()
                    .map(|kind| kind.to_ascii_lowercase())
                    .collect(),
                quota_bytes: files.quota_bytes,
                access_ms: files.access_ms,
            },
        }
    }

    /// What the chat is told of it.
    #[must_use]
    pub fn chat(&self) -> lakh_chat::Files {
        self.chat.clone()
    }

    pub(super) fn place(&self) -> Result<Place, PlanError> {
        match &self.at {
            At::Folder(folder) => Ok(Place::folder(folder.clone())),
            #[cfg(feature = "s3")]
            At::Bucket { options, .. } => Ok(Place::Bucket(lakh_files::Bucket::new(options)?)),
        }
    }

    pub(super) fn spool(&self) -> Spool {
        Spool::new(self.spool.clone())
    }
}

#[cfg(not(feature = "s3"))]
fn at(_: &Settings, folder: PathBuf) -> At {
    At::Folder(folder)
}

#[cfg(feature = "s3")]
fn at(settings: &Settings, folder: PathBuf) -> At {
    use sha2::{Digest as _, Sha256};

    let files = &settings.chat_files;
    let named = files.s3_url.as_deref().and_then(crate::config::bucket);
    let Some((bucket, prefix)) = named else {
        return At::Folder(folder);
    };
    // The checks of the settings see to it that there are both.
    let secret = files
        .s3_secret
        .clone()
        .map_or_else(String::new, |secret| secret.0);
    let hash = Sha256::digest(&secret);
    At::Bucket {
        secret: Fingerprint(format!("{:02x}{:02x}", hash[0], hash[1])),
        options: lakh_files::BucketOptions {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            endpoint: files.s3_endpoint.clone(),
            region: files.s3_region.clone(),
            key_id: files.s3_key_id.clone().unwrap_or_default(),
            secret,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::{ConfigFile, Sources, load};

    fn plan(text: &str) -> Plan {
        let sources = Sources {
            file: Some(ConfigFile {
                path: "lakh.toml".into(),
                text: text.into(),
            }),
            env: Vec::new(),
            flags: Vec::new(),
            read_file: &|_| Ok("secret".into()),
        };
        Plan::new(&load(&sources).unwrap().settings)
    }

    #[test]
    fn a_fleet_takes_files_only_where_all_nodes_find_them() {
        let redis = "[redis]\nurl = \"redis://a\"\n";
        let refuses = |text: &str| plan(text).chat().refusal.is_some();
        assert!(!refuses(""));
        assert!(refuses(redis));
        assert!(!refuses(&format!(
            "{redis}[chat.files]\nshared_folder = true\n"
        )));
        let bucket =
            "[chat.files]\ns3_url = \"s3://files/a\"\ns3_key_id = \"k\"\ns3_secret_file = \"f\"\n";
        assert!(!refuses(&format!("{redis}{bucket}")));
    }

    #[test]
    fn no_plan_shows_its_secret() {
        let shown = plan(
            "[chat.files]\ns3_url = \"s3://files/a\"\ns3_key_id = \"k\"\ns3_secret_file = \"f\"\n",
        );
        assert!(!format!("{shown:?}").contains("secret\""), "{shown:?}");
    }
}
