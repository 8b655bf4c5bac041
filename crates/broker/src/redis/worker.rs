//! The task that holds a link's connection: connects, subscribes, sends what is queued, and starts over when it breaks.
//!
//! An entry of the stream is sent until Redis has confirmed it, and stands there once: after a break the old connection is
//! ended on Redis' side, so that nothing of it is carried out later, and the stream is read for what was carried out
//! before. Pub/sub keeps nothing, so what was on its way over it is lost, and counted.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::{Cmd, ErrorKind, RedisError, RedisResult, Value, cmd};
use rustc_hash::FxHashSet;

use super::backend::{Backend, Channel, Frame};
use super::backoff::Backoff;
use super::channels::Changes;
use super::connection::{Connection, connect};
use super::entry::{Entry, Outgoing, appended, appends};
use super::inbound::{Event, Gap, Life};
use super::link::{Counters, Part, Shared};
use super::reader;
use crate::cluster::streams::StreamId;

/// Commands that are sent before their answers are waited for.
const BATCH: usize = 512;
/// Bytes of them, about.
const BATCH_BYTES: usize = 1 << 20;
/// Wait for what is queued when a link closes.
const FAREWELL: Duration = Duration::from_secs(5);

struct Worker {
    shared: Arc<Shared>,
    active: FxHashSet<Channel>,
    /// Entries on their way, oldest first.
    unconfirmed: VecDeque<Outgoing>,
    /// No entry of ours that is unconfirmed stands before this one.
    confirmed: Option<StreamId>,
    /// Which process of Redis the last connection was to, and its number there. Another process gives that number to
    /// somebody else.
    last: Option<(String, i64)>,
}

/// Runs until the link is closed.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut closing = shared.closing.subscribe();
    let mut backoff = Backoff::new(shared.config.backoff);
    let mut worker = Worker {
        shared: Arc::clone(&shared),
        active: FxHashSet::default(),
        unconfirmed: VecDeque::new(),
        confirmed: None,
        last: None,
    };
    while !*closing.borrow() {
        let life = Arc::new(Life::default());
        let connected = tokio::select! {
            connected = worker.establish(&life) => connected,
            _ = closing.wait_for(|closing| *closing) => break,
        };
        let broken = match connected {
            Ok(connection) => {
                backoff.reset();
                let broken = worker.serve(connection, &life).await;
                shared.connection.lock().take();
                broken
            }
            Err(error) => Err(error),
        };
        let reason = broken.err().map(|error| error.to_string());
        shared.set_part(Part::Commands, false, reason);
        worker.give_up_passing();
        tokio::select! {
            () = tokio::time::sleep(backoff.wait_by_chance()) => {}
            _ = closing.wait_for(|closing| *closing) => {}
        }
    }
    let rest = shared.outbox.take(usize::MAX, usize::MAX).len() + worker.unconfirmed.len();
    Counters::add(&shared.counters.lost, rest);
    shared.inbox.close();
}

impl Worker {
    /// Connects, clears up what the last connection left open, and listens to all that is wanted.
    async fn establish(&mut self, life: &Arc<Life>) -> RedisResult<Connection> {
        let shared = Arc::clone(&self.shared);
        let on_push = {
            let (shared, life) = (Arc::clone(&shared), Arc::clone(life));
            Arc::new(move |push| shared.on_push(&life, push))
        };
        let mut connection = connect(&shared.address, shared.waits(), Some(on_push)).await?;
        self.fence(&mut connection).await?;
        if let Backend::Streams { stream, .. } = &shared.config.backend {
            self.settle_entries(&mut connection, stream).await?;
        }
        self.active.clear();
        let all = shared.channels.lock().take_all();
        self.apply(&mut connection, all, life).await?;
        let again = shared.counters.connects.fetch_add(1, Ordering::Relaxed) > 0;
        if again && shared.keeps_nothing() {
            shared.inbox.push_always(Event::Gap(Gap::Reconnected));
        }
        *shared.connection.lock() = Some(connection.clone());
        shared.set_part(Part::Commands, true, None);
        Ok(connection)
    }

    /// Ends the last connection on Redis' side, so that no command of it is carried out any more.
    async fn fence(&mut self, connection: &mut Connection) -> RedisResult<()> {
        if connection.is_cluster() {
            return Ok(());
        }
        let mut info = cmd("INFO");
        info.arg("server");
        let mut id = cmd("CLIENT");
        id.arg("ID");
        // A user may lack the right to ask for these. Then there is no fence.
        let (Ok(info), Ok(Value::Int(id))) =
            (connection.ask(&info).await, connection.ask(&id).await)
        else {
            self.last = None;
            return Ok(());
        };
        let Some(run) = run_id(&info) else {
            return Ok(());
        };
        if let Some((old_run, old_id)) = self.last.replace((run.clone(), id))
            && old_run == run
        {
            let mut kill = cmd("CLIENT");
            kill.arg("KILL").arg("ID").arg(old_id);
            // Most often it is gone already.
            let _ = connection.ask(&kill).await;
        }
        Ok(())
    }

