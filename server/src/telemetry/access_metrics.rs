//! The numbers of those who were held back, refused or taken back.

use super::snapshot::Snapshot;
use super::text::Text;

/// Adds them.
pub(super) fn limits(out: &mut Text, snapshot: &Snapshot) {
    let name = "lakh_limit_hits_total";
    out.counter(name, "Times that a limit was run into.");
    for (scope, limit, count) in &snapshot.limits_hit {
        out.value(name, &[("scope", scope), ("limit", limit)], count);
    }
    let name = "lakh_acts_refused_total";
    out.counter(name, "Acts that somebody had no right to.");
    for (module, act, count) in &snapshot.acts_refused {
        out.value(name, &[("module", module), ("act", act)], count);
    }
    let name = "lakh_sign_ins_refused_total";
    out.counter(name, "Sign-ins that were refused.");
    for (place, why, count) in &snapshot.sign_ins_refused {
        out.value(name, &[("place", place), ("why", why)], count);
    }
    let name = "lakh_revocations";
    out.gauge(name, "Tokens, sign-ins and persons that are taken back.");
    out.value(name, &[], snapshot.revocations);
    let name = "lakh_sockets_revoked_total";
    out.counter(
        name,
        "Sockets thrown out because their sign-in was taken back.",
    );
    out.value(name, &[], snapshot.sockets_revoked);
}
