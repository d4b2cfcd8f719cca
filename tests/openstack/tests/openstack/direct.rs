//! The connector by itself, in this process: what no request of NG-RO leads to, and what looking at many servers asks of the VIM.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use http_proxy::Proxies;
use serde_json::Value;
use tempfile::TempDir;
use vimhost_connector::{
    Call, Connector, Connectors as _, ElementKind, Journal, JournalError, OperateRequest, Operated, PluginState,
    PowerAction, Step, operation_token,
};
use vimhost_model::{AccountId, Grants, JournalEntry, JournalStatus, Secret, TargetId, Timestamp, VimAccount, VimId};
use vimhost_openstack_tests::{Account, Cloud, Inventory, cloud};
use vimhost_runtime::{HostKey, Runtime, RuntimeConfig};
use vimhost_tests::{plugin_dir, wait_until};

use crate::service::{ACCOUNT, LIMIT, assert_as_before, image, network, turn};

/// Servers that are looked at, and made at a time; `VIMHOST_TEST_VMS` asks for more to look at.
const MANY: usize = 25;

/// A flavour of the lab; on other clouds `VIMHOST_TEST_FLAVOUR` names one.
fn flavour() -> String {
    std::env::var("VIMHOST_TEST_FLAVOUR").unwrap_or_else(|_| "m1.tiny".to_owned())
}

/// Servers of one page: what the connector asks for, or what the lab's Nova gives at most (`tests/lab/oslab/services.py`), unless
/// `VIMHOST_TEST_PAGE` knows better.
fn page(cloud: &Cloud) -> usize {
    let given = std::env::var("VIMHOST_TEST_PAGE").ok();
    let usual = if cloud.is_lab() { 12 } else { 50 };
    given.map_or(usual, |page| page.parse().unwrap())
}

/// The connector on an account, and what it lives in.
pub(crate) struct Direct {
    pub(crate) connector: Arc<dyn Connector>,
    _runtime: Arc<Runtime>,
    _cache: TempDir,
}

impl Direct {
    pub(crate) async fn on(account: &Account) -> Self {
        let cache = tempfile::tempdir().unwrap();
        let runtime = Runtime::new(RuntimeConfig::new(cache.path(), HostKey::random().unwrap())).unwrap();
        let info = runtime.load_file(&plugin_dir().unwrap().join("openstack.wasm")).await;
        assert_eq!(info.state, PluginState::Ready, "{info:?}");
        let text = |key: &str| account.body[key].as_str().map(str::to_owned);
        let mut grants: Grants = serde_json::from_value(account.body["grants"].clone()).unwrap();
        grants.approved_rules = info.rules_digest;
        let account = VimAccount {
            target: TargetId::vim(AccountId::new(ACCOUNT).unwrap()),
            name: ACCOUNT.to_owned(),
            vim_type: "openstack".to_owned(),
            url: text("url").unwrap(),
            user: text("user"),
            tenant: text("tenant"),
            config: account.body["config"].as_object().unwrap().clone(),
            credentials: BTreeMap::from([(
                "password".to_owned(),
                Secret::new(account.body["credentials"]["password"].as_str().unwrap()),
            )]),
            ca_certificates: None,
            insecure_tls: false,
            grants,
        };
        let connector = runtime.open(&account).await.unwrap();
        Self {
            connector,
            _runtime: runtime,
            _cache: cache,
        }
    }

    /// An operation to its end, as the engine drives it.
    async fn operate(&self, letters: &str, request: &OperateRequest) -> Operated {
        let notes = Arc::new(Notes::default());
        let begun = SystemTime::now();
        let (mut state, token) = (None, "direct-test-1".to_owned());
        loop {
            let call = Call {
                operation: Some(operation_token(&token, letters)),
                token: token.clone(),
                attempt: 0,
                state: state.take(),
                entries: notes.entries(),
                now: now(),
                journal: Arc::clone(&notes) as Arc<dyn Journal>,
            };
            match self.connector.operate(call, request.clone()).await.unwrap() {
                Step::Done(operated) => return operated,
                Step::Pending(pending) => {
                    assert!(begun.elapsed().unwrap() < LIMIT, "{letters}: {}", pending.reason);
                    tokio::time::sleep(pending.again_in).await;
                    state = pending.state;
                }
            }
        }
    }

    async fn power(&self, letters: &str, server: &VimId, action: PowerAction) -> String {
        let request = OperateRequest::Power {
            server: server.clone(),
            action,
        };
        self.operate(letters, &request).await.status_text
    }

    /// Looks at servers until there is no more to see; how many were told.
    async fn look(&self, ids: &[VimId]) -> usize {
        let (mut told, mut cursor) = (0, None);
        loop {
            let observed = self.connector.observe(ElementKind::Server, ids, cursor).await.unwrap();
            assert!(observed.gone.is_empty(), "gone is {:?}", observed.gone);
            told += observed.changed.len();
            cursor = observed.cursor;
            if !observed.more {
                return told;
            }
        }
    }
}

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp(i64::try_from(since.as_millis()).unwrap())
}

