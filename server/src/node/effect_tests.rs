//! Every setting must do something: for each, the parts are made with another value and must differ.

use toml::Value;

use super::door::DoorOptions;
use super::modules::{chat, recovery, rooms, service, world};
use super::policy::policy;
use super::prepare::Prepared;
use crate::config::load::{ConfigFile, Sources, load};
use crate::config::{Settings, Transport};
use crate::files::Plan;
use crate::http::door::Door;
use crate::sign_in::SignIn;

/// What the settings of sockets, hub and modules end in.
fn parts(settings: &Settings) -> String {
    let prepared = Prepared::new(settings, "n1".into(), 2).unwrap();
    let kept = recovery(settings);
    format!(
        "{prepared:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        settings.hooks.config(),
        SignIn::new(&settings.auth, || 0).unwrap(),
        settings.bridge.config(),
        DoorOptions::new(&settings.auth),
        policy(settings),
        service(settings),
        Door::new(settings, None),
        rooms(settings, kept),
        chat(settings, kept)
    ) + &format!(" {:?} {:?}", Plan::new(settings), world(settings))
}

/// Another value of the same kind.
fn other(section: &str, key: &str, value: Option<Value>) -> String {
    match (section, key, value) {
        (_, "transports", _) => "[\"polling\"]".into(),
        (_, "engine_path", _) => "\"/engine.io/\"".into(),
        (_, "cookie_same_site", _) => "\"strict\"".into(),
        (_, "cookie_path", _) => "\"/other\"".into(),
        (_, "cookie_name", _) => "\"other\"".into(),
        (_, "slow_reader", _) => "\"drop\"".into(),
        (_, "past_connections" | "past_events" | "past_joins" | "past_bytes", _) => {
            "\"disconnect\"".into()
        }
        ("cors", "origins", _) => "[\"https://other.example\"]".into(),
        ("proxy", "trusted", _) => "[\"10.0.0.0/8\"]".into(),
        ("proxy", "header", _) => "\"forwarded\"".into(),
        ("recovery", "log", _) => "\"store\"".into(),
        ("redis", "url", _) => "\"redis://other\"".into(),
        ("redis", "broker", _) => "\"redis\"".into(),
        ("redis", "store", _) => "\"sqlite\"".into(),
        ("redis", "subscription_mode", _) => "\"static\"".into(),
        ("redis", "key" | "stream" | "session_prefix" | "store_prefix", _) => "\"other\"".into(),
        ("auth", "secret", _) => format!("\"{}\"", "x".repeat(32)),
        ("auth", "keys", _) => format!(
            "[{{ algorithm = \"HS384\", secret = \"{}\" }}]",
            "x".repeat(48)
        ),
        ("auth", "jwks_url", _) => "[\"https://id.example/keys\"]".into(),
        ("auth", "admin_roles", _) => "[\"chief\"]".into(),
        ("auth", "rules", _) => "[{ who = \"anyone\", deny = \"rooms:emit:*\" }]".into(),
        ("auth", "issuer" | "audience" | "cookie", _) => "\"other\"".into(),
        ("auth", "claim_name" | "claim_roles" | "claim_grants", _) => "\"other\"".into(),
        ("api", "keys", _) => format!(
            "[{{ id = \"0123456789abcdef\", hash = \"sha256:{}\" }}]",
            "0".repeat(64)
        ),
        ("hooks", "endpoints" | "gates", _) => {
            let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
            format!("[{{ name = \"a\", url = \"https://a.example\", secret = \"{secret}\" }}]")
        }
        ("bridge", "sources", _) => {
            "[{ name = \"a\", kind = \"redis\", url = \"redis://a\", stream = \"s\" }]".into()
        }
        ("bridge", "sinks", _) => {
            "[{ name = \"a\", kind = \"nats\", url = \"nats://a\", subject = \"s\" }]".into()
        }
        ("rooms", "rules", _) => "[{ pattern = \"a\", join = \"nobody\" }]".into(),
        ("rooms", "options", _) => "[{ pattern = \"a\", history = \"memory\" }]".into(),
        ("world", "worlds", _) => "\"plaza*\"".into(),
        ("world", "unsent_bytes", _) => "32768".into(),
        ("world", "near_every" | "far_every", _) => "8".into(),
        ("chat", "words", _) => "[\"darn*\"]".into(),
        ("chat", "words_action", _) => "\"mask\"".into(),
        ("chat", "things", _) => "[\"video:*\"]".into(),
        ("chat", "permissions", _) => "{ pin = [\"member\"] }".into(),
        ("chat.files", "types", _) => "[\"image/*\"]".into(),
        ("chat.files", "s3_url", _) => "\"s3://other/a\"".into(),
        ("chat.files", "s3_endpoint", _) => "\"http://minio:9000\"".into(),
        ("chat.files", "folder" | "s3_region" | "s3_key_id" | "s3_secret", _) => "\"other\"".into(),
        (_, _, Some(Value::Boolean(yes))) => (!yes).to_string(),
        (_, "max_age_ms", Some(Value::Integer(number))) => (number + 1_000).to_string(),
        (_, _, Some(Value::Integer(number))) => (number + 1).to_string(),
        (_, _, None) => "7".into(),
        (_, _, Some(value)) => panic!("no other value for {section}.{key} = {value}"),
    }
}

