//! The requests of spaces, and what they take and give.

use std::sync::Arc;

use lakh_hub::{Failure, Socket};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use serde_json::value::RawValue;

use super::cursors::{At, Moves};
use super::{Spaces, check_name, hub_room};
use crate::Worlds;
use crate::asker::Asker;

/// Changes of profile and location, and of locks, that one socket may send a second.
const CHANGES_PER_SECOND: u32 = 30;
/// Longest time of a lock, in seconds.
const MAX_LOCK_S: u64 = 86_400;

/// A request that names a space and nothing else.
#[derive(Deserialize)]
pub(crate) struct InSpace {
    space: String,
}

#[derive(Deserialize)]
pub(crate) struct Enter {
    space: String,
    profile: Option<Json>,
    /// What an earlier answer gave: the member of then is taken up again.
    resume: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct Entered {
    space: String,
    session: Arc<str>,
    resume: String,
    resumed: bool,
    #[serde(flatten)]
    there: There,
}

/// All that there is in a space.
#[derive(Serialize)]
pub(crate) struct There {
    members: Vec<Json>,
    locations: Vec<Located>,
    locks: Vec<Json>,
}

#[derive(Serialize)]
pub(crate) struct Located {
    session: Json,
    location: Json,
}

#[derive(Deserialize)]
pub(crate) struct SetProfile {
    space: String,
    profile: Json,
}

#[derive(Deserialize)]
pub(crate) struct SetLocation {
    space: String,
    #[serde(default)]
    location: Json,
}

#[derive(Deserialize)]
pub(crate) struct Cursor {
    space: String,
    x: f64,
    y: f64,
    data: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
pub(crate) struct TakeLock {
    space: String,
    component: String,
    for_s: Option<u64>,
    data: Option<Json>,
}

#[derive(Deserialize)]
pub(crate) struct FreeLock {
    space: String,
    component: String,
    /// Whoever holds it; needs the right to moderate.
    #[serde(default, deserialize_with = "lakh_hub::or_default")]
    force: bool,
}

#[derive(Serialize)]
pub(crate) struct Locked {
    lock: Json,
}

#[derive(Serialize)]
pub(crate) struct Unlocked {
    unlocked: bool,
}

#[derive(Serialize)]
pub(crate) struct Locks {
    locks: Vec<Json>,
}

#[derive(Serialize)]
pub(crate) struct Nothing {}

/// Marks the allowance of changes.
struct Changes;

impl Spaces {
    fn check_data(&self, what: &str, data: Option<&Json>) -> Result<(), Failure> {
        let bytes = data.map_or(0, |data| data.to_string().len());
        let most = self.0.config.max_data_bytes;
        (bytes <= most).then_some(()).ok_or_else(|| {
            Failure::new(
                "too_large",
                format!("{what} has {bytes} bytes; {most} are allowed"),
            )
        })
    }

