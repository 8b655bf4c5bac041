//! Entities that clients and backends make: `world:spawn`, `world:change`, `world:remove`, `world:entity`.

use lakh_hub::{Beside, Failure};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::acts::{Act, Actor, Done, Seen, State, unexpected};
use super::enter::{Place, actor_of};
use super::live::Held;
use super::registry::open;
use super::shapes::{Fields, Numbers};
use crate::Worlds;
use crate::asker::Asker;

/// People that an entity may be for.
const MAX_PEOPLE: usize = 64;

/// Who may see an entity, as it's said.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "expected \"all\", \"none\" or an object with a list of `people`"
)]
pub(crate) enum SeenBy {
    Word(Word),
    People { people: Vec<String> },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Word {
    All,
    None,
}

/// What is said of an entity.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Said {
    at: Option<Numbers>,
    velocity: Option<Numbers>,
    rotation: Option<Numbers>,
    #[serde(default, deserialize_with = "lakh_hub::or_default")]
    fields: Fields,
    always: Option<bool>,
    audience: Option<SeenBy>,
}

impl Said {
    fn read(self, live: &Held) -> Result<(State, Option<Numbers>), Failure> {
        let dims = live.plan.dims();
        let vector = |numbers: Option<Numbers>, what| {
            numbers
                .map(|numbers| numbers.vector(dims, what))
                .transpose()
        };
        let audience = match self.audience {
            None => None,
            Some(SeenBy::Word(Word::All)) => Some(Seen::All),
            Some(SeenBy::Word(Word::None)) => Some(Seen::None),
            Some(SeenBy::People { people }) if people.len() <= MAX_PEOPLE => {
                Some(Seen::People { people })
            }
            Some(SeenBy::People { .. }) => {
                return Err(Failure::bad_request(format!(
                    "audience names {MAX_PEOPLE} people at most"
                )));
            }
        };
        let state = State {
            at: vector(self.at, "at")?,
            velocity: vector(self.velocity, "velocity")?,
            rotation: None,
            fields: self.fields,
            always: self.always,
            audience,
        };
        Ok((state, self.rotation))
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct SpawnRequest {
    world: Option<String>,
    kind: String,
    #[serde(default, deserialize_with = "lakh_hub::or_default")]
    lasting: bool,
}

/// The world that a request is about: the one it names, or where the socket is.
pub(super) async fn world_of(
    worlds: &Worlds,
    asker: &Asker,
    named: Option<String>,
) -> Result<(Held, Actor), Failure> {
    let here = asker.socket().and_then(Place::of);
    let name = match (named, &here) {
        (Some(name), _) => name,
        (None, Some(here)) => here.live.name.to_string(),
        (None, None) => {
            return Err(Failure::bad_request("name the `world`, or enter one first"));
        }
    };
    let mut actor = actor_of(asker, &name);
    if let Some(here) = here.filter(|here| *here.live.name == *name) {
        actor.session = Some(here.session.to_string());
    }
    Ok((open(worlds, &name).await?, actor))
}

/// `world:spawn`.
pub(crate) async fn spawn(
    worlds: &Worlds,
    asker: &Asker,
    Beside(request, said): Beside<SpawnRequest, Said>,
) -> Result<Json, Failure> {
    let (live, actor) = world_of(worlds, asker, request.world).await?;
    asker.allow("build", &live.name)?;
    worlds.pace(asker, &actor)?;
    let kind = live.plan.kind_named(&request.kind)?;
    let (mut state, rotation) = said.read(&live)?;
    let rotation = rotation.map(|rotation| rotation.rotation(live.plan.kind(kind)));
    state.rotation = rotation.transpose()?;
    let act = Act::Spawn {
        actor,
        kind,
        state,
        lasting: request.lasting,
    };
    match live.act(act).await? {
        Done::Spawned(entity) => Ok(json!({ "entity": entity })),
        _ => Err(unexpected()),
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct ChangeRequest {
    world: Option<String>,
    entity: u32,
}

/// `world:change`.
pub(crate) async fn change(
    worlds: &Worlds,
    asker: &Asker,
    Beside(request, said): Beside<ChangeRequest, Said>,
) -> Result<(), Failure> {
    let (live, actor) = world_of(worlds, asker, request.world).await?;
    worlds.pace(asker, &actor)?;
    let (mut state, rotation) = said.read(&live)?;
    let entity = request.entity;
    state.rotation = rotation.map(|rotation| rotation.any()).transpose()?;
    let act = Act::Change {
        actor,
        entity,
        state,
    };
    live.act(act).await.map(drop)
}

#[derive(Debug, Deserialize)]
pub(crate) struct OneRequest {
    world: Option<String>,
    entity: u32,
}

/// `world:remove`.
pub(crate) async fn remove(
    worlds: &Worlds,
    asker: &Asker,
    request: OneRequest,
) -> Result<(), Failure> {
    let (live, actor) = world_of(worlds, asker, request.world).await?;
    worlds.pace(asker, &actor)?;
    let entity = request.entity;
    live.act(Act::Remove { actor, entity }).await.map(drop)
}

/// `world:entity`.
pub(crate) async fn entity(
    worlds: &Worlds,
    asker: &Asker,
    request: OneRequest,
) -> Result<Json, Failure> {
    let (live, actor) = world_of(worlds, asker, request.world).await?;
    asker.allow("list", &live.name)?;
    let entity = request.entity;
    match live.act(Act::Look { actor, entity }).await? {
        Done::Shown(shown) => Ok(shown),
        _ => Err(unexpected()),
    }
}
