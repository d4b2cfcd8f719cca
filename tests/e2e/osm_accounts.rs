//! OSM's accounts: written into its database as NBI does it, and ended as NBI expects it.

use std::time::Duration;

use mock_vim::Faults;
use mongodb::Client;
use mongodb::bson::{Document, doc};
use serde_json::{Value, json};
use vimhost_mongod::Kind;
use vimhost_tests::{Cluster, Host, PASSWORD, Setup, start_vim, wait_until};

/// Longer than anything here takes; the slowest is an operation that a host had locked when it was stopped: its lock lasts 75 seconds, and the
/// next look at everything is 30 seconds later at most.
const DEADLINE: Duration = Duration::from_secs(150);

const COMMON_KEY: &str = "osmcommonkey";
const SERIAL: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// An account with the VIM's password and with another one, encrypted for it by an implementation that is not vimhost's.
struct Account {
    id: &'static str,
    right: &'static str,
    wrong: &'static str,
}

const ONE: Account = Account {
    id: "11111111-1111-1111-1111-111111111111",
    right: "spT5vClpBkJ1U13qPlq0msHeWriOWQwQzu52E9atyM4=",
    wrong: "/M5zZnDPuzEh61ioEm8KF2YpqNTp4W+XXJFfsIc9kXo=",
};
const TWO: Account = Account {
    id: "33333333-3333-3333-3333-333333333333",
    right: "mEIMTkb/BsicKTgjK3jNqrzArmz/iQeBgPzkUdin5go=",
    wrong: "W8taNcvgKbKmqNxx5JWgUgkaGV+lafLOpKtc8zWpNGw=",
};

/// OSM's database, and what NBI and LCM do with it.
struct Osm {
    uri: String,
    name: String,
    database: mongodb::Database,
}

impl Osm {
    async fn new(kind: Kind, name: &str) -> Self {
        let uri = vimhost_mongod::shared(kind).await.unwrap();
        // A server that is used instead may hold an earlier run.
        let name = format!("osm-{name}-{}", std::process::id());
        let database = Client::with_uri_str(&uri).await.unwrap().database(&name);
        let version = doc! {"_id": "version", "serial": SERIAL, "status": "ENABLED"};
        database
            .collection::<Document>("admin")
            .insert_one(version)
            .await
            .unwrap();
        Self { uri, name, database }
    }

    /// Lets a host follow it, by the names of NG-RO.
    fn for_host(&self, mut setup: Setup) -> Setup {
        for (name, value) in [
            ("OSMRO_DATABASE_URI", self.uri.as_str()),
            ("OSMRO_DATABASE_NAME", self.name.as_str()),
            ("OSMRO_DATABASE_COMMONKEY", COMMON_KEY),
        ] {
            setup.environment.push((name.to_owned(), value.to_owned()));
        }
        setup
    }

    fn accounts(&self) -> mongodb::Collection<Document> {
        self.database.collection("vim_accounts")
    }

    async fn create(&self, id: &str, vim_type: &str, url: &str, password: &str, schema_version: &str) {
        let operation = doc! {"lcmOperationType": "create", "operationState": "PROCESSING", "startTime": 1_700_000_000.25,
        "statusEnteredTime": 1_700_000_000.25, "detailed-status": "", "operationParams": null};
        let account = doc! {
            "_id": id, "name": format!("cloud {id}"), "vim_type": vim_type, "vim_url": url, "vim_user": "mock",
            "vim_tenant_name": "mock", "vim_password": password, "schema_version": schema_version, "config": {},
            "_admin": {"operationalState": "PROCESSING", "detailed-status": "", "operations": [operation],
                       "current_operation": null, "projects_read": ["p"], "created": 1_700_000_000.25},
        };
        self.accounts().insert_one(account).await.unwrap();
    }

    async fn edit(&self, id: &str, set: Document) {
        let operation =
            doc! {"lcmOperationType": "edit", "operationState": "PROCESSING", "startTime": 1_700_000_001.25};
        let edit = doc! {"$set": set, "$push": {"_admin.operations": operation}};
        self.accounts().update_one(doc! {"_id": id}, edit).await.unwrap();
    }

    /// What NBI does at a deletion, and what LCM does when it hears of it.
    async fn delete(&self, id: &str) {
        let operation =
            doc! {"lcmOperationType": "delete", "operationState": "PROCESSING", "startTime": 1_700_000_002.25};
        let delete = doc! {"$set": {"_admin.to_delete": true}, "$push": {"_admin.operations": operation}};
        self.accounts().update_one(doc! {"_id": id}, delete).await.unwrap();
        self.accounts().delete_one(doc! {"_id": id}).await.unwrap();
    }

