//! Every metric of the host, in one table: name, kind, labels, help.
//!
//! A metric can be used only through its row, with a value for each label in the row's order, so that none exists that the table
//! and `docs/metrics.md` do not have. The rule for names and labels is in that page; a test holds the table to it.
//!
//! A handle is looked up once and kept: counting with it is one atomic addition. Looking up allocates and hashes, so it has no place
//! in what runs per call. A handle that was looked up before the binary has installed its recorder counts nothing, so the binary
//! installs it first.

pub use metrics::{Counter, Gauge, Histogram};
use metrics::{Key, Label, Level, Metadata, with_recorder};

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size, with bounds of seconds.
    Seconds,
    /// Counts by size, with bounds of bytes.
    Bytes,
    /// Counts by size, with bounds of numbers of things.
    Things,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it tells.
    pub help: &'static str,
}

impl Family {
    /// The key with values for its labels; a value that is missing is empty.
    fn key(&self, values: &[&str]) -> Key {
        debug_assert_eq!(self.labels.len(), values.len(), "labels of {}", self.name);
        let values = values.iter().copied().chain(std::iter::repeat(""));
        let labels: Vec<Label> = self
            .labels
            .iter()
            .zip(values)
            .map(|(label, value)| Label::new(*label, value.to_owned()))
            .collect();
        Key::from_parts(self.name, labels)
    }

    /// A handle of a counter.
    pub fn counter(&self, values: &[&str]) -> Counter {
        with_recorder(|recorder| recorder.register_counter(&self.key(values), &METADATA))
    }

    /// A handle of a gauge.
    pub fn gauge(&self, values: &[&str]) -> Gauge {
        with_recorder(|recorder| recorder.register_gauge(&self.key(values), &METADATA))
    }

    /// A handle of a histogram.
    pub fn histogram(&self, values: &[&str]) -> Histogram {
        with_recorder(|recorder| recorder.register_histogram(&self.key(values), &METADATA))
    }

    /// Tells the recorder what the metric is.
    pub fn describe(&self) {
        with_recorder(|recorder| {
            let (name, help) = (self.name.into(), self.help.into());
            match self.kind {
                Kind::Counter => recorder.describe_counter(name, None, help),
                Kind::Gauge => recorder.describe_gauge(name, None, help),
                Kind::Seconds | Kind::Bytes | Kind::Things => recorder.describe_histogram(name, None, help),
            }
        });
    }
}

const METADATA: Metadata<'static> = Metadata::new("vimhost", Level::INFO, None);

macro_rules! families {
    ($($constant:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $constant: Family = Family {
                name: $name,
                kind: Kind::$kind,
                labels: &[$($label),*],
                help: $help,
            };
        )*

        /// The table.
        pub const TABLE: &[Family] = &[$($constant),*];
    };
}

