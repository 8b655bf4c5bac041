//! What clients ask to see, as JSON.

use std::fmt;

use lakh_hub::Failure;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::plan::Plan;
use super::shapes::Numbers;
use crate::Config;
use crate::engine::query::{Ask, Centre, MAX_QUERY_PARTS, Query, Shape};
use crate::engine::viewer::Sight;

/// A radius, or queries.
#[derive(Clone, Debug)]
pub(crate) enum View {
    /// All within a distance.
    Radius(f64),
    /// What fits any of these.
    Queries(Vec<Asked>),
}

/// By hand: of an untagged enum serde says no more than that nothing fits, and a query is easily misspelt.
impl<'de> Deserialize<'de> for View {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RadiusOrQueries;
        impl<'de> Visitor<'de> for RadiusOrQueries {
            type Value = View;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a radius, or a list of queries")
            }

            fn visit_f64<E: de::Error>(self, radius: f64) -> Result<View, E> {
                Ok(View::Radius(radius))
            }

            #[expect(clippy::cast_precision_loss, reason = "no view is that wide")]
            fn visit_u64<E: de::Error>(self, radius: u64) -> Result<View, E> {
                Ok(View::Radius(radius as f64))
            }

            #[expect(clippy::cast_precision_loss, reason = "it's refused as negative")]
            fn visit_i64<E: de::Error>(self, radius: i64) -> Result<View, E> {
                Ok(View::Radius(radius as f64))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, queries: A) -> Result<View, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(queries)).map(View::Queries)
            }
        }
        deserializer.deserialize_any(RadiusOrQueries)
    }
}

