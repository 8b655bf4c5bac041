//! `attachment:upload` and `attachment:quota`.

use lakh_files::{kind, name, random_word};
use lakh_hub::store::Batch;
use lakh_hub::{Attempts, Failure};
use serde::{Deserialize, Serialize};

use super::record::{self, FileRecord, State, UsageRecord, hash, no_random, use_more};
use super::{UPLOADS_PATH, names};
use crate::asker::Asker;
use crate::permissions::Right;
use crate::rooms::busy;
use crate::{Chat, names as chat_names, standing, stored};

/// How long the way may be for the first byte.
const BEGIN_MS: u64 = 15 * 60_000;
/// The slowest that bytes may come.
const BYTES_PER_MS: u64 = 20;
/// Files of one person that are reserved or there, and in no message.
const MOST_WAITING: u64 = 100;

#[derive(Deserialize)]
pub(crate) struct AskUpload {
    room: String,
    name: String,
    size: u64,
    #[serde(rename = "type")]
    kind: String,
}

/// Where a file may be sent.
#[derive(Serialize)]
pub(crate) struct Ticket {
    id: String,
    url: String,
    method: &'static str,
    /// Milliseconds since 1970 by which it must be there.
    expires_at: u64,
}

pub(crate) async fn upload(
    chat: &Chat,
    asker: &Asker,
    request: AskUpload,
) -> Result<Ticket, Failure> {
    let room = request.room.as_str();
    chat_names::check_room(room)?;
    let (name, kind) = check(chat, &request)?;
    asker.allow("upload", room)?;
    let standing = standing::of(chat, asker, room).await?;
    standing.need_sight(chat)?;
    standing.need_to_write(chat, Right::Attach)?;
    let (Some(id), Some(secret)) = (random_word(), random_word()) else {
        return Err(no_random());
    };
    let (now_ms, size) = (chat.now_ms(), request.size);
    let record = FileRecord {
        room: request.room,
        owner: asker.id().to_owned(),
        name,
        size,
        kind,
        state: State::Reserved,
        until: now_ms + BEGIN_MS + size / BYTES_PER_MS,
        counted: true,
        secret: hash(&secret),
        blob: None,
    };
    let quota = (!asker.is_system()).then_some(chat.0.config.files.quota_bytes);
    let mut attempts = Attempts::default();
    while attempts.another().await {
        let batch = record.put_new(Batch::new(now_ms), &id)?;
        let batch = use_more(chat, batch, asker.id(), |usage| reserve(usage, size, quota)).await?;
        if stored::try_write(chat, batch).await?.is_some() {
            return Ok(Ticket {
                url: format!("{UPLOADS_PATH}/{id}/{secret}"),
                id,
                method: "PUT",
                expires_at: record.until,
            });
        }
    }
    Err(busy())
}

/// The name and the type as they are kept.
fn check(chat: &Chat, request: &AskUpload) -> Result<(String, String), Failure> {
    let files = &chat.0.config.files;
    if let Some(why) = files.refusal {
        return Err(Failure::new("unsupported", why));
    }
    let name = name::clean(&request.name).ok_or_else(|| {
        Failure::bad_request("name is 1 to 255 bytes that can be seen, without a path")
    })?;
    let kind = kind::plain(&request.kind)
        .ok_or_else(|| Failure::bad_request("type is one such as `image/png`"))?;
    check_kind(chat, &kind)?;
    if request.size == 0 {
        return Err(Failure::bad_request("size is 1 byte at least"));
    }
    if request.size > files.max_bytes {
        let most = files.max_bytes;
        return Err(Failure::new(
            "too_large",
            format!("a file has at most {most} bytes"),
        ));
    }
    Ok((name, kind))
}

/// Refuses types that aren't taken here.
pub(super) fn check_kind(chat: &Chat, kind: &str) -> Result<(), Failure> {
    let types = &chat.0.config.files.types;
    match kind::fits(types, kind) {
        true => Ok(()),
        false => Err(Failure::new(
            "unsupported_type",
            format!("`{kind}` is not taken here; {} are", types.join(", ")),
        )),
    }
}

fn reserve(usage: UsageRecord, size: u64, quota: Option<u64>) -> Result<UsageRecord, Failure> {
    let after = UsageRecord {
        files: usage.files + 1,
        bytes: usage.bytes.saturating_add(size),
        waiting: usage.waiting + 1,
    };
    let Some(quota) = quota else { return Ok(after) };
    if after.bytes > quota {
        let left = quota.saturating_sub(usage.bytes);
        return Err(Failure::new(
            "quota_exceeded",
            format!(
                "your files may have {quota} bytes together, and {left} are left; delete messages with files"
            ),
        ));
    }
    if after.waiting > MOST_WAITING {
        return Err(Failure::new(
            "rate_limited",
            format!("{MOST_WAITING} files may wait for their message; send those that you have"),
        ));
    }
    Ok(after)
}

#[derive(Deserialize)]
pub(crate) struct AskQuota {}

/// What somebody keeps, and may.
#[derive(Serialize)]
pub(crate) struct Quota {
    files: u64,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_bytes: Option<u64>,
    max_file_bytes: u64,
    types: Vec<String>,
}

pub(crate) async fn quota(chat: &Chat, asker: &Asker, _: AskQuota) -> Result<Quota, Failure> {
    let (usage, _) = record::record::<UsageRecord>(chat, names::USAGE, asker.id()).await?;
    let (usage, files) = (usage.unwrap_or_default(), &chat.0.config.files);
    Ok(Quota {
        files: usage.files,
        bytes: usage.bytes,
        max_bytes: (!asker.is_system()).then_some(files.quota_bytes),
        max_file_bytes: files.max_bytes,
        types: files.types.clone(),
    })
}
