//! Frames of a world: any bytes are read or refused, and what is known stays in proportion to what was sent.
#![no_main]

use std::sync::{Arc, LazyLock};

use lakh_world::{Field, FieldType, Kind, Layout, Replica, Rotation, Schema, Velocity};
use libfuzzer_sys::fuzz_target;

fn layout(dims: u8) -> Arc<Layout> {
    let field = |name: &str, holds| Field {
        name: name.into(),
        holds,
    };
    let rotation = match dims {
        2 => Rotation::Turn { bits: 8 },
        _ => Rotation::Quaternion { bits: 9 },
    };
    let text = field("name", FieldType::Text { max: 12 });
    let names = vec!["tug".into(), "ferry".into(), "liner".into()];
    let fields = vec![
        text.clone(),
        field("sort", FieldType::Enum { names }),
        field(
            "fuel",
            FieldType::Float {
                min: 0.0,
                max: 1.0,
                step: 0.01,
            },
        ),
    ];
    let velocity = Some(Velocity {
        max: 40.0,
        bits: 10,
        error: Some(0.5),
    });
    let kind = |name: &str| Kind {
        name: name.into(),
        ..Kind::default()
    };
    let kinds = vec![
        kind("ball"),
        Kind {
            fields: vec![text],
            ..kind("sign")
        },
        Kind {
            velocity,
            rotation: Some(rotation),
            fields,
            ..kind("ship")
        },
    ];
    let schema = Schema {
        dims,
        precision: 0.25,
        hz: 20,
        kinds,
    };
    Layout::new(&schema, 10)
        .expect("the schema is sound")
        .into()
}

static LAYOUTS: LazyLock<[Arc<Layout>; 2]> = LazyLock::new(|| [layout(2), layout(3)]);

// Frames, each behind its length; the first byte says in how many dimensions.
fuzz_target!(|bytes: &[u8]| {
    let Some((first, mut rest)) = bytes.split_first() else {
        return;
    };
    let mut replica = Replica::new(Arc::clone(&LAYOUTS[usize::from(first & 1)]));
    let mut sent = 0;
    while let Some((len, more)) = rest.split_first() {
        let (frame, more) = more.split_at(more.len().min(usize::from(*len)));
        rest = more;
        sent += frame.len();
        let known = replica.len();
        match replica.apply(frame) {
            Ok(applied) => {
                assert_eq!(
                    replica.len(),
                    known + applied.entered.len() - applied.left.len()
                );
            }
            Err(_) => assert!(replica.is_empty()),
        }
        // An entity takes its slot, its id and two coordinates at least.
        assert!(replica.len() <= sent / 3);
        for id in replica.entities() {
            let seen = replica.get(id).expect("it's known");
            assert!(seen.position.iter().all(|x| x.is_finite()));
        }
    }
});
