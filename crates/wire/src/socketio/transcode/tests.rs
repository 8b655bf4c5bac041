//! Both directions, against the bytes of notepack 3.0.1 (and 2.2, which the Node client still uses).
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::*;

use super::*;
use crate::Limits;
use crate::socketio::DecodeError;
use crate::test_bytes::bytes;

fn hex(data: &[u8]) -> String {
    data.iter().map(|b| format!("{b:02x}")).collect()
}

fn to_json(hex: &str) -> (String, Vec<Bytes>) {
    msgpack_to_json(&bytes(hex), &Limits::default()).unwrap()
}

#[test]
fn values_are_written_as_notepack_3_writes_them() {
    for (text, expected) in [
        ("0", "00"),
        ("-0", "00"),
        ("1", "01"),
        ("1.0", "01"),
        ("1e3", "cd03e8"),
        ("127", "7f"),
        ("128", "cc80"),
        ("255", "ccff"),
        ("256", "cd0100"),
        ("65535", "cdffff"),
        ("65536", "ce00010000"),
        ("4294967295", "ceffffffff"),
        ("4294967296", "cf0000000100000000"),
        ("9007199254740991", "cf001fffffffffffff"),
        ("-1", "ff"),
        ("-32", "e0"),
        ("-33", "d0df"),
        ("-128", "d080"),
        ("-129", "d1ff7f"),
        ("-32768", "d18000"),
        ("-32769", "d2ffff7fff"),
        ("-2147483648", "d280000000"),
        ("-2147483649", "d3ffffffff7fffffff"),
        ("-9007199254740991", "d3ffe0000000000001"),
        ("1.5", "cb3ff8000000000000"),
        ("-0.1", "cbbfb999999999999a"),
        ("true", "c3"),
        ("false", "c2"),
        ("null", "c0"),
        ("\"\"", "a0"),
        ("\"a\"", "a161"),
        ("\"é€😀\"", "a9c3a9e282acf09f9880"),
        (r#""\u00e9\u20ac\ud83d\ude00""#, "a9c3a9e282acf09f9880"),
        ("[]", "90"),
        (" [ 1 , [ 2,[3]] ] ", "920192029103"),
        (
            "[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]",
            "dc001000000000000000000000000000000000",
        ),
        ("{}", "80"),
        (r#"{"a":1,"b":{"c":[]}}"#, "82a16101a16281a16390"),
    ] {
        assert_eq!(hex(&json_to_msgpack(text, &[])), expected, "{text}");
    }
}

#[test]
fn lengths_take_the_form_that_notepack_3_gives_them() {
    for (length, head) in [
        (31, "bf"),
        (32, "d920"),
        (255, "d9ff"),
        (256, "da0100"),
        (65_535, "daffff"),
        (65_536, "db00010000"),
    ] {
        let packed = json_to_msgpack(&format!("\"{}\"", "x".repeat(length)), &[]);
        assert_eq!(hex(&packed[..head.len() / 2]), head);
        assert_eq!(packed.len(), head.len() / 2 + length);
    }
    for (length, head) in [(255, "c4ff"), (256, "c50100"), (65_536, "c600010000")] {
        let data = [Bytes::from(vec![7; length])];
        let packed = json_to_msgpack(r#"{"_placeholder":true,"num":0}"#, &data);
        assert_eq!(hex(&packed[..head.len() / 2]), head);
        assert_eq!(packed.len(), head.len() / 2 + length);
    }
    let object = |n: u32| {
        let pairs: Vec<_> = (0..n).map(|i| format!("\"k{i}\":{i}")).collect();
        hex(&json_to_msgpack(&format!("{{{}}}", pairs.join(",")), &[]))
    };
    assert!(object(15).starts_with("8fa26b3000"));
    assert!(object(16).starts_with("de0010a26b3000a26b3101a26b32"));
    let array = |n: usize| json_to_msgpack(&format!("[{}0]", "0,".repeat(n - 1)), &[]);
    assert_eq!(array(65_535)[..3], [0xdc, 0xff, 0xff]);
    assert_eq!(array(65_536)[..5], [0xdd, 0, 1, 0, 0]);
}

#[test]
fn numbers_beyond_64_bits_stay_floats() {
    assert_eq!(
        hex(&json_to_msgpack("18446744073709551615", &[])),
        "cfffffffffffffffff"
    );
    assert_eq!(
        hex(&json_to_msgpack("18446744073709551616", &[])),
        "cb43f0000000000000"
    );
    assert_eq!(hex(&json_to_msgpack("1e21", &[])), "cb444b1ae4d6e2ef50");
    assert_eq!(hex(&json_to_msgpack("1e999", &[])), "cb7ff0000000000000");
}

#[test]
fn placeholders_become_bytes_with_whatever_stands_beside_them() {
    let attachments = [Bytes::from_static(&[1, 2]), Bytes::from_static(&[])];
    let packed = json_to_msgpack(
        r#"["a",{"num":1,"x":[[],{}],"_placeholder":true},[{"_placeholder":true,"num":0}],{}]"#,
        &attachments,
    );
    assert_eq!(hex(&packed), "94a161c40091c402010280");
}

#[test]
fn placeholders_without_attachments_stay_objects() {
    let packed = json_to_msgpack(r#"[{"_placeholder":true,"num":1}]"#, &[Bytes::new()]);
    assert_eq!(hex(&packed), "9182ac5f706c616365686f6c646572c3a36e756d01");
}

#[test]
fn text_that_is_no_json_becomes_nil() {
    for text in ["", "[1", "{\"a\"}", "x"] {
        assert_eq!(json_to_msgpack(text, &[]), [0xc0], "{text}");
    }
}

#[test]
fn dates_become_iso_strings() {
    for (iso, notepack_3, notepack_2) in [
        (
            "1970-01-01T00:00:00.000Z",
            "d6ff00000000",
            "d7000000000000000000",
        ),
        (
            "1970-01-01T00:00:00.001Z",
            "d7ff003d090000000000",
            "d7000000000000000001",
        ),
        (
            "2017-07-14T02:40:00.000Z",
            "d6ff59682f00",
            "d7000000015d3ef79800",
        ),
        (
            "2017-07-14T02:40:00.123Z",
            "d7ff1d53530059682f00",
            "d7000000015d3ef7987b",
        ),
        (
            "1969-12-31T23:59:59.999Z",
            "c70cff3b8b87c0ffffffffffffffff",
            "d700ffffffffffffffff",
        ),
        (
            "0000-12-31T23:59:59.999Z",
            "c70cff3b8b87c0fffffff1886e08ff",
            "d700ffffc77cedd327ff",
        ),
        (
            "+010000-01-01T00:00:00.000Z",
            "c70cff000000000000003afff44180",
            "d7000000e677d21fdc00",
        ),
        (
            "+275760-09-13T00:00:00.000Z",
            "c70cff00000000000007dba8218000",
            "d700001eb208c2dc0000",
        ),
        (
            "-271821-04-20T00:00:00.000Z",
            "c70cff00000000fffff82457de8000",
            "d700ffe14df73d240000",
        ),
        (
            "2514-05-30T01:53:04.000Z",
            "c70cff000000000000000400000000",
            "d70000000fa000000000",
        ),
    ] {
        let expected = (format!("\"{iso}\""), vec![]);
        assert_eq!(to_json(notepack_3), expected);
        assert_eq!(to_json(notepack_2), expected);
    }
    // One millisecond beyond what JavaScript's dates hold.
    assert_eq!(to_json("d700001eb208c2dc0001").0, "null");
}

#[test]
fn undefined_is_null_in_arrays_and_absent_from_objects() {
    assert_eq!(to_json("92d4000082a161d40000a16201").0, r#"[null,{"b":1}]"#);
    assert_eq!(to_json("92c081a16201").0, r#"[null,{"b":1}]"#);
    assert_eq!(to_json("d40000").0, "null");
}

#[test]
fn bytes_become_placeholders() {
    let (json, attachments) = to_json("93c4020102c70300010203c7010009");
    assert_eq!(
        json,
        r#"[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1},{"_placeholder":true,"num":2}]"#
    );
    assert_eq!(attachments, [&[1, 2][..], &[1, 2, 3], &[9]]);
    // A type that notepack does not know: the number and the bytes.
    let (json, attachments) = to_json("d50501ff");
    assert_eq!(json, r#"[5,{"_placeholder":true,"num":0}]"#);
    assert_eq!(attachments, [&[1, 0xff][..]]);
}

#[test]
fn an_object_that_looks_like_a_placeholder_must_not_stand_beside_bytes() {
    let object = json_to_msgpack(r#"{"_placeholder":true,"num":99}"#, &[]);
    let (json, _) = msgpack_to_json(&object, &Limits::default()).unwrap();
    assert_eq!(json, r#"{"_placeholder":true,"num":99}"#);
    let beside_bytes = [&[0x92][..], &object, &[0xc4, 0]].concat();
    let error = msgpack_to_json(&beside_bytes, &Limits::default()).unwrap_err();
    assert_eq!(error, DecodeError::BadPlaceholder);
}

#[test]
fn too_many_bytes_values_are_refused() {
    let data = [&[0xdc, 0, 11][..], &[0xc4, 0].repeat(11)].concat();
    let error = msgpack_to_json(&data, &Limits::default()).unwrap_err();
    assert_eq!(error, DecodeError::TooManyAttachments);
}

#[test]
fn numbers_are_written_as_json() {
    for (packed, text) in [
        ("cb3ff8000000000000", "1.5"),
        ("ca3fc00000", "1.5"),
        ("cb3ff0000000000000", "1"),
        ("cb8000000000000000", "0"),
        ("cb7ff8000000000000", "null"),
        ("cb7ff0000000000000", "null"),
        ("cb444b1ae4d6e2ef50", "1e21"),
        ("cb3e7ad7f29abcaf48", "1e-7"),
        ("cb7fefffffffffffff", "1.7976931348623157e308"),
        ("cb0000000000000001", "5e-324"),
        ("cfffffffffffffffff", "18446744073709551615"),
        ("d38000000000000000", "-9223372036854775808"),
    ] {
        assert_eq!(to_json(packed).0, text);
    }
}

#[test]
fn keys_become_text() {
    assert_eq!(
        to_json("86a161010102c003c304cb3ff800000000000005cb7ff800000000000006").0,
        r#"{"a":1,"1":2,"null":3,"true":4,"1.5":5,"NaN":6}"#
    );
    assert_eq!(to_json("81a3610a22c0").0, r#"{"a\n\"":null}"#);
}

#[test]
fn malformed_or_deep_values_are_refused() {
    let error = |hex: &str| msgpack_to_json(&bytes(hex), &Limits::default()).unwrap_err();
    for hex in [
        "",
        "91",
        "a2c3",
        "a1ff",
        "c1",
        "0000",
        "819000",
        "81c40000",
        "ddffffffff",
        "d9",
    ] {
        assert_eq!(error(hex), DecodeError::Malformed, "{hex}");
    }
    assert_eq!(error(&("91".repeat(101) + "c0")), DecodeError::TooDeep);
}

/// JSON whose numbers JavaScript holds exactly, in the form that the writer here gives it.
fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        // Halves, because serde_json reads longer fractions only nearly.
        any::<i32>().prop_map(|n| (f64::from(n) + 0.5).into()),
        ".{0,40}".prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 60, 20, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Into::into),
            prop::collection::btree_map(".{0,5}", inner, 0..20)
                .prop_map(|map| map.into_iter().collect::<serde_json::Value>()),
        ]
    })
}

proptest! {
    #[test]
    fn json_survives_the_round_trip(value in json_value()) {
        let packed = json_to_msgpack(&value.to_string(), &[]);
        let (back, attachments) = msgpack_to_json(&packed, &Limits::default()).unwrap();
        prop_assert_eq!(attachments.len(), 0);
        let back: serde_json::Value = serde_json::from_str(&back).unwrap();
        prop_assert_eq!(back, value);
    }

    #[test]
    fn attachments_survive_the_round_trip(data in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..10)) {
        let attachments: Vec<Bytes> = data.into_iter().map(Bytes::from).collect();
        let placeholders: Vec<_> = (0..attachments.len())
            .map(|i| format!(r#"{{"_placeholder":true,"num":{i}}}"#))
            .collect();
        let text = format!("[{}]", placeholders.join(","));
        let packed = json_to_msgpack(&text, &attachments);
        prop_assert_eq!(msgpack_to_json(&packed, &Limits::default()).unwrap(), (text, attachments));
    }

    #[test]
    fn whatever_is_taken_becomes_valid_json(data in prop::collection::vec(any::<u8>(), 0..60)) {
        if let Ok((json, attachments)) = msgpack_to_json(&data, &Limits::default()) {
            prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{}", json);
            let packed = json_to_msgpack(&json, &attachments);
            prop_assert_eq!(msgpack_to_json(&packed, &Limits::default()).unwrap(), (json, attachments));
        }
    }
}
