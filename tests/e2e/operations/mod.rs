//! Operations on a deployed service, driven with LCM's calls: power, console, migration, vertical scale, recreate, cancel.

use std::sync::Arc;
use std::time::Duration;

use mock_vim::Faults;
use mock_vim::elements::{Port, Server};
use serde_json::{Value, json};
use vimhost_tests::{Host, Lcm, Records, Setup, start_vim, wait_until};

mod commands;
mod recreation;
mod refusals;
mod sizes;

const FIXTURE: &str = include_str!("../data/lcm_deployed_records.json");
const ACCOUNT: &str = "bad7338b-ae46-43d4-a434-c3337a8054ac";
const TARGET: &str = "vim:bad7338b-ae46-43d4-a434-c3337a8054ac";
const LIMIT: Duration = Duration::from_secs(60);

/// A service of two VNFs with one VM each, deployed.
struct Deployed {
    vim: mock_vim::Server,
    host: Host,
    records: Records,
    nsr: String,
    setup: Setup,
    _dir: tempfile::TempDir,
}

impl Deployed {
    async fn new(faults: Faults, change: impl FnOnce(&mut Records)) -> Self {
        let deployed = Self::prepared(faults, change).await;
        deployed.deploy("instantiate").await;
        deployed
    }

    /// The records are written, nothing is deployed yet.
    async fn prepared(faults: Faults, change: impl FnOnce(&mut Records)) -> Self {
        let vim = start_vim(faults).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let setup = Setup::new(dir.path());
        let host = Host::start(&setup).unwrap();
        host.add_vim(ACCOUNT, &vim.url()).await.unwrap();
        let mut records = Records::fixture(FIXTURE, ACCOUNT).unwrap();
        change(&mut records);
        records.put(&host).await.unwrap();
        let nsr = records.id();
        Self {
            vim,
            host,
            records,
            nsr,
            setup,
            _dir: dir,
        }
    }