/// What a setting stands beside, where it has no meaning alone.
fn beside(section: &str, key: &str) -> &'static str {
    match section {
        "redis" if key == "subscription_mode" => {
            "[redis]\nurl = \"redis://a\"\nbroker = \"redis-sharded\"\n"
        }
        "redis" => "[redis]\nurl = \"redis://a\"\n",
        "chat.files" if key.starts_with("s3_") => {
            "[chat.files]\ns3_url = \"s3://files\"\ns3_key_id = \"a\"\ns3_secret = \"b\"\n"
        }
        "auth" if key == "secret" => "",
        "auth" if key == "jwks_refresh_ms" => "[auth]\njwks_url = [\"https://id.example/keys\"]\n",
        "auth" => "[auth]\nsecret = \"0123456789abcdef0123456789abcdef\"\n",
        "engine" => "[engine]\ncookie_name = \"io\"\n",
        "cors" => "[cors]\norigins = [\"https://a.example\"]\n",
        "proxy" => "[proxy]\ntrusted = [\"10.0.0.7\"]\n",
        _ => "",
    }
}

fn loaded(text: String) -> Settings {
    let sources = Sources {
        file: Some(ConfigFile {
            path: "lakh.toml".into(),
            text,
        }),
        env: Vec::new(),
        flags: Vec::new(),
        read_file: &|_| panic!("no file is named"),
    };
    load(&sources).unwrap().settings
}

#[test]
fn every_setting_of_sockets_hub_and_modules_changes_what_is_built() {
    let defaults = Settings::default();
    let sections = [
        "auth",
        "limits",
        "engine",
        "cors",
        "proxy",
        "recovery",
        "redis",
        "drain",
        "rooms",
        "chat",
        "chat.files",
        "world",
        "spaces",
        "api",
        "hooks",
        "bridge",
    ];
    let mut seen = 0;
    for section in defaults.sections() {
        let name = section.name();
        if !sections.contains(&name) {
            continue;
        }
        for field in section.fields() {
            // It stands for another one, which is what the tests of loading are about.
            if matches!(field.key, "url_file" | "secret_file" | "s3_secret_file") {
                continue;
            }
            // It says something of a fleet alone: see the tests of files.
            if field.key == "shared_folder" {
                continue;
            }
            let without = beside(name, field.key);
            let base = parts(&loaded(without.to_owned()));
            let line = format!(
                "{} = {}",
                field.key,
                other(name, field.key, section.show(field.key))
            );
            let rest = without.lines().skip(1);
            let rest: String = rest
                .filter(|other| !other.starts_with(&format!("{} =", field.key)))
                .map(|line| format!("{line}\n"))
                .collect();
            let changed = parts(&loaded(format!("[{name}]\n{rest}{line}\n")));
            assert!(base != changed, "[{name}] {line} does nothing");
            seen += 1;
        }
    }
    assert!(seen > 65, "{seen}");
}

#[test]
fn no_upgrade_is_offered_where_websocket_is_not_served() {
    let mut settings = Settings::default();
    settings.engine.transports = vec![Transport::Polling];
    let prepared = Prepared::new(&settings, "n1".into(), 2).unwrap();
    assert!(!prepared.hub.engine.allow_upgrades);
    assert!(!prepared.options.websocket);
}
