//! The module through the hub, without sockets: time is the runtime's, paused, so that a minute of ticks takes no time.

#[path = "../../../rooms/tests/driver/mod.rs"]
mod driver;

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use driver::{Client, Loop, TestClock, hub_by, run_paused};
use lakh_hub::store::{Batch, Condition, Scan, Store};
use lakh_world::{
    Applied, Asker, Config, EntityId, Layout, Replica, Schema, Seen, Value as Field, Worlds,
};
use serde_json::{Value, json};

fn start_on(store: Store, config: Config) -> (Rc<Loop>, Worlds) {
    let hub = hub_by(&TestClock::going(), "node", 1, &["/world"]);
    let worlds = lakh_world::install(&hub, store, config);
    (Loop::start(&hub, 0), worlds)
}

/// Somebody in a world, and what they see.
struct Inside {
    client: Client,
    entered: Value,
    replica: Replica,
}

impl Inside {
    async fn enter(on: &Rc<Loop>, name: &str, request: Value) -> Self {
        let client = on.connect("/world", name).await;
        let entered = client.ok("world:enter", request).await;
        let schema: Schema = serde_json::from_value(entered["world"]["schema"].clone())
            .expect("the schema as it was declared");
        let layout = Layout::new(&schema, 12).expect("a layout");
        Self {
            client,
            entered,
            replica: Replica::new(Arc::new(layout)),
        }
    }

    fn entity(&self) -> EntityId {
        let number = self.entered["entity"].as_u64().expect("an entity");
        EntityId(number as u32)
    }

    async fn frame(&mut self) -> Applied {
        let event = self.client.next("world:frame").await;
        assert_eq!(event.args.len(), 1, "a frame is one argument");
        self.replica
            .apply(&event.attachments[0])
            .expect("a frame that can be read")
    }

    /// The first frame after which this holds.
    async fn until(&mut self, mut holds: impl FnMut(&Applied, &Replica) -> bool) -> Applied {
        loop {
            let applied = self.frame().await;
            if holds(&applied, &self.replica) {
                return applied;
            }
        }
    }

    async fn sees(&mut self, id: EntityId) -> Seen {
        self.until(|_, replica| replica.get(id).is_some()).await;
        self.replica.get(id).expect("just seen")
    }

    fn input(&self, input: &Value) {
        self.client.send_event("world:input", input);
    }
}

fn near(seen: &Seen, at: [f64; 2]) -> bool {
    (seen.position[0] - at[0]).hypot(seen.position[1] - at[1]) < 0.15
}

#[test]
fn a_hook_may_refuse_what_was_found_to_be_in_order() {
    run_paused(async {
        let (on, worlds) = start_on(Store::memory(), Config::default());
        worlds.on_input(|moved| {
            assert_eq!((moved.world, moved.person), ("w", Some("dev:ada")));
            moved.to[0] < 5.0
        });
        let mut ada = Inside::enter(&on, "Ada", json!({"world": "w", "at": [4, 0]})).await;
        let id = ada.entity();
        ada.input(&json!({"seq": 1, "at": [4.5, 0]}));
        let taken = ada.until(|applied, _| applied.input == 1).await;
        assert_eq!(taken.own, None);
        ada.input(&json!({"seq": 2, "at": [5.5, 0]}));
        let refused = ada.until(|applied, _| applied.input == 2).await;
        let own = refused.own.expect("is set right");
        assert_eq!((own.id, own.position), (id, [4.5, 0.0, 0.0]));
        assert_eq!(worlds.figures().inputs_refused, 1);
    });
}

#[test]
fn a_world_without_time_tells_less_of_the_far_then_slows_down_and_says_so_until_it_has_time_again()
{
    run_paused(async {
        let clock = TestClock::going();
        let hub = hub_by(&clock, "node", 1, &["/world"]);
        let worlds = lakh_world::install(&hub, Store::memory(), Config::default());
        let (on, busy) = (Loop::start(&hub, 0), Arc::new(AtomicBool::new(true)));
        let takes_long = Arc::clone(&busy);
        worlds.on_input(move |_| {
            // A tick is due each 50 ms, and a move takes longer than that.
            if takes_long.load(Ordering::Relaxed) {
                clock.advance(60);
            }
            true
        });
        let mut ada = Inside::enter(&on, "Ada", json!({"world": "w", "at": [0, 0]})).await;
        let mut bob = Inside::enter(&on, "Bob", json!({"world": "w", "at": [1, 0]})).await;
        let mut seq = 0;
        let mut paces = Vec::new();
        while paces.last() != Some(&(128, 0)) || paces.len() < 3 {
            seq += 1;
            ada.input(&json!({"seq": seq, "at": [f64::from(seq % 2), 0]}));
            let told = ada.until(|applied, _| applied.input == seq).await;
            let heard = bob.until(|applied, _| applied.tick >= told.tick).await;
            assert_eq!((heard.dilation, heard.ease), (told.dilation, told.ease));
            if paces.last() != Some(&(told.dilation, told.ease)) {
                paces.push((told.dilation, told.ease));
            }
            if told.dilation < 100 {
                busy.store(false, Ordering::Relaxed);
            }
        }
        let slowest = paces.iter().map(|(dilation, _)| *dilation).min();
        let eased = [(128, 0), (128, 1), (128, 2), (128, 3)];
        assert_eq!(paces[..4], eased, "first the far is told of less often");
        assert!(slowest < Some(100), "then time slows down: {paces:?}");
        assert_eq!(
            paces.last(),
            Some(&(128, 0)),
            "and all is as before: {paces:?}"
        );
    });
}

