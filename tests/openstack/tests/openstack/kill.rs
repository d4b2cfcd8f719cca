//! The host is killed while it deploys, operates, heals, scales and terminates: nothing is lost, nothing is made twice.

use std::time::{Duration, Instant};

use serde_json::Value;
use vimhost_openstack_tests::{Cloud, Inventory, cloud};
use vimhost_tests::{Host, Lcm, Random, figures};

use crate::service::{ACCOUNT, Service, THREE_VMS, assert_as_before, assert_made, three_vms, turn};

/// Kills, each while something is under way. A life has 21 places for one, and an action that is over before its kill is due is let
/// alone, so that a second life may be needed.
const KILLS: usize = 20;
const MOST_LIVES: usize = 4;

/// How far a kill is from what went before: a deployment takes the lab some twenty seconds, an operation a few.
const SPAN_OF_DEPLOYMENT_MS: u64 = 6000;
const SPAN_OF_OPERATION_MS: u64 = 2500;

/// The first kill of a deployment is no later than this, and may fall into the request itself.
const ASKING_MS: u64 = 400;

/// Kills hosts, and counts.
struct Killer {
    random: Random,
    kills: usize,
}

impl Killer {
    fn kill(&mut self, service: &mut Service) {
        service.host.kill();
        self.kills += 1;
        service.host = Host::start(&service.setup).unwrap();
    }

    /// Until the end of a deployment, or of another action that has the id its request names.
    async fn deploy(&mut self, service: &mut Service, action: &str, body: &Value, kills: usize) {
        let kill_at = Instant::now() + Duration::from_millis(self.random.below(ASKING_MS));
        // The same request again is the same action, so a client repeats it until somebody has answered.
        let lcm = service.lcm();
        let asked = lcm.deploy(&service.nsr, body);
        let _unanswered = tokio::time::timeout_at(kill_at.into(), asked).await;
        // Where it dies is what is drawn here, not what is waited for.
        tokio::time::sleep_until(kill_at.into()).await;
        self.kill(service);
        let asked = service.lcm().deploy(&service.nsr, body).await.unwrap();
        assert_eq!(asked, action);
        self.end(service, action, kills - 1, SPAN_OF_DEPLOYMENT_MS).await;
    }

    /// Until the end of an operation. Its request names no id and is not repeated: the first kill comes after the answer.
    async fn operate(&mut self, service: &mut Service, topic: &str, body: &Value, kills: usize) {
        let action = service.lcm().operate(topic, &service.nsr, body).await.unwrap();
        self.end(service, &action, kills, SPAN_OF_OPERATION_MS).await;
    }

    async fn end(&mut self, service: &mut Service, action: &str, kills: usize, span_ms: u64) {
        for _ in 0..kills {
            // A point in time to be chosen, not a wait for anything.
            tokio::time::sleep(Duration::from_millis(self.random.below(span_ms))).await;
            let status = service.lcm().status(&service.nsr, action).await.unwrap();
            if status["status"] != "BUILD" {
                break;
            }
            self.kill(service);
        }
        service.done(action).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an OpenStack; `cargo xtask test --lab` has one"]
async fn killed_at_twenty_points_of_a_services_life_a_host_loses_nothing_and_makes_nothing_twice() {
    let _turn = turn().await;
    let cloud = cloud();
    let before = Inventory::of(cloud).unwrap();
    let test = "killed_at_twenty_points_of_a_services_life_a_host_loses_nothing_and_makes_nothing_twice";
    let mut killer = Killer {
        random: Random::seeded(test),
        kills: 0,
    };
    let mut lives = 0;
    while killer.kills < KILLS {
        assert!(lives < MOST_LIVES, "{} kills in {lives} lives", killer.kills);
        live(cloud, &before, &mut killer).await;
        lives += 1;
    }
    let line = format!("seed {}: {} kills in {lives} lives", killer.random.seed(), killer.kills);
    figures::note(test, &line).unwrap();
}

/// A whole life of a service, as `lifecycle` has it.
async fn live(cloud: &Cloud, before: &Inventory, killer: &mut Killer) {
    let account = cloud.account(ACCOUNT).unwrap();
    let mut service = Service::new("kill", &account, &[], three_vms).await;
    let body = service.body("instantiate");
    killer.deploy(&mut service, "instantiate", &body, 5).await;
    assert_made(cloud, before, &THREE_VMS);
    assert_all_known(&service).await;

    for topic in ["stop", "start", "rebuild"] {
        let body = service.operate(topic, 0, 1).await;
        killer.operate(&mut service, topic, &body, 1).await;
    }
    let body = service.migration(1);
    killer.operate(&mut service, "migrate", &body, 1).await;
    assert_made(cloud, before, &THREE_VMS);

    let body = service.healing(0);
    killer.operate(&mut service, "recreate", &body, 3).await;
    assert_made(cloud, before, &[("server", 3), ("port", 7), ("volume", 2)]);

    service.add_replica().await;
    let body = service.body("scale-out");
    killer.deploy(&mut service, "scale-out", &body, 2).await;
    assert_made(cloud, before, &[("server", 4), ("port", 9)]);
    service.give_up_replica().await;
    let body = service.body("scale-in");
    killer.deploy(&mut service, "scale-in", &body, 2).await;
    service.forget_replica().await;
    assert_made(cloud, before, &[("server", 3), ("port", 7)]);

    let body = service.growth(1);
    killer.operate(&mut service, "verticalscale", &body, 2).await;
    assert_made(cloud, before, &[("server", 3), ("port", 7), ("network", 3)]);
    assert_all_known(&service).await;

    killer
        .deploy(&mut service, "terminate", &Lcm::terminate_body("terminate"), 3)
        .await;
    // The volume that is kept is nobody's from here on.
    let found = service.audited().await;
    assert!(
        matches!(found.as_slice(), [[verdict, kind, _]] if verdict == "orphan" && kind == "volume"),
        "{found:#?}"
    );
    assert_as_before(cloud, before, 1).await;
}

/// The audit finds nothing that no record owns, and nothing gone that a record names.
async fn assert_all_known(service: &Service) {
    let found = service.audited().await;
    assert!(found.is_empty(), "{found:#?}");
}
