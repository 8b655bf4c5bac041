//! What a client asks to see: shapes and kinds, joined by and/or.
//!
//! A query is asked of a cell's box, not of single entities: it says yes where anything in the box may fit. As there is
//! no "not", a yes for a cell's parts is a yes for the cell.

use serde::{Deserialize, Serialize};

use super::schema::Layout;
use super::space::Steps;

/// Parts in all queries of a client together.
pub const MAX_QUERY_PARTS: usize = 16;

/// Where a shape has its middle.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Centre {
    /// Where the viewer stands.
    Own,
    /// A fixed place.
    At([f64; 3]),
}

/// A part of space.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// All within a distance.
    Sphere {
        /// From where.
        centre: Centre,
        /// The distance.
        radius: f64,
    },
    /// All within a distance along each axis.
    Box {
        /// From where.
        centre: Centre,
        /// The distances.
        half: [f64; 3],
    },
    /// All of it.
    All,
}

/// What is to be seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Query {
    /// What is in a shape.
    In(Shape),
    /// What is of one of some kinds, by their numbers.
    Kinds(Vec<u8>),
    /// What is in all of these.
    And(Vec<Query>),
    /// What is in any of these.
    Or(Vec<Query>),
}

/// A query with its rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// What is to be seen.
    pub query: Query,
    /// At most every so many ticks; 1 to 64. The power of two below is taken.
    pub every: u8,
}

/// Why a query can't be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Too large.
    #[error("there are more than 16 parts in the queries")]
    TooManyParts,
    /// A size or place that is none.
    #[error("sizes must be numbers of 0 or more, and places numbers")]
    NotANumber,
    /// A kind that the schema doesn't have.
    #[error("there is no such kind")]
    NoSuchKind,
    /// No queries, or an and/or without parts.
    #[error("there must be at least one query, and one part in an and/or")]
    Empty,
}

/// A query in steps.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    Sphere(Option<[f64; 3]>, f64),
    Box(Option<[f64; 3]>, [f64; 3]),
    All,
    Kinds(u64),
    And(Vec<Part>),
    Or(Vec<Part>),
}

/// A cell's box: its middle and half its edge, in steps.
#[derive(Clone, Copy)]
pub(crate) struct Cell {
    pub(crate) middle: [f64; 3],
    pub(crate) half: f64,
}

impl Cell {
    pub(crate) fn new((least, edge): (Steps, i32), dims: usize) -> Self {
        let half = f64::from(edge) / 2.0;
        let mut middle = [0.0; 3];
        for axis in 0..dims {
            middle[axis] = f64::from(least[axis]) + half;
        }
        Self { middle, half }
    }

    /// The square of its distance from a place.
    #[inline]
    pub(crate) fn distance(&self, from: [f64; 3], dims: usize) -> f64 {
        let mut sum = 0.0;
        for (middle, from) in self.middle.iter().zip(from).take(dims) {
            let off = ((middle - from).abs() - self.half).max(0.0);
            sum += off * off;
        }
        sum
    }
}

/// Who asks, and how much further than asked.
#[derive(Clone, Copy)]
pub(crate) struct From {
    pub(crate) own: [f64; 3],
    pub(crate) grown: f64,
    pub(crate) dims: usize,
}

impl Part {
    pub(crate) fn new(
        query: &Query,
        layout: &Layout,
        parts: &mut usize,
    ) -> Result<Self, QueryError> {
        *parts += 1;
        if *parts > MAX_QUERY_PARTS {
            return Err(QueryError::TooManyParts);
        }
        let size = |x: f64| {
            let fits = x.is_finite() && x >= 0.0;
            fits.then_some(x / layout.precision)
                .ok_or(QueryError::NotANumber)
        };
        let list = |queries: &[Query], parts: &mut usize| {
            if queries.is_empty() {
                return Err(QueryError::Empty);
            }
            queries
                .iter()
                .map(|query| Self::new(query, layout, parts))
                .collect()
        };
        Ok(match query {
            Query::In(Shape::All) => Self::All,
            Query::In(Shape::Sphere { centre, radius }) => {
                Self::Sphere(place(*centre, layout)?, size(*radius)?)
            }
            Query::In(Shape::Box { centre, half }) => {
                let half = [size(half[0])?, size(half[1])?, size(half[2])?];
                Self::Box(place(*centre, layout)?, half)
            }
            Query::Kinds(kinds) => {
                if kinds
                    .iter()
                    .any(|kind| usize::from(*kind) >= layout.kinds.len())
                {
                    return Err(QueryError::NoSuchKind);
                }
                Self::Kinds(kinds.iter().fold(0, |mask, kind| mask | 1 << kind))
            }
            Query::And(queries) => Self::And(list(queries, parts)?),
            Query::Or(queries) => Self::Or(list(queries, parts)?),
        })
    }

