//! Reading the settings from their sources, one over the other: file, environment, flags.
//!
//! The functions here read nothing themselves: whoever calls brings the text of the file, the variables and the flags.
//! One rule names a variable: `LAKH_<SECTION>__<KEY>`, with two underscores between; the settings that have a flag
//! also have the short name of that flag, such as `LAKH_BIND`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::Settings;
use super::problem::{Place, Problem, Problems, nearest, suggestion};
use super::section::Section;
use super::value::Raw;

/// A setting that has a flag, and with it a short variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Short {
    /// The flag, with its dashes.
    pub flag: &'static str,
    /// The short environment variable.
    pub env: &'static str,
    /// The section of the setting.
    pub section: &'static str,
    /// The key of the setting.
    pub key: &'static str,
}

/// The settings that have a flag.
pub const SHORT: [Short; 14] = [
    short("--bind", "LAKH_BIND", "server", "bind"),
    short("--path", "LAKH_PATH", "server", "path"),
    short("--data", "LAKH_DATA", "server", "data"),
    short("--node", "LAKH_NODE", "server", "node"),
    short("--open", "LAKH_OPEN", "server", "open"),
    short("--auth-secret", "LAKH_AUTH_SECRET", "auth", "secret"),
    short(
        "--auth-secret-file",
        "LAKH_AUTH_SECRET_FILE",
        "auth",
        "secret_file",
    ),
    short("--redis", "LAKH_REDIS", "redis", "url"),
    short("--redis-file", "LAKH_REDIS_FILE", "redis", "url_file"),
    short("--redis-key", "LAKH_REDIS_KEY", "redis", "key"),
    short("--broker", "LAKH_BROKER", "redis", "broker"),
    short("--store", "LAKH_STORE", "redis", "store"),
    short("--log", "LAKH_LOG", "log", "level"),
    short("--log-format", "LAKH_LOG_FORMAT", "log", "format"),
];

const fn short(
    flag: &'static str,
    env: &'static str,
    section: &'static str,
    key: &'static str,
) -> Short {
    Short {
        flag,
        env,
        section,
        key,
    }
}

/// Names the file; read by whoever finds the file, known here so that it is no unknown variable.
pub const CONFIG_ENV: &str = "LAKH_CONFIG";

/// The text of a configuration file.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    /// As it was named or found.
    pub path: PathBuf,
    /// Its content.
    pub text: String,
}

/// A setting given on the command line.
#[derive(Clone, PartialEq, Eq)]
pub struct FlagValue {
    /// How it was given, for messages: the flag with its dashes.
    pub flag: &'static str,
    /// The section of the setting.
    pub section: &'static str,
    /// The key of the setting.
    pub key: &'static str,
    /// The text that followed it; "true" for a flag without one.
    pub text: String,
}

/// All that settings are read from. Holds secrets, so it shows itself nowhere.
pub struct Sources<'a> {
    /// The file, if there is one.
    pub file: Option<ConfigFile>,
    /// The process's environment; variables without the prefix `LAKH_` are passed over.
    pub env: Vec<(String, String)>,
    /// Flags of the command line.
    pub flags: Vec<FlagValue>,
    /// Reads a file that the settings name: a secret, a certificate.
    pub read_file: &'a dyn Fn(&Path) -> std::io::Result<String>,
}

/// Settings, and where each was read.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// In force.
    pub settings: Settings,
    /// The file that was read, if one was.
    pub file: Option<PathBuf>,
    places: BTreeMap<(String, String), Place>,
}

impl Loaded {
    /// Where the value of a key was read.
    pub fn place(&self, section: &str, key: &str) -> Place {
        let key = (section.to_owned(), key.to_owned());
        self.places.get(&key).cloned().unwrap_or(Place::Default)
    }
}

/// Reads and checks the settings. `Err` holds all that is wrong, in the order of the sources.
pub fn load(sources: &Sources<'_>) -> Result<Loaded, Problems> {
    let mut loader = Loader {
        settings: Settings::default(),
        places: BTreeMap::new(),
        problems: Vec::new(),
    };
    if let Some(file) = &sources.file {
        loader.file(file);
    }
    loader.environment(&sources.env);
    for flag in &sources.flags {
        let place = Place::Flag(flag.flag);
        loader.set(flag.section, flag.key, Raw::Text(&flag.text), place);
    }
    loader.secret_files(sources.read_file);
    loader.check();
    loader.tls_files(sources.read_file);
    if loader.problems.is_empty() {
        return Ok(Loaded {
            settings: loader.settings,
            file: sources.file.as_ref().map(|file| file.path.clone()),
            places: loader.places,
        });
    }
    Err(Problems(loader.problems))
}

struct Loader {
    settings: Settings,
    places: BTreeMap<(String, String), Place>,
    problems: Vec<Problem>,
}

impl Loader {
    fn problem(&mut self, place: Place, message: String) {
        self.problems.push(Problem { place, message });
    }

