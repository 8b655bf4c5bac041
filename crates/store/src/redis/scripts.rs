//! The scripts that run in Redis: what is common to them, and the bounds of the crate, are put before each.

use crate::limits::{PAGE_BYTES, REMOVE_AT_ONCE};
use crate::logs::{ENTRY_OVERHEAD_BYTES, SEQ_DIGITS};

/// What a script reads at once from a log, as long as an entry isn't larger alone.
const CHUNK_BYTES: usize = 4 << 20;
/// A trim stops after this many bytes: Redis serves nobody while it runs.
const TRIM_BYTES: usize = 64 << 20;

/// Newest format of the keys that this version knows. docs/storage.md describes it. A store begins as format 1 and becomes 2 with
/// the first entry that is amended: older versions would not find that entry.
pub(crate) const FORMAT: u64 = 2;

pub(crate) const CONNECT: &str = include_str!("connect.lua");

pub(crate) fn write() -> String {
    script(concat!(
        include_str!("write.lua"),
        "\n",
        include_str!("write_logs.lua"),
        "\n",
        include_str!("write_batches.lua")
    ))
}

pub(crate) fn read() -> String {
    script(include_str!("read.lua"))
}

fn script(body: &str) -> String {
    let common = include_str!("common.lua");
    format!(
        "local PAGE_BYTES, CHUNK_BYTES, TRIM_BYTES = {PAGE_BYTES}, {CHUNK_BYTES}, {TRIM_BYTES}\n\
         local REMOVE_AT_ONCE, ENTRY_OVERHEAD_BYTES, SEQ_DIGITS = {REMOVE_AT_ONCE}, {ENTRY_OVERHEAD_BYTES}, {SEQ_DIGITS}\n\
         {common}\n{body}"
    )
}
