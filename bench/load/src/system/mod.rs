//! What the machine allows: limits of the system that stand between a server and many connections, and how each is
//! lifted.
//!
//! Everything is read from /proc and /sys. What can't be read isn't there, or isn't ours to see, and is left out; so is
//! a limit that says "none".

mod cgroup;

use std::fs;
use std::path::PathBuf;

pub(crate) use cgroup::Cgroup;

/// Descriptors of a server besides those of its connections.
const OTHER_DESCRIPTORS: u64 = 1000;
/// Threads that a server may want.
const THREADS: u64 = 64;
/// Where "no limit" begins: the kernel writes some as the largest number there is.
const NONE_FROM: u64 = 1 << 62;

/// Whom a limit concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Concerns {
    /// The server, however its clients come.
    Server,
    /// A proxy on the same machine, and a load generator there; not clients from elsewhere.
    Proxy,
}

/// One limit of the system.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    pub name: &'static str,
    pub now: u64,
    pub needed: u64,
    pub concerns: Concerns,
    /// How it's lifted.
    pub lift: String,
}

impl Limit {
    pub(crate) fn is_in_the_way(&self) -> bool {
        self.now < self.needed
    }
}

/// A machine, by its files.
#[derive(Clone, Debug)]
pub(crate) struct System {
    /// `/`, but for tests.
    root: PathBuf,
    /// The server, or ourselves when there is none.
    process: String,
}

impl System {
    pub(crate) fn of(pid: Option<u32>) -> Self {
        Self::at(PathBuf::from("/"), pid)
    }

    fn at(root: PathBuf, pid: Option<u32>) -> Self {
        let process = pid.map_or("self".to_owned(), |pid| pid.to_string());
        Self { root, process }
    }

    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.root.join(path)).ok()
    }

    /// A number of a file under /proc/sys.
    fn number(&self, path: &str, at: usize) -> Option<u64> {
        let text = self.read(&format!("proc/sys/{path}"))?;
        text.split_ascii_whitespace().nth(at)?.parse().ok()
    }

    /// A line of /proc/meminfo, in KB.
    pub(crate) fn memory_kb(&self, name: &str) -> Option<u64> {
        let text = self.read("proc/meminfo")?;
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let line = line.strip_prefix(':')?;
        line.split_ascii_whitespace().next()?.parse().ok()
    }

    /// Soft and hard limit of the server's descriptors.
    fn descriptors(&self) -> Option<(u64, u64)> {
        let text = self.read(&format!("proc/{}/limits", self.process))?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("Max open files"))?;
        let mut words = line.split_ascii_whitespace().map(|word| match word {
            "unlimited" => Some(u64::MAX),
            digits => digits.parse().ok(),
        });
        Some((words.next()??, words.next()??))
    }

    pub(crate) fn cgroup(&self) -> Cgroup {
        let path = format!("proc/{}/cgroup", self.process);
        let member = self.read(&path).unwrap_or_default();
        Cgroup::read(&self.root.join("sys/fs/cgroup"), &member)
    }

    /// All limits that there are, for so many connections.
    pub(crate) fn limits(&self, connections: u64) -> Vec<Limit> {
        let mut list = List(Vec::new());
        self.files(connections, &mut list);
        self.network(connections, &mut list);
        self.behind_a_proxy(connections, &mut list);
        if let Some(pids) = self.cgroup().pids {
            let lift = format!(
                "`TasksMax={THREADS}` in the systemd unit, `--pids-limit {THREADS}` for docker"
            );
            list.add("cgroup_pids_max", Some(pids), THREADS, lift);
        }
        list.0
    }

    fn files(&self, connections: u64, list: &mut List) {
        let needed = connections + OTHER_DESCRIPTORS;
        let (soft, hard) = self.descriptors().unzip();
        list.add(
            "nofile_hard",
            hard,
            needed,
            format!(
                "`LimitNOFILE={needed}` in the systemd unit, `--ulimit nofile={needed}:{needed}` for docker, or `ulimit -n {needed}` as root"
            ),
        );
        // A soft limit that the server may raise by itself is in nobody's way.
        if hard.is_none_or(|hard| hard >= needed) {
            list.add(
                "nofile_soft",
                soft,
                needed,
                format!("Lakh raises it by itself up to the hard limit; for others `ulimit -n {needed}`, or `LimitNOFILE={needed}`"),
            );
        }
        for (name, path) in [("fs.nr_open", "fs/nr_open"), ("fs.file-max", "fs/file-max")] {
            list.add(name, self.number(path, 0), needed, sysctl(name, needed));
        }
    }

    fn network(&self, connections: u64, list: &mut List) {
        // A tenth of all coming back in the same instant is a bad day; more than 65,535 can't be asked for.
        let backlog = (connections / 10).clamp(1024, 65_535);
        for (name, path) in [
            ("net.core.somaxconn", "net/core/somaxconn"),
            (
                "net.ipv4.tcp_max_syn_backlog",
                "net/ipv4/tcp_max_syn_backlog",
            ),
        ] {
            list.add(name, self.number(path, 0), backlog, sysctl(name, backlog));
        }
        // Pages of all sockets' buffers together. A page for each is what a crowd has on its way that is far from idle.
        let name = "net.ipv4.tcp_mem";
        let pages = connections;
        let value = format!("'{} {} {pages}'", pages / 2, pages / 4 * 3);
        let most = self.number("net/ipv4/tcp_mem", 2);
        list.add(name, most, pages, sysctl(name, value));
        let name = "net.netfilter.nf_conntrack_max";
        let needed = connections + connections / 4;
        let most = self.number("net/netfilter/nf_conntrack_max", 0);
        list.add(name, most, needed, sysctl(name, needed));
    }

    fn behind_a_proxy(&self, connections: u64, list: &mut List) {
        let range = "net/ipv4/ip_local_port_range";
        let ports = self
            .number(range, 1)
            .zip(self.number(range, 0))
            .map(|(last, first)| last.saturating_sub(first) + 1);
        let name = "net.ipv4.ip_local_port_range";
        let lift = format!(
            "a proxy on this machine needs a port for each connection to one address of the server: {}, and {} addresses for it to connect to (127.0.0.1, 127.0.0.2, …). Clients that come directly need none",
            sysctl(name, "'1024 65535'"),
            connections.div_ceil(64_000)
        );
        list.add(name, ports, connections, lift);
        if let Some(last) = list.0.last_mut().filter(|last| last.name == name) {
            last.concerns = Concerns::Proxy;
        }
    }
}

