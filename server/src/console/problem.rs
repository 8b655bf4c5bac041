//! Why somebody isn't signed in: a status and a code for programs, words for people, and the cause for the log alone.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use openidconnect::url::form_urlencoded;

use super::SessionProblem;
use super::provider::ProviderError;
use super::routes::see_other;
use super::sessions::SessionError;
use crate::http::error;

/// Why there is no session.
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    message: String,
    retry_after_ms: Option<u64>,
}

impl Problem {
    /// The word for programs.
    pub(super) fn code(&self) -> &'static str {
        self.code
    }
}

pub(super) fn problem(status: StatusCode, code: &'static str, message: &str) -> Problem {
    Problem {
        status,
        code,
        message: message.to_owned(),
        retry_after_ms: None,
    }
}

pub(super) fn too_many(wait_ms: u64) -> Problem {
    Problem {
        retry_after_ms: Some(wait_ms),
        ..problem(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_attempts",
            "Too many tries. Wait a little, then try again",
        )
    }
}

pub(super) fn cross_site() -> Problem {
    let message = SessionProblem::CrossSite.to_string();
    problem(StatusCode::FORBIDDEN, "cross_site", &message)
}

pub(super) fn not_configured(what: &str) -> Problem {
    let message = format!("{what} is not set up on this server: see [console] in its settings");
    problem(StatusCode::NOT_FOUND, "not_configured", &message)
}

pub(super) fn expired() -> Problem {
    problem(
        StatusCode::BAD_REQUEST,
        "sign_in_expired",
        "This sign-in was begun too long ago, in another browser, or was used already. Begin anew",
    )
}

impl From<SessionError> for Problem {
    fn from(error: SessionError) -> Self {
        tracing::warn!(%error, "a sign-in at the console could not be stored");
        problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "Sessions can't be stored at the moment. Try again later",
        )
    }
}

impl From<ProviderError> for Problem {
    fn from(error: ProviderError) -> Self {
        tracing::warn!(%error, "a sign-in at the console failed");
        let (status, code, message) = match error {
            ProviderError::Away(_) => (
                StatusCode::BAD_GATEWAY,
                "provider_unreachable",
                "The sign-in provider can't be reached. Try again later",
            ),
            ProviderError::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "provider_busy",
                "Too many people are signing in. Try again in a moment",
            ),
            ProviderError::Wrong(_) => (
                StatusCode::BAD_GATEWAY,
                "provider_error",
                "The sign-in provider's answer can't be used. The server's log says why",
            ),
            ProviderError::Refused(_) | ProviderError::BadToken(_) => (
                StatusCode::FORBIDDEN,
                "sign_in_refused",
                "The sign-in could not be confirmed. Begin anew; the server's log says why",
            ),
        };
        problem(status, code, message)
    }
}

impl Problem {
    pub(super) fn json(self) -> Response {
        let mut response = error::answer(self.status, self.code, self.message);
        if let Some(wait_ms) = self.retry_after_ms {
            let seconds = HeaderValue::from(wait_ms.div_ceil(1_000));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }

    /// For whoever followed a link: the page, which knows the words for each code.
    pub(super) fn page(self, headers: &HeaderMap, return_to: &str) -> Response {
        let accept = headers
            .get(header::ACCEPT)
            .and_then(|value| value.to_str().ok());
        if accept.is_some_and(|accept| accept.starts_with("application/json")) {
            return self.json();
        }
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("problem", self.code);
        if return_to != "/" {
            query.append_pair("return_to", return_to);
        }
        see_other(&format!("/sign-in?{}", query.finish()))
    }
}
