//! Bad input: each ends with an error of its kind, in the service's own words, with what the operator can do, and nothing is left.
//!
//! Each case is deployed over NG-RO's interface. What a check of the account can know, `vimhost vim check` names as well, and
//! `vimhost doctor` what such a check has found.

mod tls;

use std::collections::BTreeSet;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use http_proxy::{Effect, Fault, Proxies};
use serde_json::{Value, json};
use url::Url;
use vimhost_openstack_tests::{Account, Cloud, Inventory, cloud};
use vimhost_tests::{Host, Records, binary, plugin_dir, wait_until};

use crate::lab_only::{lab, one_vm};
use crate::service::{ACCOUNT, Service, TARGET, assert_as_before, turn};

/// What was told of a case.
struct Told {
    /// `details` of the action that failed.
    details: String,
    /// Kinds of the errors that the connector's calls ended with.
    kinds: Vec<String>,
    /// What `vimhost vim check` said, and whether it found nothing wrong.
    check: String,
    works: bool,
    /// What `vimhost doctor` said of accounts.
    doctor: Vec<String>,
}

impl Told {
    /// The deployment's failure holds these words, and came of an error of this kind (none: the host itself looked at what it was shown).
    fn of_deployment(&self, kind: Option<&str>, words: &[&str]) {
        for word in words {
            assert!(self.details.contains(word), "no {word:?} in {}", self.details);
        }
        match kind {
            Some(kind) => assert!(
                self.kinds.iter().any(|told| told == kind),
                "{:?} and not {kind}: {}",
                self.kinds,
                self.details
            ),
            None => assert!(self.kinds.is_empty(), "{:?}: {}", self.kinds, self.details),
        }
    }

    /// Check and doctor say these words. Answers all that the doctor says.
    fn said_by_both(&self, words: &[&str]) -> String {
        let doctor = self.doctor.join("\n");
        for word in words {
            assert!(
                self.check.contains(word),
                "no {word:?} in what the check says: {}",
                self.check
            );
            assert!(doctor.contains(word), "no {word:?} in what the doctor says: {doctor}");
        }
        doctor
    }

    /// The account does not work: check and doctor say so in these words.
    fn of_account(&self, words: &[&str]) {
        assert!(!self.works, "the check found nothing: {}", self.check);
        let doctor = self.said_by_both(words);
        assert!(doctor.contains("`vimhost vim check"), "{doctor}");
    }

    /// The account works; check and doctor warn in these words. Of what a check cannot know there are none.
    fn of_warnings(&self, words: &[&str]) {
        assert!(self.works, "{}", self.check);
        let doctor = self.said_by_both(words);
        let warned = self.check.matches("warning: ").count();
        assert_eq!(self.doctor.len(), warned, "{}\n{doctor}", self.check);
    }
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn check(service: &Service) -> (String, bool) {
    let output = Command::new(binary().unwrap())
        .args(["vim", "check", ACCOUNT])
        .env("VIMHOST_SERVER", &service.host.admin)
        .output()
        .unwrap();
    (said(&output), output.status.success())
}

/// What the doctor says of accounts, with what mends it.
fn doctor(service: &Service) -> Vec<String> {
    let address = |url: &str| Url::parse(url).unwrap().socket_addrs(|| None).unwrap()[0].to_string();
    let output = Command::new(binary().unwrap())
        .args(["doctor", "-o", "json", "--data-dir"])
        .arg(&service.setup.data_dir)
        .arg("--plugin-dir")
        .arg(plugin_dir().unwrap())
        .args(["--ng-ro-listen", &address(&service.host.ng_ro)])
        .args(["--admin-listen", &address(&service.host.admin)])
        .args(["--vnf-lcm-listen", &address(&service.host.vnf_lcm)])
        .output()
        .unwrap();
    let report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(&output)));
    let checks = report["checks"].as_array().unwrap().iter();
    checks
        .filter(|check| check["name"] == "account")
        .map(|check| format!("{} → {}", check["seen"], check["remedy"]))
        .collect()
}

