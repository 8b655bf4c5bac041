//! `[metrics]`: numbers for Prometheus at `/metrics`.

use crate::config::section::section;

section! {
    /// Numbers for Prometheus at `/metrics`.
    Metrics as "metrics" {
        /// Whether they are served.
        enabled: bool = true;
        /// Whether anybody may read them. Otherwise loopback and the networks in `metrics.allowed` may.
        public: bool = false;
        /// Addresses or networks that may read them, beside loopback.
        allowed: Vec<crate::config::value::Network> = Vec::new();
    }
    check |_, _| {};
}
