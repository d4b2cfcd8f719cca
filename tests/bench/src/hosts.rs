//! One, two and three hosts on one replica set. On a machine with few cores they share those, and the database takes its part: the
//! figure shows what sharing the work costs there, not what it brings.

use std::collections::BTreeSet;

use anyhow::ensure;
use serde_json::Value;
use vimhost_tests::wait_until;

use crate::figure::Figures;
use crate::harness::{BenchHost, Place, Wave};

/// Accounts a host drives.
const ACCOUNTS: usize = 2;

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
    let mut accounts = vec![];
    for number in 0..count {
        hosts.push(BenchHost::start_named(&place, &format!("host-{number}"))?);
    }
    // Turn by turn, so that the n-th host is asked for services on accounts that it drives itself.
    for round in 0..ACCOUNTS {
        for (number, host) in hosts.iter().enumerate() {
            let id = format!("bench-{round}-{number}");
            host.add_account(&id).await?;
            driven(host, &id).await?;
            accounts.push(id);
        }
    }
    let drivers = drivers(&hosts).await?;
    ensure!(
        drivers.len() == count,
        "of {count} hosts only these drive accounts: {drivers:?}"
    );
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

/// Waits until somebody drives an account.
async fn driven(host: &BenchHost, id: &str) -> anyhow::Result<()> {
    let target = format!("vim:{id}");
    wait_until("a claim", std::time::Duration::from_secs(10), || async {
        Ok(leases(host).await?.iter().any(|(of, _)| *of == target))
    })
    .await
}

async fn drivers(hosts: &[BenchHost]) -> anyhow::Result<BTreeSet<String>> {
    match hosts.first() {
        Some(host) => Ok(leases(host).await?.into_iter().map(|(_, host)| host).collect()),
        None => Ok(BTreeSet::new()),
    }
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
