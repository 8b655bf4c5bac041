//! What the server costs: processor time and memory of its processes, read from /proc.
//!
//! Processor time is the sum of all threads' `schedstat`, in nanoseconds; `stat` counts whole ticks of 10 ms and only
//! tells how it splits into user and system. The kernel's work for a connection on loopback, both ends of it, is done
//! in the sender's time and so counted here, as it was for the figures of every peer.

use std::path::PathBuf;
use std::{fs, io};

use crate::error::LoadError;

/// The processes of a server.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    pids: Vec<u32>,
}

/// Processor time until now.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cpu {
    ns: u64,
    user_ticks: u64,
    system_ticks: u64,
}

/// Processor time between two moments.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    /// All of it, in microseconds.
    pub us: f64,
    /// The share of it spent outside the kernel, 0 to 1. Ticks of 10 ms: trust it for a second of work and more.
    pub user_share: f64,
}

impl Probe {
    /// `None` when there is nothing to measure.
    pub(crate) fn new(pids: &[u32]) -> Result<Option<Self>, LoadError> {
        if pids.is_empty() {
            return Ok(None);
        }
        let probe = Self {
            pids: pids.to_vec(),
        };
        probe.cpu()?;
        Ok(Some(probe))
    }

    pub(crate) fn cpu(&self) -> Result<Cpu, LoadError> {
        let mut sum = Cpu::default();
        for &pid in &self.pids {
            let one = cpu_of(pid).map_err(|source| LoadError::Probe { pid, source })?;
            sum.ns += one.ns;
            sum.user_ticks += one.user_ticks;
            sum.system_ticks += one.system_ticks;
        }
        Ok(sum)
    }

    /// Resident memory in KiB.
    pub(crate) fn resident_kb(&self) -> Result<f64, LoadError> {
        let mut sum = 0;
        for &pid in &self.pids {
            sum += resident_of(pid).map_err(|source| LoadError::Probe { pid, source })?;
        }
        Ok(sum as f64)
    }
}

impl Cpu {
    /// What was spent from `earlier` until this.
    pub(crate) fn since(&self, earlier: &Self) -> Spent {
        let user = self.user_ticks.saturating_sub(earlier.user_ticks) as f64;
        let system = self.system_ticks.saturating_sub(earlier.system_ticks) as f64;
        Spent {
            us: self.ns.saturating_sub(earlier.ns) as f64 / 1000.0,
            user_share: user / (user + system).max(1.0),
        }
    }
}

fn cpu_of(pid: u32) -> io::Result<Cpu> {
    let root = PathBuf::from(format!("/proc/{pid}"));
    let mut ns = 0;
    for task in fs::read_dir(root.join("task"))? {
        // A thread may end between the listing and the reading; its time is lost, as that of any ended thread.
        if let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) {
            ns += number(text.split(' ').next())?;
        }
    }
    let stat = fs::read_to_string(root.join("stat"))?;
    // The name, in parentheses, may hold spaces. After it: state is the first field, utime the 12th, stime the 13th.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let mut fields = fields.split_ascii_whitespace().skip(11);
    Ok(Cpu {
        ns,
        user_ticks: number(fields.next())?,
        system_ticks: number(fields.next())?,
    })
}

fn resident_of(pid: u32) -> io::Result<u64> {
    // `statm` and `status` lag behind by up to 64 pages a thread and core; the rollup walks the page table.
    if let Ok(text) = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
        && let Some(line) = text.lines().find_map(|line| line.strip_prefix("Rss:"))
    {
        return number(line.split_ascii_whitespace().next());
    }
    let statm = fs::read_to_string(format!("/proc/{pid}/statm"))?;
    let pages = number(statm.split(' ').nth(1))?;
    Ok(pages * rustix::param::page_size() as u64 / 1024)
}

fn number(text: Option<&str>) -> io::Result<u64> {
    text.and_then(|text| text.trim().parse().ok())
        .ok_or_else(|| io::Error::other("a file of /proc that doesn't look as documented"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A panic is how a test fails.
mod tests {
    use super::*;

    #[test]
    fn work_and_memory_of_this_process_show() {
        let probe = Probe::new(&[std::process::id()]).unwrap().unwrap();
        let (before, resident) = (probe.cpu().unwrap(), probe.resident_kb().unwrap());
        let ballast = vec![1u8; 64 << 20];
        let sum: u64 = ballast.iter().map(|byte| u64::from(*byte)).sum();
        assert_eq!(sum, 64 << 20);
        let spent = probe.cpu().unwrap().since(&before);
        assert!(spent.us > 1000.0, "{spent:?}");
        assert!(probe.resident_kb().unwrap() - resident > 60_000.0);
    }

    #[test]
    fn a_process_that_is_not_there_is_told() {
        assert!(Probe::new(&[u32::MAX]).is_err());
        assert!(Probe::new(&[]).unwrap().is_none());
    }
}
