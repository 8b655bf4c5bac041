//! The table of permissions over real requests: each role, each act, each kind of room, allowed or answered with the right
//! code. What is expected stands here in letters, apart from the code that decides.

#[path = "../../rooms/tests/driver/mod.rs"]
mod driver;
mod room;

use std::rc::Rc;

use driver::{Client, Loop, run};
use lakh_chat::{Asker, Chat, Config, Kind, Permissions, Right, Role, Roles};
use lakh_hub::store::{RedisOptions, SqliteOptions, Store};
use lakh_testkit::redis::Redis;
use room::{start_on, unhurried};
use serde_json::{Value, json};

/// Requests (behind a space, how they are made), and the least role that may make them in public, private, direct rooms and those of things: `g`uest, `m`ember,
/// moderator (`k`), `o`wner, or nobody (`-`).
const TABLE: &[(&str, &str)] = &[
    ("room:get", "gmmg"),
    ("room:watch", "gmmg"),
    ("message:history", "gmmg"),
    ("member:list", "gmmg"),
    ("presence:list", "gmmg"),
    ("message:send", "mmmg"),
    ("message:send in a thread", "mmmg"),
    ("message:send to all", "kkmk"),
    ("reaction:add", "mmmg"),
    ("live:react", "mmmg"),
    ("message:edit of another", "----"),
    ("message:delete of another", "kk-k"),
    ("message:purge", "kk-k"),
    ("message:pin", "kkmk"),
    ("member:invite", "mk-k"),
    ("member:kick", "kk-k"),
    ("member:ban", "kk-k"),
    ("member:unban", "kk-k"),
    ("ban:list", "kk-k"),
    ("member:mute", "kk-k"),
    ("room:set", "kkmk"),
    ("member:add", "oo-o"),
    ("member:role", "oo-o"),
    ("room:archive", "oo-o"),
    ("room:delete", "oo-o"),
];

/// The same for joining, which who is in has behind them: guests alone are asked about.
const JOIN: &str = "g--g";

fn least(letter: char) -> Option<Role> {
    match letter {
        'g' => Some(Role::Guest),
        'm' => Some(Role::Member),
        'k' => Some(Role::Moderator),
        'o' => Some(Role::Owner),
        _ => None,
    }
}

struct House {
    on: Rc<Loop>,
    chat: Chat,
    system: Asker,
    rooms: std::cell::Cell<u32>,
}

impl House {
    async fn system(&self, name: &str, request: Value) -> Value {
        let answer = self
            .chat
            .call(&self.system, name, &request.to_string())
            .await;
        let answer = answer.unwrap_or_else(|failure| panic!("{name} {request}: {failure:?}"));
        serde_json::from_str(answer.get()).expect("JSON")
    }

    /// A room of this kind with a message in it, where somebody has this role, and a victim who has less than anybody.
    async fn room(&self, kind: Kind, role: Role) -> String {
        let number = self.rooms.replace(self.rooms.get() + 1);
        let room = match kind {
            Kind::Direct => {
                // Whoever asks is one of them, or isn't.
                let first = if role == Role::Guest {
                    "x"
                } else {
                    "dev:asker"
                };
                let people = json!({"people": [first, "dev:victim", format!("n{number}")]});
                let made = self.system("room:direct", people).await;
                made["room"]["id"].as_str().expect("an id").to_owned()
            }
            kind => {
                let id = match kind {
                    Kind::Thing => format!("post:{number}"),
                    _ => format!("r{number}"),
                };
                let made = json!({"kind": kind, "id": id});
                self.system("room:create", made).await;
                // Of a public room and of a thing guests may be acted on, too.
                let add = json!({"room": id, "people": ["dev:victim", "dev:other"]});
                self.system("member:add", add).await;
                if role > Role::Guest {
                    let add = json!({"room": id, "people": ["dev:asker"], "role": role});
                    self.system("member:add", add).await;
                }
                id
            }
        };
        if role > Role::Member && kind == Kind::Direct {
            let give = json!({"room": room, "person": "dev:asker", "role": role});
            self.system("member:role", give).await;
        }
        let said = json!({"room": room, "key": "first", "text": "hi"});
        self.system("message:send", said).await;
        room
    }
}

fn request(name: &str, room: &str) -> Value {
    let mut request = json!({"room": room});
    let fields = match name {
        "message:send" => json!({"key": "k", "text": "x"}),
        "message:send in a thread" => json!({"key": "k", "text": "x", "thread": 1}),
        "message:send to all" => json!({"key": "k", "text": "x", "mentions": ["*"]}),
        "reaction:add" => json!({"seq": 1, "emoji": "👍"}),
        "live:react" => json!({"emoji": "👍"}),
        "message:edit of another" => json!({"seq": 1, "text": "mine"}),
        "message:delete of another" | "message:purge" => json!({"seq": 1}),
        "message:pin" => json!({"seq": 1, "pinned": true}),
        "member:invite" | "member:add" => json!({"people": ["dev:new"]}),
        "member:kick" | "member:ban" | "member:unban" => json!({"person": "dev:victim"}),
        "member:mute" => json!({"person": "dev:victim", "seconds": 10}),
        "member:role" => json!({"person": "dev:victim", "role": "moderator"}),
        "room:set" => json!({"topic": "another"}),
        "room:archive" => json!({"archived": true}),
        _ => json!({}),
    };
    for (name, value) in fields.as_object().expect("an object") {
        request[name] = value.clone();
    }
    request
}

