//! How much is asked of Heat: by one operation, and by many at once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use http_proxy::Proxies;
use serde_json::{Value, json};
use vimhost_openstack_tests::{Cloud, cloud};
use vimhost_tests::wait_until;

use crate::heat::{AtLast, World, forceful, made_in, package, request, scale_out};
use crate::service::{LIMIT, turn};

/// Enough that a look for each stack shows, few enough for a lab on two cores.
const FEW: usize = 20;

/// What an orchestrator of some hundreds of VNFs has under way at a bad time; `VIMHOST_TEST_STACKS` asks for more, or less.
const MANY: usize = 100;

/// How long each of [`MANY`] stacks takes.
const MINUTE: u32 = 60;

/// Looks in a minute, however many stacks are waited for.
const LOOKS_A_MINUTE: u64 = 20;

/// How long [`MANY`] stacks may take. Heat's one engine in the lab works on 64 resources at once, so they take two turns of a minute, and
/// two cores serve Heat, Keystone and the host.
const PATIENCE: Duration = Duration::from_secs(20 * 60);

/// The network that a connection point is moved to.
const ELSEWHERE: &str = "10.63.0.0/24";

type Counts = BTreeMap<String, u64>;

const TOKENS: &str = "POST identity /auth/tokens";
const LIST: &str = "GET orchestration /stacks";
const SHOW: &str = "GET orchestration /stacks/{name}/{id}";
const CREATE: &str = "POST orchestration /stacks";
pub(crate) const UPDATE: &str = "PATCH orchestration /stacks/{name}/{id}";
const DELETE: &str = "DELETE orchestration /stacks/{name}/{id}";
const RESOURCES: &str = "GET orchestration /stacks/{name}/{id}/resources";
/// A resource that is marked unhealthy; its name stands behind this.
const MARK: &str = "PATCH orchestration /stacks/{name}/{id}/resources/";

fn count(counts: &Counts, what: &str) -> u64 {
    counts.get(what).copied().unwrap_or_default()
}

/// Looks at stacks: one is shown, several are listed.
fn looks(counts: &Counts) -> u64 {
    count(counts, LIST) + count(counts, SHOW)
}

fn of_those(counts: &Counts, meant: impl Fn(&str) -> bool) -> u64 {
    let those = counts.iter().filter(|(what, _)| meant(what));
    those.map(|(_, count)| count).sum()
}

/// All requests to Heat.
fn of_heat(counts: &Counts) -> u64 {
    of_those(counts, |what| what.contains(" orchestration "))
}

/// Counted after `before`.
fn since(before: &Counts, counts: Counts) -> Counts {
    let grown = counts.into_iter().map(|(what, now)| {
        let more = now - count(before, &what);
        (what, more)
    });
    grown.filter(|(_, more)| *more > 0).collect()
}

/// What an operation asks of Heat beside looks.
pub(crate) struct Beside {
    /// What makes, changes or deletes the stack.
    pub(crate) sent: &'static str,
    /// How often that is sent.
    pub(crate) times: u64,
    /// Resources that are marked unhealthy.
    pub(crate) marks: u64,
    /// How often all resources are read.
    pub(crate) reads: u64,
}

/// Does an operation to its end, and asserts that it asks nothing else of Heat, and nothing by a name alone. Answers its occurrence.
pub(crate) async fn done(
    world: &World,
    proxies: &Proxies,
    id: &str,
    operation: &str,
    body: &Value,
    beside: Beside,
) -> Value {
    let before = proxies.counts();
    let begun = Instant::now();
    let over = world.completed(id, operation, body).await;
    let elapsed = begun.elapsed();
    let counts = since(&before, proxies.counts());
    let (looks, all) = (looks(&counts), of_heat(&counts));
    let marks = of_those(&counts, |what| what.starts_with(MARK));
    println!(
        "{operation}: {all} requests to Heat in {:.1} s: {looks} looks, {} of {}, {marks} marks, {} readings of resources",
        elapsed.as_secs_f64(),
        count(&counts, beside.sent),
        beside.sent,
        count(&counts, RESOURCES)
    );
    assert_eq!(
        count(&counts, beside.sent),
        beside.times,
        "{operation}: {}: {counts:#?}",
        beside.sent
    );
    assert_eq!(marks, beside.marks, "{operation}: marks: {counts:#?}");
    assert_eq!(
        count(&counts, RESOURCES),
        beside.reads,
        "{operation}: readings of resources: {counts:#?}"
    );
    let most = looks + beside.times + beside.marks + beside.reads;
    assert!(
        all <= most,
        "{operation}: {all} requests to Heat, {most} at most with {looks} looks: {counts:#?}"
    );
    // Some at once after each request, then five in two seconds for ten seconds, and after that one in 2.5 s or more.
    let (often, rarely) = (elapsed.as_secs_f64().min(10.0), (elapsed.as_secs_f64() - 10.0).max(0.0));
    let most = beside.times as f64 * (4.0 + often / 0.4) + rarely / 2.5;
    assert!(
        looks as f64 <= most,
        "{operation}: {looks} looks in {elapsed:?}, {most:.1} at most"
    );
    // By its name alone a stack is answered for with a redirect.
    let by_name = of_those(&counts, |what| {
        what.contains("/stacks/{name}") && !what.contains("/stacks/{name}/{id}")
    });
    assert_eq!(by_name, 0, "{operation}: requests that are redirected: {counts:#?}");
    over
}