/// A query. All that is said in it must hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Asked {
    sphere: Option<Sphere>,
    #[serde(rename = "box")]
    block: Option<Block>,
    all: Option<bool>,
    kinds: Option<Vec<String>>,
    and: Option<Vec<Asked>>,
    or: Option<Vec<Asked>>,
    every: Option<u8>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sphere {
    center: Option<Numbers>,
    radius: f64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Block {
    min: Option<Numbers>,
    max: Option<Numbers>,
    center: Option<Numbers>,
    half: Option<Numbers>,
}

impl View {
    /// How far chunks of land are to be shown, if the world's land says no less.
    pub(crate) fn reach(&self) -> f64 {
        match self {
            Self::Radius(radius) => *radius,
            Self::Queries(_) => f64::INFINITY,
        }
    }

    /// What the engine is asked.
    ///
    /// # Errors
    /// `bad_request`.
    pub(crate) fn sight(&self, plan: &Plan, config: &Config) -> Result<Sight, Failure> {
        match self {
            Self::Radius(radius) if radius.is_finite() && *radius >= 0.0 => {
                Ok(Sight::around(radius.min(config.max_view)))
            }
            Self::Radius(_) => Err(Failure::bad_request("view is a radius of 0 or more")),
            Self::Queries(queries) if queries.is_empty() || queries.len() > MAX_QUERY_PARTS => {
                Err(Failure::bad_request(format!(
                    "a view is a radius, or 1 to {MAX_QUERY_PARTS} queries"
                )))
            }
            Self::Queries(queries) => {
                let asks = queries.iter().map(|query| {
                    let every = query.every.unwrap_or(1);
                    if every > 64 || !every.is_power_of_two() {
                        return Err(Failure::bad_request(
                            "every is 1, 2, 4, 8, 16, 32 or 64 ticks",
                        ));
                    }
                    Ok(Ask {
                        query: query.read(plan, config)?,
                        every,
                    })
                });
                Ok(Sight {
                    asks: asks.collect::<Result<_, _>>()?,
                })
            }
        }
    }
}

impl Asked {
    fn read(&self, plan: &Plan, config: &Config) -> Result<Query, Failure> {
        let mut parts = Vec::new();
        if let Some(sphere) = &self.sphere {
            parts.push(sphere.read(plan, config)?);
        }
        if let Some(block) = &self.block {
            parts.push(block.read(plan, config)?);
        }
        if self.all == Some(true) {
            far_sight(config)?;
            parts.push(Query::In(Shape::All));
        }
        if let Some(kinds) = &self.kinds {
            let kinds = kinds.iter().map(|kind| plan.kind_named(kind));
            parts.push(Query::Kinds(kinds.collect::<Result<_, _>>()?));
        }
        for (list, join) in [
            (&self.and, Query::And as fn(Vec<Query>) -> Query),
            (&self.or, Query::Or),
        ] {
            if let Some(list) = list {
                let list = list.iter().map(|query| query.read(plan, config));
                parts.push(join(list.collect::<Result<_, _>>()?));
            }
        }
        // Of kinds alone, without a shape, there is no limit either.
        if let [Query::Kinds(_)] = &parts[..] {
            far_sight(config)?;
        }
        match parts.len() {
            0 => Err(Failure::bad_request(
                "a query of a view has at least one of sphere, box, all, kinds, and, or",
            )),
            1 => Ok(parts.remove(0)),
            _ => Ok(Query::And(parts)),
        }
    }
}

/// What isn't around where one stands.
fn far_sight(config: &Config) -> Result<(), Failure> {
    config.far_sight.then_some(()).ok_or_else(|| {
        Failure::new(
            "forbidden",
            "this server shows only what is around one: ask for a sphere or box without a center",
        )
    })
}

fn centre(center: Option<&Numbers>, plan: &Plan, config: &Config) -> Result<Centre, Failure> {
    match center {
        None => Ok(Centre::Own),
        Some(at) => {
            far_sight(config)?;
            Ok(Centre::At(at.vector(plan.dims(), "center")?))
        }
    }
}

/// What is around one is seen so far; who asks for a fixed place may ask for all of it anyway.
fn nearby(centre: Centre, size: f64, config: &Config) -> f64 {
    match centre {
        Centre::Own => size.min(config.max_view),
        Centre::At(_) => size,
    }
}

impl Sphere {
    fn read(&self, plan: &Plan, config: &Config) -> Result<Query, Failure> {
        if !(self.radius.is_finite() && self.radius >= 0.0) {
            return Err(Failure::bad_request("radius is 0 or more"));
        }
        let centre = centre(self.center.as_ref(), plan, config)?;
        let radius = nearby(centre, self.radius, config);
        Ok(Query::In(Shape::Sphere { centre, radius }))
    }
}

impl Block {
    fn read(&self, plan: &Plan, config: &Config) -> Result<Query, Failure> {
        let dims = plan.dims();
        let (centre, half) = match (&self.min, &self.max, &self.half) {
            (Some(min), Some(max), None) if self.center.is_none() => {
                far_sight(config)?;
                let (min, max) = (min.vector(dims, "min")?, max.vector(dims, "max")?);
                let middle = std::array::from_fn(|axis| (min[axis] + max[axis]) / 2.0);
                let half = std::array::from_fn(|axis| (max[axis] - min[axis]) / 2.0);
                (Centre::At(middle), half)
            }
            (None, None, Some(half)) => {
                let half = half.vector(dims, "half")?;
                (centre(self.center.as_ref(), plan, config)?, half)
            }
            _ => {
                return Err(Failure::bad_request(
                    "a box has min and max, or half and perhaps a center",
                ));
            }
        };
        if half.iter().any(|half: &f64| *half < 0.0) {
            return Err(Failure::bad_request("a box is not less than nothing wide"));
        }
        let half = half.map(|half| nearby(centre, half, config));
        Ok(Query::In(Shape::Box { centre, half }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::play::plan::Wishes;

    fn read(view: Value, config: &Config) -> Result<Sight, Failure> {
        let plan = Plan::new("x", Wishes::default(), config).unwrap();
        let view: View = serde_json::from_value(view)
            .map_err(|error| Failure::bad_request(error.to_string()))?;
        view.sight(&plan, config)
    }

    #[test]
    fn what_is_no_view_is_told_where_it_is_wrong() {
        #[derive(Debug, Deserialize)]
        #[expect(dead_code, reason = "only read")]
        struct Look {
            view: View,
        }
        for (view, said) in [
            (
                json!("far"),
                "`view`: invalid type: string \"far\", expected a radius, or a list of queries",
            ),
            (
                json!({"radius": 5}),
                "`view`: invalid type: object, expected a radius, or a list of queries",
            ),
            (
                json!([{"sphere": {"radus": 5}}]),
                "`view[0].sphere.radus`: unknown field `radus`, expected `center` or `radius`",
            ),
            (
                json!([{"sphere": {"radius": 5}}, {"kinds": "bot"}]),
                "`view[1].kinds`: invalid type: string \"bot\", expected a list",
            ),
        ] {
            let text = json!({ "view": view }).to_string();
            let refused = lakh_hub::read_object::<Look>(&text).unwrap_err();
            assert_eq!(refused.message, said, "{text}");
        }
    }

    #[test]
    fn a_view_is_a_radius_or_queries() {
        let config = Config::default();
        assert_eq!(read(json!(40), &config).unwrap(), Sight::around(40.0));
        let sight = read(
            json!([
                {"sphere": {"radius": 40}},
                {"box": {"min": [0, 0], "max": [10, 20]}, "kinds": ["bot"], "every": 4},
                {"or": [{"all": true}, {"sphere": {"center": [1, 2], "radius": 3}}]},
            ]),
            &config,
        );
        let asks = sight.unwrap().asks;
        let (centre, half) = (Centre::At([5.0, 10.0, 0.0]), [5.0, 10.0, 0.0]);
        let block = Query::In(Shape::Box { centre, half });
        assert_eq!(
            asks[1].query,
            Query::And(vec![block, Query::Kinds(vec![2])])
        );
        assert_eq!((asks[0].every, asks[1].every), (1, 4));
    }

    #[test]
    fn what_is_no_view_is_refused() {
        for view in [
            json!(-1),
            json!([]),
            json!([{}]),
            json!([{"every": 2}]),
            json!([{"sphere": {"radius": -1}}]),
            json!([{"kinds": ["dragon"]}]),
            json!([{"box": {"min": [0, 0]}}]),
            json!([{"box": {"min": [1, 1], "max": [0, 0]}}]),
            json!([{"all": true, "every": 65}]),
            json!([{"all": true, "every": 3}]),
            json!([{"all": true, "every": 0}]),
            json!([{"cone": 1}]),
        ] {
            assert!(read(view.clone(), &Config::default()).is_err(), "{view}");
        }
    }

    #[test]
    fn where_far_sight_is_off_one_sees_what_is_around() {
        let config = Config {
            far_sight: false,
            max_view: 100.0,
            ..Config::default()
        };
        assert_eq!(read(json!(1_000), &config).unwrap(), Sight::around(100.0));
        assert!(
            read(
                json!([{"box": {"half": [5, 5]}, "kinds": ["bot"]}]),
                &config
            )
            .is_ok()
        );
        for view in [
            json!([{"all": true}]),
            json!([{"kinds": ["bot"]}]),
            json!([{"sphere": {"center": [0, 0], "radius": 1}}]),
            json!([{"box": {"min": [0, 0], "max": [1, 1]}}]),
        ] {
            assert_eq!(read(view, &config).unwrap_err().code, "forbidden");
        }
    }
}
