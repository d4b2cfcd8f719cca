//! One server, or a replica set of some.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use mongodb::Client;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::ClientOptions;
use tokio::sync::OnceCell;

use crate::node::{End, Node};
use crate::{Kind, URI, program};

/// How long a server may take to start, or a set to elect a primary. Both take a second or two where nothing else runs; where a disk takes
/// seconds to sync, the dozens of files that a new server makes take a minute.
const PATIENCE: Duration = Duration::from_secs(180);

/// How long one look waits for a server, which may be down: whoever waits for the set looks at the next one then.
const LOOK: Duration = Duration::from_secs(2);

/// How often to look.
const PAUSE: Duration = Duration::from_millis(50);

/// Name of every replica set.
const SET: &str = "vimhost-test";

/// Running servers; dropping it ends them and removes their files.
#[derive(Debug)]
pub struct Servers {
    program: PathBuf,
    nodes: Vec<Node>,
    kind: Kind,
}

/// Starts a replica set of one node and waits until it can be written.
///
/// # Errors
/// When there is no server program, or it does not start.
pub async fn one_node() -> Result<Servers> {
    Servers::start(1, Kind::ReplicaSet).await
}

/// Starts a server without replication.
///
/// # Errors
/// When there is no server program, or it does not start.
pub async fn standalone() -> Result<Servers> {
    Servers::start(1, Kind::Standalone).await
}

/// Starts a replica set of three and waits until all of them hold data and one can be written.
///
/// # Errors
/// When there is no server program, or it does not start.
pub async fn three_nodes() -> Result<Servers> {
    Servers::start(3, Kind::ReplicaSet).await
}

/// URI of a server that the tests of this process share; started by the first that asks. Each test takes a database of its own.
///
/// # Errors
/// When there is no server program, or it does not start.
pub async fn shared(kind: Kind) -> Result<String> {
    static REPLICA_SET: OnceCell<Servers> = OnceCell::const_new();
    static STANDALONE: OnceCell<Servers> = OnceCell::const_new();
    let servers = match kind {
        Kind::ReplicaSet => {
            if let Ok(uri) = std::env::var(URI) {
                return Ok(uri);
            }
            REPLICA_SET.get_or_try_init(one_node).await?
        }
        Kind::Standalone => STANDALONE.get_or_try_init(standalone).await?,
    };
    Ok(servers.uri())
}

async fn direct(address: &str, patience: Duration) -> Result<Client> {
    let mut options = ClientOptions::parse(format!("mongodb://{address}/?directConnection=true")).await?;
    options.server_selection_timeout = Some(patience);
    Ok(Client::with_options(options)?)
}

/// Asks a server that is given `patience` to be reached.
async fn ask(address: &str, command: Document, patience: Duration) -> Result<Document> {
    let client = direct(address, patience).await?;
    Ok(client.database("admin").run_command(command).await?)
}

async fn hello(node: &Node) -> Result<Document> {
    ask(&node.address(), doc! {"hello": 1}, LOOK).await
}

impl Servers {
    async fn start(count: usize, kind: Kind) -> Result<Self> {
        let program = program::path()?;
        let set = (kind == Kind::ReplicaSet).then_some(SET);
        let nodes = (0..count)
            .map(|_| Node::start(&program, set))
            .collect::<Result<Vec<_>>>()?;
        let servers = Self { program, nodes, kind };
        for node in &servers.nodes {
            servers.wait(node, |_| true).await?;
        }
        if kind == Kind::ReplicaSet {
            servers.initiate().await?;
        }
        Ok(servers)
    }

    async fn initiate(&self) -> Result<()> {
        let member = |(n, node): (i32, &Node)| {
            // The first one becomes primary at once instead of after a contest.
            Bson::from(doc! {"_id": n, "host": node.address(), "priority": if n == 0 { 2.0 } else { 1.0 }})
        };
        let members: Vec<_> = (0..).zip(&self.nodes).map(member).collect();
        // Ten times faster than the defaults: a failover of a test takes two seconds.
        let settings = doc! {"electionTimeoutMillis": 1000, "heartbeatIntervalMillis": 200};
        let set = doc! {"_id": SET, "members": members, "settings": settings};
        let first = self.nodes.first().context("there is no node")?;
        // It has answered, and is asked once: a look's patience may pass while this process stands still.
        ask(&first.address(), doc! {"replSetInitiate": set}, PATIENCE).await?;
        for node in &self.nodes {
            let member = |hello: &Document| flag(hello, "isWritablePrimary") || flag(hello, "secondary");
            self.wait(node, member).await?;
        }
        self.primary().await?;
        Ok(())
    }

