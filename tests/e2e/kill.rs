//! The host is killed at random points of deploy and terminate: nothing is lost, nothing is made twice.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mock_vim::{Faults, Inventory, Meta};
use serde_json::{Value, json};
use vimhost_tests::{Cluster, Host, Random, Setup, start_vim};

const VMS: usize = 30;
/// Rounds of deploy and terminate, and kills in each half of a round: 5 x (5 + 5) = 50.
const ROUNDS: usize = 5;
const KILLS: usize = 5;
/// A whole deploy takes about this long on an idle machine with two cores; kills fall anywhere in it.
const SPAN_MS: u64 = 1500;
const LIMIT: Duration = Duration::from_secs(90);

fn service() -> Value {
    json!({
        "name": "thirty", "vim": "mock",
        "networks": {"mgmt": {"existing": "mgmt"}, "data": {"subnet": "10.9.0.0/24"}},
        "flavours": {"small": {"vcpus": 1, "memory-mb": 512, "disk-gb": 5}},
        "vms": {"vm": {"count": VMS, "image": "ubuntu18.04", "flavour": "small",
                       "interfaces": [{"network": "mgmt", "management": true}, {"network": "data"}],
                       "volumes": [{"name": "data", "size-gb": 1}]}},
    })
}

/// A request that is repeated until a host has answered it: the client of a host that is killed does just that.
async fn insist(host: &Host, path: &str, key: &str) -> Option<Value> {
    let request = host
        .http
        .post(format!("{}{path}", host.admin))
        .header("Idempotency-Key", key)
        .json(&json!({}));
    match request.send().await {
        Ok(response) if response.status().is_success() => response.json().await.ok(),
        Ok(response) => panic!(
            "{path} answered {}: {}",
            response.status(),
            response.text().await.unwrap_or_default()
        ),
        Err(_) => None,
    }
}

/// Runs one action to its end, killing the host on the way; answers how often it was killed.
async fn run_with_kills(setup: &Setup, verb: &str, key: &str, random: &mut Random) -> usize {
    let path = format!("/v1/network-services/thirty/{verb}");
    let mut accepted = false;
    let mut killed = 0;
    while killed < KILLS {
        let mut host = Host::start(setup).unwrap();
        let pause = Duration::from_millis(random.below(SPAN_MS));
        let kill_at = Instant::now() + pause;
        if !accepted {
            // The kill may fall into the request itself; an answer that did not come is asked for again.
            let answered = tokio::time::timeout(pause, insist(&host, &path, key)).await;
            accepted = matches!(answered, Ok(Some(_)));
        }
        // Where it dies is what is drawn here, not what is waited for.
        tokio::time::sleep(kill_at.saturating_duration_since(Instant::now())).await;
        host.kill();
        killed += 1;
    }
    let host = Host::start(setup).unwrap();
    if !accepted {
        insist(&host, &path, key).await.unwrap();
    }
    let deadline = Instant::now() + LIMIT;
    loop {
        let action = host
            .admin_ok("GET", &format!("/v1/network-services/thirty/actions/{key}"), None)
            .await
            .unwrap();
        match action["status"].as_str() {
            Some("DONE") => break,
            Some("BUILD") if Instant::now() < deadline => {}
            _ => panic!("{verb} is stuck or failed: {action:#}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    killed
}

fn unique<'m>(kind: &str, metas: impl Iterator<Item = &'m Meta>) -> usize {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for meta in metas.filter(|meta| !meta.preset) {
        *seen
            .entry(meta.token.as_deref().expect("every element carries a token"))
            .or_default() += 1;
    }
    let twice: Vec<_> = seen.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "made twice: {kind} {twice:?}");
    seen.len()
}

fn counts(inventory: &Inventory) -> [usize; 5] {
    [
        unique("servers", inventory.servers.iter().map(|item| &item.meta)),
        unique("ports", inventory.ports.iter().map(|item| &item.meta)),
        unique("volumes", inventory.volumes.iter().map(|item| &item.meta)),
        unique("networks", inventory.networks.iter().map(|item| &item.meta)),
        unique("flavours", inventory.flavours.iter().map(|item| &item.meta)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_fifty_random_points_a_host_loses_nothing_and_makes_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    kill_test("kill test", &Setup::new(dir.path())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_fifty_random_points_a_host_on_mongodb_loses_nothing_and_makes_nothing_twice() {
    let servers = vimhost_mongod::one_node().await.unwrap();
    let cluster = Cluster::new(&servers.uri(), "kill").unwrap();
    kill_test("kill test on MongoDB", &cluster.setup("one")).await;
}

async fn kill_test(name: &str, setup: &Setup) {
    let mut random = Random::seeded(name);
    let vim = start_vim(Faults::default()).await.unwrap();
    {
        let host = Host::start(setup).unwrap();
        host.add_vim("mock", &vim.url()).await.unwrap();
        host.admin_ok("PUT", "/v1/network-services/thirty", Some(service()))
            .await
            .unwrap();
    }
    let begun = Instant::now();
    let mut kills = 0;
    for round in 0..ROUNDS {
        // Every other round loses answers too: the work is done, and nobody is told.
        let lost = if round % 2 == 0 {
            json!([])
        } else {
            json!([{"operation": "create", "every": 5 + random.below(5)}, {"operation": "delete", "every": 5 + random.below(5)}])
        };
        // In the later rounds VMs take their time to go: the VIM accepts the deletion, and the host watches.
        let slow_deletion = if round < 2 { 0 } else { 200 };
        let faults = json!({
            "latency_ms": 50, "build_delay_ms": 100, "volume_delay_ms": 80, "answer_lost": lost,
            "server_delete_delay_ms": slow_deletion,
        });
        vim.set_faults(serde_json::from_value(faults).unwrap()).unwrap();
        kills += run_with_kills(setup, "deploy", &format!("deploy-{round}"), &mut random).await;
        assert_eq!(
            counts(&vim.inventory()),
            [VMS, 2 * VMS, VMS, 1, 1],
            "round {round} after deploy"
        );
        kills += run_with_kills(setup, "terminate", &format!("terminate-{round}"), &mut random).await;
        assert_eq!(
            vim.inventory().created(),
            0,
            "round {round}: left after terminate: {:#?}",
            vim.inventory()
        );
    }
    println!(
        "{name}: {kills} kills, {ROUNDS} rounds of {VMS} VMs, {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    vim.stop().await.unwrap();
}
