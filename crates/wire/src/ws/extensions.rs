//! `Sec-WebSocket-Extensions`: what clients offer, and the answer.
//!
//! The one extension is permessage-deflate (RFC 7692). The server always asks for no context takeover in both
//! directions: then nothing is kept between messages, and one compressed form serves all receivers.

/// The header is not what RFC 6455 (9.1) allows: answer 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Sec-WebSocket-Extensions is malformed")]
pub struct BadExtensions;

/// What both sides use on this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deflate {
    /// The client asked to be told the server's window, so the answer names it.
    names_server_window: bool,
}

impl Deflate {
    /// The value of `Sec-WebSocket-Extensions` in the answer.
    #[must_use]
    pub const fn response(self) -> &'static str {
        if self.names_server_window {
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=15"
        } else {
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
        }
    }
}

/// Chooses from the offers in a request's header (several header lines joined with `,`): the first offer that can be
/// met, or `None` to go without. Offers with unknown, doubled or ill-valued parameters are declined (RFC 7692, 7.1).
///
/// # Errors
/// [`BadExtensions`] if the header breaks the grammar, whatever it offers.
pub fn negotiate(header: &str) -> Result<Option<Deflate>, BadExtensions> {
    let mut chosen = None;
    let mut rest = header;
    loop {
        let (offer, after) = parse_offer(rest)?;
        chosen = chosen.or(offer);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(chosen),
            None => return Err(BadExtensions),
        }
    }
}

/// One offer, and what follows it.
fn parse_offer(text: &str) -> Result<(Option<Deflate>, &str), BadExtensions> {
    let (name, mut rest) = token(text.trim_start_matches(WS))?;
    let mut terms = Terms::default();
    loop {
        rest = rest.trim_start_matches(WS);
        let Some(after) = rest.strip_prefix(';') else {
            break;
        };
        let (key, after) = token(after.trim_start_matches(WS))?;
        rest = after.trim_start_matches(WS);
        let mut value = None;
        if let Some(after) = rest.strip_prefix('=') {
            let (text, after) = parse_value(after.trim_start_matches(WS))?;
            (value, rest) = (Some(text), after);
        }
        terms.take(key, value);
    }
    let known = name.eq_ignore_ascii_case("permessage-deflate");
    Ok((terms.accept().filter(|_| known), rest))
}

const WS: [char; 2] = [' ', '\t'];

fn token(text: &str) -> Result<(&str, &str), BadExtensions> {
    let end = text
        .bytes()
        .position(|b| !(b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)))
        .unwrap_or(text.len());
    if end == 0 {
        Err(BadExtensions)
    } else {
        Ok(text.split_at(end))
    }
}

/// A token, or a token in quotes. Escapes in quotes are allowed by the grammar and used by nobody: refused.
fn parse_value(text: &str) -> Result<(&str, &str), BadExtensions> {
    match text.strip_prefix('"') {
        None => token(text),
        Some(quoted) => {
            let (value, rest) = token(quoted)?;
            Ok((value, rest.strip_prefix('"').ok_or(BadExtensions)?))
        }
    }
}

/// The parameters of one offer.
#[derive(Default)]
struct Terms {
    seen: u8,
    declined: bool,
    names_server_window: bool,
}

impl Terms {
    fn take(&mut self, key: &str, value: Option<&str>) {
        let (bit, good) = match key {
            "server_no_context_takeover" => (1, value.is_none()),
            "client_no_context_takeover" => (2, value.is_none()),
            "client_max_window_bits" => (4, value.is_none_or(|v| window_bits(v).is_some())),
            // A smaller window than 15 is not to be had: the shared compressed form uses all of it.
            "server_max_window_bits" => (8, value.and_then(window_bits) == Some(15)),
            _ => (0, false),
        };
        self.declined |= !good || self.seen & bit != 0;
        self.seen |= bit;
        self.names_server_window |= bit == 8;
    }

    fn accept(self) -> Option<Deflate> {
        (!self.declined).then_some(Deflate {
            names_server_window: self.names_server_window,
        })
    }
}

/// 8 to 15, without leading zeros.
fn window_bits(text: &str) -> Option<u8> {
    match text {
        "8" => Some(8),
        "9" => Some(9),
        _ => text
            .strip_prefix('1')
            .filter(|ones| ones.len() == 1)
            .and_then(|ones| ones.parse::<u8>().ok())
            .filter(|ones| *ones <= 5)
            .map(|ones| 10 + ones),
    }
}

#[cfg(test)]
mod tests;
