//! A service of LCM on an OpenStack.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use vimhost_openstack_tests::{Account, Cloud, Inventory};
use vimhost_tests::{Host, Lcm, Records, Setup, wait_until};

const FIXTURE: &str = include_str!("../../../e2e/data/lcm_deployed_records.json");
pub(crate) const ACCOUNT: &str = "bad7338b-ae46-43d4-a434-c3337a8054ac";
pub(crate) const TARGET: &str = "vim:bad7338b-ae46-43d4-a434-c3337a8054ac";

/// An action takes half a minute in the lab on an idle machine; one that is stuck is one that retries for good.
pub(crate) const LIMIT: Duration = Duration::from_secs(300);

/// What the cloud has to have: an image, and a network whose router leads to floating addresses.
pub(crate) fn image() -> String {
    std::env::var("VIMHOST_TEST_IMAGE").unwrap_or_else(|_| "cirros".to_owned())
}

pub(crate) fn network() -> String {
    std::env::var("VIMHOST_TEST_NETWORK").unwrap_or_else(|_| "private".to_owned())
}

/// The networks that are made, and their address plans.
pub(crate) const NETWORKS: [(&str, &str); 3] = [
    ("datanet", "10.61.1.0/24"),
    ("signal", "10.61.2.0/24"),
    ("user", "10.61.3.0/24"),
];

/// One test at a time: each compares what the project holds before and after.
pub(crate) async fn turn() -> tokio::sync::MutexGuard<'static, ()> {
    static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    TURN.lock().await
}

/// A host with an account, and the records of a service.
pub(crate) struct Service {
    pub(crate) host: Host,
    pub(crate) records: Records,
    pub(crate) nsr: String,
    pub(crate) setup: Setup,
    pub(crate) _dir: tempfile::TempDir,
}

impl Service {
    /// Nothing is deployed yet.
    pub(crate) async fn new(
        name: &str,
        account: &Account,
        arguments: &[&str],
        change: impl FnOnce(&mut Records),
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut setup = Setup::new(dir.path());
        setup.arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let host = Host::start(&setup).unwrap();
        account.add(&host).await.unwrap();
        let mut records = Records::fixture(FIXTURE, ACCOUNT).unwrap();
        // Of this run, so that what another one has left is not taken for this one's.
        records.nsr["name"] = json!(format!("{name}-{}", std::process::id()));
        records.nsr["image"] = json!([{"id": "0", "image": image()}]);
        records.nsr["flavor"].as_array_mut().unwrap().truncate(1);
        for vnfr in &mut records.vnfrs {
            vnfr["vdur"][0]["alt-image-ids"] = json!([]);
        }
        change(&mut records);
        records.put(&host).await.unwrap();
        let nsr = records.id();
        Self {
            host,
            records,
            nsr,
            setup,
            _dir: dir,
        }
    }

