//! The command line: what can be asked of the binary, and how it ends.
//!
//! Values of settings are taken as text and checked with all others, so that a person hears of every mistake at once.
//! Exit codes: 0, 1 (something failed while running), 2 (called or configured wrongly), 128 + signal when cut short.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};

use crate::commands::{self, Failure};
use crate::config::load::{FlagValue, SHORT};

/// A real-time server: Socket.IO rooms, chat and more.
///
/// `lakh serve` alone starts everything on http://127.0.0.1:3000, for this machine only.
#[derive(Debug, Parser)]
#[command(name = "lakh", version, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const BENCH_EXAMPLES: &str = "\
Examples:
  lakh bench plan                        what this machine can hold, with a server started for it
  lakh bench plan -n 1000000 --limits-only
                                         which limits of the system a million connections need lifted
  lakh bench fanout                      rooms of 100 on a server at http://127.0.0.1:3000
  lakh bench fanout -m 1000 -b 1024 --rate 50000 --url http://10.0.0.7:3000
  lakh bench ramp --quiet | jq .figures.most_delivered_per_s";

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the server
    ///
    /// Serves all modules, or those that are named. Ctrl-C ends it gracefully, a second Ctrl-C at once.
    Serve {
        /// Modules to serve: rooms, chat, world [default: all]
        #[arg(value_name = "MODULE")]
        modules: Vec<String>,
        #[command(flatten)]
        /// Settings.
        settings: SettingsArgs,
    },
    /// Check the settings, tell everything that is wrong, and start nothing
    CheckConfig {
        #[command(flatten)]
        /// Settings.
        settings: SettingsArgs,
    },
    /// Show the settings in force and where each was read, as TOML, without secrets
    PrintConfig {
        /// Show a commented configuration with every setting and its default instead
        #[arg(long)]
        example: bool,
        #[command(flatten)]
        /// Settings.
        settings: SettingsArgs,
    },
    /// Make a token for a person or program, signed with the configured secret or key
    ///
    /// The token goes to standard output. A client shows it as `io(url, { auth: { token } })`, a program of the HTTP
    /// API as `Authorization: Bearer TOKEN`.
    Token {
        #[command(flatten)]
        /// What it says.
        token: TokenArgs,
        #[command(flatten)]
        /// Settings.
        settings: SettingsArgs,
    },
    /// Make an API key for a backend
    ///
    /// The key, and what goes into the server's settings, go to standard output, as TOML.
    Key {
        #[command(flatten)]
        /// What it may do.
        key: KeyArgs,
    },
    /// Hash a password for the settings: it is read from standard input
    Password,
    /// Ask the running server whether it is ready: exit code 0 if so, 1 if not
    ///
    /// For containers and scripts. Asks `/ready` at the configured address.
    Healthcheck {
        /// How long to wait for the answer, in milliseconds
        #[arg(long, value_name = "MS", default_value_t = 3_000, value_parser = clap::value_parser!(u64).range(1..))]
        timeout_ms: u64,
        #[command(flatten)]
        /// Settings.
        settings: SettingsArgs,
    },
    /// Put load on a Socket.IO server and tell what it costs; or plan a machine
    ///
    /// Works against any Socket.IO server (Engine.IO 4 over WebSocket), and by itself against `lakh serve`. A table goes to
    /// standard error, one line of JSON to standard output. Exit code 0 says that it was measured, also if messages
    /// were lost: look at `lost`, `out_of_order` and `refused`. 1: it couldn't be measured. 2: it was called wrongly.
    #[command(after_long_help = BENCH_EXAMPLES)]
    Bench {
        #[command(flatten)]
        /// What to do, and to which server.
        options: lakh_load::Options,
    },
    /// Print completions for a shell, such as `lakh completions bash > /etc/bash_completion.d/lakh`
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages, one a command, into a folder
    #[command(hide = true)]
    ManPages {
        /// The folder, which must be there
        folder: PathBuf,
    },
}

