//! Signed requests over HTTP: for backends that don't want their key to travel.
//!
//! The caller and the server share a secret. The caller sends
//!
//! ```text
//! Authorization: Lakh-HMAC-SHA256 key=<id>, time=<seconds since 1970>, nonce=<text>, signature=<64 hex digits>
//! ```
//!
//! where the signature is HMAC-SHA256, by the secret's bytes as key, over these lines, each but the last ended by `\n`:
//!
//! ```text
//! lakh-hmac-sha256
//! <id of the key>
//! <time>
//! <nonce>
//! <method, in capitals>
//! <path, and `?` with the query if there is one: the bytes of the request line>
//! <SHA-256 of the body in hex; of nothing, if there is no body>
//! ```
//!
//! What must hold: nothing of a request that was signed can be changed, it's good for [`WINDOW_S`] before and after its
//! time, and, where [`Replays`] is asked, once. The host is not signed: give each server keys of its own. [`Replays`] is of
//! one node; behind a balancer the same request could be played once to each, so what must not happen twice needs an
//! idempotency key beside.
//!
//! In order: [`Signed::parse`] the header, find the secret by [`Signed::key`], [`Signed::verify`], then
//! [`Replays::first_time`] (after the signature, so that strangers can't fill it).

use std::collections::{HashSet, VecDeque};

use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::api_key::{hex, unhex};

/// The scheme in `Authorization`.
pub const SCHEME: &str = "Lakh-HMAC-SHA256";
/// Seconds by which a request's time may differ from the server's, either way.
pub const WINDOW_S: u64 = 300;
/// A longer header is none of ours.
const MAX_HEADER_BYTES: usize = 512;
const MAX_WORD_BYTES: usize = 64;

/// What of a request is signed.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Such as `POST`.
    pub method: &'a str,
    /// Path and query, as they stand in the request line.
    pub target: &'a str,
    /// The body, as it was sent.
    pub body: &'a [u8],
}

/// Why a request was not taken for signed. The text may be shown to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// The header is none.
    #[error(
        "Write `Authorization: Lakh-HMAC-SHA256 key=…, time=…, nonce=…, signature=…` with a time in seconds, a nonce \
         of 1 to 64 letters, digits, - or _, and 64 hex digits of signature"
    )]
    Malformed,
    /// Signed with another secret, or something was changed under way.
    #[error("The signature is not valid")]
    Wrong,
    /// Too old, too new, or one of the clocks is wrong.
    #[error("The time of the signature is more than 5 minutes off")]
    OutOfTime,
    /// It came before.
    #[error("This request was sent before: sign each one with a nonce of its own")]
    Replayed,
    /// So many are remembered that no more can be told from replays.
    #[error("Too many signed requests at once, try again later")]
    Busy,
}

/// What the header of a signed request says. Nothing of it is true before [`Signed::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The id of the key.
    pub key: String,
    /// When it was signed, in seconds since 1970.
    pub time_s: u64,
    /// What makes it differ from others of the same second.
    pub nonce: String,
    signature: [u8; 32],
}

impl Signed {
    /// Whether a header's value is of this scheme, so that it's not taken for another.
    #[must_use]
    pub fn is_scheme(header: &str) -> bool {
        let scheme = header.split(' ').next().unwrap_or_default();
        scheme.eq_ignore_ascii_case(SCHEME)
    }

    /// Reads the value of the header `Authorization`.
    ///
    /// # Errors
    /// If it's no signature.
    pub fn parse(header: &str) -> Result<Self, SignatureError> {
        if header.len() > MAX_HEADER_BYTES || !Self::is_scheme(header) {
            return Err(SignatureError::Malformed);
        }
        let (mut key, mut time, mut nonce, mut signature) = (None, None, None, None);
        let (_, fields) = header.split_once(' ').ok_or(SignatureError::Malformed)?;
        for field in fields.split(',') {
            let (name, value) = field
                .trim()
                .split_once('=')
                .ok_or(SignatureError::Malformed)?;
            let place = match name {
                "key" => &mut key,
                "time" => &mut time,
                "nonce" => &mut nonce,
                "signature" => &mut signature,
                _ => return Err(SignatureError::Malformed),
            };
            if place.replace(value).is_some() {
                return Err(SignatureError::Malformed);
            }
        }
        let read = || {
            let digits = time.filter(|time| time.bytes().all(|byte| byte.is_ascii_digit()))?;
            Some(Self {
                key: word(key?)?.to_owned(),
                time_s: digits.parse().ok()?,
                nonce: word(nonce?)?.to_owned(),
                signature: unhex(signature?)?.try_into().ok()?,
            })
        };
        read().ok_or(SignatureError::Malformed)
    }

