//! The numbers of the chat and of its files; nothing where no chat is served.

use super::snapshot::ChatCount;
use super::text::Text;

/// Adds them.
pub(super) fn chat(out: &mut Text, count: &ChatCount) {
    let name = "lakh_chat_requests_total";
    out.counter(
        name,
        "Requests of the chat that could be read, over sockets and HTTP.",
    );
    for (request, outcome, count) in &count.chat.requests {
        let labels = [("request", *request), ("outcome", *outcome)];
        out.value(name, &labels, count);
    }
    let name = "lakh_chat_messages_total";
    out.counter(name, "Messages that were stored.");
    out.value(name, &[("where", "room")], count.chat.messages);
    out.value(name, &[("where", "thread")], count.chat.replies);
    let name = "lakh_chat_reminders_total";
    out.counter(
        name,
        "Times that backends were told of somebody who is away and has not read something.",
    );
    out.value(name, &[], count.chat.reminders);
    let files = &count.files;
    let name = "lakh_chat_uploads_total";
    out.counter(name, "Files that came, by what became of them.");
    for (result, count) in [
        ("stored", files.stored),
        ("again", files.again),
        ("refused", files.refused),
        ("failed", files.failed),
    ] {
        out.value(name, &[("result", result)], count);
    }
    let counters = [
        (
            "lakh_chat_upload_bytes_total",
            "Bytes of the files that were stored.",
            files.bytes_in,
        ),
        (
            "lakh_chat_downloads_total",
            "Files, parts of files and thumbnails that were sent.",
            files.sent,
        ),
        (
            "lakh_chat_download_bytes_total",
            "Bytes of the files that were sent.",
            files.bytes_out,
        ),
    ];
    for (name, help, count) in counters {
        out.counter(name, help);
        out.value(name, &[], count);
    }
}
