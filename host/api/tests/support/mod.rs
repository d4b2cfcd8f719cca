//! A host in the test's process: the real store and engine, all interfaces on their own listeners, and a VIM that says yes.

#![allow(dead_code, reason = "each test binary uses its part")]

mod stub;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use vimhost_api::{ServeOptions, admin, ng_ro, serve, vnf_lcm};
use vimhost_engine::{Engine, EngineConfig, SystemClock};
use vimhost_notify::{Notifier, NotifyOptions};
use vimhost_store::Store;
use vimhost_store::seal::{KeyRing, SealKey};
use vimhost_store_sqlite::SqliteStore;
use vimhost_vnf_package::Packages;

pub use stub::StubVim;

/// The account of the fixtures.
pub const VIM: &str = "bad7338b-ae46-43d4-a434-c3337a8054ac";

/// Nothing in these tests takes longer, however busy the machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A committed file of the documentation says what the code says. `test` is the binary that renews it.
pub fn is_up_to_date(file: &str, text: &str, test: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(file);
    if std::env::var_os("VIMHOST_RENEW").is_some() {
        std::fs::write(&file, text).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == text,
        "{} is not what the code says; run `VIMHOST_RENEW=1 cargo test --workspace --test {test}` and commit it",
        file.display()
    );
}

pub struct Host {
    pub vim: Arc<StubVim>,
    pub engine: Arc<Engine>,
    pub admin: String,
    pub ro: String,
    pub vnf_lcm: String,
    pub client: Client,
    pub shutdown: CancellationToken,
    pub served: Vec<tokio::task::JoinHandle<()>>,
    _directory: tempfile::TempDir,
}

impl Host {
    pub async fn start() -> Self {
        Self::with(admin::Options::default(), ng_ro::Options::default()).await
    }

    pub async fn with(mut admin_options: admin::Options, ro_options: ng_ro::Options) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(
            directory.path().join("vimhost.db"),
            vimhost_store_sqlite::Options::default(),
        )
        .unwrap();
        let vim = Arc::new(StubVim::default());
        let config = EngineConfig {
            host: "test".parse().unwrap(),
            calls_per_account: 4,
            calls_per_second: None,
            idle_period: None,
            leases: None,
            lcm: vimhost_engine::LcmConfig::default(),
        };
        let store: Arc<dyn Store> = Arc::new(store);
        let keys = Arc::new(KeyRing::new(SealKey::from_bytes([7; 32])));
        let clock = Arc::new(SystemClock);
        let engine = Engine::start(config, store.clone(), vim.clone(), vim.clone(), keys.clone(), clock)
            .await
            .unwrap();
        let notifier = Notifier::start(store.clone(), keys, NotifyOptions::default()).await;
        let packages = Arc::new(Packages::new(store));
        let vnf_lcm = vnf_lcm::router(engine.clone(), packages, notifier, vnf_lcm::Options::default());
        let shutdown = CancellationToken::new();
        admin_options.shutdown = shutdown.clone();
        let (admin, admin_served) = listen(admin::router(engine.clone(), admin_options), &shutdown).await;
        let (ro, ro_served) = listen(ng_ro::router(engine.clone(), ro_options), &shutdown).await;
        let (vnf_lcm, vnf_lcm_served) = listen(vnf_lcm, &shutdown).await;
        Self {
            vim,
            engine,
            admin: format!("http://{admin}"),
            ro: format!("http://{ro}"),
            vnf_lcm: format!("http://{vnf_lcm}"),
            client: Client::new(),
            shutdown,
            served: vec![admin_served, ro_served, vnf_lcm_served],
            _directory: directory,
        }
    }

    /// Where the store is.
    pub fn directory(&self) -> &Path {
        self._directory.path()
    }

    /// A request to the admin interface.
    pub fn admin(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.admin))
            .timeout(PATIENCE)
    }

    /// A request to NG-RO's interface, with the headers of LCM.
    pub fn lcm(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.ro))
            .header("Accept", "application/yaml")
            .header("Content-Type", "application/yaml")
            .timeout(PATIENCE)
    }

    /// Adds the account of the fixtures.
    pub async fn add_vim(&self) {
        let account = json!({"id": VIM, "name": "site-a", "vim_type": "stub", "url": "http://vim.example:5000/v3",
                             "credentials": {"password": "canary"}});
        let answer = self
            .admin(Method::POST, "/v1/vims")
            .json(&account)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED, "{}", answer.text().await.unwrap());
    }

    /// Waits until an action has come to an end; answers NG-RO's status.
    pub async fn settled(&self, nsr: &str, action: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let request = self.client.get(format!("{}/ro//ns/v1/deploy/{nsr}/{action}", self.ro));
            let answer = request.header("Accept", "application/json").send().await.unwrap();
            let status: Value = answer.json().await.unwrap();
            if status["status"] != "BUILD" {
                return status;
            }
            assert!(Instant::now() < deadline, "{status:#}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn listen(router: axum::Router, shutdown: &CancellationToken) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let options = ServeOptions {
        patience: PATIENCE,
        ..ServeOptions::default()
    };
    let served = tokio::spawn(serve(listener, router, options, shutdown.clone()));
    (address, served)
}

/// What a request that is taken is answered with.
pub async fn json_of(request: RequestBuilder, status: u16) -> Value {
    let answer = request.send().await.unwrap();
    let got = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    assert_eq!(got, status, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// The body of a problem, its form checked.
pub async fn problem(answer: Response, status: u16, code: &str) -> Value {
    let got = answer.status().as_u16();
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(
        (got, &problem["type"]),
        (status, &json!(format!("urn:vimhost:problem:{code}"))),
        "{problem:#}"
    );
    assert_eq!(problem["status"], status);
    for key in ["title", "detail", "request_id"] {
        assert!(!problem[key].as_str().unwrap().is_empty(), "{key}");
    }
    problem
}

/// The service document of these tests: one VM on one network.
pub fn service() -> Value {
    json!({"vim": VIM, "networks": {"data": {"subnet": "10.9.0.0/24"}},
           "flavours": {"small": {"vcpus": 1, "memory-mb": 512, "disk-gb": 5}},
           "vms": {"web": {"image": "ubuntu", "flavour": "small", "interfaces": [{"network": "data", "management": true}],
                           "variables": {"db_password": "canary"}}}})
}
