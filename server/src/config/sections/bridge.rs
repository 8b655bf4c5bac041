//! `[[bridge.sources]]` and `[[bridge.sinks]]`: events from message brokers, and on to them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use lakh_auth::Pattern;
use lakh_bridge::flows::{
    Config, Filter, Format, From, HAS_KAFKA, Mapping, Overflow, SinkSettings, SourceSettings,
    Start, To, Url,
};
use lakh_hub::What;
use toml::Value;
use toml::de::DeValue;

use crate::config::problem::suggestion;
use crate::config::section::section;
use crate::config::tables::{ReadFile, words};
use crate::config::value::{Raw, Secret, Setting, mismatch};

/// Keys of all sources and sinks that are texts.
const TEXTS: [&str; 4] = ["name", "kind", "url", "url_file"];
/// Keys of a source, by kind.
const SOURCE: [(&str, &[&str]); 4] = [
    ("redis", &["stream", "group", "body"]),
    ("nats", &["stream", "subject", "durable"]),
    ("rabbitmq", &["queue", "exchange", "routing_key"]),
    ("kafka", &["topic"]),
];
const SOURCE_TEXTS: [&str; 8] = [
    "namespace",
    "room",
    "event",
    "data",
    "format",
    "id",
    "start",
    "dead_letter",
];
const SOURCE_NUMBERS: [&str; 3] = ["window_entries", "window_bytes", "dedupe_ms"];
/// Keys of a sink, by kind.
const SINK: [(&str, &[&str]); 4] = [
    ("redis", &["stream", "max_len"]),
    ("nats", &["subject"]),
    ("rabbitmq", &["exchange", "routing_key"]),
    ("kafka", &["topic"]),
];
const SINK_TEXTS: [&str; 1] = ["overflow"];
const SINK_NUMBERS: [&str; 3] = ["queue_bytes", "batch", "max_len"];
const SINK_LISTS: [&str; 4] = ["types", "namespaces", "rooms", "events"];

/// A table as it was given, and the address that may hold a password.
#[derive(Debug, Clone, Default, PartialEq)]
struct Keys {
    texts: BTreeMap<String, String>,
    numbers: BTreeMap<String, u64>,
    lists: BTreeMap<String, Vec<String>>,
    url: Option<Secret>,
}

impl Keys {
    fn read(
        raw: Raw<'_>,
        what: &str,
        (texts, numbers, lists): (&[&str], &[&str], &[&str]),
        kinds: &[(&str, &[&str])],
    ) -> Result<Self, String> {
        let Raw::Toml(DeValue::Table(table)) = raw else {
            return Err(format!(
                "each {what} is a table: write `[[bridge.{what}s]]` above its keys"
            ));
        };
        let mut keys = Self::default();
        for (key, value) in table {
            let (key, raw) = (key.get_ref().as_ref(), Raw::Toml(value.get_ref()));
            let of_a_kind = kinds.iter().any(|(_, own)| own.contains(&key));
            let wrong = |message| format!("`{key}`: {message}");
            if key == "url" {
                keys.url = Some(Secret::read(raw).map_err(wrong)?);
            } else if numbers.contains(&key) {
                keys.numbers
                    .insert(key.to_owned(), u64::read(raw).map_err(wrong)?);
            } else if lists.contains(&key) {
                keys.lists
                    .insert(key.to_owned(), words(raw).map_err(wrong)?);
            } else if TEXTS.contains(&key) || texts.contains(&key) || of_a_kind {
                keys.texts
                    .insert(key.to_owned(), String::read(raw).map_err(wrong)?);
            } else {
                let of_kinds = kinds.iter().flat_map(|(_, own)| own.iter().copied());
                let all = TEXTS
                    .iter()
                    .chain(texts)
                    .chain(numbers)
                    .chain(lists)
                    .copied();
                let hint = suggestion(key, all.chain(of_kinds));
                return Err(format!("unknown key `{key}` in a {what}{hint}"));
            }
        }
        keys.check(what, kinds)?;
        Ok(keys)
    }