    /// Whether anything in the cell may fit; of one kind, or of any.
    pub(crate) fn may(&self, cell: &Cell, kind: Option<u8>, from: &From) -> bool {
        match self {
            Self::All => true,
            Self::Sphere(centre, radius) => {
                let radius = radius * from.grown;
                cell.distance(centre.unwrap_or(from.own), from.dims) <= radius * radius
            }
            Self::Box(centre, half) => {
                let centre = centre.unwrap_or(from.own);
                (0..from.dims).all(|axis| {
                    let off = (cell.middle[axis] - centre[axis]).abs() - cell.half;
                    off <= half[axis] * from.grown
                })
            }
            Self::Kinds(mask) => kind.is_none_or(|kind| mask >> kind & 1 == 1),
            Self::And(parts) => parts.iter().all(|part| part.may(cell, kind, from)),
            Self::Or(parts) => parts.iter().any(|part| part.may(cell, kind, from)),
        }
    }

    /// The box in which everything lies that may fit. `None`: there is no limit.
    pub(crate) fn area(&self, from: &From) -> Option<([f64; 3], [f64; 3])> {
        let around = |centre: &Option<[f64; 3]>, half: [f64; 3]| {
            let centre = centre.unwrap_or(from.own);
            let at = |sign: f64| {
                std::array::from_fn(|axis| centre[axis] + sign * half[axis] * from.grown)
            };
            Some((at(-1.0), at(1.0)))
        };
        match self {
            Self::All | Self::Kinds(_) => None,
            Self::Sphere(centre, radius) => around(centre, [*radius; 3]),
            Self::Box(centre, half) => around(centre, *half),
            Self::And(parts) => parts
                .iter()
                .filter_map(|part| part.area(from))
                .reduce(|a, b| (pick(a.0, b.0, f64::max), pick(a.1, b.1, f64::min))),
            Self::Or(parts) => union(parts.iter().map(|part| part.area(from))),
        }
    }

    /// The least size of a shape around the viewer: it says how far they may go before it's to be asked again.
    pub(crate) fn least_own(&self) -> f64 {
        match self {
            Self::Sphere(None, radius) => *radius,
            Self::Box(None, half) => half
                .iter()
                .copied()
                .filter(|half| *half > 0.0)
                .fold(f64::MAX, f64::min),
            Self::And(parts) | Self::Or(parts) => {
                parts.iter().map(Self::least_own).fold(f64::MAX, f64::min)
            }
            Self::Sphere(..) | Self::Box(..) | Self::All | Self::Kinds(_) => f64::MAX,
        }
    }
}

type Area = Option<([f64; 3], [f64; 3])>;

/// The box around some, if all of them have limits.
pub(crate) fn union(mut areas: impl Iterator<Item = Area>) -> Area {
    let first = areas.next()??;
    areas.try_fold(first, |a, b| {
        let b = b?;
        Some((pick(a.0, b.0, f64::min), pick(a.1, b.1, f64::max)))
    })
}

fn pick(a: [f64; 3], b: [f64; 3], which: fn(f64, f64) -> f64) -> [f64; 3] {
    std::array::from_fn(|axis| which(a[axis], b[axis]))
}

fn place(centre: Centre, layout: &Layout) -> Result<Option<[f64; 3]>, QueryError> {
    match centre {
        Centre::Own => Ok(None),
        Centre::At(at) if at.iter().all(|x| x.is_finite()) => {
            Ok(Some(at.map(|x| x / layout.precision)))
        }
        Centre::At(_) => Err(QueryError::NotANumber),
    }
}
