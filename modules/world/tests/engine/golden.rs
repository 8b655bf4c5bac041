//! Frames, and what is to be seen after each: for decoders in other languages. `UPDATE=1` writes them anew.

use std::path::PathBuf;

use lakh_testkit::{from_hex, to_hex};
use lakh_world::{LEAST_BYTES_A_SECOND, Own, Replica, Tiers, Value};
use serde_json::{Value as Json, json};

use super::support::{Client, Scene, setup};

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/frames.json")
}

fn field(value: &Value) -> Json {
    match value {
        Value::Bool(on) => json!(on),
        Value::Int(n) => json!(n),
        Value::Float(x) => json!(x),
        Value::Enum(n) => json!(n),
        Value::Text(text) => json!(text),
    }
}

/// All that is seen, by id.
fn seen(replica: &Replica, dims: usize) -> Json {
    let mut ids: Vec<_> = replica.entities().collect();
    ids.sort_unstable();
    let entities = ids.into_iter().map(|id| {
        let seen = replica.get(id).unwrap();
        let mut entity = json!({"id": id, "kind": seen.kind, "position": seen.position[..dims]});
        if let Some(velocity) = seen.velocity {
            entity["velocity"] = json!(velocity[..dims]);
            entity["told"] = json!(seen.told);
        }
        if let Some(rotation) = seen.rotation {
            entity["rotation"] = if dims == 2 {
                json!(rotation[0])
            } else {
                json!(rotation)
            };
        }
        entity["fields"] = seen.fields.iter().map(field).collect();
        entity
    });
    entities.collect()
}

/// A frame, and what it came to; with all that is seen then, or without.
fn after(frame: &[u8], replica: &mut Replica, dims: usize, whole: bool) -> Json {
    let applied = replica.apply(frame).unwrap();
    let mut changed = applied.changed;
    changed.sort_unstable();
    let own = applied.own.map(|own| {
        json!({"id": own.id, "position": own.position[..dims], "velocity": own.velocity[..dims]})
    });
    let mut after = json!({
        "frame": to_hex(frame),
        "tick": applied.tick, "input": applied.input, "settled": applied.settled,
        "dilation": applied.dilation, "ease": applied.ease, "merged": applied.merged,
        "late": applied.late, "own": own,
        "entered": applied.entered, "left": applied.left, "changed": changed,
    });
    if whole {
        after["entities"] = seen(replica, dims);
    }
    after
}

fn story(dims: u8) -> Json {
    let mut scene = Scene::new(
        40 + u64::from(dims),
        dims,
        25,
        Tiers {
            nearest: [8, 6],
            every: [1, 2, 4],
        },
    );
    let ships: Vec<_> = (0..8)
        .map(|_| {
            let at = scene.seeded.place(dims);
            scene.ship(at)
        })
        .collect();
    let mut client = Client::new(&scene, 280.0, &[1], 9000);
    let mut replica = Replica::new(scene.world.layout().clone());
    let mut frames = Vec::new();
    for tick in 0..45 {
        for ship in ships.iter().filter(|_| tick % 3 == 0) {
            scene.random_field(*ship);
            let way = scene.seeded.place(dims).map(|x| x / 20.0);
            scene.world.set_velocity(*ship, way).unwrap();
            scene
                .world
                .turn(*ship, [way[0], way[1], way[2], 3.0])
                .unwrap();
        }
        if tick == 20 {
            let own = Own {
                id: ships[0],
                position: [1.5, 0.1, -2.0],
                velocity: [0.25, -1e-3, 0.0],
            };
            client.viewer.answer(300, Some(own));
        }
        if tick == 30 {
            scene.world.set_pace(lakh_world::Pace {
                dilation: 100,
                ease: 1,
            });
        }
        scene.live();
        scene.seeded.step(&mut client.at, dims, 30.0);
        client.viewer.stand(client.at, scene.world.layout());
        // A slow reader misses some.
        let mut frame = Vec::new();
        if tick % 7 == 3 {
            client.viewer.leave_out();
        } else if client.viewer.compose(&scene.world.view(), &mut frame).bytes != 0 {
            frames.push(after(&frame, &mut replica, usize::from(dims), true));
        }
    }
    json!({"cell_bits": setup(dims).cell_bits, "schema": scene.world.schema(), "frames": frames})
}

/// More goes on than the budget tells: frames that are not settled, that come late and in another order, parcels that end
/// unseen, entities that go on from where they went before that is told.
fn crowd() -> Json {
    let tiers = Tiers {
        nearest: [20, 40],
        every: [1, 4, 16],
    };
    let mut scene = Scene::new(77, 2, 260, tiers);
    scene.reach = 40.0;
    let mut client = Client::new(&scene, 400.0, &[1], LEAST_BYTES_A_SECOND);
    let mut replica = Replica::new(scene.world.layout().clone());
    let mut frames = Vec::new();
    let (mut unsettled, mut late) = (0, 0);
    for tick in 0..200 {
        // What is asked for comes and goes.
        if tick % 50 == 40 {
            client.at = scene.seeded.place(2);
        }
        scene.live();
        scene.seeded.step(&mut client.at, 2, 30.0);
        client.viewer.stand(client.at, scene.world.layout());
        let mut frame = Vec::new();
        if tick % 11 < 3 {
            client.viewer.leave_out();
        } else if client.viewer.compose(&scene.world.view(), &mut frame).bytes != 0 {
            // Who is there is told by each frame; all of them now and then.
            let after = after(&frame, &mut replica, 2, frames.len() % 16 == 15);
            unsettled += u32::from(after["settled"] == json!(false));
            late += u32::from(after["late"] != json!(0));
            frames.push(after);
        }
    }
    assert!(
        unsettled > 20 && late > 20,
        "{unsettled} are not settled, {late} are late"
    );
    json!({"cell_bits": setup(2).cell_bits, "schema": scene.world.schema(), "frames": frames})
}

#[test]
fn recorded_frames_are_what_is_written_and_what_is_read() {
    // Compared as text: a float that was written is read again to the last digit in every language, but not by every
    // library.
    let text = |stories: &Json| serde_json::to_string(stories).unwrap() + "\n";
    let stories = text(&json!({
        "two dimensions": story(2), "three dimensions": story(3), "a crowd on a small budget": crowd(),
    }));
    if std::env::var_os("UPDATE").is_some_and(|update| update == "1") {
        std::fs::write(path(), &stories).unwrap();
    }
    let recorded = std::fs::read_to_string(path()).unwrap();
    assert!(
        recorded == stories,
        "frames are not what is recorded in {}; `UPDATE=1` records them",
        path().display()
    );
    let mut read: Json = serde_json::from_str(&recorded).unwrap();
    let names = [
        ("two dimensions", 2),
        ("three dimensions", 3),
        ("a crowd on a small budget", 2),
    ];
    for (name, dims) in names {
        let story = &mut read[name];
        let schema = serde_json::from_value(story["schema"].clone()).unwrap();
        let layout =
            lakh_world::Layout::new(&schema, story["cell_bits"].as_u64().unwrap() as u8).unwrap();
        let mut replica = Replica::new(layout.into());
        for recorded in story["frames"].as_array_mut().unwrap() {
            let frame = from_hex(recorded["frame"].as_str().unwrap());
            let whole = recorded.get("entities").is_some();
            *recorded = after(&frame, &mut replica, dims, whole);
        }
    }
    assert!(
        recorded == text(&read),
        "frames are not read as recorded in {}",
        path().display()
    );
}
