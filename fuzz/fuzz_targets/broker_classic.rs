//! What a node reads over classic's channels: what is understood and written again means the same.
#![no_main]

use bytes::Bytes;
use lakh_broker::cluster::classic::{self, Place};
use lakh_broker::cluster::{Limits, Uid};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let body = Bytes::copy_from_slice(data);
    let limits = Limits::default();
    for place in [Place::Broadcast, Place::Request, Place::Response] {
        let Ok(envelope) = classic::decode(place, &body, &limits) else {
            continue;
        };
        let nsp = envelope.nsp.as_deref().unwrap_or("/");
        let from = envelope.from.clone().unwrap_or(Uid::new("emitter"));
        let written =
            classic::encode(&from, nsp, &envelope.message).expect("what was read is written");
        let again = classic::decode(classic::place(&envelope.message), &written, &limits);
        assert_eq!(
            again.expect("what was written is read").message,
            envelope.message
        );
    }
});
