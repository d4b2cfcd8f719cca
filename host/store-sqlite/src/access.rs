//! Tokens, the audit log, and key pairs as a list.

use async_trait::async_trait;
use rusqlite::{Connection, Row};
use vimhost_model::{AccessToken, AuditEntry, NsrId, Resource, Revision, Timestamp, TokenId};
use vimhost_store::{Access, AuditFilter, Error, KeyPair, Page, SealedText};

use crate::connection::{all, first, run};
use crate::fault::{Outcome, decode, encode, parse};
use crate::resources::{self, Prepared};
use crate::sql;
use crate::store::{SMALL, SqliteStore};
use crate::writer::Done;
use vimhost_store::paging::{cut, rows};

/// Greater than every id of an entry, which begins with a letter.
const NEWEST: &str = "~";

fn text(row: &Row<'_>) -> rusqlite::Result<String> {
    row.get(0)
}

fn token_of(document: &str, revoked_at: Option<i64>) -> Outcome<AccessToken> {
    let mut token: AccessToken = decode("a token", document)?;
    token.revoked_at = revoked_at.map(Timestamp);
    Ok(token)
}

fn token_row(row: &Row<'_>) -> rusqlite::Result<(String, Option<i64>)> {
    Ok((row.get(0)?, row.get(1)?))
}

fn token(connection: &Connection, id: &str) -> Outcome<Option<AccessToken>> {
    first(connection, sql::TOKEN_GET, [id], token_row)?
        .map(|(document, revoked_at)| token_of(&document, revoked_at))
        .transpose()
}

fn audit_page(connection: &Connection, filter: &AuditFilter, below: &str, limit: usize) -> Outcome<Page<AuditEntry>> {
    let rows = rows(limit);
    let found = match (&filter.who, &filter.operation) {
        (None, None) => all(connection, sql::AUDIT_PAGE, (below, rows), text),
        (Some(who), None) => all(connection, sql::AUDIT_PAGE_OF_WHO, (below, rows, who), text),
        (None, Some(operation)) => all(connection, sql::AUDIT_PAGE_OF_OPERATION, (below, rows, operation), text),
        (Some(who), Some(operation)) => all(connection, sql::AUDIT_PAGE_OF_BOTH, (below, rows, who, operation), text),
    }?;
    let entries = found
        .iter()
        .map(|document| Ok(decode("an audit entry", document)?))
        .collect::<Outcome<Vec<AuditEntry>>>()?;
    Ok(cut(entries, limit, |entry| entry.id.to_string()))
}

#[async_trait]
impl Access for SqliteStore {
    async fn add_token(&self, token: &AccessToken) -> Result<(), Error> {
        let (id, document) = (token.id.to_string(), encode("a token", token)?);
        self.write(document.len(), move |connection| {
            match run(connection, sql::TOKEN_INSERT, (&id, &document))? {
                0 => Err(Error::conflict(format!("token {id}")).into()),
                _ => Ok(Done::quietly(())),
            }
        })
        .await
    }

    async fn token(&self, id: &TokenId) -> Result<Option<AccessToken>, Error> {
        let id = id.clone();
        self.read(move |connection| token(connection, id.as_str())).await
    }

    async fn tokens(&self, after: Option<&str>, limit: usize) -> Result<Page<AccessToken>, Error> {
        let after = after.unwrap_or_default().to_owned();
        self.read(move |connection| {
            let found = all(connection, sql::TOKEN_PAGE, (after, rows(limit)), token_row)?;
            let tokens = found
                .into_iter()
                .map(|(document, revoked_at)| token_of(&document, revoked_at))
                .collect::<Outcome<Vec<_>>>()?;
            Ok(cut(tokens, limit, |token| token.id.to_string()))
        })
        .await
    }

    async fn revoke_token(&self, id: &TokenId, at: Timestamp) -> Result<AccessToken, Error> {
        let id = id.clone();
        self.write(SMALL, move |connection| {
            run(connection, sql::TOKEN_REVOKE, (id.as_str(), at.0))?;
            let revoked = token(connection, id.as_str())?;
            let revoked = revoked.ok_or_else(|| Error::missing(format!("token {id}")))?;
            Ok(Done::quietly(revoked))
        })
        .await
    }

    async fn write_audit(&self, entry: &AuditEntry) -> Result<(), Error> {
        let document = encode("an audit entry", entry)?;
        let entry = entry.clone();
        self.write(document.len(), move |connection| {
            let values = (entry.id.as_str(), &entry.who, &entry.operation, &document);
            run(connection, sql::AUDIT_PUT, values)?;
            Ok(Done::quietly(()))
        })
        .await
    }

    async fn audit(&self, filter: &AuditFilter, after: Option<&str>, limit: usize) -> Result<Page<AuditEntry>, Error> {
        let (filter, below) = (filter.clone(), after.unwrap_or(NEWEST).to_owned());
        self.read(move |connection| audit_page(connection, &filter, &below, limit))
            .await
    }

    async fn trim_audit(&self, keep: usize) -> Result<(), Error> {
        let keep = i64::try_from(keep).unwrap_or(i64::MAX);
        self.write(SMALL, move |connection| {
            if let Some(oldest) = first(connection, sql::AUDIT_NTH, (NEWEST, keep), text)? {
                run(connection, sql::AUDIT_TRIM, [oldest])?;
            }
            Ok(Done::quietly(()))
        })
        .await
    }

    async fn mark_resource(&self, resource: &Resource) -> Result<Revision, Error> {
        let (prepared, hints) = (Prepared::of(resource)?, resources::hints(resource));
        self.write(prepared.bytes(), move |connection| {
            let answer = resources::replace(connection, &prepared)?;
            Ok(Done { answer, hints })
        })
        .await
    }

    async fn key_pairs(&self, after: Option<&str>, limit: usize) -> Result<Page<(NsrId, KeyPair)>, Error> {
        let after = after.unwrap_or_default().to_owned();
        self.read(move |connection| {
            let row = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?));
            let found = all(connection, sql::KEY_PAIR_PAGE, (after, rows(limit)), row)?;
            let pairs = found
                .into_iter()
                .map(|(nsr, public_key, private_key)| {
                    let private_key = SealedText(private_key);
                    Ok((
                        parse("a service's id", &nsr)?,
                        KeyPair {
                            public_key,
                            private_key,
                        },
                    ))
                })
                .collect::<Outcome<Vec<(NsrId, KeyPair)>>>()?;
            Ok(cut(pairs, limit, |(nsr, _)| nsr.to_string()))
        })
        .await
    }

    async fn reseal_key_pair(&self, nsr: &NsrId, from: &SealedText, to: &SealedText) -> Result<bool, Error> {
        let (nsr, from, to) = (nsr.clone(), from.clone(), to.clone());
        self.write(SMALL, move |connection| {
            let changed = run(connection, sql::KEY_PAIR_RESEAL, (nsr.as_str(), &from.0, &to.0))?;
            Ok(Done::quietly(changed > 0))
        })
        .await
    }
}
