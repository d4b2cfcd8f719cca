//! The driver behind a deadline: every command the store sends goes through here.
//!
//! The driver repeats a read, and on a replica set a write to one document, once by itself, and the server then tells whether
//! the first one was done. A command of several statements it does not repeat; all of ours can be repeated, because each
//! statement is a compare-and-set that does not match a second time or does nothing, so that is done here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::{ReadConcern, ReturnDocument, UpdateModifications, WriteConcern};
use mongodb::{Client, Collection, Database};

use crate::fault::{Fault, Outcome};
use crate::fuse::Fuse;
use crate::shapes::Query;
use crate::stats::{Counters, Metrics, count};

/// Statements in one command. The server takes 100000; fewer keep a command short.
const BATCH_STATEMENTS: usize = 500;

/// Bytes of statements in one command. The server takes 48 MB; one more statement is taken whatever its size.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// One statement of a command of several.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    /// Which documents.
    pub(crate) query: Query,
    /// The change.
    pub(crate) update: UpdateModifications,
    /// Whether the document is made when there is none.
    pub(crate) upsert: bool,
}

impl Statement {
    pub(crate) fn of(query: Query, update: impl Into<UpdateModifications>) -> Self {
        Self {
            query,
            update: update.into(),
            upsert: false,
        }
    }

    fn document(self) -> Document {
        let update = match self.update {
            UpdateModifications::Document(update) => Bson::from(update),
            UpdateModifications::Pipeline(stages) => Bson::from(stages),
            other => Bson::from(format!("{other:?}")),
        };
        doc! {"q": self.query.filter, "u": update, "upsert": self.upsert}
    }
}

/// The database.
#[derive(Debug)]
pub(crate) struct Db {
    client: Client,
    database: Database,
    deadline: Duration,
    counters: Arc<Counters>,
    fuse: Option<Arc<Fuse>>,
    metrics: Metrics,
}

impl Db {
    pub(crate) fn new(
        client: Client,
        database: Database,
        deadline: Duration,
        counters: Arc<Counters>,
        fuse: Option<Arc<Fuse>>,
    ) -> Self {
        Self {
            client,
            database,
            deadline,
            counters,
            fuse,
            metrics: Metrics::default(),
        }
    }

    /// The database of the driver, for change streams and indexes.
    pub(crate) fn driver(&self) -> &Database {
        &self.database
    }

