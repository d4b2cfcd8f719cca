//! Opening: what server it is, the schema, the indexes, and on a standalone the one host that may have it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::error::ErrorKind;
use mongodb::options::{Acknowledgment, ClientOptions, DatabaseOptions, ReadConcern, WriteConcern};
use mongodb::{Client, Database};
use vimhost_model::HostId;
use vimhost_store::Error;

use crate::db::{Db, Statement};
use crate::fault::Fault;
use crate::fields::text_of;
use crate::fuse::Fuse;
use crate::stats::Counters;
use crate::store::unique;
use crate::{indexes, shapes};

/// The schema this program writes. A database that has seen a newer one is refused, never guessed at.
pub(crate) const SCHEMA: i32 = 1;

/// The oldest server it was made for: delta oplog entries, dots in field names and every expression used are there. Tested with 6.0.5.
const OLDEST: (i32, i32) = (6, 0);

/// Connections to the server. A write waits for disks and a majority, not for a processor, so a host has many under way; with the
/// driver's ten they would wait for a connection instead. What a server takes is a thousand times more.
const CONNECTIONS: u32 = 64;

/// The server's word for an index of the same fields under another name.
const INDEX_EXISTS: i32 = 85;

/// How long a host keeps a standalone without a sign of life. Three times the time between two of them.
const HOST_LEASE: Duration = Duration::from_secs(15);

/// Looks, in that time, at whether the host that has a standalone is alive: often enough to be in soon after it is not.
const LOOKS: u32 = 15;

/// How the store reaches its database.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the server is: `mongodb://…`.
    pub uri: String,
    /// The database; OSM's own is called `osm`.
    pub database: String,
    /// This host. On a standalone, whoever comes while it shows signs of life is refused.
    pub host: HostId,
    /// What is known of the process that had a standalone under the same name.
    pub predecessor: Predecessor,
    /// How long this host keeps a standalone without a sign of life.
    pub host_lease: Duration,
    /// How long to look for a server that can be written, before an operation is answered
    /// [`vimhost_store::Error::Unavailable`].
    pub server_selection: Duration,
    /// How long one command may take, everything included.
    pub deadline: Duration,
    /// Tests: dies after some writes.
    #[doc(hidden)]
    pub fuse: Option<Arc<Fuse>>,
}

impl Options {
    /// A database of a server, with the usual time limits.
    #[must_use]
    pub fn new(uri: impl Into<String>, database: impl Into<String>, host: HostId) -> Self {
        Self {
            uri: uri.into(),
            database: database.into(),
            host,
            predecessor: Predecessor::Unknown,
            host_lease: HOST_LEASE,
            server_selection: Duration::from_secs(5),
            deadline: Duration::from_secs(15),
            fuse: None,
        }
    }
}

/// What is known of the process that had the name of a host before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Predecessor {
    /// It may be alive: its signs of life tell.
    Unknown,
    /// It has ended, as a lock tells that it held: a standalone need not be kept for it.
    Gone,
}

/// For how long a host has a standalone for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Until then at least, by the clock of this process: counted from before its last sign of life was sent.
    Until(Instant),
    /// Another process has it.
    Lost,
}

/// What kind of server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topology {
    /// Without replication: one host, writes synced by one server.
    Standalone,
    /// A replica set, or what stands in front of one: several hosts, writes synced by a majority.
    ReplicaSet,
}

