//! What a world costs on the hub: inputs as clients send them, ticks, frames as they are put on the wire; without sockets.
//!
//! `cargo run --release -p lakh-world --example hosted -- [uniform|hotspot] [PEOPLE]`. Time is virtual; what is told is the
//! processor's time of this thread by the kernel's account, of the inputs and of the ticks, and the memory of a client.
//! Each takes its frame in each tick. Compare with `crowd`, which is the engine alone.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lakh_hub::shard::{App, SessionKey};
use lakh_hub::store::Store;
use lakh_hub::{Clock, Handshake, Hub, Item, Millis, Settings, Shard};
use lakh_testkit::Noise;
use lakh_wire::engine::{Side, Transport, Version};
use lakh_world::{Config, install};

const TICK: Duration = Duration::from_millis(50);
const WARM_UP: usize = 60;
const TICKS: usize = 200;

#[derive(Clone, Default)]
struct Time(Arc<AtomicU64>);

impl Clock for Time {
    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::Relaxed))
    }

    fn wall_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Nanoseconds that this thread had a processor.
fn processor_ns() -> u64 {
    let all = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = all.split(' ').next().and_then(|text| text.parse().ok());
    first.unwrap_or_default()
}

/// Bytes of memory in use.
fn memory() -> u64 {
    let all = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = all.split(' ').nth(1).and_then(|text| text.parse().ok());
    pages.unwrap_or(0_u64) * 4096
}

struct Walker {
    key: SessionKey,
    at: [f64; 2],
    to: [f64; 2],
    speed: f64,
}

impl Walker {
    fn step(&mut self, side: f64, noise: &mut Noise) -> [f64; 2] {
        let way = [self.to[0] - self.at[0], self.to[1] - self.at[1]];
        let left = way[0].hypot(way[1]);
        let step = self.speed * TICK.as_secs_f64();
        if left <= step {
            self.to = [noise.unit() * side, noise.unit() * side];
            return [0.0; 2];
        }
        for (at, way) in self.at.iter_mut().zip(way) {
            *at += way / left * step;
        }
        way.map(|way| way / left * self.speed)
    }
}

/// Takes all that was sent; gives frames and bytes.
fn take_all(shard: &Shard) -> (usize, usize) {
    let mut dirty = Vec::new();
    shard.take_dirty(&mut dirty, usize::MAX);
    let (mut frames, mut bytes) = (0, 0);
    for key in dirty {
        shard.with_outbox(key, |outbox, version| {
            std::mem::take(&mut outbox.signals);
            while let Some(item) = outbox.pop() {
                if let Item::Packet(packet) = item {
                    frames += 1;
                    bytes += packet.ws(version).len();
                }
            }
        });
    }
    (frames, bytes)
}

async fn settle(shard: &Shard) -> (usize, usize) {
    let mut sum = (0, 0);
    for _ in 0..4 {
        shard.drain_mailbox();
        tokio::task::yield_now().await;
        let (frames, bytes) = take_all(shard);
        sum = (sum.0 + frames, sum.1 + bytes);
    }
    sum
}

async fn run(scene: &str, people: usize, side: f64) {
    let time = Time::default();
    let hub = Hub::new(Settings::default(), time.clone());
    let config = Config {
        budget: 256 << 10,
        view: 40.0,
        ..Config::default()
    };
    let worlds = install(&hub, Store::memory(), config);
    let shard = Shard::enter(&hub, 0);
    let mut noise = Noise::new(7);
    let mut walkers = Vec::new();
    let open = |shard: &Shard| {
        let handshake = Handshake {
            address: ([127, 0, 0, 1], 1).into(),
            secure: false,
            time_ms: 0,
            query: "".into(),
            headers: Box::default(),
        };
        shard.open(App::SocketIo, Version::V4, Transport::WebSocket, handshake)
    };
    for _ in 0..people {
        let key = open(&shard).key;
        shard.text(key, Side::Main, "40/world,");
        let place = || [0.0; 2];
        walkers.push(Walker {
            key,
            at: place(),
            to: place(),
            speed: 0.0,
        });
    }
    settle(&shard).await;
    let before = memory();
    for walker in &mut walkers {
        walker.at = [noise.unit() * side, noise.unit() * side];
        walker.to = walker.at;
        walker.speed = 1.0 + 5.0 * noise.unit();
        let [x, y] = walker.at;
        let enter = format!(r#"42/world,1["world:enter",{{"world":"w","at":[{x},{y}]}}]"#);
        shard.text(walker.key, Side::Main, &enter);
        shard.drain_mailbox();
        tokio::task::yield_now().await;
    }
    let (mut inputs_ns, mut ticks_ns, mut frames, mut bytes) = (0, Vec::new(), 0, 0);
    for tick in 0..WARM_UP + TICKS {
        time.0.fetch_add(50, Ordering::Relaxed);
        let moves: Vec<String> = walkers
            .iter_mut()
            .map(|walker| {
                let [vx, vy] = walker.step(side, &mut noise);
                let [x, y] = walker.at;
                format!(
                    r#"42/world,["world:input",{{"seq":{},"at":[{x:.3},{y:.3}],"velocity":[{vx:.3},{vy:.3}]}}]"#,
                    tick + 1
                )
            })
            .collect();
        let begun = processor_ns();
        for (walker, text) in walkers.iter().zip(&moves) {
            shard.text(walker.key, Side::Main, text);
        }
        let moved = processor_ns();
        tokio::time::advance(TICK).await;
        let (some, sent) = settle(&shard).await;
        let done = processor_ns();
        if tick >= WARM_UP {
            inputs_ns += moved - begun;
            ticks_ns.push(done - moved);
            (frames, bytes) = (frames + some, bytes + sent);
        }
    }
    let used = memory().saturating_sub(before);
    ticks_ns.sort_unstable();
    let figures = worlds.figures();
    println!(
        "{scene}: {people} people; input {} ns each; tick {:.2} ms median, {:.2} ms p99; {} ns and {:.1} bytes a frame; \
         {} bytes of memory a client in a world; {} inputs refused, {} frames left out, dilation {:.2}",
        inputs_ns / (people * TICKS) as u64,
        ticks_ns[TICKS / 2] as f64 / 1e6,
        ticks_ns[TICKS * 99 / 100] as f64 / 1e6,
        ticks_ns.iter().sum::<u64>() / frames.max(1) as u64,
        bytes as f64 / frames.max(1) as f64,
        used / people as u64,
        figures.inputs_refused,
        figures.merged,
        figures.slowest,
    );
    Shard::exit();
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let scene = arguments.next().unwrap_or_else(|| "uniform".into());
    let hotspot = scene == "hotspot";
    let people = arguments.next().and_then(|text| text.parse().ok());
    let people = people.unwrap_or(if hotspot { 5_000 } else { 2_000 });
    // 60 in a circle of 40 units, on average; or all of them in a few cells.
    let side = if hotspot {
        60.0
    } else {
        9.15 * (people as f64).sqrt()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime needs nothing but memory");
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, run(&scene, people, side));
}
