//! Which of Node's adapters a link is one of: where each message goes, and where each comes from.

use std::sync::Arc;

use bytes::Bytes;

use super::entry::Outgoing;
use crate::cluster::classic::{self, Place};
use crate::cluster::sharded::{self, Mode};
use crate::cluster::streams;
use crate::cluster::{DecodeError, EncodeError, Envelope, Form, Limits, Message, Uid};

/// One of Node's adapters. All nodes of a cluster use the same, with the same options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// `createAdapter` of @socket.io/redis-adapter.
    Classic,
    /// `createShardedAdapter` of @socket.io/redis-adapter.
    Sharded {
        /// Its `subscriptionMode`.
        mode: Mode,
    },
    /// `createAdapter` of @socket.io/redis-streams-adapter.
    Streams {
        /// Its `streamName`.
        stream: String,
        /// Its `maxLen`: entries that the stream keeps, about.
        max_len: u64,
        /// Its `sessionKeyPrefix`.
        session_prefix: String,
    },
}

impl Backend {
    /// Streams with Node's names and length.
    #[must_use]
    pub fn streams() -> Self {
        Self::Streams {
            stream: "socket.io".to_owned(),
            max_len: 10_000,
            session_prefix: "sio:session:".to_owned(),
        }
    }

    /// The form in which this backend takes the data of a message.
    #[must_use]
    pub fn form(&self, message: &Message) -> Form {
        match self {
            Self::Classic => classic::form(message),
            Self::Sharded { .. } => Form::JsonUnlessBinary,
            Self::Streams { .. } => streams::form(message),
        }
    }
}

/// Something to subscribe to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Channel {
    Exact(String),
    Pattern(String),
    Shard(String),
}

/// What comes over a channel.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) nsp: Arc<str>,
    /// Where classic's message belongs; others say it themselves.
    pub(crate) place: Place,
}

/// Something to send.
#[derive(Debug)]
pub(crate) enum Frame {
    Publish {
        channel: String,
        body: Bytes,
    },
    ShardPublish {
        channel: String,
        body: Bytes,
    },
    /// An entry of the stream.
    Append(Outgoing),
}

impl Frame {
    /// About the bytes that it takes.
    pub(crate) fn len(&self) -> usize {
        let size = match self {
            Self::Publish { channel, body } | Self::ShardPublish { channel, body } => {
                channel.len() + body.len()
            }
            Self::Append(Outgoing {
                fields, counter, ..
            }) => {
                let counter = counter.as_ref().map_or(0, |counter| {
                    let once = counter.once.as_ref().map_or(0, |once| once.key.len());
                    counter.key.len() + once
                });
                fields.nsp.len() + fields.data.as_ref().map_or(0, String::len) + counter
            }
        };
        size + 64
    }
}

/// A backend with the names that a link uses.
#[derive(Clone, Debug)]
pub(crate) struct Dialect {
    pub(crate) backend: Backend,
    pub(crate) key: String,
    pub(crate) uid: Uid,
    pub(crate) limits: Limits,
}

impl Dialect {
    /// What a node listens to for a namespace.
    pub(crate) fn channels(&self, nsp: &str) -> Vec<(Channel, Place)> {
        let (key, uid) = (self.key.as_str(), self.uid.as_str());
        match &self.backend {
            Backend::Classic => {
                let answers = |to| Channel::Exact(classic::response_channel(key, nsp, to));
                vec![
                    (
                        Channel::Pattern(classic::broadcast_pattern(key, nsp)),
                        Place::Broadcast,
                    ),
                    (answers(None), Place::Response),
                    (answers(Some(&self.uid)), Place::Response),
                    // Last, because who listens here is counted as a node.
                    (
                        Channel::Exact(classic::request_channel(key, nsp)),
                        Place::Request,
                    ),
                ]
            }
            Backend::Sharded { .. } => vec![
                (
                    Channel::Shard(sharded::sub_channel(key, nsp, uid)),
                    Place::Response,
                ),
                (Channel::Shard(sharded::channel(key, nsp)), Place::Request),
            ],
            Backend::Streams { .. } => vec![
                (
                    Channel::Exact(sharded::sub_channel(key, nsp, uid)),
                    Place::Response,
                ),
                (Channel::Exact(sharded::channel(key, nsp)), Place::Request),
            ],
        }
    }

    /// What is listened to for a room, if it has something of its own.
    pub(crate) fn room_channel(&self, nsp: &str, room: &str) -> Option<Channel> {
        match &self.backend {
            Backend::Sharded { mode } if mode.separates(room) => {
                Some(Channel::Shard(sharded::sub_channel(&self.key, nsp, room)))
            }
            _ => None,
        }
    }

