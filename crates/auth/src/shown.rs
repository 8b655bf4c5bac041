//! What a request shows in its headers: tokens after `Bearer` (RFC 6750), and cookies (RFC 6265 section 5.4).

/// The token of a header `Authorization`. What isn't `Bearer …` is none.
#[must_use]
pub fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The values of the cookies of this name, in their order. There should be one: browsers send two where a neighbouring host
/// has planted one, or where they are for different paths.
pub fn cookies<'a>(
    lines: impl Iterator<Item = &'a str>,
    name: &str,
) -> impl Iterator<Item = &'a str> {
    let pairs = lines.flat_map(|line| line.split(';'));
    pairs.filter_map(move |pair| {
        let (own, value) = pair.split_once('=')?;
        (own.trim() == name).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_is_told_from_other_schemes() {
        for (header, expected) in [
            ("Bearer a.b.c", Some("a.b.c")),
            ("bearer  a ", Some("a")),
            ("Bearer ", Some("")),
            ("Bearer", None),
            ("Basic eDp5", None),
            ("Bearers a", None),
            ("", None),
        ] {
            assert_eq!(bearer(header), expected, "{header:?}");
        }
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let of = |lines: &'static [&'static str]| {
            cookies(lines.iter().copied(), "io").collect::<Vec<_>>()
        };
        assert_eq!(of(&["a=1; io=x; b=2"]), ["x"]);
        assert_eq!(of(&["xio=1; iox=2; IO=3; a=io=4; io"]), [""; 0]);
        assert_eq!(of(&["io=a=b", " io = c "]), ["a=b", "c"]);
        assert_eq!(of(&["io="]), [""]);
    }
}
