//! `world:bots`: how many bots walk about.

use serde::Deserialize;
use serde_json::{Value as Json, json};

use lakh_hub::Failure;

use super::acts::{Act, Done, unexpected};
use super::things::world_of;
use crate::Worlds;
use crate::asker::Asker;

#[derive(Debug, Deserialize)]
pub(crate) struct BotsRequest {
    world: Option<String>,
    count: Option<u32>,
}

/// `world:bots`. Without a count it only tells how many there are.
pub(crate) async fn bots(
    worlds: &Worlds,
    asker: &Asker,
    request: BotsRequest,
) -> Result<Json, Failure> {
    let (live, actor) = world_of(worlds, asker, request.world).await?;
    if request.count.is_some() {
        asker.allow("build", &live.name)?;
        worlds.pace(asker, &actor)?;
    }
    match live.act(Act::Bots(request.count)).await? {
        Done::Bots(bots) => Ok(json!({ "bots": bots })),
        _ => Err(unexpected()),
    }
}
