//! Any bytes are read or refused.

use std::sync::Arc;

use lakh_world::{LandPlan, LandReplica, SectionError};
use proptest::prelude::*;

fn replica() -> LandReplica {
    let plan = LandPlan {
        edge: 4,
        layers: vec!["map".into()],
        ..LandPlan::default()
    };
    LandReplica::new(Arc::new(plan))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(sections in prop::collection::vec(
        prop::collection::vec(prop_oneof![0_u8..8, any::<u8>()], 0..40), 1..20,
    )) {
        let mut replica = replica();
        let mut sent = 0;
        for section in &sections {
            sent += section.len();
            let read = replica.apply(section);
            prop_assert!(replica.chunks().count() <= sent / 4);
            if read.is_err() {
                prop_assert_eq!(replica.chunks().count(), 0);
            }
        }
    }
}

#[test]
fn what_speaks_of_what_is_not_there_is_refused() {
    let uniform: &[u8] = &[2, 0, 0, 1, 2, 0, 7];
    let mut known = replica();
    assert_eq!(known.apply(uniform).unwrap().cells, [[0, 0, 0]]);
    assert_eq!(known.value([3, 3, 0]), Some(7));
    for (section, error) in [
        // Changes in a chunk that isn't known.
        (&[1_u8, 2, 0, 1, 0][..], SectionError::Unknown),
        // A cell behind the last.
        (&[1, 0, 0, 2, 1, 16, 1], SectionError::Unknown),
        // A layer that there isn't.
        (&[2 | 2 << 2, 0, 0, 1, 1, 0], SectionError::Unknown),
        // Bytes behind the cells.
        (&[2, 0, 0, 1, 3, 0, 7, 0], SectionError::Unknown),
        // A piece of nothing that was begun.
        (&[3, 0, 0, 1, 9, 4, 1, 0], SectionError::Unknown),
        // More than any chunk has.
        (
            &[3, 0, 0, 1, 255, 255, 255, 127, 0, 0],
            SectionError::TooMany,
        ),
        (&[2, 0], SectionError::TooShort),
    ] {
        let mut replica = replica();
        replica.apply(uniform).unwrap();
        assert_eq!(replica.apply(section), Err(error), "{section:?}");
        assert_eq!(
            replica.value([0, 0, 0]),
            None,
            "nothing is known after an error"
        );
    }
}