    fn section(&mut self, name: &str) -> Option<&mut dyn Section> {
        let mut all = self.settings.sections_mut().into_iter();
        all.find(|section| section.name() == name)
    }

    /// Sets one value and notes where it came from, or notes what is wrong with it.
    fn set(&mut self, section: &str, key: &str, raw: Raw<'_>, place: Place) {
        let Some(target) = self.section(section) else {
            return;
        };
        match target.set(key, raw) {
            Ok(()) => {
                self.places.insert((section.into(), key.into()), place);
            }
            Err(message) => self.problem(place, format!("`{section}.{key}`: {message}")),
        }
    }

    fn file(&mut self, file: &ConfigFile) {
        let place = |offset: usize| Place::File {
            path: file.path.clone(),
            line: line_of(&file.text, offset),
        };
        let (document, errors) = DeTable::parse_recoverable(&file.text);
        for error in errors {
            let at = place(error.span().map_or(0, |span| span.start));
            self.problem(at, error.message().to_owned());
        }
        for (name, value) in document.get_ref() {
            let at = place(name.span().start);
            let name = name.get_ref().as_ref();
            if self.section(name).is_none() {
                self.problem(at, unknown_section(&self.settings, name));
                continue;
            }
            let DeValue::Table(table) = value.get_ref() else {
                let message =
                    format!("`{name}` is a section: write `[{name}]` on a line of its own");
                self.problem(at, message);
                continue;
            };
            self.table(name, table, &place);
        }
    }

    /// The keys of a section, and the sections within it.
    fn table(&mut self, name: &str, table: &DeTable<'_>, place: &dyn Fn(usize) -> Place) {
        for (key, value) in table {
            let at = place(key.span().start);
            let key = key.get_ref().as_ref();
            let within = format!("{name}.{key}");
            match value.get_ref() {
                DeValue::Table(table) if self.section(&within).is_some() => {
                    self.table(&within, table, place);
                }
                value if known(&self.settings, name, key) => {
                    self.set(name, key, Raw::Toml(value), at);
                }
                _ => self.problem(at, unknown_key(&self.settings, name, key)),
            }
        }
    }

    fn environment(&mut self, variables: &[(String, String)]) {
        let mut given: BTreeMap<(String, String), &str> = BTreeMap::new();
        for (name, text) in variables {
            if !name.starts_with("LAKH_") || name == CONFIG_ENV || is_from_kubernetes(name) {
                continue;
            }
            let place = Place::Env(name.clone());
            let Some((section, key)) = self.variable(name) else {
                let hint = nearest_variable(&self.settings, name);
                self.problem(place, format!("unknown variable `{name}`{hint}"));
                continue;
            };
            if let Some(other) = given.insert((section.clone(), key.clone()), name) {
                self.problem(place, format!("says the same as {other}: give one of them"));
                continue;
            }
            self.set(&section, &key, Raw::Text(text), place);
        }
    }

    /// The section and key that a variable sets.
    fn variable(&self, name: &str) -> Option<(String, String)> {
        if let Some(short) = SHORT.iter().find(|short| short.env == name) {
            return Some((short.section.into(), short.key.into()));
        }
        let (section, key) = name.strip_prefix("LAKH_")?.rsplit_once("__")?;
        let section = section.to_ascii_lowercase().replace("__", ".");
        let key = key.to_ascii_lowercase();
        known(&self.settings, &section, &key).then_some((section, key))
    }

    /// Puts the content of each `<key>_file` in the place of its secret.
    fn secret_files(&mut self, read: &dyn Fn(&Path) -> std::io::Result<String>) {
        let files = [
            ("auth", "secret", self.settings.auth.secret_file.clone()),
            ("redis", "url", self.settings.redis.url_file.clone()),
            (
                "console",
                "oidc_client_secret",
                self.settings.console.oidc_client_secret_file.clone(),
            ),
            (
                "console",
                "admin_password_hash",
                self.settings.console.admin_password_hash_file.clone(),
            ),
            (
                "chat.files",
                "s3_secret",
                self.settings.chat_files.s3_secret_file.clone(),
            ),
        ];
        for (section, key, path) in files {
            if let Some(path) = path {
                self.secret_file(section, key, &path, read);
            }
        }
        for (key, message) in self.settings.hooks.read_secrets(read) {
            let place = self.take_place("hooks", key);
            self.problem(place, message);
        }
        for (key, message) in self.settings.bridge.read_files(read) {
            let place = self.take_place("bridge", key);
            self.problem(place, message);
        }
    }

