//! What nodes tell each other of who is where.
//!
//! A node says of its own people how many sockets each has in which room, and numbers its words. Who misses one, or comes new,
//! asks for all of it. All say something every third of the time after which a node counts as gone: then those on it have
//! left. So it's right again after any loss, whatever the nodes are linked by.

use std::collections::{HashMap, HashSet};

use lakh_hub::{Namespace, Person, Room, ServerEvent};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::table::{Due, Key, ME, Ms, NodeNumber, Part, Table};
use super::{State, flush, wake};
use crate::{Inner, Rooms};

/// The event between servers.
const EVENT: &str = "rooms:presence";
/// How long changes are gathered before they are said.
const GATHER: Ms = 20;
/// Before a node is asked again.
const ASK_AGAIN: Ms = 500;
/// People in one word.
const LINES: usize = 200;

/// Of one person in one room; without the rest, they are gone.
type Line = (String, String, Option<Said>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Said {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<Person>,
    sockets: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
    #[serde(default)]
    stamp: u64,
}

/// What is said at once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Word {
    node: String,
    /// How many words with lines were said before, this one among them.
    number: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    lines: Vec<Line>,
    /// A part of all that there is: whether it's the first, and the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    whole: Option<(bool, bool)>,
    /// Nodes that are to say all that they have; `*` for each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ask: Vec<String>,
}

struct Node {
    number: NodeNumber,
    heard: Ms,
    /// The number of its last word.
    word: u64,
    /// Nothing is missing.
    whole: bool,
    asked: Option<Ms>,
    /// What was said since it began to say all.
    fresh: HashSet<(Room, Key)>,
}

pub(super) struct Gossip {
    me: String,
    silence: Ms,
    nodes: HashMap<String, Node>,
    next_node: NodeNumber,
    begun: bool,
    ready: bool,
    number: u64,
    telling: bool,
    changed: HashSet<(Room, Key)>,
    ask: Vec<String>,
    tell_all: bool,
}

impl Gossip {
    pub(super) fn new(me: String, silence: Ms) -> Self {
        Self {
            me,
            silence,
            nodes: HashMap::new(),
            next_node: ME + 1,
            begun: false,
            ready: false,
            number: 0,
            telling: false,
            changed: HashSet::new(),
            ask: Vec::new(),
            tell_all: false,
        }
    }

