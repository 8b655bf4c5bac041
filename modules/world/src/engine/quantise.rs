//! Values to bits and back.
//!
//! Rounding is always half up, so that every implementation comes to the same bits: `floor(x / step + 0.5)`. What was
//! decoded encodes to the same bits again, and is within half a step of what was encoded, if that was in range.

use std::f64::consts::{FRAC_1_SQRT_2, TAU};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::schema::Channel;

/// Positions are less than this many steps from the origin along each axis.
pub(crate) const FARTHEST: i32 = 1 << 29;

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// Of a `bool`.
    Bool(bool),
    /// Of an `int`.
    Int(i64),
    /// Of a `float`.
    Float(f64),
    /// Of an `enum`: the number of the name.
    Enum(u16),
    /// Of a `text`.
    Text(Arc<str>),
}

/// A value that fits its channel.
pub(crate) enum Raw {
    Bits(u64),
    Text(Arc<str>),
}

fn half_up(x: f64) -> f64 {
    (x + 0.5).floor()
}

/// A position along an axis in steps. `None`: it's no number, or outside of what a world can hold.
pub(crate) fn steps(x: f64, precision: f64) -> Option<i32> {
    let steps = half_up(x / precision);
    let inside = steps.abs() < f64::from(FARTHEST);
    // In range, just looked at; a NaN is not.
    inside.then_some(steps as i32)
}

/// A velocity as the number of a channel: each axis after the other, with the middle of the range added. What is out
/// of range is cut to it.
pub(crate) fn velocity(v: [f64; 3], step: f64, bits: u32, dims: u8) -> Option<u64> {
    let most = f64::from((1_u32 << (bits - 1)) - 1);
    let mut raw = 0;
    for axis in (0..usize::from(dims)).rev() {
        if v[axis].is_nan() {
            return None;
        }
        let n = half_up(v[axis] / step).clamp(-most, most);
        raw = raw << bits | (n + most) as u64;
    }
    Some(raw)
}

pub(crate) fn velocity_back(mut raw: u64, step: f64, bits: u32, dims: u8) -> [f64; 3] {
    let most = f64::from((1_u32 << (bits - 1)) - 1);
    let mut v = [0.0; 3];
    for axis in v.iter_mut().take(usize::from(dims)) {
        let n = (raw & ((1 << bits) - 1)) as f64;
        // All bits set is no velocity; it's read as the largest.
        *axis = (n - most).min(most) * step;
        raw >>= bits;
    }
    v
}

/// The number that stands for no velocity.
pub(crate) fn standing(bits: u32, dims: u8) -> u64 {
    let most = (1_u64 << (bits - 1)) - 1;
    (0..dims).fold(0, |raw, _| raw << bits | most)
}

pub(crate) fn turn(radians: f64, bits: u32) -> Option<u64> {
    let whole = f64::from(1_u32 << bits);
    let n = half_up(radians / TAU * whole).rem_euclid(whole);
    n.is_finite().then_some(n as u64)
}

pub(crate) fn turn_back(raw: u64, bits: u32) -> f64 {
    raw as f64 / f64::from(1_u32 << bits) * TAU
}

/// A quaternion (x, y, z, w; any length but none): two bits for the place of its largest part, which is made positive
/// and left out, then the others.
pub(crate) fn quaternion(q: [f64; 4], bits: u32) -> Option<u64> {
    let length = q.iter().map(|part| part * part).sum::<f64>().sqrt();
    if !(length.is_finite() && length > 1e-9) {
        return None;
    }
    let again = |raw| smallest_three(quaternion_back(raw, bits), bits);
    let mut raw = smallest_three(q.map(|part| part / length), bits);
    // Where two parts are nearly the largest, rounding may make the other one the larger, and so on; soon it stays, or
    // goes in a circle, of which the least is taken.
    for _ in 0..8 {
        raw = again(raw);
    }
    let (first, mut least) = (raw, raw);
    for _ in 0..8 {
        raw = again(raw);
        least = least.min(raw);
        if raw == first {
            break;
        }
    }
    Some(least)
}

