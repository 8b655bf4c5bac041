//! A node's link to the others: what the hub holds.
//!
//! Nothing here waits but what is marked `async`: a broadcast is encoded by its sender and put into a queue, one task
//! sends all of them in batches, and what comes in stands in a queue that the hub reads. Both are bounded in bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use redis::{RedisResult, cmd};
use rustc_hash::FxHashMap;
use tokio::sync::{Notify, OnceCell, watch};
use tokio::task::JoinHandle;

use super::address::Address;
use super::backend::{Backend, Dialect, Frame};
use super::channels::Channels;
use super::config::{Config, LinkError, LinkState, LinkStats, OpenError, PublishError};
use super::connection::{Connection, Waits, sum, texts};
use super::entry::{Counter, Noted, counter_key, once_key};
use super::inbound::{Event, Inbound};
use super::queue::{ByteQueue, Refused};
use super::reader;
use crate::Once;
use crate::cluster::streams::StreamId;
use crate::cluster::{Form, Message, Others, RequestId, Response, Uid};

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) sent: AtomicU64,
    pub(crate) lost: AtomicU64,
    pub(crate) received: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) undecodable: AtomicU64,
    pub(crate) connects: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, count: usize) {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }
}

/// What the tasks and the handles of a link share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) address: Address,
    pub(crate) dialect: Dialect,
    pub(crate) channels: Mutex<Channels>,
    pub(crate) outbox: ByteQueue<Frame>,
    pub(crate) inbox: ByteQueue<Event>,
    /// Whether the hub has yet to be told that something was dropped.
    pub(crate) gap_told: AtomicBool,
    pub(crate) state: watch::Sender<LinkState>,
    /// Whether the commands' connection and the reader of the stream are there.
    pub(crate) parts: Mutex<[bool; 2]>,
    /// Up to which change of the channels the connection was told.
    pub(crate) applied: watch::Sender<u64>,
    pub(crate) connection: Mutex<Option<Connection>>,
    /// Something to do for the task that sends.
    pub(crate) wake: Notify,
    pub(crate) closing: watch::Sender<bool>,
    pub(crate) counters: Counters,
    /// The newest one that an entry has got.
    tickets: AtomicU64,
    /// Where the stream ended before this link added anything. Its reader begins there, and no entry of ours can stand
    /// before it: whichever of the two tasks connects first finds it for both.
    start: OnceCell<StreamId>,
    names: Mutex<FxHashMap<String, Vec<Uid>>>,
}

/// The two connections that must be there for a link to be up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    Commands = 0,
    Reader = 1,
}

impl Shared {
    pub(crate) fn waits(&self) -> Waits {
        Waits {
            connect: self.config.connect_timeout,
            response: self.config.response_timeout,
        }
    }

    /// Tells of a connection that came or went.
    pub(crate) fn set_part(&self, part: Part, up: bool, reason: Option<String>) {
        let mut parts = self.parts.lock();
        parts[part as usize] = up;
        let all = parts[0] && parts[1];
        let now_ms = (self.config.clock)();
        // Under the lock of the parts, so that two changes can't overtake each other.
        self.state.send_if_modified(|state| {
            let changed = state.up != all;
            if changed {
                state.since_ms = now_ms;
            }
            state.up = all;
            if up && !all {
                return changed;
            }
            state.reason = if all { None } else { reason };
            changed
        });
    }

    /// Where this link's part of the stream begins.
    pub(crate) async fn start(
        &self,
        connection: &mut Connection,
        stream: &str,
    ) -> RedisResult<StreamId> {
        let found = self
            .start
            .get_or_try_init(|| reader::tail(connection, stream));
        Ok(*found.await?)
    }

    pub(crate) fn is_up(&self) -> bool {
        self.state.borrow().up
    }
}

/// A link to the other nodes. Cheap to share; closed when it is dropped.
pub struct Link {
    shared: Arc<Shared>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("config", &self.shared.config)
            .field("uid", &self.shared.dialect.uid)
            .finish_non_exhaustive()
    }
}

