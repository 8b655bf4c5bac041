//! Names of files: as people give them, in a path of a URL, and in `Content-Disposition` (RFC 6266, RFC 8187).

/// Longest name, in bytes of UTF-8: what common file systems take.
const MAX_BYTES: usize = 255;

/// A name as it's kept: the last part of a path, without what can't be seen. `None` if nothing is left of it, or too much.
#[must_use]
pub fn clean(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let seen: String = last.chars().filter(|each| !is_hidden(*each)).collect();
    let seen = seen.trim().trim_end_matches('.').trim();
    let fits = !seen.is_empty() && seen.len() <= MAX_BYTES;
    fits.then(|| seen.to_owned())
}

/// What can't be seen, and could make `exe.png` of `gnp.exe`.
#[must_use]
pub fn is_hidden(each: char) -> bool {
    each.is_control()
        || matches!(each,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// The value of `Content-Disposition`. It is plain ASCII without control characters, whatever the name is.
#[must_use]
pub fn disposition(shown: bool, name: &str) -> String {
    let kind = if shown { "inline" } else { "attachment" };
    let plain = |each: char| each.is_ascii_graphic() && !matches!(each, '"' | '\\' | '%');
    let ascii: String = name
        .chars()
        .map(|each| match each {
            ' ' => ' ',
            each if plain(each) => each,
            _ => '_',
        })
        .collect();
    let encoded = percent(name, b"!#$&+-.^_`|~");
    format!("{kind}; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
}

/// The name as one part of a path in a URL.
#[must_use]
pub fn in_path(name: &str) -> String {
    match name {
        // These lead elsewhere.
        "." | ".." => name.replace('.', "%2E"),
        name => percent(name, b"-._~"),
    }
}

fn percent(text: &str, also: &[u8]) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte.is_ascii_alphanumeric() || also.contains(&byte) {
            true => out.push(byte.into()),
            // Writing to a String can't fail.
            false => drop(write!(out, "%{byte:02X}")),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_paths_and_what_cannot_be_seen() {
        for (name, kept) in [
            ("a.png", Some("a.png")),
            ("C:\\fakepath\\a b.png", Some("a b.png")),
            ("../../etc/passwd", Some("passwd")),
            ("  x\r\nSet-Cookie: a=b ", Some("xSet-Cookie: a=b")),
            ("photo\u{202e}gnp.exe", Some("photognp.exe")),
            ("日本語.txt", Some("日本語.txt")),
            ("..", None),
            ("", None),
            ("\u{200b}\0", None),
            ("dir/", None),
        ] {
            assert_eq!(clean(name).as_deref(), kept, "{name:?}");
        }
        assert_eq!(clean(&"x".repeat(256)), None);
    }

    #[test]
    fn no_name_ends_the_header() {
        assert_eq!(
            disposition(false, "a \"b\"\\ é%.txt"),
            "attachment; filename=\"a _b__ __.txt\"; filename*=UTF-8''a%20%22b%22%5C%20%C3%A9%25.txt"
        );
        assert_eq!(
            disposition(true, "x\"; filename=\"y.html\r\nX: 1"),
            "inline; filename=\"x_; filename=_y.html__X: 1\"; filename*=UTF-8''x%22%3B%20filename%3D%22y.html%0D%0AX%3A%201"
        );
    }

    #[test]
    fn a_name_is_one_part_of_a_path() {
        assert_eq!(in_path("a b/ü?#.png"), "a%20b%2F%C3%BC%3F%23.png");
        assert_eq!(
            (in_path("."), in_path("..")),
            ("%2E".into(), "%2E%2E".into())
        );
    }
}
