//! The host is killed at random points of deploy and terminate: nothing is lost, nothing is made twice.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mock_vim::{Faults, Inventory, Meta, Server};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use vimhost_tests::{Cluster, Host, Kills, Setup, figures, start_vim};

const VMS: usize = 30;
/// Kills of a host at work, in all and at least of each kind: in deploy, in terminate, in rounds with lost answers.
const KILLS: usize = 50;
const OF_EACH: usize = 10;
/// Lives of a host in one action that end with a kill, at most: where they are too short to get on in, the last one ends the action.
const LIVES: usize = 7;
/// Rounds of deploy and terminate in which hosts are killed, at most. Four are the fewest for so many kills; two kills in each action
/// need thirteen, and there are about five.
const ROUNDS: usize = 13;
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

/// What is done again and again.
struct Action {
    verb: &'static str,
    /// The shortest time that hosts were up for it after it was accepted: how far kills are apart depends on how long it really takes.
    shortest: Duration,
    /// Kills of a host at work on it.
    kills: usize,
}

impl Action {
    fn new(verb: &'static str) -> Self {
        Self {
            verb,
            shortest: LIMIT,
            kills: 0,
        }
    }

    /// Asks for it and sees it to its end; in so many lives the host may be killed on the way.
    async fn run(&mut self, setup: &Setup, round: usize, lives: usize, kills: &mut Kills) {
        let key = format!("{}-{round}", self.verb);
        let before = kills.counted();
        let mut accepted = false;
        let mut host = Host::start(setup).unwrap();
        let mut up_since = Instant::now();
        let mut up = Duration::ZERO;
        for life in 0..lives {
            let mut asked = None;
            if life == 0 {
                // Beside what follows, because the first kill may fall into the request itself.
                asked = Some(tokio::spawn(is_answered(self.request(&host, &key))));
            } else if !accepted {
                // Asked again, and waited for: where accepting takes long, all kills would fall there, and few into the work.
                accepted = is_answered(self.request(&host, &key)).await;
                assert!(accepted, "{key} is not answered");
                up_since = Instant::now();
            }
            let mut action = None;
            let hit = kills
                .hits(self.shortest / 2, async {
                    action = shown(&host, &key).await;
                    Ok(action.as_ref().is_some_and(|action| action["status"] == "BUILD"))
                })
                .await
                .unwrap();
            let over = !hit && action.is_some();
            assert!(
                hit || over || !accepted,
                "{key} was acknowledged, and the next host does not know it"
            );
            if !over {
                host.kill();
                up += up_since.elapsed();
            }
            if let Some(asked) = asked {
                accepted = asked.await.unwrap();
            }
            if over {
                break;
            }
            host = Host::start(setup).unwrap();
            up_since = Instant::now();
        }
        if !accepted {
            assert!(is_answered(self.request(&host, &key)).await, "{key} is not answered");
            up_since = Instant::now();
        }
        let deadline = Instant::now() + LIMIT;
        loop {
            let action = shown(&host, &key).await.unwrap();
            match action["status"].as_str() {
                Some("DONE") => break,
                Some("BUILD") if Instant::now() < deadline => {}
                _ => panic!("{key} is stuck or failed: {action:#}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.shortest = self.shortest.min(up + up_since.elapsed());
        self.kills += kills.counted() - before;
    }

    fn request(&self, host: &Host, key: &str) -> RequestBuilder {
        host.http
            .post(format!("{}/v1/network-services/thirty/{}", host.admin, self.verb))
            .header("Idempotency-Key", key)
            .json(&json!({}))
    }
}

/// Whether a request is answered, which has to be with success.
async fn is_answered(request: RequestBuilder) -> bool {
    let Ok(answer) = request.send().await else {
        return false;
    };
    let what = format!("{} answered {}", answer.url(), answer.status());
    let success = answer.status().is_success();
    let Ok(text) = answer.text().await else {
        return false;
    };
    assert!(success, "{what}: {text}");
    true
}

/// An action as a host shows it, if the host knows it.
async fn shown(host: &Host, key: &str) -> Option<Value> {
    let path = format!("/v1/network-services/thirty/actions/{key}");
    match host.admin("GET", &path, None).await.unwrap() {
        (200, action) => Some(action),
        (404, _) => None,
        (status, answer) => panic!("{path} answered {status}: {answer}"),
    }
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
    kill_test(
        "killed_at_fifty_random_points_a_host_loses_nothing_and_makes_nothing_twice",
        &Setup::new(dir.path()),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_fifty_random_points_a_host_on_mongodb_loses_nothing_and_makes_nothing_twice() {
    let servers = vimhost_mongod::one_node().await.unwrap();
    let cluster = Cluster::new(&servers.uri(), "kill").unwrap();
    kill_test(
        "killed_at_fifty_random_points_a_host_on_mongodb_loses_nothing_and_makes_nothing_twice",
        &cluster.setup("one"),
    )
    .await;
}

async fn kill_test(test: &str, setup: &Setup) {
    let mut kills = Kills::seeded(test);
    let vim = start_vim(Faults::default()).await.unwrap();
    {
        let host = Host::start(setup).unwrap();
        host.add_vim("mock", &vim.url()).await.unwrap();
        host.admin_ok("PUT", "/v1/network-services/thirty", Some(service()))
            .await
            .unwrap();
    }
    let begun = Instant::now();
    let (mut deploy, mut terminate) = (Action::new("deploy"), Action::new("terminate"));
    let mut with_lost = 0;
    let mut round = 0;
    let wanted = |counted: usize, each: [usize; 3]| counted >= KILLS && each.iter().all(|kills| *kills >= OF_EACH);
    while !wanted(kills.counted(), [deploy.kills, terminate.kills, with_lost]) {
        assert!(
            round <= ROUNDS,
            "{ROUNDS} rounds are too few for {KILLS} kills of a host at work, and {OF_EACH} of each kind: {} in deploy, {} in terminate, \
             {with_lost} of them with lost answers (seed {})",
            deploy.kills,
            terminate.kills,
            kills.seed()
        );
        // Nobody is killed in the first round: it tells how long things take here.
        let lives = if round == 0 { 0 } else { LIVES };
        // Every other round loses answers too: the work is done, and nobody is told.
        let loses = round > 0 && round % 2 == 0;
        let lost = if loses {
            let random = kills.random();
            json!([{"operation": "create", "every": 5 + random.below(5)}, {"operation": "delete", "every": 5 + random.below(5)}])
        } else {
            json!([])
        };
        // In the later rounds VMs take their time to go: the VIM accepts the deletion, and the host watches.
        let slow_deletion = if round < 3 { 0 } else { 200 };
        let faults = json!({
            "latency_ms": 50, "build_delay_ms": 100, "volume_delay_ms": 80, "answer_lost": lost,
            "server_delete_delay_ms": slow_deletion,
        });
        vim.set_faults(serde_json::from_value(faults).unwrap()).unwrap();
        let (before, lost_before) = (kills.counted(), answers_lost(&vim));
        deploy.run(setup, round, lives, &mut kills).await;
        assert_eq!(
            counts(&vim.inventory()),
            [VMS, 2 * VMS, VMS, 1, 1],
            "round {round} after deploy"
        );
        terminate.run(setup, round, lives, &mut kills).await;
        assert_eq!(
            vim.inventory().created(),
            0,
            "round {round}: left after terminate: {:#?}",
            vim.inventory()
        );
        if loses {
            assert!(answers_lost(&vim) > lost_before, "round {round}: no answer was lost");
            with_lost += kills.counted() - before;
        }
        round += 1;
    }
    let line = format!(
        "seed {}: {} kills of a host at work, {} in deploy and {} in terminate, {with_lost} of them in rounds with lost answers ({} were \
         lost); {round} rounds of {VMS} VMs, the first without kills; {:.1} s",
        kills.seed(),
        kills.counted(),
        deploy.kills,
        terminate.kills,
        answers_lost(&vim),
        begun.elapsed().as_secs_f64()
    );
    figures::note(test, &line).unwrap();
    vim.stop().await.unwrap();
}

/// How many answers the VIM has lost so far.
fn answers_lost(vim: &Server) -> u64 {
    let calls = vim.requests().requests;
    let lost = calls.iter().filter(|(call, _)| call.ends_with(" lost"));
    lost.map(|(_, count)| count).sum()
}