    /// Finds out which of the entries that were on their way stand in the stream, and sends the others again.
    async fn settle_entries(&mut self, connection: &mut Connection, key: &str) -> RedisResult<()> {
        let Some(first) = self.confirmed else {
            self.confirmed = Some(self.shared.start(connection, key).await?);
            return Ok(());
        };
        let mut from = first;
        while !self.unconfirmed.is_empty() {
            let page = reader::range_after(connection, key, from, BATCH).await?;
            let Some(last) = page.last() else {
                break;
            };
            from = last.id;
            for entry in page {
                self.confirm_if_own(entry).await;
            }
        }
        let again = std::mem::take(&mut self.unconfirmed);
        if !again.is_empty() && !self.reaches_back_to(connection, key, first).await? {
            // They may have stood where the stream was trimmed. Sent again they could be there twice: who waits for them
            // is told, with those who may miss something.
            Counters::add(&self.shared.counters.lost, again.len());
            self.shared.inbox.push_always(Event::Gap(Gap::Trimmed));
            return Ok(());
        }
        self.send_entries(connection, again).await
    }

    /// Whether nothing behind this place was trimmed.
    async fn reaches_back_to(
        &self,
        connection: &mut Connection,
        key: &str,
        place: StreamId,
    ) -> RedisResult<bool> {
        let Backend::Streams { max_len, .. } = &self.shared.config.backend else {
            return Ok(true);
        };
        Ok(reader::holds(connection, key, place).await?
            || reader::is_untrimmed(connection, key, *max_len).await?)
    }

    async fn confirm_if_own(&mut self, entry: Entry) {
        // One that is appended once may have been there for long, and is sent again without harm.
        let once = |own: &Outgoing| {
            own.counter
                .as_ref()
                .is_some_and(|counter| counter.once.is_some())
        };
        let mut waiting = self.unconfirmed.iter();
        let at = waiting.position(|own| own.fields == entry.fields || !once(own));
        let found = at.filter(|at| self.unconfirmed[*at].fields == entry.fields);
        if let Some(own) = found.and_then(|at| self.unconfirmed.remove(at)) {
            self.confirm(own.ticket, entry.id, entry.number).await;
        }
    }

    async fn confirm(&mut self, ticket: u64, offset: StreamId, number: Option<u64>) {
        // What was appended before has no place of now.
        if offset > StreamId::default() {
            self.confirmed = Some(offset);
        }
        let event = Event::Appended {
            ticket,
            offset,
            number,
        };
        // Publishers wait for the hub here, if it doesn't read.
        self.shared.inbox.push_in_turn(event, 64).await;
    }

    /// Sends and listens until the connection breaks, or the link is closed and all is sent.
    async fn serve(&mut self, mut connection: Connection, life: &Life) -> RedisResult<()> {
        let shared = Arc::clone(&self.shared);
        let mut closing = shared.closing.subscribe();
        let farewell = async {
            // The sender lives as long as `shared` does.
            let _ = closing.wait_for(|closing| *closing).await;
            tokio::time::sleep(FAREWELL).await;
        };
        // A connection that ends fails what is asked of it, so this needs no other way out: frames in hand are not to
        // be dropped.
        tokio::select! {
            served = self.serve_on(&mut connection, life) => served,
            () = farewell => Ok(()),
        }
    }

    async fn serve_on(&mut self, connection: &mut Connection, life: &Life) -> RedisResult<()> {
        let shared = Arc::clone(&self.shared);
        let ping = cmd("PING");
        while !life.is_over() {
            let changes = {
                let mut channels = shared.channels.lock();
                let changed = channels.has_changes();
                changed.then(|| channels.take_changes(&self.active))
            };
            if let Some(changes) = changes {
                self.apply(connection, changes, life).await?;
            }
            let batch = shared.outbox.take(BATCH, BATCH_BYTES);
            if !batch.is_empty() {
                self.send(connection, batch).await?;
                continue;
            }
            if *shared.closing.borrow() && shared.outbox.is_empty() {
                return Ok(());
            }
            tokio::select! {
                () = shared.wake.notified() => {}
                () = life.over() => {}
                () = tokio::time::sleep(shared.config.ping_interval) => {
                    connection.ask_everywhere(ping.clone()).await?;
                }
            }
        }
        Err(RedisError::from((ErrorKind::Io, "the connection is gone")))
    }

    async fn apply(
        &mut self,
        connection: &mut Connection,
        changes: Changes,
        life: &Life,
    ) -> RedisResult<()> {
        for listen in changes.listen.chunks(BATCH) {
            let cmds = listen.iter().map(subscribe).collect();
            for reply in connection.ask_all(cmds).await? {
                reply?;
            }
            self.active.extend(listen.iter().cloned());
        }
        for leave in changes.leave.chunks(BATCH) {
            let cmds = leave.iter().map(unsubscribe).collect();
            life.leaving.store(true, Ordering::Release);
            let replies = connection.ask_all(cmds).await;
            life.leaving.store(false, Ordering::Release);
            for reply in replies? {
                reply?;
            }
            for channel in leave {
                self.active.remove(channel);
            }
        }
        self.shared.applied.send_replace(changes.version);
        Ok(())
    }

