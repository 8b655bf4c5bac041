//! `lakh token`, `lakh key` and `lakh password`: what lets people and programs in.

use std::io::{self, IsTerminal as _, Read as _};
use std::process::ExitCode;

use lakh_auth::api_key::KEY_RANDOM_BYTES;
use lakh_auth::password::{self, MAX_PASSWORD_BYTES};
use lakh_auth::{Grant, IssueError, NewKey, Principal, TokenError};

use super::Failure;
use crate::cli::{KeyArgs, TokenArgs};
use crate::config::Settings;
use crate::node::unknown_right;
use crate::sign_in::SignIn;

/// Prints a token and nothing else.
pub fn run(settings: &Settings, args: &TokenArgs) -> Result<ExitCode, Failure> {
    let sign_in = SignIn::new(&settings.auth, super::now_s)?;
    let token = make(&sign_in, args, &hex(&random::<8>()?))?;
    super::print(&(token + "\n"))
}

/// `id` is the token's, by which it can be revoked.
fn make(sign_in: &SignIn, args: &TokenArgs, id: &str) -> Result<String, Failure> {
    if !sign_in.needs_tokens() {
        return Err(Failure::Usage(
            "there is no secret to sign with: give --auth-secret-file FILE, or set `secret` in [auth].\n\
             In development no token is needed: a client gives a name, io(url, { auth: { name: \"Ada\" } })"
                .into(),
        ));
    }
    let owner = args.sub.as_deref().unwrap_or("admin");
    let principal = Principal {
        admin: args.admin,
        roles: args.role.clone(),
        grants: grants(&args.grant)?,
        token: Some(args.jti.as_deref().unwrap_or(id).to_owned()),
        session: args.sid.clone(),
        ..Principal::person(owner, args.name.as_deref().unwrap_or(owner))
    };
    if args.ttl.as_secs() == 0 {
        return Err(Failure::Usage("--ttl must be at least a second".into()));
    }
    let issued = sign_in.issue(&principal, args.audience.as_deref(), args.ttl.as_secs());
    issued.map_err(|error| {
        Failure::Usage(match error {
            IssueError::TooLong => "--ttl is too long".into(),
            IssueError::Refused(TokenError::Claim("sub" | "name")) => {
                "--sub must be 1 to 128 and --name 1 to 64 characters, without control characters"
                    .into()
            }
            error => error.to_string(),
        })
    })
}

fn grants(texts: &[String]) -> Result<Vec<Grant>, Failure> {
    let read = texts.iter().map(|text| {
        let grant = text.parse::<Grant>().map_err(|error| error.to_string())?;
        match unknown_right(&grant) {
            Some(what) => Err(format!("`{grant}` speaks of {what}")),
            None => Ok(grant),
        }
    });
    read.collect::<Result<_, _>>().map_err(Failure::Usage)
}

/// Makes an API key, and prints it with what the server keeps of it, as TOML.
pub fn key(args: &KeyArgs) -> Result<ExitCode, Failure> {
    let grants = grants(&args.grant)?;
    let new = NewKey::new(&random::<KEY_RANDOM_BYTES>()?);
    let signing = match args.signing {
        true => Some(hex(&random::<32>()?)),
        false => None,
    };
    super::print(&told(args, &new, &grants, signing.as_deref()))
}

fn told(args: &KeyArgs, new: &NewKey, grants: &[Grant], signing: Option<&str>) -> String {
    let line = |name: &str, value: toml::Value| format!("{name} = {value}\n");
    let grants: Vec<String> = grants.iter().map(ToString::to_string).collect();
    let mut out = String::from("# For the backend; it is shown this once.\n");
    out += &line("key", new.key.as_str().into());
    if let Some(signing) = signing {
        out += &line("signing_secret", signing.into());
    }
    out += "\n# For the settings of the server, which keep a hash of it.\n[[api.keys]]\n";
    out += &line("id", new.id.as_str().into());
    out += &line("name", args.name.as_str().into());
    out += &line("hash", new.hash.to_string().into());
    out += &line("grants", grants.into());
    if args.admin {
        out += &line("admin", true.into());
    }
    if let Some(signing) = signing {
        out += &line("signing_secret", signing.into());
    }
    out
}