    async fn wait(&self, node: &Node, ready: impl Fn(&Document) -> bool) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Ok(hello) = hello(node).await
                && ready(&hello)
            {
                return Ok(());
            }
            ensure!(
                Instant::now() < until,
                "the MongoDB server at {} is not ready after {PATIENCE:?}; its last words:\n{}",
                node.address(),
                node.last_words()
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Where they are.
    #[must_use]
    pub fn uri(&self) -> String {
        let hosts: Vec<_> = self.nodes.iter().map(Node::address).collect();
        let hosts = hosts.join(",");
        match self.kind {
            Kind::ReplicaSet => format!("mongodb://{hosts}/?replicaSet={SET}"),
            Kind::Standalone => format!("mongodb://{hosts}/?directConnection=true"),
        }
    }

    /// Which node can be written; waits for one.
    ///
    /// # Errors
    /// When none is elected in three minutes.
    pub async fn primary(&self) -> Result<usize> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            for (n, node) in self.nodes.iter().enumerate() {
                if hello(node).await.is_ok_and(|hello| flag(&hello, "isWritablePrimary")) {
                    return Ok(n);
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        bail!("the replica set has elected no primary in {PATIENCE:?}")
    }

    /// Makes the primary answer the next `times` commands of a name with an error, as in an election: it is not the primary.
    ///
    /// # Errors
    /// When there is no primary, or it refuses.
    pub async fn refuse(&self, command: &str, times: i32) -> Result<()> {
        const NOT_PRIMARY: i32 = 10107;
        let primary = self.primary().await?;
        let node = self.nodes.get(primary).context("there is no such node")?;
        let fails = doc! {"failCommands": [command], "errorCode": NOT_PRIMARY};
        let point = doc! {"configureFailPoint": "failCommand", "mode": {"times": times}, "data": fails};
        ask(&node.address(), point, PATIENCE).await.map(drop)
    }

    /// Makes the primary step down; another one is elected.
    ///
    /// # Errors
    /// When there is no primary, or it refuses for three minutes.
    pub async fn step_down(&self) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            let primary = self.primary().await?;
            let node = self.nodes.get(primary).context("there is no such node")?;
            match ask(&node.address(), doc! {"replSetStepDown": 10, "force": true}, LOOK).await {
                Ok(_) => return Ok(()),
                // It has lost an election since it was looked at, to a node of higher priority or because it was slow: the next
                // primary is asked.
                Err(_) if Instant::now() < until => tokio::time::sleep(PAUSE).await,
                Err(refused) => return Err(refused),
            }
        }
    }

    fn node(&mut self, n: usize) -> Result<&mut Node> {
        self.nodes.get_mut(n).context("there is no such node")
    }

    /// Kills a node as a power cut would, its files excepted.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn kill(&mut self, n: usize) -> Result<()> {
        self.node(n)?.end(End::Kill)
    }

    /// Stops a node in order.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn stop(&mut self, n: usize) -> Result<()> {
        self.node(n)?.end(End::Stop)
    }

    /// Starts a node again on its files, and waits until it answers and, alone, can be written.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn restart(&mut self, n: usize) -> Result<()> {
        let program = self.program.clone();
        let alone = self.nodes.len() == 1;
        self.node(n)?.run(&program)?;
        let node = self.nodes.get(n).context("there is no such node")?;
        let ready = |hello: &Document| flag(hello, "isWritablePrimary") || (!alone && flag(hello, "secondary"));
        self.wait(node, ready).await
    }
}

fn flag(hello: &Document, name: &str) -> bool {
    hello.get_bool(name).unwrap_or(false)
}
