//! What a container or a systemd unit allows: control groups, version 2 and the older one.
//!
//! A group's bound holds for all below it, so each file is read from the process's own group up to the top, and the least
//! counts. Inside a container the path may name a group of the host that isn't to be seen; its top then is ours.
//! Source: the kernel's admin-guide, cgroup-v2 and cgroup-v1/memory.

use std::fs;
use std::path::Path;

/// Where the older version writes "no limit": the largest whole page.
const NONE_FROM: u64 = 1 << 62;

/// What the process's control groups allow; `None` is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Cgroup {
    pub memory_bytes: Option<u64>,
    /// In cores.
    pub cpu: Option<f64>,
    pub pids: Option<u64>,
}

impl Cgroup {
    /// `root` is /sys/fs/cgroup, `member` the text of /proc/<pid>/cgroup: lines of `number:controllers:path`.
    pub(super) fn read(root: &Path, member: &str) -> Self {
        let mut found = Self::default();
        for line in member.lines() {
            let mut parts = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
                continue;
            };
            if controllers.is_empty() {
                found.version_2(root, path);
            }
            for controller in controllers.split(',') {
                found.version_1(&root.join(controller), controller, path);
            }
        }
        found
    }

    fn version_2(&mut self, root: &Path, path: &str) {
        least(&mut self.memory_bytes, &files(root, path, "memory.max"));
        least(&mut self.pids, &files(root, path, "pids.max"));
        for text in files(root, path, "cpu.max") {
            let mut words = text.split_ascii_whitespace();
            self.quota(words.next(), words.next());
        }
    }

    fn version_1(&mut self, root: &Path, controller: &str, path: &str) {
        match controller {
            "memory" => least(
                &mut self.memory_bytes,
                &files(root, path, "memory.limit_in_bytes"),
            ),
            "pids" => least(&mut self.pids, &files(root, path, "pids.max")),
            "cpu" => {
                let quotas = files(root, path, "cpu.cfs_quota_us");
                let periods = files(root, path, "cpu.cfs_period_us");
                for (quota, period) in quotas.iter().zip(&periods) {
                    self.quota(Some(quota.trim()), Some(period.trim()));
                }
            }
            _ => {}
        }
    }

    /// Microseconds of processor time in each period; `max` or -1 is no bound.
    fn quota(&mut self, quota: Option<&str>, period: Option<&str>) {
        let number = |text: Option<&str>| text.and_then(|text| text.parse::<u32>().ok());
        if let (Some(quota), Some(period)) = (number(quota), number(period).filter(|p| *p > 0)) {
            let cores = f64::from(quota) / f64::from(period);
            self.cpu = Some(self.cpu.map_or(cores, |least| least.min(cores)));
        }
    }
}

/// The file of each group from this one up to the top.
fn files(root: &Path, path: &str, name: &str) -> Vec<String> {
    let path = Path::new(path.trim_start_matches('/'));
    path.ancestors()
        .filter_map(|group| fs::read_to_string(root.join(group).join(name)).ok())
        .collect()
}

fn least(bound: &mut Option<u64>, texts: &[String]) {
    for text in texts {
        if let Some(value) = text.trim().parse().ok().filter(|value| *value < NONE_FROM) {
            *bound = Some(bound.map_or(value, |least| least.min(value)));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A panic is how a test fails.
mod tests {
    use super::*;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn the_least_bound_on_the_way_to_the_top_counts() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        write(root, "a/b/memory.max", "max\n");
        write(root, "a/memory.max", "1000000\n");
        write(root, "a/b/cpu.max", "150000 100000\n");
        write(root, "a/cpu.max", "max 100000\n");
        write(root, "a/b/pids.max", "100\n");
        let found = Cgroup::read(root, "0::/a/b\n");
        assert_eq!(
            found,
            Cgroup {
                memory_bytes: Some(1_000_000),
                cpu: Some(1.5),
                pids: Some(100)
            }
        );
    }

    #[test]
    fn in_a_container_the_top_is_ours_whatever_the_path_says() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "memory.max", "4096\n");
        let found = Cgroup::read(folder.path(), "0::/../../docker/abc\n");
        assert_eq!(found.memory_bytes, Some(4096));
    }

    #[test]
    fn the_older_version_is_understood() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let none = "9223372036854771712\n";
        write(root, "memory/memory.limit_in_bytes", none);
        write(root, "memory/x/memory.limit_in_bytes", "77\n");
        write(root, "cpu/cpu.cfs_quota_us", "-1\n");
        write(root, "cpu/cpu.cfs_period_us", "100000\n");
        let found = Cgroup::read(root, "4:memory:/x\n2:cpu,cpuacct:/\n0::/\n");
        assert_eq!(
            found,
            Cgroup {
                memory_bytes: Some(77),
                cpu: None,
                pids: None
            }
        );
    }
}
