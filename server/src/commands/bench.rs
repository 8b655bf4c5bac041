//! `lakh bench`: the load generator, and for `plan` a server to measure.

mod own_server;

use std::process::ExitCode;

use lakh_load::{Command, LoadError, Options};

use self::own_server::OwnServer;
use super::Failure;

/// Runs one scenario: a table for people on standard error, a line of JSON on standard output.
pub fn run(mut options: Options) -> Result<ExitCode, Failure> {
    let own = if wants_own_server(&options) {
        Some(start(&mut options)?)
    } else {
        None
    };
    let report = lakh_load::run(&options);
    drop(own);
    let report = report.map_err(|error| failure(&error))?;
    if !options.quiet {
        eprint!("{}", report.table());
    }
    super::print(&(report.json_line() + "\n"))
}

/// A plan needs a server; unless one is named, it gets one.
fn wants_own_server(options: &Options) -> bool {
    let measures = matches!(&options.command, Command::Plan(plan) if !plan.limits_only);
    measures && options.target.url.is_none() && options.target.pid.is_empty()
}

fn start(options: &mut Options) -> Result<OwnServer, Failure> {
    if !options.quiet {
        eprintln!("Measuring with a server started for it; --url measures another.");
    }
    let server = OwnServer::start()?;
    options.target.url = Some(server.url.clone());
    options.target.pid = vec![server.pid()];
    "lakh".clone_into(&mut options.target.label);
    Ok(server)
}

/// The text of an error says all of it; its sources would say it again.
fn failure(error: &LoadError) -> Failure {
    let text = error.to_string().trim_end().to_owned();
    if error.is_usage() {
        Failure::Usage(text)
    } else {
        Failure::Runtime(anyhow::Error::msg(text))
    }
}