    /// That it has a name, a known kind, one address, and no keys of other kinds.
    fn check(&self, what: &str, kinds: &[(&str, &[&str])]) -> Result<(), String> {
        let name = self.need("name")?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            return Err(format!(
                "the name `{name}` must be 1 to 64 letters, digits, `-`, `_` or `.`"
            ));
        }
        let kind = self.need("kind")?;
        let Some((_, own)) = kinds.iter().find(|(known, _)| *known == kind) else {
            let hint = suggestion(&kind, kinds.iter().map(|(known, _)| *known));
            return Err(format!("{what} `{name}`: unknown kind `{kind}`{hint}"));
        };
        if kind == "kafka" && !HAS_KAFKA {
            return Err(format!(
                "{what} `{name}`: this build has no client for Kafka; build with `--features kafka`"
            ));
        }
        let given = self.texts.keys().chain(self.numbers.keys());
        for key in given {
            let others = kinds.iter().filter(|(known, _)| *known != kind);
            let of_others = others.clone().any(|(_, keys)| keys.contains(&key.as_str()));
            if of_others && !own.contains(&key.as_str()) {
                return Err(format!("{what} `{name}`: `{key}` means nothing to {kind}"));
            }
        }
        match (&self.url, self.texts.contains_key("url_file")) {
            (Some(_), true) => Err(format!(
                "{what} `{name}`: `url` and `url_file` exclude each other: give one of them"
            )),
            (None, false) => Err(format!(
                "{what} `{name}` needs a `url`, or a `url_file` that holds it"
            )),
            _ => Ok(()),
        }
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.texts.get(key).map(String::as_str)
    }

    fn need(&self, key: &str) -> Result<String, String> {
        let found = self.text(key).filter(|text| !text.is_empty());
        found.map(str::to_owned).ok_or_else(|| {
            let name = self.text("name").unwrap_or_default();
            format!("`{name}` needs a `{key}`")
        })
    }

    fn count(&self, key: &str, default: usize) -> Result<usize, String> {
        match self.numbers.get(key) {
            None => Ok(default),
            Some(0) => Err(format!("`{key}` must be more than 0")),
            Some(number) => Ok(usize::try_from(*number).unwrap_or(usize::MAX)),
        }
    }

    fn parsed<T: std::str::FromStr<Err: ToString>>(&self, key: &str) -> Result<Option<T>, String> {
        let parsed = self.text(key).map(str::parse).transpose();
        parsed.map_err(|error: T::Err| format!("`{key}`: {}", error.to_string()))
    }

    fn one_of<T: Copy + Default>(&self, key: &str, words: &[(&str, T)]) -> Result<T, String> {
        let Some(text) = self.text(key) else {
            return Ok(T::default());
        };
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let hint = suggestion(text, words.iter().map(|(word, _)| *word));
            format!("`{key}`: unknown word `{text}`{hint}")
        })
    }

    fn url(&self) -> Url {
        Url(self
            .url
            .as_ref()
            .map(|url| url.0.clone())
            .unwrap_or_default())
    }

    fn list(&self, key: &str) -> Vec<String> {
        self.lists.get(key).cloned().unwrap_or_default()
    }

    fn patterns(&self, key: &str) -> Vec<Pattern> {
        let texts = self.lists.get(key).into_iter().flatten();
        texts.map(|text| Pattern::new(text)).collect()
    }

    /// Puts the content of `url_file` in its place.
    fn read_file(&mut self, read: ReadFile<'_>) -> Result<(), String> {
        let Some(path) = self.text("url_file").map(PathBuf::from) else {
            return Ok(());
        };
        let text =
            read(&path).map_err(|error| format!("{} can't be read: {error}", path.display()))?;
        match text.trim_end_matches(['\n', '\r']) {
            "" => Err(format!("{} is empty", path.display())),
            url => {
                self.url = Some(Secret(url.to_owned()));
                Ok(())
            }
        }
    }

    fn show(&self) -> Value {
        let mut table = toml::Table::new();
        for (key, text) in &self.texts {
            table.insert(key.clone(), Value::String(text.clone()));
        }
        for (key, number) in &self.numbers {
            let number = i64::try_from(*number).unwrap_or(i64::MAX);
            table.insert(key.clone(), Value::Integer(number));
        }
        for (key, words) in &self.lists {
            let words = words.iter().cloned().map(Value::String);
            table.insert(key.clone(), Value::Array(words.collect()));
        }
        if self.url.is_some() && !table.contains_key("url_file") {
            table.insert("url".to_owned(), Value::String("***".to_owned()));
        }
        Value::Table(table)
    }
}

/// One source.
#[derive(Debug, Clone, PartialEq)]
pub struct BridgeSource(Keys);