/// What a token says.
#[derive(Debug, Default, Args)]
pub struct TokenArgs {
    /// Stable id of the person or program
    #[arg(long, value_name = "ID", required_unless_present = "admin")]
    pub sub: Option<String>,
    /// Name that others see [default: the id]
    #[arg(long)]
    pub name: Option<String>,
    /// How long it is valid, such as 30m, 24h or 7d
    #[arg(long, default_value = "24h", value_parser = humantime::parse_duration)]
    pub ttl: std::time::Duration,
    /// Let it do everything that no rule denies, and read the HTTP API; the id is then "admin" unless one is given
    #[arg(long)]
    pub admin: bool,
    /// A role that rules speak of; may be given several times
    #[arg(long, value_name = "ROLE")]
    pub role: Vec<String>,
    /// What it may do whatever the rules allow, as module:acts:rooms, such as rooms:join,emit:board:*; may be given several
    /// times
    #[arg(long, value_name = "GRANT")]
    pub grant: Vec<String>,
    /// Id of the sign-in that it belongs to, by which all of its tokens can be revoked
    #[arg(long, value_name = "ID")]
    pub sid: Option<String>,
    /// Id of the token, by which it can be revoked [default: made at random]
    #[arg(long, value_name = "ID")]
    pub jti: Option<String>,
    /// Whom it is for [default: the first of auth.audience]
    #[arg(long)]
    pub audience: Option<String>,
}

/// What an API key may do.
#[derive(Debug, Args)]
pub struct KeyArgs {
    /// What people call it
    #[arg(long)]
    pub name: String,
    /// What it may do, as module:acts:rooms, such as rooms:emit:*; may be given several times
    #[arg(long, value_name = "GRANT")]
    pub grant: Vec<String>,
    /// Let it do everything that no rule denies
    #[arg(long)]
    pub admin: bool,
    /// Make a secret for signed requests too
    #[arg(long)]
    pub signing: bool,
}

/// Settings that have a flag, and the file with all others.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Settings")]
pub struct SettingsArgs {
    /// Configuration file [default: ./lakh.toml if it is there]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address and port to listen on [default: 127.0.0.1:3000]
    #[arg(long, value_name = "ADDRESS")]
    pub bind: Option<String>,
    /// Folder for what must outlive the process [default: ./lakh-data]
    #[arg(long, value_name = "FOLDER")]
    pub data: Option<String>,
    /// Path of the Socket.IO endpoint [default: /socket.io/]
    #[arg(long)]
    pub path: Option<String>,
    /// Secret that signs the tokens, at least 32 bytes; other users of this machine can see it in the process list,
    /// so prefer the file
    #[arg(long, value_name = "SECRET")]
    pub auth_secret: Option<String>,
    /// File that holds the secret
    #[arg(long, value_name = "FILE")]
    pub auth_secret_file: Option<String>,
    /// Let everybody in without a sign-in, on whatever address is bound
    #[arg(long)]
    pub open: bool,
    /// Name of this node among others; its first three characters must differ from node to node [default: made at each
    /// start]
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,
    /// Redis that the nodes of a fleet share: redis://[user:password@]host[:6379][/db], rediss://… for TLS,
    /// redis+unix:///path, redis+sentinel://host,host/NAME or redis+cluster://host,host; other users of this machine can see
    /// it in the process list, so prefer the variable or the file where there is a password in it
    // Square brackets are for what may be left out here, as people read them in `--help`.
    #[allow(rustdoc::broken_intra_doc_links)]
    #[arg(long, value_name = "URL")]
    pub redis: Option<String>,
    /// File that holds the URL of Redis
    #[arg(long, value_name = "FILE")]
    pub redis_file: Option<String>,
    /// What the names of all channels in Redis begin with [default: socket.io]
    #[arg(long, value_name = "KEY")]
    pub redis_key: Option<String>,
    /// How nodes reach each other: local, redis, redis-sharded or redis-streams [default: redis-streams with --redis, else
    /// local]
    #[arg(long)]
    pub broker: Option<String>,
    /// Where modules keep their data: sqlite or redis [default: redis with --redis, else sqlite]
    #[arg(long)]
    pub store: Option<String>,
    /// What to log: error, warn, info, debug, trace, or by part [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub log: Option<String>,
    /// How to log: text or json [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
}