impl Link {
    /// Makes a link and starts to connect, now and whenever the connection is lost. To be called on a runtime.
    ///
    /// # Errors
    /// [`OpenError`] for a URL that names no Redis. That Redis isn't there is no error: see [`Link::state`].
    pub fn open(config: Config) -> Result<(Self, Inbound), OpenError> {
        let address = Address::parse(&config.url)?;
        let classic = matches!(config.backend, Backend::Classic);
        let streams = matches!(config.backend, Backend::Streams { .. });
        let uid = Uid::new(&random_name(classic).map_err(OpenError::Random)?);
        let dialect = Dialect {
            backend: config.backend.clone(),
            key: config.key.clone(),
            uid,
            limits: config.limits,
        };
        let state = LinkState {
            up: false,
            since_ms: (config.clock)(),
            reason: None,
        };
        let shared = Arc::new(Shared {
            outbox: ByteQueue::new(config.max_outbound_bytes),
            inbox: ByteQueue::new(config.max_inbound_bytes),
            config,
            address,
            dialect,
            channels: Mutex::default(),
            gap_told: AtomicBool::new(false),
            state: watch::Sender::new(state),
            parts: Mutex::new([false, !streams]),
            applied: watch::Sender::new(0),
            connection: Mutex::new(None),
            wake: Notify::new(),
            closing: watch::Sender::new(false),
            counters: Counters::default(),
            tickets: AtomicU64::new(0),
            start: OnceCell::new(),
            names: Mutex::default(),
        });
        let mut tasks = vec![tokio::spawn(super::worker::run(Arc::clone(&shared)))];
        if streams {
            tasks.push(tokio::spawn(reader::run(Arc::clone(&shared))));
        }
        let inbound = Inbound::new(Arc::clone(&shared));
        let tasks = Mutex::new(tasks);
        Ok((Self { shared, tasks }, inbound))
    }

    /// This node's name.
    #[must_use]
    pub fn uid(&self) -> &Uid {
        &self.shared.dialect.uid
    }

    /// An id for a request, of the shape that Node's have.
    ///
    /// # Errors
    /// If the system gives no random bytes.
    pub fn request_id(&self) -> Result<RequestId, getrandom::Error> {
        let classic = matches!(self.shared.config.backend, Backend::Classic);
        Ok(RequestId::new(&random_name(classic)?))
    }

    /// In which form the data of this message is to be given. It may be asked before the data is there: only the kind
    /// of message counts.
    #[must_use]
    pub fn form(&self, message: &Message) -> Form {
        self.shared.config.backend.form(message)
    }

    /// Sends a message to all other nodes of a namespace. What becomes an entry of the stream gets a ticket, by which
    /// [`Event::Appended`] tells its place later. A message with the flag `local` goes nowhere.
    ///
    /// # Errors
    /// [`PublishError`]. While Redis is away, streams keep entries up to the bound and send them later, each once; all
    /// else is refused.
    pub fn publish(&self, nsp: &str, message: &Message) -> Result<Option<u64>, PublishError> {
        if is_local(message) {
            return Ok(None);
        }
        let frame = self.shared.dialect.frame(nsp, message, None)?;
        self.send(frame)
    }

    /// Sends a message as an entry of the stream that has the next number of `counter`, which is the namespace's own,
    /// and greater than `floor`: numbers rise by one in the order of the stream, whichever nodes count. Returns its
    /// ticket; [`Event::Appended`] and [`Event::Message`] tell the number. A counter is forgotten a day after its last
    /// entry. `floor` is to be below 2^53, as Redis' scripts have no greater whole numbers. If `once` says that it was
    /// appended before, nothing is: the ticket is confirmed with the number that it got then.
    ///
    /// # Errors
    /// [`PublishError`], as [`Link::publish`]; [`PublishError::Uncounted`] for what becomes no entry.
    pub fn publish_counted(
        &self,
        nsp: &str,
        message: &Message,
        (counter, floor): (&str, u64),
        once: Option<&Once>,
    ) -> Result<u64, PublishError> {
        let Backend::Streams { stream, .. } = &self.shared.config.backend else {
            return Err(PublishError::Uncounted);
        };
        if is_local(message) {
            return Err(PublishError::Uncounted);
        }
        let mut frame = self.shared.dialect.frame(nsp, message, None)?;
        if let Frame::Append(entry) = &mut frame {
            let key = counter_key(stream, nsp, counter);
            let once = once.map(|once| Noted {
                key: once_key(stream, nsp, once),
                keep_ms: once.keep_ms,
            });
            entry.counter = Some(Counter { key, floor, once });
            if let Some(ticket) = self.send(frame)? {
                return Ok(ticket);
            }
        }
        Err(PublishError::Uncounted)
    }