impl BridgeSource {
    fn settings(&self) -> Result<SourceSettings, String> {
        let keys = &self.0;
        let (name, url) = (keys.need("name")?, keys.url());
        let text = |key: &str, default: &str| keys.text(key).unwrap_or(default).to_owned();
        let from = match keys.need("kind")?.as_str() {
            "redis" => From::Redis {
                url,
                stream: keys.need("stream")?,
                group: text("group", "lakh"),
                body: text("body", "data"),
            },
            "nats" => From::Nats {
                url,
                stream: keys.need("stream")?,
                subject: text("subject", ""),
                durable: text("durable", &format!("lakh-{}", name.replace('.', "-"))),
            },
            "rabbitmq" => From::Rabbit {
                url,
                queue: keys.need("queue")?,
                exchange: keys.text("exchange").map(str::to_owned),
                routing_key: text("routing_key", "#"),
            },
            _ => From::Kafka {
                url,
                topic: keys.need("topic")?,
            },
        };
        let defaults = Mapping::default();
        let namespace = text("namespace", &defaults.namespace);
        if !namespace.starts_with('/') {
            return Err(format!("`namespace`: `{namespace}` must begin with `/`"));
        }
        let formats = [
            ("json", Format::Json),
            ("text", Format::Text),
            ("binary", Format::Binary),
        ];
        let mapping = Mapping {
            namespace,
            room: keys.parsed("room")?.unwrap_or(defaults.room),
            event: keys.parsed("event")?.unwrap_or(defaults.event),
            data: keys.parsed("data")?.unwrap_or(defaults.data),
            format: keys.one_of("format", &formats)?,
            id: keys.parsed("id")?,
        };
        let dedupe_ms = keys.numbers.get("dedupe_ms").copied();
        Ok(SourceSettings {
            name,
            from,
            start: keys.one_of("start", &[("all", Start::All), ("new", Start::New)])?,
            mapping,
            dead_letter: keys.text("dead_letter").map(str::to_owned),
            // Each entry is noted in one batch of the store.
            window_entries: keys.count("window_entries", 256)?.min(1_000),
            window_bytes: keys.count("window_bytes", 4 << 20)?,
            dedupe: Duration::from_millis(dedupe_ms.unwrap_or(24 * 60 * 60 * 1_000)),
        })
    }
}

impl Setting for BridgeSource {
    fn expected() -> String {
        "a table such as { name = \"orders\", kind = \"redis\", url = \"redis://localhost\", stream = \"orders\" }".into()
    }

    fn read(raw: Raw<'_>) -> Result<Self, String> {
        if !matches!(raw, Raw::Toml(DeValue::Table(_))) {
            return Err(mismatch::<Self>(&raw));
        }
        let known = (&SOURCE_TEXTS[..], &SOURCE_NUMBERS[..], &[][..]);
        let source = Self(Keys::read(raw, "source", known, &SOURCE)?);
        source.settings()?;
        Ok(source)
    }

    fn show(&self) -> Option<Value> {
        Some(self.0.show())
    }
}

/// One sink.
#[derive(Debug, Clone, PartialEq)]
pub struct BridgeSink(Keys);

impl BridgeSink {
    fn settings(&self) -> Result<SinkSettings, String> {
        let keys = &self.0;
        let (name, url) = (keys.need("name")?, keys.url());
        let to = match keys.need("kind")?.as_str() {
            "redis" => To::Redis {
                url,
                stream: keys.need("stream")?,
                max_len: keys.numbers.get("max_len").copied().unwrap_or(0),
            },
            "nats" => To::Nats {
                url,
                subject: keys.need("subject")?,
            },
            "rabbitmq" => To::Rabbit {
                url,
                exchange: keys.text("exchange").unwrap_or_default().to_owned(),
                routing_key: keys.need("routing_key")?,
            },
            _ => To::Kafka {
                url,
                topic: keys.need("topic")?,
            },
        };
        let kinds = keys
            .list("types")
            .iter()
            .map(|word| kind(word))
            .collect::<Result<_, _>>()?;
        let overflows = [
            ("drop-oldest", Overflow::DropOldest),
            ("drop-newest", Overflow::DropNewest),
        ];
        Ok(SinkSettings {
            name,
            to,
            filter: Filter {
                kinds,
                namespaces: keys.patterns("namespaces"),
                rooms: keys.patterns("rooms"),
                events: keys.patterns("events"),
            },
            queue_bytes: keys.count("queue_bytes", 256 << 20)? as u64,
            overflow: keys.one_of("overflow", &overflows)?,
            batch: keys.count("batch", 256)?.min(1_000),
        })
    }
}

