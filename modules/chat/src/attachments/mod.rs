//! Files that messages carry: who may send and fetch them, and how long they are kept. Their bytes are somewhere else; here
//! is what is known of them. How it goes:
//!
//! 1. `attachment:upload` reserves room for a file ([`upload`]), and names a path that nobody else knows.
//! 2. The bytes come there over HTTP. [`Chat::arriving`] says what may come, [`Chat::adopt`] takes up what came: bytes that
//!    are here already are counted once more, others are to be kept under a new key ([`arrive`]).
//! 3. `message:send` takes files into a message ([`take`]), each once; that it was sent is written with the message itself.
//! 4. Whoever may read the room may fetch them ([`fetch`]).
//! 5. What is reserved and doesn't come, is never sent, or goes with its message, lets go of its bytes; and bytes that
//!    nothing needs are removed a while later ([`tidy`]).
//!
//! What must hold: bytes are removed only when no file is left that needs them, and no file is left when what it belongs to
//! is gone. Every step may be cut off: what is begun stands written down first, with a time by which it is looked after.

mod access;
mod arrive;
mod fetch;
mod names;
mod record;
mod take;
mod tidy;
mod upload;

pub(crate) use access::access;
pub(crate) use take::{
    copy, give_back, hold, let_loose, note, release, release_of_person, release_of_room, take,
};
pub(crate) use upload::{quota, upload};

pub(crate) use access::Key;
pub use access::Shown;
pub use arrive::{Adopted, Arrival, Arriving, Content, Small};
pub use fetch::Fetched;

/// What stands before the path of a file.
pub const FILES_PATH: &str = "/chat/files";
/// What stands before the path to which a file is sent.
pub const UPLOADS_PATH: &str = "/chat/uploads";

/// What files people may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// Why none may be sent to this server, if it's so.
    pub refusal: Option<&'static str>,
    /// Bytes of one file at most.
    pub max_bytes: u64,
    /// Types that may be sent, such as `image/*`.
    pub types: Vec<String>,
    /// Bytes of all files of one person at most.
    pub quota_bytes: u64,
    /// Milliseconds for which a word of access holds at least; at most twice as long.
    pub access_ms: u64,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            refusal: None,
            max_bytes: 25 << 20,
            types: DEFAULT_TYPES.map(str::to_owned).to_vec(),
            quota_bytes: 1 << 30,
            access_ms: 3_600_000,
        }
    }
}

/// Types that may be sent where nothing else is configured.
pub const DEFAULT_TYPES: [&str; 15] = [
    "image/*",
    "audio/*",
    "video/*",
    "text/plain",
    "text/csv",
    "text/markdown",
    "application/pdf",
    "application/json",
    "application/zip",
    "application/gzip",
    "application/msword",
    "application/vnd.ms-excel",
    "application/vnd.ms-powerpoint",
    "application/vnd.oasis.opendocument.*",
    "application/vnd.openxmlformats-officedocument.*",
];
