//! Safe by itself: whether the server may start as it is set up, and what that makes it.
//!
//! What must hold: nobody reaches a server without sign-in from another machine unless its owner said that it's meant.

use std::net::SocketAddr;

use crate::config::Settings;

/// What the server is, seen from its sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// On loopback, without sign-in: a name is enough.
    Development,
    /// Without sign-in on any address, because its owner said so: a name is enough.
    Open,
    /// Each connection shows a token.
    Production,
}

impl Mode {
    /// The word in the API: "development" wherever a name is enough, "production" where a token is needed.
    pub fn word(self) -> &'static str {
        match self {
            Self::Development | Self::Open => "development",
            Self::Production => "production",
        }
    }
}

/// Why the server doesn't start as it is set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Others could reach it, and nothing says who may come in.
    #[error(
        "{0} can be reached from other machines, and no sign-in is configured.\n\
         Either give a secret that signs tokens, at least 32 bytes:\n    \
         --auth-secret-file FILE   (or --auth-secret, LAKH_AUTH_SECRET, `secret` in [auth])\n\
         or say that everybody may come in:\n    \
         --open                    (or LAKH_OPEN=true, `open = true` in [server])\n\
         or stay on this machine:\n    \
         --bind 127.0.0.1:{port}", port = .0.port()
    )]
    NoSignIn(SocketAddr),
    /// A secret or key says "with sign-in", `--open` says "without".
    #[error(
        "--open says that everybody may come in, and auth.secret (or auth.keys, auth.jwks_url) says that a token is needed: \
         give one of them"
    )]
    OpenWithSecret,
}

/// What the settings make of the server, or why it must not start.
pub fn mode(settings: &Settings) -> Result<Mode, Refusal> {
    let bind = settings.server.bind.0;
    match (settings.auth.needs_tokens(), settings.server.open) {
        (true, true) => Err(Refusal::OpenWithSecret),
        (true, false) => Ok(Mode::Production),
        (false, true) => Ok(Mode::Open),
        (false, false) if bind.ip().to_canonical().is_loopback() => Ok(Mode::Development),
        (false, false) => Err(Refusal::NoSignIn(bind)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::value::{Address, Secret};

    fn of(bind: &str, secret: bool, open: bool) -> Result<Mode, Refusal> {
        let mut settings = Settings::default();
        settings.server.bind = Address(bind.parse().unwrap());
        settings.server.open = open;
        settings.auth.secret = secret.then(|| Secret("x".repeat(32)));
        mode(&settings)
    }

    #[test]
    fn loopback_without_sign_in_is_development() {
        for bind in [
            "127.0.0.1:0",
            "127.9.9.9:1",
            "[::1]:3000",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert_eq!(of(bind, false, false), Ok(Mode::Development), "{bind}");
        }
    }

    #[test]
    fn any_other_address_without_sign_in_is_refused_with_what_to_set() {
        for bind in ["0.0.0.0:3000", "[::]:3000", "192.168.0.1:80", "8.8.8.8:80"] {
            let refusal = of(bind, false, false).unwrap_err().to_string();
            assert!(refusal.contains("--auth-secret"), "{refusal}");
            assert!(refusal.contains("--open"), "{refusal}");
            assert!(refusal.contains(bind), "{refusal}");
        }
    }

    #[test]
    fn open_says_that_it_is_meant() {
        assert_eq!(of("0.0.0.0:3000", false, true), Ok(Mode::Open));
    }

    #[test]
    fn a_secret_makes_it_production_everywhere() {
        assert_eq!(of("127.0.0.1:3000", true, false), Ok(Mode::Production));
        assert_eq!(of("0.0.0.0:3000", true, false), Ok(Mode::Production));
    }

    #[test]
    fn open_and_a_secret_exclude_each_other() {
        assert_eq!(of("127.0.0.1:1", true, true), Err(Refusal::OpenWithSecret));
    }
}
