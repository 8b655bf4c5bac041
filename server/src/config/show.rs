//! Showing the settings: what is in force and where it was read, and the commented example.
//!
//! What must hold: both are valid configuration, and neither holds a secret.

use std::fmt::Write as _;

use super::Settings;
use super::load::Loaded;
use super::problem::Place;
use super::section::{Field, Section};

/// The settings in force as TOML, each with where it was read.
pub fn effective(loaded: &Loaded) -> String {
    let mut out = String::new();
    for section in loaded.settings.sections() {
        let name = section.name();
        line(&mut out, &format!("[{name}]"));
        for field in section.fields() {
            let place = loaded.place(name, field.key);
            line(&mut out, &effective_line(section, field, &place));
        }
        line(&mut out, "");
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn effective_line(section: &dyn Section, field: &Field, place: &Place) -> String {
    let key = field.key;
    match (section.show(key), place) {
        // The file is named one line further; both together would be refused.
        (Some(value), Place::SecretFile(..)) => format!("# {key} = {value} # {place}"),
        // What is shown of it is no value.
        (Some(value), _) if field.secret => format!("# {key} = {value} # {place}"),
        (Some(value), _) => format!("{key} = {value} # {place}"),
        (None, _) => format!("# {key} is not set"),
    }
}

/// Every setting with its comment and default, all commented out.
pub fn example() -> String {
    let mut out = String::from(
        "# Every setting of Lakh with its default. Take the `#` away from what you change.\n\
         #\n\
         # What counts, from weakest to strongest: these defaults, this file (`lakh.toml` in the folder where the server\n\
         # starts, or `--config FILE`), environment variables (`LAKH_SERVER__BIND` for `bind` in `[server]`), flags.\n\
         # `lakh check-config` says what is wrong; `lakh print-config` shows what is in force and where it was read.\n",
    );
    let settings = Settings::default();
    for section in settings.sections() {
        line(&mut out, "");
        comment(&mut out, section.about());
        line(&mut out, &format!("[{}]", section.name()));
        for field in section.fields() {
            line(&mut out, "");
            comment(&mut out, field.doc);
            let shown = section
                .show(field.key)
                .map_or_else(|| "…".to_owned(), |value| value.to_string());
            line(&mut out, &format!("#{} = {shown}", field.key));
        }
    }
    out
}

fn comment(out: &mut String, lines: &[&str]) {
    for text in lines {
        line(out, format!("#{text}").trim_end());
    }
}

fn line(out: &mut String, text: &str) {
    // Writing to a String can't fail.
    let _ = writeln!(out, "{text}");
}

#[cfg(test)]
mod tests {
    use super::super::load::{ConfigFile, Sources, load};
    use super::*;

    /// `UPDATE=1 cargo test -p lakh-server example` writes the file anew.
    #[test]
    fn the_example_in_the_repository_is_the_one_made_from_the_code() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/lakh.example.toml");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, example()).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == example(),
            "server/lakh.example.toml is old: run `UPDATE=1 cargo test -p lakh-server example`"
        );
    }

    #[test]
    fn the_example_with_every_default_uncommented_says_the_defaults() {
        let mut text = String::new();
        for row in example().lines() {
            let setting = row.strip_prefix('#').filter(|rest| {
                rest.starts_with(|first: char| first.is_ascii_lowercase()) && !rest.ends_with('…')
            });
            writeln!(text, "{}", setting.unwrap_or(row)).unwrap();
        }
        let loaded = load_text(&text);
        assert_eq!(loaded.settings, Settings::default());
        assert!(matches!(
            loaded.place("engine", "ping_interval_ms"),
            Place::File { .. }
        ));
    }

    #[test]
    fn what_print_config_shows_can_be_read_back_and_holds_no_secret() {
        let text = "[auth]\nsecret = \"0123456789abcdef0123456789abcdef\"\n[rooms]\nrules = [{pattern=\"a*\",join=\"name:x\"}]\n[server]\nloops = 3";
        let first = load_text(text);
        let shown = effective(&first);
        assert!(!shown.contains("0123456789"), "{shown}");
        assert!(shown.contains("loops = 3 # lakh.toml line 6"), "{shown}");
        let mut second = load_text(&shown);
        second.settings.auth.secret = first.settings.auth.secret.clone();
        assert_eq!(second.settings, first.settings);
    }

    fn load_text(text: &str) -> Loaded {
        load(&Sources {
            file: Some(ConfigFile {
                path: "lakh.toml".into(),
                text: text.into(),
            }),
            env: vec![],
            flags: vec![],
            read_file: &|_| Err(std::io::ErrorKind::NotFound.into()),
        })
        .unwrap()
    }
}
