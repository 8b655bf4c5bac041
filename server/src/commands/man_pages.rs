//! `lakh man-pages`: the manual, made from the command line's own words. For packages; people read `--help`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

use super::Failure;

/// Writes `lakh.1` and a page for each command.
pub fn run(command: clap::Command, folder: &Path) -> Result<ExitCode, Failure> {
    clap_mangen::generate_to(command, folder)
        .with_context(|| format!("the manual can't be written to {}", folder.display()))?;
    Ok(ExitCode::SUCCESS)
}
