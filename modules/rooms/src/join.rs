//! `room:join`: into one room or several, with what was said before, a filter, or a token.

use std::sync::Arc;

use lakh_hub::{
    Ack, Bytes, Event, FILTER_MARK, Failure, Namespace, Passed, Payload, Room, Socket, Wish, answer,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use crate::enter::{self, Pass};
use crate::filter::{self, Filter};
use crate::history::{self, Found, MAX_EVENTS, Want};
use crate::server_side::{HistoryRange, PresencePage};
use crate::state::{How, StateWish};
use crate::{Inner, MODULE, Rooms, names, presence};

/// Rooms in one request.
const MAX_ROOMS: usize = 100;

#[derive(Deserialize)]
struct Request {
    room: Option<String>,
    rooms: Option<Vec<String>>,
    rewind: Option<Rewind>,
    filter: Option<Value>,
    token: Option<String>,
    #[serde(default)]
    presence: bool,
    /// Whether, and how, to follow the room's state.
    #[serde(default)]
    state: StateWish,
}

/// From where on a newcomer wants to know what was said.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rewind {
    last: Option<usize>,
    since: Option<u64>,
    after: Option<u64>,
}

/// What holds for each of the rooms.
struct Wanted {
    rewind: Option<Want>,
    /// The filter's text, and the filter.
    filter: Option<(String, Arc<Filter>)>,
    token: Option<String>,
    presence: bool,
    state: Option<How>,
}

impl Rewind {
    fn read(&self) -> Result<Want, Failure> {
        let given = [
            self.last.is_some(),
            self.since.is_some(),
            self.after.is_some(),
        ];
        if given.iter().filter(|given| **given).count() != 1 {
            return Err(Failure::bad_request(
                "rewind takes one of {last: n}, {since: ms} and {after: seq}",
            ));
        }
        if self.last == Some(0) {
            return Err(Failure::bad_request(format!("last is 1 to {MAX_EVENTS}")));
        }
        Want::new(HistoryRange {
            after: self.after,
            since_ms: self.since,
            limit: self.last.unwrap_or(MAX_EVENTS),
            ..HistoryRange::default()
        })
    }
}

pub(crate) fn install(namespace: &Namespace, rooms: &Rooms) {
    let rooms = rooms.clone();
    namespace.on(
        "room:join",
        async move |socket: Socket, event: Event, ack: Ack| match event.args::<Request>() {
            Ok(request) => handle(&rooms, &socket, request, ack).await,
            Err(error) => refuse(ack, Failure::misread(&error)),
        },
    );
}

fn refuse(ack: Ack, failure: Failure) {
    ack.send_raw(answer::<()>(Err(failure)));
}

async fn handle(rooms: &Rooms, socket: &Socket, request: Request, ack: Ack) {
    let wanted = match read(&rooms.0, &request) {
        Ok(wanted) => wanted,
        Err(failure) => return refuse(ack, failure),
    };
    match (request.room, request.rooms) {
        (Some(name), None) => match enter_one(rooms, socket, &name, &wanted, Some(ack)).await {
            Ok((done, Some(ack))) => ack.send_raw(done.answer()),
            Err((failure, Some(ack))) => refuse(ack, failure),
            Ok((_, None)) | Err((_, None)) => {}
        },
        (None, Some(names)) if (1..=MAX_ROOMS).contains(&names.len()) => {
            ack.send_raw(enter_several(rooms, socket, &names, &wanted).await);
        }
        _ => refuse(
            ack,
            Failure::bad_request(format!("give one `room`, or 1 to {MAX_ROOMS} `rooms`")),
        ),
    }
}

fn read(rooms: &Inner, request: &Request) -> Result<Wanted, Failure> {
    let filter = match &request.filter {
        Some(filter) => filter::read(filter)?.map(|text| {
            let filter = rooms.filters.get(&text);
            (text, filter)
        }),
        None => None,
    };
    let mut rewind = request.rewind.as_ref().map(Rewind::read).transpose()?;
    if let (Some(want), Some((_, filter))) = (&mut rewind, &filter) {
        want.filter = Some(Arc::clone(filter));
    }
    Ok(Wanted {
        rewind,
        filter,
        token: request.token.clone(),
        presence: request.presence,
        state: request.state.how(),
    })
}

