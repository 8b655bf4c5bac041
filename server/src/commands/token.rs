//! `lakh token`: makes a token that this configuration takes.

use std::process::ExitCode;

use super::Failure;
use crate::cli::TokenArgs;
use crate::config::Settings;
use crate::sign_in::{Principal, Tokens};

/// Prints the token and nothing else.
pub fn run(settings: &Settings, args: &TokenArgs) -> Result<ExitCode, Failure> {
    let token = make(settings, args, super::now_s())?;
    super::print(&(token + "\n"))
}

fn make(settings: &Settings, args: &TokenArgs, now_s: u64) -> Result<String, Failure> {
    if settings.auth.secret.is_none() {
        return Err(Failure::Usage(
            "there is no secret to sign with: give --auth-secret-file FILE, or set `secret` in [auth].\n\
             In development no token is needed: a client gives a name, io(url, { auth: { name: \"Ada\" } })"
                .into(),
        ));
    }
    let tokens = Tokens::new(&settings.auth)?;
    let id = args.sub.as_deref().unwrap_or("admin");
    let principal = Principal {
        id: id.to_owned(),
        name: args.name.clone().unwrap_or_else(|| id.to_owned()),
        admin: args.admin,
        expires_at: None,
    };
    if args.ttl.as_secs() == 0 {
        return Err(Failure::Usage("--ttl must be at least a second".into()));
    }
    let token = tokens
        .issue(&principal, now_s, args.ttl.as_secs())
        .ok_or_else(|| Failure::Usage("--ttl is too long".into()))?;
    // What the server would refuse (an id with control characters, a name too long) is better refused here.
    match tokens.verify(&token, now_s) {
        Ok(_) => Ok(token),
        Err(_) => Err(Failure::Usage(
            "--sub must be 1 to 128 and --name 1 to 64 characters, without control characters"
                .into(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::value::Secret;
    use crate::sign_in::SignInError;

    fn args() -> TokenArgs {
        TokenArgs {
            sub: Some("u1".into()),
            name: None,
            ttl: Duration::from_secs(60),
            admin: false,
        }
    }

    fn settings() -> Settings {
        let mut settings = Settings::default();
        settings.auth.secret = Some(Secret("x".repeat(32)));
        settings
    }

    #[test]
    fn the_server_takes_the_token_until_it_ends() {
        let token = make(&settings(), &args(), 1_000).unwrap();
        let tokens = Tokens::new(&settings().auth).unwrap();
        let principal = tokens.verify(&token, 1_000).unwrap();
        assert_eq!(
            (principal.id.as_str(), principal.expires_at),
            ("u1", Some(1_060))
        );
        assert_eq!(tokens.verify(&token, 1_090), Err(SignInError::Expired));
    }

    #[test]
    fn without_a_secret_it_says_what_to_give() {
        let failure = make(&Settings::default(), &args(), 1_000).unwrap_err();
        assert_eq!(failure.exit_code(), 2);
        assert!(failure.to_string().contains("--auth-secret-file"));
    }

    #[test]
    fn what_the_server_would_refuse_is_not_made() {
        for bad in [
            TokenArgs {
                sub: Some(" ".into()),
                ..args()
            },
            TokenArgs {
                name: Some("x".repeat(65)),
                ..args()
            },
            TokenArgs {
                ttl: Duration::ZERO,
                ..args()
            },
        ] {
            assert!(make(&settings(), &bad, 1_000).is_err(), "{bad:?}");
        }
    }
}