impl SettingsArgs {
    /// The flags that were given, as settings.
    pub fn flags(&self) -> Vec<FlagValue> {
        let given = |flag: &str| match flag {
            "--bind" => self.bind.clone(),
            "--path" => self.path.clone(),
            "--data" => self.data.clone(),
            "--node" => self.node.clone(),
            "--open" => self.open.then(|| "true".to_owned()),
            "--auth-secret" => self.auth_secret.clone(),
            "--auth-secret-file" => self.auth_secret_file.clone(),
            "--redis" => self.redis.clone(),
            "--redis-file" => self.redis_file.clone(),
            "--redis-key" => self.redis_key.clone(),
            "--broker" => self.broker.clone(),
            "--store" => self.store.clone(),
            "--log" => self.log.clone(),
            "--log-format" => self.log_format.clone(),
            _ => None,
        };
        let flags = SHORT.iter().filter_map(|short| {
            Some(FlagValue {
                flag: short.flag,
                section: short.section,
                key: short.key,
                text: given(short.flag)?,
            })
        });
        flags.collect()
    }
}

/// The modules named after `serve`, as a setting.
fn named_modules(modules: &[String]) -> Option<FlagValue> {
    let text = modules.join(",");
    (!modules.is_empty()).then_some(FlagValue {
        flag: "lakh serve MODULE",
        section: "server",
        key: "modules",
        text,
    })
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("lakh: {failure:#}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    match cli.command {
        Command::Serve { modules, settings } => {
            let mut flags = settings.flags();
            flags.extend(named_modules(&modules));
            commands::serve::run(commands::load(settings.config.as_deref(), flags)?)
        }
        Command::CheckConfig { settings } => {
            let loaded = commands::load(settings.config.as_deref(), settings.flags())?;
            commands::check_config::run(&loaded)
        }
        Command::PrintConfig { example: true, .. } => {
            commands::print(&crate::config::show::example())
        }
        Command::PrintConfig { settings, .. } => {
            let loaded = commands::load(settings.config.as_deref(), settings.flags())?;
            commands::print(&crate::config::show::effective(&loaded))
        }
        Command::Token { token, settings } => {
            let loaded = commands::load(settings.config.as_deref(), settings.flags())?;
            commands::token::run(&loaded.settings, &token)
        }
        Command::Key { key } => commands::token::key(&key),
        Command::Password => commands::token::password(),
        Command::Healthcheck {
            timeout_ms,
            settings,
        } => {
            let loaded = commands::load(settings.config.as_deref(), settings.flags())?;
            let timeout = std::time::Duration::from_millis(timeout_ms);
            commands::healthcheck::run(&loaded.settings, timeout)
        }
        Command::Bench { options } => commands::bench::run(options),
        Command::Completions { shell } => {
            let mut out = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "lakh", &mut out);
            commands::print(&String::from_utf8_lossy(&out))
        }
        Command::ManPages { folder } => commands::man_pages::run(Cli::command(), &folder),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_setting_with_a_short_name_has_its_flag() {
        let args = [
            "lakh",
            "check-config",
            "--bind",
            "a",
            "--path",
            "b",
            "--data",
            "c",
            "--node",
            "d",
            "--open",
            "--auth-secret",
            "e",
            "--auth-secret-file",
            "f",
            "--log",
            "g",
            "--log-format",
            "h",
            "--redis",
            "i",
            "--redis-file",
            "j",
            "--redis-key",
            "k",
            "--broker",
            "l",
            "--store",
            "m",
        ];
        let Command::CheckConfig { settings } = Cli::try_parse_from(args).unwrap().command else {
            panic!("another command");
        };
        assert_eq!(settings.flags().len(), SHORT.len());
    }

    #[test]
    fn modules_after_serve_are_a_setting() {
        let modules = ["chat".to_owned(), "rooms".to_owned()];
        assert_eq!(named_modules(&modules).unwrap().text, "chat,rooms");
        assert!(named_modules(&[]).is_none());
    }

    #[test]
    fn a_token_needs_an_owner_unless_it_is_an_admins() {
        assert!(Cli::try_parse_from(["lakh", "token"]).is_err());
        assert!(Cli::try_parse_from(["lakh", "token", "--admin"]).is_ok());
        assert!(Cli::try_parse_from(["lakh", "token", "--sub", "u1", "--ttl", "7d"]).is_ok());
        assert!(Cli::try_parse_from(["lakh", "token", "--sub", "u1", "--ttl", "x"]).is_err());
    }
}
