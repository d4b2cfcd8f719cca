//! Records that are removed, reshaped or guarded by rules of their database while results are on their way to them.
//!
//! The records are OSM's: NBI and LCM may do with them what they like, at any time. Whatever it is, the VMs come to be and go, and
//! everything else goes on.

use std::time::Duration;

use mock_vim::Faults;
use mongodb::bson::{Bson, Document, doc};
use serde_json::{Value, json};
use vimhost_mongod::Kind;
use vimhost_tests::{Cluster, Host, Lcm, wait_until};

use crate::deployed::{ACCOUNT, Deployed, LIMIT, TARGET, tasks};

const GONE: &str = "a change to a record that is gone is left out";
const REFUSED: &str = "a change to a record is refused and left out";

/// Longer than any test: VMs are being made until [`World::finished`] lets them go.
const BUILD: Duration = Duration::from_secs(3600);

/// The records of a service, and a way to them that is not the host's where there is one.
struct World {
    deployed: Deployed,
    database: Option<mongodb::Database>,
    /// Its directory has the seal key.
    _cluster: Option<Cluster>,
}

impl World {
    async fn in_the_file() -> Self {
        Self {
            deployed: Deployed::prepared(faults(), |_| {}).await,
            database: None,
            _cluster: None,
        }
    }

    async fn on_mongodb(name: &str) -> Self {
        let uri = vimhost_mongod::shared(Kind::ReplicaSet).await.unwrap();
        // A server that is used instead may hold an earlier run.
        let name = format!("records-{name}-{}", std::process::id());
        let cluster = Cluster::new(&uri, &name).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let deployed = Deployed::prepared_on(cluster.setup("one"), dir, faults(), |_| {}).await;
        let client = mongodb::Client::with_uri_str(&uri).await.unwrap();
        Self {
            deployed,
            database: Some(client.database(&name)),
            _cluster: Some(cluster),
        }
    }

    /// Deploys, and comes back when both VMs are being made.
    async fn begin(&self, action: &str) {
        let body = self.deployed.body(action);
        let lcm = self.deployed.lcm();
        assert_eq!(lcm.deploy(&self.deployed.nsr, &body).await.unwrap(), action);
        wait_until("that VMs are being made", LIMIT, async || {
            let status = lcm.status(&self.deployed.nsr, action).await?;
            let making = |task: &&Value| task["item"] == "vdu" && task["status"] == "BUILD";
            Ok(tasks(&status).iter().filter(making).count() == 2 && self.deployed.vim.inventory().servers.len() == 2)
        })
        .await
        .unwrap();
    }

    /// Lets the VMs that are being made be there, and waits for the action: its status. What is begun later takes no time.
    async fn finished(&self, action: &str) -> Value {
        self.deployed.vim.set_faults(Faults::default()).unwrap();
        self.deployed.vim.hurry();
        self.deployed.done(action).await
    }

    fn place(collection: &str, id: &str) -> String {
        format!("/v1/records/{collection}/{id}")
    }

    async fn remove(&self, collection: &str, id: &str) {
        if let Some(database) = &self.database {
            let records = database.collection::<Document>(collection);
            let gone = records.delete_one(doc! {"_id": id}).await.unwrap();
            assert_eq!(gone.deleted_count, 1);
        } else {
            let place = Self::place(collection, id);
            let host = &self.deployed.host;
            host.admin_ok("DELETE", &place, None).await.unwrap();
        }
    }

    /// Sets one field, by its path with points.
    async fn set(&self, collection: &str, id: &str, path: &str, value: Value) {
        if let Some(database) = &self.database {
            let records = database.collection::<Document>(collection);
            let change = doc! {"$set": {path: bson(&value)}};
            let set = records.update_one(doc! {"_id": id}, change).await.unwrap();
            assert_eq!(set.matched_count, 1);
        } else {
            let mut record = self.deployed.record(collection, id).await;
            let pointer = format!("/{}", path.replace('.', "/"));
            *record.pointer_mut(&pointer).unwrap() = value;
            let place = Self::place(collection, id);
            let host = &self.deployed.host;
            host.admin_ok("PUT", &place, Some(record)).await.unwrap();
        }
    }

