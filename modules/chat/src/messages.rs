//! `message:send` and `message:history`.

use std::borrow::Cow;
use std::sync::Arc;

use lakh_hub::store::{Applied, Batch, Placed, Range, Writing};
use lakh_hub::{Failure, Namespace, Occurrence, Passed, Person, Socket, What, Wish};
use serde::{Deserialize, Serialize};

use crate::sequencer::Told;
use crate::shapes::{Message, event};
use crate::{Chat, MODULE, names, not_member, person, presence, stored, told};

#[derive(Deserialize)]
struct Send {
    room: String,
    key: String,
    text: String,
}

#[derive(Serialize)]
struct Sent {
    message: Message,
    duplicate: bool,
}

#[derive(Deserialize)]
struct AskHistory {
    room: String,
    before: Option<u64>,
    after: Option<u64>,
    limit: Option<usize>,
}

#[derive(Serialize)]
struct History {
    messages: Vec<Message>,
    more: bool,
}

pub(crate) fn install(namespace: &Namespace, chat: &Chat) {
    let module = chat.clone();
    namespace.on_request("message:send", async move |socket, request: Send| {
        send(&module, &socket, request).await
    });
    let module = chat.clone();
    namespace.on_request(
        "message:history",
        async move |socket, request: AskHistory| history(&module, &socket, &request).await,
    );
}

async fn send(chat: &Chat, socket: &Socket, mut request: Send) -> Result<Sent, Failure> {
    let person = check(chat, socket, &request)?;
    let paced = {
        let mut table = chat.0.table.lock();
        let config = &chat.0.config;
        table.pacing.message(config, &person.id, socket.now_ms())
    };
    paced.inspect_err(|_| told::limited(socket, &request.room, "messages_per_second"))?;
    let passed = pass(chat, socket, &mut request).await?;
    let time = socket.now_ms();
    let (turn, writing) = submit(chat, socket, &person, &request, time)?;
    // It has its place, and those behind it may go on.
    drop(passed);
    let applied = writing.await.map_err(|error| stored::not_written(&error))?;
    let placed = match applied.first() {
        Some(Applied::Appended(appended)) => appended.entries.first().copied(),
        _ => None,
    };
    let Some(Placed { seq, duplicate }) = placed else {
        return Err(stored::unexpected(None));
    };
    if duplicate {
        drop(turn);
        return Ok(Sent {
            message: read_one(chat, &request.room, seq).await?,
            duplicate,
        });
    }
    let Send { room, key, text } = request;
    let message = Message {
        room,
        seq,
        key,
        from: Person::clone(&person),
        text,
        time,
    };
    turn.tell(&message, told::message(socket, &message));
    // Whoever's turn it was has told it. The answer says that it can't be lost any more.
    if !socket.namespace().logged().await {
        return Err(Failure::new(
            "unavailable",
            "the message is stored, but others may not have heard of it; send it again with the same key",
        ));
    }
    presence::end_typing(chat, socket, &message.room, &person);
    presence::watch(chat, &socket.namespace());
    let namespace = socket.namespace();
    namespace
        .hub()
        .told(What::Message, namespace.name())
        .await?;
    Ok(Sent { message, duplicate })
}

fn check(chat: &Chat, socket: &Socket, request: &Send) -> Result<Arc<Person>, Failure> {
    names::check_room(&request.room)?;
    names::check_key(&request.key)?;
    let person = person(socket)?;
    check_text(chat, &request.text)?;
    if !socket.is_in(&names::hub_room(&request.room)) {
        return Err(not_member());
    }
    socket.allow(MODULE, "send", &request.room)?;
    Ok(person)
}

fn check_text(chat: &Chat, text: &str) -> Result<(), Failure> {
    let most = chat.0.config.max_text_chars;
    if text.is_empty() {
        return Err(Failure::bad_request("a message needs a text"));
    }
    if text.chars().nth(most).is_some() {
        return Err(Failure::new(
            "too_large",
            format!("a message's text is at most {most} characters"),
        ));
    }
    Ok(())
}

/// What somebody outside may change about a message.
#[derive(Serialize, Deserialize)]
struct Content<'a> {
    text: Cow<'a, str>,
}

