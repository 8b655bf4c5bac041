//! What a world is: its schema, its bounds, how fast one goes there. Stored in `world_worlds` under its name.

use std::sync::Arc;

use lakh_hub::Failure;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::shapes::shown;
use crate::engine::schema::{Field, FieldType, Kind, Layout, Rotation, Schema, Velocity};
use crate::engine::world::{Setup, Tiers};
use crate::{Config, LandPlan};

/// The kind that people are, where the schema has it; else they are of the first.
const PERSON: &str = "person";
/// Longest name of a world, in characters.
const MAX_NAME_CHARS: usize = 64;
/// Longest title of a world, in characters.
const MAX_TITLE_CHARS: usize = 200;
/// Bits of the edge of the largest cells, in steps, where nothing else is said.
const CELL_BITS: u8 = 12;

/// A box that nobody leaves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bounds {
    /// The least of each axis.
    pub(crate) min: Vec<f64>,
    /// The greatest.
    pub(crate) max: Vec<f64>,
}

/// A world as it was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// What people read.
    pub(crate) title: String,
    pub(crate) schema: Schema,
    pub(crate) cell_bits: u8,
    pub(crate) bounds: Bounds,
    /// Where newcomers come in.
    pub(crate) spawn: Vec<f64>,
    /// Units a second.
    pub(crate) max_speed: f64,
    /// Who made it; nobody owns one that was made by being entered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    pub(crate) made_ms: u64,
    /// What land it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) land: Option<LandPlan>,
}

/// What `world:create` takes beside the name; all of it may be missing.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Wishes {
    pub(crate) name: Option<String>,
    pub(crate) schema: Option<Schema>,
    pub(crate) hz: Option<u8>,
    pub(crate) cell_bits: Option<u8>,
    pub(crate) bounds: Option<Bounds>,
    pub(crate) spawn: Option<Vec<f64>>,
    pub(crate) max_speed: Option<f64>,
    pub(crate) land: Option<LandPlan>,
}

impl Plan {
    /// A world of these wishes, and of what is usual.
    ///
    /// # Errors
    /// `bad_request` that says what can't be.
    pub(crate) fn new(world: &str, wishes: Wishes, config: &Config) -> Result<Self, Failure> {
        let mut schema = wishes.schema.unwrap_or_else(|| usual(config.hz));
        schema.hz = wishes.hz.unwrap_or(schema.hz);
        let dims = usize::from(schema.dims.clamp(2, 3));
        let far = config.bounds;
        let plan = Self {
            title: wishes.name.unwrap_or_else(|| world.to_owned()),
            cell_bits: wishes.cell_bits.unwrap_or(CELL_BITS),
            bounds: wishes.bounds.unwrap_or_else(|| Bounds {
                min: vec![-far; dims],
                max: vec![far; dims],
            }),
            spawn: wishes.spawn.unwrap_or_else(|| vec![0.0; dims]),
            max_speed: wishes.max_speed.unwrap_or(config.max_speed),
            owner: None,
            made_ms: 0,
            land: wishes.land,
            schema,
        };
        plan.check()?;
        Ok(plan)
    }

    fn check(&self) -> Result<(), Failure> {
        let wrong = |what: &str| Err(Failure::bad_request(what));
        if self.title.is_empty() || self.title.chars().nth(MAX_TITLE_CHARS).is_some() {
            return wrong("name is 1 to 200 characters");
        }
        let layout = Layout::new(&self.schema, self.cell_bits)
            .map_err(|error| Failure::bad_request(format!("schema: {error}")))?;
        let Bounds { min, max } = &self.bounds;
        if [min, max, &self.spawn]
            .iter()
            .any(|list| list.len() != layout.dims)
        {
            return wrong("bounds.min, bounds.max and spawn have a number for each dimension");
        }
        let reach = f64::from(crate::engine::quantise::FARTHEST - 1) * layout.precision;
        for axis in 0..layout.dims {
            let (least, most) = (min[axis], max[axis]);
            // A NaN is none of these.
            if !(least < most && least >= -reach && most <= reach) {
                return Err(Failure::bad_request(format!(
                    "bounds.min is less than bounds.max, and both are within {reach} of 0: that's how far this precision reaches"
                )));
            }
            if !(least..=most).contains(&self.spawn[axis]) {
                return wrong("spawn is within the bounds");
            }
        }
        if let Some(land) = &self.land {
            land.check(self.dims())
                .map_err(|error| Failure::bad_request(error.to_string()))?;
        }
        if !(self.max_speed.is_finite() && self.max_speed > 0.0) {
            return wrong("max_speed is more than 0");
        }
        Ok(())
    }

    pub(crate) fn dims(&self) -> u8 {
        self.schema.dims
    }

    /// What the engine is set up with.
    pub(crate) fn setup(&self, config: &Config) -> Setup {
        Setup {
            cell_bits: self.cell_bits,
            max_entities: config.max_entities,
            tiers: Tiers {
                nearest: config.nearest,
                every: config.every,
            },
            ..Setup::new(self.schema.clone())
        }
    }

