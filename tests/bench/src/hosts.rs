//! One, two and three hosts on one replica set. On a machine with few cores they share those, and the database takes its part: the
//! figure shows what sharing the work costs there, not what it brings.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;
use vimhost_tests::wait_until;

use crate::figure::Figures;
use crate::harness::{BenchHost, Place, Wave};

/// Accounts a host drives.
const ACCOUNTS: usize = 2;

/// Accounts after which some host gets none, which is no chance any more.
const MOST_ACCOUNTS: usize = 100;

pub(crate) async fn measure(figures: &mut Figures) -> anyhow::Result<()> {
    let mut alone = 0.0;
    for count in 1..=3 {
        let rate = of_hosts(count).await?;
        figures.add(format!("hosts.{count}.tasks"), rate, "tasks/s", None);
        if count == 1 {
            alone = rate;
        } else {
            figures.add(format!("hosts.{count}_to_1"), rate / alone, "×", None);
        }
    }
    Ok(())
}

async fn of_hosts(count: usize) -> anyhow::Result<f64> {
    let place = Place::mongo(&format!("hosts-{count}")).await?;
    let mut hosts = vec![];
    for number in 0..count {
        hosts.push(BenchHost::start_named(&place, &format!("host-{number}"))?);
    }
    let accounts = accounts(&hosts).await?;
    let wave = |prefix: &str| Wave {
        hosts: &hosts,
        accounts: accounts.clone(),
        prefix: prefix.to_owned(),
        services: 36,
        vms: 30,
    };
    wave("warm").run().await?;
    wave("timed").rate().await
}

/// Adds accounts until each host drives as many as are wanted of it. A new account is driven by whichever host is first, so some
/// are left over.
async fn accounts(hosts: &[BenchHost]) -> anyhow::Result<Vec<String>> {
    let host = hosts.first().context("no host")?;
    let mut of_host: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for number in 0..MOST_ACCOUNTS {
        let id = format!("bench-{number}");
        host.add_account(&id).await?;
        let driven = of_host.entry(driver(host, &id).await?).or_default();
        if driven.len() < ACCOUNTS {
            driven.push(id);
        }
        if of_host.len() == hosts.len() && of_host.values().all(|driven| driven.len() == ACCOUNTS) {
            return Ok(of_host.into_values().flatten().collect());
        }
    }
    bail!("of {} hosts only these drive accounts: {of_host:?}", hosts.len())
}

/// Waits until somebody drives an account; who it is.
async fn driver(host: &BenchHost, id: &str) -> anyhow::Result<String> {
    let target = format!("vim:{id}");
    let driver = async || {
        let leases = leases(host).await?;
        anyhow::Ok(leases.into_iter().find(|(of, _)| *of == target).map(|(_, by)| by))
    };
    wait_until("a claim", Duration::from_secs(10), async || {
        Ok(driver().await?.is_some())
    })
    .await?;
    driver().await?.context("nobody drives the account")
}

/// Accounts and who drives them.
async fn leases(host: &BenchHost) -> anyhow::Result<Vec<(String, String)>> {
    let page = host.host.admin_ok("GET", "/v1/leases", None).await?;
    let items = page.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |item: &Value, key: &str| item.get(key).and_then(Value::as_str).map(str::to_owned);
    Ok(items
        .iter()
        .filter_map(|item| Some((text(item, "target")?, text(item, "host")?)))
        .collect())
}
