//! Words that nobody may say.
//!
//! They are told apart as search tells words: without case and accents, whole. `*` stands for any letters of a word, and
//! a pattern of several words for them one after the other.

use lakh_hub::store::search::{self, Word};

use crate::names;

/// What stands where a masked letter stood.
const MASK: char = '•';

/// What becomes of a message with such a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WordsAction {
    /// It's refused: `blocked_word`.
    #[default]
    Reject,
    /// Its letters become dots.
    Mask,
}

/// One word of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Exact(String),
    /// What stands between the stars. The first and the last may be empty.
    Starred(Vec<String>),
}

impl Part {
    fn fits(&self, word: &str) -> bool {
        match self {
            Self::Exact(exact) => word == exact,
            Self::Starred(parts) => starred(parts, word),
        }
    }
}

/// Whether a word is these parts with anything between them. The leftmost place is right for each part in the middle, so this
/// looks at each letter once.
fn starred(parts: &[String], word: &str) -> bool {
    let [first, middle @ .., last] = parts else {
        return false;
    };
    let Some(mut rest) = word.strip_prefix(first.as_str()) else {
        return false;
    };
    for part in middle {
        match rest.find(part.as_str()) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last.as_str())
}

/// A text without what isn't seen and parts no words, which would hide a word from whoever looks for it.
struct Bare {
    text: String,
    /// Where each of its characters stands in the whole.
    places: Vec<usize>,
}

impl Bare {
    fn of(text: &str) -> Self {
        let all = text.chars().enumerate();
        let (places, text) = all.filter(|(_, each)| !names::is_ignorable(*each)).unzip();
        Self { text, places }
    }
}

/// Words and phrases, ready to be looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Words(Vec<Vec<Part>>);

impl Words {
    /// Reads patterns. Those without any letter fit nothing.
    pub(crate) fn new<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>) -> Self {
        let read = patterns.into_iter().map(|pattern| {
            let pattern = Bare::of(pattern.as_ref()).text;
            let words = pattern.split_whitespace();
            words.flat_map(parts).collect::<Vec<_>>()
        });
        Self(read.filter(|pattern| !pattern.is_empty()).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where any of them stands: first character, and the one after the last.
    fn places<'a>(&'a self, found: &'a [Word]) -> impl Iterator<Item = (usize, usize)> {
        (0..found.len()).flat_map(move |at| {
            let here = &found[at..];
            let fits = move |pattern: &&Vec<Part>| {
                pattern.len() <= here.len()
                    && pattern
                        .iter()
                        .zip(here)
                        .all(|(part, word)| part.fits(&word.text))
            };
            let fitting = self.0.iter().filter(fits);
            fitting.map(move |pattern| (here[0].start, here[pattern.len() - 1].end))
        })
    }
}

/// The words of a piece of a pattern that has no space.
fn parts(piece: &str) -> Vec<Part> {
    let folded = |text: &str| search::words(text).into_iter().map(|word| word.text);
    if !piece.contains('*') {
        return folded(piece).map(Part::Exact).collect();
    }
    let between: Vec<String> = piece
        .split('*')
        .map(|part| folded(part).collect())
        .collect();
    match between.iter().all(String::is_empty) {
        // Stars alone would fit everything.
        true => Vec::new(),
        false => vec![Part::Starred(between)],
    }
}

/// Whether a text has any of these words.
pub(super) fn has(text: &str, lists: &[&Words]) -> bool {
    let found = search::words(&Bare::of(text).text);
    lists
        .iter()
        .any(|words| words.places(&found).next().is_some())
}

/// The text with dots for the letters of these words; `None` if it has none of them.
pub(super) fn masked(text: &str, lists: &[&Words]) -> Option<String> {
    let bare = Bare::of(text);
    let found = search::words(&bare.text);
    let mut places: Vec<_> = lists
        .iter()
        .flat_map(|words| words.places(&found))
        .map(|(start, end)| (bare.places[start], bare.places[end - 1] + 1))
        .collect();
    if places.is_empty() {
        return None;
    }
    places.sort_unstable();
    let mut next = 0;
    let mask = |(at, letter): (usize, char)| {
        while next < places.len() && places[next].1 <= at {
            next += 1;
        }
        // Several may overlap: those that begin before this letter and end after it.
        let is_in = places[next..]
            .iter()
            .take_while(|(start, _)| *start <= at)
            .any(|(_, end)| *end > at);
        match is_in && !letter.is_whitespace() {
            true => MASK,
            false => letter,
        }
    };
    Some(text.chars().enumerate().map(mask).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(patterns: &[&str], text: &str) -> String {
        let words = Words::new(patterns);
        let masked = masked(text, &[&words]);
        assert_eq!(masked.is_some(), has(text, &[&words]), "{text}");
        masked.unwrap_or_else(|| text.to_owned())
    }

    #[test]
    fn whole_words_are_meant_whatever_their_case_and_accents() {
        assert_eq!(
            mask(&["Darn"], "DARN it, dárn! Darning"),
            "•••• it, ••••! Darning"
        );
        assert_eq!(mask(&["ass"], "class assess ass"), "class assess •••");
        assert_eq!(mask(&["straße"], "Strasse"), "•••••••");
        assert_eq!(mask(&["東京"], "in 東京都"), "in ••都");
    }

    #[test]
    fn what_is_not_seen_hides_no_word() {
        assert_eq!(mask(&["darn"], "a d\u{200b}ar\u{ad}n, so"), "a ••••••, so");
        assert_eq!(mask(&["d\u{200c}arn"], "\u{feff}darn"), "\u{feff}••••");
        assert_eq!(
            mask(&["go away"], "go\u{2060} away\u{200d}!"),
            "••• ••••\u{200d}!"
        );
    }

    #[test]
    fn stars_stand_for_any_letters() {
        assert_eq!(mask(&["darn*"], "darning undarned"), "••••••• undarned");
        assert_eq!(
            mask(&["*darn*"], "darning undarned dar"),
            "••••••• •••••••• dar"
        );
        assert_eq!(mask(&["d*n"], "darn din dn dean's"), "•••• ••• •• ••••'s");
        assert_eq!(mask(&["a*b*a"], "abba aba aa ab"), "•••• ••• aa ab");
        assert_eq!(mask(&["*", "**", "!"], "nothing * !"), "nothing * !");
    }

    #[test]
    fn several_words_are_meant_one_after_the_other() {
        assert_eq!(mask(&["go away"], "Go, away! away go"), "••• ••••! away go");
        assert_eq!(
            mask(&["shut* up", "up now"], "shutting up now"),
            "•••••••• •• •••"
        );
    }
}
