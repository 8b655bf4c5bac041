//! Nodes in one process: hubs of their own, each loop on a thread of its own, with a real Redis between them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lakh_hub::redis::{Backend, Config as LinkConfig, Link};
use lakh_hub::store::Store;
use lakh_hub::{Clock, Hub};
use lakh_rooms::Config;
use lakh_testkit::redis::Redis;
use tokio::runtime::Runtime;

use crate::driver::{Loop, TestClock, hub_by, run};

/// One node. Dropping its runtime cuts it off, as if it were killed.
pub(crate) struct Node {
    pub(crate) hub: Hub,
    pub(crate) runtime: Mutex<Option<Runtime>>,
}

pub(crate) struct Fleet {
    pub(crate) nodes: Vec<Node>,
    /// Node and loop of each thread.
    pub(crate) seats: Vec<(usize, usize)>,
    _redis: Option<Redis>,
}

impl Fleet {
    /// One node with two loops, or several with one each. All have one store, and one clock.
    pub(crate) fn start(nodes: usize, config: &Config, clock: &TestClock) -> Self {
        let store = Store::memory();
        if nodes == 1 {
            let hub = hub_by(clock, "node", 2, &["/"]);
            lakh_rooms::install(&hub, store, config.clone());
            return Self {
                nodes: vec![Node {
                    hub,
                    runtime: Mutex::new(None),
                }],
                seats: vec![(0, 0), (0, 1)],
                _redis: None,
            };
        }
        let redis = Redis::start(&["--appendonly", "yes"]).expect("a redis-server");
        let nodes: Vec<Node> = (0..nodes)
            .map(|number| node(number, &redis, store.clone(), config.clone(), clock))
            .collect();
        Self {
            seats: (0..nodes.len()).map(|node| (node, 0)).collect(),
            nodes,
            _redis: Some(redis),
        }
    }

    /// Runs this on each loop, each on its thread.
    pub(crate) fn on_each<F, W>(&self, work: W)
    where
        W: Fn(usize, std::rc::Rc<Loop>) -> F + Sync,
        F: Future<Output = ()>,
    {
        std::thread::scope(|scope| {
            for (seat, (node, shard)) in self.seats.iter().enumerate() {
                let (hub, work) = (&self.nodes[*node].hub, &work);
                scope.spawn(move || {
                    run(async {
                        let on = Loop::start(hub, *shard);
                        work(seat, on).await;
                    });
                });
            }
        });
    }
}

fn node(number: usize, redis: &Redis, store: Store, config: Config, clock: &TestClock) -> Node {
    let runtime = Runtime::new().expect("a runtime");
    let (hub, clock) = (
        hub_by(clock, &format!("n{number}"), 1, &["/"]),
        clock.clone(),
    );
    let ms = Duration::from_millis;
    let link = LinkConfig {
        echo: true,
        backoff: (ms(5), ms(50)),
        ..LinkConfig::new(
            &redis.url(),
            Backend::streams(),
            Arc::new(move || clock.now().0),
        )
    };
    let entered = runtime.enter();
    let (link, inbound) = Link::open(link).expect("a link");
    drop(runtime.spawn(hub.join_cluster(link, inbound).expect("alone so far")));
    lakh_rooms::install(&hub, store, config);
    drop(entered);
    runtime.block_on(async {
        let ready = tokio::time::timeout(ms(60_000), hub.cluster_ready());
        ready.await.expect("ready");
    });
    Node {
        hub,
        runtime: Mutex::new(Some(runtime)),
    }
}

/// Numbers that look random, the same for the same seed.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, most: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % most
    }
}
