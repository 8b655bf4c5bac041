//! Dates in msgpack, and as `Date.prototype.toISOString` writes them.

use std::fmt::Write as _;

/// What notepack makes a `Date` of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Date {
    /// Milliseconds since 1970.
    Valid(i64),
    /// Beyond the range of JavaScript's dates.
    Invalid,
}

/// Reads a date: a timestamp of the msgpack specification (ext −1 in its three forms), or milliseconds as notepack 2
/// writes them (fixed ext 0 of 8 bytes). `None` if this is no date.
pub(super) fn read(kind: i8, data: &[u8], fixed: bool) -> Option<Date> {
    let u32_at = |at: usize| {
        data.get(at..at + 4)?
            .try_into()
            .ok()
            .map(u32::from_be_bytes)
    };
    let i32_at = |at: usize| {
        data.get(at..at + 4)?
            .try_into()
            .ok()
            .map(i32::from_be_bytes)
    };
    const TWO_32: f64 = 4_294_967_296.0;
    // In 64-bit floats, as JavaScript calculates.
    let ms = match (kind, data.len(), fixed) {
        (0, 8, true) => f64::from(i32_at(0)?) * TWO_32 + f64::from(u32_at(4)?),
        (-1, 4, true) => f64::from(u32_at(0)?) * 1e3,
        (-1, 8, true) => {
            let (high, low) = (u32_at(0)?, u32_at(4)?);
            let seconds = f64::from(high & 3) * TWO_32 + f64::from(low);
            seconds * 1e3 + f64::from(high >> 2) / 1e6
        }
        (-1, 12, false) => {
            let seconds = f64::from(i32_at(4)?) * TWO_32 + f64::from(u32_at(8)?);
            seconds * 1e3 + f64::from(u32_at(0)?) / 1e6
        }
        _ => return None,
    };
    Some(if ms.abs() <= 8.64e15 {
        Date::Valid(ms as i64)
    } else {
        Date::Invalid
    })
}

/// Appends `YYYY-MM-DDTHH:MM:SS.mmmZ`; years beyond four digits get a sign and six.
pub(super) fn write_iso(out: &mut String, ms: i64) {
    const DAY: i64 = 86_400_000;
    let (year, month, day) = civil(ms.div_euclid(DAY));
    let time = ms.rem_euclid(DAY);
    let (hour, minute) = (time / 3_600_000, time / 60_000 % 60);
    let (second, milli) = (time / 1000 % 60, time % 1000);
    // Writing to a String can't fail.
    let _ = match year {
        0..=9999 => write!(out, "{year:04}"),
        _ => write!(out, "{year:+07}"),
    };
    let _ = write!(
        out,
        "-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"
    );
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar. Counted in eras of 400 years
/// whose years begin in March, so that the leap day is the last of its year.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}
