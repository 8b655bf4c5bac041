//! From one parser to the other and back: after one turn nothing changes any more.
#![no_main]

use lakh_wire::Limits;
use lakh_wire::socketio::transcode::{json_to_msgpack, msgpack_to_json};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let limits = Limits {
        max_attachments: usize::MAX,
        max_depth: 1024,
        ..Limits::default()
    };
    if let Ok(text) = std::str::from_utf8(data) {
        let packed = json_to_msgpack(text, &[]);
        turn(&packed, &limits);
    }
    turn(data, &limits);
});

fn turn(packed: &[u8], limits: &Limits) {
    let Ok((text, attachments)) = msgpack_to_json(packed, limits) else {
        return;
    };
    let packed = json_to_msgpack(&text, &attachments);
    let (again, same) = msgpack_to_json(&packed, limits).expect("our own msgpack is refused");
    assert_eq!((again, same), (text, attachments));
}
