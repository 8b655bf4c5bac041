//! `plan`: what this machine can hold with this server, and which of the system's limits stand in the way.
//!
//! The server is measured with a small crowd and the result multiplied: memory and processor time grow in a straight
//! line with connections and messages.

use super::{fanout, idle};
use crate::error::LoadError;
use crate::options::{Fanout, Idle, Plan, Target, Transport};
use crate::report::{Report, grouped};
use crate::system::{Concerns, System};

/// The share of free memory that a plan may use up.
const USABLE: f64 = 0.8;
/// What the kernel keeps for a connection where that can't be seen.
const KERNEL_KB: f64 = 4.0;
/// How many connections Lakh takes unless it's told otherwise.
const LAKH_TAKES: u64 = 100_000;

/// What the machine has.
#[derive(Clone, Copy, Debug)]
struct Machine {
    cores: f64,
    memory_kb: f64,
}

pub(super) fn run(target: &Target, plan: &Plan) -> Result<Report, LoadError> {
    let mut report = Report::new("plan", &target.label).parameter("connections", plan.connections);
    let system = System::of(target.pid.first().copied());
    let machine = machine(&system, &mut report);
    if !plan.limits_only {
        measure(&mut report, target, plan, &system, machine)?;
    }
    limits(&mut report, &system, plan.connections);
    if plan.connections > LAKH_TAKES {
        report.note(format!(
            "Lakh itself takes {LAKH_TAKES} connections unless told otherwise: `max_connections = {}` in [limits], or LAKH_LIMITS__MAX_CONNECTIONS.",
            plan.connections
        ));
    }
    Ok(report)
}

/// Cores and memory, as far as the process may have them.
fn machine(system: &System, report: &mut Report) -> Machine {
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    let cgroup = system.cgroup();
    report.figure("cores", cores, "");
    let mut machine = Machine {
        cores,
        memory_kb: system.memory_kb("MemAvailable").unwrap_or_default() as f64,
    };
    report.figure("memory_available_kb", machine.memory_kb, "KB");
    if let Some(quota) = cgroup.cpu.filter(|quota| *quota < cores) {
        machine.cores = quota;
        report.figure("cgroup_cores", quota, "");
        report.note(format!(
            "The control group allows {quota} of {cores} cores: `CPUQuota=` in the systemd unit, `--cpus` for docker."
        ));
    }
    if let Some(bytes) = cgroup.memory_bytes {
        let kb = bytes as f64 / 1024.0;
        report.figure("cgroup_memory_kb", kb, "KB");
        if kb < machine.memory_kb {
            machine.memory_kb = kb;
            report.note(format!(
                "The control group allows {:.0} MB of memory: `MemoryMax=` in the systemd unit, `--memory` for docker.",
                kb / 1024.0
            ));
        }
    }
    machine
}

/// Memory of a connection and messages a core, from small runs.
fn measure(
    report: &mut Report,
    target: &Target,
    plan: &Plan,
    system: &System,
    machine: Machine,
) -> Result<(), LoadError> {
    let slab = || system.memory_kb("Slab");
    let slab_before = slab();
    let idle = Idle {
        connections: plan.sample.max(10),
        rooms: 2,
        members: 100,
        seconds: 0.5,
        transport: Transport::Websocket,
    };
    let (found, slab_after) = idle::run_and_look(target, &idle, slab)?;
    // Both ends of each connection are on this machine.
    let kernel_kb = slab_after
        .zip(slab_before)
        .map(|(after, before)| after.saturating_sub(before) as f64 / 2.0 / idle.connections as f64);
    if let Some(kb) = kernel_kb {
        report.figure("kernel_kb_per_connection", kb, "KB");
    }
    let server_kb = found.value("resident_kb_second_half_unjoined");
    let rooms_kb = found.value("resident_kb_per_room").unwrap_or_default() * 2.0;
    let server_kb = server_kb.map(|kb| (kb + rooms_kb).max(0.0));
    if let Some(kb) = server_kb {
        report.figure("server_kb_per_connection", kb, "KB");
        memory(report, plan, machine, kb, kernel_kb.unwrap_or(KERNEL_KB));
    } else {
        report.note("The server's process is not to be seen from here: give --pid for what a connection and a message cost it.");
    }
    let fanout = Fanout {
        members: 100,
        connections: Some(1000),
        bytes: vec![64],
        rate: 0.0,
        outstanding: Some(2),
        seconds: 3.0,
        warmup: 0.5,
    };
    let found = fanout::run(target, &fanout)?;
    if let Some(us) = found.value("cpu_us_per_delivery").filter(|us| *us > 0.0) {
        let a_core = (1e6 / us).floor();
        report.figure("cpu_us_per_delivery", us, "us");
        report.figure("deliveries_per_s_and_core", a_core, "1/s");
        report.note(format!(
            "A core delivers about {} messages a second (64 bytes, rooms of 100, the receivers' half of TCP counted in); {} cores that many times, if nothing else runs on them.",
            grouped(a_core), machine.cores
        ));
    }
    Ok(())
}

/// How many connections the memory holds.
fn memory(report: &mut Report, plan: &Plan, machine: Machine, server_kb: f64, kernel_kb: f64) {
    let each = (server_kb + kernel_kb).max(0.1);
    let usable_kb = machine.memory_kb * USABLE;
    let fit = (usable_kb / each).floor();
    report.figure("connections_that_fit", fit, "");
    report.note(format!(
        "An idle connection in two rooms takes {each:.1} KB: {server_kb:.1} in the server, {kernel_kb:.1} in the kernel. 80 % of the free memory hold {} of them.",
        grouped(fit)
    ));
    if fit < plan.connections as f64 {
        report.note(format!(
            "Memory stands in the way: {} idle connections need {:.0} MB, and 80 % of what is free is {:.0} MB.",
            grouped(plan.connections as f64),
            each * plan.connections as f64 / 1024.0,
            usable_kb / 1024.0
        ));
    }
}

fn limits(report: &mut Report, system: &System, connections: u64) {
    let mut in_the_way = 0;
    for limit in &system.limits(connections) {
        report.figure(limit.name, limit.now as f64, "");
        if !limit.is_in_the_way() {
            continue;
        }
        in_the_way += u32::from(limit.concerns == Concerns::Server);
        let who = match limit.concerns {
            Concerns::Server => "",
            Concerns::Proxy => "Only behind a proxy on the same machine: ",
        };
        report.note(format!(
            "{who}{} is {}, and {} connections need {}. To lift it: {}.",
            limit.name,
            grouped(limit.now as f64),
            grouped(connections as f64),
            grouped(limit.needed as f64),
            limit.lift
        ));
    }
    report.figure("limits_in_the_way", f64::from(in_the_way), "");
    if in_the_way == 0 {
        report.note(format!(
            "No limit of the system stands in the way of {} connections.",
            grouped(connections as f64)
        ));
    }
}
