//! What the binary does, one file a command. Here alone the process's environment and files are read.

pub mod bench;
pub mod check_config;
pub mod healthcheck;
pub mod man_pages;
mod pinned_tls;
pub mod serve;
pub mod token;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs, io};

use crate::config::load::{self, CONFIG_ENV, ConfigFile, FlagValue, Loaded, Sources};
use crate::config::problem::Problems;
use crate::console::ConsoleError;
use crate::mode::Refusal;
use crate::node::PrepareError;
use crate::sign_in::SetUpError;

/// Read when no file is named, if it is there.
const DEFAULT_FILE: &str = "lakh.toml";

/// Why a command ended without doing what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Settings are wrong.
    #[error(transparent)]
    Settings(#[from] Problems),
    /// The settings are right each, and not safe together.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No sign-in can be made of the settings.
    #[error(transparent)]
    SignIn(#[from] SetUpError),
    /// No sign-in at the page can be made of the settings.
    #[error(transparent)]
    Console(#[from] ConsoleError),
    /// Certificates, proxies, origins or cookie can't be used as they are set.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The configuration file can't be read.
    #[error("{} can't be read: {error}", path.display())]
    File {
        /// As it was named.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A variable of ours is no text.
    #[error("{0} is not UTF-8")]
    NotText(String),
    /// The command was called wrongly.
    #[error("{0}")]
    Usage(String),
    /// Something failed while it ran.
    #[error(transparent)]
    Runtime(#[from] anyhow::Error),
}

impl Failure {
    /// 1 for what failed while running, 2 for what was called or configured wrongly.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Runtime(_) => 1,
            _ => 2,
        }
    }
}

/// Reads and checks the settings: file, environment, flags.
pub fn load(config: Option<&Path>, flags: Vec<FlagValue>) -> Result<Loaded, Failure> {
    let env = variables(env::vars_os())?;
    let file = config_file(config, &env)?;
    let sources = Sources {
        file,
        env,
        flags,
        read_file: &|path| fs::read_to_string(path),
    };
    Ok(load::load(&sources)?)
}

/// Our variables, sorted, so that problems come in the same order each time.
fn variables(
    all: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Vec<(String, String)>, Failure> {
    let mut ours = Vec::new();
    for (name, text) in all {
        let Some(name) = name.to_str().filter(|name| name.starts_with("LAKH_")) else {
            continue;
        };
        match text.into_string() {
            Ok(text) => ours.push((name.to_owned(), text)),
            Err(_) => return Err(Failure::NotText(name.to_owned())),
        }
    }
    ours.sort();
    Ok(ours)
}

/// The named file, which must be there, or the default one, which may be.
fn config_file(
    named: Option<&Path>,
    env: &[(String, String)],
) -> Result<Option<ConfigFile>, Failure> {
    let by_env = env.iter().find(|(name, _)| name == CONFIG_ENV);
    let by_env = by_env.map(|(_, path)| Path::new(path));
    let path = named.or(by_env);
    match fs::read_to_string(path.unwrap_or(Path::new(DEFAULT_FILE))) {
        Ok(text) => Ok(Some(ConfigFile {
            path: path.unwrap_or(Path::new(DEFAULT_FILE)).to_owned(),
            text,
        })),
        Err(error) if path.is_none() && error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::File {
            path: path.unwrap_or(Path::new(DEFAULT_FILE)).to_owned(),
            error,
        }),
    }
}

/// Which file the settings came from, for people.
pub fn source(loaded: &Loaded) -> String {
    match &loaded.file {
        Some(path) => format!("settings from {}", path.display()),
        None => format!("no {DEFAULT_FILE} here: default settings, environment and flags"),
    }
}

/// Writes to standard output. A reader that went away, as `head` does, is no failure.
pub fn print(text: &str) -> Result<ExitCode, Failure> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::Runtime(error.into()))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// The time in seconds since 1970; a clock before that counts as 1970.
pub fn now_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// How many event loops this machine runs at once; 1 where the system doesn't tell.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
