//! The process' own metrics, by the names Prometheus has for them, read from `/proc` when somebody asks.

use std::fmt::Write as _;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};
use vimhost_telemetry::metric::{self, Family, Kind};

/// Adds them to a page of metrics. What the system does not tell is left out.
pub(super) fn render(page: &mut String) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = Fields::of(&stat);
    let ticks = as_number(clock_ticks_per_second());
    let open = std::fs::read_dir("/proc/self/fd").map(|entries| as_number(entries.count() as u64));
    let limit = getrlimit(Resource::Nofile).current;
    let booted = std::fs::read_to_string("/proc/stat")
        .ok()
        .and_then(|text| boot_time(&text));
    for (family, value) in [
        (
            &metric::PROCESS_CPU,
            fields.sum(&[UTIME, STIME]).map(|time| time / ticks),
        ),
        (
            &metric::PROCESS_RESIDENT,
            fields.get(RSS).map(|pages| pages * as_number(page_size() as u64)),
        ),
        (&metric::PROCESS_VIRTUAL, fields.get(VSIZE)),
        (&metric::PROCESS_THREADS, fields.get(THREADS)),
        (&metric::PROCESS_OPEN_FDS, open.ok()),
        (&metric::PROCESS_MAX_FDS, limit.map(as_number)),
        (
            &metric::PROCESS_START,
            fields
                .get(START)
                .zip(booted)
                .map(|(start, booted)| booted + start / ticks),
        ),
    ] {
        if let Some(value) = value {
            write(page, family, value);
        }
    }
}

fn write(page: &mut String, family: &Family, value: f64) {
    let kind = match family.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Seconds | Kind::Bytes | Kind::Things => "histogram",
    };
    let (name, help) = (family.name, family.help);
    // Writing to a text does not fail.
    let _ = write!(page, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n\n");
}

// Places in `/proc/self/stat`, counted behind the command, which may hold anything.
const UTIME: usize = 11;
const STIME: usize = 12;
const THREADS: usize = 17;
const START: usize = 19;
const VSIZE: usize = 20;
const RSS: usize = 21;

struct Fields<'a>(Vec<&'a str>);

impl<'a> Fields<'a> {
    fn of(stat: &'a str) -> Self {
        let behind = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        Self(behind.split_whitespace().collect())
    }

    fn get(&self, place: usize) -> Option<f64> {
        self.0.get(place)?.parse().ok()
    }

    fn sum(&self, places: &[usize]) -> Option<f64> {
        places.iter().map(|place| self.get(*place)).sum()
    }
}

fn boot_time(stat: &str) -> Option<f64> {
    stat.lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()
}

#[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
fn as_number(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_files_threads_and_a_start() {
        let mut page = String::new();
        render(&mut page);
        let value = |family: &Family| -> f64 {
            let line = page.lines().find(|line| line.starts_with(&format!("{} ", family.name)));
            line.and_then(|line| line.split(' ').nth(1)).unwrap().parse().unwrap()
        };
        assert!(value(&metric::PROCESS_RESIDENT) > 1e5);
        assert!(value(&metric::PROCESS_VIRTUAL) >= value(&metric::PROCESS_RESIDENT));
        assert!(value(&metric::PROCESS_OPEN_FDS) >= 3.0);
        assert!(value(&metric::PROCESS_THREADS) >= 1.0);
        let age = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64() - value(&metric::PROCESS_START);
        assert!((-2.0..86_400.0).contains(&age), "{age}");
        assert!(page.contains("# TYPE process_cpu_seconds_total counter\n"));
    }

    #[test]
    fn a_command_with_spaces_and_brackets_does_not_shift_the_fields() {
        let stat = "1 (a) b) S 2 3 4 5 6 7 8 9 10 11 700 300 16 17 18 19 5 21 1000 4096 2 25";
        let fields = Fields::of(stat);
        assert_eq!(fields.sum(&[UTIME, STIME]), Some(1000.0));
        assert_eq!(
            [fields.get(THREADS), fields.get(START), fields.get(RSS)],
            [Some(5.0), Some(1000.0), Some(2.0)]
        );
    }
}
