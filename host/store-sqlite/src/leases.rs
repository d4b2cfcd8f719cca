//! Who drives which account.
//!
//! A lease that was given up stays as a row without a host, so that its number grows on.

use rusqlite::Connection;
use vimhost_model::{HostId, TargetId, Timestamp};
use vimhost_store::{Claim, Error, Lease};

use crate::connection::{all, first, run};
use crate::fault::{Outcome, from_sql, parse, to_sql};
use crate::sql;

pub(crate) fn fenced(target: &TargetId) -> Error {
    Error::Fenced {
        target: target.to_string(),
    }
}

pub(crate) fn claim(
    connection: &Connection,
    target: &TargetId,
    host: &HostId,
    now: Timestamp,
    until: Timestamp,
) -> Outcome<Claim> {
    let text = target.to_string();
    let lease = first(connection, sql::LEASE_GET, [&text], |row| {
        Ok((
            row.get::<_, Option<String>>(0)?,
            row.get::<_, i64>(1)?,
            row.get::<_, i64>(2)?,
        ))
    })?;
    let fence = match lease {
        None => 1,
        Some((Some(holder), fence, _)) if holder == host.as_str() => from_sql(fence)?,
        Some((Some(_), _, expires_at)) if expires_at >= now.0 => return Err(fenced(target).into()),
        Some((_, fence, _)) => from_sql(fence)?.saturating_add(1),
    };
    run(
        connection,
        sql::LEASE_PUT,
        (&text, host.as_str(), to_sql(fence)?, until.0),
    )?;
    Ok(Claim {
        target: target.clone(),
        fence,
    })
}

pub(crate) fn renew(connection: &Connection, host: &HostId, until: Timestamp) -> Outcome<Vec<Claim>> {
    run(connection, sql::LEASE_RENEW, (host.as_str(), until.0))?;
    let held = list(connection)?.into_iter().filter(|lease| lease.host == *host);
    Ok(held
        .map(|lease| Claim {
            target: lease.target,
            fence: lease.fence,
        })
        .collect())
}

pub(crate) fn release(connection: &Connection, claim: &Claim) -> Outcome<()> {
    run(
        connection,
        sql::LEASE_RELEASE,
        (claim.target.to_string(), to_sql(claim.fence)?),
    )?;
    Ok(())
}

/// Refuses a write whose claim is over.
pub(crate) fn check(connection: &Connection, claim: &Claim, target: &str) -> Outcome<()> {
    let held = first(connection, sql::LEASE_HELD, (target, to_sql(claim.fence)?), |_| Ok(()))?;
    held.ok_or_else(|| fenced(&claim.target).into())
}

pub(crate) fn list(connection: &Connection) -> Outcome<Vec<Lease>> {
    let leases = all(connection, sql::LEASE_ALL, [], |row| {
        Ok((
            row.get::<_, String>(0)?,
            row.get::<_, String>(1)?,
            row.get::<_, i64>(2)?,
            row.get::<_, i64>(3)?,
        ))
    })?;
    leases
        .into_iter()
        .map(|(target, host, fence, expires_at)| {
            Ok(Lease {
                target: parse("a lease", &target)?,
                host: parse("a lease", &host)?,
                fence: from_sql(fence)?,
                expires_at: Timestamp(expires_at),
            })
        })
        .collect()
}
