//! A look at a database from outside: whether a host could use it. It changes nothing, and hosts may be at work on it.

use std::sync::Arc;

use vimhost_store::StoredAccount;

use crate::accounts::account;
use crate::db::Db;
use crate::fault::Fault;
use crate::open::{OpenError, Options, Topology, client_of, topology};
use crate::shapes;
use crate::stats::Counters;

/// Accounts that are read: enough to see whether the seal key opens what is stored.
const MOST_ACCOUNTS: i64 = 100;

/// What was seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspection {
    /// What kind of server it is.
    pub topology: Topology,
    /// Schema version of the database; none before the first start.
    pub schema: Option<i32>,
    /// The first accounts, secrets sealed.
    pub accounts: Vec<StoredAccount>,
}

/// Looks at a database.
///
/// # Errors
/// When the server cannot be reached or read, is too old, or the database is a newer one.
pub async fn inspect(options: &Options) -> Result<Inspection, OpenError> {
    let client = client_of(options).await?;
    let topology = topology(&client).await?;
    let database = client.database(&options.database);
    let db = Db::new(client, database, options.deadline, Arc::new(Counters::default()), None);
    let seen = look(&db).await;
    db.close().await;
    let (schema, accounts) = seen.map_err(|fault| OpenError::Read {
        database: options.database.clone(),
        source: fault.into(),
    })?;
    if let Some(found) = schema.filter(|found| *found > crate::open::SCHEMA) {
        return Err(OpenError::Newer {
            database: options.database.clone(),
            found,
            known: crate::open::SCHEMA,
        });
    }
    Ok(Inspection {
        topology,
        schema,
        accounts,
    })
}

async fn look(db: &Db) -> Result<(Option<i32>, Vec<StoredAccount>), Fault> {
    let meta = db.first(shapes::meta("vimhost")).await?;
    let schema = meta.and_then(|meta| meta.get_i32("schema").ok());
    let found = db.all(shapes::accounts_after(""), MOST_ACCOUNTS).await?;
    let accounts = found.iter().map(account).collect::<Result<Vec<_>, Fault>>()?;
    Ok((schema, accounts))
}
