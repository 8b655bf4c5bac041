//! The numbers of sources and sinks; nothing where there are none.

use lakh_bridge::flows::Figures;

use super::text::Text;

/// A number's name, what it is, and where it stands.
type Number = (&'static str, &'static str, fn(&Figures) -> u64);

/// Adds those of the sources.
pub(super) fn sources(out: &mut Text, all: &[Figures]) {
    let counters: [Number; 4] = [
        (
            "lakh_source_received_total",
            "Entries that brokers gave.",
            |own| own.received,
        ),
        (
            "lakh_source_published_total",
            "Entries that were published.",
            |own| own.published,
        ),
        (
            "lakh_source_duplicates_total",
            "Entries that had been published before.",
            |own| own.duplicates,
        ),
        (
            "lakh_source_dead_total",
            "Entries that can't be published.",
            |own| own.dead,
        ),
    ];
    let gauges: [Number; 1] = [(
        "lakh_source_lag",
        "Entries that wait at the broker, as the node at work was told last.",
        |own| own.lag,
    )];
    write(out, "source", all, &counters, &gauges);
}

/// Adds those of the sinks.
pub(super) fn sinks(out: &mut Text, all: &[Figures]) {
    let counters: [Number; 4] = [
        (
            "lakh_sink_received_total",
            "What happened and was wanted.",
            |own| own.received,
        ),
        (
            "lakh_sink_published_total",
            "Messages that brokers have confirmed.",
            |own| own.published,
        ),
        (
            "lakh_sink_dead_total",
            "Messages that are too large.",
            |own| own.dead,
        ),
        (
            "lakh_sink_dropped_total",
            "Messages dropped because too many waited.",
            |own| own.dropped,
        ),
    ];
    let gauges: [Number; 2] = [
        (
            "lakh_sink_lag",
            "Messages that wait in the store, as the node at work saw last.",
            |own| own.lag,
        ),
        (
            "lakh_sink_lag_bytes",
            "Bytes of the messages that wait in the store.",
            |own| own.lag_bytes,
        ),
    ];
    write(out, "sink", all, &counters, &gauges);
}

fn write(out: &mut Text, kind: &str, all: &[Figures], counters: &[Number], gauges: &[Number]) {
    if all.is_empty() {
        return;
    }
    for (name, help, read) in counters {
        out.counter(name, help);
        for own in all {
            out.value(name, &[(kind, &own.name)], read(own));
        }
    }
    for (name, help, read) in gauges {
        out.gauge(name, help);
        for own in all {
            out.value(name, &[(kind, &own.name)], read(own));
        }
    }
    let name = format!("lakh_{kind}_state");
    out.gauge(&name, "1 for how it is on this node.");
    for own in all {
        for word in ["standby", "up", "down"] {
            let is = u8::from(own.state.word() == word);
            out.value(&name, &[(kind, &own.name), ("state", word)], is);
        }
    }
}
