//! A look at OSM's accounts from outside: whether they could be followed. It changes nothing, and hosts may be at work on them.

use serde_json::Value;
use vimhost_model::{Secret, TargetId};

use crate::account;
use crate::cipher::Cipher;
use crate::database::{Database, DatabaseError};

/// What was seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspection {
    /// Whether the database has the document that NBI makes first of all.
    pub is_osms: bool,
    /// How many accounts can be read.
    pub readable: usize,
    /// Those that cannot, with the field that is wrong; no value.
    pub unreadable: Vec<(TargetId, String)>,
}

/// Looks at every account.
///
/// # Errors
/// When the database cannot be read, or its serial is none.
pub async fn inspect(database: &dyn Database, common_key: Option<&Secret>) -> Result<Inspection, DatabaseError> {
    let version = database.version().await?;
    let serial = version.as_ref().and_then(|version| version.get("serial"));
    let cipher = Cipher::new(common_key, serial.and_then(Value::as_str)).map_err(|error| DatabaseError {
        reason: error.to_string(),
    })?;
    let mut seen = Inspection {
        is_osms: version.is_some(),
        readable: 0,
        unreadable: Vec::new(),
    };
    for (target, document) in database.accounts().await?.accounts {
        match account::parse(&target, &document, &cipher) {
            Ok(_) => seen.readable += 1,
            Err(error) => seen.unreadable.push((target, error.to_string())),
        }
    }
    Ok(seen)
}
