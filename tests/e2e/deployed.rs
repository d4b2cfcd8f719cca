//! A service of LCM on a mock VIM, driven with LCM's calls.

use std::sync::Arc;
use std::time::Duration;

use mock_vim::Faults;
use mock_vim::elements::{Port, Server};
use serde_json::{Value, json};
use vimhost_tests::{Host, Lcm, Records, Setup, VimUser, start_vim, wait_until};

pub(crate) const FIXTURE: &str = include_str!("data/lcm_deployed_records.json");
pub(crate) const ACCOUNT: &str = "bad7338b-ae46-43d4-a434-c3337a8054ac";
pub(crate) const TARGET: &str = "vim:bad7338b-ae46-43d4-a434-c3337a8054ac";
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A service of two VNFs with one VM each, deployed.
pub(crate) struct Deployed {
    pub(crate) vim: mock_vim::Server,
    pub(crate) host: Host,
    pub(crate) records: Records,
    pub(crate) nsr: String,
    pub(crate) setup: Setup,
    /// A target beside the VIM on which the data network is wanted, with what is said there.
    pub(crate) joined_by: Option<(String, Value)>,
    pub(crate) dir: tempfile::TempDir,
}

impl Deployed {
    pub(crate) async fn new(faults: Faults, change: impl FnOnce(&mut Records)) -> Self {
        let deployed = Self::prepared(faults, change).await;
        deployed.deploy("instantiate").await;
        deployed
    }

    /// The records are written, nothing is deployed yet.
    pub(crate) async fn prepared(faults: Faults, change: impl FnOnce(&mut Records)) -> Self {
        Self::prepared_with(faults, &[], "info", change).await
    }

    /// On a host with more arguments and another log.
    pub(crate) async fn prepared_with(
        faults: Faults,
        arguments: &[&str],
        log: &str,
        change: impl FnOnce(&mut Records),
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut setup = Setup::new(dir.path());
        setup.arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        log.clone_into(&mut setup.log);
        Self::prepared_on(setup, dir, faults, change).await
    }

    /// On a host that is started like this; the directory lives as long as the service.
    pub(crate) async fn prepared_on(
        setup: Setup,
        dir: tempfile::TempDir,
        faults: Faults,
        change: impl FnOnce(&mut Records),
    ) -> Self {
        let vim = start_vim(faults).await.unwrap();
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
            joined_by: None,
            dir,
        }
    }

    pub(crate) fn lcm(&self) -> Lcm<'_> {
        Lcm::new(&self.host)
    }

    /// LCM's deploy body of the records as they are; groups are all wanted.
    pub(crate) fn body(&self, action: &str) -> Value {
        let mut body = self.records.deploy_body(action, ACCOUNT);
        let key = "affinity-or-anti-affinity-group";
        let mut groups = self.records.nsr[key].clone();
        for group in groups.as_array_mut().unwrap() {
            group["vim_info"] = json!({TARGET: {}});
        }
        body[key] = groups;
        for vld in body["ns"]["vld"].as_array_mut().unwrap() {
            if let Some((target, info)) = self.joined_by.as_ref().filter(|_| vld["id"] == "datanet") {
                vld["vim_info"][target] = info.clone();
            }
        }
        body
    }

    pub(crate) async fn deploy(&self, action: &str) -> Value {
        let action = self.lcm().deploy(&self.nsr, &self.body(action)).await.unwrap();
        self.done(&action).await
    }

    pub(crate) async fn done(&self, action: &str) -> Value {
        self.lcm().wait_done(&self.nsr, action, LIMIT).await.unwrap()
    }

    /// The failures of an action, once all of it is over.
    pub(crate) async fn failed(&self, action: &str) -> String {
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

    pub(crate) async fn run(&self, topic: &str, body: &Value) -> Value {
        let action = self.lcm().operate(topic, &self.nsr, body).await.unwrap();
        self.done(&action).await
    }

    pub(crate) fn vnf(&self, index: usize) -> String {
        self.records.vnfrs[index]["_id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn record(&self, collection: &str, id: &str) -> Value {
        let path = format!("/v1/records/{collection}/{id}");
        self.host.admin_ok("GET", &path, None).await.unwrap()
    }

    pub(crate) async fn vnfr(&self, index: usize) -> Value {
        self.record("vnfrs", &self.vnf(index)).await
    }

    pub(crate) async fn put_vnfr(&self, record: &Value) {
        let path = format!("/v1/records/vnfrs/{}", record["_id"].as_str().unwrap());
        self.host.admin_ok("PUT", &path, Some(record.clone())).await.unwrap();
    }

    /// LCM's scale out of the first VNF: VDUs without results are appended to the record and everything is sent again.
    pub(crate) async fn scale_out(&mut self, by: usize) {
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
    pub(crate) async fn scale_in(&mut self, vdu: &str) {
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

    pub(crate) async fn terminate(&self) {
        self.terminate_as("terminate").await;
    }

    pub(crate) async fn terminate_as(&self, action: &str) {
        let body = Lcm::terminate_body(action);
        let action = self.lcm().deploy(&self.nsr, &body).await.unwrap();
        self.done(&action).await;
    }

    pub(crate) fn server(&self, id: &Value) -> Arc<Server> {
        let servers = self.vim.inventory().servers;
        let found = servers.into_iter().find(|server| json!(server.meta.id) == *id);
        found.unwrap_or_else(|| panic!("no server {id}"))
    }

    pub(crate) fn ports(&self, server: &Server) -> Vec<Arc<Port>> {
        let ports = self.vim.inventory().ports;
        let port = |id: &String| ports.iter().find(|port| port.meta.id == *id).unwrap().clone();
        server.ports.iter().map(port).collect()
    }

    /// Makes an element as an operator of the VIM would; answers its id.
    pub(crate) async fn create_in_the_vim(&self, kind: &str, body: &Value) -> String {
        let operator = VimUser::log_in(&self.vim).await.unwrap();
        operator.make(kind, body).await.unwrap()
    }

    /// Deletes an element as an operator of the VIM would.
    pub(crate) async fn delete_in_the_vim(&self, kind: &str, id: &str) {
        let operator = VimUser::log_in(&self.vim).await.unwrap();
        operator.delete(kind, id).await.unwrap();
    }
}

pub(crate) fn vdur<'v>(vnfr: &'v Value, id: &str) -> &'v Value {
    vnfr["vdur"]
        .as_array()
        .unwrap()
        .iter()
        .find(|vdur| vdur["id"] == id)
        .unwrap()
}

pub(crate) fn tasks(status: &Value) -> &Vec<Value> {
    status["tasks"].as_array().unwrap()
}

/// Two volumes for each VM: one to boot from, and one that outlives it.
pub(crate) fn with_volumes(records: &mut Records) {
    let storage = |id: &str, keep: &str| {
        json!({"id": id, "type-of-storage": "persistent-storage:persistent-storage", "size-of-storage": "2",
               "vdu-storage-requirements": [{"key": "keep-volume", "value": keep}]})
    };
    for vnfr in &mut records.vnfrs {
        vnfr["vdur"][0]["virtual-storages"] = json!([storage("root", "false"), storage("data", "true")]);
    }
}

pub(crate) fn with_group(records: &mut Records) {
    records.nsr["affinity-or-anti-affinity-group"] =
        json!([{"id": "0", "name": "apart", "type": "anti-affinity", "scope": "nfvi-node"}]);
    for vnfr in &mut records.vnfrs {
        vnfr["vdur"][0]["affinity-or-anti-affinity-group-id"] = json!(["0"]);
    }
}
