//! The workers, as the driver sees them: processes that hold the clients.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::to_string;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command as Program};
use tokio::sync::watch;
use tokio::task::spawn_local;
use tokio::time::timeout;

use crate::plan::{ClientPlan, Command, Plan, Standing};

struct Worker {
    child: Child,
    input: ChildStdin,
    clients: Vec<ClientPlan>,
}

/// All workers.
pub struct Crew {
    workers: Vec<Worker>,
    standings: watch::Receiver<Vec<Standing>>,
    /// Where their records are.
    pub records: Vec<PathBuf>,
}

/// Where this package is, for what is not Rust in it.
#[must_use]
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("js").join(name)
}

impl Crew {
    /// Starts a worker for each part of the clients: the first in Rust, the others in JavaScript.
    ///
    /// # Errors
    /// What the system says.
    pub async fn start(
        rust: &Path,
        folder: &Path,
        parts: Vec<Vec<ClientPlan>>,
        plan: &Plan,
    ) -> io::Result<Self> {
        let (tell, standings) = watch::channel(vec![Standing::default(); parts.len()]);
        let mut crew = Self {
            workers: Vec::new(),
            standings,
            records: Vec::new(),
        };
        for (index, clients) in parts.into_iter().enumerate() {
            let mut program = if index == 0 {
                let mut program = Program::new(rust);
                program.arg("worker");
                program
            } else {
                let mut program = Program::new("node");
                program.arg(script("worker.js"));
                program
            };
            let log = std::fs::File::create(folder.join(format!("worker-{index}.log")))?;
            program
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(log);
            let mut child = program.kill_on_drop(true).spawn()?;
            let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
                return Err(io::Error::other("a worker without pipes"));
            };
            let records = folder.join(format!("records-{index}.txt"));
            let own = Plan {
                records: records.clone(),
                clients: clients.clone(),
                ..plan.clone()
            };
            input
                .write_all(format!("{}\n", to_string(&own)?).as_bytes())
                .await?;
            crew.records.push(records);
            crew.workers.push(Worker {
                child,
                input,
                clients,
            });
            let tell = tell.clone();
            spawn_local(async move {
                let mut lines = BufReader::new(output).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    let Ok(standing) = serde_json::from_str(&line) else {
                        continue;
                    };
                    tell.send_modify(|standings| standings[index] = standing);
                }
            });
        }
        Ok(crew)
    }

    /// Tells all workers.
    ///
    /// # Errors
    /// A worker is gone.
    pub async fn tell(&mut self, command: &Command) -> io::Result<()> {
        let line = format!("{}\n", to_string(command)?);
        for worker in &mut self.workers {
            worker.input.write_all(line.as_bytes()).await?;
        }
        Ok(())
    }

    /// Lets the first writer of each room write a marker.
    ///
    /// # Errors
    /// A worker is gone.
    pub async fn mark(&mut self, rooms: usize, round: u32) -> io::Result<()> {
        for room in (0..rooms).map(|room| format!("r{room}")) {
            let writes = |one: &&ClientPlan| one.writes.contains(&room);
            let found = self.workers.iter_mut().find_map(|worker| {
                let client = worker.clients.iter().find(writes)?.client;
                Some((worker, client))
            });
            let (worker, client) =
                found.ok_or_else(|| io::Error::other("a room without writer"))?;
            let command = Command::Mark {
                client,
                room,
                round,
            };
            let line = format!("{}\n", to_string(&command)?);
            worker.input.write_all(line.as_bytes()).await?;
        }
        Ok(())
    }

    /// How all clients stand.
    #[must_use]
    pub fn standing(&self) -> Standing {
        sum(&self.standings.borrow())
    }

    /// Waits until the clients stand so. False after `patience`, or if a worker has ended.
    pub async fn until(&self, patience: Duration, so: impl Fn(&Standing) -> bool) -> bool {
        let mut standings = self.standings.clone();
        let waited = timeout(patience, standings.wait_for(|all| so(&sum(all)))).await;
        matches!(waited, Ok(Ok(_)))
    }

    /// Ends all workers, and waits until their records are written.
    ///
    /// # Errors
    /// A worker that failed.
    pub async fn end(mut self) -> io::Result<Vec<PathBuf>> {
        self.tell(&Command::End).await?;
        for worker in &mut self.workers {
            let status = worker.child.wait().await?;
            if !status.success() {
                return Err(io::Error::other(format!("a worker ended with {status}")));
            }
        }
        Ok(self.records)
    }
}

fn sum(all: &[Standing]) -> Standing {
    all.iter().fold(Standing::default(), Standing::and)
}
