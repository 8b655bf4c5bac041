//! Filters of rooms, tags and names: a filter's text means the same when it's read again, and no name that a client chooses
//! is one of the server's own rooms.
#![no_main]

use lakh_rooms::fuzzing::{filter_text, fits, hub_room, public_name};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Some(room) = hub_room(text) {
        assert_eq!(public_name(&room), Some(text), "{room:?}");
    }
    let (filter, event) = text.split_once('\n').unwrap_or((text, "[]"));
    // Anything at all may stand where an event's tags do.
    let _ = fits(filter, event);
    let Ok(value) = serde_json::from_str::<Value>(filter) else {
        return;
    };
    let Some(read) = filter_text(&value) else {
        return;
    };
    assert!(read.len() <= 512);
    let again: Value = serde_json::from_str(&read).expect("JSON");
    assert_eq!(filter_text(&again), Some(read.clone()));
    assert_eq!(fits(&read, event), fits(filter, event));
});