/// Reads a password from standard input and prints its hash.
pub fn password() -> Result<ExitCode, Failure> {
    if io::stdin().is_terminal() {
        eprintln!(
            "Write the password and press Enter. It is shown here: pipe it in where others look on."
        );
    }
    let mut text = String::new();
    let most = u64::try_from(MAX_PASSWORD_BYTES + 2).unwrap_or(u64::MAX);
    let mut input = io::BufReader::new(io::stdin().lock().take(most));
    io::BufRead::read_line(&mut input, &mut text)
        .map_err(|error| Failure::Usage(format!("the password can't be read: {error}")))?;
    let text = text.trim_end_matches(['\n', '\r']);
    let hash = password::hash(text, &random::<16>()?);
    let hash = hash.map_err(|error| Failure::Usage(error.to_string()))?;
    super::print(&(hash + "\n"))
}

fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    match getrandom::fill(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(error) => Err(Failure::Usage(format!(
            "the system gives no random bytes: {error}"
        ))),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::value::{OneOrMore, Secret};
    use crate::sign_in::{Credentials, SignInError};

    fn args() -> TokenArgs {
        TokenArgs {
            sub: Some("u1".into()),
            ttl: Duration::from_secs(60),
            ..TokenArgs::default()
        }
    }

    fn settings() -> Settings {
        let mut settings = Settings::default();
        settings.auth.secret = Some(Secret("x".repeat(32)));
        settings.auth.audience = OneOrMore(vec!["lakh".into()]);
        settings
    }

    fn sign_in(now_s: fn() -> u64) -> SignIn {
        SignIn::new(&settings().auth, now_s).unwrap()
    }

    async fn check(now_s: fn() -> u64, token: &str) -> Result<Principal, SignInError> {
        let shown = Credentials {
            token: Some(token),
            ..Credentials::default()
        };
        sign_in(now_s).check(&shown).await
    }

    #[tokio::test]
    async fn the_server_takes_the_token_until_it_ends() {
        let token = make(&sign_in(|| 1_000), &args(), "t1").unwrap();
        let principal = check(|| 1_000, &token).await.unwrap();
        assert_eq!(
            (principal.id.as_str(), principal.expires_at),
            ("u1", Some(1_060))
        );
        assert_eq!(principal.token.as_deref(), Some("t1"));
        assert_eq!(check(|| 1_090, &token).await, Err(SignInError::Expired));
    }

    #[tokio::test]
    async fn the_token_says_what_was_asked_for() {
        let args = TokenArgs {
            role: vec!["editor".into(), "reader".into()],
            grant: vec!["rooms:join:board:*".into()],
            sid: Some("s1".into()),
            jti: Some("own".into()),
            ..args()
        };
        let token = make(&sign_in(|| 1_000), &args, "t1").unwrap();
        let principal = check(|| 1_000, &token).await.unwrap();
        assert_eq!(principal.roles, ["editor", "reader"]);
        assert_eq!(principal.grants[0].to_string(), "rooms:join:board:*");
        assert_eq!(principal.session.as_deref(), Some("s1"));
        assert_eq!(principal.token.as_deref(), Some("own"));
        let elsewhere = TokenArgs {
            audience: Some("another".into()),
            ..args
        };
        let token = make(&sign_in(|| 1_000), &elsewhere, "t1").unwrap();
        assert_eq!(check(|| 1_000, &token).await, Err(SignInError::BadToken));
    }

    #[test]
    fn without_a_secret_it_says_what_to_give() {
        let names = SignIn::new(&Settings::default().auth, || 1_000).unwrap();
        let failure = make(&names, &args(), "t1").unwrap_err();
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
            TokenArgs {
                grant: vec!["everything".into()],
                ..args()
            },
        ] {
            assert!(make(&sign_in(|| 1_000), &bad, "t1").is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_key_is_told_as_toml() {
        let new = NewKey::new(&[7; KEY_RANDOM_BYTES]);
        let args = KeyArgs {
            name: "billing \"1\"".into(),
            grant: Vec::new(),
            admin: true,
            signing: true,
        };
        let grants = vec!["rooms:emit:*".parse().unwrap()];
        let text = told(&args, &new, &grants, Some("hush"));
        let table: toml::Table = text.parse().unwrap();
        let kept = &table["api"]["keys"][0];
        assert_eq!(table["key"].as_str(), Some(new.key.as_str()));
        assert_eq!(kept["name"].as_str(), Some("billing \"1\""));
        assert_eq!(kept["hash"].as_str(), Some(new.hash.to_string().as_str()));
        assert_eq!(kept["grants"][0].as_str(), Some("rooms:emit:*"));
        assert_eq!(kept["admin"].as_bool(), Some(true));
        assert_eq!(kept["signing_secret"].as_str(), Some("hush"));
        assert_eq!(table["signing_secret"].as_str(), Some("hush"));
    }
}