/// Asserts that one token served all that was asked.
pub(crate) fn assert_one_token(proxies: &Proxies) {
    let counts = proxies.counts();
    assert_eq!(count(&counts, TOKENS), 1, "one token serves them all: {counts:#?}");
}

/// The VMs of an instance.
async fn vms(world: &World, id: &str) -> Vec<Value> {
    let shown = world.client.instance(id).await.unwrap();
    let vms = shown["instantiatedVnfInfo"]["vnfcResourceInfo"].as_array();
    vms.unwrap_or_else(|| panic!("no VMs in {shown:#}")).clone()
}

fn ids(vms: &[Value]) -> Vec<&str> {
    vms.iter().map(|vm| vm["id"].as_str().unwrap()).collect()
}

/// A network with a subnet; its id.
fn network(cloud: &Cloud, name: &str) -> String {
    let made = cloud.openstack(&["network", "create", name]).unwrap();
    let id = made["id"].as_str().unwrap().to_owned();
    cloud
        .openstack_do(&["subnet", "create", "--network", &id, "--subnet-range", ELSEWHERE, name])
        .unwrap();
    id
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
    let name = format!("elsewhere-{}", std::process::id());
    let elsewhere = network(cloud(), &name);
    let _gone = AtLast(|| cloud().openstack_do(&["network", "delete", &elsewhere]));
    let world = World::new(cloud(), &package(), Some(&proxies)).await;
    let id = world.created("requests").await;
    let one = |sent, marks, reads| Beside {
        sent,
        times: 1,
        marks,
        reads,
    };
    let body = request(world.cloud);
    done(&world, &proxies, &id, "instantiate", &body, one(CREATE, 0, 1)).await;
    done(&world, &proxies, &id, "scale", &scale_out(), one(UPDATE, 0, 1)).await;

    let before = vms(&world, &id).await;
    assert_eq!(before.len(), 3, "{before:#?}");
    let each = u64::try_from(before.len()).unwrap();
    let body = json!({"cause": "it is ill"});
    done(&world, &proxies, &id, "heal", &body, one(UPDATE, each, 1)).await;
    let after = vms(&world, &id).await;
    let (ill, well) = (ids(&before), ids(&after));
    assert_eq!(well.len(), ill.len(), "{after:#?}");
    assert!(
        !well.iter().any(|vm| ill.contains(vm)),
        "each VM is another one: {ill:?} became {well:?}"
    );

    let body = json!({"extVirtualLinks": [{"id": "external-2", "resourceId": elsewhere, "extCps": [
        {"cpdId": "VDU2_CP1", "cpConfig": {"VDU2_CP1": {"cpProtocolData": [{"layerProtocol": "IP_OVER_ETHERNET"}]}}}]}]});
    done(&world, &proxies, &id, "change_ext_conn", &body, one(UPDATE, 0, 1)).await;
    let after = vms(&world, &id).await;
    let moved = after.iter().find(|vm| vm["vduId"] == "VDU2").unwrap();
    let server = moved["computeResource"]["resourceId"].as_str().unwrap();
    let ports = ["port", "list", "--server", server, "--network", elsewhere.as_str()];
    let ports = world.cloud.list(&ports).unwrap();
    assert_eq!(
        ports.len(),
        1,
        "ports of {server} on the network it was moved to: {ports:#?}"
    );

    // The member that goes is marked.
    let body = json!({"type": "SCALE_IN", "aspectId": "VDU1_scale"});
    done(&world, &proxies, &id, "scale", &body, one(UPDATE, 1, 1)).await;
    assert_eq!(vms(&world, &id).await.len(), 2);

    done(&world, &proxies, &id, "terminate", &forceful(), one(DELETE, 0, 0)).await;
    assert_one_token(&proxies);
    assert_eq!(world.stacks(&id), Vec::<String>::new());
}

