//! Keys, providers and rules of `[auth]`, read and refused.

use super::load::{ConfigFile, Loaded, Sources, load};
use super::problem::Problems;

fn load_file(text: &str) -> Result<Loaded, Problems> {
    load(&Sources {
        file: Some(ConfigFile {
            path: "lakh.toml".into(),
            text: text.into(),
        }),
        env: Vec::new(),
        flags: Vec::new(),
        read_file: &|_| Err(std::io::ErrorKind::NotFound.into()),
    })
}

#[test]
fn keys_providers_and_rules_of_auth_are_read_and_shown() {
    let file = r#"[auth]
issuer = "https://id.example"
audience = ["a", "b"]
jwks_url = ["https://id.example/keys", { url = "http://[::1]:8080/k", issuer = "https://two.example" }]
keys = [
  { algorithm = "ES256", file = "/k.pem", id = "1", issuer = "i", not_before = 2030-01-01T00:00:00Z, not_after = "2031-01-01T00:00:00Z" },
  { algorithm = "HS256", secret = "0123456789abcdef0123456789abcdef" },
]
rules = [
  { who = "role:editor", allow = "rooms:join,emit:board:*" },
  { who = ["anonymous", "service", "name:x:y"], deny = ["*:*:*"] },
]
"#;
    let loaded = load_file(file).unwrap();
    let auth = &loaded.settings.auth;
    assert_eq!(auth.issuer.0, ["https://id.example"]);
    assert_eq!(auth.keys[0].not_before.unwrap().0, 1_893_456_000);
    assert_eq!(auth.rules[1].who.len(), 3);
    assert!(!auth.rules[1].allows);
    let shown = super::show::effective(&loaded);
    assert!(!shown.contains("0123456789"), "{shown}");
    // What is shown is read as the same, secrets aside.
    let again = shown.replace("***", "0123456789abcdef0123456789abcdef");
    let again = load_file(&again).unwrap();
    assert_eq!(again.settings.auth, *auth);
}

#[test]
fn keys_providers_and_rules_that_make_no_sense_are_told() {
    for (line, text) in [
        ("keys = [{ file = \"k\" }]", "a key needs an `algorithm`"),
        (
            "keys = [{ algorithm = \"none\", file = \"k\" }]",
            "unknown algorithm `none`",
        ),
        (
            "keys = [{ algorithm = \"RS256\" }]",
            "one of `secret`, `secret_file`",
        ),
        (
            "keys = [{ algorithm = \"RS256\", file = \"a\", private_key = \"b\" }]",
            "one of `secret`",
        ),
        (
            "keys = [{ algorithm = \"RS256\", fil = \"a\" }]",
            "did you mean `file`?",
        ),
        (
            "keys = [{ algorithm = \"RS256\", file = \"a\", not_after = 2030-01-01 }]",
            "a date with its zone",
        ),
        ("keys = [\"0123456789abcdef\"]", "expected a table such as"),
        ("jwks_url = [\"http://id.example/keys\"]", "over https"),
        (
            "jwks_url = [\"http://127.0.0.1.evil.example/keys\"]",
            "over https",
        ),
        ("jwks_url = [\"file:///etc/passwd\"]", "over https"),
        ("jwks_url = [\"keys\"]", "is no address"),
        ("jwks_url = [{ issuer = \"x\" }]", "needs a `url`"),
        ("jwks_refresh_ms = 10", "at least 5000"),
        ("issuer = \"\"", "must not be empty"),
        ("audience = [\"a\", \"\"]", "must not be empty"),
        ("claim_roles = \"\"", "must not be empty"),
        ("cookie = \"a b\"", "is no name of a cookie"),
        ("anonymous = true", "only where tokens are checked"),
    ] {
        let problems = load_file(&format!("[auth]\n{line}\n"))
            .unwrap_err()
            .to_string();
        assert!(problems.contains(text), "{line}: {problems}");
        assert!(!problems.contains("0123456789"), "{problems}");
    }
}
