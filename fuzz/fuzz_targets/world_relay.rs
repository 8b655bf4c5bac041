//! What a node says to another of a world: any bytes are taken or refused, and what was taken can be composed from.
#![no_main]

use std::sync::{Arc, LazyLock};

use lakh_world::{Ask, RelayError};
use lakh_world::{
    Field, FieldType, Kind, Layout, Mirror, Query, Replica, Schema, Shape, Sight, Velocity, Viewer,
};
use libfuzzer_sys::fuzz_target;

static LAYOUT: LazyLock<Arc<Layout>> = LazyLock::new(|| {
    let velocity = Velocity {
        max: 40.0,
        bits: 10,
        error: Some(0.5),
    };
    let name = Field {
        name: "name".into(),
        holds: FieldType::Text { max: 12 },
    };
    let ball = Kind {
        name: "ball".into(),
        ..Kind::default()
    };
    let ship = Kind {
        name: "ship".into(),
        velocity: Some(velocity),
        fields: vec![name],
        ..Kind::default()
    };
    let schema = Schema {
        dims: 2,
        precision: 0.25,
        hz: 20,
        kinds: vec![ball, ship],
    };
    Layout::new(&schema, 10)
        .expect("the schema is sound")
        .into()
});

fn viewer() -> Viewer {
    let query = Query::In(Shape::All);
    let sight = Sight {
        asks: vec![Ask { query, every: 1 }],
    };
    Viewer::new(&LAYOUT, &sight, 10_000_000).expect("the sight is sound")
}

// Messages, each behind its length. One viewer composes of each, another of some.
fuzz_target!(|bytes: &[u8]| {
    let mut mirror = Mirror::new(Arc::clone(&LAYOUT));
    let mut viewers = [viewer(), viewer()];
    let mut replica = Replica::new(Arc::clone(&LAYOUT));
    let mut rest = bytes;
    while let Some((len, more)) = rest.split_first() {
        let (message, more) = more.split_at(more.len().min(usize::from(*len)));
        rest = more;
        let known = mirror.view().is_some();
        match mirror.apply(message) {
            Ok(view) => {
                let mut frame = Vec::new();
                viewers[0].compose(&view, &mut frame);
                if !frame.is_empty() {
                    // Entities that are in two parcels, as no world would say, are no harm to it.
                    let _ = replica.apply(&frame);
                }
                if len & 1 == 1 {
                    viewers[1].compose(&view, &mut Vec::new());
                }
            }
            Err(RelayError::Behind) => assert_eq!(mirror.view().is_some(), known),
            Err(RelayError::Unreadable(_)) => {}
        }
    }
});