    fn lcm(&self) -> Lcm<'_> {
        Lcm::new(&self.host)
    }

    /// LCM's deploy body of the records as they are; groups are all wanted.
    fn body(&self, action: &str) -> Value {
        let mut body = self.records.deploy_body(action, ACCOUNT);
        let key = "affinity-or-anti-affinity-group";
        let mut groups = self.records.nsr[key].clone();
        for group in groups.as_array_mut().unwrap() {
            group["vim_info"] = json!({TARGET: {}});
        }
        body[key] = groups;
        body
    }

    async fn deploy(&self, action: &str) -> Value {
        let action = self.lcm().deploy(&self.nsr, &self.body(action)).await.unwrap();
        self.done(&action).await
    }

    async fn done(&self, action: &str) -> Value {
        self.lcm().wait_done(&self.nsr, action, LIMIT).await.unwrap()
    }

    /// The failures of an action, once all of it is over.
    async fn failed(&self, action: &str) -> String {
        let open = |task: &Value| task["status"] == "SCHEDULED" || task["status"] == "BUILD";
        wait_until(&format!("the end of {action}"), LIMIT, async || {
            let status = self.lcm().status(&self.nsr, action).await?;
            Ok(!tasks(&status).iter().any(open))
        })
        .await
        .unwrap();
        let status = self.lcm().status(&self.nsr, action).await.unwrap();
        assert_eq!(status["status"], "FAILED", "{status:#}");
        status["details"].as_str().unwrap().to_owned()
    }

    async fn run(&self, topic: &str, body: &Value) -> Value {
        let action = self.lcm().operate(topic, &self.nsr, body).await.unwrap();
        self.done(&action).await
    }

    fn vnf(&self, index: usize) -> String {
        self.records.vnfrs[index]["_id"].as_str().unwrap().to_owned()
    }

    async fn record(&self, collection: &str, id: &str) -> Value {
        let path = format!("/v1/records/{collection}/{id}");
        self.host.admin_ok("GET", &path, None).await.unwrap()
    }

    async fn vnfr(&self, index: usize) -> Value {
        self.record("vnfrs", &self.vnf(index)).await
    }

    async fn put_vnfr(&self, record: &Value) {
        let path = format!("/v1/records/vnfrs/{}", record["_id"].as_str().unwrap());
        self.host.admin_ok("PUT", &path, Some(record.clone())).await.unwrap();
    }

    /// LCM's scale out of the first VNF: VDUs without results are appended to the record and everything is sent again.
    async fn scale_out(&mut self, by: usize) {
        let mut vnfr = self.vnfr(0).await;
        for count in 1..=by {
            let mut vdur = vnfr["vdur"][0].clone();
            for key in ["vim_info", "ip-address", "status", "vim-id", "name"] {
                vdur.as_object_mut().unwrap().remove(key);
            }
            vdur["id"] = json!(format!("scaled-{count}"));
            vdur["count-index"] = json!(count);
            for interface in vdur["interfaces"].as_array_mut().unwrap() {
                let interface = interface.as_object_mut().unwrap();
                interface.retain(|key, _| key != "ip-address" && key != "mac-address");
            }
            vnfr["vdur"].as_array_mut().unwrap().push(vdur);
        }
        self.put_vnfr(&vnfr).await;
        self.records.vnfrs[0] = vnfr;
        self.deploy("scale-out").await;
    }

    /// LCM's scale in of one VDU of the first VNF, which is then taken out of the record: later ones move up.
    async fn scale_in(&mut self, vdu: &str) {
        let mut vnfr = self.vnfr(0).await;
        let vdurs = vnfr["vdur"].as_array_mut().unwrap();
        vdurs.iter_mut().find(|vdur| vdur["id"] == vdu).unwrap()["status"] = json!("DELETING");
        self.put_vnfr(&vnfr).await;
        self.records.vnfrs[0] = vnfr;
        self.deploy("scale-in").await;
        let mut vnfr = self.vnfr(0).await;
        vnfr["vdur"].as_array_mut().unwrap().retain(|vdur| vdur["id"] != vdu);
        self.put_vnfr(&vnfr).await;
        self.records.vnfrs[0] = vnfr;
    }

    async fn terminate(&self) {
        let body = Lcm::terminate_body("terminate");
        let action = self.lcm().deploy(&self.nsr, &body).await.unwrap();
        self.done(&action).await;
    }

    fn server(&self, id: &Value) -> Arc<Server> {
        let servers = self.vim.inventory().servers;
        let found = servers.into_iter().find(|server| json!(server.meta.id) == *id);
        found.unwrap_or_else(|| panic!("no server {id}"))
    }

    fn ports(&self, server: &Server) -> Vec<Arc<Port>> {
        let ports = self.vim.inventory().ports;
        let port = |id: &String| ports.iter().find(|port| port.meta.id == *id).unwrap().clone();
        server.ports.iter().map(port).collect()
    }
}

fn vdur<'v>(vnfr: &'v Value, id: &str) -> &'v Value {
    vnfr["vdur"]
        .as_array()
        .unwrap()
        .iter()
        .find(|vdur| vdur["id"] == id)
        .unwrap()
}

fn tasks(status: &Value) -> &Vec<Value> {
    status["tasks"].as_array().unwrap()
}

/// Two volumes for each VM: one to boot from, and one that outlives it.
fn with_volumes(records: &mut Records) {
    let storage = |id: &str, keep: &str| {
        json!({"id": id, "type-of-storage": "persistent-storage:persistent-storage", "size-of-storage": "2",
               "vdu-storage-requirements": [{"key": "keep-volume", "value": keep}]})
    };
    for vnfr in &mut records.vnfrs {
        vnfr["vdur"][0]["virtual-storages"] = json!([storage("root", "false"), storage("data", "true")]);
    }
}

fn with_group(records: &mut Records) {
    records.nsr["affinity-or-anti-affinity-group"] =
        json!([{"id": "0", "name": "apart", "type": "anti-affinity", "scope": "nfvi-node"}]);
    for vnfr in &mut records.vnfrs {
        vnfr["vdur"][0]["affinity-or-anti-affinity-group-id"] = json!(["0"]);
    }
}

fn scale(vnf: &str, ram: u64) -> Value {
    json!({"lcmOperationType": "verticalscale", "verticalScale": "CHANGE_VNFFLAVOR", "nsInstanceId": "x",
        "changeVnfFlavorData": {"vnfInstanceId": vnf, "additionalParams": {
            "vduid": "mgmtVM", "vduCountIndex": 0, "virtualMemory": ram, "numVirtualCpu": 2, "sizeOfStorage": 20}}})
}
