//! The program `lakh-chaos`: the driver, and (as `lakh-chaos worker`) a process of its clients.

use std::env;
use std::error::Error;
use std::process::ExitCode;

use clap::Parser;
use lakh_chaos::options::Options;
use lakh_chaos::{run, worker};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::LocalSet;

fn main() -> ExitCode {
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.to_string()),
    };
    let local = LocalSet::new();
    if env::args().nth(1).as_deref() == Some("worker") {
        return match local.block_on(&runtime, worker::run()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&error.to_string()),
        };
    }
    let options = Options::parse();
    let program = match env::current_exe() {
        Ok(program) => program,
        Err(error) => return failed(&error.to_string()),
    };
    match local.block_on(&runtime, bounded(run::run(&options, &program))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => failed(&error.to_string()),
    }
}

/// Whoever is told to end takes the processes of the run along: they end when the run is dropped.
async fn bounded<T>(
    run: impl Future<Output = Result<T, Box<dyn Error>>>,
) -> Result<T, Box<dyn Error>> {
    let mut ended = signal(SignalKind::terminate())?;
    tokio::select! {
        result = run => result,
        _ = ended.recv() => Err("ended by SIGTERM".into()),
        _ = tokio::signal::ctrl_c() => Err("ended by SIGINT".into()),
    }
}

fn failed(error: &str) -> ExitCode {
    eprintln!("lakh-chaos: {error}");
    ExitCode::from(2)
}