/// Why a store was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URI is none.
    #[error("the database URI is not understood")]
    Uri(#[source] mongodb::error::Error),
    /// No server.
    #[error("cannot reach the database")]
    Reach(#[source] mongodb::error::Error),
    /// Too old a server.
    #[error("the MongoDB server is version {found}; vimhost needs 6.0 or newer")]
    Old {
        /// Its version.
        found: String,
    },
    /// Written by a newer vimhost.
    #[error(
        "database {database} has schema version {found}, this vimhost knows versions up to {known}: use a newer vimhost"
    )]
    Newer {
        /// The database.
        database: String,
        /// Its version.
        found: i32,
        /// The newest known.
        known: i32,
    },
    /// A standalone that another host has.
    #[error("database {database} on a standalone server is in use by host {holder}; several hosts need a replica set")]
    InUse {
        /// The database.
        database: String,
        /// The other host.
        holder: String,
    },
    /// An index cannot be made.
    #[error("cannot prepare collection {collection}")]
    Index {
        /// The collection.
        collection: &'static str,
        /// Why.
        #[source]
        source: mongodb::error::Error,
    },
    /// Something could not be read.
    #[error("cannot read database {database}")]
    Read {
        /// The database.
        database: String,
        /// Why.
        #[source]
        source: Error,
    },
    /// Something could not be read or written.
    #[error("cannot prepare database {database}")]
    Prepare {
        /// The database.
        database: String,
        /// Why.
        #[source]
        source: Error,
    },
}

/// What a server answers that is the primary no more, or ends.
const NOT_PRIMARY: &[i32] = &[
    91,    // ShutdownInProgress
    189,   // PrimarySteppedDown
    10107, // NotWritablePrimary
    11600, // InterruptedAtShutdown
    11602, // InterruptedDueToReplStateChange
];

impl OpenError {
    /// Whether the server cannot at the moment: its set elects another primary, say. That no server was reached is said after a wait for one.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the driver may learn more errors, of which the usual rule decides"
    )]
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Index { source, .. } => match &*source.kind {
                // What it lacks, a right of the user say, it lacks the next time too.
                ErrorKind::Command(failure) => NOT_PRIMARY.contains(&failure.code),
                _ => Fault::from(source.clone()).is_lost(),
            },
            Self::Prepare { source, .. } => matches!(source, Error::Unavailable { .. }),
            Self::Uri(_)
            | Self::Reach(_)
            | Self::Old { .. }
            | Self::Newer { .. }
            | Self::InUse { .. }
            | Self::Read { .. } => false,
        }
    }
}

/// A database that was opened.
pub(crate) struct Opened {
    pub(crate) db: Db,
    pub(crate) topology: Topology,
    pub(crate) letters: String,
    pub(crate) instance: String,
    /// Until when a standalone is this process's.
    pub(crate) alone_until: Option<Instant>,
}

pub(crate) async fn open(options: &Options, counters: Arc<Counters>) -> Result<Opened, OpenError> {
    let client = client_of(options).await?;
    let topology = topology(&client).await?;
    let database = client.database_with_options(&options.database, concerns(topology, options.deadline));
    indexes(&database).await?;
    let db = Db::new(client, database, options.deadline, counters, options.fuse.clone());
    let of_fault = |fault: Fault| OpenError::Prepare {
        database: options.database.clone(),
        source: fault.into(),
    };
    let letters = schema(&db, options, of_fault).await?;
    let instance = unique();
    let alone_until = match topology {
        Topology::ReplicaSet => None,
        Topology::Standalone => match take_host(&db, options, &instance).await.map_err(of_fault)? {
            Taken::Until(until) => Some(until),
            Taken::By(holder) => {
                db.close().await;
                return Err(OpenError::InUse {
                    database: options.database.clone(),
                    holder,
                });
            }
        },
    };
    Ok(Opened {
        db,
        topology,
        letters,
        instance,
        alone_until,
    })
}

