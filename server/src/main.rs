//! The binary `lakh`. All of it is in the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    lakh_server::cli::main()
}