struct List(Vec<Limit>);

impl List {
    fn add(&mut self, name: &'static str, now: Option<u64>, needed: u64, lift: String) {
        let Some(now) = now.filter(|now| *now < NONE_FROM) else {
            return;
        };
        self.0.push(Limit {
            name,
            now,
            needed,
            concerns: Concerns::Server,
            lift,
        });
    }
}

fn sysctl(name: &str, value: impl std::fmt::Display) -> String {
    format!("`sysctl -w {name}={value}`, and that line in /etc/sysctl.d/ to keep it")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A panic is how a test fails.
mod tests {
    use std::path::Path;

    use super::*;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn machine(root: &Path) -> System {
        for (path, text) in [
            (
                "proc/7/limits",
                "Limit      Soft Limit  Hard Limit  Units\nMax open files   1024   524288   files\n",
            ),
            ("proc/sys/fs/nr_open", "1048576\n"),
            ("proc/sys/fs/file-max", "9223372036854775807\n"),
            ("proc/sys/net/core/somaxconn", "4096\n"),
            ("proc/sys/net/ipv4/tcp_mem", "100\t200\t60000\n"),
            ("proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n"),
            ("proc/meminfo", "MemTotal: 9 kB\nMemAvailable:    5000 kB\n"),
        ] {
            write(root, path, text);
        }
        System::at(root.to_owned(), Some(7))
    }

    fn in_the_way(limits: &[Limit]) -> Vec<&str> {
        let found = limits.iter().filter(|limit| limit.is_in_the_way());
        found.map(|limit| limit.name).collect()
    }

    #[test]
    fn a_small_crowd_meets_its_soft_limit_and_the_proxy_no_limit() {
        let folder = tempfile::tempdir().unwrap();
        let limits = machine(folder.path()).limits(20_000);
        assert_eq!(in_the_way(&limits), ["nofile_soft"]);
    }

    #[test]
    fn a_large_crowd_meets_the_limits_that_there_are_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let limits = machine(folder.path()).limits(1_000_000);
        assert_eq!(
            in_the_way(&limits),
            [
                "nofile_hard",
                "net.core.somaxconn",
                "net.ipv4.tcp_mem",
                "net.ipv4.ip_local_port_range"
            ]
        );
        let ports = limits.last().unwrap();
        assert_eq!(
            (ports.now, ports.concerns),
            (28_232, Concerns::Proxy),
            "{ports:?}"
        );
        assert!(ports.lift.contains("16 addresses"), "{ports:?}");
        for limit in &limits {
            assert!(limit.lift.contains('`'), "{limit:?}");
        }
    }

    #[test]
    fn memory_is_read_by_the_name_of_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let machine = machine(folder.path());
        assert_eq!(machine.memory_kb("MemAvailable"), Some(5000));
        assert_eq!(machine.memory_kb("Mem"), None);
    }

    #[test]
    fn this_machine_has_descriptors_and_memory() {
        let system = System::of(None);
        assert!(system.descriptors().unwrap().1 > 0);
        assert!(system.memory_kb("MemAvailable").unwrap() > 0);
    }
}