/// A database as it is, without indexes, schema or a standalone's hold made; none where no host ever was.
pub(crate) async fn look(options: &Options, counters: Arc<Counters>) -> Result<Option<Opened>, OpenError> {
    let client = client_of(options).await?;
    let topology = topology(&client).await?;
    let database = client.database_with_options(&options.database, concerns(topology, options.deadline));
    let db = Db::new(client, database, options.deadline, counters, options.fuse.clone());
    let meta = db
        .first(shapes::meta("vimhost"))
        .await
        .map_err(|fault| OpenError::Read {
            database: options.database.clone(),
            source: fault.into(),
        })?;
    let Some(meta) = meta else {
        db.close().await;
        return Ok(None);
    };
    let found = meta.get_i32("schema").unwrap_or_default();
    if found > SCHEMA {
        return Err(OpenError::Newer {
            database: options.database.clone(),
            found,
            known: SCHEMA,
        });
    }
    Ok(Some(Opened {
        db,
        topology,
        letters: text_of(&meta, "letters").to_owned(),
        instance: unique(),
        alone_until: None,
    }))
}

/// The driver's client; it connects when it is first used.
pub(crate) async fn client_of(options: &Options) -> Result<Client, OpenError> {
    let mut client = ClientOptions::parse(&options.uri).await.map_err(OpenError::Uri)?;
    // A URI that names a number keeps it.
    client.max_pool_size.get_or_insert(CONNECTIONS);
    client.app_name.get_or_insert_with(|| "vimhost".to_owned());
    client.server_selection_timeout = Some(options.server_selection);
    client.connect_timeout = Some(options.server_selection);
    Client::with_options(client).map_err(OpenError::Uri)
}

pub(crate) async fn topology(client: &Client) -> Result<Topology, OpenError> {
    let admin = client.database("admin");
    let hello = admin.run_command(doc! {"hello": 1}).await.map_err(OpenError::Reach)?;
    let build = admin
        .run_command(doc! {"buildInfo": 1})
        .await
        .map_err(OpenError::Reach)?;
    let part = |n: usize| {
        let parts = build.get_array("versionArray").map(Vec::as_slice).unwrap_or_default();
        parts.get(n).and_then(Bson::as_i32).unwrap_or_default()
    };
    if (part(0), part(1)) < OLDEST {
        return Err(OpenError::Old {
            found: build.get_str("version").unwrap_or("unknown").to_owned(),
        });
    }
    let replicated = hello.contains_key("setName") || text_of(&hello, "msg") == "isdbgrid";
    Ok(if replicated {
        Topology::ReplicaSet
    } else {
        Topology::Standalone
    })
}

/// An answered write is on the disks of a majority, or on that of the only server. A read sees nothing that may be undone.
fn concerns(topology: Topology, deadline: Duration) -> DatabaseOptions {
    let mut write = WriteConcern::default();
    write.journal = Some(true);
    let mut options = DatabaseOptions::default();
    match topology {
        Topology::Standalone => write.w = Some(Acknowledgment::Nodes(1)),
        Topology::ReplicaSet => {
            write.w = Some(Acknowledgment::Majority);
            // Else the server would work on for ever for a caller that has long gone.
            write.w_timeout = Some(deadline);
            options.read_concern = Some(ReadConcern::majority());
        }
    }
    options.write_concern = Some(write);
    options
}

async fn indexes(database: &Database) -> Result<(), OpenError> {
    for (collection, indexes) in indexes::indexes() {
        let made = database
            .collection::<Document>(collection)
            .create_indexes(indexes)
            .await;
        match made {
            Ok(_) => {}
            // Somebody made the same one under another name, which serves as well.
            Err(source) if matches!(&*source.kind, ErrorKind::Command(failure) if failure.code == INDEX_EXISTS) => {}
            Err(source) => return Err(OpenError::Index { collection, source }),
        }
    }
    Ok(())
}

