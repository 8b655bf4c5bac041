//! The text that Prometheus reads, in the making: heads and samples, with numbers in base units.

use std::fmt::Write as _;

use super::snapshot::ByWord;

pub(super) fn seconds(ms: u64) -> f64 {
    float(ms) / 1_000.0
}

#[expect(
    clippy::cast_precision_loss,
    reason = "sizes and milliseconds since 1970 fit the 53 bits of an f64"
)]
pub(super) fn float(number: u64) -> f64 {
    number as f64
}

#[derive(Default)]
pub(super) struct Text(String);

impl Text {
    pub(super) fn into_string(self) -> String {
        self.0
    }

    pub(super) fn gauge(&mut self, name: &str, help: &str) {
        self.head(name, help, "gauge");
    }

    pub(super) fn counter(&mut self, name: &str, help: &str) {
        self.head(name, help, "counter");
    }

    /// Its samples are put behind it by whoever has the buckets.
    pub(super) fn histogram(&mut self, name: &str, help: &str) {
        self.head(name, help, "histogram");
    }

    fn head(&mut self, name: &str, help: &str, kind: &str) {
        // Writing to a String can't fail, here and below.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    pub(super) fn by_word(&mut self, name: &str, help: &str, label: &str, counts: &ByWord) {
        self.counter(name, help);
        for (word, count) in counts {
            self.value(name, &[(label, word)], count);
        }
    }

    pub(super) fn value(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        value: impl std::fmt::Display,
    ) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            self.0.push(if index == 0 { '{' } else { ',' });
            let _ = write!(self.0, "{label}=\"{}\"", escaped(text));
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
