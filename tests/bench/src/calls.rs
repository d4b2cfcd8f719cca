//! Calls of the mock connector on an account of its own, which asks no VIM: what is left is the sandbox.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::runtime::Handle;
use vimhost_connector::{Connector, Connectors as _, PluginState};
use vimhost_model::{AccountId, Grants, TargetId, VimAccount};
use vimhost_runtime::{HostKey, Runtime, RuntimeConfig};
use vimhost_tests::plugin_dir;

use crate::figure::{Aim, Figures, Times, Unit, number};

/// Enough for a 99th percentile that two runs agree on.
const CALLS: usize = 20_000;

/// The first calls fill the pool and every cache.
const WARM_UP: usize = 1_000;

pub(crate) async fn measure(figures: &mut Figures) -> anyhow::Result<()> {
    let cache = tempfile::tempdir()?;
    let config = RuntimeConfig::new(cache.path(), HostKey::random()?);
    let workers = config.workers;
    let runtime = Runtime::new(config)?;
    let file = plugin_dir()?.join("mock.wasm");
    let info = runtime.load_file(&file).await;
    if info.state != PluginState::Ready {
        bail!("{} is not ready: {:?}", file.display(), info.state);
    }
    let connector = runtime.open(&account()?).await?;
    connector.check().await.context("the connector's check")?;
    // Where the engine makes its calls; a caller elsewhere pays two changes of threads.
    let place = runtime.executor().context("the runtime has no threads")?;
    let elsewhere = Handle::current();
    run(&place, &connector, 1, WARM_UP).await?;

    // What a change of threads and back costs here without any work.
    let other = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()?;
    let mut hops = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let begun = Instant::now();
        other.spawn(async {}).await?;
        hops.push(begun.elapsed());
    }
    other.shutdown_background();
    let hops = Times::new(hops);
    figures.add("call.hop.p50", Unit::Microseconds.of(hops.at(50)), "µs", None);

    let (alone, _) = run(&place, &connector, 1, CALLS).await?;
    figures.add_times("call.1", &alone, Unit::Microseconds, Some(Aim::AtMost(40.0)), None);
    let (far, _) = run(&elsewhere, &connector, 1, CALLS).await?;
    figures.add_times("call.elsewhere.1", &far, Unit::Microseconds, None, None);
    let (many, took) = run(&place, &connector, 32, CALLS).await?;
    figures.add_times("call.32", &many, Unit::Microseconds, None, Some(Aim::AtMost(500.0)));
    figures.add("call.32.rate", number(CALLS) / took.as_secs_f64(), "calls/s", None);
    Ok(())
}

async fn run(
    place: &Handle,
    connector: &Arc<dyn Connector>,
    parallel: usize,
    calls: usize,
) -> anyhow::Result<(Times, Duration)> {
    let begun = Instant::now();
    let callers: Vec<_> = (0..parallel)
        .map(|_| {
            let connector = Arc::clone(connector);
            place.spawn(async move {
                let mut times = Vec::with_capacity(calls / parallel);
                for _ in 0..calls / parallel {
                    let begun = Instant::now();
                    connector.check().await?;
                    times.push(begun.elapsed());
                }
                anyhow::Ok(times)
            })
        })
        .collect();
    let mut times = Vec::with_capacity(calls);
    for caller in callers {
        times.extend(caller.await??);
    }
    Ok((Times::new(times), begun.elapsed()))
}

fn account() -> anyhow::Result<VimAccount> {
    Ok(VimAccount {
        target: TargetId::vim(AccountId::new("bench")?),
        name: "bench".to_owned(),
        vim_type: "mock".to_owned(),
        url: "mock:".to_owned(),
        user: None,
        tenant: None,
        config: serde_json::from_str("{}")?,
        credentials: std::collections::BTreeMap::new(),
        ca_certificates: None,
        insecure_tls: false,
        grants: Grants::default(),
    })
}
