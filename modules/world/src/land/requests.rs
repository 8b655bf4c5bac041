//! The requests of land, and what they take and give: `world:set`, `world:land`, `world:put_chunk`.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lakh_hub::store::DeleteRange;
use lakh_hub::{Binary, Failure, Pace, Socket};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::chunk::{Chunk, MAX_TYPE_BYTES, Part};
use super::draft::{Expect, NotSet, SetCell};
use super::ground::{Ground, collection};
use super::plan::{Coords, LandPlan};
use super::writing::{NotSetOr, Work};
use crate::asker::Asker;
use crate::play::Bounds;
use crate::{Worlds, play, stored};

/// Cells of one request at most.
const MAX_SET: usize = 256;

/// Coordinates as they come: two or three whole numbers.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
struct Place(Vec<i32>);

impl Place {
    fn coords(&self, plan: &LandPlan, what: &str) -> Result<Coords, Failure> {
        let mut coords = [0; 3];
        if self.0.len() != plan.axes() {
            let axes = plan.axes();
            return Err(Failure::bad_request(format!(
                "{what} has {axes} whole numbers"
            )));
        }
        coords[..self.0.len()].copy_from_slice(&self.0);
        Ok(coords)
    }
}

/// What a cell must be.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "Ifs")]
enum If {
    Value(u16),
    Version(u32),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ifs {
    value: Option<u16>,
    version: Option<u32>,
}

impl TryFrom<Ifs> for If {
    type Error = &'static str;

