//! Several hosts on one database: each account is driven by one of them, and by another one when that one dies, stops or is paused.

use std::time::{Duration, Instant};

use mock_vim::Faults;
use mongodb::bson::{DateTime, Document, doc};
use serde_json::{Value, json};
use vimhost_mongod::Kind;
use vimhost_tests::{Cluster, Host, binary, start_vim, wait_until};

/// The longest takeover: six to eight seconds (`docs/several-hosts.md`), and what a machine may be busy with meanwhile. One that is left to
/// the slow look at everything takes thirty.
const TAKEOVER: Duration = Duration::from_secs(20);

/// Far more than anything here takes; reached only when a test fails.
const LIMIT: Duration = Duration::from_secs(60);

fn service(name: &str, vms: usize) -> Value {
    json!({
        "name": name, "vim": "mock",
        "networks": {"mgmt": {"existing": "mgmt"}},
        "flavours": {"small": {"vcpus": 1, "memory-mb": 512, "disk-gb": 5}},
        "vms": {"vm": {"count": vms, "image": "ubuntu18.04", "flavour": "small",
                       "interfaces": [{"network": "mgmt", "management": true}]}},
    })
}

/// Who drives the account, as a host sees it.
async fn driver(host: &Host) -> Option<String> {
    let leases = host.admin_ok("GET", "/v1/leases", None).await.ok()?;
    let of_mock = leases["items"]
        .as_array()?
        .iter()
        .find(|lease| lease["target"] == "vim:mock")?;
    of_mock["host"].as_str().map(str::to_owned)
}

async fn status(host: &Host, name: &str, action: &str) -> anyhow::Result<Value> {
    let path = format!("/v1/network-services/{name}/actions/{action}");
    Ok(host.admin_ok("GET", &path, None).await?["status"].clone())
}

async fn run(host: &Host, name: &str, verb: &str, key: &str) {
    let path = format!("{}/v1/network-services/{name}/{verb}", host.admin);
    let request = host.http.post(path).header("Idempotency-Key", key).json(&json!({}));
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 202, "{}", answer.text().await.unwrap());
}

async fn done(host: &Host, name: &str, action: &str) {
    wait_until(&format!("{action} of {name}"), LIMIT, || async {
        Ok(status(host, name, action).await? == "DONE")
    })
    .await
    .unwrap();
}

/// Waits until somebody drives the account, as a host sees it: a claim is made beside the request that wants it.
async fn claimed(host: &Host) {
    wait_until("a claim", LIMIT, || async { Ok(driver(host).await.is_some()) })
        .await
        .unwrap();
}

/// Waits until another host than `old` drives the account; how long that took.
async fn taken_over(host: &Host, old: &str, since: Instant) -> Duration {
    wait_until("the takeover", LIMIT, || async {
        Ok(driver(host).await.is_some_and(|now| now != old))
    })
    .await
    .unwrap();
    since.elapsed()
}

async fn two_hosts(database: &str) -> (Host, Host, mock_vim::Server, Cluster) {
    let uri = vimhost_mongod::shared(Kind::ReplicaSet).await.unwrap();
    // A server that is used instead may hold an earlier run.
    let cluster = Cluster::new(&uri, &format!("{database}-{}", std::process::id())).unwrap();
    let faults = json!({"latency_ms": 10, "build_delay_ms": 1500});
    let vim = start_vim(serde_json::from_value(faults).unwrap()).await.unwrap();
    let one = Host::start(&cluster.setup("one")).unwrap();
    one.add_vim("mock", &vim.url()).await.unwrap();
    claimed(&one).await;
    let two = Host::start(&cluster.setup("two")).unwrap();
    assert!(driver(&two).await.unwrap().starts_with("one-"));
    (one, two, vim, cluster)
}

