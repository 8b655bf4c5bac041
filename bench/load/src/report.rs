//! What a run found: one line of JSON for programs, a table for people.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

/// What a run found.
#[derive(Clone, Debug)]
pub struct Report {
    scenario: &'static str,
    server: String,
    parameters: Vec<(&'static str, Value)>,
    figures: Vec<Figure>,
    notes: Vec<String>,
    samples: Vec<Value>,
}

#[derive(Clone, Debug)]
struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
}

impl Report {
    pub(crate) fn new(scenario: &'static str, server: &str) -> Self {
        Self {
            scenario,
            server: server.to_owned(),
            parameters: Vec::new(),
            figures: Vec::new(),
            notes: Vec::new(),
            samples: Vec::new(),
        }
    }

    /// Adds what the run was asked to do.
    pub(crate) fn parameter(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.parameters.push((name, value.into()));
        self
    }

    /// Adds a figure. Names end in their unit where the unit isn't a count.
    pub(crate) fn figure(&mut self, name: impl Into<String>, value: f64, unit: &'static str) {
        self.figures.push(Figure {
            name: name.into(),
            value,
            unit,
        });
    }

    /// Adds a sentence for people.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Adds one of many looks at the same thing: an object of numbers.
    pub(crate) fn sample(&mut self, sample: Value) {
        self.samples.push(sample);
    }

    /// A figure by name.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<f64> {
        let found = self.figures.iter().find(|figure| figure.name == name);
        found.map(|figure| figure.value)
    }

    /// The report as one line: `{"scenario","server","parameters":{},"figures":{},"notes":[]}`. Figures are numbers; each name
    /// ends in its unit (`_us`, `_ms`, `_s`, `_kb`) or is a count. `samples`, a list of objects, is there if there were any.
    #[must_use]
    pub fn json_line(&self) -> String {
        let parameters: Map<_, _> = self
            .parameters
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        let figures: Map<_, _> = self
            .figures
            .iter()
            .map(|figure| (figure.name.clone(), json!(rounded(figure.value))))
            .collect();
        let mut line = json!({
            "scenario": self.scenario,
            "server": self.server,
            "parameters": parameters,
            "figures": figures,
            "notes": self.notes,
        });
        if !self.samples.is_empty() {
            line["samples"] = json!(self.samples);
        }
        line.to_string()
    }

    /// The report as a table.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = format!("{} on {}", self.scenario, self.server);
        for (name, value) in &self.parameters {
            let _ = write!(text, ", {name} {value}");
        }
        text.push('\n');
        let width = self.figures.iter().map(|figure| figure.name.len()).max();
        for figure in &self.figures {
            let _ = writeln!(
                text,
                "  {:width$}  {:>14} {}",
                figure.name,
                grouped(figure.value),
                figure.unit,
                width = width.unwrap_or_default()
            );
        }
        for sample in &self.samples {
            let _ = writeln!(text, "  {}", sample_line(sample));
        }
        for note in &self.notes {
            let _ = writeln!(text, "  {note}");
        }
        text
    }
}

fn sample_line(sample: &Value) -> String {
    let fields = sample.as_object().into_iter().flatten();
    let fields = fields
        .map(|(name, value)| format!("{name} {:>9}", grouped(value.as_f64().unwrap_or_default())));
    fields.collect::<Vec<_>>().join("   ")
}

/// Three digits behind the point say more than any of these measurements can.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// `1234567.8` as `1,234,568`, small numbers with their decimals.
pub(crate) fn grouped(value: f64) -> String {
    if value.abs() < 1000.0 {
        return match value {
            value if value.fract() == 0.0 => format!("{value}"),
            value if value.abs() < 10.0 => format!("{value:.3}"),
            value => format!("{value:.1}"),
        };
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::from(if value < 0.0 { "-" } else { "" });
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A panic is how a test fails.
mod tests {
    use super::*;

    #[test]
    fn a_report_is_one_line_of_json_and_a_table_with_the_same_figures() {
        let mut report = Report::new("idle", "lakh").parameter("connections", 10_000);
        report.figure("resident_kb_per_connection", 1.23456, "KB");
        report.figure("connected", 1_234_567.0, "");
        let line = report.json_line();
        assert!(!line.contains('\n'));
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["figures"]["resident_kb_per_connection"], 1.235);
        assert_eq!(read["parameters"]["connections"], 10_000);
        let table = report.table();
        assert!(table.contains("1,234,567"), "{table}");
        assert!(table.contains("1.235 KB"), "{table}");
        assert_eq!(report.value("connected"), Some(1_234_567.0));
    }
}
