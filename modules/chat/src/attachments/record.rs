//! What is kept of files, and reading and writing it.

use lakh_files::name;
use lakh_hub::Failure;
use lakh_hub::store::{Answer, Batch, Condition, Document, Query, Scan};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{FILES_PATH, names};
use crate::{Chat, records, stored};

/// How far a file has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(super) enum State {
    /// Its bytes are awaited.
    Reserved,
    /// They are there.
    Ready,
    /// A message takes it, or has it.
    Taken {
        /// Since when.
        taken_at: u64,
    },
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileRecord {
    pub room: String,
    /// Whose it is, by id.
    pub owner: String,
    pub name: String,
    pub size: u64,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(flatten)]
    pub state: State,
    /// Milliseconds since 1970 until when somebody must go on with it.
    pub until: u64,
    /// Whether its bytes count for its owner. Those of forwarded files don't: nobody has sent them anew.
    pub counted: bool,
    /// SHA-256 of the last part of the path that its bytes come to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub secret: String,
    /// Its bytes, once they are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<BlobRef>,
}

/// Which bytes a file has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BlobRef {
    pub hash: String,
    #[serde(flatten)]
    pub seen: Seen,
}

/// What was found out of bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    /// What they are kept under.
    pub key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// The small picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub small: Option<SmallRecord>,
}

/// A small picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SmallRecord {
    #[serde(rename = "type")]
    pub kind: String,
    pub size: u64,
}

/// Bytes, whoever has sent them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BlobRecord {
    /// How many files have them.
    pub files: u64,
    #[serde(flatten)]
    pub seen: Seen,
    /// Milliseconds since 1970 since when no file has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unused_since: Option<u64>,
}

/// How much somebody keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UsageRecord {
    pub files: u64,
    pub bytes: u64,
    /// Files among them that no message has yet.
    pub waiting: u64,
}

impl FileRecord {
    /// As messages show it.
    pub(super) fn shown(&self, id: &str) -> Value {
        let mut fields = Map::new();
        let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        put("id", id.into());
        put("name", self.name.as_str().into());
        put("size", self.size.into());
        put("type", self.kind.as_str().into());
        let path = format!("{FILES_PATH}/{id}");
        // The path of the small picture is taken.
        let in_path = match self.name.as_str() {
            "thumbnail" => "file",
            name => name,
        };
        put("url", format!("{path}/{}", name::in_path(in_path)).into());
        if let Some(seen) = self.blob.as_ref().map(|blob| &blob.seen) {
            if let (Some(width), Some(height)) = (seen.width, seen.height) {
                put("width", width.into());
                put("height", height.into());
            }
            if seen.small.is_some() {
                put("thumbnail", format!("{path}/thumbnail").into());
            }
        }
        Value::Object(fields)
    }

    /// A new file with the indexes by which it's found.
    pub(super) fn put_new(&self, batch: Batch, id: &str) -> Result<Batch, Failure> {
        let size = || json!({ "size": self.size }).to_string();
        Ok(batch
            .put(
                names::FILES,
                id,
                records::to_bytes(self)?,
                Condition::Absent,
                None,
            )
            .put(
                &names::of_person(&self.owner),
                id,
                size(),
                Condition::Any,
                None,
            )
            .put(
                &names::of_room(&self.room),
                id,
                size(),
                Condition::Any,
                None,
            )
            .put(
                names::DUE,
                &names::due(self.until, id),
                "{}",
                Condition::Any,
                None,
            ))
    }

    /// The file, where it was read.
    pub(super) fn put(&self, batch: Batch, id: &str, version: u64) -> Result<Batch, Failure> {
        let bytes = records::to_bytes(self)?;
        Ok(batch.put(names::FILES, id, bytes, Condition::Version(version), None))
    }
}

/// A file as it stands in the store.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub record: FileRecord,
    pub version: u64,
    /// Its message is gone.
    pub is_gone: bool,
    /// A message has it.
    pub is_sent: bool,
}

/// Reads files; `None` for those that aren't there.
pub(super) async fn find(chat: &Chat, ids: &[String]) -> Result<Vec<Option<Found>>, Failure> {
    let queries = ids.iter().flat_map(|id| {
        [
            Query::get(names::FILES, id),
            Query::get(names::GONE, id),
            Query::Scan {
                collection: names::SENT.to_owned(),
                scan: Scan::prefix(&names::sent(id)).limit(1),
            },
        ]
    });
    let answers = stored::read(chat, queries.collect()).await?;
    let found = answers.chunks(3).map(|three| {
        let [file, gone, sent] = three else {
            return Err(stored::unexpected(None));
        };
        let Some(file) = document(file)? else {
            return Ok(None);
        };
        let Answer::Documents(sent) = sent else {
            return Err(stored::unexpected(Some(sent)));
        };
        Ok(Some(Found {
            record: records::read(file)?,
            version: file.version,
            is_gone: document(gone)?.is_some(),
            is_sent: !sent.items.is_empty(),
        }))
    });
    found.collect()
}

/// Reads one file.
pub(super) async fn find_one(chat: &Chat, id: &str) -> Result<Option<Found>, Failure> {
    let mut found = find(chat, &[id.to_owned()]).await?;
    Ok(found.pop().flatten())
}

/// A record, with the condition that it is still as it was read.
pub(super) async fn record<T: serde::de::DeserializeOwned>(
    chat: &Chat,
    collection: &str,
    key: &str,
) -> Result<(Option<T>, Condition), Failure> {
    let answers = stored::read(chat, vec![Query::get(collection, key)]).await?;
    let Some(answer) = answers.first() else {
        return Err(stored::unexpected(None));
    };
    match document(answer)? {
        None => Ok((None, Condition::Absent)),
        Some(found) => Ok((
            Some(records::read(found)?),
            Condition::Version(found.version),
        )),
    }
}

pub(super) fn document(answer: &Answer) -> Result<Option<&Document>, Failure> {
    match answer {
        Answer::Document(document) => Ok(document.as_ref()),
        other => Err(stored::unexpected(Some(other))),
    }
}

/// Puts how much somebody keeps, changed, on condition that nobody else has meanwhile.
pub(super) async fn use_more(
    chat: &Chat,
    batch: Batch,
    person: &str,
    change: impl FnOnce(UsageRecord) -> Result<UsageRecord, Failure>,
) -> Result<Batch, Failure> {
    let (before, condition) = record::<UsageRecord>(chat, names::USAGE, person).await?;
    let is_there = before.is_some();
    let after = change(before.unwrap_or_default())?;
    if after == UsageRecord::default() {
        // Who keeps nothing isn't remembered for it.
        return Ok(match is_there {
            true => batch.delete(names::USAGE, person, condition),
            false => batch,
        });
    }
    let bytes = records::to_bytes(&after)?;
    Ok(batch.put(names::USAGE, person, bytes, condition, None))
}

/// SHA-256 in hexadecimal.
pub(super) fn hash(text: &str) -> String {
    use sha2::{Digest as _, Sha256};
    lakh_files::hex(&Sha256::digest(text))
}

/// There is no such file, or none for whoever asks.
pub(super) fn no_file(id: &str) -> Failure {
    Failure::new(
        "not_found",
        format!("there is no file `{id}`, or none that you may have; send it first"),
    )
}

/// The system has no random numbers.
pub(super) fn no_random() -> Failure {
    Failure::new("internal", "the system's random source has failed")
}
