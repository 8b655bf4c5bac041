//! What nodes tell each other of who is where.
//!
//! A node says of its own people how many sockets each has in which place, and numbers its words. Who misses one, or comes
//! new, asks for all of it. All say something every third of the time after which a node counts as gone: then those on it
//! have left. So it's right again after any loss, whatever the nodes are linked by.

use std::collections::{HashMap, HashSet};

use lakh_broker::Room;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::agenda::{Agenda, Due, Ms};
use super::table::{Key, ME, NodeNumber, Part, Table};
use crate::person::Person;

/// How long changes are gathered before they are said.
const GATHER: Ms = 20;
/// Before a node is asked again.
const ASK_AGAIN: Ms = 500;
/// People in one word.
const LINES: usize = 200;

/// Of one person in one place; without the rest, they are gone.
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

/// What a node says of a person in a place, to be put into the table.
pub(super) struct Saying {
    pub node: NodeNumber,
    pub place: Room,
    pub key: Key,
    pub part: Option<Part>,
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

    /// It matters on this node who is where from now on.
    pub(super) fn begin(&mut self, agenda: &mut Agenda, now: Ms) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        self.ask.push("*".to_owned());
        self.tell_all = true;
        self.tell_soon(agenda, now, 0);
        agenda.plan(now + self.silence / 3, Due::Beat);
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

    /// Whether this node is the one, of those that are there, which does for a person what all of them see and one has to
    /// do: that with the highest of numbers made of node and person. So the work is spread, and nobody has to be asked.
    pub(super) fn is_ours(&self, key: &str) -> bool {
        let me = rank(&self.me, key);
        self.nodes
            .keys()
            .all(|node| (rank(node, key), node) < (me, &self.me))
    }

    pub(super) fn changed(&mut self, agenda: &mut Agenda, place: &Room, key: &Key, now: Ms) {
        if self.begun {
            self.changed.insert((Room::clone(place), Key::clone(key)));
            self.tell_soon(agenda, now, GATHER);
        }
    }

