//! The real host with the account `bench`, whose connector answers by itself.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use vimhost_mongod::Servers;
use vimhost_tests::{Cluster, Host, Setup};

use crate::figure::{Aim, number};

/// The account of a place with one host.
pub(crate) const ACCOUNT: &str = "bench";

/// What a host keeps its state in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    Sqlite,
    Mongodb,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Mongodb => "mongodb",
        }
    }

    /// Aims are those of the embedded store.
    pub(crate) fn aim(self, aim: Aim) -> Option<Aim> {
        (self == Self::Sqlite).then_some(aim)
    }
}

/// Where a host keeps its state.
pub(crate) enum Place {
    /// A file in a directory of its own.
    Sqlite(tempfile::TempDir),
    /// A database on a server.
    Mongo { cluster: Cluster, _server: Servers },
}

impl Place {
    /// A new one.
    pub(crate) async fn of(kind: Kind, name: &str) -> anyhow::Result<Self> {
        match kind {
            Kind::Sqlite => Self::sqlite(),
            Kind::Mongodb => Self::mongo(name).await,
        }
    }

    pub(crate) fn sqlite() -> anyhow::Result<Self> {
        Ok(Self::Sqlite(tempfile::tempdir()?))
    }

    /// A replica set of one node, started for this.
    pub(crate) async fn mongo(database: &str) -> anyhow::Result<Self> {
        let server = vimhost_mongod::one_node().await?;
        let cluster = Cluster::new(&server.uri(), database)?;
        Ok(Self::Mongo {
            cluster,
            _server: server,
        })
    }

    /// How one of its hosts is started.
    pub(crate) fn setup(&self, name: &str) -> Setup {
        let mut setup = match self {
            Self::Sqlite(dir) => Setup::new(dir.path()),
            Self::Mongo { cluster, .. } => cluster.setup(name),
        };
        setup.log = "warn".to_owned();
        setup
    }
}

/// A host.
pub(crate) struct BenchHost {
    pub(crate) host: Host,
}

impl BenchHost {
    /// Starts the only host of a place.
    pub(crate) async fn start(place: &Place) -> anyhow::Result<Self> {
        let host = Self::start_named(place, "bench")?;
        host.add_account(ACCOUNT).await?;
        Ok(host)
    }

    /// Starts one of its hosts, without an account.
    pub(crate) fn start_named(place: &Place, name: &str) -> anyhow::Result<Self> {
        Ok(Self {
            host: Host::start(&place.setup(name))?,
        })
    }

    /// Adds an account whose connector answers by itself.
    pub(crate) async fn add_account(&self, id: &str) -> anyhow::Result<()> {
        let account = json!({"id": id, "name": id, "vim_type": "mock", "url": "mock:"});
        self.host.admin_ok("POST", "/v1/vims", Some(account)).await?;
        Ok(())
    }

    /// Resident memory in MB.
    pub(crate) fn resident(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.host.pid()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib: f64 = line
            .and_then(|line| line.split_whitespace().nth(1))
            .context("the kernel tells no resident memory")?
            .parse()?;
        Ok(kib * 1024.0 / 1e6)
    }

    /// Stores what a service should be.
    pub(crate) async fn put(&self, name: &str, account: &str, vms: usize) -> anyhow::Result<()> {
        let service = json!({
            "name": name, "vim": account, "networks": {"data": {}},
            "flavours": {"small": {"vcpus": 1, "memory-mb": 512, "disk-gb": 5}},
            "vms": {"vm": {"count": vms, "image": "any", "flavour": "small", "interfaces": [{"network": "data"}]}},
        });
        let path = format!("/v1/network-services/{name}");
        self.host.admin_ok("PUT", &path, Some(service)).await?;
        Ok(())
    }

    /// Asks for its deployment; answers the action.
    pub(crate) async fn deploy(&self, name: &str) -> anyhow::Result<String> {
        let path = format!("/v1/network-services/{name}/deploy");
        let accepted = self.host.admin_ok("POST", &path, Some(json!({}))).await?;
        let action = accepted.get("action_id").and_then(Value::as_str);
        Ok(action.context("no action was accepted")?.to_owned())
    }

