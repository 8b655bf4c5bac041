//! Several event loops, each a thread with a shard of its own, as in a real server.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lakh_hub::shard::Shard;
use lakh_hub::{Hub, Settings};
use tokio::sync::mpsc;

use super::{TestClock, World, on_a_loop};

/// Tells a hang from slowness, and nothing else.
const BOUND: Duration = Duration::from_secs(60);

type Job = Box<dyn FnOnce(World) -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// The loops of one hub.
pub struct Loops {
    pub hub: Hub,
    pub clock: TestClock,
    jobs: Vec<mpsc::UnboundedSender<Job>>,
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

impl Loops {
    pub fn start(shards: usize) -> Self {
        Self::with(Settings {
            shards,
            ..Settings::default()
        })
    }

    pub fn with(settings: Settings) -> Self {
        let clock = TestClock::new();
        let hub = Hub::new(settings, clock.clone());
        let stop = Arc::new(AtomicBool::new(false));
        let mut jobs = Vec::new();
        let mut threads = Vec::new();
        for index in 0..hub.shard_count() {
            let (send, receive) = mpsc::unbounded_channel();
            jobs.push(send);
            let (hub, clock, stop) = (hub.clone(), clock.clone(), Arc::clone(&stop));
            threads.push(std::thread::spawn(move || {
                on_a_loop(turn(World::enter(&hub, &clock, index), receive, stop));
                Shard::exit();
            }));
        }
        Self {
            hub,
            clock,
            jobs,
            threads,
            stop,
        }
    }

    /// Runs a job on a loop and waits for what it gives.
    pub fn on<R: Send + 'static>(
        &self,
        shard: usize,
        job: impl AsyncFnOnce(World) -> R + Send + 'static,
    ) -> R {
        self.start_on(shard, job).recv_timeout(BOUND).unwrap()
    }

    /// Starts a job on a loop.
    pub fn start_on<R: Send + 'static>(
        &self,
        shard: usize,
        job: impl AsyncFnOnce(World) -> R + Send + 'static,
    ) -> std::sync::mpsc::Receiver<R> {
        let (send, receive) = std::sync::mpsc::channel();
        let job: Job = Box::new(move |world| {
            Box::pin(async move {
                // The test may have given up on it.
                let _ = send.send(job(world).await);
            })
        });
        self.jobs[shard].send(job).ok().unwrap();
        receive
    }

    /// Waits until every loop has worked through what was sent to it before.
    pub fn settle(&self) {
        // What one loop does may send to another; two rounds carry an answer there and back.
        for _ in 0..3 {
            for shard in 0..self.jobs.len() {
                self.on(shard, async |world| world.settle().await);
            }
        }
    }

    /// Lets time pass on all loops.
    pub fn pass(&self, ms: u64) {
        self.clock.pass(ms);
        for shard in 0..self.jobs.len() {
            self.on(shard, async |world| world.pass(0));
        }
    }
}

impl Drop for Loops {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.jobs.clear();
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.unwrap();
            }
        }
    }
}

/// An event loop's turns: mailbox, jobs, outboxes.
async fn turn(world: World, mut jobs: mpsc::UnboundedReceiver<Job>, stop: Arc<AtomicBool>) {
    let mailbox = {
        let world = world.clone();
        tokio::task::spawn_local(async move {
            loop {
                std::future::poll_fn(|cx| {
                    if world.shard().register_mailbox(cx.waker()) {
                        std::task::Poll::Pending
                    } else {
                        std::task::Poll::Ready(())
                    }
                })
                .await;
                world.shard().drain_mailbox();
                world.pump();
                tokio::task::yield_now().await;
            }
        })
    };
    while let Some(job) = jobs.recv().await {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        tokio::task::spawn_local(job(world.clone()));
    }
    mailbox.abort();
}

/// Lets a loop go on until something has come about.
pub async fn until(world: &World, mut come: impl FnMut() -> bool) {
    let start = Instant::now();
    loop {
        world.pump();
        if come() {
            return;
        }
        assert!(start.elapsed() < BOUND, "it never came about");
        tokio::task::yield_now().await;
    }
}
