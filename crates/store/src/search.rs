//! Words of a text, and what is asked of them: one folding for all backends, and for callers that show where a text matches.
//!
//! A word is a run of letters and digits. It is told from others without case, accents and points (`Café` is `cafe`, `ﬁ` is `fi`,
//! `Straße` is `strasse`), by its first 64 letters. Scripts that put no spaces between words (Han, Kana, Thai, Lao,
//! Burmese, Khmer) have each letter as a word, so that any part of a sentence can be found. Everything else only parts words.
//!
//! Such words are what SQLite's index is given, so its answers are those of [`matches`](fn@matches).

use unicode_normalization::char::{decompose_compatible, is_combining_mark};

/// Most terms of a search.
pub const MAX_TERMS: usize = 16;
/// Longest search, in characters.
pub const MAX_SEARCH_CHARS: usize = 256;

/// Letters by which a word is told from others.
const WORD_CHARS: usize = 64;

/// What is wrong with the words of a search.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
    /// They are too long.
    #[error("the search has {chars} characters; {MAX_SEARCH_CHARS} are allowed")]
    TooLong {
        /// How many characters they have.
        chars: usize,
    },
    /// They are too many.
    #[error("the search has {terms} words and phrases; {MAX_TERMS} are allowed")]
    TooMany {
        /// How many terms they are.
        terms: usize,
    },
}

/// A word or phrase that is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// Folded, in order; at least one.
    words: Vec<String>,
    /// The last word may go on.
    prefix: bool,
}

impl Term {
    fn read(text: &str, prefix: bool) -> Option<Self> {
        let words: Vec<String> = words(text).into_iter().map(|word| word.text).collect();
        (!words.is_empty()).then_some(Self { words, prefix })
    }

    /// Whether it is what `found` begins with.
    fn begins(&self, found: &[Word]) -> bool {
        let last = self.words.len() - 1;
        found.len() > last
            && self
                .words
                .iter()
                .zip(found)
                .enumerate()
                .all(|(index, (wanted, word))| {
                    if self.prefix && index == last {
                        word.text.starts_with(wanted.as_str())
                    } else {
                        word.text == *wanted
                    }
                })
    }

    /// Where in `found` it stands, as numbers of the first word.
    fn places(&self, found: &[Word]) -> impl Iterator<Item = usize> {
        (0..found.len()).filter(|&place| self.begins(&found[place..]))
    }
}

/// Reads what a person typed: all words are wanted, `"a phrase"` as it stands, and `wor*` is the beginning of a word (`"a phr"*` of a phrase's last). Every other
/// character only parts words; without any word there are no terms, and nothing is found.
///
/// # Errors
/// [`TermsError`], when it is too long or too much.
pub fn terms(words: &str) -> Result<Vec<Term>, TermsError> {
    let chars = words.chars().count();
    if chars > MAX_SEARCH_CHARS {
        return Err(TermsError::TooLong { chars });
    }
    let mut terms = Vec::new();
    let mut rest = words.trim_start();
    while let Some(first) = rest.chars().next() {
        let (text, after) = if is_quote(first) {
            let inside = &rest[first.len_utf8()..];
            let (phrase, after) = inside.split_once(is_quote).unwrap_or((inside, ""));
            (phrase, after)
        } else {
            let end = rest.find(|c: char| c.is_whitespace() || is_quote(c) || c == '*');
            rest.split_at(end.unwrap_or(rest.len()))
        };
        let unstarred = after.trim_start_matches('*');
        terms.extend(Term::read(text, unstarred.len() < after.len()));
        rest = unstarred.trim_start();
    }
    if terms.len() > MAX_TERMS {
        return Err(TermsError::TooMany { terms: terms.len() });
    }
    Ok(terms)
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '“' | '”' | '„')
}

/// Whether a text has all of the terms. Without terms it has not.
#[must_use]
pub fn matches(text: &str, terms: &[Term]) -> bool {
    let found = words(text);
    !terms.is_empty()
        && terms
            .iter()
            .all(|term| term.places(&found).next().is_some())
}

/// Where a text has any of the terms: first and end (the character after the last), counted in characters (`char`s), in order and without overlaps.
#[must_use]
pub fn marks(text: &str, terms: &[Term]) -> Vec<(usize, usize)> {
    let found = words(text);
    let mut all: Vec<(usize, usize)> = terms
        .iter()
        .flat_map(|term| {
            let last = term.words.len() - 1;
            let found = &found;
            term.places(found)
                .map(move |place| (found[place].start, found[place + last].end))
        })
        .collect();
    all.sort_unstable();
    let mut marks: Vec<(usize, usize)> = Vec::with_capacity(all.len());
    for (start, end) in all {
        match marks.last_mut() {
            Some(last) if start < last.1 => last.1 = last.1.max(end),
            _ => marks.push((start, end)),
        }
    }
    marks
}