/// What many instantiations at once have asked.
struct AtOnce {
    counts: Counts,
    /// Looks until Heat was asked for the last stack, and how long that took.
    looks_before: u64,
    before: Duration,
    /// From the first request to the last COMPLETED.
    elapsed: Duration,
}

/// Instantiates so many at once whose stacks take so many seconds, and terminates them. Asserts what is the same however many they are:
/// one creation and one reading of resources each, looks, one token, nothing else.
async fn at_once(many: usize, seconds: u32) -> AtOnce {
    let proxies = Proxies::before(&cloud().services().unwrap()).await.unwrap();
    let world = World::new(cloud(), &made_in(seconds), Some(&proxies)).await;
    let each = u64::try_from(many).unwrap();
    let mut ids = Vec::new();
    for number in 0..many {
        ids.push(world.created(&format!("many-{number}")).await);
    }
    let earlier = proxies.counts();
    let begun = Instant::now();
    let body = request(world.cloud);
    let mut op_occs = Vec::new();
    for id in &ids {
        op_occs.push(world.client.begin(id, "instantiate", &body).await.unwrap());
    }
    wait_until("a request for each stack", PATIENCE, async || {
        Ok(count(&proxies.counts(), CREATE) >= each)
    })
    .await
    .unwrap();
    let before = begun.elapsed();
    let looks_before = looks(&since(&earlier, proxies.counts()));
    for op_occ in &op_occs {
        let over = world.client.settled(op_occ, PATIENCE).await.unwrap();
        assert_eq!(over["operationState"], "COMPLETED", "{over:#}");
    }
    let elapsed = begun.elapsed();
    let counts = since(&earlier, proxies.counts());
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
        "{many} instantiations of {seconds} s in {:.1} s: {} creations, {} looks ({looks_before} in the {:.1} s until the last creation), \
         {} readings of resources, {} requests to Heat; from complete to COMPLETED {:.3} s at most, {:.3} s in the middle\n{counts:#?}",
        elapsed.as_secs_f64(),
        count(&counts, CREATE),
        looks(&counts),
        before.as_secs_f64(),
        count(&counts, RESOURCES),
        of_heat(&counts),
        lags[many - 1],
        lags[many / 2]
    );
    assert_eq!(count(&counts, CREATE), each, "creations: {counts:#?}");
    assert_eq!(count(&counts, RESOURCES), each, "readings of resources: {counts:#?}");
    assert_eq!(
        of_heat(&counts),
        looks(&counts) + 2 * each,
        "nothing else is asked: {counts:#?}"
    );
    assert_one_token(&proxies);

    let mut op_occs = Vec::new();
    for id in &ids {
        op_occs.push(world.client.begin(id, "terminate", &forceful()).await.unwrap());
    }
    for op_occ in &op_occs {
        let over = world.client.settled(op_occ, PATIENCE).await.unwrap();
        assert_eq!(over["operationState"], "COMPLETED", "{over:#}");
    }
    AtOnce {
        counts,
        looks_before,
        before,
        elapsed,
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an OpenStack with Heat; `cargo xtask test --lab` has one"]
async fn instantiations_at_once_share_their_looks_and_their_token() {
    let _turn = turn().await;
    let few = at_once(FEW, 10).await;
    // One by one a stack that takes ten seconds is looked at 25 times. Together they are looked at as often as one of them would be, or
    // more rarely.
    let (looks, most) = (looks(&few.counts), 30 + few.elapsed.as_secs() / 2);
    assert!(looks <= most, "{looks} looks, {most} at most: {:#?}", few.counts);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an OpenStack with Heat, and some minutes; `cargo xtask test --lab` has one"]
async fn a_hundred_instantiations_of_a_minute_cost_twenty_looks_a_minute() {
    let _turn = turn().await;
    let many = std::env::var("VIMHOST_TEST_STACKS")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(MANY);
    let many = at_once(many, MINUTE).await;
    // On a Heat that makes all of them in one minute: 100 creations and twenty looks, 120 requests. A lab on two cores takes longer, so
    // the looks are those of the time it really took.
    let most = (LOOKS_A_MINUTE * many.elapsed.as_secs()).div_ceil(60);
    let (looks, creations) = (looks(&many.counts), count(&many.counts, CREATE));
    assert!(
        looks <= most,
        "{creations} creations and {looks} looks in {:.1?}, {most} looks at most; {} of them in the {:.1?} until the last creation: {:#?}",
        many.elapsed,
        many.looks_before,
        many.before,
        many.counts
    );
}