    pub(crate) fn lcm(&self) -> Lcm<'_> {
        Lcm::new(&self.host)
    }

    /// LCM's deploy body of the records as they are.
    pub(crate) fn body(&self, action: &str) -> Value {
        let mut body = self.records.deploy_body(action, ACCOUNT);
        for vld in body["ns"]["vld"].as_array_mut().unwrap() {
            let plan = NETWORKS.iter().find(|(id, _)| vld["id"] == *id);
            let info = &mut vld["vim_info"][TARGET];
            match plan {
                Some((_, subnet)) => {
                    info["ip_profile"] = json!({"ip_version": "IPv4", "subnet_address": subnet, "dhcp_enabled": true});
                }
                None => info["vim_network_name"] = json!(network()),
            }
        }
        let key = "affinity-or-anti-affinity-group";
        let mut groups = self.records.nsr[key].clone();
        for group in groups.as_array_mut().into_iter().flatten() {
            group["vim_info"] = json!({TARGET: {}});
        }
        body[key] = groups;
        body
    }

    pub(crate) async fn deploy(&self, action: &str) -> Value {
        let action = self.lcm().deploy(&self.nsr, &self.body(action)).await.unwrap();
        self.done(&action).await
    }

    pub(crate) async fn terminate(&self) {
        let body = Lcm::terminate_body("terminate");
        let action = self.lcm().deploy(&self.nsr, &body).await.unwrap();
        self.done(&action).await;
    }

    pub(crate) async fn done(&self, action: &str) -> Value {
        self.lcm().wait_done(&self.nsr, action, LIMIT).await.unwrap()
    }

    /// Asks for an operation, and waits for its end.
    pub(crate) async fn run(&self, topic: &str, body: &Value) -> String {
        let action = self.lcm().operate(topic, &self.nsr, body).await.unwrap();
        self.done(&action).await;
        action
    }

    /// What a deployment that has to fail says, once all of it is over.
    pub(crate) async fn fails(&self, action: &str, body: &Value) -> String {
        let action = self
            .lcm()
            .deploy(&self.nsr, body)
            .await
            .unwrap_or_else(|error| panic!("{action}: {error:#}"));
        let status = async || self.lcm().status(&self.nsr, &action).await;
        wait_until(&format!("the end of {action}"), LIMIT, async || {
            let status = status().await?;
            let tasks = status["tasks"].as_array().cloned().unwrap_or_default();
            Ok(!tasks
                .iter()
                .any(|task| task["status"] == "SCHEDULED" || task["status"] == "BUILD"))
        })
        .await
        .unwrap();
        let status = status().await.unwrap();
        assert_eq!(status["status"], "FAILED", "{status:#}");
        status["details"].as_str().unwrap().to_owned()
    }

    pub(crate) fn vnf(&self, index: usize) -> String {
        self.records.vnfrs[index]["_id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn vnfr(&self, index: usize) -> Value {
        let path = format!("/v1/records/vnfrs/{}", self.vnf(index));
        self.host.admin_ok("GET", &path, None).await.unwrap()
    }

    /// Every text in the service's records as they are now: all ids of what it owns in the VIM are among them.
    pub(crate) async fn recorded(&self) -> BTreeSet<String> {
        let path = format!("/v1/records/nsrs/{}", self.nsr);
        let nsr = self.host.admin_ok("GET", &path, None).await.unwrap();
        let mut all = BTreeSet::new();
        texts(&nsr, &mut all);
        for index in 0..self.records.vnfrs.len() {
            texts(&self.vnfr(index).await, &mut all);
        }
        all
    }

    pub(crate) async fn put_vnfr(&mut self, index: usize, vnfr: Value) {
        let path = format!("/v1/records/vnfrs/{}", self.vnf(index));
        self.host.admin_ok("PUT", &path, Some(vnfr.clone())).await.unwrap();
        self.records.vnfrs[index] = vnfr;
    }

    /// The server of a VDU, as the record names it.
    pub(crate) async fn server(&self, vnf: usize, vdu: usize) -> String {
        self.vnfr(vnf).await["vdur"][vdu]["vim-id"].as_str().unwrap().to_owned()
    }

    /// What an audit of the account finds that is this host's: verdict, kind and reason of each.
    pub(crate) async fn audited(&self) -> Vec<[String; 3]> {
        let url = format!("{}/v1/vims/{ACCOUNT}/audit", self.host.admin);
        let told = self.host.http.get(url).send().await.unwrap().text().await.unwrap();
        assert!(told.contains("event: end"), "{told}");
        let mut found = Vec::new();
        for page in told.lines().filter_map(|line| line.strip_prefix("data:")) {
            let page: Value = serde_json::from_str(page).unwrap();
            for finding in page["findings"].as_array().into_iter().flatten() {
                found.push(["verdict", "kind", "reason"].map(|key| finding[key].as_str().unwrap().to_owned()));
            }
        }
        // Other hosts may use the project, and runs of this test that were killed.
        found.retain(|[verdict, ..]| verdict != "of-another");
        found
    }

    /// The body of an operation on one VM.
    pub(crate) async fn operate(&self, topic: &str, vnf: usize, vdu: usize) -> Value {
        let vnfr = self.vnfr(vnf).await;
        Lcm::operate_body(topic, &vnfr, &vnfr["vdur"][vdu])
    }

    /// The body that moves the first VM of a VNF to another host.
    pub(crate) fn migration(&self, vnf: usize) -> Value {
        json!({"lcmOperationType": "migrate", "nsInstanceId": self.nsr, "vnfInstanceId": self.vnf(vnf),
            "vdu": {"vduId": "mgmtVM", "vduCountIndex": 0}})
    }

    /// The body that makes the first VM of a VNF anew.
    pub(crate) fn healing(&self, vnf: usize) -> Value {
        json!({"healVnfData": [{"vnfInstanceId": self.vnf(vnf),
            "additionalParams": {"vdu": [{"vdu-id": "mgmtVM", "count-index": 0}]}}]})
    }

    /// The body that gives the first VM of a VNF 2 GiB of memory, two vCPUs and 20 GiB of disk.
    pub(crate) fn growth(&self, vnf: usize) -> Value {
        json!({"lcmOperationType": "verticalscale", "verticalScale": "CHANGE_VNFFLAVOR", "nsInstanceId": self.nsr,
            "changeVnfFlavorData": {"vnfInstanceId": self.vnf(vnf), "additionalParams": {
                "vduid": "mgmtVM", "vduCountIndex": 0, "virtualMemory": 2048, "numVirtualCpu": 2, "sizeOfStorage": 20}}})
    }

    /// Puts a second VM like the first into the records of the second VNF: the next deployment makes it.
    pub(crate) async fn add_replica(&mut self) {
        let mut vnfr = self.vnfr(1).await;
        let mut vdur = vnfr["vdur"][0].clone();
        for key in ["vim_info", "ip-address", "status", "vim-id", "name"] {
            vdur.as_object_mut().unwrap().remove(key);
        }
        (vdur["id"], vdur["_id"], vdur["count-index"]) = (json!("scaled-1"), json!("scaled-1"), json!(1));
        for interface in vdur["interfaces"].as_array_mut().unwrap() {
            interface
                .as_object_mut()
                .unwrap()
                .retain(|key, _| key != "ip-address" && key != "mac-address");
        }
        vnfr["vdur"].as_array_mut().unwrap().push(vdur);
        self.put_vnfr(1, vnfr).await;
        // What other actions have written to the other VNF is LCM's to send.
        self.records.vnfrs[0] = self.vnfr(0).await;
    }

    /// Marks that VM: the next deployment deletes it.
    pub(crate) async fn give_up_replica(&mut self) {
        let mut vnfr = self.vnfr(1).await;
        vnfr["vdur"][1]["status"] = json!("DELETING");
        self.put_vnfr(1, vnfr).await;
    }

    /// Takes that VM, which is gone, out of the records.
    pub(crate) async fn forget_replica(&mut self) {
        let mut vnfr = self.vnfr(1).await;
        vnfr["vdur"].as_array_mut().unwrap().remove(1);
        self.put_vnfr(1, vnfr).await;
    }
}

