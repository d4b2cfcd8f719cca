//! Forgetting a service.

use rusqlite::Connection;
use vimhost_model::NsrId;
use vimhost_store::{Change, Fate};

use crate::connection::{all, run};
use crate::fault::Outcome;
use crate::resources::{self, Prepared};
use crate::sql;

/// Whether there was anything, and the hints.
pub(crate) fn service(connection: &Connection, nsr: &NsrId) -> Outcome<(bool, Vec<Change>)> {
    let mut changed = 0;
    let mut kept = false;
    let mut hints = Vec::new();
    for mut resource in resources::of_service(connection, nsr.as_str())? {
        match Fate::of(&resource, nsr) {
            Fate::Stays => {
                kept = true;
                continue;
            }
            Fate::Loses => {
                resource.tasks.retain(|task| task.nsr_id != *nsr);
                resources::replace(connection, &Prepared::of(&resource)?)?;
            }
            Fate::Goes => resources::delete(connection, &resource.id, resource.item)?,
        }
        changed += 1;
        hints.push(Change::Resource(resource.target, resource.id));
    }
    for statement in [sql::ACTION_DELETE_OF_SERVICE, sql::KEY_PAIR_DELETE, sql::SERVICE_DELETE] {
        changed += run(connection, statement, [nsr.as_str()])?;
    }
    if !kept {
        changed += drop_texts(connection, nsr)?;
    }
    if changed > 0 {
        hints.push(Change::Forgotten(nsr.clone()));
    }
    Ok((changed > 0, hints))
}

/// Drops the texts that only this service refers to.
fn drop_texts(connection: &Connection, nsr: &NsrId) -> Outcome<usize> {
    let digests = all(connection, sql::TEXT_SERVICE_LIST, [nsr.as_str()], |row| {
        row.get::<_, String>(0)
    })?;
    let changed = run(connection, sql::TEXT_SERVICE_DELETE, [nsr.as_str()])?;
    for digest in digests {
        run(connection, sql::TEXT_DELETE_UNUSED, [digest])?;
    }
    Ok(changed)
}
