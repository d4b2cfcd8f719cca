//! `log`: lines of a guest in the host's log.
//!
//! What a guest writes is untrusted text: it goes into fields, cut and escaped, never into the message. Rate and volume are
//! bounded per account; what is dropped is counted and reported once when the call ends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::Limits;
use crate::account::AccountState;
use crate::bindings::host::log::{Host, Level};
use crate::context::Ctx;
use crate::plugin::Identity;
use crate::text::safe;

/// Longest text of one line, as the log policy says for untrusted text.
const LINE: usize = 1 << 10;
/// Fields of one line: more are left out.
const FIELDS: usize = 16;
/// Longest name of a field.
const FIELD_NAME: usize = 64;
/// Seconds of the rate that may come at once: a call logs at its start and its end.
const BURST: f64 = 4.0;

/// A token bucket, shared by the calls of an account.
pub(crate) struct Bucket {
    level: Mutex<(f64, Instant)>,
    rate: f64,
}

impl Bucket {
    pub(crate) fn new(lines_per_second: u32) -> Self {
        let rate = f64::from(lines_per_second);
        Self {
            level: Mutex::new((rate * BURST, Instant::now())),
            rate,
        }
    }

    fn take(&self) -> bool {
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let filled = level.0 + now.duration_since(level.1).as_secs_f64() * self.rate;
        *level = (filled.min(self.rate * BURST), now);
        if level.0 < 1.0 {
            return false;
        }
        level.0 -= 1.0;
        true
    }
}

/// The log as one call sees it.
pub(crate) struct LogGate {
    plugin: Arc<Identity>,
    account: String,
    bucket: Arc<Bucket>,
    bytes_left: usize,
    suppressed: u64,
}

impl LogGate {
    pub(crate) fn new(plugin: Arc<Identity>, account: Option<&AccountState>, limits: &Limits) -> Self {
        Self {
            plugin,
            account: account.map_or_else(String::new, |account| account.id().to_owned()),
            bucket: account.map_or_else(
                || Arc::new(Bucket::new(limits.log_lines_per_second)),
                |account| Arc::clone(account.log_bucket()),
            ),
            bytes_left: limits.log_bytes,
            suppressed: 0,
        }
    }

    fn write(&mut self, level: Level, message: &str, fields: &[(String, String)]) {
        let text = safe(message, LINE);
        let fields = fields
            .iter()
            .take(FIELDS)
            .map(|(name, value)| format!("{}={}", safe(name, FIELD_NAME), safe(value, LINE)))
            .collect::<Vec<_>>()
            .join(" ");
        let size = text.len() + fields.len();
        if size > self.bytes_left || !self.bucket.take() {
            self.suppressed += 1;
            return;
        }
        self.bytes_left -= size;
        let (plugin, plugin_version, account) = (&*self.plugin.name, &*self.plugin.version, &*self.account);
        match level {
            Level::Trace => {
                tracing::trace!(target: "vimhost::plugin", plugin, plugin_version, account, text, fields, "plugin line");
            }
            Level::Debug => {
                tracing::debug!(target: "vimhost::plugin", plugin, plugin_version, account, text, fields, "plugin line");
            }
            Level::Info => {
                tracing::info!(target: "vimhost::plugin", plugin, plugin_version, account, text, fields, "plugin line");
            }
            Level::Warn => {
                tracing::warn!(target: "vimhost::plugin", plugin, plugin_version, account, text, fields, "plugin line");
            }
            Level::Error => {
                tracing::error!(target: "vimhost::plugin", plugin, plugin_version, account, text, fields, "plugin line");
            }
        }
    }

    /// Reports what was dropped, and shows a stream's end at debug level.
    pub(crate) fn finish(&self, streams: [(&str, &crate::sink::Sink); 2]) {
        let (plugin, plugin_version, account) = (&*self.plugin.name, &*self.plugin.version, &*self.account);
        if self.suppressed > 0 {
            let suppressed = self.suppressed;
            tracing::warn!(plugin, plugin_version, account, suppressed, "plugin lines suppressed");
        }
        for (stream, sink) in streams.into_iter().filter(|(_, sink)| !sink.is_empty()) {
            // What a field says is made only where the line is written.
            tracing::debug!(
                target: "vimhost::plugin",
                plugin,
                plugin_version,
                account,
                stream,
                text = safe(&sink.last_words(), LINE),
                dropped_bytes = sink.dropped(),
                "plugin output"
            );
        }
    }
}

impl Host for Ctx {
    async fn write(&mut self, level: Level, message: String, fields: Vec<(String, String)>) -> wasmtime::Result<()> {
        self.log.write(level, &message, &fields);
        Ok(())
    }
}
