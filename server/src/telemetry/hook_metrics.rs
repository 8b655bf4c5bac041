//! The numbers of the hooks.

use lakh_bridge::hooks::{BreakerState, EndpointStatus, GateStatus};

use super::snapshot::Snapshot;
use super::text::{Text, float, seconds};

/// Name, help, and where the number stands.
type Row<T> = (&'static str, &'static str, fn(&EndpointStatus) -> T);

/// Adds them; nothing where there are no hooks.
pub(super) fn hooks(out: &mut Text, snapshot: &Snapshot) {
    if !snapshot.hooks.is_empty() {
        endpoints(out, &snapshot.hooks);
    }
    if !snapshot.gates.is_empty() {
        gates(out, &snapshot.gates);
    }
}

fn endpoints(out: &mut Text, all: &[EndpointStatus]) {
    let counters: [Row<u64>; 6] = [
        (
            "lakh_hooks_sent_total",
            "Events that endpoints have taken.",
            |own| own.sent,
        ),
        (
            "lakh_hooks_failed_total",
            "Requests to endpoints that failed.",
            |own| own.failed,
        ),
        (
            "lakh_hooks_retried_total",
            "Requests with events of a request that had failed.",
            |own| own.retried,
        ),
        (
            "lakh_hooks_dead_total",
            "Events that became dead letters.",
            |own| own.dead,
        ),
        (
            "lakh_hooks_dropped_total",
            "Events dropped because too many waited.",
            |own| own.dropped,
        ),
        (
            "lakh_hooks_late_total",
            "Events sent after one of their room with a higher number.",
            |own| own.late,
        ),
    ];
    for (name, help, read) in counters {
        out.counter(name, help);
        for own in all {
            out.value(name, &[("hook", &own.name)], read(own));
        }
    }
    let gauges: [Row<f64>; 4] = [
        (
            "lakh_hooks_waiting",
            "Events that wait in the store, those of all nodes.",
            |own| own.waiting.map_or(f64::NAN, float),
        ),
        (
            "lakh_hooks_oldest_age_seconds",
            "How long the oldest of them has waited.",
            |own| seconds(own.oldest_age_ms),
        ),
        (
            "lakh_hooks_leads",
            "1 on the node that sends for all.",
            |own| f64::from(u8::from(own.leads)),
        ),
        (
            "lakh_hooks_down",
            "1 while the endpoint seems to be away, on the node that sends.",
            |own| f64::from(u8::from(own.is_down)),
        ),
    ];
    for (name, help, read) in gauges {
        out.gauge(name, help);
        for own in all {
            out.value(name, &[("hook", &own.name)], read(own));
        }
    }
}

fn gates(out: &mut Text, all: &[GateStatus]) {
    let name = "lakh_hooks_gate_answers_total";
    out.counter(
        name,
        "What hooks in the way said; failed: nothing good in time; unasked: left alone, or too many waited.",
    );
    for own in all {
        for (answer, count) in [
            ("allowed", own.allowed),
            ("refused", own.refused),
            ("changed", own.changed),
            ("failed", own.failed),
            ("unasked", own.unasked),
        ] {
            out.value(name, &[("hook", &own.name), ("answer", answer)], count);
        }
    }
    let name = "lakh_hooks_gate_breaker";
    out.gauge(name, "1 for the state of the circuit breaker.");
    for own in all {
        for state in [
            BreakerState::Closed,
            BreakerState::Open,
            BreakerState::HalfOpen,
        ] {
            let labels = [("hook", own.name.as_str()), ("state", state.word())];
            out.value(name, &labels, u8::from(own.breaker == state));
        }
    }
    let name = "lakh_hooks_gate_opened_total";
    out.counter(name, "How often the circuit breaker has opened.");
    for own in all {
        out.value(name, &[("hook", &own.name)], own.opened);
    }
    let name = "lakh_hooks_gate_asking";
    out.gauge(name, "Questions under way, or waiting for it.");
    for own in all {
        out.value(name, &[("hook", &own.name)], own.open);
    }
}

#[cfg(test)]
mod tests {
    use super::super::metrics::{About, exposition};
    use super::super::process::Process;
    use super::*;

    #[test]
    fn hooks_are_told_by_their_names() {
        let mut snapshot = Snapshot::default();
        let about = About {
            version: "1",
            ready: true,
        };
        let shown = |snapshot: &Snapshot| exposition(about, snapshot, &Process::default());
        assert!(!shown(&snapshot).contains("lakh_hooks"));
        snapshot.hooks.push(EndpointStatus {
            name: "crm".into(),
            sent: 7,
            waiting: Some(3),
            oldest_age_ms: 1_500,
            leads: true,
            ..EndpointStatus::default()
        });
        snapshot.gates.push(GateStatus {
            name: "guard".into(),
            breaker: BreakerState::HalfOpen,
            refused: 2,
            ..GateStatus::default()
        });
        let text = shown(&snapshot);
        for line in [
            "lakh_hooks_sent_total{hook=\"crm\"} 7",
            "lakh_hooks_waiting{hook=\"crm\"} 3",
            "lakh_hooks_oldest_age_seconds{hook=\"crm\"} 1.5",
            "lakh_hooks_leads{hook=\"crm\"} 1",
            "lakh_hooks_gate_answers_total{hook=\"guard\",answer=\"refused\"} 2",
            "lakh_hooks_gate_breaker{hook=\"guard\",state=\"half_open\"} 1",
            "lakh_hooks_gate_breaker{hook=\"guard\",state=\"closed\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }
}
