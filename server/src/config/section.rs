//! How a section of the settings is declared: once, in the file of the section.
//!
//! From that one declaration come the typed struct, its defaults, the reading from each source, the commented example,
//! `print-config` and the list of known keys. So none of these can drift from another.

use toml::Value;

use super::value::Raw;

/// One key of a section, as it was declared.
#[derive(Debug)]
pub struct Field {
    /// The key within its section.
    pub key: &'static str,
    /// The lines of its comment, as written in the source.
    pub doc: &'static [&'static str],
    /// Whether its value must not be shown, and may be named by a file in `<key>_file`.
    pub secret: bool,
}

/// What a section of the settings can do; implemented by the macro `section`.
pub trait Section {
    /// The name of its table in the file.
    fn name(&self) -> &'static str;
    /// The lines of its comment.
    fn about(&self) -> &'static [&'static str];
    /// Its keys, in the order they were declared.
    fn fields(&self) -> &'static [Field];
    /// Sets a key that [`Section::fields`] names. `Err` says what is wrong with the value.
    fn set(&mut self, key: &str, raw: Raw<'_>) -> Result<(), String>;
    /// The value of a key; `None` when it isn't set.
    fn show(&self, key: &str) -> Option<Value>;
    /// Says what is wrong with its values, as pairs of key and message.
    fn check(&self) -> Vec<(&'static str, String)>;
}

/// Declares a section: `Name as "table" { /// doc … key: Type = default; … } check |section| …`.
macro_rules! section {
    (
        $(#[doc = $about:literal])*
        $name:ident as $table:literal {
            $( $(#[doc = $doc:literal])* $key:ident: $type:ty = $default:expr; )*
        }
        check $check:expr;
    ) => {
        // The comments go into the example as they are, addresses without angle brackets and what may be left out in square
        // ones.
        #[allow(rustdoc::bare_urls, rustdoc::broken_intra_doc_links)]
        $(#[doc = $about])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $( $(#[doc = $doc])* pub $key: $type, )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $key: $default, )* }
            }
        }

        impl $crate::config::section::Section for $name {
            fn name(&self) -> &'static str {
                $table
            }

            fn about(&self) -> &'static [&'static str] {
                &[$($about),*]
            }

            fn fields(&self) -> &'static [$crate::config::section::Field] {
                use $crate::config::value::Setting;
                const {
                    &[$( $crate::config::section::Field {
                        key: stringify!($key),
                        doc: &[$($doc),*],
                        secret: <$type as Setting>::SECRET,
                    } ),*]
                }
            }

            fn set(&mut self, key: &str, raw: $crate::config::value::Raw<'_>) -> Result<(), String> {
                use $crate::config::value::Setting;
                match key {
                    $( stringify!($key) => self.$key = <$type as Setting>::read(raw)?, )*
                    _ => return Err(format!("`{}` has no key `{key}`", $table)),
                }
                Ok(())
            }

            fn show(&self, key: &str) -> Option<toml::Value> {
                use $crate::config::value::Setting;
                match key {
                    $( stringify!($key) => self.$key.show(), )*
                    _ => None,
                }
            }

            fn check(&self) -> Vec<(&'static str, String)> {
                let mut wrong = Vec::new();
                let check: fn(&$name, &mut Vec<(&'static str, String)>) = $check;
                check(self, &mut wrong);
                wrong
            }
        }
    };
}
pub(crate) use section;

/// Notes "must be more than 0" for each value that is 0.
pub(crate) fn above_zero(wrong: &mut Vec<(&'static str, String)>, values: &[(&'static str, u64)]) {
    for (key, value) in values {
        if *value == 0 {
            wrong.push((key, "must be more than 0".into()));
        }
    }
}
