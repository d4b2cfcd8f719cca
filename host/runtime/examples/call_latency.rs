//! Prints how long a fresh `check` call of a component takes, one at a time and 32 at a time.
//!
//! ```text
//! cargo run --release -p vimhost-runtime --example call_latency -- plugin.wasm [url] [config as JSON]
//! ```
//!
//! Every credential that the plugin requires is given as `unused`. A `check` that fails counts as well: the time is that of the
//! call, not of the VIM.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use vimhost_connector::{Connector, Connectors as _, PluginState};
use vimhost_model::{AccountId, Grants, Secret, TargetId, VimAccount};
use vimhost_runtime::{HostKey, Runtime, RuntimeConfig};

const CALLS: usize = 10_000;

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
        .ok_or("usage: call_latency plugin.wasm [url] [config]")?;
    let url = arguments.next().unwrap_or_else(|| "http://127.0.0.1:9".into());
    let config = serde_json::from_str(&arguments.next().unwrap_or_else(|| "{}".into()))?;

    let cache = std::env::temp_dir().join("vimhost-call-latency");
    let runtime = Runtime::new(RuntimeConfig::new(cache, HostKey::random()?))?;
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
        "{} {}, {:?}, {CALLS} calls",
        told.name,
        told.version,
        runtime.allocation()
    );
    for parallel in [1, 32] {
        report(&connector, parallel).await?;
    }
    Ok(())
}

async fn report(connector: &Arc<dyn Connector>, parallel: usize) -> Result<(), tokio::task::JoinError> {
    let begun = Instant::now();
    let tasks: Vec<_> = (0..parallel)
        .map(|_| {
            let connector = Arc::clone(connector);
            tokio::spawn(async move {
                let mut times = Vec::with_capacity(CALLS / parallel);
                for _ in 0..CALLS / parallel {
                    let begun = Instant::now();
                    // Its result is not what is measured.
                    let _ = connector.check().await;
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
    times.sort_unstable();
    let at = |percent: usize| {
        times
            .get(times.len() * percent / 100)
            .copied()
            .unwrap_or(Duration::ZERO)
    };
    let rate = f64::from(u32::try_from(times.len()).unwrap_or(u32::MAX)) / begun.elapsed().as_secs_f64();
    println!(
        "{parallel:>3} in parallel: p50 {:?}, p99 {:?}, {rate:.0} calls/s",
        at(50),
        at(99)
    );
    Ok(())
}