/// The letters of the installation.
async fn schema(db: &Db, options: &Options, of_fault: impl Fn(Fault) -> OpenError) -> Result<String, OpenError> {
    let random = HostId::random().to_string();
    let digits = random.split('-').flat_map(str::as_bytes);
    // Pairs of hexadecimal digits, so that every letter can come.
    let pairs: Vec<_> = digits.copied().collect();
    let letters: String = pairs
        .chunks(2)
        .take(5)
        .map(|pair| {
            let number = pair.iter().fold(0_u32, |sum, digit| {
                sum * 16 + char::from(*digit).to_digit(16).unwrap_or(0)
            });
            char::from(b'a' + u8::try_from(number % 26).unwrap_or(0))
        })
        .collect();
    let keep = Statement {
        upsert: true,
        ..Statement::of(
            shapes::meta("vimhost"),
            doc! {"$setOnInsert": {"schema": SCHEMA, "letters": letters}},
        )
    };
    let kept = db.update_and_read(keep).await.map_err(&of_fault)?.unwrap_or_default();
    let found = kept.get_i32("schema").unwrap_or_default();
    if found > SCHEMA {
        return Err(OpenError::Newer {
            database: options.database.clone(),
            found,
            known: SCHEMA,
        });
    }
    Ok(text_of(&kept, "letters").to_owned())
}

/// The end of a host's hold, by the server's clock.
fn end_of(lease: Duration) -> Document {
    let lease = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
    doc! {"$add": ["$$NOW", lease]}
}

/// Who has a standalone.
enum Taken {
    /// This process, until then.
    Until(Instant),
    /// A host that shows signs of life.
    By(String),
}

/// Takes a standalone for this host. Where another process has it, waits until that one has shown a sign of life or has been silent for
/// too long: who died under a name that nobody will have again cannot be told from the living otherwise.
async fn take_host(db: &Db, options: &Options, instance: &str) -> Result<Taken, Fault> {
    let free = match options.predecessor {
        Predecessor::Gone => shapes::host_free(options.host.as_str()),
        Predecessor::Unknown => shapes::host_late(),
    };
    let lease = options.host_lease;
    let set = doc! {"host": {"$literal": options.host.as_str()}, "instance": instance, "until": end_of(lease)};
    let take = Statement::of(free, vec![doc! {"$set": set}]);
    let mut silent: Option<Document> = None;
    loop {
        // Late from the beginning, so that whoever is first takes it like everybody after.
        let nobody = doc! {"_id": "host", "until": DateTime::from_millis(0)};
        match db.insert(shapes::META, nobody).await {
            Ok(()) | Err(Fault::Duplicate(_)) => {}
            Err(fault) => return Err(fault),
        }
        let begun = Instant::now();
        if db.update(take.clone()).await? {
            return Ok(Taken::Until(begun + lease));
        }
        // None: it was let go between the two.
        if let Some(found) = db.first(shapes::meta("host")).await? {
            match &silent {
                Some(before) if *before != found => return Ok(Taken::By(text_of(&found, "host").to_owned())),
                Some(_) => {}
                None => {
                    tracing::info!(
                        holder = text_of(&found, "host"),
                        wait_ms = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX),
                        "a host has the standalone database; it is taken over when that one shows no sign of life"
                    );
                    silent = Some(found);
                }
            }
        }
        tokio::time::sleep(lease / LOOKS).await;
    }
}

/// A sign of life of the host that has a standalone. False when another process took it.
pub(crate) async fn sign_of_life(db: &Db, instance: &str, lease: Duration) -> Result<bool, Fault> {
    let sign = vec![doc! {"$set": {"until": end_of(lease)}}];
    db.update(Statement::of(shapes::host_held(instance), sign)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_set_syncs_by_majority_and_a_standalone_by_itself() {
        let set = concerns(Topology::ReplicaSet, Duration::from_secs(1));
        let write = set.write_concern.unwrap();
        assert_eq!((write.w, write.journal), (Some(Acknowledgment::Majority), Some(true)));
        assert_eq!(set.read_concern, Some(ReadConcern::majority()));
        let alone = concerns(Topology::Standalone, Duration::from_secs(1));
        let write = alone.write_concern.unwrap();
        assert_eq!((write.w, write.journal), (Some(Acknowledgment::Nodes(1)), Some(true)));
    }
}
