//! `vimhost mock-vim`.

use std::io::Write as _;

use anyhow::Context as _;
use mock_vim::{Config, Credentials, Faults, Server};
use serde_json::{Map, Value};

use crate::cli::MockVimOptions;
use crate::telemetry;

/// Runs a mock VIM until it is interrupted.
pub async fn run(options: MockVimOptions) -> anyhow::Result<()> {
    telemetry::start_simple();
    let script = options.faults.as_deref().unwrap_or("{}");
    let faults = merged(script, options.latency, options.build_delay).context("--faults is no fault script")?;
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

/// A fault script, and what the options say where it is silent. The script goes first: it names each wait by itself, while an option
/// stands for several.
fn merged(script: &str, latency_ms: u64, build_delay_ms: u64) -> serde_json::Result<Faults> {
    let mut faults: Faults = serde_json::from_str(script)?;
    // Read once more for what it says: among the faults a wait of 0 looks like none that was said.
    let said: Map<String, Value> = serde_json::from_str(script)?;
    for (name, wait, option) in [
        ("latency_ms", &mut faults.latency_ms, latency_ms),
        ("build_delay_ms", &mut faults.build_delay_ms, build_delay_ms),
        ("stack_delay_ms", &mut faults.stack_delay_ms, build_delay_ms),
    ] {
        if !said.contains_key(name) {
            *wait = option;
        }
    }
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_fills_in_only_where_the_script_is_silent() {
        let waits = |script: &str| {
            let faults = merged(script, 20, 1500).unwrap();
            [faults.latency_ms, faults.build_delay_ms, faults.stack_delay_ms]
        };
        assert_eq!(waits("{}"), [20, 1500, 1500]);
        assert_eq!(waits(r#"{"latency_ms": 5}"#), [5, 1500, 1500]);
        assert_eq!(waits(r#"{"build_delay_ms": 7}"#), [20, 7, 1500]);
        assert_eq!(waits(r#"{"latency_ms": 0, "stack_delay_ms": 0}"#), [0, 1500, 0]);
    }

    #[test]
    fn what_is_no_wait_is_the_scripts_alone() {
        let script = r#"{"jitter_ms": 3, "fail": [{"kind": "images"}]}"#;
        let wanted = Faults {
            latency_ms: 20,
            ..serde_json::from_str(script).unwrap()
        };
        assert_eq!(merged(script, 20, 0).unwrap(), wanted);
        for wrong in ["", "[]", "null", r#"{"latency": 5}"#, r#"{"nonsense": 1}"#] {
            assert!(merged(wrong, 20, 0).is_err(), "{wrong}");
        }
    }
}
