//! What can be wrong with a request to the server: a code for programs, a message for people.

use std::fmt;

use lakh_hub::{EmitError, Failure, Full};
use lakh_store::{ReadError, WriteError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// The code of what may have been done or not.
pub(super) const OUTCOME_UNKNOWN: &str = "outcome_unknown";

/// What kind of thing is wrong. Each has a status over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request is not understood, or asks for what can't be.
    Bad,
    /// Nobody is signed in.
    Unauthorized,
    /// Whoever is signed in may not.
    Forbidden,
    /// What is named isn't there.
    NotFound,
    /// Something else is under way, or was done before.
    Conflict,
    /// It took too long to arrive.
    Timeout,
    /// It's too much at once.
    TooLarge,
    /// It's of a kind that isn't taken.
    MediaType,
    /// The request is understood, and contradicts itself or an earlier one.
    Unprocessable,
    /// Too many requests.
    TooMany,
    /// It could not be done now, and can be tried again.
    Unavailable,
    /// It should not have happened.
    Internal,
}

impl Kind {
    /// The status over HTTP.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Bad => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Timeout => 408,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::MediaType => 415,
            Self::Unprocessable => 422,
            Self::TooMany => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
        }
    }
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The kind, which makes the status.
    pub kind: Kind,
    /// For programs, `snake_case`.
    pub code: String,
    /// For people: what went wrong and what to do about it.
    pub message: String,
    /// After how many milliseconds it's worth another try.
    pub retry_after_ms: Option<u64>,
    /// What is there, where that is not what was expected.
    pub current: Option<Box<Value>>,
}

/// What went wrong, as it's written: in results of batches, and in answers of other nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProblemText {
    /// For programs.
    #[schema(example = "forbidden")]
    pub code: String,
    /// For people.
    pub message: String,
}

impl Problem {
    /// One of a kind.
    pub fn new(kind: Kind, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: code.into(),
            message: message.into(),
            retry_after_ms: None,
            current: None,
        }
    }

    /// The request is not understood, or asks for what can't be.
    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(Kind::Bad, "bad_request", message)
    }

    /// What is named isn't there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, "not_found", message)
    }

    /// It could not be done now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self {
            retry_after_ms: Some(1_000),
            ..Self::new(Kind::Unavailable, "unavailable", message)
        }
    }

    /// It was begun, and may be done yet or not.
    pub fn unknown(message: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, OUTCOME_UNKNOWN, message)
    }

    /// Whether nobody knows if it was done.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.code == OUTCOME_UNKNOWN
    }

    /// After how many whole seconds it's worth another try, as `Retry-After` says it.
    #[must_use]
    pub fn retry_after_s(&self) -> Option<u64> {
        self.retry_after_ms.map(|ms| ms.div_ceil(1_000).max(1))
    }

    /// Without the kind.
    #[must_use]
    pub fn text(&self) -> ProblemText {
        ProblemText {
            code: self.code.clone(),
            message: self.message.clone(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let kind = match failure.code {
            "bad_request" => Kind::Bad,
            "unauthorized" => Kind::Unauthorized,
            "forbidden" | "not_member" | "banned" | "muted" | "blocked" => Kind::Forbidden,
            "not_found" => Kind::NotFound,
            "conflict" | "archived" | "locked" => Kind::Conflict,
            "too_large" => Kind::TooLarge,
            "unsupported_type" => Kind::MediaType,
            "rate_limited" | "slow_mode" => Kind::TooMany,
            "unavailable" => return Self::unavailable(failure.message),
            "internal" => Kind::Internal,
            _ => Kind::Unprocessable,
        };
        Self {
            current: failure.current,
            ..Self::new(kind, failure.code, failure.message)
        }
    }
}

impl From<EmitError> for Problem {
    fn from(error: EmitError) -> Self {
        match error {
            EmitError::Args(error) => Self::bad(error.to_string()),
            EmitError::Overloaded(full) => full.into(),
        }
    }
}

impl From<Full> for Problem {
    fn from(full: Full) -> Self {
        Self::unavailable(full.to_string())
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        Self::unavailable(error.to_string())
    }
}

impl From<WriteError> for Problem {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Invalid { .. } => Self::bad(error.to_string()),
            _ => Self::unavailable(error.to_string()),
        }
    }
}
