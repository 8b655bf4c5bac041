//! `[log]`: what is logged, and how.

use tracing_subscriber::EnvFilter;

use crate::config::section::section;
use crate::config::value::words;

words! {
    /// How a line of the log looks.
    LogFormat {
        /// For people.
        Text = "text",
        /// For programs: one JSON object a line.
        Json = "json",
    }
}

section! {
    /// What is logged, to standard error.
    Log as "log" {
        /// "error", "warn", "info", "debug" or "trace", or by part, such as "info,lakh_net=debug".
        /// The environment variable RUST_LOG, where set, wins.
        level: String = "info".into();
        /// "text" for people, "json" for programs.
        format: LogFormat = LogFormat::Text;
    }
    check |log, wrong| {
        if let Err(problem) = filter(&log.level) {
            wrong.push(("level", problem));
        }
    };
}

/// Parses a level. A lone word must be a level: the parser would take `inof` for the name of a part.
pub(crate) fn filter(text: &str) -> Result<EnvFilter, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    for part in text.split(',').map(str::trim) {
        let lower = part.to_ascii_lowercase();
        if !part.contains(['=', '[', ':']) && !LEVELS.contains(&lower.as_str()) {
            let hint = crate::config::problem::suggestion(part, LEVELS);
            return Err(format!("unknown level `{part}`{hint}"));
        }
    }
    EnvFilter::builder()
        .parse(text)
        .map_err(|error| format!("`{text}` is no level: {error}"))
}