#[test]
fn who_stands_still_may_go_two_seconds_worth_of_way_and_no_more() {
    run_paused(async {
        let (on, _) = start_on(Store::memory(), Config::default());
        let make = json!({"world": "w", "max_speed": 10});
        let maker = on.connect("/world", "Ada").await;
        maker.ok("world:create", make).await;
        let mut ada = Inside::enter(&on, "Ada", json!({"world": "w", "at": [0, 0]})).await;
        let id = ada.entity();
        // A frame comes at least once a second, whatever happens.
        let start = ada.sees(id).await.told;
        ada.until(|applied, _| applied.tick > start + 200).await;
        // Two seconds and the slack of a quarter.
        ada.input(&json!({"seq": 1, "at": [22.6, 0]}));
        assert!(
            ada.until(|applied, _| applied.input == 1)
                .await
                .own
                .is_some()
        );
        ada.input(&json!({"seq": 2, "at": [22.4, 0]}));
        assert!(
            ada.until(|applied, _| applied.input == 2)
                .await
                .own
                .is_none()
        );
        ada.input(&json!({"seq": 3, "at": [25, 0]}));
        assert!(
            ada.until(|applied, _| applied.input == 3)
                .await
                .own
                .is_some()
        );
    });
}

#[test]
fn somebody_who_comes_back_within_the_grace_has_the_same_entity_and_later_another() {
    run_paused(async {
        let config = Config {
            grace_ms: 5_000,
            ..Config::default()
        };
        let (on, _) = start_on(Store::memory(), config);
        let request = || json!({"world": "w", "at": [1, 1]});
        let mut watcher = Inside::enter(&on, "Wanda", request()).await;
        let ada = Inside::enter(&on, "Ada", request()).await;
        let id = ada.entity();
        watcher.sees(id).await;
        ada.client.cut();
        tokio::time::sleep(std::time::Duration::from_secs(4)).await;
        let ada = Inside::enter(&on, "Ada", request()).await;
        assert_eq!(ada.entity(), id);
        ada.client.cut();
        let gone = watcher.until(|_, replica| replica.get(id).is_none()).await;
        assert_eq!(gone.left, [id]);
        let ada = Inside::enter(&on, "Ada", request()).await;
        assert_ne!(ada.entity(), id);
    });
}

/// What the store has of lasting entities.
async fn stored(store: &Store) -> Vec<(String, Value)> {
    let page = store
        .scan(1, "world_entities", Scan::prefix("w\u{1f}"))
        .await;
    let items = page.expect("is read").items.into_iter();
    let read = |bytes: &[u8]| serde_json::from_slice(bytes).expect("JSON");
    items
        .map(|(key, document)| (key, read(&document.value)))
        .collect()
}

#[test]
fn what_lasts_is_stored_within_a_second_and_has_its_number_after_a_restart() {
    let store = Store::memory();
    let mut kept = Vec::new();
    run_paused(async {
        let (on, _) = start_on(store.clone(), Config::default());
        let mut ada = Inside::enter(&on, "Ada", json!({"world": "w"})).await;
        ada.sees(ada.entity()).await;
        for index in 0..10 {
            let lasting = index % 3 != 0;
            let spawn = json!({
                "kind": "thing", "at": [index, 2], "fields": {"name": format!("box {index}"), "sort": index},
                "rotation": 1.5, "lasting": lasting, "audience": {"people": ["dev:ada"]},
            });
            let made = ada.client.ok("world:spawn", spawn).await;
            if lasting {
                kept.push((made["entity"].as_u64().expect("a number") as u32, index));
            }
        }
        let (removed, _) = kept.remove(2);
        ada.client
            .ok("world:remove", json!({"entity": removed}))
            .await;
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        assert_eq!(stored(&store).await.len(), kept.len());
        let (first, _) = kept[0];
        let change = json!({"entity": first, "at": [-3, 2], "fields": {"sort": 77}});
        ada.client.ok("world:change", change).await;
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let all = stored(&store).await;
        let (_, record) = all
            .iter()
            .find(|(key, _)| key.ends_with(&format!("{first:010}")))
            .expect("stored");
        assert_eq!(record["at"], json!([-3.0, 2.0, 0.0]));
        assert_eq!(record["fields"]["sort"], json!(77));
        assert_eq!(record["owner"], json!("dev:ada"));
    });
    run_paused(async {
        let (on, _) = start_on(store.clone(), Config::default());
        let mut ada = Inside::enter(&on, "Ada", json!({"world": "w"})).await;
        for (number, index) in &kept {
            let seen = ada.sees_now_or_later(EntityId(*number)).await;
            let (sort, at) = match kept[0].0 == *number {
                true => (77, [-3.0, 2.0]),
                false => (*index, [f64::from(*index as u8), 2.0]),
            };
            assert_eq!(seen.fields[1], Field::Int(sort));
            assert!(near(&seen, at), "{seen:?}");
            let shown = ada
                .client
                .ok("world:entity", json!({"entity": number}))
                .await;
            assert_eq!(
                (&shown["own"], &shown["stored"]),
                (&json!(true), &json!(true))
            );
        }
        // Newcomers get numbers of their own.
        let numbers: Vec<u32> = kept.iter().map(|(number, _)| *number).collect();
        assert!(!numbers.contains(&ada.entity().0));
        // Only for Ada, also after a restart.
        let mut ben = Inside::enter(&on, "Ben", json!({"world": "w"})).await;
        let there = ben.until(|applied, _| applied.settled).await;
        assert!(there.tick > 0);
        assert!(
            numbers
                .iter()
                .all(|number| ben.replica.get(EntityId(*number)).is_none())
        );
    });
}

