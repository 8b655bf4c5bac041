//! How the sources lie over one another, and what is said about mistakes.

use std::io;
use std::path::Path;

use super::load::{ConfigFile, FlagValue, Loaded, SHORT, Sources, load};
use super::problem::{Place, Problems};
use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

#[derive(Default)]
struct Given<'a> {
    file: &'a str,
    env: &'a [(&'a str, &'a str)],
    flags: &'a [(&'a str, &'a str)],
    /// What every file holds that the settings name; none can be read without it.
    secret: Option<&'a str>,
}

impl Given<'_> {
    fn load(&self) -> Result<Loaded, Problems> {
        let read = |_: &Path| {
            self.secret
                .map(str::to_owned)
                .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
        };
        load(&Sources {
            file: Some(ConfigFile {
                path: "lakh.toml".into(),
                text: self.file.into(),
            }),
            env: self
                .env
                .iter()
                .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
                .collect(),
            flags: self
                .flags
                .iter()
                .map(|(flag, text)| {
                    let short = SHORT.iter().find(|short| short.flag == *flag).unwrap();
                    FlagValue {
                        flag: short.flag,
                        section: short.section,
                        key: short.key,
                        text: (*text).to_owned(),
                    }
                })
                .collect(),
            read_file: &read,
        })
    }

    fn problem(&self) -> String {
        let problems = self.load().unwrap_err();
        assert_eq!(problems.0.len(), 1, "{problems}");
        problems.0[0].to_string()
    }
}

#[test]
fn flags_lie_over_the_environment_over_the_file_over_defaults() {
    let loaded = Given {
        file: "[server]\nbind = \"127.0.0.1:1\"\npath = \"/a/\"\ndata = \"/d\"",
        env: &[("LAKH_SERVER__BIND", "127.0.0.1:2"), ("LAKH_PATH", "/b/")],
        flags: &[("--bind", "127.0.0.1:3")],
        ..Given::default()
    }
    .load()
    .unwrap();
    let server = &loaded.settings.server;
    assert_eq!(server.bind.0.port(), 3);
    assert_eq!(server.path, "/b/");
    assert_eq!(server.data, Path::new("/d"));
    assert_eq!(loaded.settings.engine, Engine::default());
    assert_eq!(loaded.place("server", "bind"), Place::Flag("--bind"));
    assert_eq!(
        loaded.place("server", "path"),
        Place::Env("LAKH_PATH".into())
    );
    assert_eq!(loaded.place("server", "open"), Place::Default);
}

#[test]
fn an_unknown_key_names_the_nearest_with_file_and_line() {
    let file = "[server]\n\nbnid = \"127.0.0.1:1\"";
    let problem = Given {
        file,
        ..Given::default()
    }
    .problem();
    assert_eq!(
        problem,
        "lakh.toml line 3: unknown key `server.bnid`: did you mean `server.bind`?"
    );
}

#[test]
fn a_key_outside_its_section_is_told_where_it_belongs() {
    for (file, hint) in [
        ("bind = \"127.0.0.1:1\"", "did you mean `server.bind`?"),
        (
            "[server]\nping_interval_ms = 1",
            "did you mean `engine.ping_interval_ms`?",
        ),
        ("[sever]\nbind = \"x\"", "did you mean `server`?"),
        ("server = 3", "write `[server]`"),
    ] {
        let problem = Given {
            file,
            ..Given::default()
        }
        .problem();
        assert!(problem.contains(hint), "{problem}");
    }
}

#[test]
fn a_wrong_type_says_what_was_expected_where() {
    let file = "[engine]\nping_interval_ms = \"25s\"";
    let problem = Given {
        file,
        ..Given::default()
    }
    .problem();
    assert_eq!(
        problem,
        "lakh.toml line 2: `engine.ping_interval_ms`: expected a whole number of 0 or more, found the text \"25s\""
    );
}

