//! A process of recording clients in Rust: the same plan, commands and records as `js/worker.js`.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, Write as _, stdin};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::spawn_local;
use tokio::time::interval;

use crate::client::{Client, Shared};
use crate::plan::{Command, Plan, Standing};

/// How often it tells how its clients stand, and writes out its records.
const STATUS: Duration = Duration::from_millis(50);

/// Runs until it's told to end.
///
/// # Errors
/// A plan or command that can't be read, or what the system says.
pub async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut lines = lines();
    let first = lines.recv().await.ok_or("no plan")?;
    let plan: Plan = serde_json::from_str(&first)?;
    let mut file = File::create(&plan.records)?;
    let shared = Rc::new(Shared {
        plan,
        lines: String::new().into(),
        standing: Standing::default().into(),
        writing: watch::Sender::new(false),
    });
    let mut orders = HashMap::new();
    for one in &shared.plan.clients {
        // Bounded by what the driver orders: a few markers.
        let (order, taken) = mpsc::unbounded_channel();
        orders.insert(one.client, order);
        spawn_local(Client::new(Rc::clone(&shared), one.clone(), taken).run());
    }
    let mut status = interval(STATUS);
    let mut told = Standing::default();
    loop {
        tokio::select! {
            line = lines.recv() => {
                // Without a line the driver is gone.
                let line = line.ok_or("the driver is gone")?;
                match serde_json::from_str(&line)? {
                    Command::Write => drop(shared.writing.send_replace(true)),
                    Command::Hush => drop(shared.writing.send_replace(false)),
                    Command::Mark { client, room, round } => {
                        let order = orders.get(&client).ok_or("a client of another worker")?;
                        order.send((room, round))?;
                    }
                    Command::End => {
                        file.write_all(shared.lines.take().as_bytes())?;
                        return Ok(());
                    }
                }
            }
            _ = status.tick() => {
                file.write_all(shared.lines.take().as_bytes())?;
                let standing = shared.standing.borrow().clone();
                if standing != told {
                    println!("{}", serde_json::to_string(&standing)?);
                    told = standing;
                }
            }
        }
    }
}

/// Standard input, read by a thread of its own: a runtime would wait at its end for a read that never ends.
fn lines() -> mpsc::Receiver<String> {
    let (tell, told) = mpsc::channel(16);
    thread::spawn(move || {
        for line in stdin().lock().lines().map_while(Result::ok) {
            if tell.blocking_send(line).is_err() {
                return;
            }
        }
    });
    told
}