    fn try_from(ifs: Ifs) -> Result<Self, Self::Error> {
        match ifs {
            Ifs {
                value: Some(value),
                version: None,
            } => Ok(Self::Value(value)),
            Ifs {
                value: None,
                version: Some(version),
            } => Ok(Self::Version(version)),
            _ => Err("either a value or a version is expected"),
        }
    }
}

#[derive(Debug, Deserialize)]
struct Cell {
    at: Place,
    value: u16,
    r#if: Option<If>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct SetRequest {
    world: Option<String>,
    cells: Vec<Cell>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Set {
    versions: Vec<u32>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct LandRequest {
    world: Option<String>,
    chunk: Place,
    layer: Option<String>,
    /// The version of each cell as well.
    #[serde(default, deserialize_with = "lakh_hub::or_default")]
    versions: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct LandAnswer {
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    edge: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<Vec<u16>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    versions: Option<Vec<u32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    layers: Option<Vec<LayerAnswer>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<Binary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

#[derive(Debug, Serialize)]
struct LayerAnswer {
    layer: String,
    version: u32,
    r#type: String,
    length: usize,
}

#[derive(Debug, Deserialize)]
pub(crate) struct PutRequest {
    world: Option<String>,
    chunk: Place,
    layer: String,
    #[serde(default)]
    r#type: String,
    /// Nothing takes away what is there.
    bytes: Option<Binary>,
    base64: Option<String>,
    r#if: Option<IfLayer>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct IfLayer {
    version: u32,
}

#[derive(Debug, Serialize)]
pub(crate) struct Put {
    version: u32,
}

/// Marks the allowance of changes.
struct Paints(Mutex<Pace>);

fn pace(worlds: &Worlds, asker: &Asker) -> Result<(), Failure> {
    let Some(socket) = asker.socket() else {
        return Ok(());
    };
    let per_second = worlds.0.config.paints_per_second;
    let allowance = allowance(socket);
    let taken = allowance
        .0
        .lock()
        .take(socket.now_ms(), per_second, per_second);
    taken.map_err(|wait_ms| {
        let message =
            format!("{per_second} changes of land a second are allowed; wait {wait_ms} ms");
        Failure::new("rate_limited", message)
    })
}

fn allowance(socket: &Socket) -> Arc<Paints> {
    socket.get::<Paints>().unwrap_or_else(|| {
        socket.insert(Paints(Mutex::default()));
        socket
            .get()
            .unwrap_or_else(|| Arc::new(Paints(Mutex::default())))
    })
}

/// The land that a request is about: of the world named, or of the one where whoever asks is.
async fn ground(
    worlds: &Worlds,
    asker: &Asker,
    (act, world): (&'static str, Option<String>),
) -> Result<(Arc<Ground>, Bounds), Failure> {
    let here = || asker.socket().and_then(play::world_of);
    let world = world
        .or_else(here)
        .ok_or_else(|| Failure::bad_request("name the world, or enter one with world:enter"))?;
    asker.allow(act, &world)?;
    let plan = play::land_of(worlds, &world).await?;
    let (plan, bounds) =
        plan.ok_or_else(|| Failure::new("unsupported", "this world has no land"))?;
    Ok((worlds.0.grounds.of(worlds, &world, &plan), bounds))
}

/// Refuses cells or chunks of so many units that lie outside of the world altogether: nobody could come to see them.
fn check_bounds(at: &Place, units: f64, bounds: &Bounds, what: &str) -> Result<(), Failure> {
    let mut axes = at.0.iter().zip(bounds.min.iter().zip(&bounds.max));
    let reaches = |at: i32, min: f64, max: f64| {
        f64::from(at) * units <= max && (f64::from(at) + 1.0) * units >= min
    };
    if axes.all(|(at, (min, max))| reaches(*at, *min, *max)) {
        return Ok(());
    }
    let message = format!("{what} is outside of the world");
    Err(Failure::new("out_of_bounds", message))
}

/// Why it was not done, as it's answered.
fn failure(ground: &Ground, why: NotSetOr) -> Failure {
    let not_set = match why {
        NotSetOr::Failure(failure) => return failure,
        NotSetOr::NotSet(not_set) => not_set,
    };
    let message = not_set.to_string();
    match not_set {
        NotSet::Outside => Failure::bad_request(message),
        NotSet::Conflict(there) => {
            let axes = ground.plan.axes();
            let cells = there.iter().map(
                |cell| json!({"at": cell.at[..axes], "value": cell.value, "version": cell.version}),
            );
            Failure::new("conflict", message).with_current(cells.collect())
        }
        NotSet::OtherVersion(version) => {
            Failure::new("conflict", message).with_current(json!({"version": version}))
        }
        NotSet::Missing(_) | NotSet::Worn => Failure::new("unavailable", message),
    }
}

/// `world:set`
pub(crate) async fn set(
    worlds: &Worlds,
    asker: &Asker,
    request: SetRequest,
) -> Result<Set, Failure> {
    let (ground, bounds) = ground(worlds, asker, ("paint", request.world)).await?;
    if !(1..=MAX_SET).contains(&request.cells.len()) {
        return Err(Failure::bad_request(format!("cells are 1 to {MAX_SET}")));
    }
    let cells = request.cells.iter().map(|cell| {
        let at = cell.at.coords(&ground.plan, "at")?;
        check_bounds(&cell.at, ground.plan.cell, &bounds, "at")?;
        Ok(SetCell {
            at,
            value: cell.value,
            expect: match cell.r#if {
                None => Expect::Any,
                Some(If::Value(value)) => Expect::Value(value),
                Some(If::Version(version)) => Expect::Version(version),
            },
        })
    });
    let cells = cells.collect::<Result<Vec<_>, Failure>>()?;
    pace(worlds, asker)?;
    let versions = ground.write(Work::Set(cells)).await;
    let versions = versions.map_err(|why| failure(&ground, why))?;
    Ok(Set { versions })
}

/// `world:put_chunk`
pub(crate) async fn put_chunk(
    worlds: &Worlds,
    asker: &Asker,
    request: PutRequest,
) -> Result<Put, Failure> {
    let (ground, bounds) = ground(worlds, asker, ("paint", request.world)).await?;
    let at = request.chunk.coords(&ground.plan, "chunk")?;
    check_bounds(&request.chunk, ground.plan.chunk_units(), &bounds, "chunk")?;
    let layer = layer(&ground, &request.layer)?;
    let bytes = match (request.bytes, request.base64) {
        (Some(Binary(bytes)), _) => bytes.to_vec(),
        (None, Some(text)) => STANDARD
            .decode(text)
            .map_err(|_| Failure::bad_request("base64 is not well formed"))?,
        (None, None) => Vec::new(),
    };
    let most = worlds.0.config.max_part_bytes;
    if bytes.len() > most {
        let message = format!("bytes are {}; {most} are allowed", bytes.len());
        return Err(Failure::new("too_large", message));
    }
    if request.r#type.len() > MAX_TYPE_BYTES || request.r#type.chars().any(char::is_control) {
        let message = format!("type has at most {MAX_TYPE_BYTES} bytes, and no control characters");
        return Err(Failure::bad_request(message));
    }
    pace(worlds, asker)?;
    let work = Work::Put {
        at,
        layer,
        kind: request.r#type,
        bytes,
        expect: request.r#if.map(|expect| expect.version),
    };
    let versions = ground
        .write(work)
        .await
        .map_err(|why| failure(&ground, why))?;
    let version = versions.first().copied().unwrap_or_default();
    Ok(Put { version })
}

fn layer(ground: &Ground, name: &str) -> Result<u8, Failure> {
    let layer = ground.plan.layer(name);
    layer.ok_or_else(|| Failure::bad_request("layer is one of those that the world's land has"))
}

/// `world:land`
pub(crate) async fn land(
    worlds: &Worlds,
    asker: &Asker,
    request: LandRequest,
) -> Result<LandAnswer, Failure> {
    let (ground, _) = ground(worlds, asker, ("enter", request.world)).await?;
    let at = request.chunk.coords(&ground.plan, "chunk")?;
    if !ground.plan.has(at) {
        return Err(Failure::bad_request("there is no such chunk"));
    }
    let chunk = ground.land().read().get(at).cloned();
    let chunk = match chunk {
        Some(chunk) => chunk,
        None => {
            let read = ground.read_chunks(&[at]).await?.pop();
            read.map_or_else(
                || Arc::new(Chunk::new(&ground.plan)),
                |(_, chunk)| Arc::new(chunk),
            )
        }
    };
    match request.layer {
        Some(name) => {
            let part = chunk.part(layer(&ground, &name)?);
            let part = part.map_or_else(Part::default, |part| Part::clone(part));
            Ok(opaque(part, asker.socket().is_some()))
        }
        None => Ok(cells(&ground, &chunk, request.versions)),
    }
}

/// What is in a layer. JSON has no bytes: who asks over HTTP gets them as text.
fn opaque(part: Part, over_socket: bool) -> LandAnswer {
    let (bytes, base64) = match over_socket {
        true => (Some(part.bytes.into()), None),
        false => (None, Some(STANDARD.encode(&part.bytes))),
    };
    LandAnswer {
        version: part.version,
        edge: None,
        values: None,
        versions: None,
        layers: None,
        r#type: Some(part.kind),
        bytes,
        base64,
    }
}

fn cells(ground: &Ground, chunk: &Chunk, with_versions: bool) -> LandAnswer {
    let all = 0..ground.plan.cells();
    let layers = ground
        .plan
        .layers
        .iter()
        .zip(1..)
        .filter_map(|(name, layer)| {
            let part = chunk.part(layer)?;
            Some(LayerAnswer {
                layer: name.clone(),
                version: part.version,
                r#type: part.kind.clone(),
                length: part.bytes.len(),
            })
        });
    LandAnswer {
        version: chunk.version(),
        edge: Some(ground.plan.edge),
        values: Some(all.clone().map(|index| chunk.value(index)).collect()),
        versions: with_versions.then(|| all.map(|index| chunk.version_of(index)).collect()),
        layers: Some(layers.collect()),
        r#type: None,
        bytes: None,
        base64: None,
    }
}

/// Removes the land of a world that is no more.
pub(crate) async fn remove(worlds: &Worlds, world: &str) -> Result<(), Failure> {
    worlds.0.grounds.forget(world);
    loop {
        let range = DeleteRange::prefix("");
        let deleting = worlds
            .0
            .store
            .delete_range(worlds.now_ms(), &collection(world), range);
        let deleted = deleting
            .await
            .map_err(|error| stored::not_written(&error))?;
        if !deleted.more {
            return Ok(());
        }
    }
}
