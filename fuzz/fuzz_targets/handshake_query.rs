//! Queries and forms from strangers.
#![no_main]

use lakh_wire::engine::handshake::{Query, open_packet, params};
use lakh_wire::engine::jsonp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(query) = Query::parse(text) {
        assert_ne!(query.sid.as_deref(), Some(""));
        if let Some(index) = query.jsonp {
            assert!(index.bytes().all(|b| b.is_ascii_digit()));
        }
    }
    for (key, value) in params(text) {
        assert!(key.len() + value.len() <= 3 * text.len());
    }
    let _ = jsonp::unwrap_form(text);

    let script = jsonp::wrap("7", text);
    let string = script
        .strip_prefix("___eio[7](")
        .and_then(|rest| rest.strip_suffix(");"))
        .expect("the script's frame is missing");
    assert_eq!(
        serde_json::from_str::<String>(string).expect("not a string"),
        text
    );
    assert!(!script.contains(['\n', '\u{2028}', '\u{2029}']));

    let packet = open_packet(text, &[text], 1, 2, 3);
    let json: serde_json::Value = serde_json::from_str(&packet[1..]).expect("not JSON");
    assert_eq!(json["sid"], text);
});