/// The words of a text as an index takes them, parted by spaces.
pub(crate) fn folded(text: &str) -> String {
    let words = words(text).into_iter().map(|word| word.text);
    words.collect::<Vec<_>>().join(" ")
}

/// The terms as a question to FTS5. What is in the quotes are folded words: no character of them means anything to it.
pub(crate) fn fts_query(terms: &[Term]) -> String {
    let term = |term: &Term| {
        let star = if term.prefix { " *" } else { "" };
        format!("\"{}\"{star}", term.words.join(" "))
    };
    terms.iter().map(term).collect::<Vec<_>>().join(" AND ")
}

/// A folded word, and where it stands, in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// As it's told from others.
    pub text: String,
    /// Its first character.
    pub start: usize,
    /// The character after its last.
    pub end: usize,
}

/// What the last word takes in.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Open {
    /// Nothing more.
    #[default]
    Nothing,
    /// Marks.
    Marks,
    /// Marks and letters.
    All,
}

#[derive(Default)]
struct Reader {
    words: Vec<Word>,
    /// How many letters and marks the last one has.
    length: usize,
    open: Open,
}

/// The words of a text, in their order.
#[must_use]
pub fn words(text: &str) -> Vec<Word> {
    let mut reader = Reader::default();
    for (place, original) in text.chars().enumerate() {
        if original.is_ascii() {
            reader.take(original.to_ascii_lowercase(), place);
        } else {
            // Lowered on both sides: what is decomposed may be a capital, and so may what a capital is decomposed into.
            decompose_compatible(original, |part| {
                part.to_lowercase()
                    .for_each(|lower| reader.take(lower, place));
            });
        }
    }
    reader.words
}

impl Reader {
    fn take(&mut self, part: char, place: usize) {
        if is_ignored(part) {
            self.go_on(None, place);
        } else if part.is_alphanumeric() {
            match part {
                'ß' => "ss".chars().for_each(|letter| self.letter(letter, place)),
                'æ' => "ae".chars().for_each(|letter| self.letter(letter, place)),
                'œ' => "oe".chars().for_each(|letter| self.letter(letter, place)),
                'ς' => self.letter('σ', place),
                'ı' => self.letter('i', place),
                'ø' => self.letter('o', place),
                'đ' => self.letter('d', place),
                'ł' => self.letter('l', place),
                'ħ' => self.letter('h', place),
                other => self.letter(other, place),
            }
        } else if is_combining_mark(part) {
            self.go_on(Some(part), place);
        } else {
            self.open = Open::Nothing;
        }
    }

    fn letter(&mut self, letter: char, place: usize) {
        let alone = stands_alone(letter);
        if self.open == Open::All && !alone {
            return self.go_on(Some(letter), place);
        }
        self.words.push(Word {
            text: letter.to_string(),
            start: place,
            end: place + 1,
        });
        self.length = 1;
        self.open = if alone { Open::Marks } else { Open::All };
    }

    /// Makes the last word longer, if it isn't over.
    fn go_on(&mut self, with: Option<char>, place: usize) {
        if self.open == Open::Nothing {
            return;
        }
        if let Some(word) = self.words.last_mut() {
            word.end = place + 1;
            if let Some(more) = with
                && self.length < WORD_CHARS
            {
                word.text.push(more);
                self.length += 1;
            }
        }
    }
}

/// Letters of scripts without spaces between words.
fn stands_alone(letter: char) -> bool {
    matches!(letter,
        '\u{0E00}'..='\u{0EFF}' // Thai, Lao
        | '\u{1000}'..='\u{109F}' // Burmese
        | '\u{1780}'..='\u{17FF}' // Khmer
        | '\u{3005}'..='\u{3007}' | '\u{3041}'..='\u{30FF}' | '\u{31F0}'..='\u{31FF}' // Kana
        | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' // Han
        | '\u{20000}'..='\u{3FFFF}')
}