    /// Whether the request was signed with this secret, and lately.
    ///
    /// # Errors
    /// If not.
    pub fn verify(
        &self,
        secret: &[u8],
        request: &Request<'_>,
        now_s: u64,
    ) -> Result<(), SignatureError> {
        mac(secret, &self.key, self.time_s, &self.nonce, request)
            // The comparison takes the same time wherever it differs.
            .verify_slice(&self.signature)
            .map_err(|_| SignatureError::Wrong)?;
        match self.time_s.abs_diff(now_s) > WINDOW_S {
            true => Err(SignatureError::OutOfTime),
            false => Ok(()),
        }
    }
}

/// Signs a request: the value of the header `Authorization`. `None` if key or nonce are not 1 to 64 letters, digits, `-`
/// or `_`.
#[must_use]
pub fn sign(
    secret: &[u8],
    key: &str,
    nonce: &str,
    request: &Request<'_>,
    now_s: u64,
) -> Option<String> {
    let (key, nonce) = (word(key)?, word(nonce)?);
    let signature = mac(secret, key, now_s, nonce, request)
        .finalize()
        .into_bytes();
    let signature = hex(&signature);
    Some(format!(
        "{SCHEME} key={key}, time={now_s}, nonce={nonce}, signature={signature}"
    ))
}

fn word(text: &str) -> Option<&str> {
    let of_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (!text.is_empty() && text.len() <= MAX_WORD_BYTES && text.bytes().all(of_word)).then_some(text)
}

fn mac(secret: &[u8], key: &str, time_s: u64, nonce: &str, request: &Request<'_>) -> Hmac<Sha256> {
    // No part but the target can hold a line's end, and a request line can't either: the lines say one thing only.
    let method = request.method.to_ascii_uppercase();
    let body = hex(&Sha256::digest(request.body));
    let target = request.target;
    let lines = format!("lakh-hmac-sha256\n{key}\n{time_s}\n{nonce}\n{method}\n{target}\n{body}");
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("any length");
    mac.update(lines.as_bytes());
    mac
}

/// The signed requests of the last minutes, so that none is taken twice.
#[derive(Debug)]
pub struct Replays {
    max: usize,
    seen: HashSet<[u8; 32]>,
    /// In the order in which they came, with when each can be forgotten.
    order: VecDeque<(u64, [u8; 32])>,
}

