//! Opens the store that the settings name: the embedded one, or MongoDB where several hosts share the work.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use vimhost_engine::{Engine, LeaseTerms};
use vimhost_model::HostId;
use vimhost_store::Store;
use vimhost_store::seal::{IfMissing, KeyRing};
use vimhost_store_mongo::{Hold, MongoStore, Predecessor, Topology};
use vimhost_store_sqlite::SqliteStore;

use crate::identity::Identity;
use crate::settings::Settings;

/// The host of an embedded store: one per file, so its name need not tell hosts apart, and a restart keeps its claims.
const LOCAL_HOST: &str = "local";

/// A store, and what follows from its kind for the rest of the host.
pub struct Opened {
    pub store: Arc<dyn Store>,
    /// This host in leases.
    pub host: HostId,
    /// How leases last; none where this host is the only one.
    pub leases: Option<LeaseTerms>,
    mongo: Option<Arc<MongoStore>>,
    /// Kept for as long as the host runs.
    _identity: Option<Identity>,
    /// Nothing was ever sealed in it.
    new: bool,
}

/// Opens the store.
pub async fn open(settings: &Settings, data_dir: &Path) -> anyhow::Result<Opened> {
    match mongo_options(settings)? {
        Some(options) => open_mongo(options, data_dir).await,
        None => open_sqlite(&data_dir.join("vimhost.db")),
    }
}

/// How the store on MongoDB is reached, where the settings name one.
pub fn mongo_options(settings: &Settings) -> anyhow::Result<Option<vimhost_store_mongo::Options>> {
    let Some(uri) = &settings.mongodb_uri else {
        return Ok(None);
    };
    let host = HostId::new(settings.host_name()?).context("--host-name")?;
    let database = settings.mongodb_database.as_str();
    Ok(Some(vimhost_store_mongo::Options::new(uri.expose(), database, host)))
}

fn open_sqlite(database: &Path) -> anyhow::Result<Opened> {
    let new = !database.exists();
    let store = SqliteStore::open(database, vimhost_store_sqlite::Options::default())
        .with_context(|| format!("cannot open the database {}", database.display()))?;
    Ok(Opened {
        store: Arc::new(store),
        host: HostId::new(LOCAL_HOST)?,
        leases: None,
        mongo: None,
        _identity: None,
        new,
    })
}

async fn open_mongo(mut options: vimhost_store_mongo::Options, data_dir: &Path) -> anyhow::Result<Opened> {
    let identity = Identity::take(data_dir, options.host.as_str())?;
    let host = identity.host.clone();
    options.host = host.clone();
    // Whoever had this name had the lock.
    options.predecessor = Predecessor::Gone;
    let what = format!("cannot open the MongoDB database {}", options.database);
    let store = MongoStore::open(options).await.context(what)?;
    let accounts = store.accounts(None, 1).await.context("cannot read the accounts")?;
    let leases = match store.topology() {
        Topology::ReplicaSet => Some(LeaseTerms::default()),
        Topology::Standalone => None,
    };
    let store = Arc::new(store);
    Ok(Opened {
        store: store.clone(),
        host,
        leases,
        mongo: Some(store),
        _identity: Some(identity),
        new: accounts.entries.is_empty(),
    })
}

impl Opened {
    /// The keys that seal secrets.
    ///
    /// A missing key beside a database that was used is never made anew: it would open nothing in it. Where several hosts share a database
    /// none makes one by itself: two that start together would make two.
    pub fn keys(&self, dir: &Path) -> anyhow::Result<KeyRing> {
        if self.leases.is_some() && !dir.join("seal.key").exists() {
            bail!(
                "there is no seal.key in {dir}; every host of this database needs the same one: make it once with `vimhost key new {dir}`, and \
                 copy it to each host",
                dir = dir.display()
            );
        }
        let if_missing = if self.new { IfMissing::Create } else { IfMissing::Refuse };
        KeyRing::of_dir(dir, if_missing).with_context(|| format!("cannot use the seal keys in {}", dir.display()))
    }

    /// Tells the engine for how long this host has a standalone database for itself. What this answers is cancelled when another process has
    /// it: by then the engine is cut off, and nothing is left to do but to end.
    pub fn guard(&self, engine: &Arc<Engine>) -> CancellationToken {
        let lost = CancellationToken::new();
        if let Some(hold) = self.mongo.as_ref().and_then(|mongo| mongo.hold()) {
            tokio::spawn(heed(hold, engine.clone(), lost.clone()));
        }
        lost
    }

    /// Lets go of the store.
    pub async fn close(&self) {
        if let Some(mongo) = &self.mongo {
            mongo.close().await;
        }
    }
}

async fn heed(mut hold: watch::Receiver<Hold>, engine: Arc<Engine>, lost: CancellationToken) {
    loop {
        let now = *hold.borrow_and_update();
        match now {
            Hold::Until(until) => engine.alone_until(until),
            Hold::Lost => {
                engine.cut_off();
                lost.cancel();
                return;
            }
        }
        // An error when the store was closed.
        if hold.changed().await.is_err() {
            return;
        }
    }
}

/// Makes the first seal key in a directory.
pub fn new_key(dir: &Path) -> anyhow::Result<()> {
    if dir.join("seal.key").exists() {
        bail!(
            "{} has a seal.key; it is never replaced, or nothing it sealed can be opened",
            dir.display()
        );
    }
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let keys = KeyRing::of_dir(dir, IfMissing::Create)
        .with_context(|| format!("cannot make a seal key in {}", dir.display()))?;
    println!("key {} is {}", keys.current_id(), dir.join("seal.key").display());
    Ok(())
}