/// A journal in memory.
#[derive(Default)]
pub(crate) struct Notes(Mutex<Vec<JournalEntry>>);

impl Notes {
    pub(crate) fn entries(&self) -> Vec<JournalEntry> {
        self.0.lock().unwrap().clone()
    }

    fn entry(&self, id: u64, change: impl FnOnce(&mut JournalEntry)) -> Result<(), JournalError> {
        let mut entries = self.0.lock().unwrap();
        let entry = entries.iter_mut().find(|entry| entry.id == id);
        entry.map(change).ok_or(JournalError::Unknown(id))
    }
}

#[async_trait]
impl Journal for Notes {
    async fn begin(&self, kind: &str, token: &str) -> Result<u64, JournalError> {
        let mut entries = self.0.lock().unwrap();
        if let Some(known) = entries.iter().find(|entry| entry.kind == kind && entry.token == token) {
            return Ok(known.id);
        }
        let id = entries.last().map_or(1, |last| last.id + 1);
        entries.push(JournalEntry {
            id,
            kind: kind.to_owned(),
            token: token.to_owned(),
            status: JournalStatus::Begun,
            begun_at: now(),
            element: None,
        });
        Ok(id)
    }

    async fn commit(&self, entry: u64, element: &VimId) -> Result<(), JournalError> {
        self.entry(entry, |entry| {
            entry.status = JournalStatus::Committed;
            entry.element = Some(element.clone());
        })
    }

    async fn forget(&self, entry: u64) -> Result<(), JournalError> {
        self.0.lock().unwrap().retain(|known| known.id != entry);
        Ok(())
    }
}

/// Servers that somebody made by hand, and runs.
/// Running servers, all of which have the name in theirs. Made some at a time: what Nova is given at once it has to place within
/// the time of one call.
async fn servers(cloud: &Cloud, name: &str, count: usize) -> Vec<VimId> {
    let mut running = 0;
    while running < count {
        let some = MANY.min(count - running);
        make(cloud, &format!("{name}-{running}-"), some).await;
        running += some;
        println!("{running} of {count} servers run");
    }
    let ids = active(cloud, name).unwrap();
    assert_eq!(ids.len(), count, "servers that run");
    ids.iter().map(|id| VimId::new(id.as_str()).unwrap()).collect()
}

async fn make(cloud: &Cloud, name: &str, count: usize) {
    let (image, network, flavour) = (image(), network(), flavour());
    let count_text = count.to_string();
    let mut create = vec![
        "server",
        "create",
        "--image",
        &image,
        "--network",
        &network,
        "--flavor",
        &flavour,
    ];
    if count > 1 {
        create.extend(["--min", &count_text, "--max", &count_text]);
    }
    create.push(name);
    cloud.openstack(&create).unwrap();
    wait_until("the servers to run", LIMIT, async || {
        Ok(active(cloud, name)?.len() == count)
    })
    .await
    .unwrap();
}

/// Those that run. A listing that is read while servers are placed can show one twice.
fn active(cloud: &Cloud, name: &str) -> anyhow::Result<BTreeSet<String>> {
    let rows = cloud.list(&["server", "list", "--limit", "-1", "--name", name])?;
    let active = rows.iter().filter(|row| row["Status"] == "ACTIVE");
    Ok(active.map(|row| row["ID"].as_str().unwrap().to_owned()).collect())
}

fn delete(cloud: &Cloud, ids: &[VimId]) {
    let mut arguments = vec!["server", "delete"];
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    arguments.extend(ids.iter().map(String::as_str));
    cloud.openstack_do(&arguments).unwrap();
}