    fn secret_file(
        &mut self,
        section: &'static str,
        key: &'static str,
        path: &Path,
        read: &dyn Fn(&Path) -> std::io::Result<String>,
    ) {
        let file_key = format!("{key}_file");
        let named_by = self.take_place(section, &file_key);
        if let Some(other) = self.places.get(&(section.into(), key.into())) {
            let message = format!(
                "`{section}.{file_key}` and `{section}.{key}` ({other}) exclude each other: give one of them"
            );
            self.problem(named_by, message);
            return;
        }
        let place = Place::SecretFile(path.to_owned(), Box::new(named_by));
        match read(path) {
            Err(error) => self.problem(place, format!("the {key} can't be read: {error}")),
            Ok(text) => match text.trim_end_matches(['\n', '\r']) {
                "" => self.problem(place, format!("the {key} is empty")),
                secret => self.set(section, key, Raw::Text(secret), place),
            },
        }
    }

    /// What can't be read now won't be readable when the port is bound.
    fn tls_files(&mut self, read: &dyn Fn(&Path) -> std::io::Result<String>) {
        let tls = &self.settings.tls;
        let files = [("cert", tls.cert.clone()), ("key", tls.key.clone())];
        for (key, path) in files {
            let Some(path) = path else { continue };
            if let Err(error) = read(&path) {
                let place = self.take_place("tls", key);
                let message = format!("`tls.{key}`: {} can't be read: {error}", path.display());
                self.problem(place, message);
            }
        }
    }

    fn take_place(&self, section: &str, key: &str) -> Place {
        let place = self.places.get(&(section.to_owned(), key.to_owned()));
        place.cloned().unwrap_or(Place::Default)
    }

    fn check(&mut self) {
        let mut wrong = self.settings.check_together();
        for section in self.settings.sections() {
            let name = section.name();
            wrong.extend(
                section
                    .check()
                    .into_iter()
                    .map(|(key, text)| (name, key, text)),
            );
        }
        for (section, key, message) in wrong {
            let place = self.take_place(section, key);
            self.problem(place, format!("`{section}.{key}` {message}"));
        }
    }
}

/// The line of an offset, from 1.
fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

/// Kubernetes sets such variables in every pod when a service is named `lakh`, or `lakh-redis`; none of them is meant
/// for us. Ours end otherwise, or have two underscores in them.
fn is_from_kubernetes(name: &str) -> bool {
    let theirs = ["_PORT", "_SERVICE_HOST"]
        .iter()
        .any(|end| name.ends_with(end))
        || name.contains("_PORT_");
    theirs && !name.contains("__")
}

fn keys<'a>(section: &'a dyn Section) -> impl Iterator<Item = &'static str> + 'a {
    section.fields().iter().map(|field| field.key)
}

fn known(settings: &Settings, section: &str, key: &str) -> bool {
    let mut all = settings.sections().into_iter();
    all.any(|known| known.name() == section && keys(known).any(|name| name == key))
}

/// Every key with its section before it.
fn dotted(settings: &Settings) -> Vec<String> {
    let all = settings.sections().into_iter();
    all.flat_map(|section| keys(section).map(|key| format!("{}.{key}", section.name())))
        .collect()
}

fn unknown_key(settings: &Settings, section: &str, key: &str) -> String {
    let name = format!("{section}.{key}");
    let own: Vec<String> = dotted(settings)
        .into_iter()
        .filter(|known| known.starts_with(&format!("{section}.")))
        .collect();
    // A key may stand in the wrong section, with its own name right.
    let moved = dotted(settings)
        .into_iter()
        .find(|known| known.ends_with(&format!(".{key}")));
    let hint = match (
        nearest(key, own.iter().filter_map(|own| own.rsplit('.').next())),
        moved,
    ) {
        (Some(near), _) => format!(": did you mean `{section}.{near}`?"),
        (None, Some(moved)) => format!(": did you mean `{moved}`?"),
        (None, None) => suggestion(&name, own.iter().map(String::as_str)),
    };
    format!("unknown key `{name}`{hint}")
}

fn unknown_section(settings: &Settings, name: &str) -> String {
    if let Some(key) = dotted(settings)
        .into_iter()
        .find(|known| known.ends_with(&format!(".{name}")))
    {
        return format!("unknown key `{name}`: did you mean `{key}`?");
    }
    let sections: Vec<&str> = settings
        .sections()
        .iter()
        .map(|known| known.name())
        .collect();
    let hint = suggestion(name, sections.iter().copied());
    format!("unknown section `{name}`{hint}")
}

fn nearest_variable(settings: &Settings, name: &str) -> String {
    let long = dotted(settings)
        .into_iter()
        .map(|key| format!("LAKH_{}", key.replace('.', "__").to_ascii_uppercase()));
    let names: Vec<String> = SHORT
        .iter()
        .map(|short| short.env.to_owned())
        .chain([CONFIG_ENV.to_owned()])
        .chain(long)
        .collect();
    match nearest(name, names.iter().map(String::as_str)) {
        Some(near) => format!(": did you mean `{near}`?"),
        None => ": a variable is `LAKH_<SECTION>__<KEY>`, such as `LAKH_SERVER__BIND`".into(),
    }
}
