//! Figures, what is aimed at, and how both are shown.

use std::fmt::Write as _;
use std::time::Duration;

use serde::{Serialize, Serializer};

/// What a figure should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Aim {
    AtMost(f64),
    AtLeast(f64),
}

impl Aim {
    fn is_met_by(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }

    fn shown(self) -> String {
        match self {
            Self::AtMost(most) => format!("≤ {most}"),
            Self::AtLeast(least) => format!("≥ {least}"),
        }
    }
}

/// As the number alone: whether it is a floor or a ceiling is in the unit, and `met` says what came of it.
impl Serialize for Aim {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (Self::AtMost(number) | Self::AtLeast(number)) = self;
        serializer.serialize_f64(*number)
    }
}

/// One number.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    aim: Option<Aim>,
    met: Option<bool>,
}

/// All of them, in the order they were measured.
#[derive(Debug, Default)]
pub(crate) struct Figures(Vec<Figure>);

impl Figures {
    /// Adds one and shows it at once, since a run takes minutes.
    pub(crate) fn add(&mut self, name: impl Into<String>, value: f64, unit: &'static str, aim: Option<Aim>) {
        let figure = Figure {
            name: name.into(),
            value: rounded(value),
            unit,
            aim,
            met: aim.map(|aim| aim.is_met_by(value)),
        };
        eprintln!("  {} {} {unit}", figure.name, figure.value);
        self.0.push(figure);
    }

    /// Median and 99th percentile of times, in the unit.
    pub(crate) fn add_times(&mut self, name: &str, times: &Times, unit: Unit, p50: Option<Aim>, p99: Option<Aim>) {
        self.add(format!("{name}.p50"), unit.of(times.at(50)), unit.name(), p50);
        self.add(format!("{name}.p99"), unit.of(times.at(99)), unit.name(), p99);
    }

    /// Those whose aim is missed.
    pub(crate) fn missed(&self) -> usize {
        self.0.iter().filter(|figure| figure.met == Some(false)).count()
    }

    /// As a JSON list.
    pub(crate) fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(&self.0)
    }

    /// As a table.
    pub(crate) fn table(&self) -> String {
        let width = self.0.iter().map(|figure| figure.name.len()).max().unwrap_or(0);
        let mut table = String::new();
        for figure in &self.0 {
            let aim = figure.aim.map_or_else(String::new, Aim::shown);
            let met = match figure.met {
                Some(true) => "met",
                Some(false) => "MISSED",
                None => "",
            };
            // Writing to a text does not fail.
            let _ = writeln!(
                table,
                "{:<width$}  {:>10}  {:<10}  {aim:<9} {met}",
                figure.name, figure.value, figure.unit
            );
        }
        table
    }
}

/// Three digits, which is more than two runs agree on.
fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let digits = 2.0 - value.abs().log10().floor();
    let scale = 10_f64.powf(digits.max(0.0));
    (value * scale).round() / scale
}

/// A unit of time.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unit {
    Microseconds,
    Milliseconds,
}

impl Unit {
    pub(crate) fn of(self, time: Duration) -> f64 {
        match self {
            Self::Microseconds => time.as_secs_f64() * 1e6,
            Self::Milliseconds => time.as_secs_f64() * 1e3,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Microseconds => "µs",
            Self::Milliseconds => "ms",
        }
    }
}

/// Times of the same thing done many times, sorted.
#[derive(Debug)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// A percentile; nothing of nothing.
    pub(crate) fn at(&self, percent: usize) -> Duration {
        let last = self.0.len().saturating_sub(1);
        self.0.get(last * percent / 100).copied().unwrap_or_default()
    }
}

/// A count as a number to reckon with.
#[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
pub(crate) fn number(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_written_with_its_aim_and_whether_it_is_met() {
        let mut figures = Figures::default();
        figures.add("call", 41.26, "µs", Some(Aim::AtMost(40.0)));
        figures.add("rate", 2345.6, "tasks/s", Some(Aim::AtLeast(2000.0)));
        figures.add("start", 0.012_345, "s", None);
        let written: serde_json::Value = serde_json::from_str(&figures.json().unwrap()).unwrap();
        assert_eq!(
            written,
            serde_json::json!([
                {"name": "call", "value": 41.3, "unit": "µs", "aim": 40.0, "met": false},
                {"name": "rate", "value": 2346.0, "unit": "tasks/s", "aim": 2000.0, "met": true},
                {"name": "start", "value": 0.0123, "unit": "s", "aim": null, "met": null},
            ])
        );
        assert_eq!(figures.missed(), 1);
        assert!(figures.table().contains("≤ 40      MISSED"), "{}", figures.table());
    }

    #[test]
    fn percentiles_are_of_sorted_times() {
        let times = Times::new((1..=100).rev().map(Duration::from_millis).collect());
        assert_eq!([times.at(50).as_millis(), times.at(99).as_millis()], [50, 99]);
        assert_eq!(Times::new(vec![]).at(50), Duration::ZERO);
    }
}