fn kind(word: &str) -> Result<What, String> {
    let all = [
        What::Connect,
        What::Disconnect,
        What::Join,
        What::Leave,
        What::Message,
        What::RateLimit,
        What::Module,
    ];
    all.into_iter()
        .find(|what| what.word() == word)
        .ok_or_else(|| {
            let hint = suggestion(word, all.iter().map(|what| what.word()));
            format!("`types`: unknown word `{word}`{hint}")
        })
}

impl Setting for BridgeSink {
    fn expected() -> String {
        "a table such as { name = \"audit\", kind = \"nats\", url = \"nats://localhost\", subject = \"lakh.{room}\" }".into()
    }

    fn read(raw: Raw<'_>) -> Result<Self, String> {
        if !matches!(raw, Raw::Toml(DeValue::Table(_))) {
            return Err(mismatch::<Self>(&raw));
        }
        let known = (&SINK_TEXTS[..], &SINK_NUMBERS[..], &SINK_LISTS[..]);
        let sink = Self(Keys::read(raw, "sink", known, &SINK)?);
        sink.settings()?;
        Ok(sink)
    }

    fn show(&self) -> Option<Value> {
        Some(self.0.show())
    }
}

section! {
    /// Events from message brokers, and on to them: Redis streams, NATS JetStream, RabbitMQ, and Kafka where the build has it.
    /// docs/bridge.md has all keys of a source and a sink, and examples.
    Bridge as "bridge" {
        /// Sources: `[[bridge.sources]]` with `name`, `kind` ("redis", "nats", "rabbitmq", "kafka"), `url` or `url_file`, what
        /// is read (`stream`, `queue` or `topic`), and what becomes of an entry (`room`, `event`, `data`, …).
        sources: Vec<BridgeSource> = Vec::new();
        /// Sinks: `[[bridge.sinks]]` with `name`, `kind`, `url` or `url_file`, where it sends to (`stream`, `subject`,
        /// `routing_key` or `topic`), and what it wants (`types`, `namespaces`, `rooms`, `events`).
        sinks: Vec<BridgeSink> = Vec::new();
        /// Whether the acknowledgement of a message waits until the message stands in the store for the sinks that want it:
        /// then none that was acknowledged is missing there, whatever ends. It costs a commit.
        durable: bool = true;
    }
    check |bridge, wrong| {
        let sources = bridge.sources.iter().map(|source| &source.0);
        let sinks = bridge.sinks.iter().map(|sink| &sink.0);
        for (key, names) in [("sources", names(sources)), ("sinks", names(sinks))] {
            if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
                wrong.push((key, format!("has `{}` twice: each needs a name of its own", twice[0])));
            }
        }
    };
}

fn names<'a>(all: impl Iterator<Item = &'a Keys>) -> Vec<&'a str> {
    let mut names: Vec<_> = all.filter_map(|keys| keys.text("name")).collect();
    names.sort_unstable();
    names
}

impl Bridge {
    /// The sources.
    pub fn sources(&self) -> Vec<SourceSettings> {
        // What can't be built was refused when it was read.
        self.sources
            .iter()
            .filter_map(|source| source.settings().ok())
            .collect()
    }

    /// The sinks.
    pub fn sinks(&self) -> Vec<SinkSettings> {
        self.sinks
            .iter()
            .filter_map(|sink| sink.settings().ok())
            .collect()
    }

    /// All of it.
    pub fn config(&self) -> Config {
        Config {
            sources: self.sources(),
            sinks: self.sinks(),
            durable: self.durable,
        }
    }

    /// Reads the files that hold addresses, and says what is wrong, by key.
    pub(in crate::config) fn read_files(
        &mut self,
        read: ReadFile<'_>,
    ) -> Vec<(&'static str, String)> {
        let sources = self
            .sources
            .iter_mut()
            .map(|source| ("sources", &mut source.0));
        let sinks = self.sinks.iter_mut().map(|sink| ("sinks", &mut sink.0));
        let mut wrong = Vec::new();
        for (key, keys) in sources.chain(sinks) {
            if let Err(message) = keys.read_file(read) {
                let name = keys.text("name").unwrap_or_default();
                wrong.push((key, format!("`bridge.{key}`: `{name}`: {message}")));
            }
        }
        wrong
    }
}
