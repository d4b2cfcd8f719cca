//! Puts the parts together and runs them until told to stop.

use std::io::Write as _;
use std::num::NonZeroU32;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use vimhost_api::{RequestLimits, ServeOptions, SourceRanges, admin, ng_ro, vnf_lcm as vnf_lcm_api};
use vimhost_engine::{Engine, EngineConfig, SystemClock};
use vimhost_notify::Notifier;
use vimhost_runtime::{HostKey, Runtime, RuntimeConfig};
use vimhost_ssh::{Reach, SshInjector};
use vimhost_vnf_package::Packages;

use crate::osm::Osm;
use crate::plugin_dir::PluginDir;
use crate::settings::{Effective, Resolved, Settings, Source, Unused};
use crate::store;
use crate::telemetry::{self, Filter, Metrics, Telemetry, Traces};
use crate::templates::Worker;
use crate::vnf_lcm;

/// How long calls in flight may take at a stop. What is not over then is taken up by the next start.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long compiled images are kept that no start uses: long enough to go back to an earlier version.
const IMAGES_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Runs the host. `again` reads the settings once more, as they stand then.
pub async fn run(
    resolved: Resolved,
    again: impl Fn() -> anyhow::Result<Resolved> + Send + 'static,
) -> anyhow::Result<()> {
    let Telemetry {
        metrics,
        traces,
        filter,
        lines,
    } = telemetry::start(&resolved.settings)?;
    // From here on a hangup ends the host no more.
    let hangups = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    tokio::spawn(follow_log_setting(hangups, filter, again));
    let served = Box::pin(serve(resolved, metrics, traces)).await;
    if let Err(error) = &served {
        say_critical(error);
    }
    drop(lines);
    served
}

