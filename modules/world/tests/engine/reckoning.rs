//! What moves on by its velocity is where it's said to be, within the error, and told of seldom.

use super::support::{ALL_NEAR, Client, Scene};

#[test]
fn clients_are_never_off_by_more_than_the_error() {
    let mut scene = Scene::new(11, 2, 0, ALL_NEAR);
    let ships: Vec<_> = (0..120)
        .map(|_| {
            let at = scene.seeded.place(2);
            scene.ship(at)
        })
        .collect();
    let mut ways = vec![[0.0; 3]; ships.len()];
    let mut client = Client::new(&scene, 5000.0, &[], 50_000_000);
    let mut told = 0;
    for tick in 0..400 {
        for (ship, way) in ships.iter().zip(&mut ways) {
            let mut at = scene.world.position(*ship).unwrap();
            // A new way now and then, sometimes none.
            if scene.seeded.chance(0.02) {
                *way = [0.0; 3];
                scene.seeded.step(way, 2, 30.0);
            } else if scene.seeded.chance(0.01) {
                *way = [0.0; 3];
            }
            for axis in 0..2 {
                at[axis] += way[axis] / 20.0;
            }
            scene.world.set_velocity(*ship, *way).unwrap();
            // One in a hundred jumps, or is not said to have moved.
            if scene.seeded.chance(0.005) {
                at[0] += 3.0;
            }
            scene.world.place(*ship, at).unwrap();
        }
        scene.world.step();
        let before: Vec<_> = ships
            .iter()
            .map(|ship| client.replica.get(*ship).map(|seen| seen.told))
            .collect();
        client.take(&scene);
        for (ship, before) in ships.iter().zip(before) {
            let (seen, at) = (
                client.replica.get(*ship).unwrap(),
                scene.world.position(*ship).unwrap(),
            );
            let off = (seen.position[0] - at[0]).hypot(seen.position[1] - at[1]);
            assert!(off <= 0.5, "tick {tick}: {ship} is seen {off} off");
            told += usize::from(before != Some(seen.told));
        }
    }
    let all = 400 * ships.len();
    assert!(told * 10 < all, "{told} of {all} were told");
}

#[test]
fn what_the_server_stops_telling_of_is_corrected() {
    let mut scene = Scene::new(11, 2, 0, ALL_NEAR);
    let ship = scene.ship([0.0; 3]);
    scene.world.set_velocity(ship, [10.0, 0.0, 0.0]).unwrap();
    let mut client = Client::new(&scene, 5000.0, &[], 50_000_000);
    for _ in 0..200 {
        // It has a velocity, but nobody moves it.
        scene.world.step();
        client.take(&scene);
        let seen = client.replica.get(ship).unwrap();
        assert!(seen.position[0].abs() <= 0.5, "{seen:?}");
    }
}