fn smallest_three(q: [f64; 4], bits: u32) -> u64 {
    let mut largest = 0;
    for index in 1..4 {
        // Of equals the first, also where rounding made them equal but for the last digits.
        if q[index].abs() > q[largest].abs() + 1e-9 {
            largest = index;
        }
    }
    let sign = if q[largest] < 0.0 { -1.0 } else { 1.0 };
    let most = middle(bits);
    let mut raw = largest as u64;
    let mut shift = 2;
    for (index, part) in q.iter().enumerate() {
        if index != largest {
            let n = half_up(part * sign / FRAC_1_SQRT_2 * most).clamp(-most, most);
            raw |= ((n + most) as u64) << shift;
            shift += bits;
        }
    }
    raw
}

fn middle(bits: u32) -> f64 {
    f64::from((1_u32 << (bits - 1)) - 1)
}

pub(crate) fn quaternion_back(raw: u64, bits: u32) -> [f64; 4] {
    let largest = (raw & 3) as usize;
    let most = middle(bits);
    let mut q = [0.0; 4];
    let mut rest = raw >> 2;
    let mut sum = 0.0;
    for (index, part) in q.iter_mut().enumerate() {
        if index != largest {
            let n = (rest & ((1 << bits) - 1)) as f64;
            *part = (n - most).min(most) / most * FRAC_1_SQRT_2;
            sum += *part * *part;
            rest >>= bits;
        }
    }
    q[largest] = (1.0_f64 - sum).max(0.0).sqrt();
    q
}

/// A field's value as the number of its channel, or its text. `None`: it's of another type, no number, or too long.
pub(crate) fn field(channel: Channel, value: &Value) -> Option<Raw> {
    let bits = match (channel, value) {
        (Channel::Bool, Value::Bool(on)) => u64::from(*on),
        (Channel::Int { min, most }, Value::Int(n)) => {
            n.saturating_sub(min).clamp(0, i64::from(most)) as u64
        }
        (Channel::Float { min, step, most }, Value::Float(x)) if !x.is_nan() => {
            half_up((x - min) / step).clamp(0.0, f64::from(most)) as u64
        }
        (Channel::Enum { most }, Value::Enum(n)) if u32::from(*n) <= most => u64::from(*n),
        (Channel::Text { max, .. }, Value::Text(text)) if text.len() <= usize::from(max) => {
            return Some(Raw::Text(Arc::clone(text)));
        }
        _ => return None,
    };
    Some(Raw::Bits(bits))
}

