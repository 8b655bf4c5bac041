//! What the kernel says about this process (Linux: proc(5)). Elsewhere everything is unknown.

use std::fs;

/// Figures of this process; `None` where the kernel doesn't tell.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Process {
    /// Processor time used, user and system together.
    pub cpu_seconds: Option<f64>,
    /// Memory in RAM.
    pub resident_bytes: Option<u64>,
    /// File descriptors in use.
    pub open_fds: Option<u64>,
    /// File descriptors that may be in use.
    pub max_fds: Option<u64>,
}

/// Reads them.
pub fn read() -> Process {
    let text = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
    Process {
        cpu_seconds: cpu_seconds(&text("stat")),
        resident_bytes: resident_bytes(&text("status")),
        // Reading the folder opens one of them.
        open_fds: fs::read_dir("/proc/self/fd")
            .ok()
            .map(|files| files.count().saturating_sub(1) as u64),
        max_fds: max_fds(&text("limits")),
    }
}

/// Fields 14 and 15 of `stat`. The second field is the process's name, which may hold spaces and brackets itself.
fn cpu_seconds(stat: &str) -> Option<f64> {
    /// USER_HZ, which the kernel keeps at 100 for programs whatever its own clock is.
    const TICKS_PER_SECOND: f64 = 100.0;
    let rest = stat.rsplit_once(')')?.1;
    let mut times = rest.split_ascii_whitespace().skip(11);
    let mut ticks = || times.next()?.parse::<u32>().ok();
    Some((f64::from(ticks()?) + f64::from(ticks()?)) / TICKS_PER_SECOND)
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1_024)
}

fn max_fds(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "7 (a) b) (c) R 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 1 0 0";
        assert_eq!(cpu_seconds(stat), Some(2.0));
    }

    #[test]
    fn text_of_another_kernel_is_unknown_and_no_panic() {
        for text in ["", ")", "VmRSS:", "Max open files unlimited"] {
            assert_eq!(cpu_seconds(text), None);
            assert_eq!(resident_bytes(text), None);
            assert_eq!(max_fds(text), None);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_memory_and_files() {
        let process = read();
        assert!(process.resident_bytes.unwrap() > 100_000);
        assert!(process.open_fds.unwrap() >= 3);
        assert!(process.cpu_seconds.is_some() && process.max_fds.is_some());
    }
}
