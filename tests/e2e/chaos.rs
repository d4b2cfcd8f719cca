//! Three hosts on a replica set of three, under load, while hosts are killed and paused and database nodes are killed, at random.
//!
//! Nothing is lost, made twice or left over. `VIMHOST_TEST_CHAOS_SECONDS` says for how long (40); the seed is printed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mock_vim::Meta;
use serde_json::{Value, json};
use vimhost_tests::{Cluster, Host, Random, Setup, start_vim};

const HOSTS: usize = 3;
const VIMS: usize = 3;
const WORKERS: usize = 6;
const VMS: usize = 3;
/// A client that is not answered by one host asks the next one.
const PATIENCE: Duration = Duration::from_secs(8);
/// A look at the leases takes milliseconds, and is repeated.
const GLANCE: Duration = Duration::from_secs(1);
/// How long an action may take while everything breaks.
const LIMIT: Duration = Duration::from_secs(180);

/// Where the hosts are now; none while one is dead.
type Places = Arc<Mutex<Vec<Option<String>>>>;

/// A client that knows all hosts.
#[derive(Clone)]
struct Client {
    http: reqwest::Client,
    places: Places,
    next: Arc<AtomicUsize>,
}

impl Client {
    /// Asks one host after the other until one answers with something else than 503.
    async fn insist(&self, method: &str, path: &str, key: Option<&str>, body: Option<Value>) -> (u16, Value) {
        let deadline = Instant::now() + LIMIT;
        let mut last = String::new();
        while Instant::now() < deadline {
            let n = self.next.fetch_add(1, Ordering::Relaxed) % HOSTS;
            let place = self.places.lock().unwrap()[n].clone();
            let Some(place) = place else {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            let mut request = self.http.request(method.parse().unwrap(), format!("{place}{path}"));
            if let Some(key) = key {
                request = request.header("Idempotency-Key", key);
            }
            if let Some(body) = &body {
                request = request.json(body);
            }
            match request.send().await {
                Ok(answer) if answer.status() == 503 => last = "503".to_owned(),
                Ok(answer) => {
                    let status = answer.status().as_u16();
                    if let Ok(body) = answer.bytes().await {
                        return (status, serde_json::from_slice(&body).unwrap_or(Value::Null));
                    }
                }
                Err(error) => last = error.to_string(),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{method} {path}: no host answered within {LIMIT:?}; last: {last}");
    }

    async fn run(&self, name: &str, verb: &str, key: &str) {
        let path = format!("/v1/network-services/{name}/{verb}");
        let (status, body) = self.insist("POST", &path, Some(key), Some(json!({}))).await;
        assert_eq!(status, 202, "{verb} of {name}: {body}");
        let path = format!("/v1/network-services/{name}/actions/{key}");
        let deadline = Instant::now() + LIMIT;
        loop {
            let (status, action) = self.insist("GET", &path, None, None).await;
            // What was acknowledged is known to every host from then on.
            assert_eq!(status, 200, "{path}: {action}");
            match action["status"].as_str() {
                Some("DONE") => return,
                Some("BUILD") if Instant::now() < deadline => {}
                _ => panic!("{verb} of {name} is stuck or failed: {action:#}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn service(name: &str, vim: usize) -> Value {
    json!({
        "name": name, "vim": format!("vim{vim}"),
        "networks": {"mgmt": {"existing": "mgmt"}, "data": {"subnet": "10.9.0.0/24"}},
        "flavours": {"small": {"vcpus": 1, "memory-mb": 512, "disk-gb": 5}},
        "vms": {"vm": {"count": VMS, "image": "ubuntu18.04", "flavour": "small",
                       "interfaces": [{"network": "mgmt", "management": true}, {"network": "data"}],
                       "volumes": [{"name": "data", "size-gb": 1}]}},
    })
}

/// Deploys and terminates services, one after the other, until told to end. Answers how many.
async fn work(client: Client, worker: usize, over: Arc<AtomicBool>) -> usize {
    let mut rounds = 0;
    while !over.load(Ordering::Relaxed) {
        let name = format!("svc-{worker}-{rounds}");
        let document = service(&name, worker % VIMS);
        let (status, body) = client
            .insist("PUT", &format!("/v1/network-services/{name}"), None, Some(document))
            .await;
        assert!((200..300).contains(&status), "PUT {name}: {status} {body}");
        client.run(&name, "deploy", &format!("up-{name}")).await;
        client.run(&name, "terminate", &format!("down-{name}")).await;
        rounds += 1;
    }
    rounds
}

/// Tokens of elements that exist twice, and when each was made.
fn twice(vim: &mock_vim::Server) -> Vec<String> {
    let inventory = vim.inventory();
    let mut seen: BTreeMap<(&str, String), Vec<u64>> = BTreeMap::new();
    let mut count = |kind: &'static str, meta: &Meta| {
        if let Some(token) = meta.token.clone().filter(|_| !meta.preset) {
            seen.entry((kind, token)).or_default().push(meta.created_at.0);
        }
    };
    inventory.servers.iter().for_each(|item| count("server", &item.meta));
    inventory.ports.iter().for_each(|item| count("port", &item.meta));
    inventory.volumes.iter().for_each(|item| count("volume", &item.meta));
    inventory.networks.iter().for_each(|item| count("network", &item.meta));
    inventory.flavours.iter().for_each(|item| count("flavour", &item.meta));
    seen.into_iter()
        .filter(|(_, made)| made.len() > 1)
        .map(|((kind, token), made)| format!("{kind} {token} at {made:?}"))
        .collect()
}

/// What was done to whom, and when by the clock of the logs: to be read beside those of the hosts, when the test fails.
fn note(what: &str) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    println!("{} {what}", now.as_millis());
}

/// The hosts, and who of them is what.
struct Hosts {
    setups: Vec<Setup>,
    hosts: Vec<Option<Host>>,
    paused: BTreeSet<usize>,
    places: Places,
}

impl Hosts {
    fn start(&mut self, n: usize) {
        let host = Host::start(&self.setups[n]).unwrap();
        note(&format!("host{n} is ready"));
        self.places.lock().unwrap()[n] = Some(host.admin.clone());
        self.hosts[n] = Some(host);
    }

    fn kill(&mut self, n: usize) {
        self.places.lock().unwrap()[n] = None;
        if let Some(mut host) = self.hosts[n].take() {
            host.kill();
            note(&format!("host{n} was killed; its log:\n{}", host.log()));
        }
        self.paused.remove(&n);
    }

    /// Asks hosts that run: one that is paused takes a connection and never answers.
    fn watcher(&self) -> Client {
        let place = |n: usize| {
            let host = self.hosts[n].as_ref()?;
            (!self.paused.contains(&n)).then(|| host.admin.clone())
        };
        let http = reqwest::Client::builder().no_proxy().timeout(GLANCE);
        Client {
            http: http.build().unwrap(),
            places: Arc::new(Mutex::new((0..HOSTS).map(place).collect())),
            next: Arc::default(),
        }
    }

    /// Hosts that run.
    fn well(&self) -> Vec<usize> {
        (0..HOSTS)
            .filter(|n| self.hosts[*n].is_some() && !self.paused.contains(n))
            .collect()
    }
}

/// How long a replica set may be without a primary after a node's death: ten seconds until the others miss it, and an election.
const ELECTION: Duration = Duration::from_secs(15);

/// Accounts that a host held when it was killed or paused.
struct Orphans {
    host: String,
    accounts: BTreeSet<String>,
    since: Instant,
    /// Nothing else was killed or paused from then on, and the database was whole.
    alone: bool,
}

/// The longest takeovers: of a host that died alone, and of one that died beside others or with a node of the database. No takeover
/// is seen while no host can answer, as when two nodes are not back yet.
#[derive(Default)]
struct Longest {
    alone: Duration,
    beside: Duration,
    unanswered: Duration,
}

impl Longest {
    fn note(&mut self, orphans: &Orphans) {
        let longest = if orphans.alone {
            &mut self.alone
        } else {
            &mut self.beside
        };
        *longest = orphans.since.elapsed().max(*longest);
    }
}

/// The accounts whose lease a host of this name holds.
async fn held(client: &Client, host: &str) -> BTreeSet<String> {
    let (_, leases) = client.insist("GET", "/v1/leases", None, None).await;
    let items = leases["items"].as_array().cloned().unwrap_or_default();
    let own = |lease: &&Value| {
        lease["host"]
            .as_str()
            .is_some_and(|held| held.starts_with(&format!("{host}-")))
    };
    items
        .iter()
        .filter(own)
        .map(|lease| lease["target"].to_string())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hosts_lose_nothing_and_make_nothing_twice_whatever_is_killed() {
    let seconds = std::env::var("VIMHOST_TEST_CHAOS_SECONDS").map_or(40, |text| text.parse().unwrap());
    let mut random = Random::seeded("chaos test");
    let mut servers = vimhost_mongod::three_nodes().await.unwrap();
    let cluster = Cluster::new(&servers.uri(), "chaos").unwrap();
    let mut vims = Vec::new();
    for _ in 0..VIMS {
        let faults = json!({
            "latency_ms": 20, "build_delay_ms": 100, "server_delete_delay_ms": 100,
            "answer_lost": [{"operation": "create", "every": 17}, {"operation": "delete", "every": 19}],
        });
        vims.push(start_vim(serde_json::from_value(faults).unwrap()).await.unwrap());
    }
    let places: Places = Arc::new(Mutex::new(vec![None; HOSTS]));
    let client = Client {
        http: reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap(),
        places: places.clone(),
        next: Arc::default(),
    };
    let mut hosts = Hosts {
        setups: (0..HOSTS).map(|n| cluster.setup(&format!("host{n}"))).collect(),
        hosts: (0..HOSTS).map(|_| None).collect(),
        paused: BTreeSet::new(),
        places,
    };
    (0..HOSTS).for_each(|n| hosts.start(n));
    for (n, vim) in vims.iter().enumerate() {
        let host = hosts.hosts[n % HOSTS].as_ref().unwrap();
        host.add_vim(&format!("vim{n}"), &vim.url()).await.unwrap();
    }
    let over = Arc::new(AtomicBool::new(false));
    let mut workers = tokio::task::JoinSet::new();
    (0..WORKERS).for_each(|n| drop(workers.spawn(work(client.clone(), n, over.clone()))));

    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut kills, mut pauses, mut node_kills, mut longest) = (0, 0, 0, Longest::default());
    let mut restart_at: BTreeMap<usize, Instant> = BTreeMap::new();
    let mut resume_at: BTreeMap<usize, Instant> = BTreeMap::new();
    let mut node_down: Option<(usize, Instant)> = None;
    let mut node_killed: Option<Instant> = None;
    let mut orphaned: Vec<Orphans> = Vec::new();
    let mut next_blow = Instant::now() + Duration::from_secs(2);
    while Instant::now() < end {
        let now = Instant::now();
        for vim in &vims {
            assert_eq!(twice(vim), Vec::<String>::new());
        }
        for n in 0..HOSTS {
            if restart_at.get(&n).is_some_and(|at| *at <= now) {
                restart_at.remove(&n);
                // What it held when it died it may have again: no takeover.
                orphaned.retain(|orphans| orphans.host != format!("host{n}"));
                hosts.start(n);
            }
            if resume_at.get(&n).is_some_and(|at| *at <= now) {
                resume_at.remove(&n);
                hosts.paused.remove(&n);
                orphaned.retain(|orphans| orphans.host != format!("host{n}"));
                note(&format!("host{n} goes on"));
                hosts.hosts[n].as_ref().unwrap().resume().unwrap();
            }
        }
        if let Some((n, at)) = node_down
            && at <= now
        {
            node_down = None;
            servers.restart(n).await.unwrap();
        }
        let mut still = Vec::new();
        for orphans in std::mem::take(&mut orphaned) {
            let asked = Instant::now();
            let left = held(&hosts.watcher(), &orphans.host).await;
            longest.unanswered = asked.elapsed().max(longest.unanswered);
            if orphans.accounts.iter().any(|account| left.contains(account)) {
                still.push(orphans);
            } else {
                longest.note(&orphans);
            }
        }
        orphaned = still;
        if now >= next_blow {
            next_blow = now + Duration::from_millis(2000 + random.below(4000));
            let well = hosts.well();
            let victim = well[usize::try_from(random.below(well.len() as u64)).unwrap()];
            let away = Duration::from_millis(1000 + random.below(13_000));
            orphaned.iter_mut().for_each(|orphans| orphans.alone = false);
            let whole = node_killed.is_none_or(|at| at.elapsed() > ELECTION);
            let alone = whole && well.len() == HOSTS;
            let orphans = |accounts| Orphans {
                host: format!("host{victim}"),
                accounts,
                since: Instant::now(),
                alone,
            };
            match random.below(4) {
                // One host is left alone, so that somebody answers.
                0 | 1 if well.len() > 1 => {
                    let held = held(&hosts.watcher(), &format!("host{victim}")).await;
                    hosts.kill(victim);
                    kills += 1;
                    restart_at.insert(victim, now + away);
                    orphaned.push(orphans(held));
                }
                2 if well.len() > 1 => {
                    let held = held(&hosts.watcher(), &format!("host{victim}")).await;
                    hosts.hosts[victim].as_ref().unwrap().pause().unwrap();
                    note(&format!("host{victim} stands still"));
                    hosts.paused.insert(victim);
                    pauses += 1;
                    resume_at.insert(victim, now + away);
                    orphaned.push(orphans(held));
                }
                // A majority stays.
                _ if node_down.is_none() => {
                    let node = usize::try_from(random.below(3)).unwrap();
                    servers.kill(node).unwrap();
                    note(&format!("node {node} of the database was killed"));
                    node_kills += 1;
                    node_killed = Some(Instant::now());
                    node_down = Some((node, now + Duration::from_millis(500 + random.below(6000))));
                }
                _ => {}
            }
        }
        // How often the dice are thrown.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Everybody comes back, and what was begun is finished.
    if let Some((n, _)) = node_down {
        servers.restart(n).await.unwrap();
    }
    for n in 0..HOSTS {
        if hosts.paused.remove(&n) {
            hosts.hosts[n].as_ref().unwrap().resume().unwrap();
        }
        if hosts.hosts[n].is_none() {
            hosts.start(n);
        }
    }
    over.store(true, Ordering::Relaxed);
    let mut services = 0;
    while let Some(worker) = workers.join_next().await {
        services += worker.unwrap();
    }
    for vim in &vims {
        assert_eq!(vim.inventory().created(), 0, "left over: {:#?}", vim.inventory());
    }
    assert!(services >= WORKERS, "only {services} services were made");
    println!(
        "chaos test: {seconds} s, {kills} hosts killed, {pauses} paused, {node_kills} nodes killed, {services} services of {VMS} VMs deployed and \
         terminated, longest takeover {:.1?}, {:.1?} where others died at the same time; nobody answered for {:.1?} at most",
        longest.alone, longest.beside, longest.unanswered
    );
}
