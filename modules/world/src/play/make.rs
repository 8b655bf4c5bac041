//! Which worlds there are: `world:list`, `world:create`, `world:info`, `world:delete`.
//!
//! Collection `world_worlds`: a [`Plan`] as JSON under the world's name.

use lakh_hub::store::{Batch, Condition, DeleteRange, Scan};
use lakh_hub::{Beside, Failure};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::plan::{Bounds, Plan, Wishes, check_name};
use super::saving::{ENTITIES, PEOPLE, keys_of};
use crate::asker::Asker;
use crate::{LandPlan, Worlds, land, stored};

const COLLECTION: &str = "world_worlds";
/// Worlds of one page.
const PAGE: usize = 50;
const MAX_PAGE: usize = 200;

/// There is no world of that name.
pub(crate) fn no_world() -> Failure {
    Failure::new("not_found", "there is no such world")
}

#[derive(Debug, Deserialize)]
pub(crate) struct ListRequest {
    after: Option<String>,
    limit: Option<usize>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Listed {
    worlds: Vec<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// `world:list`.
pub(crate) async fn list(
    worlds: &Worlds,
    asker: &Asker,
    request: ListRequest,
) -> Result<Listed, Failure> {
    asker.allow("list", "")?;
    let limit = request.limit.unwrap_or(PAGE).clamp(1, MAX_PAGE);
    let scan = Scan::default().limit(limit).after(request.after);
    let page = stored::scan(worlds, COLLECTION, scan).await?;
    let next = page.next;
    let mut listed = Vec::with_capacity(page.items.len());
    for (world, document) in page.items {
        let plan: Plan = stored::read_record(&document.value)?;
        listed.push(summary(worlds, &world, &plan));
    }
    Ok(Listed {
        worlds: listed,
        next,
    })
}

/// A world in a few words.
fn summary(worlds: &Worlds, world: &str, plan: &Plan) -> Json {
    let now = super::registry::at_work(worlds, world).map(|live| live.now());
    let (people, entities) = now.map_or((0, 0), |now| (now.people, now.entities));
    json!({
        "world": world,
        "name": plan.title,
        "people": people,
        "entities": entities,
        "hz": plan.schema.hz,
    })
}

#[derive(Debug, Deserialize)]
pub(crate) struct CreateRequest {
    world: String,
}

/// `world:create`.
pub(crate) async fn create(
    worlds: &Worlds,
    asker: &Asker,
    Beside(request, wishes): Beside<CreateRequest, Wishes>,
) -> Result<Json, Failure> {
    check_name(&request.world)?;
    asker.allow("create", &request.world)?;
    let mut plan = Plan::new(&request.world, wishes, &worlds.0.config)?;
    plan.owner = asker.who().map(|person| person.id.clone());
    plan.made_ms = worlds.now_ms();
    if !put_new(worlds, &request.world, &plan).await? {
        return Err(Failure::new("exists", "there is a world of this name"));
    }
    Ok(json!({ "world": plan.shown(&request.world, 0) }))
}

async fn put_new(worlds: &Worlds, world: &str, plan: &Plan) -> Result<bool, Failure> {
    let record = stored::write_record(plan)?;
    let batch = Batch::new(worlds.now_ms()).put(COLLECTION, world, record, Condition::Absent, None);
    stored::try_write(worlds, batch).await
}

#[derive(Debug, Deserialize)]
pub(crate) struct OneRequest {
    world: String,
}

/// `world:info`.
pub(crate) async fn info(
    worlds: &Worlds,
    asker: &Asker,
    request: OneRequest,
) -> Result<Json, Failure> {
    check_name(&request.world)?;
    asker.allow("list", &request.world)?;
    let plan = find(worlds, &request.world).await?.ok_or_else(no_world)?;
    let mut told = summary(worlds, &request.world, &plan);
    let tick = super::registry::at_work(worlds, &request.world).map_or(0, |live| live.tick());
    told["info"] = plan.shown(&request.world, tick);
    told["owner"] = json!(plan.owner);
    Ok(told)
}

/// `world:delete`.
pub(crate) async fn delete(
    worlds: &Worlds,
    asker: &Asker,
    request: OneRequest,
) -> Result<(), Failure> {
    let world = request.world;
    check_name(&world)?;
    let plan = find(worlds, &world).await?.ok_or_else(no_world)?;
    let owner = plan.owner.as_deref();
    let own = owner.is_some() && owner == asker.who().map(|person| person.id.as_str());
    if !(own || asker.has("admin", &world)) {
        return Err(Failure::new(
            "forbidden",
            "only who made a world, or an admin, may delete it",
        ));
    }
    let batch = Batch::new(worlds.now_ms()).delete(COLLECTION, &world, Condition::Any);
    stored::try_write(worlds, batch).await?;
    worlds.0.registry.end(&world);
    if let Some(fleet) = &worlds.0.fleet {
        fleet.deleted(&world);
    }
    for collection in [ENTITIES, PEOPLE] {
        remove_all(worlds, collection, &world).await?;
    }
    land::remove(worlds, &world).await
}

async fn remove_all(worlds: &Worlds, collection: &str, world: &str) -> Result<(), Failure> {
    loop {
        let range = DeleteRange::prefix(&keys_of(world));
        let deleting = worlds
            .0
            .store
            .delete_range(worlds.now_ms(), collection, range);
        let deleted = deleting
            .await
            .map_err(|error| stored::not_written(&error))?;
        if !deleted.more {
            return Ok(());
        }
    }
}

/// What land a world has, whether it's at work or not. Worlds that are made by being entered are there then.
///
/// # Errors
/// `not_found`.
pub(crate) async fn land_of(
    worlds: &Worlds,
    world: &str,
) -> Result<Option<(LandPlan, Bounds)>, Failure> {
    let land = |plan: &Plan| plan.land.clone().map(|land| (land, plan.bounds.clone()));
    if let Ok(live) = super::registry::at_work(worlds, world) {
        return Ok(land(&live.plan));
    }
    check_name(world)?;
    let plan = find(worlds, world).await?.ok_or_else(no_world)?;
    Ok(land(&plan))
}

async fn find(worlds: &Worlds, world: &str) -> Result<Option<Plan>, Failure> {
    let found = stored::get(worlds, COLLECTION, world).await?;
    let plan = found.map(|document| stored::read_record(&document.value));
    plan.transpose()
}

/// Whether a world is still in the store. If that can't be read it counts as there.
pub(super) async fn exists(worlds: &Worlds, world: &str) -> bool {
    find(worlds, world)
        .await
        .map_or(true, |found| found.is_some())
}

/// What a world is; where worlds are made by being entered, a new one.
///
/// # Errors
/// `not_found`; `unavailable`.
pub(super) async fn plan_of(worlds: &Worlds, world: &str) -> Result<Plan, Failure> {
    if let Some(plan) = find(worlds, world).await? {
        return Ok(plan);
    }
    let open = worlds.0.config.open_worlds.as_ref();
    if !open.is_some_and(|pattern| pattern.fits(world, None)) {
        return Err(no_world());
    }
    let wishes = Wishes {
        land: worlds.0.config.open_land.then(LandPlan::default),
        ..Wishes::default()
    };
    let mut plan = Plan::new(world, wishes, &worlds.0.config)?;
    plan.made_ms = worlds.now_ms();
    if put_new(worlds, world, &plan).await? {
        return Ok(plan);
    }
    // Another node was quicker.
    find(worlds, world).await?.ok_or_else(no_world)
}
