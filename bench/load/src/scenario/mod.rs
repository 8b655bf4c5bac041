//! The scenarios: each connects, does one thing to the server, and reports.

mod chat;
mod churn;
mod cursors;
mod echo;
mod fanout;
mod idle;
mod plan;
mod reach;
mod slow;
mod storm;
mod tick;
mod world;

use crate::error::LoadError;
use crate::options::{Command, Idle, Options, Storm, World, Worlds};
use crate::report::Report;
use crate::scout::{self, Wanted};

/// Runs one scenario to its end.
///
/// # Errors
/// [`LoadError`]: the server can't be reached or measured, or doesn't understand what it's asked. A server that loses
/// or reorders messages is no error: the report says so.
pub fn run(options: &Options) -> Result<Report, LoadError> {
    let asked = match &options.command {
        Command::Chat(_) => &chat::target(&options.target),
        Command::World(world) => &world::target(&options.target, world),
        _ => &options.target,
    };
    let target = &match wanted(&options.command) {
        Some(wanted) => scout::look(asked, wanted)?,
        None => asked.clone(),
    };
    match &options.command {
        Command::Idle(idle) => idle::run(target, idle),
        Command::Fanout(fanout) => fanout::run(target, fanout),
        Command::Reach(reach) => reach::run(target, reach),
        Command::Echo(echo) => echo::run(target, echo),
        Command::Ramp(ramp) => fanout::ramp(target, ramp),
        Command::Burst(burst) => fanout::burst(target, burst),
        Command::Storm(storm) => storm::run(target, storm),
        Command::Tick(tick) => tick::run(target, tick),
        Command::Cursors(cursors) => cursors::run(target, cursors),
        Command::Chat(chat) => chat::run(target, chat),
        Command::World(world) => world::run(target, world),
        Command::Slow(slow) => slow::run(target, slow),
        Command::Churn(churn) => churn::run(target, churn),
        Command::Plan(plan) => plan::run(target, plan),
    }
}

/// What the server must have for this; `None` if no server is needed.
fn wanted(command: &Command) -> Option<Wanted> {
    match command {
        Command::Plan(plan) if plan.limits_only => None,
        Command::Idle(Idle { rooms: 0, .. }) | Command::Storm(Storm { rooms: 0, .. }) => {
            Some(Wanted::Connections)
        }
        // It doesn't speak Socket.IO.
        Command::World(World {
            server: Worlds::Colyseus,
            ..
        }) => None,
        Command::Cursors(_) | Command::World(_) => Some(Wanted::Connections),
        Command::Chat(_) => Some(Wanted::Names),
        _ => Some(Wanted::Rooms),
    }
}
