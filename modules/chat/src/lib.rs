//! Chat: namespace `/chat`. Rooms with numbered, stored messages, typing and presence.
//!
//! What each request takes and gives is written in docs/chat.md. What always holds:
//!
//! * A message is acknowledged after the store has committed it, and not before.
//! * The messages of a room carry numbers without holes, and every member hears them in that order.
//! * A message sent twice with the same key by the same person is one message.
//! * A person comes into a room with the first of their sockets, on whichever node, and goes with the last.
//!
//! The rooms of this module are joined and left through its requests; `sockets_join` from outside is not noticed.

mod asker;
mod attachments;
mod changes;
mod crowd;
mod due;
mod figures;
mod here;
mod live;
mod members;
mod messages;
mod moderation;
mod names;
mod offline;
mod ordered;
mod outside;
mod pacing;
mod people;
mod permissions;
mod presence;
mod reactions;
mod receipts;
mod records;
mod requests;
mod retention;
mod rights;
mod rooms;
mod schedule;
mod search;
mod sequencer;
mod shapes;
mod standing;
mod stored;
mod sweep;
mod table;
mod told;
mod turns;
mod typing;
mod unread;

use std::sync::Arc;

use lakh_hub::auth::Pattern;
use lakh_hub::presence::{Ms, Whereabouts};
use lakh_hub::store::Store;
use lakh_hub::{Hub, LogLimits, Namespace};
use parking_lot::Mutex;
use tokio::sync::Notify;

pub use crate::asker::Asker;
pub use crate::attachments::{
    Adopted, Arrival, Arriving, Content, DEFAULT_TYPES, FILES_PATH, Fetched, Files, Shown, Small,
    UPLOADS_PATH,
};
pub use crate::figures::Figures;
pub use crate::moderation::WordsAction;
pub use crate::outside::OF_A_ROOM;
pub use crate::permissions::{Kind, Permissions, Right, Role, Roles};
pub use crate::requests::REQUESTS;
pub use crate::rights::Export;
use crate::table::Table;

/// What rights call this module.
pub const MODULE: &str = "chat";
/// What rights may speak of in it.
pub const ACTS: &[&str] = &[
    "join", "list", "create", "send", "history", "typing", "presence", "profile", "search",
    "upload", "receipts", "report", "data", "moderate", "admin",
];

/// How the module is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Longest text of a message, in characters.
    pub max_text_chars: usize,
    /// Messages in a page of history when the client names no number.
    pub history_limit: usize,
    /// Messages in a page of history at most; a client that asks for more gets this many.
    pub history_max_limit: usize,
    /// Milliseconds after which "is typing" ends by itself.
    pub typing_ms: u64,
    /// Messages a second that one person may send, from all sockets together. Three seconds' worth may come at once.
    pub messages_per_second: u32,
    /// Messages a second in one room on one node, whoever sends them; 0 is any number. Three seconds' worth may come at once.
    pub room_messages_per_second: u32,
    /// Words that nobody may say: whole words without case and accents, `*` for any letters of one.
    pub words: Vec<String>,
    /// What becomes of messages with such words, and with those of their room.
    pub words_action: WordsAction,
    /// Rooms that one person may make at once. One a second comes back.
    pub new_rooms_at_once: u32,
    /// Milliseconds that somebody whose connection broke off is still shown as online.
    pub presence_grace_ms: u64,
    /// Seconds that somebody without a connection has not read a message, until backends are told; 0 tells nobody.
    pub offline_after_s: u64,
    /// In rooms with more members nobody is told of unread messages or of what others have read.
    pub unread_max_members: u64,
    /// Messages that one person may have waiting to be sent later.
    pub max_scheduled: usize,
    /// A node that says nothing for this long counts as gone, and those on it as well.
    pub presence_silence_ms: u64,
    /// Sockets that watch a room up to which each one's coming, going, typing and reading is told; of more, it's summed up.
    pub thin_from: usize,
    /// Sockets that watch a room up to which people are named; of more, only counts are told.
    pub crowd_from: usize,
    /// How much is kept for clients that come back; `None` keeps nothing.
    pub recovery: Option<LogLimits>,
    /// Which roles may do what.
    pub permissions: Permissions,
    /// Rooms with such names belong to things outside, such as posts.
    pub things: Vec<Pattern>,
    /// What files people may send.
    pub files: Files,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_text_chars: 8_000,
            history_limit: 50,
            history_max_limit: 200,
            typing_ms: 6_000,
            messages_per_second: 10,
            room_messages_per_second: 0,
            words: Vec::new(),
            words_action: WordsAction::default(),
            new_rooms_at_once: 200,
            presence_grace_ms: 5_000,
            offline_after_s: 10,
            unread_max_members: 1_000,
            max_scheduled: 100,
            presence_silence_ms: 6_000,
            thin_from: 100,
            crowd_from: 1_000,
            recovery: Some(LogLimits::default()),
            permissions: Permissions::default(),
            things: vec!["post:*".into(), "thing:*".into()],
            files: Files::default(),
        }
    }
}

