//! Prints how long a fresh `check` call of a component takes, one at a time and 32 at a time, and what part of it is the way to
//! the guests' threads and back.
//!
//! ```text
//! cargo run --release -p vimhost-runtime --example call_latency -- plugin.wasm [url] [config as JSON] [calls]
//! ```
//!
//! Three figures: a bare hop (an empty task on a tokio runtime of its own, awaited from this one), which is the floor of any call
//! that does not run on its caller's thread; the call as its caller sees it, hop included; and the call inside of the guests'
//! thread. Every credential that the plugin requires is given as `unused`. A `check` that fails counts as well: the time is that
//! of the call, not of the VIM.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::{EnvFilter, Layer, util::SubscriberInitExt as _};
use vimhost_connector::{Connector, Connectors as _, PluginState};
use vimhost_model::{AccountId, Grants, Secret, TargetId, VimAccount};
use vimhost_runtime::{HostKey, Runtime, RuntimeConfig};

#[tokio::main]
async fn main() -> ExitCode {
    match measure().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments
        .next()
        .ok_or("usage: call_latency plugin.wasm [url] [config] [calls]")?;
    let url = arguments.next().unwrap_or_else(|| "http://127.0.0.1:9".into());
    let config = serde_json::from_str(&arguments.next().unwrap_or_else(|| "{}".into()))?;
    let calls: usize = arguments.next().map_or(Ok(10_000), |calls| calls.parse())?;

    let cache = tempfile::tempdir()?;
    let config_of_runtime = RuntimeConfig::new(cache.path(), HostKey::random()?);
    let workers = config_of_runtime.workers;
    let runtime = Runtime::new(config_of_runtime)?;
    let info = runtime.load_file(file.as_ref()).await;
    let (PluginState::Ready, Some(told)) = (&info.state, &info.descriptor) else {
        return Err(format!("{file}: {:?}", info.state).into());
    };
    let required = told.credentials.iter().filter(|slot| slot.required);
    let account = VimAccount {
        target: TargetId::vim(AccountId::new("latency")?),
        name: "latency".into(),
        vim_type: told.vim_types.first().cloned().unwrap_or_default(),
        url,
        user: None,
        tenant: None,
        config,
        credentials: required
            .map(|slot| (slot.name.clone(), Secret::new("unused")))
            .collect(),
        ca_certificates: None,
        insecure_tls: false,
        grants: Grants::default(),
    };
    let connector = runtime.open(&account).await?;
    println!(
        "{} {}, {:?}, {calls} calls, {workers} threads for guests",
        told.name,
        told.version,
        runtime.allocation()
    );
    let other = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()?;
    let inside = Inside::default();
    for parallel in [1, 32] {
        let handle = other.handle().clone();
        report("a bare hop", parallel, calls, move || {
            let handle = handle.clone();
            async move {
                let _ = handle.spawn(async {}).await;
            }
        })
        .await?;
        let check = |connector: &Arc<dyn Connector>| {
            let connector = Arc::clone(connector);
            move || {
                let connector = Arc::clone(&connector);
                async move {
                    // Its result is not what is measured.
                    let _ = connector.check().await;
                }
            }
        };
        report("a call", parallel, calls, check(&connector)).await?;
        // Listening costs a little, so the same calls are made again.
        let guard = tracing_subscriber::registry().with(
            inside
                .clone()
                .with_filter(EnvFilter::new("vimhost_runtime::call=trace")),
        );
        if parallel == 1 {
            guard.try_init()?;
        }
        report("a call, listened to", parallel, calls, check(&connector)).await?;
        line("  in the guests' thread", parallel, inside.take(), None);
    }
    other.shutdown_background();
    Ok(())
}

async fn report<F: Future<Output = ()> + Send>(
    what: &str,
    parallel: usize,
    calls: usize,
    once: impl Fn() -> F + Clone + Send + 'static,
) -> Result<(), tokio::task::JoinError> {
    let begun = Instant::now();
    let tasks: Vec<_> = (0..parallel)
        .map(|_| {
            let once = once.clone();
            tokio::spawn(async move {
                let mut times = Vec::with_capacity(calls / parallel);
                for _ in 0..calls / parallel {
                    let begun = Instant::now();
                    once().await;
                    times.push(begun.elapsed());
                }
                times
            })
        })
        .collect();
    let mut times = vec![];
    for task in tasks {
        times.extend(task.await?);
    }
    line(what, parallel, times, Some(begun.elapsed()));
    Ok(())
}

fn line(what: &str, parallel: usize, mut times: Vec<Duration>, took: Option<Duration>) {
    times.sort_unstable();
    let at = |percent: usize| {
        times
            .get(times.len() * percent / 100)
            .copied()
            .unwrap_or(Duration::ZERO)
    };
    let count = f64::from(u32::try_from(times.len()).unwrap_or(u32::MAX));
    let rate = took.map_or_else(String::new, |took| format!(", {:.0}/s", count / took.as_secs_f64()));
    println!(
        "{parallel:>3} in parallel, {what:<22}: p50 {:?}, p99 {:?}{rate}",
        at(50),
        at(99)
    );
}

/// Collects what the runtime says of each call's time.
#[derive(Clone, Default)]
struct Inside(Arc<Mutex<Vec<Duration>>>);

impl Inside {
    fn take(&self) -> Vec<Duration> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<S: Subscriber> Layer<S> for Inside {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        event.record(&mut Elapsed(self));
    }
}

struct Elapsed<'a>(&'a Inside);

impl Visit for Elapsed<'_> {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "elapsed_us" {
            let mut times = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
            times.push(Duration::from_micros(value));
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}