fn shown(cloud: &Cloud, server: &VimId) -> Value {
    cloud.openstack(&["server", "show", &server.to_string()]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an OpenStack; `cargo xtask test --lab` has one"]
async fn every_operation_brings_a_real_server_where_it_says() {
    let _turn = turn().await;
    let cloud = cloud();
    let before = Inventory::of(cloud).unwrap();
    let name = format!("operated-{}", std::process::id());
    let server = servers(cloud, &name, 1).await.remove(0);
    let direct = Direct::on(&cloud.account(ACCOUNT).unwrap()).await;
    for (letters, action, status) in [
        ("a", PowerAction::Pause, "PAUSED"),
        ("b", PowerAction::Unpause, "ACTIVE"),
        ("c", PowerAction::Suspend, "SUSPENDED"),
        ("d", PowerAction::Resume, "ACTIVE"),
        ("e", PowerAction::Reboot, "ACTIVE"),
        ("f", PowerAction::Rebuild, "ACTIVE"),
        // Being there already is success.
        ("g", PowerAction::Start, "ACTIVE"),
        ("h", PowerAction::Pause, "PAUSED"),
        ("i", PowerAction::Start, "ACTIVE"),
        ("j", PowerAction::Stop, "SHUTOFF"),
    ] {
        assert_eq!(direct.power(letters, &server, action).await, status, "{action:?}");
        assert_eq!(shown(cloud, &server)["status"], status, "{action:?}");
    }
    let console = OperateRequest::Console {
        server: server.clone(),
        console_type: None,
    };
    assert_eq!(direct.power("k", &server, PowerAction::Start).await, "ACTIVE");
    let opened = direct.operate("l", &console).await.console;
    assert!(opened.is_some_and(|console| console.port > 0), "there is no console");

    // Live to the scheduler's choice, then live and cold to a host.
    let host = || {
        shown(cloud, &server)["OS-EXT-SRV-ATTR:host"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let first = host();
    let migrate = |host: Option<&str>| OperateRequest::Migrate {
        server: server.clone(),
        host: host.map(str::to_owned),
    };
    direct.operate("m", &migrate(None)).await;
    let second = host();
    assert_ne!(first, second);
    let back = direct.operate("n", &migrate(Some(&first))).await;
    assert_eq!(
        (back.compute_node.as_deref(), host()),
        (Some(first.as_str()), first.clone())
    );
    assert_eq!(direct.power("o", &server, PowerAction::Stop).await, "SHUTOFF");
    direct.operate("p", &migrate(Some(&second))).await;
    assert_eq!(
        (host(), shown(cloud, &server)["status"].as_str()),
        (second, Some("SHUTOFF"))
    );
    let cold = direct.operate("q", &migrate(None)).await;
    assert_eq!(cold.status_text, "SHUTOFF");

    delete(cloud, &[server]);
    assert_as_before(cloud, &before, 0).await;
}

/// What one look at servers asks: pages of Nova, and everything.
async fn asked(direct: &Direct, proxies: &Proxies, ids: &[VimId]) -> (u64, u64) {
    let _of_before = proxies.take_counts();
    assert_eq!(direct.look(ids).await, ids.len());
    let counts = proxies.take_counts();
    let pages = counts.get("GET compute /servers/detail").copied().unwrap_or_default();
    (pages, counts.values().sum())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an OpenStack; `cargo xtask test --lab` has one"]
async fn looking_at_many_servers_asks_what_looking_at_a_page_asks_for_each_page() {
    let _turn = turn().await;
    let cloud = cloud();
    let before = Inventory::of(cloud).unwrap();
    let many = std::env::var("VIMHOST_TEST_VMS")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(MANY);
    let name = format!("pages-{}", std::process::id());
    let ids = servers(cloud, &name, many).await;
    let proxies = Proxies::before(&cloud.services().unwrap()).await.unwrap();
    let direct = Direct::on(&cloud.account_through(ACCOUNT, &proxies).unwrap()).await;
    // Log in, catalogue and versions are asked for once.
    direct.look(&ids[..1]).await;

    let page = page(cloud);
    let newest: Vec<VimId> = newest_first(cloud, &name, &ids)
        .into_iter()
        .take(page.min(many))
        .collect();
    let (pages_of_one, one) = asked(&direct, &proxies, &newest).await;
    let (pages, all) = asked(&direct, &proxies, &ids).await;
    println!(
        "{} servers: {one} requests for {pages_of_one} page; {many}: {all} for {pages} pages",
        newest.len()
    );
    assert_eq!(pages_of_one, 1, "a page of the newest servers is one of the listing");
    let wanted = u64::try_from(many.div_ceil(page)).unwrap();
    assert!(pages <= wanted, "{pages} pages for {many} servers, {page} a page");
    assert!(all <= one * wanted, "{all} requests for {wanted} pages, {one} for one");
    assert!(one <= 4, "{one} requests for a page");

    for some in ids.chunks(MANY) {
        delete(cloud, some);
    }
    wait_until("the servers to go", LIMIT, async || {
        Ok(cloud
            .list(&["server", "list", "--limit", "-1", "--name", &name])?
            .is_empty())
    })
    .await
    .unwrap();
    assert_as_before(cloud, &before, 0).await;
}

/// The servers as Nova lists them.
fn newest_first(cloud: &Cloud, name: &str, ids: &[VimId]) -> Vec<VimId> {
    let rows = cloud
        .list(&["server", "list", "--limit", "-1", "--name", name])
        .unwrap();
    let listed: Vec<VimId> = rows
        .iter()
        .map(|row| VimId::new(row["ID"].as_str().unwrap()).unwrap())
        .collect();
    assert_eq!(listed.len(), ids.len(), "other servers have the name");
    listed
}
