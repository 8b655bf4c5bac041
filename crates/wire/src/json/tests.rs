//! The scanner against a second opinion (`serde_json`), and the rules for placeholders.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::*;
use serde::de::IgnoredAny;

use super::{JsonError, Placeholder, Scanner, Token, containers, escape, finish, string::unescape};

fn check(text: &str, max_depth: usize) -> Result<(), JsonError> {
    finish(&mut Scanner::new(text, max_depth))
}

#[test]
fn valid_json_of_every_kind_is_taken() {
    for text in [
        "null",
        " true ",
        "false",
        "0",
        "-0",
        "10.25",
        "1e5",
        "-1.5E+10",
        "2e-3",
        "\"\"",
        "\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud800\"",
        "[]",
        "[ ]",
        "{}",
        "{ }",
        "[1,[2,{\"a\":[]}],\"é😀\"]",
        "{\"a\":1,\"b\":{\"c\":null}}",
        "\t\r\n[1 , 2]\n",
    ] {
        assert_eq!(check(text, 10), Ok(()), "{text}");
    }
}

#[test]
fn anything_else_is_refused() {
    for text in [
        "",
        " ",
        "nul",
        "nulll",
        "True",
        "01",
        "-",
        "-a",
        "1.",
        ".5",
        "1e",
        "1e+",
        "+1",
        "0x1",
        "'a'",
        "\"",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\\u123",
        "\"\\",
        "\"a\u{1}\"",
        "\"a\nb\"",
        "[",
        "]",
        "[1",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1}",
        "{",
        "{]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{\"a\" 1}",
        "{1:2}",
        "{,}",
        "1 2",
        "[] []",
        "\u{feff}1",
        "NaN",
        "Infinity",
        "[1]x",
    ] {
        assert_eq!(check(text, 10), Err(JsonError::Syntax), "{text}");
    }
}

#[test]
fn nesting_is_bounded_by_the_limit_and_by_1024() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(check(&nested(100), 100), Ok(()));
    assert_eq!(check(&nested(101), 100), Err(JsonError::TooDeep));
    assert_eq!(check(&nested(1024), usize::MAX), Ok(()));
    assert_eq!(check(&nested(1025), usize::MAX), Err(JsonError::TooDeep));
    let objects = format!("{}1{}", "{\"a\":".repeat(70), "}".repeat(70));
    assert_eq!(check(&objects, 70), Ok(()));
    assert_eq!(check(&objects, 69), Err(JsonError::TooDeep));
}

#[test]
fn brackets_must_match_at_every_depth() {
    for depth in 1..130 {
        let open: String = (0..depth)
            .map(|i| if i % 3 == 0 { "{\"k\":" } else { "[" })
            .collect();
        let close: String = (0..depth)
            .rev()
            .map(|i| if i % 3 == 0 { "}" } else { "]" })
            .collect();
        assert_eq!(check(&format!("{open}0{close}"), 200), Ok(()));
        let wrong = close.replacen(
            ['}', ']'],
            if close.starts_with('}') { "]" } else { "}" },
            1,
        );
        assert_eq!(
            check(&format!("{open}0{wrong}"), 200),
            Err(JsonError::Syntax)
        );
    }
}

#[test]
fn spans_are_the_tokens_text() {
    let mut scanner = Scanner::new("{ \"k\" : [\"v\\n\", -1.5, true] }", 5);
    let mut seen = Vec::new();
    while let Some(token) = scanner.next().unwrap() {
        seen.push((token, scanner.span().to_owned()));
    }
    let expected = [
        (Token::ObjectStart, "{"),
        (Token::Key { escaped: false }, "k"),
        (Token::ArrayStart, "["),
        (Token::Str { escaped: true }, "v\\n"),
        (Token::Number, "-1.5"),
        (Token::True, "true"),
        (Token::ArrayEnd, "]"),
        (Token::ObjectEnd, "}"),
    ];
    assert_eq!(seen, expected.map(|(token, text)| (token, text.to_owned())));
}

#[test]
fn surrogate_pairs_are_joined_and_halves_replaced() {
    assert_eq!(unescape("a"), "a");
    assert_eq!(unescape("\\ud83d\\ude00"), "😀");
    assert_eq!(unescape("\\ud83d"), "\u{fffd}");
    assert_eq!(unescape("\\ud83dx"), "\u{fffd}x");
    assert_eq!(unescape("\\ud83d\\n"), "\u{fffd}\n");
    assert_eq!(unescape("\\ud83d\\u0041"), "\u{fffd}A");
    assert_eq!(unescape("\\ude00\\ud83d"), "\u{fffd}\u{fffd}");
    assert_eq!(
        unescape("\\u00e9\\/\\b\\f\\r\\t\\\"\\\\"),
        "é/\u{8}\u{c}\r\t\"\\"
    );
}

