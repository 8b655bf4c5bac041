//! What requests say, read: places, rotations, fields; and written for answers.

use std::sync::Arc;

use lakh_hub::Failure;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Number, Value as Json, json};
use smallvec::SmallVec;

use crate::engine::quantise::Value;
use crate::engine::schema::{FieldType, Kind, Rotation};

/// Fields by name, as they came.
pub(crate) type Fields = Map<String, Json>;

/// A few numbers: a place, a velocity, a rotation. No more than four are ever wanted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Numbers(SmallVec<[f64; 4]>);

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Numbers;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number, or a list of numbers")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut list: A,
            ) -> Result<Self::Value, A::Error> {
                let mut numbers = SmallVec::new();
                while let Some(number) = list.next_element()? {
                    if numbers.len() == 4 {
                        return Err(serde::de::Error::invalid_length(5, &self));
                    }
                    numbers.push(number);
                }
                Ok(Numbers(numbers))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
                Ok(Numbers(SmallVec::from_slice(&[number])))
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Self::Value, E> {
                self.visit_f64(number as f64)
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
                self.visit_f64(number as f64)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Numbers {
    /// A place or velocity: as many numbers as the world has dimensions.
    ///
    /// # Errors
    /// `bad_request`.
    pub(crate) fn vector(&self, dims: u8, what: &str) -> Result<[f64; 3], Failure> {
        if self.0.len() != usize::from(dims) || self.0.iter().any(|x| !x.is_finite()) {
            return Err(Failure::bad_request(format!(
                "{what} is a list of {dims} numbers in this world"
            )));
        }
        let mut vector = [0.0; 3];
        vector[..self.0.len()].copy_from_slice(&self.0);
        Ok(vector)
    }

    /// A rotation of whatever kind: what doesn't fit is found out where the kind is known.
    ///
    /// # Errors
    /// `bad_request`.
    pub(crate) fn any(&self) -> Result<[f64; 4], Failure> {
        if !matches!(self.0.len(), 1 | 4) || self.0.iter().any(|x| !x.is_finite()) {
            return Err(Failure::bad_request(
                "a rotation is a number of radians, or a list of 4 numbers",
            ));
        }
        let mut rotation = [0.0; 4];
        rotation[..self.0.len()].copy_from_slice(&self.0);
        Ok(rotation)
    }

    /// A rotation: an angle, or a quaternion.
    ///
    /// # Errors
    /// `bad_request`.
    pub(crate) fn rotation(&self, kind: &Kind) -> Result<[f64; 4], Failure> {
        let wanted = match kind.rotation {
            Some(Rotation::Turn { .. }) => 1,
            Some(Rotation::Quaternion { .. }) => 4,
            None => {
                return Err(Failure::bad_request(format!(
                    "`{}` has no rotation",
                    kind.name
                )));
            }
        };
        if self.0.len() != wanted || self.0.iter().any(|x| !x.is_finite()) {
            return Err(Failure::bad_request(match wanted {
                1 => "a rotation is a number of radians here",
                _ => "a rotation is a list of 4 numbers here: x, y, z and w of a quaternion",
            }));
        }
        let mut rotation = [0.0; 4];
        rotation[..wanted].copy_from_slice(&self.0);
        Ok(rotation)
    }
}

/// A place for answers.
pub(crate) fn shown(vector: [f64; 3], dims: u8) -> Vec<f64> {
    vector[..usize::from(dims)].to_vec()
}

/// A rotation for answers.
pub(crate) fn shown_rotation(kind: &Kind, rotation: [f64; 4]) -> Option<Json> {
    match kind.rotation? {
        Rotation::Turn { .. } => Some(json!(rotation[0])),
        Rotation::Quaternion { .. } if rotation == [0.0; 4] => Some(json!([0.0, 0.0, 0.0, 1.0])),
        Rotation::Quaternion { .. } => Some(json!(rotation)),
    }
}

/// What fields hold that nobody set.
pub(crate) fn defaults(kind: &Kind) -> Vec<Value> {
    let default = |holds: &FieldType| match holds {
        FieldType::Bool => Value::Bool(false),
        FieldType::Int { min, max } => Value::Int(0.clamp(*min, *max)),
        FieldType::Float { min, max, .. } => Value::Float(0.0_f64.max(*min).min(*max)),
        FieldType::Enum { .. } => Value::Enum(0),
        FieldType::Text { .. } => Value::Text(Arc::from("")),
    };
    kind.fields
        .iter()
        .map(|field| default(&field.holds))
        .collect()
}

/// Reads fields that are to be set, with their numbers.
///
/// # Errors
/// `bad_request` that names the field.
pub(crate) fn read(kind: &Kind, fields: &Fields) -> Result<Vec<(u8, Value)>, Failure> {
    let mut read = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        let Some(number) = kind.fields.iter().position(|field| field.name == *name) else {
            return Err(Failure::bad_request(format!(
                "`{}` has no field `{name}`",
                kind.name
            )));
        };
        let value = value_of(&kind.fields[number].holds, value).map_err(|wanted| {
            Failure::bad_request(format!("field `{name}` of `{}` is {wanted}", kind.name))
        })?;
        read.push((number as u8, value));
    }
    Ok(read)
}

fn value_of(holds: &FieldType, value: &Json) -> Result<Value, String> {
    match (holds, value) {
        (FieldType::Bool, Json::Bool(on)) => Ok(Value::Bool(*on)),
        (FieldType::Bool, _) => Err("true or false".into()),
        (FieldType::Int { min, max }, value) => {
            let number = value.as_i64().or_else(|| {
                let number = value.as_f64().filter(|number| number.fract() == 0.0)?;
                // Cut to the range of the type: what is beyond is refused next.
                Some(number as i64)
            });
            let number = number.filter(|number| (min..=max).contains(&number));
            number
                .map(Value::Int)
                .ok_or_else(|| format!("a whole number from {min} to {max}"))
        }
        (FieldType::Float { min, max, .. }, value) => {
            let number = value
                .as_f64()
                .filter(|number| (min..=max).contains(&number));
            number
                .map(Value::Float)
                .ok_or_else(|| format!("a number from {min} to {max}"))
        }
        (FieldType::Enum { names }, value) => {
            let number = match value {
                Json::String(name) => names.iter().position(|other| other == name),
                value => value
                    .as_u64()
                    .and_then(|number| usize::try_from(number).ok())
                    .filter(|number| *number < names.len()),
            };
            number
                .map(|number| Value::Enum(number as u16))
                .ok_or_else(|| format!("one of {}", names.join(", ")))
        }
        (FieldType::Text { max }, Json::String(text)) if text.len() <= usize::from(*max) => {
            Ok(Value::Text(text.as_str().into()))
        }
        (FieldType::Text { max }, _) => Err(format!("a text of at most {max} bytes")),
    }
}

/// Fields for answers and for the store.
pub(crate) fn shown_fields(kind: &Kind, values: &[Value]) -> Fields {
    let shown = |holds: &FieldType, value: &Value| match (holds, value) {
        (_, Value::Bool(on)) => Json::Bool(*on),
        (_, Value::Int(number)) => Json::from(*number),
        (_, Value::Float(number)) => Number::from_f64(*number).map_or(Json::Null, Json::Number),
        (FieldType::Enum { names }, Value::Enum(number)) => {
            let name = names.get(usize::from(*number));
            name.map_or(Json::Null, |name| Json::from(name.as_str()))
        }
        (_, Value::Enum(number)) => Json::from(*number),
        (_, Value::Text(text)) => Json::from(&**text),
    };
    kind.fields
        .iter()
        .zip(values)
        .map(|(field, value)| (field.name.clone(), shown(&field.holds, value)))
        .collect()
}

/// The beginning of a text that fits into so many bytes.
pub(crate) fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::schema::Field;

    fn kind() -> Kind {
        let field = |name: &str, holds| Field {
            name: name.into(),
            holds,
        };
        Kind {
            name: "ship".into(),
            rotation: Some(Rotation::Turn { bits: 8 }),
            fields: vec![
                field("name", FieldType::Text { max: 4 }),
                field("crew", FieldType::Int { min: 1, max: 9 }),
                field(
                    "sort",
                    FieldType::Enum {
                        names: vec!["tug".into(), "ferry".into()],
                    },
                ),
                field(
                    "fuel",
                    FieldType::Float {
                        min: 0.0,
                        max: 1.0,
                        step: 0.1,
                    },
                ),
                field("on", FieldType::Bool),
            ],
            ..Kind::default()
        }
    }

    #[test]
    fn fields_are_read_by_name_and_shown_by_name() {
        let kind = kind();
        let said = json!({"name": "Ada", "crew": 3.0, "sort": "ferry", "fuel": 0.5, "on": true});
        let said = said.as_object().unwrap();
        let mut values = defaults(&kind);
        for (number, value) in read(&kind, said).unwrap() {
            values[usize::from(number)] = value;
        }
        let expected = json!({"name": "Ada", "crew": 3, "sort": "ferry", "fuel": 0.5, "on": true});
        assert_eq!(Json::Object(shown_fields(&kind, &values)), expected);
    }

    #[test]
    fn what_does_not_fit_is_refused_by_its_name() {
        for (said, told) in [
            (json!({"name": "Adele"}), "at most 4 bytes"),
            (json!({"crew": 10}), "from 1 to 9"),
            (json!({"crew": 1.5}), "from 1 to 9"),
            (json!({"sort": "liner"}), "tug, ferry"),
            (json!({"fuel": -1}), "from 0 to 1"),
            (json!({"on": 1}), "true or false"),
            (json!({"mass": 1}), "no field `mass`"),
        ] {
            let failure = read(&kind(), said.as_object().unwrap()).unwrap_err();
            assert!(failure.message.contains(told), "{}", failure.message);
        }
    }

    #[test]
    fn numbers_come_alone_or_as_a_list() {
        let read = |text: &str| serde_json::from_str::<Numbers>(text);
        assert_eq!(read("1.5").unwrap().rotation(&kind()).unwrap()[0], 1.5);
        assert_eq!(
            read("[1, 2]").unwrap().vector(2, "at").unwrap(),
            [1.0, 2.0, 0.0]
        );
        assert!(read("[1, 2]").unwrap().vector(3, "at").is_err());
        assert!(read("[1, 2, 3, 4, 5]").is_err());
        assert!(read("\"1\"").is_err());
    }

    #[test]
    fn a_text_is_cut_between_letters() {
        assert_eq!(cut("Ödön", 4), "Öd");
        assert_eq!(cut("Ada", 32), "Ada");
    }
}
