//! The numbers of the worlds; nothing where none are served.

use lakh_world::{BUCKETS_S, Figures};

use super::text::Text;

/// Adds them.
pub(super) fn world(out: &mut Text, figures: &Figures) {
    let name = "lakh_world_requests_total";
    out.counter(
        name,
        "Requests of worlds that could be read, over sockets and HTTP.",
    );
    for (request, outcome, count) in &figures.requests {
        let labels = [("request", *request), ("outcome", *outcome)];
        out.value(name, &labels, count);
    }
    gauges(out, figures);
    ticks(out, figures);
    let name = "lakh_world_inputs_total";
    out.counter(name, "Inputs of clients, by what became of them.");
    out.value(name, &[("result", "taken")], figures.inputs);
    out.value(name, &[("result", "refused")], figures.inputs_refused);
    let counters = [
        (
            "lakh_world_frames_total",
            "Frames that were sent.",
            figures.frames,
        ),
        (
            "lakh_world_frame_bytes_total",
            "Bytes of the frames that were sent.",
            figures.frame_bytes,
        ),
        (
            "lakh_world_merged_ticks_total",
            "Frames left out because a client had not taken the last one; its next one tells all that it missed.",
            figures.merged,
        ),
        (
            "lakh_world_late_parcels_total",
            "Parcels that were later than they should be for want of a client's budget, counted in each frame.",
            figures.late,
        ),
    ];
    for (name, help, count) in counters {
        out.counter(name, help);
        out.value(name, &[], count);
    }
}

fn gauges(out: &mut Text, figures: &Figures) {
    let gauges = [
        ("lakh_worlds", "Worlds at work.", figures.worlds),
        (
            "lakh_world_entities",
            "Entities in worlds at work.",
            figures.entities,
        ),
        (
            "lakh_world_viewers",
            "Clients in worlds at work.",
            figures.viewers,
        ),
        (
            "lakh_world_eased",
            "Worlds that tell of what is far less often than they should, to save time.",
            figures.eased,
        ),
    ];
    let land_and_spaces = [
        (
            "lakh_world_land_chunks",
            "Chunks of land in memory.",
            figures.land_chunks,
        ),
        (
            "lakh_world_land_bytes",
            "Bytes that they take.",
            figures.land_bytes,
        ),
        (
            "lakh_space_members",
            "Members of spaces that came in over this node.",
            figures.space_members,
        ),
        (
            "lakh_space_locks",
            "Locks of components that this node knows of, among them those that ended a moment ago.",
            figures.space_locks,
        ),
    ];
    for (name, help, count) in gauges.into_iter().chain(land_and_spaces) {
        out.gauge(name, help);
        out.value(name, &[], count);
    }
    let name = "lakh_world_dilation";
    out.gauge(
        name,
        "How fast time passes in the slowest world; 1 is real time.",
    );
    out.value(name, &[], figures.slowest);
}

fn ticks(out: &mut Text, figures: &Figures) {
    let name = "lakh_world_tick_seconds";
    out.histogram(name, "What ticks took on the loops that make them.");
    let mut sum = 0;
    for (most, count) in BUCKETS_S.iter().zip(figures.ticks) {
        sum += count;
        out.value(
            "lakh_world_tick_seconds_bucket",
            &[("le", &most.to_string())],
            sum,
        );
    }
    sum += figures.ticks[BUCKETS_S.len()];
    out.value("lakh_world_tick_seconds_bucket", &[("le", "+Inf")], sum);
    out.value("lakh_world_tick_seconds_sum", &[], figures.tick_seconds);
    out.value("lakh_world_tick_seconds_count", &[], sum);
}