async fn serve(resolved: Resolved, metrics: Metrics, traces: Option<Traces>) -> anyhow::Result<()> {
    let Resolved {
        settings,
        effective,
        unused,
    } = resolved;
    tokio::spawn(metrics.clone().upkeep());
    say_settings(&effective);
    say_unused(&unused);
    let data_dir = settings.data_dir()?;
    let plugin_dir = settings.plugin_dir()?;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&data_dir)
        .with_context(|| format!("cannot make the data directory {}", data_dir.display()))?;
    let authentication = vnf_lcm::authentication(&settings)?;
    // Bound first: what cannot be served must not touch the store.
    let ng_ro_listener = bind("NG-RO", settings.ng_ro_listen).await?;
    let admin_listener = bind("admin", settings.admin_listen).await?;
    let vnf_lcm_listener = bind("VNF-LCM", settings.vnf_lcm_listen).await?;
    let metrics_listener = match settings.metrics_listen {
        Some(address) => Some(bind("metrics", address).await?),
        None => None,
    };
    let osm = Osm::of(&settings).await?;
    let opened = store::open(&settings, &data_dir).await?;
    let keys = Arc::new(opened.keys(settings.seal_keys.as_deref().unwrap_or(&data_dir))?);
    let runtime = Runtime::new(RuntimeConfig::new(data_dir.join("images"), image_key(&data_dir)?))
        .context("cannot start the plugin runtime")?;
    load_plugins(&runtime, &plugin_dir).await?;
    match runtime.prune_images(IMAGES_KEPT).await {
        Ok(0) => {}
        Ok(removed) => tracing::info!(removed, "compiled images that nothing used were removed"),
        // It costs room on the disk, nothing else.
        Err(error) => tracing::warn!(error = %error, "old compiled images cannot be removed"),
    }
    let config = EngineConfig {
        host: opened.host.clone(),
        calls_per_account: settings.calls_per_account.get(),
        calls_per_second: NonZeroU32::new(settings.calls_per_second),
        idle_period: (settings.idle_period > 0).then(|| Duration::from_secs(settings.idle_period)),
        leases: opened.leases,
        lcm: vnf_lcm::engine_config(&settings)?,
    };
    let connectors = Arc::new(PluginDir::new(runtime, plugin_dir));
    let injector = Arc::new(SshInjector::new(vimhost_ssh::Config {
        port: settings.ssh_port.get(),
        reach: Reach::new(settings.ssh_addresses.clone()),
    }));
    let (store, clock) = (opened.store.clone(), Arc::new(SystemClock));
    let templates = Arc::new(Worker::new());
    let stop = StopSignals::listen()?;
    let engine = Engine::start_with_templates(
        config,
        store.clone(),
        connectors,
        injector,
        keys.clone(),
        clock,
        templates,
    )
    .await
    .context("cannot start the engine")?;
    let lost = opened.guard(&engine);
    let endpoint = vnf_lcm::endpoint(&settings, vnf_lcm_listener.local_addr()?);
    let notifier = Notifier::start(store.clone(), keys, vnf_lcm::notify_options(&settings, &endpoint)).await;
    let shutdown = CancellationToken::new();
    let vnf_lcm = vnf_lcm_api::router(
        engine.clone(),
        Arc::new(Packages::new(store)),
        notifier.clone(),
        vnf_lcm::options(&settings, endpoint, authentication),
    );
    let ng_ro = ng_ro::router(
        engine.clone(),
        ng_ro::Options {
            limits: RequestLimits::default(),
            sources: sources(&settings),
        },
    );
    let options = admin_options(&settings, &shutdown, render(&metrics, &engine));
    let probes = admin::probes(engine.clone(), options.clone());
    let admin = admin::router(engine.clone(), options);
    announce(
        &ng_ro_listener,
        &admin_listener,
        &vnf_lcm_listener,
        metrics_listener.as_ref(),
    )?;
    let mut servers = vec![
        tokio::spawn(vimhost_api::serve(
            ng_ro_listener,
            ng_ro,
            ServeOptions::default(),
            shutdown.clone(),
        )),
        tokio::spawn(vimhost_api::serve(
            admin_listener,
            admin,
            ServeOptions::default(),
            shutdown.clone(),
        )),
        tokio::spawn(vimhost_api::serve(
            vnf_lcm_listener,
            vnf_lcm,
            ServeOptions::default(),
            shutdown.clone(),
        )),
    ];
    servers.extend(metrics_listener.map(|listener| {
        tokio::spawn(vimhost_api::serve(
            listener,
            probes,
            ServeOptions::default(),
            shutdown.clone(),
        ))
    }));
    let following = osm.map(|osm| osm.follow(&engine, &shutdown));
    tokio::select! {
        () = stop.any() => {}
        // Without a farewell: all that is this host's to write is another one's.
        () = lost.cancelled() => bail!(
            "another host has taken the standalone database over, because this one showed no sign of life for too long; several hosts need a \
             replica set"
        ),
    }
    tracing::info!("stopping");
    shutdown.cancel();
    for server in servers {
        server.await.context("a listener ended badly")?;
    }
    if let Some(following) = following {
        following.await.context("following OSM's accounts ended badly")?;
    }
    engine.stop(PATIENCE).await;
    // After what it tells of.
    notifier.stop(PATIENCE).await;
    opened.close().await;
    if let Some(traces) = traces {
        traces.stop().await;
    }
    tracing::info!("stopped");
    Ok(())
}

async fn bind(what: &str, address: std::net::SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!(
            "cannot listen on {address} for the {what} interface; another address is given by --{}-listen",
            what.to_lowercase()
        )
    })
}

/// The key that authenticates compiled connectors. It protects a cache, so a lost one is simply made anew.
fn image_key(data_dir: &Path) -> anyhow::Result<HostKey> {
    let path = data_dir.join("image.key");
    let kept = std::fs::read(&path)
        .ok()
        .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    if let Some(key) = kept {
        return Ok(HostKey::new(key));
    }
    let mut key = [0u8; 32];
    getrandom::fill(&mut key).context("the operating system gives no random bytes")?;
    write_private(&path, &key).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(HostKey::new(key))
}

fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

async fn load_plugins(runtime: &Runtime, dir: &Path) -> anyhow::Result<()> {
    let plugins = runtime
        .load_dir(dir)
        .await
        .with_context(|| format!("cannot read the plugin directory {}", dir.display()))?;
    if plugins.is_empty() {
        bail!(
            "no connector (*.wasm) in {}: build them with `cargo xtask plugins`",
            dir.display()
        );
    }
    Ok(())
}