    async fn admin_of(&self, id: &str) -> Document {
        let document = self.accounts().find_one(doc! {"_id": id}).await.unwrap().unwrap();
        document.get_document("_admin").unwrap().clone()
    }

    /// Waits until the account's operations are over, and answers its state, its text, and their states.
    async fn ended(&self, id: &str) -> (String, String, Vec<String>) {
        let operations = |admin: &Document| -> Vec<String> {
            let entries = admin.get_array("operations").unwrap().iter();
            let states = entries.map(|entry| entry.as_document().unwrap().get_str("operationState").unwrap());
            states.map(str::to_owned).collect()
        };
        wait_until(&format!("the end of the operations of {id}"), DEADLINE, || async {
            let states = operations(&self.admin_of(id).await);
            Ok(!states.iter().any(|state| state == "PROCESSING"))
        })
        .await
        .unwrap();
        let admin = self.admin_of(id).await;
        let text = |field: &str| admin.get_str(field).unwrap().to_owned();
        (text("operationalState"), text("detailed-status"), operations(&admin))
    }
}

async fn shown(host: &Host, id: &str) -> (u16, Value) {
    host.admin("GET", &format!("/v1/vims/{id}"), None).await.unwrap()
}

async fn gone(host: &Host, id: &str) {
    wait_until(&format!("the removal of {id}"), DEADLINE, || async {
        Ok(shown(host, id).await.0 == 404)
    })
    .await
    .unwrap();
}

fn enabled(operations: &[&str]) -> (String, String, Vec<String>) {
    let operations = operations.iter().map(|state| (*state).to_owned()).collect();
    ("ENABLED".to_owned(), String::new(), operations)
}

