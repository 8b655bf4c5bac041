//! Who somebody is at the provider, and what their roles let them do here.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config;

/// Longest name that is shown, in characters.
const MAX_NAME_CHARS: usize = 64;
/// Longest id at a provider, in characters (OpenID Connect Core section 2 allows 255).
const MAX_ID_CHARS: usize = 255;
/// More roles, or longer ones, are passed over.
const MAX_ROLES: usize = 100;
const MAX_ROLE_BYTES: usize = 128;

/// What somebody may do in the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// Look at everything.
    Read,
    /// Everything.
    All,
}

impl Rights {
    /// The word in the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::All => "all",
        }
    }
}

/// Somebody as a provider, or the local sign-in, says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Person {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) roles: Vec<String>,
}

impl Person {
    /// Out of claims that were verified. `None` without a usable subject.
    pub(super) fn of_claims(claims: &Value, roles_claim: &str) -> Option<Self> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let subject = text("sub").filter(|sub| {
            let shown = sub.chars().all(|letter| !letter.is_control());
            !sub.is_empty() && shown && sub.chars().count() <= MAX_ID_CHARS
        })?;
        let names = ["name", "preferred_username", "email"];
        let name = names.into_iter().find_map(|name| shown(text(name)?));
        Some(Self {
            // A provider's subjects and those of tokens are two worlds: neither may speak for the other.
            id: format!("oidc:{subject}"),
            name: name.unwrap_or_else(|| subject.chars().take(MAX_NAME_CHARS).collect()),
            roles: roles(claims, roles_claim),
        })
    }

    /// What they may do, by the roles that the settings name.
    pub(super) fn rights(&self, console: &config::Console) -> Option<Rights> {
        let has = |wanted: &[String]| wanted.iter().any(|role| self.roles.contains(role));
        if has(&console.admin_roles) {
            return Some(Rights::All);
        }
        let anybody = console.reader_roles.iter().any(|role| role == "*");
        (anybody || has(&console.reader_roles)).then_some(Rights::Read)
    }
}

/// A name that can be shown: without control characters and direction marks, cut to its bound.
fn shown(name: &str) -> Option<String> {
    let hidden = |letter: &char| {
        letter.is_control() || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let kept = name.chars().filter(|letter| !hidden(letter));
    let kept: String = kept.take(MAX_NAME_CHARS).collect();
    let kept = kept.trim();
    (!kept.is_empty()).then(|| kept.to_owned())
}

/// Whether the claims speak of roles at all.
pub(super) fn names_roles(claims: &Value, path: &str) -> bool {
    at(claims, path).is_some()
}

/// A claim whose own name has dots in it, as those that are URLs, is found by its whole name.
fn at<'a>(claims: &'a Value, path: &str) -> Option<&'a Value> {
    claims.get(path).or_else(|| {
        path.split('.')
            .try_fold(claims, |value, part| value.get(part))
    })
}

fn roles(claims: &Value, path: &str) -> Vec<String> {
    // Anybody can write any address into an account where the provider doesn't look.
    let verified = claims.get("email_verified") == Some(&Value::Bool(true));
    if path == "email" && !verified {
        return Vec::new();
    }
    let fits = |role: &&str| !role.is_empty() && role.len() <= MAX_ROLE_BYTES;
    match at(claims, path) {
        Some(Value::String(role)) => Some(role.as_str())
            .into_iter()
            .filter(fits)
            .map(str::to_owned)
            .collect(),
        Some(Value::Array(roles)) => {
            let roles = roles.iter().filter_map(Value::as_str).filter(fits);
            roles.take(MAX_ROLES).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn roles_are_found_where_the_settings_say() {
        let claims = json!({
            "sub": "1",
            "roles": ["a", "b", 7, "", "x".repeat(200)],
            "role": "one",
            "realm_access": { "roles": ["c"] },
            "https://lakh.example/roles": ["d"],
            "groups": { "a": 1 },
            "email": "ada@example.org",
            "email_verified": true,
        });
        for (path, expected) in [
            ("roles", vec!["a", "b"]),
            ("role", vec!["one"]),
            ("realm_access.roles", vec!["c"]),
            ("https://lakh.example/roles", vec!["d"]),
            ("groups", vec![]),
            ("groups.a", vec![]),
            ("absent", vec![]),
            ("realm_access.roles.0", vec![]),
            ("email", vec!["ada@example.org"]),
        ] {
            let person = Person::of_claims(&claims, path).unwrap();
            assert_eq!(person.roles, expected, "{path}");
        }
        for verified in [json!(false), json!("true"), Value::Null] {
            let claims =
                json!({ "sub": "1", "email": "ada@example.org", "email_verified": verified });
            assert!(
                Person::of_claims(&claims, "email")
                    .unwrap()
                    .roles
                    .is_empty()
            );
        }
        let many: Vec<String> = (0..500).map(|role| role.to_string()).collect();
        let claims = json!({ "sub": "1", "roles": many });
        let person = Person::of_claims(&claims, "roles").unwrap();
        assert_eq!(person.roles.len(), MAX_ROLES);
    }

    #[test]
    fn a_person_has_a_subject_and_a_name_that_can_be_shown() {
        let of = |claims: Value| Person::of_claims(&claims, "roles");
        let name = |claims: Value| of(claims).unwrap().name;
        assert_eq!(of(json!({ "name": "Ada" })), None);
        assert_eq!(of(json!({ "sub": "" })), None);
        assert_eq!(of(json!({ "sub": "a\nb" })), None);
        assert_eq!(of(json!({ "sub": "x".repeat(256) })), None);
        assert_eq!(of(json!({ "sub": "7" })).unwrap().id, "oidc:7");
        assert_eq!(name(json!({ "sub": "7" })), "7");
        assert_eq!(name(json!({ "sub": "7", "name": " Ada " })), "Ada");
        assert_eq!(name(json!({ "sub": "7", "name": "A\u{202e}da\n" })), "Ada");
        assert_eq!(
            name(json!({ "sub": "7", "name": "\n", "email": "a@b.c" })),
            "a@b.c"
        );
        assert_eq!(
            name(json!({ "sub": "7", "name": "x".repeat(99) })).len(),
            64
        );
    }

    #[test]
    fn rights_are_as_the_table_says() {
        let with = |admins: &[&str], readers: &[&str], roles: &[&str]| {
            let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
            let console = config::Console {
                admin_roles: owned(admins),
                reader_roles: owned(readers),
                ..config::Console::default()
            };
            let person = Person {
                id: "oidc:1".into(),
                name: "Ada".into(),
                roles: owned(roles),
            };
            person.rights(&console)
        };
        for (admins, readers, roles, expected) in [
            (
                &["ops"][..],
                &["staff"][..],
                &["ops"][..],
                Some(Rights::All),
            ),
            (&["ops"], &["staff"], &["staff"], Some(Rights::Read)),
            (&["ops"], &["staff"], &["staff", "ops"], Some(Rights::All)),
            (&["ops"], &["staff"], &["guest"], None),
            (&["ops"], &["staff"], &[], None),
            (&["ops"], &["staff"], &["Ops"], None),
            (&["ops"], &["*"], &[], Some(Rights::Read)),
            (&["ops"], &["*"], &["ops"], Some(Rights::All)),
            (&["ops"], &[], &["*"], None),
            (&[], &["staff"], &["*"], None),
        ] {
            assert_eq!(
                with(admins, readers, roles),
                expected,
                "{admins:?} {readers:?} {roles:?}"
            );
        }
    }
}