fn sources(settings: &Settings) -> SourceRanges {
    if settings.ng_ro_sources.is_empty() {
        SourceRanges::default()
    } else {
        SourceRanges(settings.ng_ro_sources.clone())
    }
}

fn announce(
    ng_ro: &TcpListener,
    admin: &TcpListener,
    vnf_lcm: &TcpListener,
    metrics: Option<&TcpListener>,
) -> anyhow::Result<()> {
    let (ng_ro, admin, vnf_lcm) = (ng_ro.local_addr()?, admin.local_addr()?, vnf_lcm.local_addr()?);
    tracing::info!(%ng_ro, %admin, %vnf_lcm, "listening");
    // For whoever started the host: the addresses, which it cannot know when it asked for port 0.
    let mut out = std::io::stdout().lock();
    if let Some(metrics) = metrics {
        writeln!(out, "metrics http://{}", metrics.local_addr()?)?;
    }
    writeln!(
        out,
        "ng-ro http://{ng_ro}/ro\nadmin http://{admin}\nvnf-lcm http://{vnf_lcm}\nready"
    )?;
    out.flush()?;
    Ok(())
}

/// The signals that ask a host to stop. They are listened to before the host drives anything and says that it is ready: whoever waited for that word may ask
/// at once, and would end a host that does not listen yet as a crash does, its accounts not handed over.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?,
        })
    }

    /// Waits for one of them, also if it has come already.
    async fn any(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// At each hangup the settings are read again, and which lines are logged is as they say now. Nothing else of them is taken: what was bound,
/// opened and loaded by them is in use.
async fn follow_log_setting(mut hangups: Signal, filter: Filter, again: impl Fn() -> anyhow::Result<Resolved> + Send) {
    while hangups.recv().await.is_some() {
        let set = again().and_then(|resolved| {
            filter.set(&resolved.settings.log)?;
            Ok(resolved)
        });
        match set {
            Ok(resolved) => {
                let row = resolved.effective.iter().find(|row| row.key == "log");
                let source = row.map(|row| row.source.to_string());
                let value = row.and_then(|row| row.value.as_deref());
                tracing::info!(filter = value, source, "the filter of the log was read again");
            }
            Err(error) => {
                let error = format!("{error:#}").replace('\n', "; ");
                tracing::warn!(error, "settings cannot be read again; the filter of the log stays");
            }
        }
    }
}

fn render(metrics: &Metrics, engine: &Arc<Engine>) -> admin::RenderMetrics {
    let (metrics, engine) = (metrics.clone(), engine.clone());
    Arc::new(move || metrics.render(&engine))
}

fn admin_options(settings: &Settings, shutdown: &CancellationToken, render: admin::RenderMetrics) -> admin::Options {
    admin::Options {
        metrics: Some(render),
        tokens: settings.admin_tokens.clone(),
        shutdown: shutdown.clone(),
        ..admin::Options::default()
    }
}

/// Says why the host ends: somebody has to act. The target and the field are what alerts select.
fn say_critical(error: &anyhow::Error) {
    let chain: Vec<String> = error.chain().skip(1).map(ToString::to_string).collect();
    tracing::error!(
        target: "vimhost::critical",
        critical = true,
        error = %error,
        error.chain = (!chain.is_empty()).then(|| chain.join(": ")),
        "the host cannot go on"
    );
}

/// What somebody set, in one line: what is not said is as the documentation has it.
fn say_settings(effective: &[Effective]) {
    let set: Vec<String> = effective
        .iter()
        .filter(|row| row.source != Source::Default)
        .map(|row| format!("{}={} ({})", row.key, row.value.as_deref().unwrap_or(""), row.source))
        .collect();
    tracing::info!(set = set.join(", "), version = env!("CARGO_PKG_VERSION"), "starting");
}

/// Variables of NG-RO that somebody set for nothing, in one line.
fn say_unused(unused: &[Unused]) {
    if unused.is_empty() {
        return;
    }
    let names: Vec<&str> = unused.iter().map(|unused| &*unused.name).collect();
    tracing::info!(
        names = names.join(", "),
        "variables of NG-RO without effect; `vimhost check-config` says why"
    );
}
