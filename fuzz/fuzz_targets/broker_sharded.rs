//! What a node reads over sharded channels: what is understood and written again means the same.
#![no_main]

use bytes::Bytes;
use lakh_broker::cluster::{Limits, Uid, sharded};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let limits = Limits::default();
    let Ok(envelope) = sharded::decode(&Bytes::copy_from_slice(data), &limits) else {
        return;
    };
    let nsp = envelope.nsp.as_deref().unwrap_or("/");
    let from = envelope.from.clone().unwrap_or(Uid::new("emitter"));
    let written = sharded::encode(&from, nsp, &envelope.message).expect("what was read is written");
    let again = sharded::decode(&written, &limits).expect("what was written is read");
    assert_eq!(again.message, envelope.message);
});