/// The module at work. Cheap to clone.
#[derive(Clone)]
pub struct Chat(Arc<Inner>);

struct Inner {
    config: Config,
    namespace: Namespace,
    store: Store,
    /// Short steps only; never held while waiting, and never while the hub delivers.
    table: Mutex<Table>,
    /// Who watches which room, and who is there at all, on all nodes.
    whereabouts: Whereabouts<presence::Teller>,
    /// Something is due earlier than the sweeper thinks.
    earlier: Notify,
    /// Changes to one message, one after another.
    turns: turns::Turns,
    /// What one person says in one room, in the order of their saying.
    sending: turns::Turns,
    /// What others are to be told of what somebody has read.
    receipts: receipts::Receipts,
    /// Rooms with messages of which members are to be told.
    unread: unread::Rooms,
    due: due::Due,
    /// Words that nobody may say.
    words: moderation::Words,
    /// How far the rooms have been looked through for what is too old.
    retention: Mutex<retention::Place>,
    /// What words of access to files are signed with.
    access_key: attachments::Key,
    counters: figures::Counters,
    /// In which order people's rooms stood for the page before.
    orders: Mutex<rooms::Orders>,
}

impl Chat {
    /// Rooms of this node that have people in them now.
    #[must_use]
    pub fn live_rooms(&self) -> usize {
        self.0.table.lock().rooms()
    }

    fn now_ms(&self) -> u64 {
        self.0.namespace.hub().wall_ms()
    }

    /// Milliseconds of the monotonic clock, for what is waited for; [`Chat::now_ms`] is for what is stored.
    fn clock_ms(&self) -> Ms {
        self.0.namespace.hub().clock_ms()
    }
}

impl std::fmt::Debug for Chat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chat")
            .field("live_rooms", &self.live_rooms())
            .finish()
    }
}

/// Puts the module on namespace `/chat`. To be called before the loops start.
///
/// Whoever checks sign-ins puts a [`lakh_hub::Person`] on each socket at CONNECT; a socket without one is answered `forbidden`.
pub fn install(hub: &Hub, store: Store, config: Config) -> Chat {
    let namespace = hub.of("/chat");
    if let Some(limits) = config.recovery {
        namespace.recoverable(limits);
    }
    let words = moderation::Words::new(&config.words);
    let chat = Chat(Arc::new(Inner {
        whereabouts: presence::whereabouts(&namespace, &store, &config),
        config,
        namespace,
        store,
        table: Mutex::default(),
        earlier: Notify::new(),
        turns: turns::Turns::default(),
        sending: turns::Turns::default(),
        receipts: receipts::Receipts::new(),
        unread: unread::new(),
        due: due::Due::default(),
        words,
        retention: Mutex::default(),
        access_key: attachments::Key::default(),
        counters: figures::Counters::default(),
        orders: Mutex::default(),
    }));
    standing::install(&chat);
    people::install(&chat);
    presence::install(&chat);
    rooms::install(&chat);
    requests::install(&chat);
    due::install(&chat);
    chat
}