#[test]
fn all_problems_are_told_at_once() {
    let problems = Given {
        file: "[server]\npath = \"no-slash\"\nbnid = 1\n[engine]\nping_interval_ms = 0",
        env: &[("LAKH_SERVER__LOOPS", "many"), ("LAKH_BIMD", "x")],
        ..Given::default()
    }
    .load()
    .unwrap_err();
    let text = problems.to_string();
    assert_eq!(problems.0.len(), 5, "{text}");
    for part in [
        "`server.path` `no-slash` is no path",
        "server.bnid",
        "`engine.ping_interval_ms` must be more than 0",
        "LAKH_SERVER__LOOPS: `server.loops`: expected a whole number",
        "did you mean `LAKH_BIND`?",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn broken_toml_is_told_with_its_line() {
    let file = "[server]\nbind = \n";
    let problems = Given {
        file,
        ..Given::default()
    }
    .load()
    .unwrap_err();
    assert!(
        problems.to_string().contains("lakh.toml line 2"),
        "{problems}"
    );
}

#[test]
fn a_secret_comes_from_a_file_without_its_last_newline() {
    let loaded = Given {
        env: &[("LAKH_AUTH_SECRET_FILE", "/run/secret")],
        secret: Some("0123456789abcdef0123456789abcdef\n"),
        ..Given::default()
    }
    .load()
    .unwrap();
    assert_eq!(loaded.settings.auth.secret.as_ref().unwrap().0, SECRET);
    assert_eq!(
        loaded.place("auth", "secret").to_string(),
        "file /run/secret (named by LAKH_AUTH_SECRET_FILE)"
    );
}

#[test]
fn a_secret_that_is_given_twice_missing_empty_or_short_is_refused() {
    let file = "[auth]\nsecret_file = \"/s\"";
    let twice = Given {
        file,
        flags: &[("--auth-secret", SECRET)],
        secret: Some(SECRET),
        ..Given::default()
    };
    assert!(twice.problem().contains("exclude each other"));
    let missing = Given {
        file,
        ..Given::default()
    };
    assert!(missing.problem().contains("can't be read"));
    let empty = Given {
        file,
        secret: Some("\n"),
        ..Given::default()
    };
    assert!(empty.problem().contains("is empty"));
    let short = Given {
        file,
        secret: Some("hunter2"),
        ..Given::default()
    };
    let problem = short.problem();
    assert!(problem.contains("needs at least 32"), "{problem}");
    assert!(!problem.contains("hunter2"));
}

#[test]
fn the_long_and_the_short_variable_together_are_refused() {
    let env = &[
        ("LAKH_BIND", "127.0.0.1:1"),
        ("LAKH_SERVER__BIND", "127.0.0.1:1"),
    ];
    let problem = Given {
        env,
        ..Given::default()
    }
    .problem();
    assert!(problem.contains("says the same as LAKH_BIND"), "{problem}");
}

#[test]
fn variables_that_kubernetes_sets_for_services_named_like_us_are_passed_over() {
    let env = &[
        ("LAKH_PORT", "tcp://10.0.0.1:3000"),
        ("LAKH_PORT_3000_TCP_ADDR", "10.0.0.1"),
        ("LAKH_SERVICE_HOST", "10.0.0.1"),
        ("LAKH_REDIS_PORT", "tcp://10.0.0.2:6379"),
        ("LAKH_REDIS_PORT_6379_TCP", "tcp://10.0.0.2:6379"),
        ("LAKH_REDIS_SERVICE_HOST", "10.0.0.2"),
        ("LAKH_REDIS_SERVICE_PORT_REDIS", "6379"),
        ("PATH", "/bin"),
    ];
    let loaded = Given {
        env,
        ..Given::default()
    }
    .load()
    .unwrap();
    assert_eq!(loaded.settings, Settings::default());
}

#[test]
fn a_list_of_modules_comes_from_a_variable() {
    let env = &[("LAKH_SERVER__MODULES", "chat")];
    let loaded = Given {
        env,
        ..Given::default()
    }
    .load()
    .unwrap();
    assert_eq!(loaded.settings.server.modules, [Module::Chat]);
}

#[test]
fn rules_of_rooms_are_read_from_tables() {
    let file = "[[rooms.rules]]\npattern = \"board:*\"\nemit = [\"signed-in\", \"name:ada\"]\n";
    let loaded = Given {
        file,
        ..Given::default()
    }
    .load()
    .unwrap();
    assert_eq!(
        loaded.settings.rooms.rules,
        [RoomRule {
            pattern: "board:*".into(),
            join: vec![Who::Anyone],
            emit: vec![Who::SignedIn, Who::Name("ada".into())],
        }]
    );
    let file = "[[rooms.rules]]\npattern = \"a\"\njoin = \"anyon\"\n";
    let problem = Given {
        file,
        ..Given::default()
    }
    .problem();
    assert!(problem.contains("did you mean `anyone`?"), "{problem}");
}

#[test]
fn values_that_fit_their_type_and_no_purpose_are_refused() {
    for (file, part) in [
        ("[server]\nbind = \"3000\"", "an address with a port"),
        ("[server]\nloops = 0", "must be 1 to 64"),
        ("[server]\nnode = \"a b\"", "must be 1 to 32"),
        ("[server]\npath = \"/api/v1/\"", "is taken"),
        ("[server]\nmodules = [\"chta\"]", "did you mean `chat`?"),
        (
            "[engine]\nengine_path = \"/socket.io\"",
            "must differ from `server.path`",
        ),
        (
            "[engine]\nengine_path = \"/socket.io/engine/\"",
            "not lie below it",
        ),
        ("[engine]\nengine_path = \"/live\"", "is taken"),
        (
            "[engine]\ncookie_same_site = \"none\"",
            "needs `engine.cookie_secure = true`",
        ),
        (
            "[cors]\norigins = [\"*\"]\ncredentials = true",
            "exclude each other",
        ),
        (
            "[cors]\norigins = [\"https://a.example/x\"]",
            "is no origin",
        ),
        ("[proxy]\nprotocol = true", "needs `proxy.trusted`"),
        ("[proxy]\ntrusted = [\"0.0.0.0/0\"]", "everybody"),
        ("[log]\nlevel = \"inof\"", "did you mean `info`?"),
        ("[limits]\nmax_payload_bytes = 0", "must be more than 0"),
        (
            "[redis]\nurl = \"redis://h\"\nkey = \"\"",
            "must have 1 to 256",
        ),
        ("[redis]\nstream_max_len = 0", "must be more than 0"),
        ("[redis]\nurl = 3", "a URL such as"),
        ("[redis]\nbroker = \"streams\"", "unknown word `streams`"),
        ("[chat]\nhistory_limit = 201", "must be at most"),
    ] {
        let problem = Given {
            file,
            ..Given::default()
        }
        .problem();
        assert!(problem.contains(part), "{file}: {problem}");
    }
}

#[test]
fn certificate_and_key_come_together_and_can_be_read() {
    let one = Given {
        file: "[tls]\ncert = \"/c.pem\"",
        secret: Some("PEM"),
        ..Given::default()
    };
    assert!(one.problem().contains("needs `tls.key`"));
    let file = "[tls]\ncert = \"/c.pem\"\nkey = \"/k.pem\"";
    let unreadable = Given {
        file,
        ..Given::default()
    };
    let problems = unreadable.load().unwrap_err().to_string();
    assert!(problems.contains("line 2: `tls.cert`: /c.pem can't be read"));
    assert!(problems.contains("line 3: `tls.key`: /k.pem can't be read"));
    let both = Given {
        file,
        secret: Some("PEM"),
        ..Given::default()
    };
    assert!(both.load().is_ok());
}

#[test]
fn with_redis_both_broker_and_store_move_there_unless_they_are_named() {
    let of = |given: Given<'_>| {
        let redis = given.load().unwrap().settings.redis;
        (redis.broker(), redis.store())
    };
    let alone = of(Given::default());
    assert_eq!(alone, (Broker::Local, StoreKind::Sqlite));
    let redis = ("--redis", "redis://127.0.0.1");
    let both = of(Given {
        flags: &[redis],
        ..Given::default()
    });
    assert_eq!(both, (Broker::RedisStreams, StoreKind::Redis));
    let named = of(Given {
        env: &[("LAKH_BROKER", "redis-sharded"), ("LAKH_STORE", "sqlite")],
        flags: &[redis],
        ..Given::default()
    });
    assert_eq!(named, (Broker::RedisSharded, StoreKind::Sqlite));
}

#[test]
fn what_needs_redis_is_refused_where_nothing_says_where_it_is() {
    for (flag, word) in [
        ("--broker", "redis"),
        ("--broker", "redis-sharded"),
        ("--broker", "redis-streams"),
        ("--store", "redis"),
    ] {
        let problem = Given {
            flags: &[(flag, word)],
            ..Given::default()
        }
        .problem();
        let part = format!("{flag}: `redis.{}` is \"{word}\"", &flag[2..]);
        assert!(problem.starts_with(&part), "{problem}");
        assert!(problem.contains("give --redis URL"), "{problem}");
    }
}

#[test]
fn the_url_of_redis_comes_from_a_file_too_and_shows_no_password() {
    let secret = Some("redis://lakh:hunter2@redis:6379/1\n");
    let given = Given {
        env: &[("LAKH_REDIS_FILE", "/run/redis-url")],
        secret,
        ..Given::default()
    };
    let loaded = given.load().unwrap();
    let url = loaded.settings.redis.url.as_ref().unwrap();
    assert_eq!(url.secret(), "redis://lakh:hunter2@redis:6379/1");
    let shown = super::show::effective(&loaded);
    let line = "# url = \"redis://lakh:***@redis:6379/1\" # file /run/redis-url (named by LAKH_REDIS_FILE)";
    assert!(shown.contains(line), "{shown}");
    assert!(!format!("{shown}{loaded:?}").contains("hunter2"));

    let twice = Given {
        flags: &[("--redis", "redis://h"), ("--redis-file", "/f")],
        secret,
        ..Given::default()
    };
    assert!(twice.problem().contains("exclude each other"));
    let missing = Given {
        flags: &[("--redis-file", "/f"), ("--broker", "redis")],
        ..Given::default()
    };
    assert!(missing.problem().contains("the url can't be read"));
    let broken = Given {
        flags: &[("--redis-file", "/f")],
        secret: Some("redis://:hunter2@a,b"),
        ..Given::default()
    };
    let problems = broken.load().unwrap_err().to_string();
    assert!(problems.contains("redis+cluster://"), "{problems}");
    assert!(!problems.contains("hunter2"), "{problems}");
}
