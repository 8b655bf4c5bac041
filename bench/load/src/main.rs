//! `lakh-load`: one scenario, one line of JSON on standard output, and a table for people on standard error.

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
            eprint!("{}", report.table());
            println!("{}", report.json_line());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("lakh-load: {error}");
            ExitCode::FAILURE
        }
    }
}