/// Accents, points and signs within a word that tell no words apart: people leave them out. (Vowel signs and voicing marks of
/// other scripts are letters to their readers, and stay.)
fn is_ignored(part: char) -> bool {
    matches!(part,
        '\u{0300}'..='\u{036F}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}' | '\u{20D0}'..='\u{20FF}' | '\u{FE20}'..='\u{FE2F}'
        // Hebrew points.
        | '\u{0591}'..='\u{05BD}' | '\u{05BF}' | '\u{05C1}' | '\u{05C2}' | '\u{05C4}' | '\u{05C5}' | '\u{05C7}'
        // Arabic signs, and the stroke that stretches a word.
        | '\u{0610}'..='\u{061A}' | '\u{0640}' | '\u{064B}'..='\u{065F}' | '\u{0670}'
        | '\u{06D6}'..='\u{06DC}' | '\u{06DF}'..='\u{06E4}' | '\u{06E7}' | '\u{06E8}' | '\u{06EA}'..='\u{06ED}'
        // Soft hyphen, joiners, variation selectors.
        | '\u{00AD}' | '\u{200C}' | '\u{200D}' | '\u{2060}' | '\u{FEFF}' | '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn folds(text: &str, expected: &str) {
        assert_eq!(folded(text), expected, "{text}");
    }

    #[test]
    fn words_are_folded_in_many_scripts() {
        folds("Hello, World_2!", "hello world 2");
        folds("Café CAFE\u{301} crème brûlée", "cafe cafe creme brulee");
        folds("Straße STRASSE ẞ", "strasse strasse ss");
        folds("İstanbul ISPARTA ısparta", "istanbul isparta isparta");
        folds(
            "Łódź Ørsted Đorđe ŒUVRE Ærø",
            "lodz orsted dorde oeuvre aero",
        );
        folds("ΟΔΥΣΣΕΎΣ Οδυσσεύς", "οδυσσευσ οδυσσευσ");
        folds("Ёлка ЕЛКА", "елка елка");
        folds("ﬁne ＡＢＣ①", "fine abc1");
        folds("שָׁלוֹם", "שלום");
        folds("مُحَمَّد مــحمد أحمد", "محمد محمد احمد");
        folds("नमस्ते दुनिया", "नमस्ते दुनिया");
        folds("東京tower", "東 京 tower");
        folds("ガ ｶﾞ か", "カ\u{3099} カ\u{3099} か");
        folds("กิน", "ก ิ น");
        assert_eq!(
            folded("한국"),
            folded("\u{1112}\u{1161}\u{11AB}\u{1100}\u{116E}\u{11A8}")
        );
        folds("don't co-op a.b", "don t co op a b");
        folds("so\u{ad}ft a\u{200d}b 🎉\0\u{301}x \u{94d}", "soft ab x");
        folds("… ´ !", "");
    }

    #[test]
    fn a_word_is_told_by_its_first_letters() {
        let long = "é".repeat(1000);
        assert_eq!(folded(&long), "e".repeat(WORD_CHARS));
        assert!(matches(&long, &terms(&"E".repeat(70)).unwrap()));
        assert_eq!(marks(&long, &terms("e*").unwrap()), [(0, 1000)]);
    }

    #[test]
    fn terms_are_words_phrases_and_beginnings() {
        let read = |words: &str| -> String {
            terms(words)
                .unwrap()
                .iter()
                .map(|term| fts_query(std::slice::from_ref(term)) + ";")
                .collect()
        };
        assert_eq!(read("Two words"), r#""two";"words";"#);
        assert_eq!(read(r#"a "quick Fox" b"#), r#""a";"quick fox";"b";"#);
        assert_eq!(
            read(r#"hel* "wor ld"* don't*"#),
            r#""hel" *;"wor ld" *;"don t" *;"#
        );
        assert_eq!(read(r#"a"b"c"#), r#""a";"b";"c";"#);
        assert_eq!(read(r#""never closed"#), r#""never closed";"#);
        assert_eq!(
            read("a -b NOT c: (d) ^e + NEAR(f) {g}"),
            r#""a";"b";"not";"c";"d";"e";"near f";"g";"#
        );
        assert_eq!(read("wo*rd"), r#""wo" *;"rd";"#);
        assert_eq!(read("* \"\" ** ! “”"), "");
    }

    #[test]
    fn a_search_is_bounded() {
        assert_eq!(
            terms(&"x".repeat(MAX_SEARCH_CHARS + 1)),
            Err(TermsError::TooLong {
                chars: MAX_SEARCH_CHARS + 1
            })
        );
        assert!(terms(&"é".repeat(MAX_SEARCH_CHARS)).is_ok());
        assert_eq!(
            terms(&"x ".repeat(MAX_TERMS + 1)),
            Err(TermsError::TooMany {
                terms: MAX_TERMS + 1
            })
        );
        assert_eq!(terms(&"x ".repeat(MAX_TERMS)).unwrap().len(), MAX_TERMS);
    }

    #[test]
    fn marks_say_where_in_characters() {
        let text = "Ein Café, ein CAFÉ-Besuch 東京都 e\u{301}té";
        let marked = |words: &str| -> Vec<String> {
            let chars: Vec<char> = text.chars().collect();
            let marks = marks(text, &terms(words).unwrap());
            marks
                .into_iter()
                .map(|(start, end)| chars[start..end].iter().collect())
                .collect()
        };
        assert_eq!(marked("cafe"), ["Café", "CAFÉ"]);
        assert_eq!(marked("\"cafe besuch\" caf*"), ["Café", "CAFÉ-Besuch"]);
        assert_eq!(marked("京都"), ["京都"]);
        assert_eq!(marked("ete"), ["e\u{301}té"]);
        assert_eq!(marked("ein nothing"), ["Ein", "ein"]);
        assert!(!matches(text, &terms("ein nothing").unwrap()));
        assert!(!matches(text, &[]));
    }
}
