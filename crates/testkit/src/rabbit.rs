//! A RabbitMQ of a test's own: its node, its port mapper, ports and folders are its alone, and end by their process ids.
//!
//! It takes five to ten seconds to start, so tests share one.

use std::error::Error;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::ports::free_port;
use crate::{BOUND, lines};

type Failed = Box<dyn Error>;

/// A RabbitMQ. It ends with this.
#[derive(Debug)]
pub struct Rabbit {
    /// The shell script that started the node, and ends with it.
    script: Child,
    /// Finds nodes by name. Erlang would start one that outlives everything.
    mapper: Child,
    folder: TempDir,
    ports: [u16; 3],
}

impl Rabbit {
    /// Starts one and waits until it serves.
    ///
    /// # Errors
    /// What the system says.
    pub fn start() -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        let ports = [free_port()?, free_port()?, free_port()?];
        let path = folder.path();
        fs::create_dir(path.join("generated"))?;
        fs::write(path.join("plugins"), "[].")?;
        fs::write(path.join("rabbitmq.conf"), "loopback_users = none\n")?;
        let cookie = path.join(".erlang.cookie");
        fs::write(&cookie, "ACOOKIEOFTHETESTS")?;
        fs::set_permissions(&cookie, fs::Permissions::from_mode(0o400))?;
        let mut mapper = Command::new("epmd");
        mapper.args(["-port", &ports[2].to_string(), "-address", "127.0.0.1"]);
        let mut mapper = mapper.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let script = spawn(path, ports).inspect_err(|_| {
            let _ = mapper.kill();
            let _ = mapper.wait();
        })?;
        Ok(Self {
            script,
            mapper,
            folder,
            ports,
        })
    }

    /// Where it is, as its clients say.
    #[must_use]
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.ports[0])
    }

    /// Ends it at once, without a word to its clients.
    ///
    /// # Errors
    /// What the system says.
    pub fn kill(&mut self) -> Result<(), Failed> {
        let node = fs::read_to_string(self.folder.path().join("pid"))?;
        let node = node.trim();
        Command::new("kill").args(["-s", "KILL", node]).status()?;
        self.script.kill()?;
        self.script.wait()?;
        // It isn't our child, so its end is looked for.
        let until = Instant::now() + BOUND;
        while Path::new("/proc")
            .join(node)
            .join("fd")
            .read_dir()
            .is_ok_and(|mut fds| fds.next().is_some())
        {
            if Instant::now() > until {
                return Err(format!("RabbitMQ ({node}) does not end").into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Starts it again where it was, with the data that it wrote.
    ///
    /// # Errors
    /// What the system says.
    pub fn restart(&mut self) -> Result<(), Failed> {
        self.script = spawn(self.folder.path(), self.ports)?;
        Ok(())
    }
}

impl Drop for Rabbit {
    fn drop(&mut self) {
        // They may have ended already; either way nothing is left behind.
        let _ = self.kill();
        let _ = self.mapper.kill();
        let _ = self.mapper.wait();
    }
}

fn spawn(folder: &Path, [port, distribution, mapper]: [u16; 3]) -> Result<Child, Failed> {
    let mut command = Command::new(program());
    let at = |name: &str| folder.join(name);
    command
        .env("HOME", folder)
        .env("RABBITMQ_HOME", folder)
        .env("RABBITMQ_NODENAME", format!("test{port}@localhost"))
        .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_NODE_PORT", port.to_string())
        .env("RABBITMQ_DIST_PORT", distribution.to_string())
        .env("ERL_EPMD_PORT", mapper.to_string())
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_MNESIA_BASE", at("mnesia"))
        .env("RABBITMQ_LOG_BASE", at("log"))
        .env("RABBITMQ_LOGS", "-")
        .env("RABBITMQ_PID_FILE", at("pid"))
        // Else it would lie where the test was started.
        .env("ERL_CRASH_DUMP", at("erl_crash.dump"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", at("plugins"))
        .env("RABBITMQ_CONFIG_FILE", at("rabbitmq"))
        .env("RABBITMQ_GENERATED_CONFIG_DIR", at("generated"))
        .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
        // One scheduler that doesn't spin: tests have few cores.
        .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+S 1:1 +sbwt none");
    command.stdin(Stdio::null()).stderr(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().ok_or("no output")?;
    lines::until(output, "Server startup complete")?;
    Ok(child)
}

/// Debian's `rabbitmq-server` on the path starts it as another user, with its own folders: the script behind it doesn't.
fn program() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/rabbitmq/lib")
        .into_iter()
        .flatten()
        .flatten();
    let scripts = versions.map(|version| version.path().join("sbin/rabbitmq-server"));
    let found = scripts.filter(|script| script.exists()).max();
    found.unwrap_or_else(|| PathBuf::from("rabbitmq-server"))
}
