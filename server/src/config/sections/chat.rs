//! `[chat]`: the module chat.

use crate::config::section::{above_zero, section};
use crate::config::sections::ChatPermissions;
use crate::config::value::words;

words! {
    /// What becomes of messages with words that nobody may say.
    WordsAction {
        /// They are refused.
        Reject = "reject",
        /// Dots stand for the letters of these words.
        Mask = "mask",
    }
}

section! {
    /// The module chat.
    Chat as "chat" {
        /// Longest text of a message, in characters.
        max_text_chars: u64 = 8_000;
        /// Messages of one page of history when the client names no number.
        history_limit: u32 = 50;
        /// Most messages of one page of history.
        history_max_limit: u32 = 200;
        /// Time after which "is typing" ends by itself.
        typing_ms: u64 = 6_000;
        /// Messages a second that one person may send, from all connections together.
        messages_per_second: u32 = 10;
        /// Messages a second in one room on one node, whoever sends them. 0 is any number.
        room_messages_per_second: u32 = 0;
        /// Words that nobody may say, whatever their case and accents: whole words, or several one after the other; `*` stands for
        /// any letters of a word. Rooms may have more, in `settings.words`.
        words: Vec<String> = Vec::new();
        /// What becomes of messages with such words: "reject", or "mask", which puts dots for their letters.
        words_action: WordsAction = WordsAction::Reject;
        /// Rooms that one person may make at once. One a second comes back.
        new_rooms_at_once: u32 = 200;
        /// Time for which somebody whose connection broke off is still shown as online.
        presence_grace_ms: u64 = 5_000;
        /// Seconds for which somebody without any connection has not read a message, until `message:unread` is told to backends;
        /// 0 tells nobody.
        offline_after_s: u64 = 10;
        /// In rooms with more members nobody is told of unread messages in rooms that they don't watch, nor of what others have
        /// read, and of those who are away only the mentioned are told of to backends.
        unread_max_members: u64 = 1_000;
        /// Messages that one person may have waiting to be sent later.
        max_scheduled: u32 = 100;
        /// Time after which a node that says nothing counts as gone, and those on it as offline.
        presence_silence_ms: u64 = 6_000;
        /// Connections that watch a room up to which each one's coming, going, typing and reading is told at once. Of more, the
        /// room hears now and then how many they are.
        thin_from: u32 = 100;
        /// Connections that watch a room up to which people are named; of more, only counts are told.
        crowd_from: u32 = 1_000;
        /// Rooms with such names belong to things outside, such as posts; `*` stands for any run of characters. They are made by
        /// whoever comes first, nobody owns them, and who comes may speak without becoming a member.
        things: Vec<String> = vec!["post:*".into(), "thing:*".into()];
        /// Which roles may do what, where it is not as docs/chat.md says: a table (here, or of its own as `[chat.permissions]`)
        /// from acts to lists of `guest`, `member`, `moderator`, `owner`, such as pin = ["member", "moderator", "owner"]. Tables
        /// `public`, `private`, `direct` and `thing` in it are for rooms of one kind, and go over the rest.
        permissions: ChatPermissions = ChatPermissions::default();
    }
    check |chat, wrong| {
        above_zero(wrong, &[
            ("max_text_chars", chat.max_text_chars),
            ("history_limit", chat.history_limit.into()),
            ("history_max_limit", chat.history_max_limit.into()),
            ("typing_ms", chat.typing_ms),
            ("messages_per_second", chat.messages_per_second.into()),
            ("new_rooms_at_once", chat.new_rooms_at_once.into()),
            ("max_scheduled", chat.max_scheduled.into()),
            ("thin_from", chat.thin_from.into()),
        ]);
        if let Some(thing) = chat.things.iter().find(|thing| thing.is_empty() || thing.starts_with("direct:")) {
            wrong.push(("things", format!("\"{thing}\" can't be the name of a thing: give it a word and a colon, such as \"post:*\"")));
        }
        if chat.offline_after_s > 86_400 {
            wrong.push(("offline_after_s", "must be at most 86400: a day".into()));
        }
        if chat.max_scheduled > 1_000 {
            wrong.push(("max_scheduled", "must be at most 1000".into()));
        }
        if chat.presence_silence_ms < 1_000 {
            wrong.push(("presence_silence_ms", "must be at least 1000: nodes speak three times in it".into()));
        }
        if chat.crowd_from < chat.thin_from {
            wrong.push(("crowd_from", "must be at least `chat.thin_from`".into()));
        }
        if chat.history_limit > chat.history_max_limit {
            wrong.push(("history_limit", "must be at most `chat.history_max_limit`".into()));
        }
    };
}
