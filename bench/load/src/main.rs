//! `lakh-load`: one scenario, one line of JSON on standard output, and a table for people on standard error.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "lakh-load", version, about)]
struct Arguments {
    #[command(flatten)]
    options: lakh_load::Options,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match lakh_load::run(&arguments.options) {
        Ok(report) => {
            if !arguments.options.quiet {
                eprint!("{}", report.table());
            }
            // A reader that went away has no use for the rest.
            let _ = writeln!(std::io::stdout(), "{}", report.json_line());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("lakh-load: {}", error.to_string().trim_end());
            ExitCode::from(if error.is_usage() { 2 } else { 1 })
        }
    }
}