    /// Presence matters on this node from now on.
    pub(super) fn begin(&mut self, table: &mut Table, now: Ms) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        self.ask.push("*".to_owned());
        self.tell_all = true;
        self.tell_soon(table, now, 0);
        table.later(now + self.silence / 3, Due::Beat);
    }

    pub(super) fn is_ready(&self) -> bool {
        self.ready
    }

    pub(super) fn set_ready(&mut self) {
        self.ready = true;
    }

    /// Nodes that have said all.
    pub(super) fn whole_nodes(&self) -> usize {
        self.nodes.values().filter(|node| node.whole).count()
    }

    pub(super) fn changed(&mut self, table: &mut Table, room: &Room, key: &Key, now: Ms) {
        if self.begun {
            self.changed.insert((Room::clone(room), Key::clone(key)));
            self.tell_soon(table, now, GATHER);
        }
    }

    fn tell_soon(&mut self, table: &mut Table, now: Ms, wait: Ms) {
        if !std::mem::replace(&mut self.telling, true) {
            table.later(now + wait, Due::Tell);
        }
    }

    fn word(&mut self, lines: Vec<Line>) -> Word {
        if !lines.is_empty() {
            self.number += 1;
        }
        Word {
            node: self.me.clone(),
            number: self.number,
            lines,
            ..Word::default()
        }
    }

    /// What is to be said.
    pub(super) fn words(&mut self, table: &Table) -> Vec<Word> {
        self.telling = false;
        let all = std::mem::take(&mut self.tell_all);
        let mut of = std::mem::take(&mut self.changed).into_iter().collect();
        if all {
            of = table.of_node(ME);
        }
        let mut words: Vec<Word> = of
            .chunks(LINES)
            .map(|some| self.word(some.iter().map(|of| line(table, of)).collect()))
            .collect();
        if all && words.is_empty() {
            words.push(self.word(Vec::new()));
        }
        if all {
            let last = words.len() - 1;
            for (at, word) in words.iter_mut().enumerate() {
                word.whole = Some((at == 0, at == last));
            }
        }
        let ask = std::mem::take(&mut self.ask);
        match words.last_mut() {
            Some(word) => word.ask = ask,
            None if ask.is_empty() => {}
            None => {
                let word = self.word(Vec::new());
                words.push(Word { ask, ..word });
            }
        }
        words
    }

    /// Says that this node is there, and looks who else is.
    pub(super) fn beat(&mut self, table: &mut Table, now: Ms, is_up: bool) -> Word {
        table.later(now + self.silence / 3, Due::Beat);
        let mut silent = Vec::new();
        self.nodes.retain(|_, node| {
            if !is_up {
                // Nobody is heard now, which says nothing of them.
                node.heard = now;
            }
            let gone = now.saturating_sub(node.heard) >= self.silence;
            if gone {
                silent.push(node.number);
            }
            !gone
        });
        for node in silent {
            table.drop_node(node, now);
        }
        self.word(Vec::new())
    }

    /// Another node has said something. Whether it has said all now.
    fn hear(&mut self, table: &mut Table, word: Word, now: Ms) -> bool {
        if word.node == self.me {
            return false;
        }
        if word
            .ask
            .iter()
            .any(|asked| *asked == self.me || asked == "*")
        {
            self.tell_all = true;
            self.begin(table, now);
            self.tell_soon(table, now, GATHER);
        }
        let next = &mut self.next_node;
        let node = self.nodes.entry(word.node.clone()).or_insert_with(|| {
            *next += 1;
            Node {
                number: *next,
                heard: now,
                word: 0,
                whole: false,
                asked: None,
                fresh: HashSet::new(),
            }
        });
        node.heard = now;
        let follows = match word.whole {
            Some((true, _)) => true,
            _ => word.number == node.word + u64::from(!word.lines.is_empty()),
        };
        if !follows || !node.whole && word.whole.is_none() {
            node.whole = false;
            let again = node
                .asked
                .is_none_or(|at| now.saturating_sub(at) >= ASK_AGAIN);
            if again {
                node.asked = Some(now);
                self.ask.push(word.node);
                self.begin(table, now);
                self.tell_soon(table, now, 0);
            }
            return false;
        }
        node.word = word.number;
        let (number, whole) = (node.number, word.whole);
        if let Some((true, _)) = whole {
            node.fresh.clear();
        }
        for (room, key, said) in word.lines {
            let of = (Room::from(room), Key::from(key));
            let part = said.map(|said| Part {
                user: said.user,
                sockets: said.sockets,
                data: said.data,
                stamp: said.stamp,
            });
            table.set(number, &of.0, &of.1, part, now);
            if whole.is_some() {
                node.fresh.insert(of);
            }
        }
        if !whole.is_some_and(|(_, last)| last) {
            return false;
        }
        node.whole = true;
        let fresh = std::mem::take(&mut node.fresh);
        forget_stale(table, number, &fresh, now);
        true
    }
}

/// What a node said before, and not when it said all, is over.
fn forget_stale(table: &mut Table, node: NodeNumber, fresh: &HashSet<(Room, Key)>, now: Ms) {
    for of in table.of_node(node) {
        if !fresh.contains(&of) {
            table.set(node, &of.0, &of.1, None, now);
        }
    }
}

fn line(table: &Table, (room, key): &(Room, Key)) -> Line {
    let said = table.part(ME, room, key).map(|part| Said {
        user: part.user.clone(),
        sockets: part.sockets,
        data: part.data.clone(),
        stamp: part.stamp,
    });
    (room.to_string(), key.to_string(), said)
}

pub(super) fn send(rooms: &Inner, words: Vec<Word>) {
    let namespace = rooms.hub.of("/");
    for word in words {
        if let Err(error) = namespace.server_side_emit(EVENT, &word) {
            tracing::warn!(%error, "who is in rooms can't be written for other nodes");
        }
    }
}

pub(super) fn install(namespace: &Namespace, rooms: &Rooms) {
    let rooms = rooms.clone();
    namespace.on_server_event(EVENT, async move |event: ServerEvent| {
        let Ok(word) = event.args::<Word>() else {
            return tracing::warn!("what another node says of who is in rooms was not understood");
        };
        let whole = {
            let mut state = rooms.0.presence.state.lock();
            let State { gossip, table, .. } = &mut *state;
            gossip.hear(table, word, rooms.0.hub.clock_ms())
        };
        if whole {
            rooms.0.presence.heard.notify_waiters();
        }
        wake(&rooms);
        flush(&rooms.0);
    });
}
