//! How much is asked of Heat: by one operation, and by many at once.

use std::collections::BTreeMap;

use http_proxy::Proxies;
use vimhost_openstack_tests::cloud;
use vimhost_tests::wait_until;

use crate::heat::{World, forceful, package, request, scale_out, waiting};
use crate::service::{LIMIT, turn};

/// Enough that a look for each stack shows, few enough for a lab on two cores; `VIMHOST_TEST_STACKS` asks for more.
const MANY: usize = 20;

type Counts = BTreeMap<String, u64>;

const TOKENS: &str = "POST identity /auth/tokens";
const LIST: &str = "GET orchestration /stacks";
const SHOW: &str = "GET orchestration /stacks/{name}/{id}";

fn count(counts: &Counts, what: &str) -> u64 {
    counts.get(what).copied().unwrap_or_default()
}

/// Looks at stacks: one is shown, several are listed.
fn looks(counts: &Counts) -> u64 {
    count(counts, LIST) + count(counts, SHOW)
}

/// All requests to Heat.
fn of_heat(counts: &Counts) -> u64 {
    let heat = counts.iter().filter(|(what, _)| what.contains(" orchestration "));
    heat.map(|(_, count)| count).sum()
}

/// Seconds from the look that found a stack complete to the end of its operation, by the host's log; none until it stands there.
fn lag(log: &str, op_occ: &str) -> Option<f64> {
    let at = |what: &str, how: &str| {
        let line = log
            .lines()
            .rfind(|line| line.contains(op_occ) && line.contains(what) && line.contains(how))?;
        // The time in `2026-01-02T03:04:05.678901Z`.
        let parts = line[11..26].split(':').map(|part| part.parse::<f64>().unwrap());
        Some(parts.fold(0.0_f64, |sum, part| sum * 60.0 + part))
    };
    Some(at("operation entered a state", "COMPLETED")? - at("stack observed", "progress: Complete")?)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an OpenStack with Heat; `cargo xtask test --lab` has one"]
async fn requests_to_heat_are_as_few_as_they_can_be_and_none_is_redirected() {
    let _turn = turn().await;
    let proxies = Proxies::before(&cloud().services().unwrap()).await.unwrap();
    let world = World::new(cloud(), &package(), Some(&proxies)).await;
    let id = world.created("requests").await;
    let mut tokens = count(&proxies.take_counts(), TOKENS);
    let instantiation = request(world.cloud);
    // Beside looks: the stack is made, changed or deleted, and its resources are read.
    for (operation, body, more) in [
        ("instantiate", instantiation, 2),
        ("scale", scale_out(), 2),
        ("terminate", forceful(), 1),
    ] {
        world.completed(&id, operation, &body).await;
        let counts = proxies.take_counts();
        println!("{operation}: {counts:#?}");
        assert!(of_heat(&counts) <= looks(&counts) + more, "{operation}: {counts:#?}");
        // By its name alone a stack is answered for with a redirect.
        assert!(
            !counts.keys().any(|what| what.ends_with("/stacks/{name}")),
            "{counts:#?}"
        );
        tokens += count(&counts, TOKENS);
    }
    assert_eq!(tokens, 1, "one token serves them all");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an OpenStack with Heat; `cargo xtask test --lab` has one"]
async fn instantiations_at_once_share_their_looks_and_their_token() {
    let _turn = turn().await;
    let many = std::env::var("VIMHOST_TEST_STACKS")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(MANY);
    let proxies = Proxies::before(&cloud().services().unwrap()).await.unwrap();
    let world = World::new(cloud(), &waiting(10), Some(&proxies)).await;
    let mut ids = Vec::new();
    for number in 0..many {
        ids.push(world.created(&format!("many-{number}")).await);
    }
    let tokens = count(&proxies.take_counts(), TOKENS);
    let body = request(world.cloud);
    let mut op_occs = Vec::new();
    for id in &ids {
        op_occs.push(world.client.begin(id, "instantiate", &body).await.unwrap());
    }
    for op_occ in &op_occs {
        world.ends(op_occ, "COMPLETED").await;
    }
    let counts = proxies.take_counts();
    let lags = || -> Vec<f64> {
        let log = world.host.log();
        op_occs.iter().filter_map(|op_occ| lag(&log, op_occ)).collect()
    };
    // The host writes a line after the end is on disk, and a thread reads it.
    wait_until("the last line of each operation", LIMIT, async || {
        Ok(lags().len() == many)
    })
    .await
    .unwrap();
    let mut lags = lags();
    lags.sort_by(f64::total_cmp);
    println!(
        "{many} instantiations: {} looks, {} requests to Heat; from complete to COMPLETED {:.3} s at most, {:.3} s in the middle\n{counts:#?}",
        looks(&counts),
        of_heat(&counts),
        lags[many - 1],
        lags[many / 2]
    );
    let each = u64::try_from(many).unwrap();
    assert_eq!(count(&counts, "POST orchestration /stacks"), each, "{counts:#?}");
    let resources = "GET orchestration /stacks/{name}/{id}/resources";
    assert_eq!(count(&counts, resources), each, "{counts:#?}");
    assert_eq!(
        of_heat(&counts),
        looks(&counts) + 2 * each,
        "nothing else is asked: {counts:#?}"
    );
    // One by one a stack that takes ten seconds is looked at eight times or more. Together they are looked at when one of them has just
    // been made, and as often as one of them would be.
    assert!(looks(&counts) <= 2 * each + 40, "{} looks: {counts:#?}", looks(&counts));
    assert_eq!(tokens + count(&counts, TOKENS), 1, "one token serves them all");

    let mut op_occs = Vec::new();
    for id in &ids {
        op_occs.push(world.client.begin(id, "terminate", &forceful()).await.unwrap());
    }
    for op_occ in &op_occs {
        world.ends(op_occ, "COMPLETED").await;
    }
}
