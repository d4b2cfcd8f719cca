//! The host is killed at random points of deploying and terminating: nothing is lost, nothing is made twice.

use std::time::{Duration, Instant};

use vimhost_openstack_tests::{Inventory, cloud};
use vimhost_tests::{Host, Lcm, Random};

use crate::service::{ACCOUNT, LIMIT, Service, THREE_VMS, assert_as_before, assert_made, three_vms, turn};

/// Kills: 2 x (5 + 5) = 20.
const ROUNDS: usize = 2;
const KILLS: usize = 5;
/// A deployment takes the lab some twenty seconds; five kills of at most this much apart fall anywhere in it.
const SPAN_MS: u64 = 6000;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an OpenStack; `cargo xtask test --lab` has one"]
async fn killed_at_twenty_random_points_a_host_loses_nothing_and_makes_nothing_twice() {
    let _turn = turn().await;
    let cloud = cloud();
    let mut random = Random::seeded("kill test against OpenStack");
    let before = Inventory::of(cloud).unwrap();
    let account = cloud.account(ACCOUNT).unwrap();
    let mut service = Service::new("kill", &account, &[], three_vms).await;
    for round in 0..ROUNDS {
        let action = format!("deploy-{round}");
        let body = service.body(&action);
        run_with_kills(&mut service, &action, &body, &mut random).await;
        assert_made(cloud, &before, &THREE_VMS);
        let action = format!("terminate-{round}");
        run_with_kills(&mut service, &action, &Lcm::terminate_body(&action), &mut random).await;
        assert_as_before(cloud, &before, 1).await;
    }
}

async fn run_with_kills(service: &mut Service, action: &str, body: &serde_json::Value, random: &mut Random) {
    for _ in 0..KILLS {
        let kill_at = Instant::now() + Duration::from_millis(random.below(SPAN_MS));
        // The same request again is the same action, so a client repeats it until somebody has answered. The kill may fall into it.
        let lcm = service.lcm();
        let asked = lcm.deploy(&service.nsr, body);
        let _unanswered = tokio::time::timeout_at(kill_at.into(), asked).await;
        // Where it dies is what is drawn here, not what is waited for.
        tokio::time::sleep_until(kill_at.into()).await;
        service.host.kill();
        service.host = Host::start(&service.setup).unwrap();
    }
    let asked = service.lcm().deploy(&service.nsr, body).await.unwrap();
    assert_eq!(asked, action);
    service.lcm().wait_done(&service.nsr, action, LIMIT).await.unwrap();
}
