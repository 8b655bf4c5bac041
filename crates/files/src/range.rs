//! Which part of a file a request wants, and whether it has it already (RFC 9110, sections 13 and 14).
//!
//! A request for several parts at once gets the whole, which the RFC allows: nobody but viewers of documents asks so.

use std::ops::Range;

/// Which part is to be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of it: 200.
    Whole,
    /// A part: 206.
    Part(Range<u64>),
    /// One that isn't there: 416.
    Nowhere,
}

/// What a `Range` asks for of a file of so many bytes. What can't be understood is as if it weren't there.
#[must_use]
pub fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some((unit, spec)) = header.and_then(|header| header.split_once('=')) else {
        return Wanted::Whole;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Wanted::Whole;
    }
    let Some((first, last)) = spec.trim().split_once('-') else {
        return Wanted::Whole;
    };
    let part = match (first.trim_end(), last.trim_start()) {
        ("", last) => number(last).map(|count| size.saturating_sub(count)..size),
        (first, "") => number(first).map(|first| first..size),
        (first, last) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => {
                Some(first..last.saturating_add(1).min(size))
            }
            _ => None,
        },
    };
    match part {
        None => Wanted::Whole,
        Some(part) if part.start >= size => Wanted::Nowhere,
        Some(part) => Wanted::Part(part),
    }
}

/// Digits and nothing else; a number past all files is the largest.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// Whether an `If-None-Match` names this tag (in quotes), or everything.
#[must_use]
pub fn is_known(header: Option<&str>, tag: &str) -> bool {
    let Some(header) = header else {
        return false;
    };
    let same = |other: &str| {
        let other = other.trim();
        other.strip_prefix("W/").unwrap_or(other) == tag
    };
    header.trim() == "*" || header.split(',').any(same)
}

/// Whether a part may be answered: an `If-Range`, where there is one, must name exactly this tag. Times never do, since no
/// file has one.
#[must_use]
pub fn may_part(if_range: Option<&str>, tag: &str) -> bool {
    if_range.is_none_or(|header| header.trim() == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_answered_by_the_rules() {
        use Wanted::{Nowhere, Part, Whole};
        for (header, size, answer) in [
            ("bytes=0-499", 1_000, Part(0..500)),
            ("bytes=500-999", 1_000, Part(500..1_000)),
            ("bytes=-500", 1_000, Part(500..1_000)),
            ("bytes=500-", 1_000, Part(500..1_000)),
            ("bytes=0-0", 1_000, Part(0..1)),
            ("bytes=-1", 1_000, Part(999..1_000)),
            ("bytes=999-", 1_000, Part(999..1_000)),
            // Past the end counts to the end.
            ("bytes=900-5000", 1_000, Part(900..1_000)),
            ("bytes=-5000", 1_000, Part(0..1_000)),
            ("bytes=0-18446744073709551615", 1_000, Part(0..1_000)),
            ("bytes=0-99999999999999999999999", 1_000, Part(0..1_000)),
            ("BYTES = 1-2", 1_000, Part(1..3)),
            // Nothing there.
            ("bytes=1000-", 1_000, Nowhere),
            ("bytes=5000-6000", 1_000, Nowhere),
            ("bytes=-0", 1_000, Nowhere),
            ("bytes=0-", 0, Nowhere),
            ("bytes=-5", 0, Nowhere),
            // Not understood, or several.
            ("bytes=5-2", 1_000, Whole),
            ("bytes=", 1_000, Whole),
            ("bytes=-", 1_000, Whole),
            ("bytes=a-b", 1_000, Whole),
            ("bytes=+1-2", 1_000, Whole),
            ("bytes=0-1,5-6", 1_000, Whole),
            ("lines=0-1", 1_000, Whole),
            ("0-1", 1_000, Whole),
        ] {
            assert_eq!(wanted(Some(header), size), answer, "{header} of {size}");
        }
        assert_eq!(wanted(None, 5), Whole);
    }

    #[test]
    fn tags_are_compared_by_the_rules() {
        let tag = "\"abc\"";
        for (header, known) in [
            ("\"abc\"", true),
            ("W/\"abc\"", true),
            ("\"x\", \"abc\"", true),
            ("*", true),
            ("\"ab\"", false),
            ("abc", false),
            ("", false),
        ] {
            assert_eq!(is_known(Some(header), tag), known, "{header}");
        }
        assert!(!is_known(None, tag));
        assert!(may_part(None, tag) && may_part(Some("\"abc\""), tag));
        for header in ["W/\"abc\"", "\"x\"", "Sat, 29 Oct 1994 19:43:31 GMT", "*"] {
            assert!(!may_part(Some(header), tag), "{header}");
        }
    }
}