fn texts(value: &Value, all: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            all.insert(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, all)),
        Value::Object(items) => items.values().for_each(|item| texts(item, all)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Two VNFs with three VMs: four networks, a group, a volume to boot from and one that is kept, a floating address, fixed
/// addresses, user data.
pub(crate) fn three_vms(records: &mut Records) {
    let datanet = records.nsr["vld"][1].clone();
    for (id, _) in &NETWORKS[1..] {
        let mut vld = datanet.clone();
        vld["id"] = json!(id);
        vld["name"] = json!(id);
        records.nsr["vld"].as_array_mut().unwrap().push(vld);
    }
    records.nsr["affinity-or-anti-affinity-group"] =
        json!([{"id": "0", "name": "apart", "type": "anti-affinity", "scope": "nfvi-node"}]);
    let management = json!({"name": "eth0", "ns-vld-id": "mgmtnet", "mgmt-interface": true, "mgmt-vnf": true, "position": 1,
        "type": "PARAVIRT"});
    let inner = |name: &str, vld: &str, position: u32| json!({"name": name, "ns-vld-id": vld, "position": position, "type": "PARAVIRT"});

    let first = &mut records.vnfrs[0]["vdur"];
    let mut second = first[0].clone();
    for key in ["_id", "id"] {
        second[key] = json!("7c1d5f1e-33a0-4c3e-8d5c-2f1d1f2f4a10");
    }
    for key in ["vdu-id-ref", "vdu-name"] {
        second[key] = json!("dataVM");
    }
    second["additionalParams"]["OSM"]["vdu_id"] = json!("dataVM");

    let mut floating = management.clone();
    floating["floating_ip"] = json!(true);
    let mut fixed = inner("xe0", "datanet", 2);
    fixed["ip-address"] = json!("10.61.1.11");
    first[0]["interfaces"] = json!([floating, fixed]);
    let storage = |id: &str, keep: &str| {
        json!({"id": id, "type-of-storage": "persistent-storage:persistent-storage", "size-of-storage": "2",
               "vdu-storage-requirements": [{"key": "keep-volume", "value": keep}]})
    };
    first[0]["virtual-storages"] = json!([storage("root", "false"), storage("data", "true")]);
    first[0]["affinity-or-anti-affinity-group-id"] = json!(["0"]);

    let mut fixed = inner("xe0", "signal", 2);
    fixed["ip-address"] = json!("10.61.2.11");
    let mut plain = management.clone();
    plain.as_object_mut().unwrap().remove("mgmt-vnf");
    second["interfaces"] = json!([plain, fixed, inner("xe1", "user", 3)]);
    second["affinity-or-anti-affinity-group-id"] = json!(["0"]);
    first.as_array_mut().unwrap().push(second);

    records.vnfrs[1]["vdur"][0]["interfaces"] = json!([management, inner("xe0", "datanet", 2)]);
}

/// What [`three_vms`] are in the VIM: by kind, how many.
pub(crate) const THREE_VMS: [(&str, usize); 8] = [
    ("server", 3),
    ("port", 7),
    ("volume", 2),
    ("floating address", 1),
    ("server group", 1),
    ("network", 3),
    ("subnet", 3),
    ("flavour", 1),
];

/// Asserts that exactly so many are there besides what was there before.
pub(crate) fn assert_made(cloud: &Cloud, before: &Inventory, wanted: &[(&str, usize)]) -> Inventory {
    let made = Inventory::of(cloud).unwrap().without(before);
    for (kind, count) in wanted {
        let mut ids = made.ids(kind);
        // A network with DHCP has a port of the VIM's own on clouds that serve it; those in the test's networks are counted by server.
        if *kind == "port" {
            ids = made_ports(cloud, &made);
        }
        assert_eq!(ids.len(), *count, "{kind}s: there are\n{made}");
    }
    made
}

fn made_ports<'i>(cloud: &Cloud, made: &'i Inventory) -> Vec<&'i str> {
    let mut of_servers = Vec::new();
    for server in made.ids("server") {
        for port in cloud.list(&["port", "list", "--server", server]).unwrap() {
            of_servers.push(port["ID"].as_str().unwrap().to_owned());
        }
    }
    made.ids("port")
        .into_iter()
        .filter(|id| of_servers.iter().any(|port| port == id))
        .collect()
}

/// Waits until everything is as before, kept volumes excepted, which are then deleted as their owner would.
pub(crate) async fn assert_as_before(cloud: &Cloud, before: &Inventory, kept_volumes: usize) {
    let left = async |wanted: usize| {
        wait_until("the VIM to be as before", Duration::from_secs(60), async || {
            let left = Inventory::of(cloud)?.without(before);
            Ok(left.count("volume") == wanted && left.to_string().lines().count() == wanted)
        })
        .await
        .unwrap_or_else(|error| panic!("{error}; there are\n{}", Inventory::of(cloud).unwrap().without(before)));
    };
    left(kept_volumes).await;
    for volume in Inventory::of(cloud).unwrap().without(before).ids("volume") {
        cloud.openstack_do(&["volume", "delete", volume]).unwrap();
    }
    left(0).await;
    let lost = before.without(&Inventory::of(cloud).unwrap());
    assert!(lost.is_empty(), "gone, and not the test's:\n{lost}");
}
