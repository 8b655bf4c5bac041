//! File descriptors: each connection takes one, and the usual soft limit is 1024 for the sake of programs that use
//! select(2), which this one doesn't.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Beside the connections: listener, store, event loops, logs.
const OTHERS: u64 = 128;

/// Raises the soft limit to the hard one. Gives how many connections fit then, if that is fewer than `connections`.
pub fn raise(connections: usize) -> Option<usize> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let now = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    too_few(now, connections)
}

/// `None` for a limit is "no limit".
fn too_few(limit: Option<u64>, connections: usize) -> Option<usize> {
    let fit = usize::try_from(limit?.saturating_sub(OTHERS)).unwrap_or(usize::MAX);
    (fit < connections).then_some(fit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_limit_below_what_is_needed_is_told() {
        assert_eq!(too_few(None, 100_000), None);
        assert_eq!(too_few(Some(200_000), 100_000), None);
        assert_eq!(too_few(Some(1_024), 100_000), Some(896));
        assert_eq!(too_few(Some(100_000), 100_000), Some(99_872));
    }
}
