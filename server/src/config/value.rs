//! The kinds of values a setting can have: how each is read from TOML, from text (environment, flags) and shown.
//!
//! What must hold: `read(show(x)) == x` for every kind that isn't a secret, so that the output of `print-config` is
//! itself a configuration. TOML values are typed (`"3"` is no number), text is not (`LAKH_SERVER__LOOPS=3` is one).

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use toml::Value;
use toml::de::DeValue;

use super::problem::suggestion;

/// A value as it was found, before it has a type.
#[derive(Debug, Clone, Copy)]
pub enum Raw<'a> {
    /// From the environment or a flag.
    Text(&'a str),
    /// From the TOML file.
    Toml(&'a DeValue<'a>),
}

impl Raw<'_> {
    /// What it is, for "expected …, found …".
    fn found(&self) -> String {
        match self {
            Raw::Text(text) => format!("\"{text}\""),
            Raw::Toml(DeValue::String(text)) => format!("the text \"{text}\""),
            Raw::Toml(DeValue::Integer(number)) => format!("the number {number}"),
            Raw::Toml(DeValue::Float(number)) => format!("the number {number}"),
            Raw::Toml(DeValue::Boolean(yes)) => format!("{yes}"),
            Raw::Toml(DeValue::Datetime(time)) => format!("the date {time}"),
            Raw::Toml(DeValue::Array(_)) => "a list".into(),
            Raw::Toml(DeValue::Table(_)) => "a table".into(),
        }
    }

    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Raw::Text(text) => Some(text),
            Raw::Toml(value) => value.as_str(),
        }
    }
}

/// A kind of value that a setting can have.
pub trait Setting: Sized {
    /// Whether its content must never be shown.
    const SECRET: bool = false;

    /// What is expected, for messages and the example: "a whole number".
    fn expected() -> String;

    /// Reads it. `Err` says what is wrong; `mismatch` writes the usual one.
    fn read(raw: Raw<'_>) -> Result<Self, String>;

    /// Shows it as TOML; `None` where it isn't set.
    fn show(&self) -> Option<Value>;
}

/// "expected …, found …".
pub fn mismatch<T: Setting>(raw: &Raw<'_>) -> String {
    if T::SECRET {
        return format!("expected {}", T::expected());
    }
    format!("expected {}, found {}", T::expected(), raw.found())
}

impl Setting for bool {
    fn expected() -> String {
        "true or false".into()
    }

    fn read(raw: Raw<'_>) -> Result<Self, String> {
        match raw {
            Raw::Toml(DeValue::Boolean(yes)) => Ok(*yes),
            Raw::Text("true" | "1" | "yes" | "on") => Ok(true),
            Raw::Text("false" | "0" | "no" | "off") => Ok(false),
            _ => Err(mismatch::<Self>(&raw)),
        }
    }

    fn show(&self) -> Option<Value> {
        Some(Value::Boolean(*self))
    }
}

macro_rules! whole_numbers {
    ($($type:ty),*) => {$(
        impl Setting for $type {
            fn expected() -> String {
                "a whole number of 0 or more".into()
            }

            fn read(raw: Raw<'_>) -> Result<Self, String> {
                let number: Option<Self> = match raw {
                    Raw::Text(text) => text.replace('_', "").parse().ok(),
                    Raw::Toml(DeValue::Integer(number)) => {
                        Self::from_str_radix(number.as_str(), number.radix()).ok()
                    }
                    Raw::Toml(_) => None,
                };
                number.ok_or_else(|| mismatch::<Self>(&raw))
            }

            fn show(&self) -> Option<Value> {
                // Past i64 TOML has no number; no setting comes near it.
                Some(Value::Integer(i64::try_from(*self).unwrap_or(i64::MAX)))
            }
        }
    )*};
}
whole_numbers!(u32, u64, usize);

macro_rules! by_text {
    ($type:ty, $expected:literal, $show:expr) => {
        impl Setting for $type {
            fn expected() -> String {
                $expected.into()
            }

            fn read(raw: Raw<'_>) -> Result<Self, String> {
                let parsed = raw.text().and_then(|text| text.parse().ok());
                parsed.ok_or_else(|| mismatch::<Self>(&raw))
            }

            fn show(&self) -> Option<Value> {
                let show: fn(&$type) -> String = $show;
                Some(Value::String(show(self)))
            }
        }
    };
}
by_text!(String, "text in quotes", String::clone);
by_text!(PathBuf, "a path in quotes", |path| path
    .display()
    .to_string());

/// An address with a port. `localhost:3000` and `:3000` are understood too (`:3000` means every address).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address(pub SocketAddr);

impl std::str::FromStr for Address {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let spelled = match text.strip_prefix("localhost:") {
            Some(port) => format!("127.0.0.1:{port}"),
            None if text.starts_with(':') => format!("0.0.0.0{text}"),
            None => text.to_owned(),
        };
        spelled.parse().map(Self)
    }
}
by_text!(
    Address,
    "an address with a port, such as \"127.0.0.1:3000\" or \"[::]:3000\"",
    |address| address.0.to_string()
);

/// A network, or one address for a network of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(pub IpNet);

impl std::str::FromStr for Network {
    type Err = ipnet::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<std::net::IpAddr>() {
            Ok(address) => Ok(Self(IpNet::from(address))),
            Err(_) => text.parse().map(Self),
        }
    }
}
by_text!(
    Network,
    "an address or network, such as \"10.0.0.7\" or \"10.0.0.0/8\"",
    |network| network.0.to_string()
);

