//! What the tests of the runtime share: the guest, a runtime, accounts, a VIM that echoes, a journal in memory.
#![allow(dead_code, reason = "each test file uses a part")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails in a test's helper fails the test"
)]

pub mod hostile;
pub mod vim;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};

use async_trait::async_trait;
use serde_json::{Value, json};
use tempfile::TempDir;
use vimhost_connector::{Call, Connector, Connectors as _, Journal, JournalError, PluginInfo, PluginState};
use vimhost_model::{AccountId, Grants, JournalEntry, Secret, TargetId, TargetKind, VimAccount, VimId};
use vimhost_runtime::{Allocation, HostKey, Limits, Runtime, RuntimeConfig};

/// The password of every test account.
pub const PASSWORD: &str = "s3cret/\"canary\"";

/// The guest, built when it is older than its source.
pub fn guest() -> &'static [u8] {
    static GUEST: OnceLock<Vec<u8>> = OnceLock::new();
    GUEST.get_or_init(|| std::fs::read(built()).unwrap())
}

fn built() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    // Where this test itself was built: cargo has released its lock by the time tests run.
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let wasm = target.join("wasm32-wasip2/plugin/guest_misbehave.wasm");
    let sources = [
        "tests/guests/misbehave/src/lib.rs",
        "tests/guests/misbehave/src/http.rs",
        "tests/guests/misbehave/src/memory.rs",
        "tests/guests/misbehave/src/rubbish.rs",
    ]
    .into_iter()
    .map(|file| root.join(file))
    .chain(
        std::fs::read_dir(root.join("wit/connector-0.1.0"))
            .unwrap()
            .map(|entry| entry.unwrap().path()),
    );
    let newest = sources
        .map(|file| file.metadata().unwrap().modified().unwrap())
        .max()
        .unwrap();
    if wasm
        .metadata()
        .and_then(|data| data.modified())
        .is_ok_and(|built| built > newest)
    {
        return wasm;
    }
    let status = Command::new(env!("CARGO"))
        .args([
            "build",
            "--target",
            "wasm32-wasip2",
            "--profile",
            "plugin",
            "-p",
            "guest-misbehave",
            "--target-dir",
        ])
        .arg(&target)
        .current_dir(&root)
        .status()
        .unwrap();
    assert!(
        status.success(),
        "the guest cannot be built; is the target there? rustup target add wasm32-wasip2"
    );
    wasm
}

/// A runtime with its directory.
pub struct Host {
    pub runtime: Arc<Runtime>,
    pub dir: TempDir,
}

impl Host {
    /// With the guest loaded.
    pub async fn new(limits: Limits) -> Self {
        Self::with(config_of(limits)).await
    }

    /// With the guest loaded by a runtime of this configuration.
    pub async fn with(config: RuntimeConfig) -> Self {
        static LOADING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        let host = Self::of(config);
        // One after the other: tests that begin together would all find no image, and compile on all processors while those that are
        // ready first measure times.
        let loading = LOADING.lock().await;
        let info = host.runtime.load_bytes("misbehave.wasm", guest().to_vec()).await;
        drop(loading);
        assert_eq!(info.state, PluginState::Ready, "{info:?}");
        host
    }

    pub fn empty(limits: Limits) -> Self {
        Self::of(config_of(limits))
    }

    fn of(config: RuntimeConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            runtime: Runtime::new(config).unwrap(),
            dir,
        }
    }

    /// A connector whose account tells the guest what to do.
    pub async fn connector(&self, config: Value) -> Arc<dyn Connector> {
        self.open(&account("http://127.0.0.1:9", config)).await
    }

    pub async fn open(&self, account: &VimAccount) -> Arc<dyn Connector> {
        self.runtime.open(account).await.unwrap()
    }

    pub async fn misbehaving(&self, how: &str) -> Arc<dyn Connector> {
        self.connector(json!({ "misbehaviour": how })).await
    }

    pub fn plugin(&self) -> PluginInfo {
        self.runtime.plugins().pop().unwrap()
    }
}

/// Images are shared by the tests of a run, so the guest is compiled once.
fn cache() -> PathBuf {
    static CACHE: OnceLock<TempDir> = OnceLock::new();
    CACHE.get_or_init(|| tempfile::tempdir().unwrap()).path().to_owned()
}

/// The configuration of [`Host`].
pub fn config_of(limits: Limits) -> RuntimeConfig {
    config(&cache(), limits)
}

pub fn config(cache: &Path, limits: Limits) -> RuntimeConfig {
    RuntimeConfig {
        limits,
        workers: 2,
        slots: 8,
        allocation: Allocation::Pooled,
        ..RuntimeConfig::new(cache, HostKey::new([7; 32]))
    }
}

pub fn target(id: &str) -> TargetId {
    TargetId {
        kind: TargetKind::Vim,
        account: AccountId::new(id).unwrap(),
    }
}

pub fn account(url: &str, config: Value) -> VimAccount {
    let Value::Object(config) = config else {
        panic!("config is an object")
    };
    VimAccount {
        target: target("vim-1"),
        name: "a VIM".into(),
        vim_type: "misbehave".into(),
        url: url.into(),
        user: Some("user".into()),
        tenant: None,
        config,
        credentials: BTreeMap::from([("password".to_owned(), Secret::new(PASSWORD))]),
        ca_certificates: None,
        insecure_tls: false,
        grants: Grants::default(),
    }
}

/// A journal in memory that notes what happens, in order.
#[derive(Default)]
pub struct Notes {
    pub events: Mutex<Vec<String>>,
    pub broken: bool,
}

impl Notes {
    pub fn note(&self, event: impl Into<String>) {
        self.events.lock().unwrap().push(event.into());
    }

    pub fn events(&self) -> Vec<String> {
        self.events.lock().unwrap().clone()
    }
}

#[async_trait]
impl Journal for Notes {
    async fn begin(&self, kind: &str, token: &str) -> Result<u64, JournalError> {
        if self.broken {
            return Err(JournalError::Store("the disk is full".into()));
        }
        // A store answers later, on the caller's runtime.
        tokio::task::yield_now().await;
        self.note(format!("begin {kind} {token}"));
        Ok(1)
    }

    async fn commit(&self, entry: u64, element: &VimId) -> Result<(), JournalError> {
        self.note(format!("commit {entry} {element}"));
        Ok(())
    }

    async fn forget(&self, entry: u64) -> Result<(), JournalError> {
        self.note(format!("forget {entry}"));
        Ok(())
    }
}

pub fn call(journal: &Arc<Notes>, entries: Vec<JournalEntry>) -> Call {
    Call {
        token: "res-1".into(),
        operation: None,
        now: vimhost_model::Timestamp(60_000),
        attempt: 0,
        state: None,
        entries,
        journal: Arc::clone(journal) as Arc<dyn Journal>,
    }
}