    /// The ticket of the newest entry that was published; 0 if there was none. Entries get theirs, from 1 on, in the
    /// order in which they will stand in the stream, and nothing else takes one.
    #[must_use]
    pub fn last_ticket(&self) -> u64 {
        self.shared.tickets.load(Ordering::Acquire)
    }

    /// Answers the node that asked. `to` is the sender of the request; an emitter, who has none, gets no answers.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn respond(&self, nsp: &str, to: &Uid, response: Response) -> Result<(), PublishError> {
        let specific =
            self.shared.config.specific_responses || self.shared.config.backend != Backend::Classic;
        let to = specific.then_some(to);
        let response = Message::Response(response);
        let frame = self.shared.dialect.frame(nsp, &response, to)?;
        self.send(frame).map(|_| ())
    }

    fn send(&self, frame: Frame) -> Result<Option<u64>, PublishError> {
        let shared = &self.shared;
        if !matches!(frame, Frame::Append(_)) && !shared.is_up() {
            return Err(PublishError::Down);
        }
        let bytes = frame.len();
        // One that is refused gets no ticket.
        let pushed = shared.outbox.push_numbered(frame, bytes, |frame| {
            let Frame::Append(entry) = frame else {
                return None;
            };
            entry.ticket = shared.tickets.fetch_add(1, Ordering::AcqRel) + 1;
            Some(entry.ticket)
        });
        let ticket = pushed.map_err(|why| match why {
            Refused::Full => PublishError::Full,
            Refused::Closed => PublishError::Closed,
        })?;
        shared.wake.notify_one();
        Ok(ticket)
    }

    /// Listens to a namespace. As often as this is called, [`Link::unsubscribe`] is to be called too.
    pub fn subscribe(&self, nsp: &str) {
        self.change(|channels, dialect| channels.subscribe(dialect, nsp));
    }

    /// Listens to a namespace no longer.
    pub fn unsubscribe(&self, nsp: &str) {
        self.change(|channels, dialect| channels.unsubscribe(dialect, nsp));
    }

    /// A room has got a member on this node. To be called for each member of each room, those with the sockets' own
    /// names as well, in a namespace that is subscribed to: what goes to other rooms only is not decoded, and not even
    /// sent here where the backend can tell.
    pub fn want_room(&self, nsp: &str, room: &str) {
        self.change(|channels, dialect| channels.want_room(dialect, nsp, room));
    }

    /// A room has lost a member on this node.
    pub fn unwant_room(&self, nsp: &str, room: &str) {
        self.change(|channels, dialect| channels.unwant_room(dialect, nsp, room));
    }

    fn change(&self, change: impl FnOnce(&mut Channels, &Dialect)) {
        let mut channels = self.shared.channels.lock();
        change(&mut channels, &self.shared.dialect);
        if channels.has_changes() {
            drop(channels);
            self.shared.wake.notify_one();
        }
    }

    /// Waits until Redis has confirmed all that was subscribed to before this call: what is published from then on
    /// arrives.
    pub async fn settled(&self) {
        let version = self.shared.channels.lock().version;
        let mut applied = self.shared.applied.subscribe();
        let mut state = self.shared.state.subscribe();
        let mut closing = self.shared.closing.subscribe();
        let all = async {
            // The senders live as long as this link does, so neither wait fails.
            let _ = applied.wait_for(|applied| *applied >= version).await;
            let _ = state.wait_for(|state| state.up).await;
        };
        tokio::select! {
            () = all => {}
            _ = closing.wait_for(|closing| *closing) => {}
        }
    }

    /// The newest entry that stood in the stream when this link first found it, or the beginning: all after it is
    /// handed out. `None` before that, and with backends that have no stream.
    #[must_use]
    pub fn start(&self) -> Option<StreamId> {
        self.shared.start.get().copied()
    }

    /// Whether broadcasts become entries of a stream, which those who come back can read.
    #[must_use]
    pub fn has_log(&self) -> bool {
        matches!(self.shared.config.backend, Backend::Streams { .. })
    }

    /// Whether the other nodes are reached.
    #[must_use]
    pub fn state(&self) -> LinkState {
        self.shared.state.borrow().clone()
    }

    /// Tells of each change of that.
    #[must_use]
    pub fn watch_state(&self) -> watch::Receiver<LinkState> {
        self.shared.state.subscribe()
    }

    /// What was counted so far.
    #[must_use]
    pub fn stats(&self) -> LinkStats {
        let counters = &self.shared.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LinkStats {
            sent: read(&counters.sent),
            lost: read(&counters.lost),
            received: read(&counters.received),
            dropped: read(&counters.dropped),
            undecodable: read(&counters.undecodable),
            connects: read(&counters.connects),
            outbound_bytes: self.shared.outbox.bytes(),
            inbound_bytes: self.shared.inbox.bytes(),
        }
    }

    /// The other nodes of a namespace, for [`crate::cluster::Requests::ask`]: counted by who listens, as Node does, and
    /// named by the channel that each has for itself.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn others(&self, nsp: &str) -> Result<Others, LinkError> {
        let mut connection = self.connection()?;
        let census = self.shared.dialect.census(nsp);
        let (numsub, channels) = if census.sharded {
            ("SHARDNUMSUB", "SHARDCHANNELS")
        } else {
            ("NUMSUB", "CHANNELS")
        };
        let mut count_them = cmd("PUBSUB");
        count_them.arg(numsub).arg(&census.counted);
        let count = sum(&connection.ask_everywhere(count_them).await?);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let count = count.saturating_sub(1);
        // To list channels, Redis looks at all it has: only done when the number of nodes has changed.
        if let Some(names) = self.shared.names.lock().get(nsp)
            && names.len() == count
        {
            let names = names.clone();
            return Ok(Others { count, names });
        }
        let mut list = cmd("PUBSUB");
        list.arg(channels).arg(&census.pattern);
        let mut found = Vec::new();
        texts(connection.ask_everywhere(list).await?, &mut found);
        let name = |channel: &String| {
            let name = channel.strip_prefix(&census.prefix)?.strip_suffix('#')?;
            (name != self.uid().as_str()).then(|| Uid::new(name))
        };
        let mut names: Vec<Uid> = found.iter().filter_map(name).collect();
        names.sort();
        names.dedup();
        // A room may have the shape of a node's name. Then nobody is named rather than the wrong one.
        if names.len() > count {
            names.clear();
        }
        self.shared
            .names
            .lock()
            .insert(nsp.to_owned(), names.clone());
        Ok(Others { count, names })
    }

    /// The connection for questions, as long as there is one.
    pub(crate) fn connection(&self) -> Result<Connection, LinkError> {
        let connection = self.shared.connection.lock().clone();
        connection.ok_or(LinkError::Down)
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Sends what is queued, as far as Redis takes it, and ends.
    pub async fn close(&self) {
        self.begin_to_close();
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for task in tasks {
            // A task that panicked has ended as well.
            let _ = task.await;
        }
    }

    fn begin_to_close(&self) {
        self.shared.closing.send_replace(true);
        self.shared.outbox.close();
        self.shared.inbox.close();
        self.shared.wake.notify_one();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.begin_to_close();
    }
}

fn is_local(message: &Message) -> bool {
    match message {
        Message::Broadcast { opts, .. }
        | Message::Join { opts, .. }
        | Message::Leave { opts, .. }
        | Message::Disconnect { opts, .. }
        | Message::FetchSockets { opts, .. } => opts.flags.local,
        _ => false,
    }
}

/// A name as Node's adapters make them: six letters for classic, sixteen hexadecimal digits for the others.
fn random_name(classic: bool) -> Result<String, getrandom::Error> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)?;
    let letter = |byte: &u8| char::from(LETTERS[usize::from(byte & 63)]);
    Ok(if classic {
        bytes[..6].iter().map(letter).collect()
    } else {
        format!("{:016x}", u64::from_be_bytes(bytes))
    })
}