    /// Gives the connections back.
    pub(crate) async fn close(&self) {
        self.client.clone().shutdown().await;
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    fn collection(&self, name: &str) -> Collection<Document> {
        self.database.collection(name)
    }

    async fn call<T>(&self, writes: bool, command: impl Future<Output = mongodb::error::Result<T>>) -> Outcome<T> {
        let unheard = match &self.fuse {
            Some(fuse) => fuse.pass(writes)?,
            None => false,
        };
        count(if writes {
            &self.counters.writes
        } else {
            &self.counters.reads
        });
        let begun = Instant::now();
        let answer = match tokio::time::timeout(self.deadline, command).await {
            Ok(answer) => answer.map_err(Fault::from),
            Err(_) => Err(Fault::Lost(format!("no answer in {:?}", self.deadline))),
        };
        self.metrics.ended(writes, &answer, begun.elapsed());
        let answer = answer?;
        if unheard {
            return Err(Fault::Lost("the fuse has blown".to_owned()));
        }
        Ok(answer)
    }

    /// The first document of a query.
    ///
    /// That there is none is asked twice, the second time so that a majority confirms the answer. A primary that has just been elected has
    /// all that was acknowledged, but reads what it knows a majority to have, which may be less for a moment: to a client that was told
    /// that its request is accepted, the next host would say that there is no such request.
    pub(crate) async fn first(&self, query: Query) -> Outcome<Option<Document>> {
        match self
            .find_one(query.clone(), self.database.read_concern().cloned())
            .await?
        {
            Some(found) => Ok(Some(found)),
            None if self.database.read_concern().is_none() => Ok(None),
            None => self.newest(query).await,
        }
    }

    /// The first document of a query, and nothing older than what anybody was answered before. Costs the round of a write.
    pub(crate) async fn newest(&self, query: Query) -> Outcome<Option<Document>> {
        let concern = self.database.read_concern().map(|_| ReadConcern::linearizable());
        self.find_one(query, concern).await
    }

    async fn find_one(&self, query: Query, concern: Option<ReadConcern>) -> Outcome<Option<Document>> {
        let collection = self.collection(query.collection);
        let mut find = collection.find_one(query.filter).projection(query.projection);
        if let Some(sort) = query.sort {
            find = find.sort(sort);
        }
        if let Some(concern) = concern {
            find = find.read_concern(concern);
        }
        self.call(false, find.into_future()).await
    }

    /// The document of a query that `skipped` ones come before.
    pub(crate) async fn nth(&self, query: Query, skipped: u64) -> Outcome<Option<Document>> {
        let collection = self.collection(query.collection);
        let find = collection
            .find_one(query.filter)
            .projection(query.projection)
            .sort(query.sort.unwrap_or_default())
            .skip(skipped);
        self.call(false, find.into_future()).await
    }

    /// The documents of a query, at most `limit`; 0: all of them.
    pub(crate) async fn all(&self, query: Query, limit: i64) -> Outcome<Vec<Document>> {
        let collection = self.collection(query.collection);
        let mut find = collection.find(query.filter).projection(query.projection).limit(limit);
        if let Some(sort) = query.sort {
            find = find.sort(sort);
        }
        self.call(false, async { find.await?.try_collect().await }).await
    }

    /// Changes one document. True when the query matched or a document was made.
    pub(crate) async fn update(&self, statement: Statement) -> Outcome<bool> {
        let collection = self.collection(statement.query.collection);
        let update = collection
            .update_one(statement.query.filter, statement.update)
            .upsert(statement.upsert);
        let result = self.call(true, update.into_future()).await?;
        Ok(result.matched_count > 0 || result.upserted_id.is_some())
    }

    /// Changes one document and answers it as it is afterwards.
    pub(crate) async fn update_and_read(&self, statement: Statement) -> Outcome<Option<Document>> {
        let collection = self.collection(statement.query.collection);
        let update = collection
            .find_one_and_update(statement.query.filter, statement.update)
            .upsert(statement.upsert)
            .projection(statement.query.projection)
            .return_document(ReturnDocument::After);
        self.call(true, update.into_future()).await
    }

    /// Changes every document of a query, alike. Repeatable.
    pub(crate) async fn update_all(&self, query: Query, update: impl Into<UpdateModifications>) -> Outcome<u64> {
        let update = update.into();
        let send = || async {
            let collection = self.collection(query.collection);
            let command = collection.update_many(query.filter.clone(), update.clone());
            self.call(true, command.into_future()).await
        };
        Ok(again(send).await?.matched_count)
    }

    /// Changes documents of one collection, each by its own statement, in as few commands as can be. Answers how many
    /// documents matched. Repeatable: every statement must be one that does no harm a second time.
    pub(crate) async fn update_each(&self, collection: &'static str, statements: Vec<Statement>) -> Outcome<u64> {
        let mut matched = 0;
        let mut batch = Vec::new();
        let mut bytes = 0_usize;
        for statement in statements {
            let document = statement.document();
            let size = document
                .to_vec()
                .map_err(|error| Fault::Rejected(error.to_string()))?
                .len();
            if batch.len() >= BATCH_STATEMENTS || (bytes > 0 && bytes.saturating_add(size) > BATCH_BYTES) {
                matched += self.send(collection, std::mem::take(&mut batch)).await?;
                bytes = 0;
            }
            bytes = bytes.saturating_add(size);
            batch.push(document);
        }
        if !batch.is_empty() {
            matched += self.send(collection, batch).await?;
        }
        Ok(matched)
    }

    async fn send(&self, collection: &str, statements: Vec<Document>) -> Outcome<u64> {
        let mut command = doc! {"update": collection, "updates": statements, "ordered": false};
        if let Some(concern) = self.database.write_concern() {
            command.insert("writeConcern", write_concern(concern));
        }
        let send = || async {
            let answer = self
                .call(true, self.database.run_command(command.clone()).into_future())
                .await?;
            refusals(&answer)?;
            let matched = answer.get_i32("n").unwrap_or(0);
            Ok(u64::try_from(matched).unwrap_or(0))
        };
        again(send).await
    }

    /// Adds a document.
    pub(crate) async fn insert(&self, collection: &'static str, document: Document) -> Outcome<()> {
        let collection = self.collection(collection);
        self.call(true, collection.insert_one(document).into_future()).await?;
        Ok(())
    }

    /// Adds documents; those whose key is there make it fail, after all others were added.
    pub(crate) async fn insert_all(&self, collection: &'static str, documents: &[Document]) -> Outcome<()> {
        if documents.is_empty() {
            return Ok(());
        }
        let collection = self.collection(collection);
        let insert = collection.insert_many(documents).ordered(false);
        self.call(true, insert.into_future()).await?;
        Ok(())
    }

    /// Removes one document. True when there was one.
    pub(crate) async fn delete(&self, query: Query) -> Outcome<bool> {
        let collection = self.collection(query.collection);
        let result = self
            .call(true, collection.delete_one(query.filter).into_future())
            .await?;
        Ok(result.deleted_count > 0)
    }

    /// Removes every document of a query. Repeatable.
    pub(crate) async fn delete_all(&self, query: Query) -> Outcome<u64> {
        let send = || async {
            let collection = self.collection(query.collection);
            self.call(true, collection.delete_many(query.filter.clone()).into_future())
                .await
        };
        Ok(again(send).await?.deleted_count)
    }
}

/// Sends once more what was lost.
async fn again<T, F: Future<Output = Outcome<T>>>(send: impl Fn() -> F) -> Outcome<T> {
    match send().await {
        Err(fault) if fault.is_lost() => send().await,
        answer => answer,
    }
}

fn write_concern(concern: &WriteConcern) -> Document {
    let w = match &concern.w {
        Some(mongodb::options::Acknowledgment::Nodes(nodes)) => Bson::from(i64::from(*nodes)),
        _ => Bson::from("majority"),
    };
    let mut document = doc! {"w": w, "j": true};
    if let Some(timeout) = concern.w_timeout {
        document.insert("wtimeout", i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX));
    }
    document
}

/// The first statement that failed, or a write concern that was not met.
fn refusals(answer: &Document) -> Outcome<()> {
    if let Ok(errors) = answer.get_array("writeErrors")
        && let Some(error) = errors.first().and_then(Bson::as_document)
    {
        let message = error.get_str("errmsg").unwrap_or_default();
        return Err(Fault::of_code(error.get_i32("code").unwrap_or_default(), message));
    }
    match answer.get_document("writeConcernError") {
        Ok(error) => Err(Fault::Lost(error.to_string())),
        Err(_) => Ok(()),
    }
}
