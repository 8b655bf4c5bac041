//! The task that reads the stream: each entry once and in order, from where the link was made, whatever happens between.
//!
//! Node's adapter reads from `$` until the first entry has come, and so misses what is added between two reads; here the
//! start is found out once, for the reader and the sender both. When Redis comes back, or entries come faster than they
//! are read, it's checked that the last one read still stands in the stream: if not, something may have been trimmed
//! unread, and the hub is told.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::{RedisResult, Value, cmd};

use super::backend::Backend;
use super::backoff::Backoff;
use super::connection::{Connection, Waits, connect};
use super::entry::{Entry, entries};
use super::inbound::{Event, Gap, Received};
use super::link::{Counters, Part, Shared};
use crate::cluster::Message;
use crate::cluster::streams::{StreamId, decode_entry};

/// Entries a read.
const COUNT: usize = 256;
/// How long Redis holds a read for which there is nothing.
const BLOCK: Duration = Duration::from_secs(2);

/// Where the reader is.
#[derive(Clone, Copy, Debug)]
struct Place {
    last: StreamId,
    /// Whether an entry stood there, or it is only the beginning of an empty stream.
    read: bool,
}

/// Runs until the link is closed.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut closing = shared.closing.subscribe();
    let reading = async {
        let mut backoff = Backoff::new(shared.config.backoff);
        let mut place = None;
        loop {
            let broken = read(&shared, &mut place, &mut backoff).await;
            let reason = broken.err().map(|error| error.to_string());
            shared.set_part(Part::Reader, false, reason);
            tokio::time::sleep(backoff.wait_by_chance()).await;
        }
    };
    tokio::select! {
        () = reading => {}
        // The sender lives as long as `shared` does.
        _ = closing.wait_for(|closing| *closing) => {}
    }
}

/// Reads with one connection until it breaks.
async fn read(
    shared: &Shared,
    place: &mut Option<Place>,
    backoff: &mut Backoff,
) -> RedisResult<()> {
    let Backend::Streams {
        stream, max_len, ..
    } = &shared.config.backend
    else {
        return Ok(());
    };
    let waits = Waits {
        // A read that waits is no sign of a broken connection.
        response: shared.config.response_timeout + BLOCK,
        ..shared.waits()
    };
    let mut connection = connect(&shared.address, waits, None).await?;
    let mut at = match *place {
        None => begin(shared, &mut connection, stream, *max_len).await?,
        Some(at) => resume(shared, &mut connection, stream, *max_len, at).await?,
    };
    *place = Some(at);
    backoff.reset();
    shared.set_part(Part::Reader, true, None);
    loop {
        let entries = next(&mut connection, stream, at.last).await?;
        let Some(newest) = entries.last().map(|entry| entry.id) else {
            continue;
        };
        // Only a read that is full, or as long as the stream may be, can have been overtaken by the stream's trimming.
        let most = usize::try_from(*max_len).map_or(COUNT, |max_len| COUNT.min(max_len));
        if entries.len() >= most && at.read && !holds(&mut connection, stream, at.last).await? {
            shared.inbox.push_always(Event::Gap(Gap::Trimmed));
        }
        for entry in entries {
            deliver(shared, entry).await;
        }
        at = Place {
            last: newest,
            read: true,
        };
        *place = Some(at);
    }
}

/// Where to read from at first. What is sent by now may stand behind that already, and more with it.
async fn begin(
    shared: &Shared,
    connection: &mut Connection,
    stream: &str,
    max_len: u64,
) -> RedisResult<Place> {
    let last = shared.start(connection, stream).await?;
    let read = last != StreamId::default();
    let at = Place { last, read };
    if !read {
        return Ok(at);
    }
    resume(shared, connection, stream, max_len, at).await
}

/// Where to read on after a break, having told of what can't be read any more.
async fn resume(
    shared: &Shared,
    connection: &mut Connection,
    stream: &str,
    max_len: u64,
    at: Place,
) -> RedisResult<Place> {
    let newest = tail(connection, stream).await?;
    let whole = if at.read {
        holds(connection, stream, at.last).await?
    } else {
        // Nothing was read yet.
        newest >= at.last && is_untrimmed(connection, stream, max_len).await?
    };
    if !whole {
        shared.inbox.push_always(Event::Gap(Gap::Trimmed));
    }
    if newest < at.last {
        // Redis came back with less than it had: numbers may start anew below what was read.
        let (last, read) = (StreamId::default(), false);
        return Ok(Place { last, read });
    }
    Ok(at)
}

async fn deliver(shared: &Shared, entry: Entry) {
    let own = entry.fields.uid == shared.dialect.uid.as_str();
    if own && !shared.config.echo {
        return;
    }
    let Some(nsp) = shared.channels.lock().namespace(&entry.fields.nsp) else {
        return;
    };
    Counters::add(&shared.counters.received, 1);
    let Ok(envelope) = decode_entry(&entry.fields, &shared.dialect.limits) else {
        shared.counters.undecodable.fetch_add(1, Ordering::Relaxed);
        return;
    };
    // No answer is ever asked for over the stream.
    if matches!(envelope.message, Message::Response(_)) {
        return;
    }
    let bytes = entry.fields.data.as_ref().map_or(0, String::len) + 128;
    let event = Event::Message(Received {
        nsp,
        from: envelope.from,
        own,
        offset: Some(entry.id),
        number: entry.number,
        message: envelope.message,
    });
    shared.inbox.push_in_turn(event, bytes).await;
}

