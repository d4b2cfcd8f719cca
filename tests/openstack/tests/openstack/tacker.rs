//! Tacker's own client against vimhost, Keystone and Heat: nothing of the client is changed.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use vimhost_openstack_tests::{Cloud, cloud};
use vimhost_tests::{Host, Setup, wait_until};

use crate::heat::{ACCOUNT, package, request};
use crate::service::{LIMIT, turn};

const CLIENT: &str = "VIMHOST_TEST_TACKER_CLIENT";
const TRANSCRIPT: &str = "VIMHOST_TEST_TRANSCRIPT";

const PREFACE: &str = "# Tacker's client against vimhost\n
What `openstack` (python-tackerclient 2.6.0) says, driving vimhost against the Keystone and Heat of the lab. The test
`tests/openstack/tests/openstack/tacker.rs` writes this page when `VIMHOST_TEST_TRANSCRIPT` names it. Of the looks at an operation that
runs only the last one is shown.\n";

/// The client, and what was said.
struct Client {
    program: PathBuf,
    cloud: Cloud,
    transcript: Mutex<String>,
}

impl Client {
    fn new(cloud: &Cloud) -> Self {
        let program = std::env::var_os(CLIENT).unwrap_or_else(|| {
            panic!("NOT RUN: {CLIENT} does not name the client; `cargo xtask tacker-client` fetches it and says where it is")
        });
        Self {
            program: program.into(),
            cloud: cloud.clone(),
            transcript: Mutex::default(),
        }
    }

    /// Exit status and both outputs.
    fn say(&self, arguments: &[&str]) -> (bool, String, String) {
        let mut command = self.cloud.client(&self.program);
        // The commands for packages exist in version 1 of the client only.
        if arguments.first() == Some(&"vnflcm") {
            command.env("OS_TACKER_API_VERSION", "2");
        }
        let ended = command.args(arguments).output().unwrap();
        let (out, err) = (
            String::from_utf8_lossy(&ended.stdout).into_owned(),
            String::from_utf8_lossy(&ended.stderr).into_owned(),
        );
        let mut transcript = self.transcript.lock().unwrap();
        writeln!(transcript, "$ openstack {}\n{out}{err}", arguments.join(" ")).unwrap();
        (ended.status.success(), out, err)
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let (well, out, err) = self.say(arguments);
        assert!(well, "openstack {}: {err}{out}", arguments.join(" "));
        out
    }

    /// What a command says, as JSON.
    fn json(&self, arguments: &[&str]) -> Value {
        let out = self.ok(&[arguments, &["-f", "json"]].concat());
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }

    /// The newest operation of an instance, when it is over.
    fn settled(&self, instance: &str) -> Value {
        let deadline = Instant::now() + LIMIT;
        let before = self.transcript.lock().unwrap().len();
        loop {
            // Of many looks the last one is told.
            self.transcript.lock().unwrap().truncate(before);
            let filter = format!("(eq,vnfInstanceId,{instance})");
            let list = self.json(&["vnflcm", "op", "list", "--filter", &filter]);
            let running = list.as_array().unwrap().iter().find(|op| {
                matches!(
                    op["Operation State"].as_str(),
                    Some("STARTING" | "PROCESSING" | "ROLLING_BACK")
                )
            });
            if running.is_none() {
                return list;
            }
            assert!(Instant::now() < deadline, "{list:#}");
        }
    }

    fn completed(&self, instance: &str, operations: usize) {
        let list = self.settled(instance);
        let list = list.as_array().unwrap();
        assert_eq!(list.len(), operations, "{list:#?}");
        assert!(list.iter().all(|op| op["Operation State"] == "COMPLETED"), "{list:#?}");
    }

    /// Files are named without the directory of this run.
    fn write_transcript(&self, dir: &Path) {
        if let Some(path) = std::env::var_os(TRANSCRIPT) {
            let text = self.transcript.lock().unwrap();
            let text = text.replace(&format!("{}/", dir.display()), "");
            let page = format!("{PREFACE}\n```\n{text}```\n");
            std::fs::write(path, page).unwrap();
        }
    }
}

/// The catalogue names vimhost as the service that Tacker's client asks for, until this is dropped.
struct Published<'c> {
    cloud: &'c Cloud,
    service: String,
}

impl<'c> Published<'c> {
    fn new(cloud: &'c Cloud, url: &str) -> Self {
        let service = cloud
            .openstack(&["service", "create", "--name", "vimhost", "nfv-orchestration"])
            .unwrap();
        let service = service["id"].as_str().unwrap().to_owned();
        for interface in ["public", "internal", "admin"] {
            cloud
                .openstack_do(&["endpoint", "create", "--region", "RegionOne", &service, interface, url])
                .unwrap();
        }
        Self { cloud, service }
    }
}

impl Drop for Published<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.cloud.openstack_do(&["service", "delete", &self.service]) {
            eprintln!("the catalogue keeps a service of this test: {error:#}");
        }
    }
}

/// A subscriber: answers the test, and counts what it is told.
struct Listener {
    url: String,
    told: Arc<AtomicUsize>,
}

