//! What members are told of changes: each in the way that they asked for, encoded once for all who asked for the same.

use std::hash::BuildHasher;
use std::num::NonZeroU64;
use std::sync::Arc;

use lakh_hub::{Namespace, Operator, Payload};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::entry::{By, Change, Commit, Entry, EntryView, Why};
use super::replica::Replica;
use super::{Follow, States, merge};

/// Values shorter than this are never told as patches.
const MIN_PATCHED: usize = 256;

/// `["event",{…}]`.
pub(super) fn event(name: &str, data: &impl Serialize) -> Payload {
    // Text, numbers and JSON that was read before: this can't fail.
    let data = serde_json::to_string(data).unwrap_or_else(|_| "null".to_owned());
    Payload::from_raw(format!("[\"{name}\",{data}]"), Vec::new())
}

/// A change as clients see it.
#[derive(Serialize)]
pub(super) struct ChangeView<'a> {
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'a By>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<Why>,
}

impl<'a> From<&'a Change> for ChangeView<'a> {
    fn from(change: &'a Change) -> Self {
        let entry = change.entry.as_deref();
        Self {
            key: &change.key,
            value: entry.map(|entry| &*entry.value),
            patch: None,
            deleted: entry.is_none(),
            version: change.version,
            by: change.by.as_deref(),
            owner: entry.and_then(|entry| entry.owner.as_ref().map(|owner| &*owner.id)),
            expires_at: entry.and_then(|entry| entry.expires_at),
            why: change.why,
        }
    }
}

#[derive(Serialize)]
struct Changed<'a> {
    room: &'a str,
    version: u64,
    changes: Vec<ChangeView<'a>>,
}

/// Entries by key.
pub(super) struct Entries<I>(pub std::cell::RefCell<Option<I>>);

impl<'a, I> Serialize for Entries<I>
where
    I: Iterator<Item = (&'a Arc<str>, &'a Arc<Entry>)>,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, entry) in self.0.take().into_iter().flatten() {
            map.serialize_entry(&**key, &EntryView::from(&**entry))?;
        }
        map.end()
    }
}

#[derive(Serialize)]
struct Snapshot<'a, T> {
    room: &'a str,
    version: u64,
    entries: T,
}

/// All of a room's state.
pub(super) fn snapshot(room: &str, replica: &Replica) -> Payload {
    let entries = Entries(std::cell::RefCell::new(Some(replica.entries())));
    let version = replica.version();
    event(
        "state:snapshot",
        &Snapshot {
            room,
            version,
            entries,
        },
    )
}

/// All of it, for everybody here who follows the room: something was missed.
pub(super) fn anew(
    states: &States,
    namespace: &Namespace,
    room: &str,
    replica: &Replica,
) -> Vec<(Operator, Payload)> {
    let followed = Follow::STATE.map(|follow| follow.hub_room(room));
    let followed = followed.into_iter().filter(|room| states.members(room) > 0);
    let to = followed.fold(None, |to: Option<Operator>, room| {
        Some(match to {
            Some(to) => to.to(room),
            None => namespace.to(room),
        })
    });
    let told = to.map(|to| (to.unlogged(), snapshot(room, replica)));
    told.into_iter().collect()
}

/// What is told of a commit; `before` is what stood under the keys before each of its changes.
pub(super) fn changed(
    states: &States,
    namespace: &Namespace,
    room: &str,
    commit: &Commit,
    before: &[Option<Arc<Entry>>],
) -> Vec<(Operator, Payload)> {
    let mut told = Vec::new();
    let version = commit.last();
    let percent = states.options(room).patch_percent;
    for follow in [Follow::Changes, Follow::Patches] {
        let hub_room = follow.hub_room(room);
        if states.members(&hub_room) == 0 {
            continue;
        }
        let changes = commit.changes.iter().zip(before);
        let changes = changes.map(|(change, old)| match follow {
            Follow::Patches => patched(change, old.as_deref(), percent),
            _ => change.into(),
        });
        let changed = Changed {
            room,
            version,
            changes: changes.collect(),
        };
        let to = namespace.to(hub_room).unlogged();
        told.push((to, event("state:changed", &changed)));
    }
    let hub_room = Follow::Newest.hub_room(room);
    if states.members(&hub_room) > 0 {
        for change in &commit.changes {
            let key = states.0.hasher.hash_one((room, &*change.key));
            let changed = Changed {
                room,
                version: change.version,
                changes: vec![change.into()],
            };
            let to = namespace.to(lakh_hub::Room::clone(&hub_room));
            let to = to.conflate(NonZeroU64::new(key).unwrap_or(NonZeroU64::MIN));
            told.push((to, event("state:changed", &changed)));
        }
    }
    told
}

/// A change with a patch in place of the value, where that is so much shorter.
fn patched<'a>(change: &'a Change, old: Option<&Entry>, percent: u32) -> ChangeView<'a> {
    let mut view = ChangeView::from(change);
    if let (Some(old), Some(new)) = (old, view.value)
        && let Some(patch) = patch(&old.value, new, percent)
    {
        view.value = None;
        view.patch = Some(patch);
    }
    view
}

fn patch(old: &RawValue, new: &RawValue, percent: u32) -> Option<Box<RawValue>> {
    let whole = new.get().len();
    if whole < MIN_PATCHED {
        return None;
    }
    let read = |text: &RawValue| serde_json::from_str::<Value>(text.get()).ok();
    let patch = merge::diff(&read(old)?, &read(new)?)?;
    let patch = serde_json::value::to_raw_value(&patch).ok()?;
    let fits = patch.get().len() as u64 * 100 <= whole as u64 * u64::from(percent);
    fits.then_some(patch)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn raw(value: &Value) -> Box<RawValue> {
        serde_json::value::to_raw_value(value).expect("JSON")
    }

    #[test]
    fn only_large_values_that_change_little_are_told_as_patches() {
        let long = "x".repeat(400);
        let (old, new) = (json!({"a": long, "n": 1}), json!({"a": long, "n": 2}));
        let found = patch(&raw(&old), &raw(&new), 50);
        assert_eq!(
            found.map(|patch| patch.get().to_owned()).as_deref(),
            Some(r#"{"n":2}"#)
        );
        assert!(patch(&raw(&json!({"n": 1})), &raw(&json!({"n": 2})), 50).is_none());
        assert!(
            patch(&raw(&json!({"n": 1})), &raw(&new), 50).is_none(),
            "nearly all is new"
        );
        assert!(patch(&raw(&old), &raw(&new), 1).is_none(), "by the ratio");
        assert!(patch(&raw(&old), &raw(&json!({"a": long, "n": null})), 50).is_none());
    }
}