    /// The number of the kind that people are.
    pub(crate) fn person(&self) -> u8 {
        let found = self
            .schema
            .kinds
            .iter()
            .position(|kind| kind.name == PERSON);
        found.unwrap_or(0) as u8
    }

    /// A kind by its number.
    pub(crate) fn kind(&self, number: u8) -> &Kind {
        // Numbers come from the schema itself.
        &self.schema.kinds[usize::from(number)]
    }

    /// A kind by its name.
    ///
    /// # Errors
    /// `bad_request`.
    pub(crate) fn kind_named(&self, name: &str) -> Result<u8, Failure> {
        let found = self.schema.kinds.iter().position(|kind| kind.name == name);
        found.map(|number| number as u8).ok_or_else(|| {
            Failure::bad_request(format!("the schema of this world has no kind `{name}`"))
        })
    }

    /// Whether a place is within the bounds.
    pub(crate) fn holds(&self, at: [f64; 3]) -> bool {
        self.within(at) == at
    }

    /// The place nearest to this one that is within the bounds.
    pub(crate) fn within(&self, mut at: [f64; 3]) -> [f64; 3] {
        let axes = self.bounds.min.iter().zip(&self.bounds.max);
        for (x, (min, max)) in at.iter_mut().zip(axes) {
            *x = x.clamp(*min, *max);
        }
        at
    }

    /// Where newcomers come in.
    pub(crate) fn spawn(&self) -> [f64; 3] {
        let mut at = [0.0; 3];
        at[..self.spawn.len()].copy_from_slice(&self.spawn);
        at
    }

    /// What clients are told of it.
    pub(crate) fn shown(&self, world: &str, tick: u32) -> Json {
        json!({
            "world": world,
            "name": self.title,
            "schema": self.schema,
            "cell_bits": self.cell_bits,
            "hz": self.schema.hz,
            "bounds": self.bounds,
            "spawn": shown(self.spawn(), self.dims()),
            "max_speed": self.max_speed,
            "tick": tick,
            "land": self.land,
        })
    }
}

/// Refuses names that no world may have.
///
/// # Errors
/// `bad_request`.
pub(crate) fn check_name(world: &str) -> Result<(), Failure> {
    let fits = !world.is_empty()
        && world.chars().nth(MAX_NAME_CHARS).is_none()
        && !world.chars().any(char::is_control);
    fits.then_some(()).ok_or_else(|| {
        Failure::bad_request("the name of a world is 1 to 64 characters without control characters")
    })
}

/// The schema of worlds for which none was given: people, things and bots in two dimensions.
fn usual(hz: u8) -> Schema {
    let velocity = Velocity {
        max: 64.0,
        bits: 12,
        error: Some(0.1),
    };
    let field = |name: &str, holds| Field {
        name: name.to_owned(),
        holds,
    };
    let color = || {
        field(
            "color",
            FieldType::Int {
                min: 0,
                max: 0xff_ffff,
            },
        )
    };
    let byte = |name| field(name, FieldType::Int { min: 0, max: 255 });
    let name = || field("name", FieldType::Text { max: 32 });
    let kind = |kind: &str, fields| Kind {
        name: kind.to_owned(),
        velocity: Some(velocity),
        rotation: Some(Rotation::Turn { bits: 8 }),
        fields,
    };
    Schema {
        dims: 2,
        precision: 1.0 / 64.0,
        hz,
        kinds: vec![
            kind(PERSON, vec![name(), color(), byte("look")]),
            kind("thing", vec![name(), byte("sort"), color()]),
            kind("bot", vec![name(), color(), byte("look")]),
        ],
    }
}

/// A plan that nobody changes any more.
pub(crate) type Shared = Arc<Plan>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_world_of_no_wishes_can_be() {
        let plan = Plan::new("plaza", Wishes::default(), &Config::default()).unwrap();
        assert_eq!((plan.dims(), plan.person(), plan.schema.hz), (2, 0, 20));
        assert_eq!(plan.within([1e9, -3.0, 0.0]), [10_000.0, -3.0, 0.0]);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (wishes, told) in [
            (json!({"hz": 0}), "hz"),
            (json!({"bounds": {"min": [0, 0], "max": [0, 1]}}), "bounds"),
            (
                json!({"bounds": {"min": [0], "max": [1]}}),
                "each dimension",
            ),
            (
                json!({"bounds": {"min": [0, 0], "max": [1e9, 1]}}),
                "how far",
            ),
            (json!({"spawn": [20_000, 0]}), "spawn"),
            (json!({"max_speed": 0}), "max_speed"),
            (json!({"name": ""}), "name"),
        ] {
            let wishes: Wishes = serde_json::from_value(wishes).unwrap();
            let failure = Plan::new("x", wishes, &Config::default()).unwrap_err();
            assert!(failure.message.contains(told), "{}", failure.message);
        }
    }

    #[test]
    fn names_are_short_and_can_be_read() {
        assert!(check_name("plaza").is_ok());
        assert!(check_name("").is_err());
        assert!(check_name("a\nb").is_err());
        assert!(check_name(&"x".repeat(65)).is_err());
    }
}
