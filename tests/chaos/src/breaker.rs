//! Breaks things by the schedule, and writes down what was broken when.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::processes::Process;
use crate::proxy::{Cut, Flow, Gate};
use crate::schedule::{Fault, Kind, Step};
use crate::site::Site;

/// A fault that happened. Times are microseconds since the run began.
#[derive(Clone, Debug)]
pub struct Broke {
    /// When it began.
    pub from: u64,
    /// When it was over.
    pub to: u64,
    /// What it was. A rolling restart is one for each node.
    pub fault: Fault,
}

/// What was broken, and what broke by itself.
#[derive(Debug)]
pub struct Diary {
    start: Instant,
    broke: RefCell<Vec<Broke>>,
    /// Processes that ended by themselves: when, and which.
    crashed: RefCell<Vec<(u64, String)>>,
}

impl Diary {
    /// Of a run that began at `start`.
    #[must_use]
    pub fn new(start: Instant) -> Self {
        Self {
            start,
            broke: RefCell::default(),
            crashed: RefCell::default(),
        }
    }

    /// Microseconds since the run began.
    #[must_use]
    pub fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn begin(&self, fault: &Fault) -> usize {
        let now = self.now();
        let mut broke = self.broke.borrow_mut();
        broke.push(Broke {
            from: now,
            to: u64::MAX,
            fault: fault.clone(),
        });
        broke.len() - 1
    }

    fn end(&self, entry: usize) {
        self.broke.borrow_mut()[entry].to = self.now();
    }

    /// What was broken, and what broke by itself.
    #[must_use]
    pub fn read(&self) -> (Vec<Broke>, Vec<(u64, String)>) {
        (self.broke.borrow().clone(), self.crashed.borrow().clone())
    }
}

/// Breaks connections of clients. Faults overlap; all are over when this ends.
pub async fn network(steps: Vec<Step>, gates: Arc<[Gate]>, until: Instant, diary: Rc<Diary>) {
    let mut going = JoinSet::new();
    for (pause, fault) in steps {
        sleep(pause).await;
        if Instant::now() + fault.lasts >= until {
            break;
        }
        let (gates, diary) = (Arc::clone(&gates), Rc::clone(&diary));
        going.spawn_local(async move {
            let entry = diary.begin(&fault);
            let each = || fault.clients.iter().filter_map(|client| gates.get(*client));
            match fault.kind {
                Kind::HalfOpen => each().for_each(|gate| gate.cut(Cut::HalfOpen)),
                Kind::Stall => each().for_each(|gate| gate.set(Flow::Held)),
                Kind::Delay => each().for_each(|gate| gate.set(Flow::Delayed(fault.delay))),
                _ => each().for_each(|gate| gate.cut(Cut::Reset)),
            }
            sleep(fault.lasts).await;
            each().for_each(|gate| gate.set(Flow::Open));
            diary.end(entry);
        });
    }
    while going.join_next().await.is_some() {}
}

/// Breaks processes and their links to Redis, one after the other. All are up when this ends.
///
/// # Errors
/// A process that does not start or end.
pub async fn processes(
    steps: Vec<Step>,
    site: &mut Site,
    until: Instant,
    diary: &Diary,
) -> io::Result<()> {
    for (pause, fault) in steps {
        sleep(pause).await;
        revive(site, diary).await?;
        if Instant::now() + fault.lasts >= until {
            break;
        }
        if fault.kind == Kind::Rolling {
            rolling(&fault, site, diary).await?;
            continue;
        }
        let entry = diary.begin(&fault);
        one(&fault, site).await?;
        diary.end(entry);
    }
    revive(site, diary).await
}

/// Starts again what has ended by itself, and remembers it.
///
/// # Errors
/// A process that does not start.
pub async fn revive(site: &mut Site, diary: &Diary) -> io::Result<()> {
    for process in site.nodes.iter_mut().chain(&mut site.redis) {
        if process.has_ended()? {
            diary
                .crashed
                .borrow_mut()
                .push((diary.now(), process.name.clone()));
            process.start().await?;
        }
    }
    Ok(())
}

async fn rolling(fault: &Fault, site: &mut Site, diary: &Diary) -> io::Result<()> {
    for index in &fault.nodes {
        let own = Fault {
            nodes: vec![*index],
            ..fault.clone()
        };
        let node = &mut site.nodes[*index];
        if node.has_ended()? {
            continue;
        }
        let entry = diary.begin(&own);
        node.end(Signal::TERM).await?;
        node.start().await?;
        if site.tells_ready {
            node.ready().await?;
        }
        diary.end(entry);
    }
    Ok(())
}

async fn one(fault: &Fault, site: &mut Site) -> io::Result<()> {
    let links = Arc::clone(&site.links);
    let each = || fault.nodes.iter().filter_map(|node| links.get(*node));
    match fault.kind {
        Kind::Kill => {
            again(
                fault.nodes.first().map(|node| &mut site.nodes[*node]),
                Signal::KILL,
                fault.lasts,
            )
            .await?
        }
        Kind::RedisTerm => again(site.redis.as_mut(), Signal::TERM, fault.lasts).await?,
        Kind::RedisKill => again(site.redis.as_mut(), Signal::KILL, fault.lasts).await?,
        Kind::Pause => {
            for node in &fault.nodes {
                site.nodes[*node].signal(Signal::STOP)?;
            }
            sleep(fault.lasts).await;
            for node in &fault.nodes {
                site.nodes[*node].signal(Signal::CONT)?;
            }
        }
        Kind::RedisCut => {
            each().for_each(|gate| gate.set(Flow::Refused));
            each().for_each(|gate| gate.cut(Cut::Reset));
            sleep(fault.lasts).await;
            each().for_each(|gate| gate.set(Flow::Open));
        }
        Kind::RedisStall => {
            each().for_each(|gate| gate.set(Flow::Held));
            sleep(fault.lasts).await;
            each().for_each(|gate| gate.set(Flow::Open));
        }
        // The others are for the network of clients, or go node by node.
        Kind::Reset | Kind::HalfOpen | Kind::Stall | Kind::Delay | Kind::Rolling => {}
    }
    Ok(())
}

async fn again(process: Option<&mut Process>, signal: Signal, away: Duration) -> io::Result<()> {
    let Some(process) = process else {
        return Ok(());
    };
    process.end(signal).await?;
    sleep(away).await;
    process.start().await
}