impl Listener {
    async fn start() -> Self {
        async fn hear(State(told): State<Arc<AtomicUsize>>, method: Method) -> StatusCode {
            if method == Method::POST {
                told.fetch_add(1, Ordering::SeqCst);
            }
            StatusCode::NO_CONTENT
        }
        let told = Arc::new(AtomicUsize::new(0));
        let router = Router::new().fallback(hear).with_state(told.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/told", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, told }
    }
}

async fn start(cloud: &Cloud, dir: &Path) -> Host {
    let mut setup = Setup::new(dir);
    setup.arguments = vec!["--vnf-lcm-auth-url".to_owned(), cloud.auth_url.clone()];
    let host = Host::start(&setup).unwrap();
    let mut account = cloud.account(ACCOUNT).unwrap();
    account.body["vim_type"] = json!("heat");
    account.add(&host).await.unwrap();
    host
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an OpenStack with Heat, and Tacker's client; `cargo xtask test --lab` has both"]
async fn tackers_client_drives_an_instance_from_its_package_to_its_deletion() {
    let _turn = turn().await;
    let cloud = cloud();
    let client = Client::new(cloud);
    let dir = tempfile::tempdir().unwrap();
    let host = start(cloud, dir.path()).await;
    let _published = Published::new(cloud, &host.vnf_lcm);
    let file = |name: &str, text: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let archive = file("sample.zip", &package().archive().unwrap());
    let request = file("instantiate.json", request(cloud).to_string().as_bytes());
    let update = file(
        "update.json",
        json!({"vnfInstanceName": "renamed"}).to_string().as_bytes(),
    );

    let versions = client.json(&["vnflcm", "versions"]);
    assert_eq!(versions["uriPrefix"], "/vnflcm", "{versions:#}");
    let listener = Listener::start().await;
    let ended =
        json!({"notificationTypes": ["VnfLcmOperationOccurrenceNotification"], "operationStates": ["COMPLETED"]});
    let wanted = json!({"callbackUri": listener.url, "filter": ended});
    let wanted = file("subscription.json", wanted.to_string().as_bytes());
    let made = client.json(&["vnflcm", "subsc", "create", &wanted]);
    let subscription = made["ID"].as_str().unwrap().to_owned();
    let shown = client.json(&["vnflcm", "subsc", "show", &subscription]);
    assert_eq!(shown["Callback URI"], listener.url, "{shown:#}");
    let listed = client.json(&["vnflcm", "subsc", "list"]);
    assert_eq!(listed[0]["ID"], subscription, "{listed:#}");

    let made = client.json(&["vnf", "package", "create"]);
    let pkg = made["ID"].as_str().unwrap().to_owned();
    client.ok(&["vnf", "package", "upload", "--path", &archive, &pkg]);
    let deadline = Instant::now() + LIMIT;
    while client.json(&["vnf", "package", "show", &pkg])["Onboarding State"] != "ONBOARDED" {
        assert!(Instant::now() < deadline, "the package is not onboarded");
    }
    let listed = client.json(&["vnf", "package", "list"]);
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed:#}");

    let vnfd = package().vnfd_id;
    let made = client.json(&["vnflcm", "create", &vnfd, "--name", "sample"]);
    let id = made["ID"].as_str().unwrap().to_owned();
    client.ok(&["vnflcm", "instantiate", &id, &request]);
    client.completed(&id, 1);
    let shown = client.json(&["vnflcm", "show", &id]);
    assert_eq!(shown["Instantiation State"], "INSTANTIATED", "{shown:#}");
    let listed = client.json(&["vnflcm", "list"]);
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed:#}");
    let scale = |kind: &'static str| ["vnflcm", "scale", "--type", kind, "--aspect-id", "VDU1_scale"];
    client.ok(&[&scale("SCALE_OUT")[..], &["--number-of-steps", "1", &id]].concat());
    client.completed(&id, 2);
    client.ok(&[&scale("SCALE_IN")[..], &[&id]].concat());
    client.completed(&id, 3);
    client.ok(&["vnflcm", "heal", "--cause", "it is ill", &id]);
    client.completed(&id, 4);
    client.ok(&["vnflcm", "update", &id, "--I", &update]);
    client.completed(&id, 5);
    let operations = client.json(&["vnflcm", "op", "list"]);
    let one = operations[0]["ID"].as_str().unwrap();
    let shown = client.json(&["vnflcm", "op", "show", one]);
    assert_eq!(shown["VNF Instance ID"], id, "{shown:#}");
    let scaled = client.json(&["vnflcm", "op", "list", "--filter", "(eq,operation,SCALE)"]);
    assert_eq!(scaled.as_array().unwrap().len(), 2, "{scaled:#}");
    let (well, out, err) = client.say(&["vnflcm", "op", "retry", one]);
    assert!(!well && err.contains("FAILED_TEMP"), "{out}{err}");
    let stacks = cloud.list(&["stack", "list"]).unwrap();
    assert!(
        stacks.iter().any(|stack| stack["Stack Name"] == format!("vnf-{id}")),
        "{stacks:#?}"
    );

    client.ok(&["vnflcm", "terminate", &id, "--termination-type", "FORCEFUL"]);
    client.completed(&id, 6);
    wait_until("six notifications", LIMIT, async || {
        Ok(listener.told.load(Ordering::SeqCst) == 6)
    })
    .await
    .unwrap();
    client.ok(&["vnflcm", "subsc", "delete", &subscription]);
    let listed = client.json(&["vnflcm", "subsc", "list"]);
    assert_eq!(listed, json!([]));
    client.ok(&["vnflcm", "delete", &id]);
    client.ok(&["vnf", "package", "update", "--operational-state", "DISABLED", &pkg]);
    client.ok(&["vnf", "package", "delete", &pkg]);
    assert_eq!(cloud.list(&["stack", "list"]).unwrap(), Vec::<Value>::new());
    client.write_transcript(dir.path());
    let log = host.stop().unwrap();
    assert!(!log.contains("ERROR"), "{log}");
}