/// A field's value. `None` for channels that are none.
pub(crate) fn field_back(channel: Channel, raw: u64, texts: &[Arc<str>]) -> Option<Value> {
    Some(match channel {
        Channel::Bool => Value::Bool(raw != 0),
        Channel::Int { min, most } => Value::Int(min + raw.min(u64::from(most)) as i64),
        Channel::Float { min, step, most } => {
            Value::Float(min + raw.min(u64::from(most)) as f64 * step)
        }
        Channel::Enum { most } => Value::Enum(raw.min(u64::from(most)) as u16),
        Channel::Text { index, .. } => Value::Text(Arc::clone(texts.get(usize::from(index))?)),
        Channel::Velocity { .. } | Channel::Turn { .. } | Channel::Quaternion { .. } => {
            return None;
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bits_of(channel: Channel, value: &Value) -> u64 {
        match field(channel, value) {
            Some(Raw::Bits(bits)) => bits,
            _ => panic!("{value:?} does not fit {channel:?}"),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn floats_come_back_within_half_a_step_and_encode_the_same_again(
            min in -1e4..1e4_f64, span in 0.0..1e4_f64, step in 0.001..10.0_f64, part in 0.0..1.0_f64,
        ) {
            let most = (span / step).round();
            let channel = Channel::Float { min, step, most: most as u32 };
            let x = min + part * most * step;
            let raw = bits_of(channel, &Value::Float(x));
            let Some(Value::Float(back)) = field_back(channel, raw, &[]) else { panic!() };
            prop_assert!((back - x).abs() <= step / 2.0 + 1e-6, "{} became {}", x, back);
            prop_assert_eq!(bits_of(channel, &Value::Float(back)), raw);
        }

        #[test]
        fn whole_numbers_come_back_as_they_were(min in -(1_i64 << 52)..(1 << 52), most: u32, part in 0.0..=1.0_f64) {
            let channel = Channel::Int { min, most };
            let n = min + (f64::from(most) * part) as i64;
            let raw = bits_of(channel, &Value::Int(n));
            prop_assert_eq!(field_back(channel, raw, &[]), Some(Value::Int(n)));
        }

        #[test]
        fn velocities_come_back(v in prop::array::uniform3(-50.0..50.0_f64), bits in 2_u32..=16, dims in 2_u8..=3) {
            let step = 50.0 / f64::from((1_u32 << (bits - 1)) - 1);
            let raw = velocity(v, step, bits, dims).expect("a number");
            prop_assert!(raw >> (bits * u32::from(dims)) == 0);
            let back = velocity_back(raw, step, bits, dims);
            for axis in 0..usize::from(dims) {
                prop_assert!((back[axis] - v[axis]).abs() <= step / 2.0 + 1e-9);
            }
            prop_assert_eq!(velocity(back, step, bits, dims), Some(raw));
        }

        #[test]
        fn rotations_come_back(q in prop::array::uniform4(-1.0..1.0_f64), bits in 4_u32..=15, radians in -20.0..20.0_f64) {
            prop_assume!(q.iter().map(|part| part * part).sum::<f64>() > 1e-3);
            let raw = quaternion(q, bits).expect("a number");
            prop_assert!(raw >> (2 + 3 * bits) == 0);
            let back = quaternion_back(raw, bits);
            prop_assert_eq!(quaternion(back, bits), Some(raw));
            let length = q.iter().map(|part| part * part).sum::<f64>().sqrt();
            let dot: f64 = q.iter().zip(back).map(|(a, b)| a / length * b).sum();
            // Three parts are off by half a step, the fourth by as much as these together; where it's not clear which
            // is the largest, a few times that.
            let step = FRAC_1_SQRT_2 / middle(bits);
            prop_assert!(dot.abs() > 1.0 - 12.0 * step * step, "{:?} became {:?}", q, back);

            let raw = turn(radians, bits).expect("a number");
            let back = turn_back(raw, bits);
            let off = (back - radians).rem_euclid(TAU);
            prop_assert!(off.min(TAU - off) <= TAU / f64::from(1_u32 << bits) / 2.0 + 1e-9);
            prop_assert_eq!(turn(back, bits), Some(raw));
        }

        #[test]
        fn positions_come_back_within_half_a_step(x in -1e6..1e6_f64, precision in 0.01..2.0_f64) {
            let n = steps(x, precision).expect("a number");
            prop_assert!((f64::from(n) * precision - x).abs() <= precision / 2.0 + 1e-6);
            prop_assert_eq!(steps(f64::from(n) * precision, precision), Some(n));
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        assert_eq!(steps(f64::NAN, 0.1), None);
        assert_eq!(steps(f64::INFINITY, 0.1), None);
        assert_eq!(steps(1e300, 0.1), None);
        assert_eq!(turn(f64::NAN, 8), None);
        assert_eq!(quaternion([0.0; 4], 8), None);
        assert_eq!(velocity([f64::NAN, 0.0, 0.0], 1.0, 8, 2), None);
        let float = Channel::Float {
            min: 0.0,
            step: 1.0,
            most: 10,
        };
        assert!(field(float, &Value::Float(f64::NAN)).is_none());
        assert!(field(float, &Value::Bool(true)).is_none());
        assert!(field(Channel::Enum { most: 2 }, &Value::Enum(3)).is_none());
        let text = Channel::Text { max: 3, index: 0 };
        assert!(field(text, &Value::Text("four".into())).is_none());
    }

    #[test]
    fn standing_still_is_no_velocity() {
        assert_eq!(velocity([0.0; 3], 0.5, 9, 3), Some(standing(9, 3)));
        assert_eq!(velocity_back(standing(9, 2), 0.5, 9, 2), [0.0; 3]);
    }
}
