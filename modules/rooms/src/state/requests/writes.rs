//! The writes: each is a list of edits that are made together or not at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use lakh_hub::{Failure, Namespace, Person, Socket, Wish};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::on;
use crate::state::entry::{Bind, By, Entry, EntryView, Owner};
use crate::state::replica::{Bounds, Draft, Put};
use crate::state::{Refusal, SpaceKey, States, merge};

/// Edits of one `state:update`.
const MAX_EDITS: usize = 100;
/// Longest time until an entry expires: a year.
const MAX_TTL_MS: u64 = 366 * 86_400_000;

/// A write of one entry: what the requests for one take, and, without `room`, what stands in the list of `state:update`.
#[derive(Deserialize)]
struct Asked {
    room: Option<String>,
    key: String,
    #[serde(default, deserialize_with = "there")]
    value: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "there")]
    patch: Option<Value>,
    #[serde(default)]
    delete: bool,
    if_version: Option<u64>,
    ttl_ms: Option<u64>,
    bind: Option<Bind>,
}

#[derive(Deserialize)]
struct Update {
    room: String,
    changes: Vec<Asked>,
}

/// A value that is null is a value.
fn there<'de, T: Deserialize<'de>, D: Deserializer<'de>>(value: D) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

/// What is to be done with one key.
#[derive(Clone)]
enum Act {
    Set(Box<RawValue>),
    Merge(Value),
    Remove,
}

#[derive(Clone)]
struct Edit {
    key: Arc<str>,
    act: Act,
    if_version: Option<u64>,
    ttl_ms: Option<u64>,
    bind: Option<Bind>,
}

#[derive(Serialize)]
struct Put1 {
    version: u64,
}

#[derive(Serialize)]
struct Deleted {
    version: u64,
    existed: bool,
}

#[derive(Serialize)]
struct Updated {
    version: u64,
    /// The number of each change, by key.
    versions: BTreeMap<Arc<str>, u64>,
}

/// Marks the allowance of writes.
struct Writes;

/// A field that a request can't do without is missing, as serde has it.
fn missing(field: &str) -> Failure {
    Failure::bad_request(format!("missing field `{field}`"))
}

impl Asked {
    fn edit(self, act: Act) -> Edit {
        Edit {
            key: self.key.into(),
            act,
            if_version: self.if_version,
            ttl_ms: self.ttl_ms,
            bind: self.bind,
        }
    }

    fn set(mut self) -> Result<Edit, Failure> {
        let value = self.value.take().ok_or_else(|| missing("value"))?;
        Ok(self.edit(Act::Set(value)))
    }

    fn patch(mut self) -> Result<Edit, Failure> {
        let patch = self.patch.take().ok_or_else(|| missing("patch"))?;
        self.bind = None;
        Ok(self.edit(Act::Merge(patch)))
    }

    fn delete(mut self) -> Result<Edit, Failure> {
        (self.ttl_ms, self.bind) = (None, None);
        Ok(self.edit(Act::Remove))
    }

    /// One of the changes of `state:update`.
    fn either(self) -> Result<Edit, Failure> {
        match (self.value.is_some(), self.delete) {
            (true, false) => self.set(),
            (false, true) => self.delete(),
            _ => Err(Failure::bad_request(
                "each change has `value` or `delete: true`",
            )),
        }
    }
}

pub(super) fn install(namespace: &Namespace, states: &States) {
    let put = |done: Updated| Put1 {
        version: done.version,
    };
    single(namespace, states, "state:set", Asked::set, put);
    single(namespace, states, "state:patch", Asked::patch, put);
    let removed = |done: Updated| Deleted {
        version: done.version,
        existed: !done.versions.is_empty(),
    };
    single(namespace, states, "state:delete", Asked::delete, removed);
    on(
        namespace,
        "state:update",
        states,
        async |states, socket, update: Update| {
            let edits = edits(update.changes)?;
            states
                .edit(&socket, &update.room, "state:update", edits)
                .await
        },
    );
}

/// A request that writes one entry.
fn single<R: Serialize + 'static>(
    namespace: &Namespace,
    states: &States,
    name: &'static str,
    edit: fn(Asked) -> Result<Edit, Failure>,
    told: impl Fn(Updated) -> R + Send + Sync + 'static,
) {
    on(
        namespace,
        name,
        states,
        async move |states, socket, mut asked: Asked| {
            let room = asked.room.take().ok_or_else(|| missing("room"))?;
            let edits = vec![edit(asked)?];
            let done = states.edit(&socket, &room, name, edits).await?;
            Ok(told(done))
        },
    );
}

fn edits(changes: Vec<Asked>) -> Result<Vec<Edit>, Failure> {
    if changes.is_empty() || changes.len() > MAX_EDITS {
        return Err(Failure::bad_request(format!(
            "`changes` has 1 to {MAX_EDITS} entries"
        )));
    }
    let mut edits: Vec<Edit> = Vec::with_capacity(changes.len());
    for one in changes {
        let edit = one.either()?;
        if edits.iter().any(|other| other.key == edit.key) {
            let message = format!("`{}` is changed twice", edit.key);
            return Err(Failure::bad_request(message));
        }
        edits.push(edit);
    }
    Ok(edits)
}

/// What edits need to know of who makes them, and what they may do.
struct Editor {
    edits: Vec<Edit>,
    by: Arc<By>,
    owners: [Option<Owner>; 2],
    bounds: Bounds,
    max_value: usize,
}