impl Replays {
    /// Remembers so many at most; 100 bytes each.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self {
            max,
            seen: HashSet::new(),
            order: VecDeque::new(),
        }
    }

    /// Notes a request that was verified.
    ///
    /// # Errors
    /// If it came before, or if no more can be remembered: rather none than one twice.
    pub fn first_time(&mut self, signed: &Signed, now_s: u64) -> Result<(), SignatureError> {
        while let Some((until_s, signature)) = self.order.front()
            && *until_s < now_s
        {
            self.seen.remove(signature);
            self.order.pop_front();
        }
        if self.seen.contains(&signed.signature) {
            return Err(SignatureError::Replayed);
        }
        if self.order.len() >= self.max {
            return Err(SignatureError::Busy);
        }
        self.seen.insert(signed.signature);
        // Its time may lie ahead by the window, and it's good for another window from there.
        let until_s = now_s.saturating_add(2 * WINDOW_S);
        self.order.push_back((until_s, signed.signature));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"correct horse battery staple";
    const NOW: u64 = 1_800_000_000;

    fn request() -> Request<'static> {
        Request {
            method: "POST",
            target: "/api/v1/rooms/board%3A7/emit?volatile=true",
            body: br#"{"event":"hello"}"#,
        }
    }

    fn signed() -> Signed {
        Signed::parse(&sign(SECRET, "0a1b", "n-1", &request(), NOW).unwrap()).unwrap()
    }

    /// Made with `printf … | openssl dgst -sha256 -hmac 'correct horse battery staple'`, so that other languages' clients
    /// can be held against it.
    #[test]
    fn the_signature_is_what_openssl_makes_of_the_lines() {
        let header = sign(SECRET, "0a1b", "n-1", &request(), NOW).unwrap();
        assert_eq!(
            header,
            "Lakh-HMAC-SHA256 key=0a1b, time=1800000000, nonce=n-1, \
             signature=06280efe868896487b12eae7d2d5292c7404b66c78a0ac19966b5f1bd07f8cd0"
        );
    }

    #[test]
    fn nothing_of_a_signed_request_can_be_changed() {
        let good = signed();
        assert_eq!(good.verify(SECRET, &request(), NOW), Ok(()));
        let lower = Request {
            method: "post",
            ..request()
        };
        assert_eq!(good.verify(SECRET, &lower, NOW), Ok(()));
        for changed in [
            Request {
                method: "PUT",
                ..request()
            },
            Request {
                target: "/api/v1/rooms/board%3A8/emit?volatile=true",
                ..request()
            },
            Request {
                body: b"",
                ..request()
            },
        ] {
            let refused = good.verify(SECRET, &changed, NOW);
            assert_eq!(refused, Err(SignatureError::Wrong), "{changed:?}");
        }
        for changed in [
            Signed {
                key: "0a1c".into(),
                ..good.clone()
            },
            Signed {
                time_s: NOW + 1,
                ..good.clone()
            },
            Signed {
                nonce: "n-2".into(),
                ..good.clone()
            },
        ] {
            let refused = changed.verify(SECRET, &request(), NOW);
            assert_eq!(refused, Err(SignatureError::Wrong), "{changed:?}");
        }
        let other = good.verify(b"another", &request(), NOW);
        assert_eq!(other, Err(SignatureError::Wrong));
    }

    #[test]
    fn a_signature_is_good_for_five_minutes_around_its_time() {
        for (now, expected) in [
            (NOW + WINDOW_S, Ok(())),
            (NOW - WINDOW_S, Ok(())),
            (NOW + WINDOW_S + 1, Err(SignatureError::OutOfTime)),
            (NOW - WINDOW_S - 1, Err(SignatureError::OutOfTime)),
        ] {
            assert_eq!(signed().verify(SECRET, &request(), now), expected);
        }
    }

    #[test]
    fn a_request_is_taken_once_and_a_full_memory_takes_none() {
        let other = |nonce: &str| {
            Signed::parse(&sign(SECRET, "k", nonce, &request(), NOW).unwrap()).unwrap()
        };
        let mut replays = Replays::new(2);
        assert_eq!(replays.first_time(&signed(), NOW), Ok(()));
        let again = replays.first_time(&signed(), NOW + WINDOW_S);
        assert_eq!(again, Err(SignatureError::Replayed));
        assert_eq!(replays.first_time(&other("b"), NOW), Ok(()));
        let third = replays.first_time(&other("c"), NOW);
        assert_eq!(third, Err(SignatureError::Busy));
        // It's forgotten when its time alone refuses it.
        let later = NOW + 2 * WINDOW_S + 1;
        assert_eq!(replays.first_time(&other("c"), later), Ok(()));
        let late = signed().verify(SECRET, &request(), later);
        assert_eq!(late, Err(SignatureError::OutOfTime));
    }

    #[test]
    fn other_headers_are_no_signature() {
        let good = sign(SECRET, "0a1b", "n-1", &request(), NOW).unwrap();
        for bad in [
            String::new(),
            SCHEME.into(),
            format!("{SCHEME} "),
            "Bearer a.b.c".into(),
            good.replace("time=1800000000", "time=-5"),
            good.replace("time=1800000000", "time=+5"),
            good.replace("nonce=n-1", "nonce="),
            good.replace("nonce=n-1", "nonce=a b"),
            good.replace("nonce=n-1, ", ""),
            good.replace("nonce=n-1", "nonce=n-1, nonce=n-2"),
            good.replace("key=0a1b", "key=é"),
            good[..good.len() - 1].to_owned(),
            format!("{good}, more=1"),
            format!("{good}{}", " ".repeat(MAX_HEADER_BYTES)),
        ] {
            let parsed = Signed::parse(&bad);
            assert_eq!(parsed, Err(SignatureError::Malformed), "{bad}");
        }
        let lower = good.replace(SCHEME, "lakh-hmac-sha256");
        assert!(Signed::parse(&lower).is_ok() && Signed::is_scheme(&lower));
        assert_eq!(sign(SECRET, "", "n", &request(), NOW), None);
        assert_eq!(sign(SECRET, "k", "n\n", &request(), NOW), None);
    }
}
