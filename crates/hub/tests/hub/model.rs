//! Random operations against a plain model: sets of names, and nothing clever.

use std::collections::{BTreeMap, BTreeSet};

use lakh_hub::{HubLimits, Settings, Socket};
use serde_json::json;

use crate::support::{Client, World, run_with};

/// Small numbers that look random and are the same in each run (xorshift, Marsaglia 2003).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % n as u64).unwrap()
    }

    fn some<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

struct Model {
    clients: Vec<Client>,
    ids: Vec<String>,
    /// The rooms of each socket that is connected, its own among them.
    rooms: BTreeMap<usize, BTreeSet<String>>,
}

impl Model {
    fn chosen(&self, to: &[String], except: &[String]) -> Vec<usize> {
        let is_in =
            |rooms: &BTreeSet<String>, any: &[String]| any.iter().any(|room| rooms.contains(room));
        let all = self.rooms.iter();
        all.filter(|(_, rooms)| (to.is_empty() || is_in(rooms, to)) && !is_in(rooms, except))
            .map(|(client, _)| *client)
            .collect()
    }
}

const ROOMS: [&str; 5] = ["a", "b", "c", "d", "e"];
const MAX_ROOMS: usize = 4;

/// A room's name or a socket's id, of one that is there or of one that is gone.
fn name(dice: &mut Dice, model: &Model) -> String {
    match dice.below(4) {
        0 if !model.ids.is_empty() => dice.some(&model.ids).clone(),
        _ => (*dice.some(&ROOMS)).to_owned(),
    }
}

fn names(dice: &mut Dice, model: &Model, most: usize) -> Vec<String> {
    (0..dice.below(most + 1))
        .map(|_| name(dice, model))
        .collect()
}

fn connect(world: &World, model: &mut Model) {
    let client = world.client();
    let id = client.connect("/");
    model
        .rooms
        .insert(model.clients.len(), BTreeSet::from([id.clone()]));
    model.clients.push(client);
    model.ids.push(id);
}

fn join(model: &mut Model, client: usize, room: &str) {
    let own = model.ids[client].clone();
    let Some(rooms) = model.rooms.get_mut(&client) else {
        return;
    };
    let others = rooms.iter().filter(|name| **name != own).count();
    if room == own || others < MAX_ROOMS {
        rooms.insert(room.to_owned());
    }
}

fn operator(ns: &lakh_hub::Namespace, to: &[String], except: &[String]) -> lakh_hub::Operator {
    let operator = to.iter().fold(ns.local(), |op, room| op.to(&**room));
    except.iter().fold(operator, |op, room| op.except(&**room))
}

async fn step(world: &World, ns: &lakh_hub::Namespace, dice: &mut Dice, model: &mut Model) {
    let client = if model.clients.is_empty() {
        0
    } else {
        dice.below(model.clients.len())
    };
    let (to, except) = (names(dice, model, 3), names(dice, model, 2));
    let room = name(dice, model);
    match dice.below(14) {
        0 | 1 => connect(world, model),
        2..=4 if model.rooms.contains_key(&client) => {
            model.clients[client].send(&format!("42{}", json!(["join", room])));
            join(model, client, &room);
        }
        5 | 6 if model.rooms.contains_key(&client) => {
            model.clients[client].send(&format!("42{}", json!(["leave", room])));
            model.rooms.get_mut(&client).unwrap().remove(&room);
        }
        7 => {
            model.clients[client.min(model.clients.len().saturating_sub(1))].cut();
            model.rooms.remove(&client);
        }
        8 => {
            operator(ns, &to, &except).sockets_join([room.clone()]);
            for client in model.chosen(&to, &except) {
                join(model, client, &room);
            }
        }
        9 => {
            operator(ns, &to, &except).sockets_leave([room.clone()]);
            for client in model.chosen(&to, &except) {
                model.rooms.get_mut(&client).unwrap().remove(&room);
            }
        }
        10 if dice.below(6) == 0 && !to.is_empty() => {
            operator(ns, &to, &except).disconnect_sockets(dice.below(2) == 0);
            for client in model.chosen(&to, &except) {
                model.rooms.remove(&client);
            }
        }
        11 => {
            let fetched = operator(ns, &to, &except).fetch_sockets().await;
            let mut found: Vec<(String, BTreeSet<String>)> = fetched
                .into_iter()
                .map(|s| (s.id, s.rooms.iter().map(|room| room.to_string()).collect()))
                .collect();
            found.sort();
            let chosen = model.chosen(&to, &except).into_iter();
            let mut expected: Vec<_> = chosen
                .map(|client| (model.ids[client].clone(), model.rooms[&client].clone()))
                .collect();
            expected.sort();
            assert_eq!(found, expected, "to {to:?} except {except:?}");
        }
        _ => {
            operator(ns, &to, &except).emit("e", &1).unwrap();
            let expected = model.chosen(&to, &except);
            for (index, client) in model.clients.iter().enumerate() {
                let got = client.names().len();
                assert_eq!(
                    got,
                    usize::from(expected.contains(&index)),
                    "to {to:?} except {except:?}"
                );
            }
        }
    }
}

fn check(world: &World, ns: &lakh_hub::Namespace, model: &Model) {
    assert_eq!(ns.socket_count(), model.rooms.len());
    let named: BTreeSet<&String> = model
        .rooms
        .iter()
        .flat_map(|(client, rooms)| rooms.iter().filter(|room| **room != model.ids[*client]))
        .collect();
    assert_eq!(ns.room_count(), named.len(), "{named:?}");
    assert_eq!(world.hub().stats().sockets, model.rooms.len() as u64);
}

fn random_run(seed: u64) {
    let settings = Settings {
        hub_limits: HubLimits {
            max_rooms: MAX_ROOMS,
            ..HubLimits::default()
        },
        ..Settings::default()
    };
    run_with(settings, async |world| {
        let ns = world.of("/");
        ns.on("join", async |socket: Socket, room: String| {
            socket.join(room);
        });
        ns.on("leave", async |socket: Socket, room: String| {
            socket.leave(room)
        });
        let mut dice = Dice(seed);
        let mut model = Model {
            clients: Vec::new(),
            ids: Vec::new(),
            rooms: BTreeMap::new(),
        };
        for _ in 0..5 {
            connect(&world, &mut model);
        }
        for _ in 0..600 {
            step(&world, &ns, &mut dice, &mut model).await;
            check(&world, &ns, &model);
            for client in &model.clients {
                client.frames();
            }
        }
        for client in &model.clients {
            client.cut();
        }
        world.settle().await;
        let stats = world.hub().stats();
        assert_eq!((stats.sockets, stats.sessions, stats.websocket), (0, 0, 0));
        assert_eq!((ns.socket_count(), ns.room_count()), (0, 0));
        assert!(ns.fetch_sockets().await.is_empty());
        assert!(world.shard().sessions().is_empty());
    });
}

#[test]
fn random_joins_leaves_broadcasts_and_ends_agree_with_a_plain_model() {
    for seed in 1..=12 {
        // The seed is what a failure needs to be seen again.
        println!("seed {seed}");
        random_run(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
    }
}