    async fn send(&mut self, connection: &mut Connection, batch: Vec<Frame>) -> RedisResult<()> {
        let mut frames = batch.into_iter().peekable();
        // Entries and what passes go in the order they were published, in runs of a kind.
        while let Some(first) = frames.peek() {
            if matches!(first, Frame::Append(_)) {
                let mut entries = VecDeque::new();
                while let Some(Frame::Append(entry)) =
                    frames.next_if(|frame| matches!(frame, Frame::Append(_)))
                {
                    entries.push_back(entry);
                }
                if let Err(error) = self.send_entries(connection, entries).await {
                    self.keep(frames);
                    return Err(error);
                }
            } else {
                let mut cmds = Vec::new();
                while let Some(frame) = frames.next_if(|frame| !matches!(frame, Frame::Append(_))) {
                    cmds.push(publish(frame));
                }
                if let Err(error) = self.send_passing(connection, cmds).await {
                    self.keep(frames);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// What was taken from the queue and not sent: entries are sent by the next connection, all else is lost.
    fn keep(&mut self, frames: impl Iterator<Item = Frame>) {
        for frame in frames {
            match frame {
                Frame::Append(entry) => self.unconfirmed.push_back(entry),
                _ => Counters::add(&self.shared.counters.lost, 1),
            }
        }
    }

    async fn send_passing(
        &mut self,
        connection: &mut Connection,
        cmds: Vec<Cmd>,
    ) -> RedisResult<()> {
        let count = cmds.len();
        let replies = match connection.ask_all(cmds).await {
            Ok(replies) => replies,
            Err(error) => {
                Counters::add(&self.shared.counters.lost, count);
                return Err(error);
            }
        };
        let refused = replies.iter().filter(|reply| reply.is_err()).count();
        Counters::add(&self.shared.counters.sent, count - refused);
        Counters::add(&self.shared.counters.lost, refused);
        for reply in replies {
            reply?;
        }
        Ok(())
    }

    async fn send_entries(
        &mut self,
        connection: &mut Connection,
        entries: VecDeque<Outgoing>,
    ) -> RedisResult<()> {
        let cmds = appends(&self.shared.config.backend, &entries);
        self.unconfirmed.extend(entries);
        let replies = connection.ask_all(cmds).await?;
        let mut refused = VecDeque::new();
        let mut error = None;
        for reply in replies {
            let Some(entry) = self.unconfirmed.pop_front() else {
                break;
            };
            match reply.map(|value| appended(&value)) {
                Ok(Some((offset, number))) => {
                    Counters::add(&self.shared.counters.sent, 1);
                    self.confirm(entry.ticket, offset, number).await;
                }
                Ok(None) => Counters::add(&self.shared.counters.lost, 1),
                Err(why) => {
                    error = Some(why);
                    refused.push_back(entry);
                }
            }
        }
        refused.append(&mut self.unconfirmed);
        self.unconfirmed = refused;
        error.map_or(Ok(()), Err)
    }

    /// Pub/sub is of no use to those who listen only later.
    fn give_up_passing(&mut self) {
        if self.shared.keeps_nothing() {
            let lost = self.shared.outbox.take(usize::MAX, usize::MAX).len();
            Counters::add(&self.shared.counters.lost, lost);
        }
    }
}

/// What tells one process of Redis from the next.
fn run_id(info: &Value) -> Option<String> {
    let text = match info {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok()?,
        Value::VerbatimString { text, .. } | Value::SimpleString(text) => text,
        _ => return None,
    };
    let mut lines = text.lines();
    lines.find_map(|line| Some(line.strip_prefix("run_id:")?.trim().to_owned()))
}

fn subscribe(channel: &Channel) -> Cmd {
    named("SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", channel)
}

fn unsubscribe(channel: &Channel) -> Cmd {
    named("UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE", channel)
}

/// One command a channel: each is then answered once.
fn named(exact: &str, pattern: &str, shard: &str, channel: &Channel) -> Cmd {
    let (verb, name) = match channel {
        Channel::Exact(name) => (exact, name),
        Channel::Pattern(name) => (pattern, name),
        Channel::Shard(name) => (shard, name),
    };
    let mut named = cmd(verb);
    named.arg(name);
    named
}

fn publish(frame: Frame) -> Cmd {
    let (verb, channel, body) = match frame {
        Frame::Publish { channel, body } => ("PUBLISH", channel, body),
        Frame::ShardPublish { channel, body } => ("SPUBLISH", channel, body),
        // Sorted out by whoever calls this.
        Frame::Append(_) => return cmd("PING"),
    };
    let mut publish = cmd(verb);
    publish.arg(channel).arg(&body[..]);
    publish
}
