//! What came out, in words and figures.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::breaker::Broke;
use crate::compare::{Kind, Violation, at};
use crate::plan::ClientPlan;
use crate::records::{Lived, Records};

/// All that is needed to explain a run.
#[derive(Debug)]
pub struct Report<'a> {
    /// What clients wrote down.
    pub records: &'a Records,
    /// What was broken.
    pub broke: &'a [Broke],
    /// Who the clients are.
    pub clients: &'a [ClientPlan],
    /// What is wrong.
    pub violations: &'a [Violation],
    /// Whether it is known which node a connection goes to.
    pub sticky: bool,
    /// From when to when writers wrote.
    pub load: (u64, u64),
    /// The longest time in which a heartbeat is missed, in microseconds.
    pub silence: u64,
}

/// One loss of a connection, and the way back.
struct Return {
    client: usize,
    lost: u64,
    back: u64,
    recovered: bool,
    cause: &'static str,
}

impl Report<'_> {
    /// Figures.
    #[must_use]
    pub fn figures(&self) -> String {
        let mut text = String::new();
        // Writing into a string does not fail, here and below.
        let _ = self.write_figures(&mut text);
        text
    }

    fn write_figures(&self, text: &mut String) -> std::fmt::Result {
        let messages = &self.records.messages;
        let acked = messages.values().filter(|message| message.acked.is_some());
        let mut latencies = self.latencies();
        latencies.sort_unstable();
        writeln!(
            text,
            "messages     {} sent, {} acknowledged; {} deliveries",
            messages.len(),
            acked.count(),
            latencies.len()
        )?;
        writeln!(
            text,
            "latency      p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms (replays included)",
            milliseconds(part(&latencies, 50)),
            milliseconds(part(&latencies, 99)),
            milliseconds(part(&latencies, 100))
        )?;
        let returns = self.returns();
        let recovered = returns.iter().filter(|one| one.recovered).count();
        writeln!(
            text,
            "reconnects   {}, {} recovered",
            returns.len(),
            percent(recovered, returns.len())
        )?;
        let mut by_cause: BTreeMap<&str, Vec<&Return>> = BTreeMap::new();
        for one in &returns {
            by_cause.entry(one.cause).or_default().push(one);
        }
        for (cause, returns) in by_cause {
            let recovered = returns.iter().filter(|one| one.recovered).count();
            let mut away: Vec<u64> = returns.iter().map(|one| one.back - one.lost).collect();
            away.sort_unstable();
            writeln!(
                text,
                "  {cause:12} {:6}, {:>7} recovered; away for {} (median), {} at most",
                returns.len(),
                percent(recovered, returns.len()),
                at(part(&away, 50)),
                at(part(&away, 100))
            )?;
        }
        self.write_silence(text)?;
        self.write_losses(text)
    }

    fn write_silence(&self, text: &mut String) -> std::fmt::Result {
        let Some((silence, from, client)) = self.longest_silence() else {
            return Ok(());
        };
        writeln!(
            text,
            "silence      {} at most, for {}, from {} on",
            at(silence),
            self.called(client),
            at(from)
        )?;
        for broke in self.under_way(from, from + silence, Some(client)) {
            writeln!(text, "             meanwhile: {}", told(broke))?;
        }
        Ok(())
    }

    fn write_losses(&self, text: &mut String) -> std::fmt::Result {
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, lived) in self.records.clients.iter().flatten() {
            if let Lived::Lost(reason) = lived {
                *reasons.entry(reason).or_insert(0) += 1;
            }
            if let Lived::Refused(_, reason) = lived {
                *reasons.entry(reason).or_insert(0) += 1;
            }
        }
        let list = reasons
            .iter()
            .map(|(reason, count)| format!("{count} {reason}"));
        writeln!(text, "reasons      {}", list.collect::<Vec<_>>().join(", "))
    }

    /// One line for each kind of violation, or that there is none.
    #[must_use]
    pub fn verdict(&self) -> String {
        if self.violations.is_empty() {
            return "no gap, no double, no reordering; everybody else was told\n".to_owned();
        }
        let mut kinds: BTreeMap<Kind, (usize, usize)> = BTreeMap::new();
        for violation in self.violations {
            let entry = kinds.entry(violation.kind).or_default();
            entry.0 += 1;
            entry.1 += violation.count;
        }
        let mut text = String::new();
        for (kind, (places, messages)) in kinds {
            let _ = writeln!(
                text,
                "VIOLATION {}: {places}, {messages} in all",
                kind.word()
            );
        }
        text
    }

    /// A violation, with what happened around it.
    #[must_use]
    pub fn explain(&self, violation: &Violation) -> String {
        let who = violation
            .client
            .map_or("all".to_owned(), |client| self.called(client));
        let mut text = format!("{}: {who}: {}\n", violation.kind.word(), violation.words);
        let (from, to) = violation.time;
        if let Some(client) = violation.client {
            for (time, lived) in self.connections(client, from, to) {
                let _ = writeln!(text, "    {} {lived}", at(time));
            }
        }
        for broke in self.under_way(from, to, violation.client) {
            let _ = writeln!(text, "    fault: {}", told(broke));
        }
        text
    }

    fn called(&self, client: usize) -> String {
        let transport = self.clients.get(client).map_or("?", ClientPlan::transport);
        format!("client {client} ({transport})")
    }

    /// The connections of a client around that time.
    fn connections(&self, client: usize, from: u64, to: u64) -> Vec<(u64, String)> {
        let from = from.saturating_sub(2 * self.silence);
        let to = to.saturating_add(self.silence);
        let life = self.records.clients.get(client).into_iter().flatten();
        life.filter(|(time, _)| (from..=to).contains(time))
            .filter_map(|(time, lived)| match lived {
                Lived::Connected {
                    node,
                    recovered,
                    sid,
                } => {
                    let told = if *recovered { "recovered" } else { "new" };
                    Some((*time, format!("connected to node {node} as {sid}, {told}")))
                }
                Lived::Lost(reason) => Some((*time, format!("lost: {reason}"))),
                Lived::Joined(room) => Some((*time, format!("joined r{room}"))),
                _ => None,
            })
            .collect()
    }

    /// What was broken shortly before or meanwhile, for everybody or for that client.
    fn under_way(&self, from: u64, to: u64, client: Option<usize>) -> Vec<&Broke> {
        let concerns = |broke: &&Broke| {
            let clients = &broke.fault.clients;
            clients.is_empty() || client.is_none_or(|client| clients.contains(&client))
        };
        let near =
            |broke: &&Broke| broke.from <= to && broke.to.saturating_add(self.silence) >= from;
        self.broke.iter().filter(near).filter(concerns).collect()
    }

    fn latencies(&self) -> Vec<u64> {
        let lives = self.records.clients.iter().flatten();
        let seen = lives.filter_map(|(time, lived)| match lived {
            Lived::Saw(_, name, _) => {
                Some(time.saturating_sub(self.records.messages.get(name)?.sent))
            }
            _ => None,
        });
        seen.collect()
    }

    fn returns(&self) -> Vec<Return> {
        let mut returns = Vec::new();
        for (client, life) in self.records.clients.iter().enumerate() {
            let mut at_node = None;
            let mut lost = None;
            for (time, lived) in life {
                match lived {
                    Lived::Lost(_) => lost = Some(*time),
                    Lived::Connected {
                        node, recovered, ..
                    } => {
                        if let (Some(lost), Some(node)) = (lost.take(), at_node) {
                            returns.push(Return {
                                client,
                                lost,
                                back: *time,
                                recovered: *recovered,
                                cause: self.cause(lost, client, node),
                            });
                        }
                        at_node = Some(*node);
                    }
                    _ => {}
                }
            }
        }
        returns
    }

    /// The fault that began last, of those that could have ended this connection.
    fn cause(&self, lost: u64, client: usize, node: usize) -> &'static str {
        let near =
            |broke: &&Broke| broke.from <= lost && broke.to.saturating_add(self.silence) >= lost;
        let concerns = |broke: &&Broke| {
            let fault = &broke.fault;
            fault.clients.contains(&client)
                || fault.nodes.contains(&node)
                || (!self.sticky && !fault.nodes.is_empty())
                || (fault.clients.is_empty() && fault.nodes.is_empty())
        };
        let found = self.broke.iter().filter(near).filter(concerns);
        let latest = found.max_by_key(|broke| broke.from);
        latest.map_or("no fault", |broke| broke.fault.kind.word())
    }

    /// How long, from when, and who.
    fn longest_silence(&self) -> Option<(u64, u64, usize)> {
        let (from, to) = self.load;
        let mut longest = None;
        for (client, life) in self.records.clients.iter().enumerate() {
            let seen = life
                .iter()
                .filter(|(_, lived)| matches!(lived, Lived::Saw(..)));
            let mut before = from;
            for (time, _) in seen.filter(|(time, _)| (from..=to).contains(time)) {
                longest = longest.max(Some((time.saturating_sub(before), before, client)));
                before = *time;
            }
        }
        longest
    }

    /// The clients that were longest away, with the reason: for the folder of a run.
    #[must_use]
    pub fn table_of_returns(&self) -> String {
        let mut text = "client lost back recovered cause\n".to_owned();
        for one in self.returns() {
            let told = if one.recovered { "yes" } else { "no" };
            let (lost, back) = (at(one.lost), at(one.back));
            let _ = writeln!(text, "{} {lost} {back} {told} {}", one.client, one.cause);
        }
        text
    }
}

/// A fault and its times.
#[must_use]
pub fn told(broke: &Broke) -> String {
    let nodes = &broke.fault.nodes;
    let which = if nodes.len() > 1 {
        format!(" {nodes:?}")
    } else {
        String::new()
    };
    let end = if broke.to == u64::MAX {
        "the end".to_owned()
    } else {
        at(broke.to)
    };
    format!("{}{which}, {} to {end}", broke.fault, at(broke.from))
}

fn part(sorted: &[u64], percent: usize) -> u64 {
    let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or(0)
}

fn percent(part: usize, of: usize) -> String {
    if of == 0 {
        return "none".to_owned();
    }
    format!("{:.1} %", part as f64 * 100.0 / of as f64)
}

fn milliseconds(us: u64) -> f64 {
    us as f64 / 1_000.0
}