/// Joins one room after the other. What is refused in one changes nothing in the others.
async fn enter_several(
    rooms: &Rooms,
    socket: &Socket,
    names: &[String],
    wanted: &Wanted,
) -> Payload {
    let (mut joined, mut refused) = (String::new(), Map::new());
    let mut attachments = Vec::new();
    for name in names {
        match enter_one(rooms, socket, name, wanted, None).await {
            Ok((done, _)) => {
                let comma = if joined.is_empty() { "" } else { "," };
                joined.push_str(&format!("{comma}{}:{{", Value::from(name.as_str())));
                done.push_to(&mut joined, &mut attachments);
                joined.push('}');
            }
            Err((failure, _)) => {
                refused.insert(name.clone(), json!(failure));
            }
        }
    }
    let refused = Value::Object(refused);
    let text = format!(r#"[{{"ok":true,"joined":{{{joined}}},"refused":{refused}}}]"#);
    Payload::from_raw(text, attachments)
}

/// What came of a request, with the acknowledgement if it wasn't used.
type Outcome = Result<(Done, Option<Ack>), (Failure, Option<Ack>)>;

/// Joins one room. With a rewind the acknowledgement is sent in the moment of joining: all events of the room are behind it.
async fn enter_one(
    rooms: &Rooms,
    socket: &Socket,
    name: &str,
    wanted: &Wanted,
    ack: Option<Ack>,
) -> Outcome {
    let asked = ask(rooms, socket, name, wanted).await;
    let (entering, passed) = match asked {
        Ok(asked) => asked,
        Err(failure) => return Err((failure, ack)),
    };
    let room = Room::clone(&entering.room);
    // Before it's in: once a rewind's answer is sent there is no way to refuse.
    if let Err(failure) = follow(&rooms.0, socket, name, &entering, wanted.state).await {
        return Err((failure, ack));
    }
    let outcome = match &wanted.rewind {
        None => match entering.now(socket) {
            Ok(mut done) => {
                // Read after joining: whatever gets a later number reaches this socket.
                let of_fleet = socket.namespace().count_of(name).await;
                done.seq = of_fleet.unwrap_or(done.seq);
                Ok((done, ack))
            }
            Err(failure) => Err((failure, ack)),
        },
        Some(want) => rewound(socket, entering, want, ack).await,
    };
    drop(passed);
    if outcome.is_err() && wanted.state.is_some() && !socket.is_in(&room) {
        rooms.0.states.leave(socket, name);
    }
    outcome
}

/// Has a socket that is about to join follow the room's state, if it wants to.
async fn follow(
    rooms: &Inner,
    socket: &Socket,
    name: &str,
    entering: &Entering,
    how: Option<How>,
) -> Result<(), Failure> {
    let Some(how) = how else {
        return Ok(());
    };
    let pass = entering.pass.as_ref();
    enter::may_with(pass, &rooms.kinds, socket, name, "state.read")?;
    let followed = rooms.states.follow_unchecked(socket, name, how).await;
    followed.map(drop)
}

/// Whether the socket may, and whoever is asked first lets it.
async fn ask(
    rooms: &Rooms,
    socket: &Socket,
    name: &str,
    wanted: &Wanted,
) -> Result<(Entering, Passed), Failure> {
    let inner = &rooms.0;
    let (room, kind) = (names::room(name)?, inner.kinds.of(name));
    let pass = enter::show(inner, socket, name, &room, wanted.token.as_deref())?;
    if pass.is_none() {
        socket.allow(MODULE, "join", name)?;
    }
    if wanted.rewind.is_some() {
        history::supported(inner, kind)?;
    }
    if wanted.presence {
        presence::supported(kind)?;
        presence::ready(rooms).await;
    }
    if wanted.filter.is_some() && kind.max_filters == 0 {
        return Err(Failure::new(
            "unsupported",
            "rooms of this kind have no filters",
        ));
    }
    let passed = socket.pass(Wish::Subscribe { room: name }).await?;
    let full = match &wanted.filter {
        Some((text, _)) => format!("{room}{FILTER_MARK}{text}").into(),
        None => Room::clone(&room),
    };
    let entering = Entering {
        rooms: rooms.clone(),
        room,
        full,
        pass,
        presence: wanted.presence,
    };
    Ok((entering, passed))
}

/// Joins where the past ends: what stands in the answer is behind the socket's loop, and all else is yet to come to it.
async fn rewound(socket: &Socket, entering: Entering, want: &Want, ack: Option<Ack>) -> Outcome {
    let rooms = entering.rooms.clone();
    let room = Room::clone(&entering.room);
    let kind = names::name(&room).map(|name| rooms.0.kinds.of(name));
    let (send, receive) = oneshot::channel();
    let mut turn = Some((entering, ack, send));
    let fence = |found: Found| {
        let Some((entering, ack, send)) = turn.take() else {
            return;
        };
        socket.in_turn(move |socket| {
            let outcome = match entering.now(socket) {
                Ok(mut done) => {
                    done.seq = found.seq;
                    done.found = Some(found);
                    match ack {
                        Some(ack) => {
                            ack.send_raw(done.answer());
                            Ok((done, None))
                        }
                        None => Ok((done, None)),
                    }
                }
                Err(failure) => Err((failure, ack)),
            };
            // Whoever asked may be gone.
            let _ = send.send(outcome);
        });
    };
    let read = match kind {
        Some(kind) => history::read(&rooms.0, &room, kind, want, fence).await,
        None => Ok(()),
    };
    if let Err(failure) = read {
        return Err((failure, turn.and_then(|(_, ack, _)| ack)));
    }
    let over = Failure::new("unavailable", "this server is about to stop; join again");
    receive.await.unwrap_or(Err((over, None)))
}

/// A socket that may join.
struct Entering {
    rooms: Rooms,
    room: Room,
    /// With the filter.
    full: Room,
    pass: Option<Pass>,
    presence: bool,
}

impl Entering {
    /// Joins, on the socket's loop.
    fn now(self, socket: &Socket) -> Result<Done, Failure> {
        let inner = &self.rooms.0;
        if !inner.numbers.admit(&self.room, socket.now_ms()) {
            return Err(enter::too_many_rooms());
        }
        let joined = match socket.membership(&self.room) {
            // With another filter.
            Some(before) if before != self.full => socket.join_instead(&before, &self.full),
            _ => socket.join(self.full),
        };
        if !joined {
            return Err(Failure::new(
                "too_large",
                "this socket is in as many rooms as it may, or the room has as many filters as it may",
            ));
        }
        enter::admit(&self.rooms, socket, &self.room, self.pass)?;
        let (seq, here) = inner.numbers.of(&self.room);
        let count = presence::sockets(inner, &self.room).unwrap_or(here);
        let present = self
            .presence
            .then(|| presence::subscribe(inner, socket, &self.room, false));
        Ok(Done {
            seq,
            count,
            found: None,
            presence: present.flatten(),
        })
    }
}

/// A socket that is in.
struct Done {
    seq: u64,
    count: usize,
    found: Option<Found>,
    presence: Option<PresencePage>,
}

impl Done {
    fn answer(&self) -> Payload {
        let (mut text, mut attachments) = (r#"[{"ok":true,"#.to_owned(), Vec::new());
        self.push_to(&mut text, &mut attachments);
        text.push_str("}]");
        Payload::from_raw(text, attachments)
    }

    /// The fields of the answer.
    fn push_to(&self, text: &mut String, attachments: &mut Vec<Bytes>) {
        text.push_str(&format!(r#""seq":{},"count":{}"#, self.seq, self.count));
        if let Some(present) = self
            .presence
            .as_ref()
            .and_then(|page| serde_json::to_string(page).ok())
        {
            text.push_str(r#","presence":"#);
            text.push_str(&present);
        }
        if let Some(found) = &self.found {
            text.push(',');
            history::push_found(text, attachments, found);
        }
    }
}
