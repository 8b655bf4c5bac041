//! What the nodes of a cluster say to each other, whatever carries it.
//!
//! The data of an event stays as it came, JSON or MessagePack: whoever knows sockets turns one into the other, and for
//! a broadcast that nobody here wants it's never parsed. Names and meaning are those of Socket.IO's `Adapter`.

use std::sync::Arc;

use bytes::Bytes;

use crate::Room;

/// A node's name in the cluster; each message carries that of its sender.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uid(Arc<str>);

impl Uid {
    /// A name that is known.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Uid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What ties answers to their request. The asker chooses it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// An id that is known.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self(id.into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A value of an event, opaque here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// The JSON text of it. Holds no binary.
    Json(String),
    /// Its MessagePack, binary and all.
    Msgpack(Bytes),
}

impl Data {
    /// Bytes that it takes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Json(text) => text.len(),
            Self::Msgpack(bytes) => bytes.len(),
        }
    }

    /// Whether there is nothing in it; no value is empty, so this tells a broken one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Which form it has.
    #[must_use]
    pub fn form(&self) -> Form {
        match self {
            Self::Json(_) => Form::Json,
            Self::Msgpack(_) => Form::Msgpack,
        }
    }
}

/// In which form a codec takes the data of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// JSON only. Binary inside goes as Node's `JSON.stringify` writes it, `{"type":"Buffer","data":[…]}`.
    Json,
    /// MessagePack only.
    Msgpack,
    /// JSON if it holds no binary, MessagePack if it does: so Node does it, and each side reads both.
    JsonUnlessBinary,
}

impl Form {
    /// Whether data of the form `data` fits.
    #[must_use]
    pub fn takes(self, data: Form) -> bool {
        self == Form::JsonUnlessBinary || self == data
    }
}

/// How a broadcast is to be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// May be lost if a client isn't ready.
    pub volatile: bool,
    /// Whether to compress it; the receivers' default if not said.
    pub compress: Option<bool>,
    /// For the sockets of one node only. Never leaves that node.
    pub local: bool,
    /// Set by Node for a broadcast that a socket started.
    pub broadcast: bool,
    /// An old hint that the data has binary, or has not.
    pub binary: Option<bool>,
    /// The asker wants one answer and no list.
    pub expect_single_response: bool,
    /// Milliseconds that acknowledgements are waited for.
    pub timeout_ms: Option<u64>,
}

/// Whom a message is for, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opts {
    /// Sockets in one of these rooms; all of the namespace if there are none.
    pub rooms: Vec<Room>,
    /// But none that is in one of these.
    pub except: Vec<Room>,
    /// How.
    pub flags: Flags,
}

impl Opts {
    /// For the sockets of these rooms.
    #[must_use]
    pub fn rooms<'a>(rooms: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            rooms: rooms.into_iter().map(Room::from).collect(),
            ..Self::default()
        }
    }
}

/// A socket of another node, as `fetchSockets` tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteSocket {
    /// The socket's id.
    pub id: String,
    /// Headers, query, address and so on.
    pub handshake: Data,
    /// The rooms it is in.
    pub rooms: Vec<Room>,
    /// What handlers keep with it.
    pub data: Data,
}