#[tokio::test(flavor = "multi_thread")]
async fn work_accepted_by_one_host_is_done_by_the_one_that_drives_the_account() {
    let (one, two, vim, _cluster) = two_hosts("accepted").await;
    two.admin_ok("PUT", "/v1/network-services/svc", Some(service("svc", 3)))
        .await
        .unwrap();
    let begun = Instant::now();
    run(&two, "svc", "deploy", "up").await;
    done(&two, "svc", "up").await;
    assert_eq!(vim.inventory().servers.len(), 3);
    println!("accepted by two, done by one: {:?}", begun.elapsed());
    assert!(driver(&two).await.unwrap().starts_with("one-"));
    run(&two, "svc", "terminate", "down").await;
    done(&one, "svc", "down").await;
    assert_eq!(vim.inventory().created(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_host_dies_another_one_takes_its_accounts_over_and_finishes_the_work() {
    let (mut one, two, vim, _cluster) = two_hosts("dies").await;
    two.admin_ok("PUT", "/v1/network-services/svc", Some(service("svc", 5)))
        .await
        .unwrap();
    let old = driver(&two).await.unwrap();
    run(&one, "svc", "deploy", "up").await;
    let died = Instant::now();
    one.kill();
    let took = taken_over(&two, &old, died).await;
    println!("takeover after a death: {took:?}");
    assert!(took < TAKEOVER, "{took:?}");
    done(&two, "svc", "up").await;
    assert_eq!(vim.inventory().servers.len(), 5);
    run(&two, "svc", "terminate", "down").await;
    done(&two, "svc", "down").await;
    assert_eq!(vim.inventory().created(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_told_to_stop_hands_its_accounts_over() {
    let (one, two, vim, _cluster) = two_hosts("stops").await;
    two.admin_ok("PUT", "/v1/network-services/svc", Some(service("svc", 5)))
        .await
        .unwrap();
    let old = driver(&two).await.unwrap();
    run(&one, "svc", "deploy", "up").await;
    let told = Instant::now();
    let log = tokio::task::spawn_blocking(|| one.stop()).await.unwrap().unwrap();
    let took = taken_over(&two, &old, told).await;
    println!("hand-over: {took:?}");
    assert!(log.contains("stopped"), "{log}");
    // No lease had to end for it: the account was free.
    wait_until("the word of the claim", LIMIT, || async {
        Ok(two.log().contains("account claimed"))
    })
    .await
    .unwrap();
    let log = two.log();
    let claims: Vec<&str> = log.lines().filter(|line| line.contains("account claimed")).collect();
    assert!(
        claims.iter().all(|claim| claim.contains("taken_over=false")),
        "{claims:#?}"
    );
    done(&two, "svc", "up").await;
    assert_eq!(vim.inventory().servers.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_was_paused_for_longer_than_its_lease_does_no_harm() {
    let (one, two, vim, _cluster) = two_hosts("paused").await;
    two.admin_ok("PUT", "/v1/network-services/svc", Some(service("svc", 10)))
        .await
        .unwrap();
    let old = driver(&two).await.unwrap();
    run(&one, "svc", "deploy", "up").await;
    let paused = Instant::now();
    one.pause().unwrap();
    let took = taken_over(&two, &old, paused).await;
    println!("takeover after a pause: {took:?}");
    done(&two, "svc", "up").await;
    one.resume().unwrap();
    // It has noticed when it says so.
    wait_until("the paused host gives up", LIMIT, || async {
        Ok(one.log().contains("account lost"))
    })
    .await
    .unwrap();
    run(&one, "svc", "terminate", "down").await;
    done(&one, "svc", "down").await;
    assert_eq!(vim.inventory().created(), 0);
    assert!(driver(&one).await.unwrap().starts_with("two-"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_means_503_and_nothing_lost() {
    let mut servers = vimhost_mongod::one_node().await.unwrap();
    let cluster = Cluster::new(&servers.uri(), "away").unwrap();
    let vim = start_vim(serde_json::from_value::<Faults>(json!({"latency_ms": 20, "build_delay_ms": 300})).unwrap())
        .await
        .unwrap();
    let host = Host::start(&cluster.setup("one")).unwrap();
    host.add_vim("mock", &vim.url()).await.unwrap();
    host.admin_ok("PUT", "/v1/network-services/svc", Some(service("svc", 10)))
        .await
        .unwrap();
    run(&host, "svc", "deploy", "up").await;
    servers.kill(0).unwrap();
    let refused = host
        .http
        .get(format!("{}/v1/network-services/svc", host.admin))
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"), "{:?}", refused.headers());
    let body: Value = refused.json().await.unwrap();
    assert_eq!(body["status"], 503, "{body}");
    servers.restart(0).await.unwrap();
    wait_until("an answer", LIMIT, || async {
        Ok(status(&host, "svc", "up").await.is_ok())
    })
    .await
    .unwrap();
    // A server that has just come back may be away once more: asked again, as whoever gets a 503 does.
    wait_until("the end of the deployment", LIMIT, || async {
        Ok(status(&host, "svc", "up").await.is_ok_and(|state| state == "DONE"))
    })
    .await
    .unwrap();
    assert_eq!(vim.inventory().servers.len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standalone_refuses_a_second_host_and_a_replica_set_a_host_without_the_key() {
    let uri = vimhost_mongod::shared(Kind::Standalone).await.unwrap();
    let cluster = Cluster::new(&uri, &format!("alone-{}", std::process::id())).unwrap();
    let one = Host::start(&cluster.setup("one")).unwrap();
    let refused = serve(&cluster.setup("two"), &[]);
    assert!(
        refused.contains("in use by host one-") && refused.contains("; several hosts need a replica set"),
        "{refused}"
    );
    // Nor a second process of the same name, as beside a rolling update.
    let mut twin = cluster.setup("one");
    twin.data_dir.set_extension("twin");
    let refused = serve(&twin, &[]);
    assert!(refused.contains("in use by host one-"), "{refused}");
    assert!(answers(&one).await);
    drop(one);
    let uri = vimhost_mongod::shared(Kind::ReplicaSet).await.unwrap();
    let cluster = Cluster::new(&uri, &format!("keyless-{}", std::process::id())).unwrap();
    let refused = serve(&cluster.setup("one"), &["--seal-keys", "/nonexistent"]);
    assert!(refused.contains("vimhost key new /nonexistent"), "{refused}");
    // Nor two with one data directory, which would have one name.
    let one = Host::start(&cluster.setup("one")).unwrap();
    let refused = serve(&cluster.setup("one"), &[]);
    assert!(refused.contains("its own --data-dir"), "{refused}");
    drop(one);
}

async fn answers(host: &Host) -> bool {
    host.admin_ok("GET", "/v1/leases", None).await.is_ok()
}

/// Makes a standalone look as if the host that has it had been silent for long enough to lose it.
async fn long_silent(uri: &str, database: &str) {
    let driver = mongodb::Client::with_uri_str(uri).await.unwrap();
    let meta = driver.database(database).collection::<Document>("vimhost_meta");
    let late = doc! {"$set": {"until": DateTime::from_millis(0)}};
    let found = meta.update_one(doc! {"_id": "host"}, late).await.unwrap();
    assert_eq!(found.matched_count, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_host_that_comes_back_to_a_standalone_under_another_name_finishes_what_was_under_way() {
    let uri = vimhost_mongod::shared(Kind::Standalone).await.unwrap();
    let database = format!("renamed-{}", std::process::id());
    let cluster = Cluster::new(&uri, &database).unwrap();
    let faults = json!({"latency_ms": 10, "build_delay_ms": 1500});
    let vim = start_vim(serde_json::from_value(faults).unwrap()).await.unwrap();
    let mut one = Host::start(&cluster.setup("one")).unwrap();
    one.add_vim("mock", &vim.url()).await.unwrap();
    one.admin_ok("PUT", "/v1/network-services/svc", Some(service("svc", 5)))
        .await
        .unwrap();
    run(&one, "svc", "deploy", "up").await;
    claimed(&one).await;
    assert!(driver(&one).await.unwrap().starts_with("one-"));
    one.kill();
    long_silent(&uri, &database).await;
    let two = Host::start(&cluster.setup("two")).unwrap();
    // Only looked at: nothing is asked for that would begin anything.
    done(&two, "svc", "up").await;
    assert_eq!(vim.inventory().servers.len(), 5);
    assert!(driver(&two).await.unwrap().starts_with("two-"));
    run(&two, "svc", "terminate", "down").await;
    done(&two, "svc", "down").await;
    assert_eq!(vim.inventory().created(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_was_silent_while_another_one_was_let_into_its_standalone_ends() {
    let uri = vimhost_mongod::shared(Kind::Standalone).await.unwrap();
    let database = format!("silent-{}", std::process::id());
    let cluster = Cluster::new(&uri, &database).unwrap();
    let one = Host::start(&cluster.setup("one")).unwrap();
    one.pause().unwrap();
    long_silent(&uri, &database).await;
    let two = Host::start(&cluster.setup("two")).unwrap();
    one.resume().unwrap();
    wait_until("the silent host ends", LIMIT, || async {
        Ok(one
            .log()
            .contains("another host has taken the standalone database over")
            && !answers(&one).await)
    })
    .await
    .unwrap();
    assert!(answers(&two).await);
}

/// What a host says that does not start. One that does start is stopped, and has said something else.
fn serve(setup: &vimhost_tests::Setup, more: &[&str]) -> String {
    let mut arguments = setup.arguments.clone();
    if !more.is_empty() {
        let at = arguments.iter().position(|argument| argument == more[0]).unwrap();
        arguments.drain(at..at + 2);
    }
    let output = std::process::Command::new("timeout")
        .arg(LIMIT.as_secs().to_string())
        .arg(binary().unwrap())
        .args([
            "serve",
            "--ng-ro-listen",
            "127.0.0.1:0",
            "--admin-listen",
            "127.0.0.1:0",
            "--vnf-lcm-listen",
            "127.0.0.1:0",
        ])
        .arg("--data-dir")
        .arg(&setup.data_dir)
        .arg("--plugin-dir")
        .arg(vimhost_tests::plugin_dir().unwrap())
        .args(arguments)
        .args(more)
        .envs(setup.environment.iter().cloned())
        .output()
        .unwrap();
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_lists_who_drives_what() {
    let (one, two, _vim, _cluster) = two_hosts("listed").await;
    let output = std::process::Command::new(binary().unwrap())
        .args(["lease", "list", "--server", &two.admin])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("vim:mock") && text.contains("one-"), "{text}");
    drop(one);
}