    /// A rule of the database for the documents of a collection.
    async fn rule(&self, collection: &str, rule: Document) {
        let command = doc! {
            "collMod": collection, "validator": rule, "validationLevel": "strict", "validationAction": "error",
        };
        let database = self.database.as_ref().unwrap();
        database.run_command(command).await.unwrap();
    }

    /// A service of its own comes and goes on the same VIM.
    async fn another_service_lives(&self) {
        let host = &self.deployed.host;
        let service = json!({
            "name": "svc", "vim": ACCOUNT,
            "networks": {"mgmt": {"existing": "mgmt"}},
            "flavours": {"small": {"vcpus": 1, "memory-mb": 512, "disk-gb": 5}},
            "vms": {"vm": {"image": "ubuntu18.04", "flavour": "small",
                           "interfaces": [{"network": "mgmt", "management": true}]}},
        });
        host.admin_ok("PUT", "/v1/network-services/svc", Some(service))
            .await
            .unwrap();
        for verb in ["deploy", "terminate"] {
            let path = format!("{}/v1/network-services/svc/{verb}", host.admin);
            let request = host.http.post(path).header("Idempotency-Key", verb).json(&json!({}));
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 202, "{}", answer.text().await.unwrap());
            wait_until(&format!("the {verb} of another service"), LIMIT, async || {
                let path = format!("/v1/network-services/svc/actions/{verb}");
                Ok(host.admin_ok("GET", &path, None).await?["status"] == "DONE")
            })
            .await
            .unwrap();
        }
    }

    /// Terminates, and answers the log: nothing is left in the VIM.
    async fn end(self) -> String {
        self.deployed.terminate().await;
        self.stop().await
    }

    /// Stops the host, which has left nothing in the VIM, and answers its log.
    async fn stop(self) -> String {
        let deployed = self.deployed;
        assert_eq!(deployed.vim.inventory().created(), 0, "{:#?}", deployed.vim.inventory());
        let log = deployed.host.stop().unwrap();
        deployed.vim.stop().await.unwrap();
        log
    }
}

fn faults() -> Faults {
    Faults {
        build_delay_ms: u64::try_from(BUILD.as_millis()).unwrap(),
        ..Faults::default()
    }
}

fn bson(value: &Value) -> Bson {
    match value {
        Value::String(text) => Bson::from(text.as_str()),
        Value::Array(items) => Bson::Array(items.iter().map(bson).collect()),
        Value::Number(number) => Bson::Int64(number.as_i64().unwrap()),
        Value::Null | Value::Bool(_) | Value::Object(_) => panic!("not needed here"),
    }
}

fn lines(log: &str, words: &[&str]) -> usize {
    let has_all = |line: &&str| words.iter().all(|word| line.contains(word));
    log.lines().filter(has_all).count()
}

fn all_done(status: &Value) {
    assert_eq!(tasks(status).len(), 6, "{status:#}");
    assert!(tasks(status).iter().all(|task| task["status"] == "DONE"), "{status:#}");
}

