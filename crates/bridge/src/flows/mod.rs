//! Events from message brokers, and on to them: sources and sinks.
//!
//! A source reads entries of a broker and publishes them in rooms; a sink sends on what happens here. Both hold: at least
//! once, each room in its order, one node of a cluster at a time ([`crate::lease`]), and on from where the last one ended
//! after a restart, a crash or a broker's absence. What is sent or published twice by that is told apart by its id; where
//! exactly that happens stands in `source` and `sink`, and for people in docs/bridge.md.

mod drivers;
mod filter;
mod intake;
mod mapping;
mod publish;
mod settings;
mod sink;
mod source;
mod stats;
mod trouble;
mod work;

use std::sync::Arc;
use std::time::Duration;

use lakh_hub::Hub;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub use filter::Filter;
pub use mapping::{BadPick, Data, Entry, Format, Mapping, Pick};
pub use publish::{Event, Known, Publish, PublishError, Publishing};
pub use settings::{From, Overflow, SinkSettings, SourceSettings, Start, To, Url};
pub use stats::{Figures, State};

use crate::lease::Leases;
use intake::{Intake, Notes};
use sink::Sink;
use source::Source;
use stats::Counts;
use work::Job as _;

/// Whether this build speaks to Kafka.
pub const HAS_KAFKA: bool = cfg!(feature = "kafka");

/// How long the end waits for each source and sink.
const FAREWELL: Duration = Duration::from_secs(3);

/// All sources and sinks of a node, at work.
pub struct Flows {
    sources: Vec<(String, Arc<Counts>)>,
    sinks: Vec<(String, Arc<Counts>)>,
    intakes: Vec<Arc<Intake>>,
    stop: watch::Sender<bool>,
    writing: Mutex<Vec<JoinHandle<()>>>,
    working: Mutex<Vec<JoinHandle<()>>>,
}

impl std::fmt::Debug for Flows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flows")
            .field("sources", &self.sources())
            .field("sinks", &self.sinks())
            .finish_non_exhaustive()
    }
}

/// All sources and sinks of a node.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// What is read.
    pub sources: Vec<SourceSettings>,
    /// What is sent on.
    pub sinks: Vec<SinkSettings>,
    /// Whether an acknowledgement of a message waits until the message stands in the store for the sinks that want it.
    pub durable: bool,
}

impl Flows {
    /// Starts them on the calling runtime, on the node of that name; what happens on the hub from now on is kept for its sinks.
    #[must_use]
    pub fn start(
        hub: &Hub,
        config: Config,
        leases: &Leases,
        node: &str,
        publish: &Arc<dyn Publish>,
    ) -> Self {
        let flows = Self {
            sources: Vec::new(),
            sinks: Vec::new(),
            intakes: Vec::new(),
            stop: watch::Sender::new(false),
            writing: Mutex::default(),
            working: Mutex::default(),
        };
        let sinks = config.sinks.into_iter();
        let with_sinks = sinks.fold(flows, |flows, sink| {
            flows.sink(hub, (sink, config.durable), leases, node)
        });
        config
            .sources
            .into_iter()
            .fold(with_sinks, |flows, source| {
                flows.source(source, leases, node, publish)
            })
    }

    fn source(
        mut self,
        settings: SourceSettings,
        leases: &Leases,
        node: &str,
        publish: &Arc<dyn Publish>,
    ) -> Self {
        let counts = Arc::new(Counts::default());
        self.sources
            .push((settings.name.clone(), Arc::clone(&counts)));
        let source = Source {
            settings,
            leases: leases.clone(),
            node: node.into(),
            publish: Arc::clone(publish),
            counts,
        };
        let work = source.run(self.stop.subscribe());
        self.working.lock().push(tokio::spawn(work));
        self
    }

    fn sink(
        mut self,
        hub: &Hub,
        (settings, durable): (SinkSettings, bool),
        leases: &Leases,
        node: &str,
    ) -> Self {
        let counts = Arc::new(Counts::default());
        self.sinks
            .push((settings.name.clone(), Arc::clone(&counts)));
        let settings = Arc::new(settings);
        let intake = Arc::new(Intake::new(
            Arc::clone(&settings),
            Arc::clone(&counts),
            durable,
        ));
        hub.watch(Notes(Arc::clone(&intake)));
        self.intakes.push(Arc::clone(&intake));
        let writing = Arc::clone(&intake).write(leases.clone(), node.into());
        self.writing.lock().push(tokio::spawn(writing));
        let sink = Sink {
            settings,
            leases: leases.clone(),
            intake,
            counts,
        };
        let work = sink.run(self.stop.subscribe());
        self.working.lock().push(tokio::spawn(work));
        self
    }

    /// Figures of the sources.
    #[must_use]
    pub fn sources(&self) -> Vec<Figures> {
        let sources = self.sources.iter();
        sources.map(|(name, counts)| counts.read(name)).collect()
    }

    /// Figures of the sinks.
    #[must_use]
    pub fn sinks(&self) -> Vec<Figures> {
        let sinks = self.sinks.iter();
        sinks.map(|(name, counts)| counts.read(name)).collect()
    }

    /// Ends them: what happened is written to the store, and what isn't sent yet is sent by another node, or the next life.
    pub async fn stop(&self) {
        self.intakes.iter().for_each(|intake| intake.close());
        let writing: Vec<_> = self.writing.lock().drain(..).collect();
        end(writing).await;
        self.stop.send_replace(true);
        let working: Vec<_> = self.working.lock().drain(..).collect();
        end(working).await;
    }
}

async fn end(tasks: Vec<JoinHandle<()>>) {
    for mut task in tasks {
        if timeout(FAREWELL, &mut task).await.is_err() {
            task.abort();
        }
    }
}