/// Kinds of the errors that calls of the connector ended with: a label of its counters.
async fn kinds(host: &Host) -> Vec<String> {
    let page = host.metrics_page().await.unwrap();
    let outcomes = page
        .lines()
        .filter(|line| line.starts_with("vimhost_connector_calls_total{"))
        .filter_map(|line| line.split("outcome=\"").nth(1)?.split('"').next());
    outcomes.filter(|outcome| *outcome != "ok").map(str::to_owned).collect()
}

/// Deploys what cannot be deployed; nothing is left of it.
async fn refused(
    name: &str,
    cloud: &Cloud,
    account: &Account,
    change: impl FnOnce(&mut Records),
    edit: impl FnOnce(&mut Value),
) -> Told {
    let before = Inventory::of(cloud).unwrap();
    let service = Service::new(name, account, &[], |records| {
        one_vm(records);
        change(records);
    })
    .await;
    let mut body = service.body(name);
    edit(&mut body);
    let details = service.fails(name, &body).await;
    // Before the check, whose own errors would be among them.
    let kinds = kinds(&service.host).await;
    let (check, works) = check(&service);
    let doctor = doctor(&service);
    if works {
        // Before the termination, which would clear away what a creation that failed has left.
        assert_no_strays(cloud, &before, &service).await;
        // A flavour that was made, and a VM in error, go with the service.
        service.terminate().await;
    }
    assert_as_before(cloud, &before, 0).await;
    Told {
        details,
        kinds,
        check,
        works,
        doctor,
    }
}

