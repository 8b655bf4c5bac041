//! `[console]`: who may sign in at the page, and how.

use std::path::PathBuf;

use lakh_auth::password;
use openidconnect::url::{Host, Url};

use crate::config::section::section;
use crate::config::value::Secret;

section! {
    /// Who may sign in at the page, and how: at an OpenID provider (`oidc_…`), or as the one local admin (`admin_…`). With
    /// neither, the page asks for a token. See docs/console.md.
    Console as "console" {
        /// Where people reach the page, such as "https://lakh.example.org", without a path. The provider sends them back
        /// to `/console/callback` there, and only pages from there may use a session.
        public_url: Option<String> = None;
        /// The OpenID provider's issuer, such as "https://accounts.google.com". Everything else about it is asked from it.
        oidc_issuer: Option<String> = None;
        /// What the button calls the provider. Unset: the issuer's host.
        oidc_name: Option<String> = None;
        /// The id that the provider gave this server.
        oidc_client_id: Option<String> = None;
        /// The secret that belongs to the id. Unset: a public client, with PKCE alone.
        oidc_client_secret: Option<Secret> = None;
        /// File that holds the secret instead.
        oidc_client_secret_file: Option<PathBuf> = None;
        /// What is asked of the provider beside `openid`.
        oidc_scopes: Vec<String> = vec!["profile".into(), "email".into()];
        /// Where the claims name a person's roles, with dots between, such as "realm_access.roles" or "groups". A list of
        /// texts, or one text. "email" counts only if the provider says that it's verified.
        roles_claim: String = "roles".into();
        /// Roles that may do everything.
        admin_roles: Vec<String> = Vec::new();
        /// Roles that may look at everything and change nothing. "*": whoever the provider lets in.
        reader_roles: Vec<String> = Vec::new();
        /// Name of the local admin.
        admin_user: Option<String> = None;
        /// Hash of the local admin's password, as `lakh password` prints it (argon2id).
        admin_password_hash: Option<Secret> = None;
        /// File that holds the hash instead.
        admin_password_hash_file: Option<PathBuf> = None;
        /// How long a session lasts at most.
        session_ms: u64 = 43_200_000;
        /// How long a session lasts that nobody uses. A page that is looked at uses it.
        session_idle_ms: u64 = 3_600_000;
    }
    check |console, wrong| {
        check_provider(console, wrong);
        check_admin(console, wrong);
        if let Some(url) = &console.public_url
            && origin(url).is_none()
        {
            wrong.push((
                "public_url",
                "must look like `https://lakh.example.org`, without a path; `http` is for this machine only".into(),
            ));
        }
        if console.session_ms < 60_000 {
            wrong.push(("session_ms", "must be at least 60000 (a minute)".into()));
        }
        if console.session_ms > 2_592_000_000 {
            wrong.push(("session_ms", "must be at most 2592000000 (30 days)".into()));
        }
        if console.session_idle_ms < 10_000 || console.session_idle_ms > console.session_ms {
            wrong.push(("session_idle_ms", "must be at least 10000, and at most `console.session_ms`".into()));
        }
    };
}

impl Console {
    /// Whether anybody can sign in at the page by more than a token.
    pub fn is_on(&self) -> bool {
        self.oidc_issuer.is_some() || self.admin_user.is_some()
    }
}

fn check_provider(console: &Console, wrong: &mut Vec<(&'static str, String)>) {
    let Some(issuer) = &console.oidc_issuer else {
        if console.oidc_client_id.is_some() {
            wrong.push(("oidc_client_id", "needs `console.oidc_issuer`".into()));
        }
        return;
    };
    if !Url::parse(issuer).is_ok_and(|url| is_safe(&url)) {
        let message = "must be a URL that begins with `https://`; `http` is for this machine only";
        wrong.push(("oidc_issuer", message.into()));
    }
    if console
        .oidc_client_id
        .as_deref()
        .unwrap_or_default()
        .is_empty()
    {
        wrong.push(("oidc_issuer", "needs `console.oidc_client_id`".into()));
    }
    if console.public_url.is_none() {
        let message =
            "needs `console.public_url`: the provider must know where to send people back to";
        wrong.push(("oidc_issuer", message.into()));
    }
    if console.roles_claim.split('.').any(str::is_empty) {
        let message = "must be the name of a claim, with dots between its parts";
        wrong.push(("roles_claim", message.into()));
    }
    if console.admin_roles.is_empty() && console.reader_roles.is_empty() {
        let message =
            "needs `console.admin_roles` or `console.reader_roles`: nobody could sign in otherwise";
        wrong.push(("oidc_issuer", message.into()));
    }
    if console.admin_roles.iter().any(|role| role == "*") {
        let message = "must name roles: \"*\" would make everybody an admin";
        wrong.push(("admin_roles", message.into()));
    }
}

fn check_admin(console: &Console, wrong: &mut Vec<(&'static str, String)>) {
    match (&console.admin_user, &console.admin_password_hash) {
        (None, None) => {}
        (Some(_), None) => wrong.push((
            "admin_user",
            "needs `console.admin_password_hash`: make one with `lakh password`".into(),
        )),
        (None, Some(_)) => wrong.push(("admin_password_hash", "needs `console.admin_user`".into())),
        (Some(user), Some(hash)) => {
            if user.trim().is_empty() || user.chars().count() > 64 {
                wrong.push(("admin_user", "must have 1 to 64 characters".into()));
            }
            if let Err(error) = password::check_hash(&hash.0) {
                wrong.push(("admin_password_hash", format!("does not do: {error}")));
            }
        }
    }
}

/// The origin of a public URL, if it is one: no path, nothing secret in it, and TLS unless it's this machine.
pub(crate) fn origin(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    (bare && is_safe(&url)).then_some(url)
}

/// Whether secrets may travel there: over TLS, or within this machine.
pub(crate) fn is_safe(url: &Url) -> bool {
    let plain = url.username().is_empty() && url.password().is_none();
    let local = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.to_canonical().is_loopback(),
        None => return false,
    };
    plain && (url.scheme() == "https" || (url.scheme() == "http" && local))
}