    /// Asks for the action again and again until it is done: an event stream gathers changes for some milliseconds.
    pub(crate) async fn done(&self, name: &str, action: &str) -> anyhow::Result<()> {
        let path = format!("/v1/network-services/{name}/actions/{action}");
        loop {
            let view = self.host.admin_ok("GET", &path, None).await?;
            match view.get("status").and_then(Value::as_str) {
                Some("DONE") => return Ok(()),
                Some("FAILED") | None => bail!("{action} of {name} ended so: {view}"),
                Some(_) => {}
            }
        }
    }

    /// Follows the action's events to its end.
    pub(crate) async fn follow(&self, name: &str, action: &str) -> anyhow::Result<()> {
        let url = format!("{}/v1/network-services/{name}/actions/{action}/events", self.host.admin);
        let text = self.host.http.get(url).send().await?.text().await?;
        let last = text
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix("data:"))
            .unwrap_or_default();
        ensure!(last.contains("\"DONE\""), "{action} of {name} ended so: {last}");
        Ok(())
    }

    /// Deploys services one after the other; how long each took from the request to its end.
    pub(crate) async fn one_by_one(&self, prefix: &str, count: usize) -> anyhow::Result<Vec<Duration>> {
        let mut times = vec![];
        for number in 0..count {
            let name = format!("{prefix}-{number}");
            self.put(&name, ACCOUNT, 1).await?;
            let begun = Instant::now();
            let action = self.deploy(&name).await?;
            self.done(&name, &action).await?;
            times.push(begun.elapsed());
        }
        Ok(times)
    }

    /// What it has counted.
    pub(crate) async fn counters(&self) -> anyhow::Result<Counters> {
        let text = self.host.metrics_page().await?;
        let mut counters = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some((name, value)) = line.rsplit_once(' ')
                && let Ok(value) = value.parse::<f64>()
            {
                counters.insert(name.to_owned(), value);
            }
        }
        Ok(Counters(counters))
    }
}

/// A page of metrics.
pub(crate) struct Counters(BTreeMap<String, f64>);

impl Counters {
    /// The sum of a family, whatever its labels.
    pub(crate) fn sum(&self, family: &str) -> f64 {
        let of_family = |name: &str| name.split('{').next() == Some(family);
        self.0
            .iter()
            .filter(|(name, _)| of_family(name))
            .map(|(_, value)| value)
            .sum()
    }
}

/// Services that are deployed at the same time.
pub(crate) struct Wave<'a> {
    pub(crate) hosts: &'a [BenchHost],
    /// Taken in turn, as the hosts are.
    pub(crate) accounts: Vec<String>,
    pub(crate) prefix: String,
    pub(crate) services: usize,
    pub(crate) vms: usize,
}

impl Wave<'_> {
    /// Tasks of it: a network, an image and a flavour for each service, and its VMs.
    pub(crate) fn tasks(&self) -> usize {
        self.services * (self.vms + 3)
    }

    /// Deploys them all; answers how long accepting took, and all of it.
    pub(crate) async fn run(&self) -> anyhow::Result<(Duration, Duration)> {
        let mut names = vec![];
        let places = self.hosts.iter().cycle().zip(self.accounts.iter().cycle());
        for (number, (host, account)) in (0..self.services).zip(places) {
            let name = format!("{}-{number}", self.prefix);
            host.put(&name, account, self.vms).await?;
            names.push((host, name));
        }
        let begun = Instant::now();
        let mut actions = vec![];
        for (host, name) in &names {
            actions.push((*host, name, host.deploy(name).await?));
        }
        let accepted = begun.elapsed();
        for (host, name, action) in &actions {
            host.follow(name, action).await?;
        }
        Ok((accepted, begun.elapsed()))
    }

    /// Runs it; tasks a second.
    pub(crate) async fn rate(&self) -> anyhow::Result<f64> {
        let (_, took) = self.run().await?;
        Ok(number(self.tasks()) / took.as_secs_f64())
    }
}
