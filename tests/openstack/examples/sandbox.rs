//! Prints what the sandbox costs the connector for OpenStack, on a real OpenStack: the size of the component, the memory of a call, and
//! what part of the calls' time is computing in the sandbox; the rest is waiting for the VIM.
//!
//! ```text
//! cargo xtask plugins && cargo build --release -p vimhost
//! cargo run --release -p vimhost-openstack-tests --example sandbox -- [VMs, 10 unless said otherwise]
//! ```
//!
//! A host of its own deploys so many VMs with two ports each, looks at them for a while, and terminates them. The figures are those of the
//! host's metrics, so that they can be read of any host in service too. Which OpenStack is chosen as the tests choose it.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use vimhost_openstack_tests::cloud;
use vimhost_tests::{Host, Setup, plugin_dir, wait_until};

const ACCOUNT: &str = "sandbox";
const LIMIT: Duration = Duration::from_secs(600);

/// Long enough for looks that find nothing new.
const WATCHED: Duration = Duration::from_secs(10);

const MIB: f64 = 1_048_576.0;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let count: usize = std::env::args().nth(1).map_or(Ok(10), |count| count.parse())?;
    let cloud = cloud();
    let dir = tempfile::tempdir()?;
    let mut setup = Setup::new(dir.path());
    setup.arguments = vec!["--idle-period".to_owned(), "1".to_owned()];
    let host = Host::start(&setup)?;
    cloud.account(ACCOUNT)?.add(&host).await?;
    let given = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let (image, network) = (
        given("VIMHOST_TEST_IMAGE", "cirros"),
        given("VIMHOST_TEST_NETWORK", "private"),
    );
    let name = format!("sandbox-{}", std::process::id());
    let service = json!({
        "name": name, "vim": ACCOUNT,
        "networks": {"mgmt": {"existing": network}, "data": {"subnet": "10.63.0.0/22"}},
        "flavours": {"small": {"vcpus": 1, "memory-mb": 256, "disk-gb": 1}},
        "vms": {"vm": {"count": count, "image": image, "flavour": "small",
                       "interfaces": [{"network": "mgmt", "management": true}, {"network": "data"}]}},
    });
    let path = format!("/v1/network-services/{name}");
    host.admin_ok("PUT", &path, Some(service)).await?;
    act(&host, &path, "deploy").await?;
    // A span to look in, not a wait for anything.
    tokio::time::sleep(WATCHED).await;
    act(&host, &path, "terminate").await?;
    let page = host.metrics_page().await?;
    let size = std::fs::metadata(plugin_dir()?.join("openstack.wasm"))?.len();
    print!("{}", report(&page, size).context("the host's metrics lack something")?);
    Ok(())
}

async fn act(host: &Host, path: &str, verb: &str) -> anyhow::Result<()> {
    let accepted = host
        .admin_ok("POST", &format!("{path}/{verb}"), Some(json!({})))
        .await?;
    let action = accepted
        .get("action_id")
        .and_then(Value::as_str)
        .context("no action")?
        .to_owned();
    wait_until(&format!("the end of {verb}"), LIMIT, async || {
        let state = host.admin_ok("GET", &format!("{path}/actions/{action}"), None).await?;
        let status = state.get("status").and_then(Value::as_str).unwrap_or_default();
        ensure!(status != "FAILED", "{verb} has failed: {state:#}");
        Ok(status == "DONE")
    })
    .await
}

/// The figures out of a page of metrics; none when a family is missing.
fn report(page: &str, size: u64) -> Option<String> {
    let calls = sum(page, "vimhost_connector_call_duration_seconds_count")?;
    let time = sum(page, "vimhost_connector_call_duration_seconds_sum")?;
    let computed = sum(page, "vimhost_connector_compute_seconds_sum")?;
    let runs = sum(page, "vimhost_connector_compute_seconds_count")?;
    let memory = sum(page, "vimhost_connector_memory_peak_bytes_sum")?;
    let metered = sum(page, "vimhost_connector_memory_peak_bytes_count")?;
    let requests = sum(page, "vimhost_egress_requests_total")?;
    let mut text = String::new();
    let mut line = |what: &str, value: String| {
        // Writing to a text does not fail.
        let _ = writeln!(text, "{what:<40} {value}");
    };
    #[expect(clippy::cast_precision_loss, reason = "no component has so many bytes")]
    let component = size as f64 / MIB;
    line("component", format!("{component:.2} MiB"));
    line("calls", format!("{calls}, with {requests} requests"));
    line(
        "memory of a call, on average",
        format!("{:.2} MiB", memory / metered.max(1.0) / MIB),
    );
    if let Some(most) = largest(page, "vimhost_connector_memory_peak_bytes_bucket") {
        line("memory of the largest call, at most", format!("{:.2} MiB", most / MIB));
    }
    line("a call, on average", format!("{:.2} ms", time / calls.max(1.0) * 1e3));
    line(
        "  of it computing in the sandbox",
        format!("{:.3} ms", computed / runs.max(1.0) * 1e3),
    );
    line(
        "share of time inside of the sandbox",
        format!("{:.2} %", 100.0 * computed / time),
    );
    Some(text)
}

/// The sum of all series of a family that belong to the connector.
fn sum(page: &str, family: &str) -> Option<f64> {
    let values: Vec<f64> = series(page, family)
        .filter_map(|line| line.rsplit_once(' ')?.1.parse().ok())
        .collect();
    (!values.is_empty()).then(|| values.iter().sum())
}

fn series<'p>(page: &'p str, family: &str) -> impl Iterator<Item = &'p str> {
    let begin = format!("{family}{{");
    page.lines()
        .filter(move |line| line.starts_with(&begin) && line.contains("plugin=\"openstack\""))
}

/// The smallest bound of a histogram that holds all of it.
fn largest(page: &str, family: &str) -> Option<f64> {
    let buckets: Vec<(f64, f64)> = series(page, family)
        .filter_map(|line| {
            let bound = line.split("le=\"").nth(1)?.split('"').next()?.parse().ok()?;
            Some((bound, line.rsplit_once(' ')?.1.parse().ok()?))
        })
        .collect();
    let all = buckets.iter().map(|(_, count)| *count).fold(0.0, f64::max);
    let holding = buckets
        .iter()
        .filter(|(bound, count)| bound.is_finite() && *count >= all);
    holding.map(|(bound, _)| *bound).reduce(f64::min)
}