async fn without_its_vnf_record(world: World) {
    world.begin("instantiate").await;
    let vnf = world.deployed.vnf(0);
    world.remove("vnfrs", &vnf).await;
    all_done(&world.finished("instantiate").await);
    // What a client removed is not brought back, and its neighbour has everything.
    let (code, _) = world
        .deployed
        .host
        .admin("GET", &World::place("vnfrs", &vnf), None)
        .await
        .unwrap();
    assert_eq!(code, 404);
    let other = world.deployed.vnfr(1).await;
    let shown = &other["vdur"][0];
    assert_eq!(
        (&shown["status"], &shown["vim_info"][TARGET]["vim_status"]),
        (&json!("ACTIVE"), &json!("ACTIVE"))
    );
    assert_eq!(other["ip-address"], shown["interfaces"][0]["ip-address"]);
    world.another_service_lives().await;
    let log = world.end().await;
    assert_eq!(lines(&log, &["WARN", GONE, &vnf]), 1, "{log}");
    assert_eq!(lines(&log, &["ERROR"]), 0, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vnf_record_that_is_deleted_while_its_vm_is_made_costs_nothing_else_in_the_file() {
    without_its_vnf_record(World::in_the_file().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vnf_record_that_is_deleted_while_its_vm_is_made_costs_nothing_else_on_mongodb() {
    without_its_vnf_record(World::on_mongodb("vnfr").await).await;
}

async fn without_its_ns_record(world: World) {
    world.begin("instantiate").await;
    let deployed = &world.deployed;
    world.remove("nsrs", &deployed.nsr).await;
    all_done(&world.finished("instantiate").await);
    for vnf in [0, 1] {
        assert_eq!(deployed.vnfr(vnf).await["vdur"][0]["status"], "ACTIVE");
    }
    // Nothing can be made for a service that is not there. What was made for it can be terminated all the same.
    let path = format!("ns/v1/deploy/{}", deployed.nsr);
    let (code, answer) = deployed
        .lcm()
        .call("POST", &path, Some(&deployed.body("more")))
        .await
        .unwrap();
    assert_eq!((code, &answer["code"]), (404, &json!("NOT_FOUND")));
    deployed.terminate().await;
    for vnf in [0, 1] {
        assert_eq!(deployed.vnfr(vnf).await["vdur"][0]["status"], "DELETED");
    }
    let (code, _) = deployed.lcm().call("DELETE", &path, None).await.unwrap();
    assert_eq!(code, 204);
    // Where nothing is known either, LCM is told so.
    let terminate = Lcm::terminate_body("again");
    let (code, _) = deployed.lcm().call("POST", &path, Some(&terminate)).await.unwrap();
    assert_eq!(code, 404);
    let nsr = deployed.nsr.clone();
    let log = world.stop().await;
    assert_eq!(lines(&log, &["WARN", GONE, &nsr]), 1, "{log}");
    let told = lines(&log, &["WARN", "the record of a network service is gone", &nsr]);
    assert!(told >= 1 && lines(&log, &["ERROR"]) == 0, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_record_is_deleted_is_finished_and_terminated_in_the_file() {
    without_its_ns_record(World::in_the_file().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_record_is_deleted_is_finished_and_terminated_on_mongodb() {
    without_its_ns_record(World::on_mongodb("nsr").await).await;
}

async fn without_its_vdu(world: World) {
    world.begin("instantiate").await;
    let vnf = world.deployed.vnf(0);
    world.set("vnfrs", &vnf, "vdur", json!([])).await;
    all_done(&world.finished("instantiate").await);
    assert_eq!(
        world.deployed.vnfr(0).await["vdur"],
        json!([]),
        "it is not brought back"
    );
    assert_eq!(world.deployed.vnfr(1).await["vdur"][0]["status"], "ACTIVE");
    let log = world.end().await;
    assert_eq!(lines(&log, &["ERROR"]), 0, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vdu_that_is_taken_out_of_its_record_while_it_is_made_goes_with_the_service_in_the_file() {
    without_its_vdu(World::in_the_file().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vdu_that_is_taken_out_of_its_record_while_it_is_made_goes_with_the_service_on_mongodb() {
    without_its_vdu(World::on_mongodb("vdur").await).await;
}

async fn with_other_shapes(world: World) {
    world.begin("instantiate").await;
    let (vnf, nsr) = (world.deployed.vnf(0), world.deployed.nsr.clone());
    world.set("vnfrs", &vnf, "vdur.0.vim_info", json!("no map")).await;
    world.set("vnfrs", &vnf, "vdur.0.interfaces", json!(7)).await;
    world.set("nsrs", &nsr, "vld", json!("no list")).await;
    all_done(&world.finished("instantiate").await);
    let vnfr = world.deployed.vnfr(0).await;
    let shown = &vnfr["vdur"][0];
    // Their shape is their owner's; what can be set is set.
    assert_eq!(
        (&shown["vim_info"], &shown["interfaces"]),
        (&json!("no map"), &json!(7))
    );
    assert_eq!(shown["status"], "ACTIVE");
    assert_eq!(world.deployed.record("nsrs", &nsr).await["vld"], "no list");
    assert_eq!(
        world.deployed.vnfr(1).await["vdur"][0]["vim_info"][TARGET]["vim_status"],
        "ACTIVE"
    );
    let log = world.end().await;
    assert_eq!(lines(&log, &["ERROR"]), 0, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_reshaped_while_its_vm_is_made_keeps_its_shape_in_the_file() {
    with_other_shapes(World::in_the_file().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_reshaped_while_its_vm_is_made_keeps_its_shape_on_mongodb() {
    with_other_shapes(World::on_mongodb("shapes").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_its_database_refuses_to_change_is_told_once_and_stops_nothing() {
    let mut world = World::on_mongodb("rules").await;
    // The rules are there before; nothing happens while VMs are being made.
    world.deployed.vim.set_faults(Faults::default()).unwrap();
    let (vnf, nsr) = (world.deployed.vnf(0), world.deployed.nsr.clone());
    // The first VNF never has a VM that runs, and nothing at all of the service may change.
    let rule = doc! {"$or": [{"_id": {"$ne": &vnf}}, {"vdur.status": {"$ne": "ACTIVE"}}]};
    world.rule("vnfrs", rule).await;
    world
        .rule("nsrs", doc! {"$nor": [{"_id": &nsr}, {"name": "refused"}]})
        .await;
    all_done(&world.deployed.deploy("instantiate").await);
    assert_ne!(world.deployed.vnfr(0).await["vdur"][0]["status"], "ACTIVE");
    assert_eq!(world.deployed.vnfr(1).await["vdur"][0]["status"], "ACTIVE");
    assert!(
        world.deployed.record("nsrs", &nsr).await["vld"][0]
            .get("vim_info")
            .is_none()
    );

    // Whoever asks for a record that is refused is told; the others do not notice.
    let service = json!({"name": "refused", "vim": ACCOUNT, "networks": {"mgmt": {"existing": "mgmt"}},
        "flavours": {"small": {"vcpus": 1, "memory-mb": 512, "disk-gb": 5}},
        "vms": {"vm": {"image": "ubuntu18.04", "flavour": "small", "interfaces": [{"network": "mgmt"}]}}});
    let host = &world.deployed.host;
    let (code, answer) = host
        .admin("PUT", "/v1/network-services/refused", Some(service))
        .await
        .unwrap();
    assert_eq!(code, 500, "{answer}");
    world.another_service_lives().await;
    // A line comes a moment after what it tells of.
    wait_until("the words of all three", LIMIT, async || {
        Ok(lines(&world.deployed.host.log(), &[REFUSED]) >= 3)
    })
    .await
    .unwrap();
    let log = world.deployed.host.log();
    for record in [&*vnf, &*nsr, "refused"] {
        let record = format!("record=\"{record}\"");
        assert_eq!(lines(&log, &["ERROR", REFUSED, &record]), 1, "{record}: {log}");
    }
    assert_eq!(lines(&log, &[REFUSED]), 3, "{log}");

    // The next host goes on, and without the rules the records show what becomes of the service.
    world.deployed.host.kill();
    world.deployed.host = Host::start(&world.deployed.setup).unwrap();
    let status = world.deployed.lcm().status(&nsr, "instantiate").await.unwrap();
    assert_eq!(status["status"], "DONE");
    world.rule("vnfrs", Document::new()).await;
    world.rule("nsrs", Document::new()).await;
    world.deployed.terminate().await;
    for vnf in [0, 1] {
        assert_eq!(world.deployed.vnfr(vnf).await["vdur"][0]["status"], "DELETED");
    }
    let log = world.stop().await;
    // A host that is killed may leave a change that it had made, or left out, without having noted it: the next one tries it again.
    for record in [&*vnf, &*nsr] {
        let record = format!("record=\"{record}\"");
        assert!(lines(&log, &[REFUSED, &record]) <= 1, "{record}: {log}");
    }
}
