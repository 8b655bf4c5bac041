//! What a node reads out of a stream, over its channels and from sessions: the first byte chooses.
#![no_main]

use lakh_broker::cluster::streams::{
    decode, decode_entry, decode_session, encode_entry, encode_session,
};
use lakh_broker::cluster::{Limits, Uid};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let limits = Limits::default();
    if let Ok(Some(envelope)) = decode(data, &limits) {
        let from = envelope.from.clone().unwrap_or(Uid::new("emitter"));
        let fields = encode_entry(&from, "/", &envelope.message).expect("what was read is written");
        let again = decode_entry(&fields, &limits).expect("what was written is read");
        assert_eq!(again.message, envelope.message);
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(record) = decode_session(text, &limits)
    {
        assert_eq!(
            decode_session(&encode_session(&record), &limits),
            Ok(record)
        );
    }
});