/// Lets a message through the gate, if there is one. The text may be another one then.
async fn pass(chat: &Chat, socket: &Socket, request: &mut Send) -> Result<Passed, Failure> {
    if !socket.is_gated() {
        return Ok(Passed::default());
    }
    let content = Content {
        text: request.text.as_str().into(),
    };
    let data = serde_json::to_string(&content).map_err(|error| stored::unreadable(&error))?;
    let wish = Wish::Publish {
        room: &request.room,
        event: "message:send",
        data: &data,
    };
    let passed = socket.pass(wish).await?;
    if let Some(changed) = &passed.changed {
        let changed: Content<'_> = serde_json::from_str(changed.get()).map_err(|error| {
            tracing::warn!(%error, "a hook has changed a message into something without a text");
            Failure::new("unavailable", "the server's backend has spoilt the message")
        })?;
        check_text(chat, &changed.text)?;
        request.text = changed.text.into_owned();
    }
    Ok(passed)
}

/// Hands a message to the store and takes its place in the order, in one step.
fn submit(
    chat: &Chat,
    socket: &Socket,
    person: &Person,
    request: &Send,
    time: u64,
) -> Result<(Turn, Writing), Failure> {
    let entry = stored::entry(&request.key, person, &request.text, time)?;
    let batch = Batch::new(time).append(&names::log(&request.room), vec![entry]);
    let mut table = chat.0.table.lock();
    let Some(ticket) = table.ticket(&request.room) else {
        return Err(Failure::new(
            "unavailable",
            "too many messages of this room wait for the disk; try again later",
        ));
    };
    let writing = chat.0.store.write(batch);
    drop(table);
    let turn = Turn {
        chat: chat.clone(),
        namespace: socket.namespace(),
        room: request.room.clone(),
        ticket,
    };
    Ok((turn, writing))
}

/// A message's place in its room's order. However it ends, those behind it go on.
struct Turn {
    chat: Chat,
    namespace: Namespace,
    room: String,
    ticket: u64,
}

impl Turn {
    fn tell(self, message: &Message, occurrence: Option<Box<Occurrence>>) {
        let told = event("message:new", message).map(|payload| Told {
            payload,
            occurrence,
        });
        self.chat
            .0
            .table
            .lock()
            .settle(&self.room, self.ticket, told);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Changes nothing if it was told.
        self.chat
            .0
            .table
            .lock()
            .settle(&self.room, self.ticket, None);
        tell(&self.chat, &self.namespace, &self.room);
    }
}

/// Tells the messages of a room whose turn it is.
pub(crate) fn tell(chat: &Chat, namespace: &Namespace, room: &str) {
    loop {
        let told = namespace.to(names::hub_room(room)).emit_ordered(|| {
            let mut table = chat.0.table.lock();
            let Told {
                payload,
                occurrence,
            } = table.next_message(room)?;
            // In the order of the room's numbers, so under the same lock.
            if let Some(occurrence) = occurrence {
                let hub = namespace.hub();
                hub.tell(What::Message, namespace.name(), || *occurrence);
            }
            Some((payload, table))
        });
        match told {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(room, %error, "messages are told later");
                return presence::tell_later(chat, room);
            }
        }
    }
}

async fn read_one(chat: &Chat, room: &str, seq: u64) -> Result<Message, Failure> {
    let range = Range {
        to: seq,
        ..Range::from(seq, 1)
    };
    let page = chat
        .0
        .store
        .range(&names::log(room), range)
        .await
        .map_err(|error| stored::not_read(&error))?;
    match page.entries.first() {
        Some(entry) => stored::message(room, entry),
        None => Err(Failure::new("not_found", "the message is stored no longer")),
    }
}

async fn history(chat: &Chat, socket: &Socket, request: &AskHistory) -> Result<History, Failure> {
    names::check_room(&request.room)?;
    person(socket)?;
    if !socket.is_in(&names::hub_room(&request.room)) {
        return Err(not_member());
    }
    socket.allow(MODULE, "history", &request.room)?;
    let config = &chat.0.config;
    let limit = request
        .limit
        .unwrap_or(config.history_limit)
        .min(config.history_max_limit);
    if limit == 0 {
        return Err(Failure::bad_request(format!(
            "limit is 1 to {}",
            config.history_max_limit
        )));
    }
    let range = match (request.before, request.after) {
        (Some(_), Some(_)) => return Err(Failure::bad_request("give before or after, not both")),
        (None, Some(after)) => Range::from(after.saturating_add(1), limit),
        (before, None) => Range::before(before.unwrap_or(u64::MAX), limit),
    };
    let page = chat
        .0
        .store
        .range(&names::log(&request.room), range)
        .await
        .map_err(|error| stored::not_read(&error))?;
    let mut messages: Vec<Message> = page
        .entries
        .iter()
        .map(|entry| stored::message(&request.room, entry))
        .collect::<Result<_, _>>()?;
    messages.sort_unstable_by_key(|message| message.seq);
    Ok(History {
        messages,
        more: page.more,
    })
}