#[test]
fn containers_are_counted_in_the_order_in_which_they_open() {
    let all = containers("[1,[],{\"a\":[2,3],\"b\":{}},\"x\"]", 5).unwrap();
    let counts: Vec<_> = all.iter().map(|c| (c.entries, c.inside)).collect();
    assert_eq!(counts, [(4, 4), (0, 0), (2, 2), (2, 0), (0, 0)]);
}

#[test]
fn placeholders_follow_javascripts_rules() {
    let of = |text: &str| containers(text, 5).unwrap()[0].placeholder;
    for text in [
        r#"{"_placeholder":true,"num":1}"#,
        r#"{ "num" : 1 , "_placeholder" : true }"#,
        r#"{"_placeholder":true,"num":1,"more":[]}"#,
        r#"{"_placeholder":true,"num":1.0}"#,
        r#"{"_placeholder":true,"num":7,"num":1}"#,
        r#"{"_placeholder":[],"_placeholder":true,"num":1}"#,
        r#"{"\u005fplaceholder":true,"n\u0075m":1}"#,
        r#"{"_placeholder":true,"num":1,"x":{"num":9}}"#,
    ] {
        assert_eq!(of(text), Placeholder::Attachment(1), "{text}");
    }
    for text in [
        r#"{"_placeholder":true}"#,
        r#"{"_placeholder":true,"num":"1"}"#,
        r#"{"_placeholder":true,"num":-1}"#,
        r#"{"_placeholder":true,"num":0.5}"#,
        r#"{"_placeholder":true,"num":1e99}"#,
        r#"{"_placeholder":true,"num":1,"num":null}"#,
        r#"{"_placeholder":true,"num":[1]}"#,
    ] {
        assert_eq!(of(text), Placeholder::Bad, "{text}");
    }
    for text in [
        r#"{"num":1}"#,
        r#"{"_placeholder":1,"num":1}"#,
        r#"{"_placeholder":"true","num":1}"#,
        r#"{"_placeholder":true,"_placeholder":false,"num":1}"#,
        r#"["_placeholder",true,"num",1]"#,
        r#"{"a":{"_placeholder":true,"num":1}}"#,
        r#"{"_placeholder":{"_placeholder":true},"num":1}"#,
    ] {
        assert_eq!(of(text), Placeholder::No, "{text}");
    }
}

/// Half of all such texts are almost JSON, some are.
fn nearly_json() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "\"a\"",
        "\"_placeholder\"",
        "\"num\"",
        "\"\\u00e9\"",
        "1",
        "-0.5e3",
        "true",
        "false",
        "null",
        " ",
        "\"",
        "\\",
        "0",
        "é",
        "\"\\n\":",
        "[]",
        "{\"k\":1}",
        "\u{7f}",
        "\u{1f}",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        ".{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map(".{0,5}", inner, 0..6)
                .prop_map(|map| map.into_iter().collect::<serde_json::Value>()),
        ]
    })
}

proptest! {
    #[test]
    fn the_scanner_and_serde_json_agree(text in nearly_json()) {
        let second_opinion = serde_json::from_str::<IgnoredAny>(&text).is_ok();
        prop_assert_eq!(check(&text, 100).is_ok(), second_opinion, "{}", text);
    }

    #[test]
    fn what_serde_json_writes_is_valid(value in json_value(), pretty in any::<bool>()) {
        let text = if pretty {
            serde_json::to_string_pretty(&value).unwrap()
        } else {
            value.to_string()
        };
        prop_assert_eq!(check(&text, 100), Ok(()));
    }

    #[test]
    fn escaping_is_undone_by_unescaping_and_by_serde_json(text in any::<String>()) {
        let mut escaped = String::new();
        escape(&mut escaped, &text);
        prop_assert_eq!(unescape(&escaped), text.as_str());
        let quoted = format!("\"{escaped}\"");
        prop_assert_eq!(check(&quoted, 1), Ok(()));
        prop_assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), text);
    }

    #[test]
    fn no_text_makes_the_readers_panic(text in any::<String>()) {
        let _ = check(&text, 100);
        let _ = containers(&text, 100);
        let _ = unescape(&text);
    }
}