    /// The room that a channel's name ends with, for channels below `K#<nsp>#`.
    pub(crate) fn room_in<'a>(&self, nsp: &str, channel: &'a str) -> Option<&'a str> {
        let rest = channel.strip_prefix(self.key.as_str())?.strip_prefix('#')?;
        let rest = rest.strip_prefix(nsp)?.strip_prefix('#')?;
        rest.strip_suffix('#')
    }

    /// The bytes of a message and where they go. Answers go to `to` alone. An entry has its ticket yet to get.
    pub(crate) fn frame(
        &self,
        nsp: &str,
        message: &Message,
        to: Option<&Uid>,
    ) -> Result<Frame, EncodeError> {
        let (key, uid) = (self.key.as_str(), &self.uid);
        Ok(match (&self.backend, to) {
            (Backend::Classic, _) => Frame::Publish {
                channel: self.classic_channel(nsp, message, to),
                body: classic::encode(uid, nsp, message)?,
            },
            (Backend::Sharded { .. }, Some(to)) => Frame::ShardPublish {
                channel: sharded::sub_channel(key, nsp, to.as_str()),
                body: sharded::encode(uid, nsp, message)?,
            },
            (Backend::Sharded { mode }, None) => Frame::ShardPublish {
                channel: match sharded::room_of(*mode, message) {
                    Some(room) => sharded::sub_channel(key, nsp, room),
                    None => sharded::channel(key, nsp),
                },
                body: sharded::encode(uid, nsp, message)?,
            },
            (Backend::Streams { .. }, Some(to)) => Frame::Publish {
                channel: sharded::sub_channel(key, nsp, to.as_str()),
                body: streams::encode_passing(uid, nsp, message)?,
            },
            (Backend::Streams { .. }, None) if streams::passes(message) => Frame::Publish {
                channel: sharded::channel(key, nsp),
                body: streams::encode_passing(uid, nsp, message)?,
            },
            (Backend::Streams { .. }, None) => Frame::Append(Outgoing {
                ticket: 0,
                fields: streams::encode_entry(uid, nsp, message)?,
                counter: None,
            }),
        })
    }

    fn classic_channel(&self, nsp: &str, message: &Message, to: Option<&Uid>) -> String {
        let key = self.key.as_str();
        match classic::place(message) {
            Place::Response => classic::response_channel(key, nsp, to),
            Place::Request => classic::request_channel(key, nsp),
            Place::Broadcast => {
                let room = match message {
                    Message::Broadcast { opts, .. } => match opts.rooms.as_slice() {
                        [room] => Some(&**room),
                        _ => None,
                    },
                    _ => None,
                };
                classic::broadcast_channel(key, nsp, room)
            }
        }
    }

    /// Reads what came over pub/sub.
    pub(crate) fn decode(&self, place: Place, body: &Bytes) -> Result<Envelope, DecodeError> {
        match &self.backend {
            Backend::Classic => classic::decode(place, body, &self.limits),
            Backend::Sharded { .. } => sharded::decode(body, &self.limits),
            Backend::Streams { .. } => streams::decode_passing(body, &self.limits),
        }
    }

    /// The command that counts the nodes of a namespace, its argument, and one that lists their own channels.
    pub(crate) fn census(&self, nsp: &str) -> Census {
        let key = self.key.as_str();
        // What Redis takes for a wildcard must be meant as it stands.
        let quoted = |base: &str| {
            let quote = |c: char| match c {
                '*' | '?' | '[' | ']' | '\\' => format!("\\{c}"),
                _ => c.to_string(),
            };
            base.chars().map(quote).collect::<String>()
        };
        let sharded = matches!(self.backend, Backend::Sharded { .. });
        let (counted, own, digits) = match &self.backend {
            Backend::Classic => (
                classic::request_channel(key, nsp),
                classic::response_channel(key, nsp, None),
                // The dash first: elsewhere Redis takes it for a range.
                "[-0-9A-Za-z_]".repeat(6),
            ),
            _ => (
                sharded::channel(key, nsp),
                sharded::channel(key, nsp),
                "[0-9a-f]".repeat(16),
            ),
        };
        Census {
            sharded,
            counted,
            pattern: format!("{}{digits}#", quoted(&own)),
            prefix: own,
        }
    }
}

/// How the nodes of a namespace are found.
#[derive(Debug)]
pub(crate) struct Census {
    pub(crate) sharded: bool,
    /// The channel whose subscribers are the nodes.
    pub(crate) counted: String,
    /// Matches the channel that each node alone listens to.
    pub(crate) pattern: String,
    /// What stands before the node's name in it.
    pub(crate) prefix: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialect(backend: Backend) -> Dialect {
        Dialect {
            backend,
            key: "socket.io".to_owned(),
            uid: Uid::new("0123456789abcdef"),
            limits: Limits::default(),
        }
    }

    #[test]
    fn only_the_dynamic_modes_listen_by_room() {
        let mode = |mode| dialect(Backend::Sharded { mode });
        let room = Some(Channel::Shard("socket.io#/#r#".to_owned()));
        assert_eq!(mode(Mode::Dynamic).room_channel("/", "r"), room);
        assert_eq!(mode(Mode::Static).room_channel("/", "r"), None);
        let private = "abcdefghijklmnopqrst";
        assert_eq!(mode(Mode::Dynamic).room_channel("/", private), None);
        assert!(
            mode(Mode::DynamicPrivate)
                .room_channel("/", private)
                .is_some()
        );
        assert_eq!(dialect(Backend::Classic).room_channel("/", "r"), None);
    }

    #[test]
    fn a_room_is_found_in_its_channels_name() {
        let dialect = dialect(Backend::Classic);
        assert_eq!(dialect.room_in("/", "socket.io#/#a#b#"), Some("a#b"));
        assert_eq!(dialect.room_in("/", "socket.io#/#"), None);
        assert_eq!(dialect.room_in("/x", "socket.io#/#r#"), None);
    }
}
