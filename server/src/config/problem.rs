//! What is wrong with the settings, and where it was read.
//!
//! All problems of a start are collected and told at once: nobody should have to mend a file line by line.

use std::fmt;
use std::path::PathBuf;

/// Where a value was read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Nobody set it.
    Default,
    /// A line of the TOML file, counted from 1.
    File {
        /// The file as it was named or found.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable, by its name.
    Env(String),
    /// A flag of the command line, with its dashes.
    Flag(&'static str),
    /// A file that holds a secret; the inner place says who named the file.
    SecretFile(PathBuf, Box<Place>),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => write!(f, "default"),
            Self::File { path, line } => write!(f, "{} line {line}", path.display()),
            Self::Env(name) => write!(f, "{name}"),
            Self::Flag(name) => write!(f, "{name}"),
            Self::SecretFile(path, named_by) => {
                write!(f, "file {} (named by {named_by})", path.display())
            }
        }
    }
}

/// One thing that is wrong, told so that it can be mended without reading the source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where the value stands.
    pub place: Place,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            // A default can only be wrong together with something that was set, and the message names that.
            Place::Default => write!(f, "{}", self.message),
            place => write!(f, "{place}: {}", self.message),
        }
    }
}

/// All that is wrong with the settings of one start, at least one problem.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => write!(f, "a setting is wrong: {}", one),
            many => {
                write!(f, "{} settings are wrong:", many.len())?;
                for problem in many {
                    write!(f, "\n  - {}", problem)?;
                }
                Ok(())
            }
        }
    }
}

/// The known word nearest to `word`, if one is near enough to be what was meant.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (word.len().max(candidate.len()) / 3).max(2))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// ": did you mean `x`?" for the nearest known word, or a list of what is known when none is near.
pub fn suggestion<'a>(word: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match nearest(word, known.clone()) {
        Some(near) => format!(": did you mean `{near}`?"),
        None => {
            let all: Vec<_> = known.into_iter().map(|name| format!("`{name}`")).collect();
            format!(": known are {}", all.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swapped_pair_of_letters_finds_its_word() {
        assert_eq!(nearest("bnid", ["path", "bind", "data"]), Some("bind"));
    }

    #[test]
    fn a_word_far_from_all_lists_what_is_known() {
        let text = suggestion("zzzzzzzz", ["rooms", "chat"]);
        assert_eq!(text, ": known are `rooms`, `chat`");
    }
}
