//! Descriptors: one connection is one, and the usual limit is 1,024.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::LoadError;

/// Makes room for this many descriptors: up to the hard limit, and past it where the system lets us.
pub(crate) fn allow_descriptors(wanted: usize) -> Result<(), LoadError> {
    /// The epoll, the timer, the standard streams, files of /proc.
    const OWN: u64 = 64;
    let wanted = wanted as u64 + OWN;
    let now = getrlimit(Resource::Nofile);
    if now.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let maximum = now.maximum.map(|maximum| maximum.max(wanted));
    let asked = Rlimit {
        current: Some(wanted),
        maximum,
    };
    setrlimit(Resource::Nofile, asked).map_err(|_| {
        LoadError::Options(format!(
            "{wanted} descriptors are needed and {} allowed; raise the limit with `ulimit -n {wanted}`, as root",
            now.maximum.unwrap_or_default()
        ))
    })
}
