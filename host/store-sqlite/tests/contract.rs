//! The contract suite on SQLite.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails in a test's helper fails the test"
)]

use std::sync::Arc;

use async_trait::async_trait;
use tempfile::TempDir;
use vimhost_store::Store;
use vimhost_store::contract::Subject;
use vimhost_store_sqlite::{Options, SqliteStore};

struct InTempDir {
    dir: TempDir,
    store: Option<Arc<SqliteStore>>,
}

impl InTempDir {
    fn open(dir: &TempDir) -> Arc<SqliteStore> {
        Arc::new(SqliteStore::open(dir.path().join("vimhost.db"), Options::default()).unwrap())
    }
}

#[async_trait]
impl Subject for InTempDir {
    fn store(&self) -> Arc<dyn Store> {
        self.store.clone().unwrap()
    }

    async fn reopen(&mut self) {
        let store = Arc::into_inner(self.store.take().unwrap());
        drop(store.expect("a check holds the store across a re-opening"));
        self.store = Some(Self::open(&self.dir));
    }
}

async fn fresh() -> InTempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = Some(InTempDir::open(&dir));
    InTempDir { dir, store }
}

vimhost_store::store_contract_tests!(fresh);