/// Asserts that nothing but the service's own is there besides what was there before. What a creation that failed undoes may take a
/// moment to go.
async fn assert_no_strays(cloud: &Cloud, before: &Inventory, service: &Service) {
    let recorded = service.recorded().await;
    let limit = Duration::from_secs(60);
    wait_until("what failed to be undone", limit, async || {
        Ok(strays(cloud, before, &recorded)?.is_empty())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}; there are\n{}", strays(cloud, before, &recorded).unwrap()));
    let mut orphans = service.audited().await;
    orphans.retain(|[verdict, ..]| verdict == "orphan");
    assert!(orphans.is_empty(), "{orphans:#?}");
}

/// What is there and has no owner. A flavour and networks are a service's when its records name them, and so is a server, which then is
/// in error, and whose ports go with it: on no host yet, they show no server, and the audit knows whose they are. Nothing else may be left
/// of one that could not be made, whoever names it: not a volume, nor an address.
fn strays(cloud: &Cloud, before: &Inventory, recorded: &BTreeSet<String>) -> anyhow::Result<Inventory> {
    let new = Inventory::of(cloud)?.without(before);
    let in_error = new.ids("server").into_iter().any(|id| recorded.contains(id));
    Ok(new.filtered(|kind, id| match kind {
        "flavour" | "network" | "subnet" | "server" => !recorded.contains(id),
        "port" => !in_error,
        _ => true,
    }))
}

async fn account_refused(name: &str, cloud: &Cloud, account: &Account) -> Told {
    refused(name, cloud, account, |_| {}, |_| {}).await
}

fn with(account: &Account, pointer: &str, value: Value) -> Account {
    let mut account = account.clone();
    *account.body.pointer_mut(pointer).unwrap() = value;
    account
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab; `cargo xtask test --lab` has it"]
async fn credentials_and_projects_that_keystone_does_not_know_are_auth() {
    let _turn = turn().await;
    let cloud = lab();
    let good = cloud.account(ACCOUNT).unwrap();
    for (name, pointer, wrong) in [
        ("password", "/credentials/password", "a-password-that-is-wrong"),
        ("user", "/user", "nobody"),
        ("project", "/tenant", "no-such-project"),
    ] {
        let told = account_refused(name, cloud, &with(&good, pointer, json!(wrong))).await;
        let words = [
            "401",
            "The request you have made requires authentication",
            "check user, password, project and the domains of both",
        ];
        told.of_deployment(Some("auth"), &words);
        told.of_account(&words);
        assert!(
            !told.check.contains(wrong) || pointer != "/credentials/password",
            "{}",
            told.check
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab; `cargo xtask test --lab` has it"]
async fn a_region_or_an_endpoint_that_the_catalogue_lacks_names_what_there_is() {
    let _turn = turn().await;
    let cloud = lab();
    let good = cloud.account(ACCOUNT).unwrap();
    let told = account_refused("region", cloud, &good.clone().setting("region_name", json!("Nowhere"))).await;
    let words = [
        "no public endpoint",
        "in Nowhere",
        "public in RegionOne",
        "`region_name`",
    ];
    told.of_deployment(Some("bad-request"), &words);
    told.of_account(&words);

    // A region that has but Keystone.
    let region = format!("lonely-{}", std::process::id());
    cloud.openstack(&["region", "create", &region]).unwrap();
    let create = [
        "endpoint",
        "create",
        "--region",
        &region,
        "identity",
        "public",
        &cloud.auth_url,
    ];
    let endpoint = cloud.openstack(&create).unwrap();
    let told = account_refused("endpoint", cloud, &good.clone().setting("region_name", json!(region))).await;
    cloud
        .openstack_do(&["endpoint", "delete", endpoint["id"].as_str().unwrap()])
        .unwrap();
    cloud.openstack_do(&["region", "delete", &region]).unwrap();
    let words = ["no public endpoint", region.as_str(), "public in RegionOne"];
    told.of_deployment(Some("bad-request"), &words);
    told.of_account(&words);
    assert!(told.check.contains("compute"), "{}", told.check);

    let url = cloud.auth_url.replace("/v3", "/nothing/v3");
    let told = account_refused("url", cloud, &with(&good, "/url", json!(url))).await;
    let words = ["404", "check the account's URL"];
    told.of_deployment(Some("bad-request"), &words);
    told.of_account(&words);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab; `cargo xtask test --lab` has it"]
async fn a_quota_that_is_used_up_is_told_and_the_check_knows_it_before() {
    let _turn = turn().await;
    let admin = lab();
    // Apart from the tests of the administrator, whose quotas stay as they are.
    let user = admin.of("lab-user").unwrap();
    // A member of a project makes no flavours.
    let account = user
        .account(ACCOUNT)
        .unwrap()
        .setting("use_existing_flavors", json!(true));
    let with_volume = |records: &mut Records| {
        records.vnfrs[0]["vdur"][0]["virtual-storages"] = json!([{"id": "root",
            "type-of-storage": "persistent-storage:persistent-storage", "size-of-storage": "2"}]);
    };
    for (option, said_by_service, warned) in [
        (
            "--instances",
            "Quota exceeded for instances: Requested 1",
            "quota of servers is used up (0 of 0)",
        ),
        (
            "--ports",
            "Quota exceeded for resources: ['port']",
            "quota of ports is used up (0 of 0)",
        ),
        (
            "--volumes",
            "Maximum number of volumes allowed (0) exceeded",
            "quota of volumes is used up (0 of 0)",
        ),
    ] {
        let set = |limit: &str| {
            admin
                .openstack_do(&["quota", "set", option, limit, &user.project])
                .unwrap()
        };
        set("0");
        let told = refused("quota", &user, &account, with_volume, |_| {}).await;
        set("-1");
        told.of_deployment(Some("quota"), &[said_by_service, "raise the project's quota"]);
        told.of_warnings(&[warned, "raise it, or delete"]);
    }
}

/// Compute hosts that take no servers, until this is dropped.
struct Disabled<'c> {
    cloud: &'c Cloud,
    hosts: Vec<String>,
}

impl<'c> Disabled<'c> {
    fn all(cloud: &'c Cloud) -> Self {
        let rows = cloud
            .list(&["compute", "service", "list", "--service", "nova-compute"])
            .unwrap();
        let hosts = rows.iter().map(|row| row["Host"].as_str().unwrap().to_owned());
        let disabled = Self {
            cloud,
            hosts: hosts.collect(),
        };
        disabled.set("--disable").unwrap();
        disabled
    }

    fn set(&self, how: &str) -> anyhow::Result<()> {
        for host in &self.hosts {
            self.cloud
                .openstack_do(&["compute", "service", "set", how, host, "nova-compute"])?;
        }
        Ok(())
    }
}

impl Drop for Disabled<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.set("--enable") {
            eprintln!("compute hosts of the lab stay disabled: {error:#}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab; `cargo xtask test --lab` has it"]
async fn a_vm_that_finds_no_place_or_no_flavour_says_what_would_help() {
    let _turn = turn().await;
    let admin = lab();
    let huge = |records: &mut Records| records.nsr["flavor"][0]["memory-mb"] = json!(100_000_000);
    let account = admin.account(ACCOUNT).unwrap();
    let told = refused("no-valid-host", admin, &account, huge, |_| {}).await;
    // The server was made, and is in error: no call has failed.
    told.of_deployment(None, &["No valid host was found", "take a smaller flavour"]);
    told.of_warnings(&[]);

    // That no host serves is what a check can know.
    let small = |records: &mut Records| records.nsr["flavor"][0]["memory-mb"] = json!(512);
    let disabled = Disabled::all(admin);
    let told = refused("no-host", admin, &account, small, |_| {}).await;
    drop(disabled);
    told.of_deployment(None, &["No valid host was found"]);
    told.of_warnings(&[
        "no compute host is up and enabled",
        "is up and disabled",
        "start or enable one",
    ]);

    let user = admin.of("lab-user").unwrap();
    let odd = |records: &mut Records| records.nsr["flavor"][0]["memory-mb"] = json!(777);
    let told = refused("flavour", &user, &user.account(ACCOUNT).unwrap(), odd, |_| {}).await;
    let words = [
        "Policy doesn't allow os_compute_api:os-flavor-manage:create",
        "777 MiB of memory",
        "`use_existing_flavors`",
    ];
    told.of_deployment(Some("auth"), &words);
    told.of_warnings(&["flavours cannot be made", "`use_existing_flavors`"]);
    // And with it there is one that is large enough.
    let before = Inventory::of(&user).unwrap();
    let existing = user
        .account(ACCOUNT)
        .unwrap()
        .setting("use_existing_flavors", json!(true));
    let service = Service::new("flavour", &existing, &[], |records| {
        one_vm(records);
        odd(records);
    })
    .await;
    service.deploy("deploy").await;
    service.terminate().await;
    assert_as_before(&user, &before, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab; `cargo xtask test --lab` has it"]
async fn images_and_networks_that_are_missing_or_ambiguous_are_named() {
    let _turn = turn().await;
    let user = lab().of("lab-user").unwrap();
    let account = user.account(ACCOUNT).unwrap();
    let image = |name: &'static str| move |records: &mut Records| records.nsr["image"][0]["image"] = json!(name);
    let network = |name: &'static str| {
        move |body: &mut Value| body["ns"]["vld"][0]["vim_info"][TARGET]["vim_network_name"] = json!(name)
    };
    let missing = "make it there, or name another one";
    let several = "name one by its id";

    let told = refused("no-image", &user, &account, image("no-such-image"), |_| {}).await;
    told.of_deployment(None, &["Image not found", "no-such-image", missing]);
    told.of_warnings(&[]);
    // A network of the descriptor is none that a check could know; the account's own for management is.
    let managed = |name: &str| account.clone().setting("management_network_name", json!(name));
    let told = refused(
        "no-network",
        &user,
        &managed("no-such-network"),
        |_| {},
        network("no-such-network"),
    )
    .await;
    told.of_deployment(None, &["Network not found", "no-such-network", missing]);
    told.of_warnings(&["`management_network_name` is no-such-network, and there is no such network"]);

    let id = |made: &Value| made["id"].as_str().unwrap().to_owned();
    let twins: Vec<String> = (0..2)
        .map(|_| id(&user.openstack(&["network", "create", "refused-twins"]).unwrap()))
        .collect();
    let told = refused(
        "networks",
        &user,
        &managed("refused-twins"),
        |_| {},
        network("refused-twins"),
    )
    .await;
    for twin in &twins {
        user.openstack_do(&["network", "delete", twin]).unwrap();
    }
    told.of_deployment(
        None,
        &["More than one network", "refused-twins", several, &twins[0], &twins[1]],
    );
    told.of_warnings(&[
        "2 networks have this name",
        "`management_network_id`",
        &twins[0],
        &twins[1],
    ]);

    // Any file: an image without bytes is not one yet.
    let create = [
        "image",
        "create",
        "--disk-format",
        "raw",
        "--container-format",
        "bare",
        "--file",
        "/etc/hostname",
        "refused-twins",
    ];
    let twins: Vec<String> = (0..2).map(|_| id(&user.openstack(&create).unwrap())).collect();
    let told = refused("images", &user, &account, image("refused-twins"), |_| {}).await;
    for twin in &twins {
        user.openstack_do(&["image", "delete", twin]).unwrap();
    }
    told.of_deployment(
        None,
        &["More than one image", "refused-twins", several, &twins[0], &twins[1]],
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab; `cargo xtask test --lab` has it"]
async fn an_empty_pool_of_floating_addresses_is_a_conflict_and_the_check_warns_of_it() {
    let _turn = turn().await;
    let admin = lab();
    let pool = format!("drained-{}", std::process::id());
    let pool = pool.as_str();
    let network = [
        "network",
        "create",
        "--external",
        "--provider-network-type",
        "flat",
        "--provider-physical-network",
        pool,
        pool,
    ];
    admin.openstack(&network).unwrap();
    // One address, which is then taken.
    let subnet = [
        "subnet",
        "create",
        "--subnet-range",
        "192.0.2.0/29",
        "--no-dhcp",
        "--gateway",
        "none",
        "--allocation-pool",
        "start=192.0.2.2,end=192.0.2.2",
        "--network",
        pool,
        pool,
    ];
    admin.openstack(&subnet).unwrap();
    let taken = admin.openstack(&["floating", "ip", "create", pool]).unwrap();
    let account = admin.account(ACCOUNT).unwrap().setting("use_floating_ip", json!(pool));
    let wanted = |records: &mut Records| records.vnfrs[0]["vdur"][0]["interfaces"][0]["floating_ip"] = json!(pool);
    let told = refused("floating", admin, &account, wanted, |_| {}).await;
    admin
        .openstack_do(&["floating", "ip", "delete", taken["id"].as_str().unwrap()])
        .unwrap();
    admin.openstack_do(&["network", "delete", pool]).unwrap();
    told.of_deployment(
        Some("conflict"),
        &["No more IP addresses available", "widen its allocation pools"],
    );
    told.of_warnings(&["has no address left (1 of 1 are used)"]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an OpenStack; `cargo xtask test --lab` has one"]
async fn a_service_that_names_a_time_is_left_alone_for_so_long() {
    const BUSY: u32 = 3;
    const AWAY: u32 = 4;
    let _turn = turn().await;
    let cloud = cloud();
    let before = Inventory::of(cloud).unwrap();
    let proxies = Proxies::before(&cloud.services().unwrap()).await.unwrap();
    let account = cloud.account_through(ACCOUNT, &proxies).unwrap();
    let service = Service::new("patient", &account, &[], one_vm).await;
    let refuse = |status, seconds| Effect::Refuse {
        status,
        retry_after: Some(seconds),
    };
    let networks = Fault::new(refuse(StatusCode::SERVICE_UNAVAILABLE, AWAY)).service("network");
    proxies.inject(networks.request(Method::GET, "/v2.0/networks").times(1));
    let servers = Fault::new(refuse(StatusCode::TOO_MANY_REQUESTS, BUSY)).service("compute");
    proxies.inject(servers.request(Method::POST, "/servers").times(2));
    let begun = Instant::now();
    service.deploy("deploy").await;
    let took = begun.elapsed();
    // The network is looked for before the server is made, so the times add up.
    assert!(took >= Duration::from_secs(u64::from(AWAY + 2 * BUSY)), "{took:?}");
    let counts = proxies.counts();
    let asked = |what: &str| counts.get(what).copied().unwrap_or_default();
    assert_eq!(asked("POST compute /servers"), 3, "{counts:#?}");
    assert!(asked("GET network /v2.0/networks") >= 2, "{counts:#?}");
    // Whoever names a time is busy, and not away.
    let kinds: BTreeSet<String> = kinds(&service.host).await.into_iter().collect();
    assert_eq!(kinds, BTreeSet::from(["rate-limited".to_owned()]));
    service.terminate().await;
    assert_as_before(cloud, &before, 0).await;
}