/// Text that is never shown: neither by `Debug` nor by `print-config`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl Setting for Secret {
    const SECRET: bool = true;

    fn expected() -> String {
        "text in quotes that isn't empty".into()
    }

    fn read(raw: Raw<'_>) -> Result<Self, String> {
        match raw.text() {
            Some(text) if !text.is_empty() => Ok(Self(text.to_owned())),
            _ => Err(mismatch::<Self>(&raw)),
        }
    }

    fn show(&self) -> Option<Value> {
        Some(Value::String("***".into()))
    }
}

impl<T: Setting> Setting for Option<T> {
    const SECRET: bool = T::SECRET;

    fn expected() -> String {
        T::expected()
    }

    fn read(raw: Raw<'_>) -> Result<Self, String> {
        T::read(raw).map(Some)
    }

    fn show(&self) -> Option<Value> {
        self.as_ref().and_then(T::show)
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn expected() -> String {
        format!("a list, each {}", T::expected())
    }

    /// As text: parts with commas between; a text that starts with `[` is read as TOML.
    fn read(raw: Raw<'_>) -> Result<Self, String> {
        match raw {
            Raw::Toml(DeValue::Array(items)) => items
                .iter()
                .map(|item| T::read(Raw::Toml(item.get_ref())))
                .collect(),
            Raw::Text(text) if text.trim_start().starts_with('[') => {
                let value = DeValue::parse(text).map_err(|error| error.message().to_owned())?;
                Self::read(Raw::Toml(value.get_ref()))
            }
            Raw::Text(text) => text
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .map(|part| T::read(Raw::Text(part)))
                .collect(),
            Raw::Toml(_) => Err(mismatch::<Self>(&raw)),
        }
    }

    fn show(&self) -> Option<Value> {
        Some(Value::Array(self.iter().filter_map(T::show).collect()))
    }
}

/// One text, or a list of texts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OneOrMore(pub Vec<String>);

impl Setting for OneOrMore {
    fn expected() -> String {
        "text in quotes, or a list of texts".into()
    }

    fn read(raw: Raw<'_>) -> Result<Self, String> {
        match raw {
            Raw::Toml(DeValue::String(text)) => Ok(Self(vec![text.to_string()])),
            Raw::Text("") => Ok(Self(vec![String::new()])),
            _ => Vec::read(raw).map(Self),
        }
    }

    fn show(&self) -> Option<Value> {
        self.0.show()
    }
}

/// Declares an enum whose words are a setting's choices.
macro_rules! words {
    ($(#[doc = $about:literal])* $name:ident { $($(#[doc = $doc:literal])* $variant:ident = $word:literal,)* }) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[doc = $doc])* $variant,)* }

        impl $name {
            /// The word in the settings.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl $crate::config::value::Setting for $name {
            fn expected() -> String {
                let words: Vec<String> = [$($word),*].iter().map(|word| format!("\"{word}\"")).collect();
                format!("one of {}", words.join(", "))
            }

            fn read(raw: $crate::config::value::Raw<'_>) -> Result<Self, String> {
                $crate::config::value::word(raw, &[$(($word, Self::$variant)),*])
            }

            fn show(&self) -> Option<toml::Value> {
                Some(toml::Value::String(self.word().into()))
            }
        }
    };
}
pub(crate) use words;

/// One of the words, or a message with the nearest.
pub(crate) fn word<T: Setting + Copy>(raw: Raw<'_>, words: &[(&str, T)]) -> Result<T, String> {
    let Some(text) = raw.text() else {
        return Err(mismatch::<T>(&raw));
    };
    match words.iter().find(|(word, _)| *word == text) {
        Some((_, value)) => Ok(*value),
        None => {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            Err(format!("unknown word `{text}`{}", suggestion(text, known)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<T: Setting>(text: &str) -> Result<T, String> {
        T::read(Raw::Text(text))
    }

    #[test]
    fn an_address_may_leave_its_host_out() {
        let all: Address = text(":3000").unwrap();
        assert_eq!(all.0.to_string(), "0.0.0.0:3000");
        let local: Address = text("localhost:80").unwrap();
        assert!(local.0.ip().is_loopback());
        assert!(text::<Address>("127.0.0.1").is_err(), "a port is needed");
    }

    #[test]
    fn one_address_is_a_network_of_one() {
        let network: Network = text("10.0.0.7").unwrap();
        assert_eq!(network.0.to_string(), "10.0.0.7/32");
    }

    #[test]
    fn a_secret_shows_itself_nowhere() {
        let secret: Secret = text("correct horse").unwrap();
        assert!(!format!("{secret:?}{:?}", secret.show()).contains("horse"));
        let empty = text::<Secret>("").unwrap_err();
        assert!(empty.contains("isn't empty"), "{empty}");
    }

    #[test]
    fn a_wrong_type_says_what_was_expected_and_what_was_found() {
        let value = DeValue::parse("\"3\"").unwrap();
        let error = u64::read(Raw::Toml(value.get_ref())).unwrap_err();
        assert_eq!(
            error,
            "expected a whole number of 0 or more, found the text \"3\""
        );
    }

    #[test]
    fn a_list_in_text_has_commas_or_is_toml() {
        let commas: Vec<String> = text("a, b,").unwrap();
        let toml: Vec<String> = text("[\"a\", \"b\"]").unwrap();
        assert_eq!(commas, ["a", "b"]);
        assert_eq!(commas, toml);
    }

    #[test]
    fn numbers_below_zero_are_refused() {
        let value = DeValue::parse("-1").unwrap();
        assert!(u32::read(Raw::Toml(value.get_ref())).is_err());
    }
}
