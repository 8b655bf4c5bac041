//! Sections of land, and stored records: any bytes are read or refused, and what is known stays in proportion to what was sent.
#![no_main]

use std::sync::{Arc, LazyLock};

use lakh_world::{Chunk, LandPlan, LandReplica, Part};
use libfuzzer_sys::fuzz_target;

static PLANS: LazyLock<[Arc<LandPlan>; 2]> = LazyLock::new(|| {
    [2, 3].map(|dims| {
        Arc::new(LandPlan {
            dims,
            edge: 4,
            most: u16::MAX,
            layers: vec!["height".into(), "picture".into()],
            ..LandPlan::default()
        })
    })
});

// Sections, each behind its length; the first byte says in how many dimensions.
fuzz_target!(|bytes: &[u8]| {
    let Some((first, mut rest)) = bytes.split_first() else {
        return;
    };
    let plan = &PLANS[usize::from(first & 1)];
    if let Ok(chunk) = Chunk::read(plan, rest, 1) {
        let record = chunk.record();
        let again = Chunk::read(plan, &record, 1).expect("what was written can be read");
        assert_eq!(again.record(), record);
    }
    if let Ok(part) = Part::read(rest, 1) {
        assert_eq!(Part::read(&part.record(), 1).as_ref(), Ok(&part));
    }
    let mut replica = LandReplica::new(Arc::clone(plan));
    let mut sent = 0;
    while let Some((len, more)) = rest.split_first() {
        let (section, more) = more.split_at(more.len().min(usize::from(*len)));
        rest = more;
        sent += section.len();
        if replica.apply(section).is_err() {
            assert_eq!(replica.chunks().count(), 0);
        }
        // A chunk takes its head, its coordinates, a version and a length at least.
        assert!(replica.chunks().count() <= sent / 4);
    }
});