/// What is answered: `None` is that it's done.
fn expected(
    permissions: &Permissions,
    kind: Kind,
    role: Role,
    name: &str,
    letter: char,
) -> Option<&'static str> {
    let least = least(letter);
    if least.is_some_and(|least| role >= least) {
        return None;
    }
    // A room that one may not read isn't there.
    let is_hidden = role == Role::Guest && !permissions.allow(kind, role, Right::Read);
    if is_hidden {
        return Some("not_found");
    }
    // Who may not even speak is told that first.
    let may_send = |role| permissions.allow(kind, role, Right::Send);
    if name == "message:send to all" && !may_send(role) && may_send(Role::Member) {
        return Some("not_member");
    }
    match least {
        Some(Role::Member) => Some("not_member"),
        _ => Some("forbidden"),
    }
}

async fn code(client: &Client, name: &str, request: Value) -> Option<String> {
    let answer = client.request(name, request).await;
    match answer["ok"] == true {
        true => None,
        false => Some(answer["error"]["code"].as_str().expect("a code").to_owned()),
    }
}

async fn each_role_each_act_each_kind(
    store: Store,
    config: Config,
    table: &[(&str, &str)],
    join: &str,
) {
    let permissions = config.permissions.clone();
    let (on, _, chat) = start_on(store.clone(), config);
    let house = House {
        on,
        chat,
        system: Asker::system(),
        rooms: std::cell::Cell::new(0),
    };
    let asker = house.on.connect("/chat", "Asker").await;
    house.on.connect("/chat", "Victim").await;
    let mut asked = 0;
    for (kind, at) in Kind::ALL.iter().zip(0..) {
        for role in Role::ALL {
            for (name, letters) in table {
                let letter = letters.chars().nth(at).expect("a letter a kind");
                let room = house.room(*kind, *role).await;
                let event = name.split(' ').next().expect("a word");
                let got = code(&asker, event, request(name, &room)).await;
                let wanted = expected(&permissions, *kind, *role, name, letter);
                assert_eq!(got.as_deref(), wanted, "{name} by {role:?} in {kind:?}");
                // So that no socket is in too many rooms.
                asker.ok("room:unwatch", json!({"room": room})).await;
                asked += 1;
            }
        }
        let room = house.room(*kind, Role::Guest).await;
        let got = code(&asker, "room:join", json!({"room": room})).await;
        let wanted = match join.chars().nth(at) {
            Some('g') => None,
            _ => Some("not_found"),
        };
        assert_eq!(got.as_deref(), wanted, "room:join in {kind:?}");
    }
    assert_eq!(asked, Kind::ALL.len() * Role::ALL.len() * table.len());
    store.close().await.expect("closes");
}

#[test]
fn the_table_holds_in_memory_and_on_a_file() {
    run(each_role_each_act_each_kind(
        Store::memory(),
        unhurried(),
        TABLE,
        JOIN,
    ));
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::sqlite(folder.path().join("lakh.db"), &SqliteOptions::default());
    run(each_role_each_act_each_kind(
        store.expect("opens"),
        unhurried(),
        TABLE,
        JOIN,
    ));
}

#[test]
fn the_table_holds_on_redis() {
    let redis = Redis::start(&[]).expect("a redis-server");
    let store = Store::redis(&redis.url(), &RedisOptions::default());
    run(each_role_each_act_each_kind(
        store.expect("a store"),
        unhurried(),
        TABLE,
        JOIN,
    ));
}

#[test]
fn another_table_holds_as_it_is_configured() {
    let mut permissions = Permissions::default();
    permissions.set(None, Right::Kick, Roles::from(Role::Owner));
    permissions.set(Some(Kind::Thing), Right::Send, Roles::from(Role::Owner));
    permissions.set(Some(Kind::Public), Right::ChangeRoom, Roles::NONE);
    permissions.set(Some(Kind::Direct), Right::Invite, Roles::from(Role::Member));
    permissions.set(Some(Kind::Public), Right::Join, Roles::NONE);
    let table: Vec<_> = TABLE
        .iter()
        .map(|(name, letters)| match *name {
            "member:kick" => (*name, "oooo"),
            "message:send" => (*name, "mmmo"),
            // Who may not speak at all doesn't speak to all.
            "message:send to all" => (*name, "kkmo"),
            "room:set" => (*name, "-kmk"),
            "member:invite" => (*name, "mkmk"),
            _ => (*name, *letters),
        })
        .collect();
    let config = Config {
        permissions,
        ..unhurried()
    };
    run(each_role_each_act_each_kind(
        Store::memory(),
        config,
        &table,
        "---g",
    ));
}
