//! Three hosts on one MongoDB: what one has accepted another one finishes, what two are asked for at once one of them does, and subscribers
//! hear all of it in order.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use mock_vim::{Faults, Server};
use reqwest::Method;
use serde_json::json;
use vimhost_mongod::Kind;
use vimhost_tests::{Cluster, Host, SamplePackage, VnfLcm, instantiate_request, start_vim, wait_until};

use super::listener::Listener;
use super::{held, release, scale_out, vm_count};

const INSTANCES: usize = 10;

/// A lease ends within ten seconds, and what was under way takes its time again.
const LIMIT: Duration = Duration::from_secs(60);

/// A subscriber that a dead host was just telling something waits until that host's hold on it is over.
const TOLD: Duration = Duration::from_secs(90);

/// Three hosts; the first of them drives the account.
struct Three {
    vim: Server,
    hosts: [Host; 3],
    clients: [VnfLcm; 3],
    package: SamplePackage,
    _cluster: Cluster,
}

async fn driver(host: &Host) -> Option<String> {
    let leases = host.admin_ok("GET", "/v1/leases", None).await.ok()?;
    let leases = leases["items"].as_array()?;
    let of_mock = leases.iter().find(|lease| lease["target"] == "vim:mock")?;
    of_mock["host"].as_str().map(str::to_owned)
}

impl Three {
    async fn start(database: &str) -> Self {
        let uri = vimhost_mongod::shared(Kind::ReplicaSet).await.unwrap();
        // A server that is used instead may hold an earlier run.
        let cluster = Cluster::new(&uri, &format!("{database}-{}", std::process::id())).unwrap();
        let vim = start_vim(Faults::default()).await.unwrap();
        let one = Host::start(&cluster.setup("one")).unwrap();
        one.add_vim("mock", &vim.url()).await.unwrap();
        wait_until("a claim", LIMIT, async || Ok(driver(&one).await.is_some()))
            .await
            .unwrap();
        let two = Host::start(&cluster.setup("two")).unwrap();
        let three = Host::start(&cluster.setup("three")).unwrap();
        let hosts = [one, two, three];
        let clients = [&hosts[0], &hosts[1], &hosts[2]].map(|host| VnfLcm::new(&host.vnf_lcm).unwrap());
        let package = SamplePackage::default();
        clients[1].onboard(&package).await.unwrap();
        assert!(driver(&hosts[2]).await.unwrap().starts_with("one-"));
        Self {
            vim,
            hosts,
            clients,
            package,
            _cluster: cluster,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_host_was_doing_another_one_finishes_and_subscribers_hear_it_in_order() {
    let mut three = Three::start("vnf-takeover").await;
    let listener = Listener::start().await;
    let body = json!({"callbackUri": format!("{}/all", listener.url),
                      "filter": {"notificationTypes": ["VnfLcmOperationOccurrenceNotification"]}});
    let path = "/vnflcm/v2/subscriptions";
    let [_, two, last] = three.clients.clone();
    two.expect(201, Method::POST, path, Some(&body)).await.unwrap();

    // Nothing is over before the host dies.
    three.vim.set_faults(held()).unwrap();
    let mut op_occs = Vec::new();
    for n in 0..INSTANCES {
        // Asked of the two that do not drive the account, in turns.
        let client = if n % 2 == 0 { &two } else { &last };
        let id = client
            .create(&three.package.vnfd_id, &format!("taken-{n}"))
            .await
            .unwrap();
        let request = instantiate_request("mock");
        op_occs.push(client.begin(&id, "instantiate", &request).await.unwrap());
    }
    wait_until("the VIM to be at work", LIMIT, async || {
        let stacks = three.vim.inventory().stacks;
        Ok(stacks.iter().any(|stack| stack.status.is_in_progress()))
    })
    .await
    .unwrap();
    three.hosts[0].kill();
    release(&three.vim);

    for op_occ in &op_occs {
        let over = last.settled(op_occ, LIMIT).await.unwrap();
        assert_eq!(over["operationState"], "COMPLETED", "{over:#}");
    }
    assert!(!driver(&three.hosts[2]).await.unwrap().starts_with("one-"));
    let mut names: Vec<String> = three
        .vim
        .inventory()
        .stacks
        .iter()
        .map(|stack| stack.meta.name.clone())
        .collect();
    assert_eq!(names.len(), INSTANCES);
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), INSTANCES, "each once");

    // One that was sent and not noted by the host that died comes again, under its id.
    let told = || {
        let mut seen = HashSet::new();
        let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for notification in listener.told("/all") {
            if seen.insert(notification["id"].to_string()) {
                let of = notification["vnfLcmOpOccId"].as_str().unwrap().to_owned();
                let state = notification["operationState"].as_str().unwrap().to_owned();
                told.entry(of).or_default().push(state);
            }
        }
        told
    };
    wait_until("all notifications", TOLD, async || {
        Ok(told().values().map(Vec::len).sum::<usize>() >= 3 * INSTANCES)
    })
    .await
    .unwrap();
    for op_occ in &op_occs {
        let heard = told().remove(op_occ).unwrap_or_default();
        assert_eq!(heard, ["STARTING", "PROCESSING", "COMPLETED"], "{op_occ}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_scales_at_once_at_two_hosts_one_is_accepted_and_the_other_is_a_conflict() {
    let three = Three::start("vnf-at-once").await;
    let [one, two, last] = &three.clients;
    let id = last.create(&three.package.vnfd_id, "at-once").await.unwrap();
    let request = instantiate_request("mock");
    last.complete(&id, "instantiate", &request).await.unwrap();
    let path = format!("/vnflcm/v2/vnf_instances/{id}/scale");
    let out = scale_out();
    // Both by hosts that do not drive the account, then by the one that does and another.
    for (a, b, vms) in [(two, last, 3), (one, two, 4)] {
        // Not over before both are asked.
        three.vim.set_faults(held()).unwrap();
        let (a, b) = tokio::join!(
            a.ask(Method::POST, &path, Some(&out)),
            b.ask(Method::POST, &path, Some(&out))
        );
        release(&three.vim);
        let answers = [a.unwrap(), b.unwrap()];
        let mut statuses = [answers[0].status, answers[1].status];
        statuses.sort_unstable();
        assert_eq!(statuses, [202, 409], "{answers:#?}");
        let accepted = answers.iter().find(|answer| answer.status == 202).unwrap();
        let op_occ = accepted.location.as_deref().unwrap().rsplit('/').next().unwrap();
        let over = one.settled(op_occ, LIMIT).await.unwrap();
        assert_eq!(over["operationState"], "COMPLETED", "{over:#}");
        let instance = two.instance(&id).await.unwrap();
        assert_eq!(vm_count(&instance), vms);
    }
    assert_eq!(three.vim.inventory().stacks.len(), 1);
}
