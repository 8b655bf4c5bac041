//! What bots see: what came, decoded as each server's clients do.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::Arc;

use lakh_world::{EntityId, Layout, Replica, Schema};
use serde_json::Value;

use crate::dialect::Words;
use crate::swarm::Sink;

use super::schema::State;

/// Which server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Lakh,
    Rooms,
    Colyseus,
}

/// What one bot shows.
enum Eye {
    /// Not looked at: what comes is counted, and that's it.
    Shut,
    Lakh {
        replica: Box<Replica>,
        /// When its last frame came, and of which tick it was.
        last: (u64, u32),
    },
    Rooms(HashMap<u32, [f64; 2]>),
    Colyseus(Box<State>),
}

/// All bots' eyes and ears.
pub(super) struct Eyes {
    kind: Kind,
    hz: u32,
    words: Words,
    /// How the event with places begins.
    moved: Vec<u8>,
    gone: Vec<u8>,
    eyes: Vec<Eye>,
    layout: Option<Arc<Layout>>,
    /// What the server calls each bot's entity.
    pub(super) names: Vec<Option<String>>,
    /// How fast time passes in the world, as the last frame said: 1 is real time.
    pub(super) pace: f64,
    pub(super) entered: usize,
    pub(super) refused: Option<String>,
    pub(super) messages: u64,
    pub(super) payload_bytes: u64,
    /// What could not be read, and the first reason.
    pub(super) unreadable: Option<String>,
    /// When the first message came since this was last taken, for each bot that is looked at.
    pub(super) first_ns: Vec<Option<u64>>,
}

impl Eyes {
    pub(super) fn new(kind: Kind, words: Words, people: usize, hz: u32) -> Self {
        Self {
            kind,
            hz,
            pace: 1.0,
            words,
            moved: b"42[\"m\",[".to_vec(),
            gone: b"42[\"g\",[".to_vec(),
            eyes: (0..people).map(|_| Eye::Shut).collect(),
            layout: None,
            names: vec![None; people],
            entered: 0,
            refused: None,
            messages: 0,
            payload_bytes: 0,
            unreadable: None,
            first_ns: vec![None; people],
        }
    }

    /// From now on this bot decodes what it gets.
    pub(super) fn open(&mut self, conn: usize) {
        self.eyes[conn] = match (self.kind, &self.layout) {
            (Kind::Rooms, _) => Eye::Rooms(HashMap::new()),
            (Kind::Colyseus, _) => Eye::Colyseus(Box::default()),
            // Its world is told with the answer to its request to enter.
            (Kind::Lakh, None) => Eye::Shut,
            (Kind::Lakh, Some(layout)) => Eye::Lakh {
                replica: Box::new(Replica::new(Arc::clone(layout))),
                last: (0, 0),
            },
        };
    }

    /// How a world's entities are laid out, by the first answer to a request to enter.
    fn learn(&mut self, world: &Value) {
        let schema = serde_json::from_value::<Schema>(world["schema"].clone());
        let bits = world["cell_bits"].as_u64().unwrap_or_default();
        let layout = schema.map_err(|error| error.to_string());
        let layout = layout
            .and_then(|schema| Layout::new(&schema, bits as u8).map_err(|error| error.to_string()));
        match layout {
            Ok(layout) => self.layout = Some(Arc::new(layout)),
            Err(error) => self.refused = Some(error),
        }
    }

    fn answer(&mut self, conn: usize, arguments: &[u8]) {
        let answer: Value = serde_json::from_slice(arguments).unwrap_or_default();
        let answer = &answer[0];
        if self.kind == Kind::Lakh {
            if answer["ok"] != true {
                self.refused = Some(answer["error"].to_string());
                return;
            }
            if self.layout.is_none() {
                self.learn(&answer["world"]);
            }
            self.name(conn, answer["entity"].to_string());
        } else {
            self.name(conn, answer.to_string());
        }
    }

    fn name(&mut self, conn: usize, name: String) {
        self.entered += usize::from(self.names[conn].is_none());
        self.names[conn] = Some(name);
    }

    /// Colyseus names players before they come in.
    pub(super) fn seat(&mut self, conn: usize, session: String) {
        self.names[conn] = Some(session);
        self.entered += 1;
    }

    fn hear(&mut self, conn: u32, bytes: usize, now_ns: u64) {
        self.messages += 1;
        self.payload_bytes += bytes as u64;
        self.first_ns[conn as usize].get_or_insert(now_ns);
    }

    fn wrong(&mut self, what: &dyn Display) {
        self.unreadable.get_or_insert_with(|| what.to_string());
    }

    /// Where a bot shows another, if it does.
    pub(super) fn shown(&mut self, conn: usize, who: usize, now_ns: u64) -> Option<[f64; 2]> {
        let name = self.names[who].as_ref()?;
        match &mut self.eyes[conn] {
            Eye::Shut => None,
            Eye::Lakh { replica, last } => {
                // Between frames clients move on what moves.
                let passed = (now_ns - last.0) as f64 / 1e9 * self.pace;
                replica.advance(last.1 + (passed * f64::from(self.hz)) as u32);
                let seen = replica.get(EntityId(name.parse().ok()?))?;
                Some([seen.position[0], seen.position[1]])
            }
            Eye::Rooms(places) => places.get(&name.parse().ok()?).copied(),
            Eye::Colyseus(state) => state.place(name.trim_matches('"')),
        }
    }

    fn rooms_event(&mut self, conn: u32, text: &[u8], now_ns: u64) {
        let gone = text.starts_with(&self.gone);
        if !gone && !text.starts_with(&self.moved) {
            return;
        }
        self.hear(conn, text.len(), now_ns);
        let Eye::Rooms(places) = &mut self.eyes[conn as usize] else {
            return;
        };
        let list = &text[self.moved.len() - 1..text.len() - 1];
        let Ok(numbers) = serde_json::from_slice::<Vec<f64>>(list) else {
            return self.wrong(&"an event is no list of numbers");
        };
        if gone {
            for id in numbers {
                places.remove(&(id as u32));
            }
            return;
        }
        for place in numbers.chunks_exact(3) {
            places.insert(place[0] as u32, [place[1], place[2]]);
        }
    }
}

impl Sink for Eyes {
    fn message(&mut self, conn: u32, text: &[u8], now_ns: u64) {
        if let Some(arguments) = self.words.ack(text) {
            return self.answer(conn as usize, arguments);
        }
        match self.kind {
            Kind::Rooms => self.rooms_event(conn, text, now_ns),
            // What announces a frame.
            Kind::Lakh => self.payload_bytes += text.len() as u64,
            Kind::Colyseus => {}
        }
    }

    fn binary(&mut self, conn: u32, bytes: &[u8], now_ns: u64) {
        self.hear(conn, bytes.len(), now_ns);
        match &mut self.eyes[conn as usize] {
            Eye::Lakh { replica, last } => match replica.apply(bytes) {
                Ok(applied) => {
                    *last = (now_ns, applied.tick);
                    self.pace = f64::from(applied.dilation) / 128.0;
                }
                Err(error) => self.wrong(&error),
            },
            Eye::Colyseus(state) => {
                if let Err(error) = state.take(bytes) {
                    self.wrong(&error);
                }
            }
            _ => {}
        }
    }
}