    fn tell_soon(&mut self, agenda: &mut Agenda, now: Ms, wait: Ms) {
        if !std::mem::replace(&mut self.telling, true) {
            agenda.plan(now + wait, Due::Tell);
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

    /// Says that this node is there, and looks who else is: what those have said who are gone is over.
    pub(super) fn beat(
        &mut self,
        table: &Table,
        agenda: &mut Agenda,
        now: Ms,
        is_up: bool,
    ) -> (Word, Vec<Saying>) {
        agenda.plan(now + self.silence / 3, Due::Beat);
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
        let over = |node: NodeNumber| {
            let all = table.of_node(node).into_iter();
            all.map(move |of| Saying::over(node, of))
        };
        let over = silent.into_iter().flat_map(over).collect();
        (self.word(Vec::new()), over)
    }

    /// Another node has said something. Gives what of it is to be put into the table, and whether it has said all now.
    pub(super) fn hear(
        &mut self,
        table: &Table,
        agenda: &mut Agenda,
        word: Word,
        now: Ms,
    ) -> (Vec<Saying>, bool) {
        let nothing = (Vec::new(), false);
        if word.node == self.me {
            return nothing;
        }
        let asks_me = |asked: &String| *asked == self.me || asked == "*";
        if word.ask.iter().any(asks_me) {
            self.tell_all = true;
            self.begin(agenda, now);
            self.tell_soon(agenda, now, GATHER);
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
                self.begin(agenda, now);
                self.tell_soon(agenda, now, 0);
            }
            return nothing;
        }
        node.word = word.number;
        node.take(table, word)
    }
}

impl Node {
    /// What is to be put into the table of a word that has its turn, and whether this node has said all now.
    fn take(&mut self, table: &Table, word: Word) -> (Vec<Saying>, bool) {
        let (number, whole) = (self.number, word.whole);
        if let Some((true, _)) = whole {
            self.fresh.clear();
        }
        let mut sayings = Vec::with_capacity(word.lines.len());
        for (place, key, said) in word.lines {
            let (place, key) = (Room::from(place), Key::from(key));
            if whole.is_some() {
                self.fresh.insert((Room::clone(&place), Key::clone(&key)));
            }
            sayings.push(Saying {
                node: number,
                place,
                key,
                part: said.map(Said::part),
            });
        }
        if !whole.is_some_and(|(_, last)| last) {
            return (sayings, false);
        }
        self.whole = true;
        // What it said before, and not when it said all, is over.
        let fresh = std::mem::take(&mut self.fresh);
        let stale = table.of_node(number).into_iter();
        let stale = stale.filter(|of| !fresh.contains(of));
        sayings.extend(stale.map(|of| Saying::over(number, of)));
        (sayings, true)
    }
}

impl Saying {
    fn over(node: NodeNumber, (place, key): (Room, Key)) -> Self {
        Self {
            node,
            place,
            key,
            part: None,
        }
    }
}

impl Said {
    fn part(self) -> Part {
        Part {
            user: self.user,
            sockets: self.sockets,
            data: self.data,
            stamp: self.stamp,
        }
    }
}

/// FNV-1a, the same on all nodes whatever they are built with.
fn rank(node: &str, key: &str) -> u64 {
    let bytes = node.bytes().chain([0]).chain(key.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn line(table: &Table, (place, key): &(Room, Key)) -> Line {
    let said = table.part(ME, place, key).map(|part| Said {
        user: part.user.clone(),
        sockets: part.sockets,
        data: part.data.clone(),
        stamp: part.stamp,
    });
    (place.to_string(), key.to_string(), said)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A node's side of the talk, without sockets.
    struct Side {
        gossip: Gossip,
        table: Table,
        agenda: Agenda,
    }

    impl Side {
        fn new(name: &str) -> Self {
            let mut side = Self {
                gossip: Gossip::new(name.to_owned(), 900),
                table: Table::default(),
                agenda: Agenda::default(),
            };
            side.gossip.begin(&mut side.agenda, 0);
            side
        }

        fn says(&mut self, key: &str, sockets: Option<usize>, now: Ms) {
            let (place, key) = (Room::from("r"), Key::from(key));
            let part = sockets.map(|sockets| Part {
                sockets,
                ..Part::default()
            });
            self.table.set(ME, &place, &key, part);
            self.gossip.changed(&mut self.agenda, &place, &key, now);
        }

        fn words(&mut self) -> Vec<Word> {
            self.gossip.words(&self.table)
        }

        fn apply(&mut self, sayings: Vec<Saying>) {
            for Saying {
                node,
                place,
                key,
                part,
                ..
            } in sayings
            {
                self.table.set(node, &place, &key, part);
            }
        }

        fn hears(&mut self, words: &[Word], now: Ms) {
            for word in words {
                // As it comes over the wire.
                let text = serde_json::to_string(word).expect("JSON");
                let word = serde_json::from_str(&text).expect("a word");
                let (sayings, _) = self.gossip.hear(&self.table, &mut self.agenda, word, now);
                self.apply(sayings);
            }
        }

        fn people(&self) -> usize {
            self.table.occupancy("r").people
        }
    }

    #[test]
    fn who_misses_a_word_asks_for_all_and_is_right_again() {
        let (mut a, mut b) = (Side::new("a"), Side::new("b"));
        a.says("u:ada", Some(1), 0);
        let words = a.words();
        b.hears(&words, 0);
        assert_eq!(b.people(), 1);
        a.says("u:ben", Some(1), 10);
        drop(a.words());
        a.says("u:ada", None, 20);
        let words = a.words();
        b.hears(&words, 20);
        assert_eq!(b.people(), 1, "nothing of a word out of turn is taken");
        let asking = b.words();
        a.hears(&asking, 30);
        let words = a.words();
        b.hears(&words, 40);
        let page = b.table.page("r", None, 10);
        let ids: Vec<_> = page.members.iter().map(|one| one.id.as_str()).collect();
        assert_eq!(ids, ["ben"]);
    }

    #[test]
    fn each_person_is_one_nodes_affair() {
        let mut sides = ["a", "b", "c"].map(Side::new);
        let words: Vec<_> = sides.iter_mut().flat_map(Side::words).collect();
        for side in &mut sides {
            side.hears(&words, 0);
        }
        for number in 0..100 {
            let key = format!("u:{number}");
            let whose = sides.iter().filter(|side| side.gossip.is_ours(&key));
            assert_eq!(whose.count(), 1, "{key}");
        }
    }

    #[test]
    fn a_node_that_is_silent_is_gone_and_one_that_cant_be_heard_is_not() {
        let (mut a, mut b) = (Side::new("a"), Side::new("b"));
        a.says("u:ada", Some(1), 0);
        let words = a.words();
        b.hears(&words, 0);
        let keys = || (0..100).map(|number| format!("u:{number}"));
        let ours = |side: &Side| keys().filter(|key| side.gossip.is_ours(key)).count();
        let some = ours(&b);
        assert!((1..100).contains(&some), "shared with the other: {some}");
        let (_, over) = b.gossip.beat(&b.table, &mut b.agenda, 1_000, false);
        b.apply(over);
        assert_eq!(b.people(), 1, "the link is down: nobody can be heard");
        let (_, over) = b.gossip.beat(&b.table, &mut b.agenda, 1_900, true);
        b.apply(over);
        assert_eq!(b.people(), 0);
        assert_eq!(ours(&b), 100);
    }
}
