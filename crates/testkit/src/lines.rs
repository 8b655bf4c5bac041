//! What a child process writes while it starts.

use std::error::Error;
use std::io::{BufRead, BufReader, Read};

/// Reads until a line has `sign` in it, and reads the rest away: a full pipe would stop the child.
pub(crate) fn until(output: impl Read + Send + 'static, sign: &str) -> Result<(), Box<dyn Error>> {
    let mut lines = BufReader::new(output).lines();
    let mut log = String::new();
    loop {
        let line = lines.next().ok_or_else(|| format!("it ended:\n{log}"))??;
        if line.contains(sign) {
            break;
        }
        log += &line;
        log.push('\n');
    }
    std::thread::spawn(move || lines.for_each(drop));
    Ok(())
}
