//! The contract suite on a replica set and on a standalone, each a real server.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails in a test's helper fails the test"
)]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use vimhost_mongod::Kind;
use vimhost_store::Store;
use vimhost_store::contract::Subject;
use vimhost_store::contract::sample::id;
use vimhost_store_mongo::{MongoStore, Options, Predecessor, Topology};

/// How long the server may take to be found, and for one command: whoever waits longer waits for ever. The product's few seconds are for
/// those who wait for an answer; a process that stands still for as long has found no server when it goes on.
const PATIENCE: Duration = Duration::from_secs(60);

/// A store on a database of its own.
struct OnServer {
    options: Options,
    store: Option<Arc<MongoStore>>,
}

impl OnServer {
    async fn open(kind: Kind) -> Self {
        let uri = vimhost_mongod::shared(kind).await.unwrap();
        let database = format!("contract_{}", vimhost_model::HostId::random());
        let mut options = Options::new(uri, database, id("host"));
        options.server_selection = PATIENCE;
        options.deadline = PATIENCE;
        // A check opens it again as after a crash.
        options.predecessor = Predecessor::Gone;
        let store = MongoStore::open(options.clone()).await.unwrap();
        let topology = match kind {
            Kind::ReplicaSet => Topology::ReplicaSet,
            Kind::Standalone => Topology::Standalone,
        };
        assert_eq!(store.topology(), topology);
        let store = Some(Arc::new(store));
        Self { options, store }
    }
}

#[async_trait]
impl Subject for OnServer {
    fn store(&self) -> Arc<dyn Store> {
        self.store.clone().unwrap()
    }

    async fn reopen(&mut self) {
        let store = Arc::into_inner(self.store.take().unwrap());
        drop(store.expect("a check holds the store across a re-opening"));
        self.store = Some(Arc::new(MongoStore::open(self.options.clone()).await.unwrap()));
    }
}

mod replica_set {
    use super::*;

    async fn fresh() -> OnServer {
        OnServer::open(Kind::ReplicaSet).await
    }

    vimhost_store::store_contract_tests!(fresh);
}

mod standalone {
    use super::*;

    async fn fresh() -> OnServer {
        OnServer::open(Kind::Standalone).await
    }

    vimhost_store::store_contract_tests!(fresh);
}