    async fn there(&self, space: &str) -> Result<There, Failure> {
        let locks = self.all_locks(space).await?;
        let members = self.members(space);
        let locations = members
            .iter()
            .filter(|member| !member["location"].is_null());
        let locations = locations.map(|member| Located {
            session: member["session"].clone(),
            location: member["location"].clone(),
        });
        Ok(There {
            locations: locations.collect(),
            members,
            locks,
        })
    }
}

/// The socket that asks, whose space it is, and whether it may.
fn asked<'a>(
    worlds: &'a Worlds,
    asker: &'a Asker,
    act: &'static str,
    space: &str,
) -> Result<(&'a Spaces, &'a Socket), Failure> {
    let socket = asker.need_socket()?;
    check_name("the name of a space", space)?;
    asker.allow(act, space)?;
    Ok((&worlds.0.spaces, socket))
}

/// `space:enter`
pub(crate) async fn enter(
    worlds: &Worlds,
    asker: &Asker,
    request: Enter,
) -> Result<Entered, Failure> {
    let space = request.space;
    let (spaces, socket) = asked(worlds, asker, "space", &space)?;
    spaces.check_data("the profile", request.profile.as_ref())?;
    socket.pace::<Changes>(CHANGES_PER_SECOND)?;
    let resume = request.resume.as_deref();
    let entered = spaces
        .come_in(socket, &space, request.profile, resume)
        .await?;
    let there = spaces.there(&space).await?;
    Ok(Entered {
        space,
        session: entered.session,
        resume: entered.resume,
        resumed: entered.resumed,
        there,
    })
}

/// `space:leave`
pub(crate) async fn leave(_: &Worlds, asker: &Asker, request: InSpace) -> Result<Nothing, Failure> {
    let socket = asker.need_socket()?;
    check_name("the name of a space", &request.space)?;
    socket.leave(hub_room(&request.space));
    Ok(Nothing {})
}

/// `space:get`: for who has not come in, such as a backend.
pub(crate) async fn get(
    worlds: &Worlds,
    asker: &Asker,
    request: InSpace,
) -> Result<There, Failure> {
    check_name("the name of a space", &request.space)?;
    asker.allow("space", &request.space)?;
    let spaces = &worlds.0.spaces;
    spaces.0.whereabouts.ready().await;
    spaces.there(&request.space).await
}

/// `space:profile`
pub(crate) async fn profile(
    worlds: &Worlds,
    asker: &Asker,
    request: SetProfile,
) -> Result<Nothing, Failure> {
    let (spaces, socket) = asked(worlds, asker, "space", &request.space)?;
    spaces.check_data("the profile", Some(&request.profile))?;
    socket.pace::<Changes>(CHANGES_PER_SECOND)?;
    spaces.change_member(socket, &request.space, |profile, _| {
        *profile = request.profile
    })?;
    Ok(Nothing {})
}

/// `space:location`
pub(crate) async fn location(
    worlds: &Worlds,
    asker: &Asker,
    request: SetLocation,
) -> Result<Nothing, Failure> {
    let (spaces, socket) = asked(worlds, asker, "space", &request.space)?;
    spaces.check_data("the location", Some(&request.location))?;
    socket.pace::<Changes>(CHANGES_PER_SECOND)?;
    spaces.change_member(socket, &request.space, |_, location| {
        *location = request.location
    })?;
    Ok(Nothing {})
}

/// `space:cursor`
pub(crate) async fn cursor(
    worlds: &Worlds,
    asker: &Asker,
    request: Cursor,
) -> Result<Nothing, Failure> {
    let Cursor { space, x, y, data } = request;
    let (spaces, socket) = asked(worlds, asker, "space", &space)?;
    let config = &spaces.0.config;
    if data
        .as_ref()
        .is_some_and(|data| data.get().len() > config.max_data_bytes)
    {
        let most = config.max_data_bytes;
        return Err(Failure::new(
            "too_large",
            format!("data has at most {most} bytes"),
        ));
    }
    socket.pace::<Moves>(config.cursor_moves_per_second)?;
    spaces.point(socket, &space, At { x, y, data })?;
    Ok(Nothing {})
}

/// `space:lock`
pub(crate) async fn lock(
    worlds: &Worlds,
    asker: &Asker,
    request: TakeLock,
) -> Result<Locked, Failure> {
    let TakeLock {
        space,
        component,
        for_s,
        data,
    } = request;
    let (spaces, socket) = asked(worlds, asker, "lock", &space)?;
    check_name("the name of a component", &component)?;
    spaces.check_data("data", data.as_ref())?;
    let for_s = for_s.unwrap_or(spaces.0.config.lock_s);
    if !(1..=MAX_LOCK_S).contains(&for_s) {
        return Err(Failure::bad_request(format!(
            "for_s is 1 to {MAX_LOCK_S} seconds"
        )));
    }
    socket.pace::<Changes>(CHANGES_PER_SECOND)?;
    let lock = spaces
        .take_lock(socket, (&space, &component), for_s, data)
        .await?;
    Ok(Locked { lock })
}

/// `space:unlock`
pub(crate) async fn unlock(
    worlds: &Worlds,
    asker: &Asker,
    request: FreeLock,
) -> Result<Unlocked, Failure> {
    let FreeLock {
        space,
        component,
        force,
    } = request;
    check_name("the name of a space", &space)?;
    check_name("the name of a component", &component)?;
    let spaces = &worlds.0.spaces;
    if asker.is_system() || force && asker.has("moderate", &space) {
        let unlocked = spaces.free_lock(&space, &component, None).await?;
        return Ok(Unlocked { unlocked });
    }
    if force {
        return Err(Failure::new(
            "forbidden",
            "taking another's lock away needs the act `moderate`",
        ));
    }
    let (spaces, socket) = asked(worlds, asker, "lock", &space)?;
    socket.pace::<Changes>(CHANGES_PER_SECOND)?;
    let session = spaces.session(socket, &space)?;
    let unlocked = spaces.free_lock(&space, &component, Some(&session)).await?;
    Ok(Unlocked { unlocked })
}

/// `space:locks`
pub(crate) async fn locks(
    worlds: &Worlds,
    asker: &Asker,
    request: InSpace,
) -> Result<Locks, Failure> {
    check_name("the name of a space", &request.space)?;
    asker.allow("space", &request.space)?;
    let locks = worlds.0.spaces.all_locks(&request.space).await?;
    Ok(Locks { locks })
}
