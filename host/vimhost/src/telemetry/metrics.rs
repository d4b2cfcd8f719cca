//! The recorder of metrics, and what is looked up only when somebody asks.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use vimhost_connector::PluginState;
use vimhost_engine::Engine;
use vimhost_telemetry::metric::{self, Kind, TABLE};

use super::process;

/// Bounds of times: a call of a connector takes some hundred microseconds, an action up to an hour.
const SECONDS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0, 300.0, 1800.0,
];
/// Bounds of memory: a Rust connector uses 2 MiB, a Python one 18, the limit is 64.
const BYTES: &[f64] = &[
    262_144.0,
    1_048_576.0,
    2_097_152.0,
    4_194_304.0,
    8_388_608.0,
    16_777_216.0,
    33_554_432.0,
    67_108_864.0,
];
/// Bounds of numbers of things: groups of writes hold up to 512.
const THINGS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// How often samples are put into their buckets; between, each takes some bytes.
const UPKEEP: Duration = Duration::from_secs(5);

/// What was counted.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
    /// Connectors that were shown once: what is gone is shown as gone.
    shown: Arc<Mutex<BTreeSet<String>>>,
}

impl Metrics {
    /// Makes the process count.
    ///
    /// # Errors
    /// When somebody has done so already.
    pub fn install() -> anyhow::Result<Self> {
        let mut builder = PrometheusBuilder::new();
        for family in TABLE {
            let bounds = match family.kind {
                Kind::Counter | Kind::Gauge => continue,
                Kind::Seconds => SECONDS,
                Kind::Bytes => BYTES,
                Kind::Things => THINGS,
            };
            builder = builder
                .set_buckets_for_metric(Matcher::Full(family.name.to_owned()), bounds)
                .context("bounds of a histogram are empty")?;
        }
        let handle = builder.install_recorder().context("metrics cannot be counted")?;
        TABLE.iter().for_each(metric::Family::describe);
        metric::BUILD_INFO.gauge(&[env!("CARGO_PKG_VERSION")]).set(1.0);
        Ok(Self {
            handle,
            shown: Arc::default(),
        })
    }

    /// Keeps what waits to be put into buckets small, for as long as the process lives.
    pub async fn upkeep(self) {
        loop {
            tokio::time::sleep(UPKEEP).await;
            self.handle.run_upkeep();
        }
    }

    /// Everything in Prometheus' text form.
    pub fn render(&self, engine: &Engine) -> String {
        self.show_plugins(engine);
        let mut text = self.handle.render();
        process::render(&mut text);
        text
    }

    fn show_plugins(&self, engine: &Engine) {
        let plugins = engine.plugins();
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let mut states: Vec<(String, &'static str)> = plugins
            .iter()
            .map(|plugin| {
                let file = plugin.file.rsplit('/').next().unwrap_or_default();
                (file.to_owned(), word(&plugin.state))
            })
            .collect();
        // Of two of one name the one that serves is shown.
        states.sort_by_key(|(_, state)| *state != "ready");
        shown.extend(states.iter().map(|(name, _)| name.clone()));
        for name in shown.iter() {
            let now = states.iter().find(|(known, _)| known == name).map(|(_, state)| *state);
            for state in STATES {
                let value = if now == Some(state) { 1.0 } else { 0.0 };
                metric::PLUGIN_STATE.gauge(&[name, state]).set(value);
            }
        }
    }
}

const STATES: [&str; 8] = [
    "discovered",
    "verified",
    "compiled",
    "ready",
    "draining",
    "retired",
    "failed",
    "quarantined",
];

fn word(state: &PluginState) -> &'static str {
    match state {
        PluginState::Discovered => "discovered",
        PluginState::Verified => "verified",
        PluginState::Compiled => "compiled",
        PluginState::Ready => "ready",
        PluginState::Draining => "draining",
        PluginState::Retired => "retired",
        PluginState::Failed(_) => "failed",
        PluginState::Quarantined(_) => "quarantined",
    }
}