/// The newest entry's place; the beginning if there is none.
pub(crate) async fn tail(connection: &mut Connection, stream: &str) -> RedisResult<StreamId> {
    Ok(newest(connection, stream, "+").await?.unwrap_or_default())
}

/// The place of the newest entry up to `end`.
pub(crate) async fn newest(
    connection: &mut Connection,
    stream: &str,
    end: &str,
) -> RedisResult<Option<StreamId>> {
    let mut newest = cmd("XREVRANGE");
    newest.arg(stream).arg(end).arg("-").arg("COUNT").arg(1);
    let entries = entries(connection.ask(&newest).await?);
    Ok(entries.first().map(|entry| entry.id))
}

/// Whether all entries that were ever added still stand in the stream.
pub(crate) async fn is_untrimmed(
    connection: &mut Connection,
    stream: &str,
    max_len: u64,
) -> RedisResult<bool> {
    let (mut exists, mut info) = (cmd("EXISTS"), cmd("XINFO"));
    exists.arg(stream);
    info.arg("STREAM").arg(stream);
    let mut replies = connection.ask_all(vec![exists, info]).await?.into_iter();
    let mut next = || replies.next().unwrap_or(Ok(Value::Nil));
    let (exists, info) = (next()?, next());
    // One that isn't there (yet) has no information.
    if exists == Value::Int(0) {
        return Ok(true);
    }
    Ok(says_untrimmed(&info?, max_len))
}

fn says_untrimmed(info: &Value, max_len: u64) -> bool {
    let length = count(info, "length").unwrap_or_default();
    match count(info, "entries-added") {
        Some(added) => added == length,
        // Redis before version 7 doesn't count them. It trims nothing while there is room.
        None => length < max_len,
    }
}

/// Whether that entry still stands in the stream. If so, none after it was trimmed.
pub(crate) async fn holds(
    connection: &mut Connection,
    stream: &str,
    id: StreamId,
) -> RedisResult<bool> {
    let id = id.to_string();
    let mut exactly = cmd("XRANGE");
    exactly.arg(stream).arg(&id).arg(&id);
    Ok(!entries(connection.ask(&exactly).await?).is_empty())
}

/// Entries after `from`, oldest first.
pub(crate) async fn range_after(
    connection: &mut Connection,
    stream: &str,
    from: StreamId,
    count: usize,
) -> RedisResult<Vec<Entry>> {
    let mut range = cmd("XRANGE");
    range.arg(stream).arg(format!("({from}")).arg("+");
    range.arg("COUNT").arg(count);
    Ok(entries(connection.ask(&range).await?))
}

async fn next(
    connection: &mut Connection,
    stream: &str,
    from: StreamId,
) -> RedisResult<Vec<Entry>> {
    let mut read = cmd("XREAD");
    read.arg("COUNT").arg(COUNT);
    read.arg("BLOCK").arg(BLOCK.as_millis().to_string());
    read.arg("STREAMS").arg(stream).arg(from.to_string());
    // One stream is asked for, so one comes: `[[name, entries]]`, or `{name: entries}` in RESP3.
    Ok(match connection.ask(&read).await? {
        Value::Map(streams) => streams.into_iter().next().map(|(_, found)| found),
        Value::Array(streams) => match streams.into_iter().next() {
            Some(Value::Array(pair)) => pair.into_iter().nth(1),
            _ => None,
        },
        _ => None,
    }
    .map(entries)
    .unwrap_or_default())
}

/// A number out of the answer to `XINFO`: a map, or a list of names and values by turns.
fn count(info: &Value, wanted: &str) -> Option<u64> {
    let is = |name: &Value| match name {
        Value::BulkString(name) => name == wanted.as_bytes(),
        Value::SimpleString(name) => name == wanted,
        _ => false,
    };
    let found = match info {
        Value::Map(pairs) => pairs
            .iter()
            .find(|(name, _)| is(name))
            .map(|(_, value)| value),
        Value::Array(flat) => {
            let mut pairs = flat.chunks_exact(2);
            pairs.find(|pair| is(&pair[0])).map(|pair| &pair[1])
        }
        _ => None,
    };
    match found? {
        Value::Int(count) => u64::try_from(*count).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_whole_by_what_was_added_or_by_the_room_it_has() {
        let text = |text: &str| Value::BulkString(text.into());
        let info = |counts: &[(&str, i64)]| {
            let pair = |(name, count): &(&str, i64)| (text(name), Value::Int(*count));
            let pairs: Vec<(Value, Value)> = counts.iter().map(pair).collect();
            let flat = pairs
                .iter()
                .cloned()
                .flat_map(|(name, count)| [name, count]);
            [Value::Array(flat.collect()), Value::Map(pairs)]
        };
        for (length, added, whole) in [(3, 3, true), (3, 4, false), (10, 10, true)] {
            for info in info(&[("length", length), ("entries-added", added)]) {
                assert_eq!(says_untrimmed(&info, 10), whole, "{info:?}");
            }
        }
        for (length, whole) in [(0, true), (9, true), (10, false)] {
            for info in info(&[("groups", 0), ("length", length)]) {
                assert_eq!(says_untrimmed(&info, 10), whole, "{info:?}");
            }
        }
    }
}