/// What one node says to all others of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// An event for sockets, the array `[name, …arguments]`.
    Broadcast {
        /// The array.
        data: Data,
        /// Whom for.
        opts: Opts,
        /// Set if the clients' acknowledgements are asked for: each node tells first how many clients it asks
        /// ([`Response::ClientCount`]), then passes on each acknowledgement ([`Response::Ack`]).
        ack: Option<RequestId>,
    },
    /// Sockets join rooms.
    Join {
        /// Which sockets.
        opts: Opts,
        /// The rooms.
        rooms: Vec<Room>,
    },
    /// Sockets leave rooms.
    Leave {
        /// Which sockets.
        opts: Opts,
        /// The rooms.
        rooms: Vec<Room>,
    },
    /// Sockets are disconnected.
    Disconnect {
        /// Which sockets.
        opts: Opts,
        /// Their connections as well, with all other namespaces on them.
        close: bool,
    },
    /// Asks for the matching sockets.
    FetchSockets {
        /// Ties the answers to it.
        request: RequestId,
        /// Which sockets.
        opts: Opts,
    },
    /// An event between servers, the array `[name, …arguments]`.
    ServerSideEmit {
        /// Set if an answer is asked for.
        request: Option<RequestId>,
        /// The array.
        data: Data,
    },
    /// Asks for ids of the sockets in rooms. Classic only.
    SocketIds {
        /// Ties the answers to it.
        request: RequestId,
        /// The rooms; all sockets if there are none.
        rooms: Vec<Room>,
    },
    /// Asks for the names of all rooms. Classic only.
    AllRooms {
        /// Ties the answers to it.
        request: RequestId,
    },
    /// The sender is there. A `first` one asks the others to say so too. Not in classic.
    Heartbeat {
        /// The sender has just come.
        first: bool,
    },
    /// The sender leaves. Not in classic.
    Close,
    /// An answer, to the asker alone.
    Response(Response),
}

/// What a node answers the one that asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// To [`Message::FetchSockets`].
    Sockets {
        /// The request that it answers.
        request: RequestId,
        /// What matches on the sender.
        sockets: Vec<RemoteSocket>,
    },
    /// To [`Message::ServerSideEmit`].
    ServerSideEmit {
        /// The request that it answers.
        request: RequestId,
        /// The one argument of the answer; absent if it had none.
        data: Option<Data>,
    },
    /// To [`Message::Broadcast`]: how many clients of the sender were asked.
    ClientCount {
        /// The request that it answers.
        request: RequestId,
        /// Clients.
        count: u64,
    },
    /// To [`Message::Broadcast`]: what one client answered.
    Ack {
        /// The request that it answers.
        request: RequestId,
        /// The first argument of the acknowledgement; absent if it had none.
        data: Option<Data>,
    },
    /// To [`Message::SocketIds`].
    SocketIds {
        /// The request that it answers.
        request: RequestId,
        /// Ids of sockets.
        ids: Vec<String>,
    },
    /// To [`Message::AllRooms`].
    AllRooms {
        /// The request that it answers.
        request: RequestId,
        /// Names of rooms.
        rooms: Vec<Room>,
    },
}

impl Response {
    /// The request that it answers.
    #[must_use]
    pub fn request(&self) -> &RequestId {
        match self {
            Self::Sockets { request, .. }
            | Self::ServerSideEmit { request, .. }
            | Self::ClientCount { request, .. }
            | Self::Ack { request, .. }
            | Self::SocketIds { request, .. }
            | Self::AllRooms { request, .. } => request,
        }
    }

    /// About how many bytes it holds: what a bound on answers counts.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Sockets { sockets, .. } => sockets
                .iter()
                .map(|socket| socket.id.len() + socket.handshake.len() + socket.data.len() + 64)
                .sum(),
            Self::ServerSideEmit { data, .. } | Self::Ack { data, .. } => {
                data.as_ref().map_or(8, Data::len)
            }
            Self::ClientCount { .. } => 8,
            Self::SocketIds { ids, .. } => ids.iter().map(|id| id.len() + 24).sum(),
            Self::AllRooms { rooms, .. } => rooms.iter().map(|room| room.len() + 16).sum(),
        }
    }

    /// Whether it tells of nothing, such as no sockets.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A message with what stood around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Who sent it. Absent for what classic doesn't say: the emitter's requests, and Node's responses.
    pub from: Option<Uid>,
    /// The namespace. Absent where only the channel tells it.
    pub nsp: Option<String>,
    /// What it says.
    pub message: Message,
}

/// The sender's name of messages that no node sent, but a process that only emits.
pub const EMITTER: &str = "emitter";
