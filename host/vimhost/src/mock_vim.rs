//! `vimhost mock-vim`.

use std::io::Write as _;

use anyhow::Context as _;
use mock_vim::{Config, Credentials, Faults, Server};

use crate::cli::MockVimOptions;
use crate::telemetry;

/// Runs a mock VIM until it is interrupted.
pub async fn run(options: MockVimOptions) -> anyhow::Result<()> {
    telemetry::start_simple();
    let mut faults: Faults = match &options.faults {
        Some(text) => serde_json::from_str(text).context("--faults is no fault script")?,
        None => Faults::default(),
    };
    if options.latency > 0 {
        faults.latency_ms = options.latency;
    }
    if options.build_delay > 0 {
        faults.build_delay_ms = options.build_delay;
        faults.stack_delay_ms = options.build_delay;
    }
    let server = Server::start(Config {
        listen: options.listen,
        credentials: Credentials {
            user: options.user,
            password: options.password,
            tenant: options.tenant,
        },
        state_file: options.state,
        faults,
        ..Config::default()
    })
    .await
    .with_context(|| format!("cannot start a mock VIM on {}", options.listen))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "mock-vim {}\nready", server.url())?;
    out.flush()?;
    drop(out);
    tokio::signal::ctrl_c().await.context("cannot listen for SIGINT")?;
    server.stop().await.context("the mock VIM did not stop in order")
}