async fn accounts_live_as_nbi_expects(kind: Kind, name: &str) {
    let osm = Osm::new(kind, name).await;
    let vim = start_vim(Faults::default()).await.unwrap();
    let url = vim.url();
    // One was there before the host.
    osm.create(ONE.id, "mock", &url, ONE.right, "1.11").await;
    let dir = tempfile::tempdir().unwrap();
    let host = Host::start(&osm.for_host(Setup::new(dir.path()))).unwrap();
    assert_eq!(osm.ended(ONE.id).await, enabled(&["COMPLETED"]));
    let (status, account) = shown(&host, ONE.id).await;
    assert_eq!(
        (status, &account["source"], &account["state"]),
        (200, &json!("osm"), &json!("ENABLED"))
    );
    let admin = osm.admin_of(ONE.id).await;
    let operation = admin.get_array("operations").unwrap()[0].as_document().unwrap();
    for field in ["locked_at", "locked_by", "detailed-status"] {
        assert!(!operation.contains_key(field), "{operation}");
    }
    assert!(operation.get_f64("statusEnteredTime").unwrap() > 1_700_000_001.0);
    assert_eq!(admin.get_f64("created").unwrap(), 1_700_000_000.25);

    osm.create(TWO.id, "mock", &url, TWO.wrong, "1.11").await;
    let (state, text, operations) = osm.ended(TWO.id).await;
    assert_eq!((&*state, &*operations[0]), ("ERROR", "FAILED"));
    assert!(text.starts_with("checking the account: "), "{text}");

    osm.edit(TWO.id, doc! {"vim_password": TWO.right, "description": "mended"})
        .await;
    assert_eq!(osm.ended(TWO.id).await, enabled(&["FAILED", "COMPLETED"]));
    assert_eq!(shown(&host, TWO.id).await.1["description"], "mended");

    // NG-RO D11: the reason is told, and costs no other account anything.
    osm.create("vapour", "vaporware", &url, "x", "1.0").await;
    let (state, text, _) = osm.ended("vapour").await;
    assert_eq!(state, "ERROR");
    assert!(text.contains("no plugin serves VIM type 'vaporware'"), "{text}");
    // A secret of another record does not decrypt here.
    osm.create("alien", "mock", &url, ONE.right, "1.11").await;
    let (_, text, _) = osm.ended("alien").await;
    assert!(
        text.starts_with("reading the account: vim_password: cannot be decrypted"),
        "{text}"
    );

    for id in [ONE.id, TWO.id] {
        osm.delete(id).await;
        gone(&host, id).await;
    }
    let log = host.log();
    for secret in [PASSWORD, COMMON_KEY, ONE.right, TWO.wrong] {
        assert!(!log.contains(secret), "the log holds a secret");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_replica_set_accounts_of_osm_live_as_nbi_expects() {
    accounts_live_as_nbi_expects(Kind::ReplicaSet, "live").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_standalone_accounts_of_osm_live_as_nbi_expects() {
    accounts_live_as_nbi_expects(Kind::Standalone, "alone").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_osm_deletes_stays_until_nothing_is_on_it() {
    let osm = Osm::new(Kind::ReplicaSet, "used").await;
    let vim = start_vim(Faults::default()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let host = Host::start(&osm.for_host(Setup::new(dir.path()))).unwrap();
    osm.create(ONE.id, "mock", &vim.url(), ONE.right, "1.11").await;
    assert_eq!(osm.ended(ONE.id).await, enabled(&["COMPLETED"]));
    let service = json!({
        "name": "svc", "vim": ONE.id, "networks": {"mgmt": {}},
        "flavours": {"small": {"vcpus": 1, "memory-mb": 512, "disk-gb": 5}},
        "vms": {"vm": {"count": 1, "image": "ubuntu18.04", "flavour": "small", "interfaces": [{"network": "mgmt", "management": true}]}},
    });
    host.admin_ok("PUT", "/v1/network-services/svc", Some(service))
        .await
        .unwrap();
    run(&host, "deploy", "up").await;
    assert_eq!(vim.inventory().servers.len(), 1);
    osm.delete(ONE.id).await;
    wait_until("the word that it is in use", DEADLINE, || async {
        Ok(host.log().contains("OSM has removed it: account"))
    })
    .await
    .unwrap();
    assert_eq!(shown(&host, ONE.id).await.0, 200);
    run(&host, "terminate", "down").await;
    assert_eq!(vim.inventory().created(), 0);
    gone(&host, ONE.id).await;
}

async fn run(host: &Host, verb: &str, key: &str) {
    let path = format!("{}/v1/network-services/svc/{verb}", host.admin);
    let request = host.http.post(path).header("Idempotency-Key", key).json(&json!({}));
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 202, "{}", answer.text().await.unwrap());
    wait_until(&format!("the end of {verb}"), DEADLINE, || async {
        let path = format!("/v1/network-services/svc/actions/{key}");
        Ok(host.admin_ok("GET", &path, None).await?["status"] == "DONE")
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_killed_in_a_check_ends_the_operation_when_it_is_back() {
    let osm = Osm::new(Kind::ReplicaSet, "killed").await;
    // No check is over before the host is killed.
    let slow = serde_json::from_value::<Faults>(json!({"latency_ms": 50_000})).unwrap();
    let vim = start_vim(slow).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let setup = osm.for_host(Setup::new(dir.path()));
    let mut host = Host::start(&setup).unwrap();
    osm.create(ONE.id, "mock", &vim.url(), ONE.right, "1.11").await;
    wait_until("the lock of the check", DEADLINE, || async {
        let admin = osm.admin_of(ONE.id).await;
        let operation = admin.get_array("operations")?[0].as_document().unwrap().clone();
        Ok(operation.contains_key("locked_by"))
    })
    .await
    .unwrap();
    host.kill();
    assert_eq!(
        osm.admin_of(ONE.id).await.get_str("operationalState").unwrap(),
        "PROCESSING"
    );
    vim.set_faults(Faults::default()).unwrap();
    let host = Host::start(&setup).unwrap();
    assert_eq!(osm.ended(ONE.id).await, enabled(&["COMPLETED"]));
    drop(host);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_hosts_follow_one_database_and_each_account_is_ended_once() {
    let osm = Osm::new(Kind::ReplicaSet, "several").await;
    let vim = start_vim(Faults::default()).await.unwrap();
    let cluster = Cluster::new(&osm.uri, &format!("osm-hosts-{}", std::process::id())).unwrap();
    let one = Host::start(&osm.for_host(cluster.setup("one"))).unwrap();
    let two = Host::start(&osm.for_host(cluster.setup("two"))).unwrap();
    let ids: Vec<String> = (0..8).map(|n| format!("account-{n}")).collect();
    let (first, second) = ids.split_at(4);
    for id in first {
        osm.create(id, "mock", &vim.url(), PASSWORD, "1.0").await;
    }
    for id in first {
        assert_eq!(osm.ended(id).await, enabled(&["COMPLETED"]));
    }
    let told = |host: &Host| host.log().matches("OSM's account is enabled").count();
    // The line comes a moment after the answer.
    let told_of = async |count: usize| {
        wait_until(&format!("{count} answers, one an account"), DEADLINE, || async {
            Ok(told(&one) + told(&two) == count)
        })
        .await
        .unwrap();
    };
    told_of(first.len()).await;
    one.pause().unwrap();
    for id in second {
        osm.create(id, "mock", &vim.url(), PASSWORD, "1.0").await;
    }
    for id in second {
        assert_eq!(osm.ended(id).await, enabled(&["COMPLETED"]));
    }
    told_of(ids.len()).await;
    one.resume().unwrap();
    for id in &ids {
        osm.delete(id).await;
        gone(&two, id).await;
    }
}
