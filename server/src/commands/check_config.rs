//! `lakh check-config`: everything that would stop the server, without starting it.

use std::process::ExitCode;

use super::Failure;
use crate::config::load::Loaded;
use crate::console;
use crate::mode::{self, Mode};
use crate::node::Prepared;
use crate::sign_in::SignIn;

/// Says that the settings are well and what they make of the server.
pub fn run(loaded: &Loaded) -> Result<ExitCode, Failure> {
    let mode = mode::mode(&loaded.settings)?;
    SignIn::new(&loaded.settings.auth, super::now_s)?;
    console::Plan::new(&loaded.settings, mode)?;
    Prepared::new(&loaded.settings, String::new(), super::cores())?;
    let what = match mode {
        Mode::Development => "development on loopback, a name is sign-in enough",
        Mode::Open => "open to everybody, a name is sign-in enough",
        Mode::Production => "production, tokens are needed",
    };
    let text = format!(
        "{}\nAll is well: {what}, at {}\n",
        super::source(loaded),
        loaded.settings.server.bind.0
    );
    super::print(&text)
}
