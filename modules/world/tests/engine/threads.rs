//! Frames are composed by many threads at once, while the next tick is made.

use std::sync::Arc;

use lakh_world::{Tiers, View, Viewer};

use super::support::{Client, Scene};

fn frames(viewers: &mut [Viewer], view: &View) -> Vec<Vec<u8>> {
    let compose = |viewer: &mut Viewer| {
        let mut frame = Vec::new();
        viewer.compose(view, &mut frame);
        frame
    };
    viewers.iter_mut().map(compose).collect()
}

#[test]
fn many_threads_compose_what_one_would() {
    let mut scene = Scene::new(
        1,
        2,
        400,
        Tiers {
            nearest: [30, 60],
            every: [1, 2, 8],
        },
    );
    let layout = scene.world.layout().clone();
    let mut alone: Vec<Viewer> = (0..40)
        .map(|n| {
            let client = Client::new(
                &scene,
                60.0 + f64::from(n) * 5.0,
                &[1 + n as u32 % 2],
                40_000,
            );
            let mut viewer = client.viewer;
            viewer.stand([f64::from(n) * 9.0, 20.0, 0.0], &layout);
            viewer
        })
        .collect();
    let mut shared = alone.clone();
    let mut bytes = 0;
    for _ in 0..60 {
        let view = scene.world.view();
        let (one, many) = std::thread::scope(|scope| {
            // While these read a tick, the next one is made.
            let handles: Vec<_> = shared
                .chunks_mut(10)
                .map(|viewers| {
                    let view = Arc::clone(&view);
                    scope.spawn(move || frames(viewers, &view))
                })
                .collect();
            scene.live();
            let many: Vec<_> = handles
                .into_iter()
                .flat_map(|handle| handle.join().unwrap())
                .collect();
            (frames(&mut alone, &view), many)
        });
        bytes += one.iter().map(Vec::len).sum::<usize>();
        assert_eq!(one, many);
    }
    assert!(bytes > 10_000);
}

#[test]
fn a_tick_that_is_still_read_stays_as_it_was() {
    let mut scene = Scene::new(2, 2, 300, super::support::ALL_NEAR);
    scene.live();
    let client = Client::new(&scene, 300.0, &[1, 2], 50_000_000);
    let view = scene.world.view();
    let mut viewers = [client.viewer.clone(), client.viewer];
    let before = frames(&mut viewers[..1], &view);
    for _ in 0..50 {
        scene.live();
    }
    assert_eq!(frames(&mut viewers[1..], &view), before);
    assert!(before[0].len() > 500);
}
