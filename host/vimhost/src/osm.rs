//! Follows OSM's database for accounts, where the settings name one.

use std::sync::Arc;

use anyhow::Context as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use vimhost_engine::{Engine, SystemClock};
use vimhost_model::Secret;
use vimhost_osm::{Follower, MongoDatabase, Pace, Reconciler};

use crate::settings::Settings;

/// OSM's database, as the settings name it. Nothing of it was contacted: it may come and go while the host runs.
pub struct Osm {
    database: MongoDatabase,
    common_key: Option<Secret>,
}

impl Osm {
    /// The database; none where the settings name none.
    pub async fn of(settings: &Settings) -> anyhow::Result<Option<Self>> {
        let Some(uri) = &settings.osm_database_uri else {
            return Ok(None);
        };
        let common_key = settings.osm_common_key()?;
        let name = settings.osm_database_name.as_str();
        let database = MongoDatabase::new(uri, name)
            .await
            .context("--osm-database-uri is not understood")?;
        Ok(Some(Self { database, common_key }))
    }

    /// The database itself.
    pub fn database(&self) -> &MongoDatabase {
        &self.database
    }

    /// The key that OSM's components share.
    pub fn common_key(&self) -> Option<&Secret> {
        self.common_key.as_ref()
    }

    /// Begins to follow it; ends when the host is told to stop.
    pub fn follow(self, engine: &Arc<Engine>, shutdown: &CancellationToken) -> JoinHandle<()> {
        tracing::info!(common_key = self.common_key.is_some(), "OSM's accounts are followed");
        let reconciler = Reconciler {
            database: Arc::new(self.database),
            accounts: engine.clone(),
            common_key: self.common_key,
            clock: Arc::new(SystemClock),
            host: engine.host().to_string(),
        };
        tokio::spawn(Follower::new(reconciler, Pace::default()).run(shutdown.clone()))
    }
}