families! {
    CONNECTOR_CALLS: Counter "vimhost_connector_calls_total" ["plugin", "function", "outcome"]
        "Calls of connectors that ended, by outcome: ok, or the kind of error.";
    CONNECTOR_CALL_DURATION: Seconds "vimhost_connector_call_duration_seconds" ["plugin", "function"]
        "Time from the start of a call to its end, waiting for the VIM included.";
    CONNECTOR_COMPUTE: Seconds "vimhost_connector_compute_seconds" ["plugin"]
        "Time a connector computed in one call, waiting not counted.";
    CONNECTOR_MEMORY_PEAK: Bytes "vimhost_connector_memory_peak_bytes" ["plugin"]
        "Linear memory of one call at its largest.";
    CONNECTOR_IN_FLIGHT: Gauge "vimhost_connector_in_flight_calls" ["plugin"]
        "Calls of connectors that have not ended.";
    EGRESS_REQUESTS: Counter "vimhost_egress_requests_total" ["plugin", "status_class"]
        "Requests of connectors that were sent, by class of the answer's status; none: no answer came.";
    EGRESS_REQUEST_DURATION: Seconds "vimhost_egress_request_duration_seconds" ["plugin"]
        "Time from sending a request of a connector to the head of its answer.";
    EGRESS_REFUSED: Counter "vimhost_egress_refused_total" ["plugin", "reason"]
        "Requests of connectors and answers to them that the host refused.";
    ACTION_ACCEPTED: Counter "vimhost_action_accepted_total" []
        "Actions that were accepted.";
    ACTION_ENDED: Counter "vimhost_action_ended_total" ["outcome"]
        "Actions whose last task ended, by outcome: done, or failed.";
    ACTION_DURATION: Seconds "vimhost_action_duration_seconds" ["outcome"]
        "Time from accepting an action, or taking it up after a restart, to the end of its last task.";
    ACTION_OPEN: Gauge "vimhost_action_open" []
        "Actions with open tasks that this host knows of.";
    TASK_ENDED: Counter "vimhost_task_ended_total" ["action", "item", "state"]
        "Tasks that ended, by what they did to what, and how.";
    TASK_DURATION: Seconds "vimhost_task_duration_seconds" ["action", "item"]
        "Time from accepting a task's action, or taking it up after a restart, to the task's end.";
    TASK_OPEN: Gauge "vimhost_task_open" []
        "Tasks of the open actions that have not ended.";
    POLLER_OBSERVATIONS: Counter "vimhost_poller_observations_total" ["element", "outcome"]
        "Batches of elements that were observed, by outcome: ok, or failed.";
    POLLER_ELEMENTS: Counter "vimhost_poller_elements_total" ["element"]
        "Elements in those batches.";
    STORE_COMMITS: Counter "vimhost_store_commits_total" ["outcome"]
        "Groups of writes, by outcome: ok, or failed.";
    STORE_COMMIT_DURATION: Seconds "vimhost_store_commit_duration_seconds" []
        "Time of one group of writes, the sync included.";
    STORE_COMMIT_OPERATIONS: Things "vimhost_store_commit_operations" []
        "Writes in one group.";
    STORE_OPERATIONS: Counter "vimhost_store_operations_total" ["outcome"]
        "Writes, by outcome: ok, refused (decided on something older), or failed.";
    STORE_READS: Counter "vimhost_store_reads_total" []
        "Reads that were answered.";
    STORE_COMMANDS: Counter "vimhost_store_commands_total" ["kind", "outcome"]
        "Commands sent to a database server, by kind (read, write) and outcome (ok, refused, lost).";
    STORE_COMMAND_DURATION: Seconds "vimhost_store_command_duration_seconds" ["kind"]
        "Time of one command, the sync of a majority included.";
    HTTP_REQUESTS: Counter "vimhost_http_requests_total" ["dialect", "method", "route", "status_class"]
        "Requests that were answered, by template of their route.";
    HTTP_REQUEST_DURATION: Seconds "vimhost_http_request_duration_seconds" ["dialect", "method", "route"]
        "Time until the answer began.";
    PLUGIN_STATE: Gauge "vimhost_plugin_state" ["plugin", "state"]
        "1 for the state a connector's file is in, 0 for the others.";
    BUILD_INFO: Gauge "vimhost_build_info" ["version"]
        "Always 1.";
    PROCESS_CPU: Counter "process_cpu_seconds_total" []
        "Processor time the process has used.";
    PROCESS_RESIDENT: Gauge "process_resident_memory_bytes" []
        "Memory of the process that is in RAM.";
    PROCESS_VIRTUAL: Gauge "process_virtual_memory_bytes" []
        "Address space of the process; the instance pool reserves most of it.";
    PROCESS_OPEN_FDS: Gauge "process_open_fds" []
        "Open file descriptors.";
    PROCESS_MAX_FDS: Gauge "process_max_fds" []
        "Limit of open file descriptors.";
    PROCESS_THREADS: Gauge "process_threads" []
        "Threads of the process.";
    PROCESS_START: Gauge "process_start_time_seconds" []
        "When the process started, in seconds since 1970.";
}

/// The class of a status as a label: `2xx`; `none` for none at all.
#[must_use]
pub fn status_class(status: Option<u16>) -> &'static str {
    match status.map(|status| status / 100) {
        Some(1) => "1xx",
        Some(2) => "2xx",
        Some(3) => "3xx",
        Some(4) => "4xx",
        Some(5) => "5xx",
        Some(_) => "other",
        None => "none",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Labels whose values come from small sets: never an id, a name of an account, or a text of somebody else.
    const LABELS: &[&str] = &[
        "action",
        "dialect",
        "element",
        "function",
        "item",
        "kind",
        "method",
        "outcome",
        "plugin",
        "reason",
        "route",
        "state",
        "status_class",
        "version",
    ];
    const NOUNS: &[&str] = &[
        "action",
        "build",
        "connector",
        "egress",
        "http",
        "plugin",
        "poller",
        "store",
        "task",
    ];

    #[test]
    fn every_name_and_label_follows_the_rule() {
        for (index, family) in TABLE.iter().enumerate() {
            let name = family.name;
            let simple = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') && !name.contains("__");
            assert!(simple, "{name}");
            // The names of a process are Prometheus' own.
            if let Some(rest) = name.strip_prefix("vimhost_") {
                let noun = rest.split('_').next().unwrap();
                assert!(NOUNS.contains(&noun) && rest.len() > noun.len(), "{name}: noun {noun}");
                assert_eq!(family.kind == Kind::Counter, name.ends_with("_total"), "{name}");
            } else {
                assert!(name.starts_with("process_"), "{name}");
            }
            assert_eq!(
                family.kind == Kind::Seconds,
                name.ends_with("_seconds") && family.kind != Kind::Gauge,
                "{name}"
            );
            assert!(family.kind != Kind::Bytes || name.ends_with("_bytes"), "{name}");
            for unit in ["_ms", "_millis", "_kb", "_mb", "_minutes", "_percent"] {
                assert!(!name.ends_with(unit), "{name}: only base units");
            }
            assert!(
                family.labels.iter().all(|label| LABELS.contains(label)),
                "{name}: {:?}",
                family.labels
            );
            assert!(family.help.ends_with('.') && family.help.len() > 8, "{name}");
            assert!(
                TABLE.iter().skip(index + 1).all(|other| other.name != name),
                "{name} is there twice"
            );
        }
    }

    #[test]
    fn a_handle_without_a_recorder_does_nothing() {
        STORE_READS.counter(&[]).increment(1);
        TASK_DURATION.histogram(&["CREATE", "net"]).record(0.1);
        assert_eq!(
            [status_class(Some(204)), status_class(Some(999)), status_class(None)],
            ["2xx", "other", "none"]
        );
    }
}