impl Inside {
    async fn sees_now_or_later(&mut self, id: EntityId) -> Seen {
        match self.replica.get(id) {
            Some(seen) => seen,
            None => self.sees(id).await,
        }
    }
}

#[test]
fn what_was_stored_by_nobody_who_knows_how_is_left_out_or_refused() {
    run_paused(async {
        let store = Store::memory();
        let (on, _) = start_on(store.clone(), Config::default());
        let unknown =
            json!({"kind": "dragon", "at": [0, 0, 0], "rotation": [0, 0, 0, 0], "fields": {}});
        let odd = json!({"kind": "thing", "at": [0, 0, 0], "rotation": [0, 0, 0, 0], "fields": {"sort": 999}});
        for (key, value) in [("0000000001", unknown), ("0000000002", odd)] {
            let key = format!("w\u{1f}{key}");
            let batch = Batch::new(1).put(
                "world_entities",
                &key,
                value.to_string(),
                Condition::Any,
                None,
            );
            store.write(batch).await.expect("written");
        }
        let mut ada = Inside::enter(&on, "Ada", json!({"world": "w"})).await;
        ada.until(|applied, _| applied.settled).await;
        assert_eq!(ada.replica.len(), 1, "Ada alone");
        let batch = Batch::new(1).put("world_worlds", "v", "no plan", Condition::Any, None);
        store.write(batch).await.expect("written");
        let eve = on.connect("/world", "Eve").await;
        assert_eq!(
            eve.refused("world:enter", json!({"world": "v"})).await,
            "internal"
        );
    });
}

#[test]
fn a_world_without_anybody_goes_to_rest_and_wakes_with_what_lasts() {
    run_paused(async {
        let (on, worlds) = start_on(Store::memory(), Config::default());
        let ada = Inside::enter(&on, "Ada", json!({"world": "w"})).await;
        let lasting = json!({"kind": "thing", "at": [1, 1], "lasting": true, "velocity": [1, 0]});
        let made = ada.client.ok("world:spawn", lasting).await;
        assert_eq!(worlds.figures().worlds, 1);
        ada.client.ok("world:leave", json!({})).await;
        tokio::time::sleep(std::time::Duration::from_secs(40)).await;
        assert_eq!(worlds.figures().worlds, 0);
        let mut ada = Inside::enter(&on, "Ada", json!({"world": "w"})).await;
        let id = EntityId(made["entity"].as_u64().expect("a number") as u32);
        let seen = ada.sees(id).await;
        // It went on for as long as the world did.
        assert!((30.0..32.5).contains(&seen.position[0]), "{seen:?}");
    });
}

#[test]
fn what_comes_fast_is_held_up_and_what_is_no_number_is_refused() {
    run_paused(async {
        let config = Config {
            builds_per_second: 5,
            ..Config::default()
        };
        let (on, worlds) = start_on(Store::memory(), config);
        let ada = Inside::enter(&on, "Ada", json!({"world": "w"})).await;
        let mut codes = Vec::new();
        for _ in 0..30 {
            let answer = ada
                .client
                .request("world:spawn", json!({"kind": "thing"}))
                .await;
            codes.push(answer["error"]["code"].as_str().map(str::to_owned));
        }
        let refused = codes
            .iter()
            .flatten()
            .filter(|code| *code == "rate_limited");
        assert_eq!(refused.count(), 10);
        for input in [
            json!({"seq": -1}),
            json!({"seq": 1.5}),
            json!({"seq": 4_294_967_296_u64}),
            json!({"seq": 1, "at": "here"}),
            json!({"seq": 2, "velocity": [1, 2, 3, 4, 5]}),
            json!([1, 2]),
        ] {
            assert_eq!(
                ada.client.refused("world:input", input).await,
                "bad_request"
            );
        }
        let system = worlds
            .call(&Asker::system(), "world:info", r#"{"world":"w"}"#)
            .await;
        let told: Value = serde_json::from_str(system.expect("told").get()).expect("JSON");
        assert_eq!(
            (&told["people"], &told["entities"]),
            (&json!(1), &json!(21))
        );
    });
}
