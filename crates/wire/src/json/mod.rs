//! JSON as text that is passed on: read token by token, never built into values.
//!
//! What clients send is relayed unparsed, so it has to be valid, and checking it must need neither recursion nor
//! memory. Source: RFC 8259; what `JSON.parse` takes is what [`Scanner`] takes.

mod containers;
mod scan;
mod string;

pub(crate) use containers::{Container, Placeholder, containers};
pub(crate) use scan::{JsonError, Scanner, Token};
pub(crate) use string::{escape, escaped, unescape};

/// More nesting than this is refused whatever the limits say: the scanner's stack has so many bits.
pub(crate) const MOST_DEPTH: usize = 1024;

/// Scans the rest of the text to its end.
pub(crate) fn finish(scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
    while scanner.next()?.is_some() {}
    Ok(())
}

#[cfg(test)]
mod tests;