impl States {
    async fn edit(
        &self,
        socket: &Socket,
        room: &str,
        event: &str,
        mut edits: Vec<Edit>,
    ) -> Result<Updated, Refusal> {
        let options = self.options(room);
        self.check_member(socket, room)?;
        self.may(socket, room, "state.write")?;
        socket.pace::<Writes>(options.writes_per_second)?;
        let person = socket.get::<Person>();
        for edit in &edits {
            self.check_key(room, person.as_deref(), &edit.key)?;
            if edit.ttl_ms.is_some_and(|ttl| ttl == 0 || ttl > MAX_TTL_MS) {
                let message = format!("ttl_ms is 1 to {MAX_TTL_MS}");
                return Err(Failure::bad_request(message).into());
            }
        }
        if edits.iter().any(|edit| edit.bind == Some(Bind::Person)) && person.is_none() {
            let message = "only who is signed in can bind an entry to their person";
            return Err(Failure::new("forbidden", message).into());
        }
        let mut passes = Vec::with_capacity(edits.len());
        for edit in &mut edits {
            passes.push(ask(socket, room, event, edit).await?);
        }
        if edits.iter().any(|edit| edit.bind.is_some()) {
            self.bind(socket, room).await?;
        }
        let owner = |id: &str, bind| Owner {
            id: id.into(),
            bind,
            node: Arc::clone(self.node()),
        };
        let editor = Editor {
            edits,
            by: Arc::new(By::of(socket)),
            owners: [
                Some(owner(socket.id(), Bind::Socket)),
                person.map(|person| owner(&person.id, Bind::Person)),
            ],
            bounds: Bounds {
                max_keys: options.max_keys,
                max_bytes: options.max_room_bytes,
            },
            max_value: options.max_value_bytes,
        };
        let run = move |draft: &mut Draft<'_>| editor.run(draft);
        let written = self
            .write(&socket.namespace(), &SpaceKey::state(room), run)
            .await;
        drop(passes);
        written
    }
}

/// Asks whoever wants to be asked about what is published.
async fn ask(
    socket: &Socket,
    room: &str,
    event: &str,
    edit: &mut Edit,
) -> Result<lakh_hub::Passed, Failure> {
    let merge = match &edit.act {
        Act::Merge(patch) => patch.to_string(),
        _ => String::new(),
    };
    let data = match &edit.act {
        Act::Set(value) => value.get(),
        Act::Merge(_) => &merge,
        Act::Remove => "null",
    };
    let mut passed = socket.pass(Wish::Publish { room, event, data }).await?;
    if let Some(changed) = passed.changed.take() {
        edit.act = match &edit.act {
            Act::Merge(_) => Act::Merge(
                serde_json::from_str(changed.get()).map_err(|error| Failure::misread(&error))?,
            ),
            Act::Set(_) => Act::Set(changed),
            Act::Remove => Act::Remove,
        };
    }
    Ok(passed)
}

impl Editor {
    fn run(&self, draft: &mut Draft<'_>) -> Result<Updated, Refusal> {
        let mut puts = Vec::with_capacity(self.edits.len());
        for edit in &self.edits {
            puts.push(self.put(draft, edit)?);
        }
        draft
            .fits(&puts, self.bounds)
            .map_err(|message| Failure::new("too_large", message))?;
        let mut versions = BTreeMap::new();
        for put in puts {
            let key = Arc::clone(&put.key);
            if let Some(version) = draft.put(put, Some(&self.by), None) {
                versions.insert(key, version);
            }
        }
        Ok(Updated {
            version: draft.next_version() - 1,
            versions,
        })
    }

    fn put(&self, draft: &Draft<'_>, edit: &Edit) -> Result<Put, Refusal> {
        let old = draft.get(&edit.key).map(|old| &**old);
        if let Some(wanted) = edit.if_version
            && wanted != old.map_or(0, |old| old.version)
        {
            let key = &edit.key;
            let message = match old {
                Some(old) => format!("`{key}` is at version {}", old.version),
                None => format!("`{key}` is not there"),
            };
            return Err(Refusal::conflict(message, &old.map(EntryView::from)));
        }
        let value = match &edit.act {
            Act::Remove => None,
            Act::Set(value) => Some(value.clone()),
            Act::Merge(patch) => Some(merged(old, patch)?),
        };
        if let Some(value) = &value
            && value.get().len() > self.max_value
        {
            let (got, most) = (value.get().len(), self.max_value);
            let message = format!("the value has {got} bytes; {most} are allowed");
            return Err(Failure::new("too_large", message).into());
        }
        // A patch changes the value, and leaves the rest as it is.
        let kept = old.filter(|_| matches!(edit.act, Act::Merge(_)));
        let expires_at = match edit.ttl_ms {
            Some(ttl) => Some(draft.now_ms() + ttl),
            None => kept.and_then(|kept| kept.expires_at),
        };
        let owner = match edit.bind {
            Some(Bind::Socket) => self.owners[0].clone(),
            Some(Bind::Person) => self.owners[1].clone(),
            None => kept.and_then(|kept| kept.owner.clone()),
        };
        let entry = value.map(|value| Entry {
            value,
            version: 0,
            expires_at,
            owner,
        });
        Ok(Put {
            key: Arc::clone(&edit.key),
            entry,
        })
    }
}

fn merged(old: Option<&Entry>, patch: &Value) -> Result<Box<RawValue>, Refusal> {
    let internal = |error: serde_json::Error| Failure::new("internal", error.to_string());
    let mut value = match old {
        Some(old) => serde_json::from_str(old.value.get()).map_err(internal)?,
        None => Value::Null,
    };
    merge::apply(&mut value, patch.clone());
    Ok(serde_json::value::to_raw_value(&value).map_err(internal)?)
}
