//! Tokens, the audit log, and key pairs as a list.

use async_trait::async_trait;
use mongodb::bson::{Document, doc};
use vimhost_model::{AccessToken, AuditEntry, NsrId, Resource, Revision, Timestamp, TokenId};
use vimhost_store::{Access, AuditFilter, Error, KeyPair, Page, SealedText};

use crate::db::Statement;
use crate::fault::{Fault, Outcome, decode, encode};
use crate::fields::text_of;
use crate::hints;
use crate::paging::{cut, rows};
use crate::shapes::{self, TOKENS};
use crate::store::{Core, MongoStore, pair_of};

/// Greater than every id of an entry, which begins with a letter.
const NEWEST: &str = "~";

fn token_of(document: &Document) -> Outcome<AccessToken> {
    let mut token: AccessToken = decode("a token", text_of(document, "doc"))?;
    token.revoked_at = document.get_i64("revoked_at").ok().map(Timestamp);
    Ok(token)
}

impl Core {
    async fn insert_token(&self, token: &AccessToken) -> Outcome<()> {
        let text = encode("a token", token)?;
        let new = doc! {"_id": token.id.as_str(), "doc": &text};
        match self.db.insert(TOKENS, new).await {
            Err(Fault::Duplicate(_)) => Err(Error::conflict(format!("token {}", token.id)).into()),
            // The digest in the document is of this one token: if it is there, it was written by this call.
            Err(fault) if fault.is_lost() => match self.db.first(shapes::token(token.id.as_str())).await? {
                Some(found) if text_of(&found, "doc") == text => Ok(()),
                _ => Err(fault),
            },
            other => other,
        }
    }

    async fn get_token(&self, id: &TokenId) -> Outcome<Option<AccessToken>> {
        let found = self.db.first(shapes::token(id.as_str())).await?;
        found.as_ref().map(token_of).transpose()
    }

    async fn token_page(&self, after: Option<&str>, limit: usize) -> Outcome<Page<AccessToken>> {
        let after = after.unwrap_or_default();
        let found = self.db.all(shapes::tokens_after(after), rows(limit)).await?;
        let tokens = found.iter().map(token_of).collect::<Outcome<Vec<_>>>()?;
        Ok(cut(tokens, limit, |token| token.id.to_string()))
    }

    async fn end_token(&self, id: &TokenId, at: Timestamp) -> Outcome<AccessToken> {
        let revoke = doc! {"$set": {"revoked_at": at.0}};
        self.db
            .update_all(shapes::token_not_revoked(id.as_str()), revoke)
            .await?;
        let token = self.get_token(id).await?;
        token.ok_or_else(|| Error::missing(format!("token {id}")).into())
    }

    async fn put_audit(&self, entry: &AuditEntry) -> Outcome<()> {
        let text = encode("an audit entry", entry)?;
        let set = doc! {"$set": {"who": &entry.who, "operation": &entry.operation, "doc": text}};
        let put = Statement {
            upsert: true,
            ..Statement::of(shapes::audit_entry(entry.id.as_str()), set)
        };
        match self.db.update(put.clone()).await {
            // Writing the same again changes nothing.
            Err(fault) if fault.is_lost() => self.db.update(put).await.map(|_| ()),
            other => other.map(|_| ()),
        }
    }

    async fn audit_page(&self, filter: &AuditFilter, below: &str, limit: usize) -> Outcome<Page<AuditEntry>> {
        let query = match (&filter.who, &filter.operation) {
            (None, None) => shapes::audit_below(below),
            (Some(who), None) => shapes::audit_of_who(who, below),
            (None, Some(operation)) => shapes::audit_of_operation(operation, below),
            (Some(who), Some(operation)) => shapes::audit_of_both(who, operation, below),
        };
        let found = self.db.all(query, rows(limit)).await?;
        let entries = found
            .iter()
            .map(|found| Ok(decode("an audit entry", text_of(found, "doc"))?))
            .collect::<Outcome<Vec<AuditEntry>>>()?;
        Ok(cut(entries, limit, |entry| entry.id.to_string()))
    }

    async fn drop_old_audit(&self, keep: usize) -> Outcome<()> {
        let keep = u64::try_from(keep).unwrap_or(u64::MAX);
        let oldest = self.db.nth(shapes::audit_ids_below(NEWEST), keep).await?;
        if let Some(oldest) = oldest {
            self.db.delete_all(shapes::audit_up_to(text_of(&oldest, "_id"))).await?;
        }
        Ok(())
    }

    async fn pair_page(&self, after: Option<&str>, limit: usize) -> Outcome<Page<(NsrId, KeyPair)>> {
        let after = after.unwrap_or_default();
        let found = self.db.all(shapes::key_pairs_after(after), rows(limit)).await?;
        let pairs = found
            .iter()
            .map(|found| {
                let nsr = NsrId::new(text_of(found, "_id")).map_err(|error| Error::corrupt("a key pair", error))?;
                Ok((nsr, pair_of(found)))
            })
            .collect::<Outcome<Vec<_>>>()?;
        Ok(cut(pairs, limit, |(nsr, _)| nsr.to_string()))
    }

    async fn reseal_pair(&self, nsr: &NsrId, from: &SealedText, to: &SealedText) -> Outcome<bool> {
        let set = doc! {"$set": {"private_key": &to.0}};
        let statement = Statement::of(shapes::key_pair_sealed(nsr.as_str(), &from.0), set);
        match self.db.update(statement).await {
            // No two sealed texts are alike: if the new one is there, this call has put it.
            Err(fault) if fault.is_lost() => match self.db.first(shapes::key_pair(nsr.as_str())).await? {
                Some(found) if text_of(&found, "private_key") == to.0 => Ok(true),
                _ => Err(fault),
            },
            other => other,
        }
    }
}

#[async_trait]
impl Access for MongoStore {
    async fn add_token(&self, token: &AccessToken) -> Result<(), Error> {
        Ok(self.core.insert_token(token).await?)
    }

    async fn token(&self, id: &TokenId) -> Result<Option<AccessToken>, Error> {
        Ok(self.core.get_token(id).await?)
    }

    async fn tokens(&self, after: Option<&str>, limit: usize) -> Result<Page<AccessToken>, Error> {
        Ok(self.core.token_page(after, limit).await?)
    }

    async fn revoke_token(&self, id: &TokenId, at: Timestamp) -> Result<AccessToken, Error> {
        Ok(self.core.end_token(id, at).await?)
    }

    async fn write_audit(&self, entry: &AuditEntry) -> Result<(), Error> {
        Ok(self.core.put_audit(entry).await?)
    }

    async fn audit(&self, filter: &AuditFilter, after: Option<&str>, limit: usize) -> Result<Page<AuditEntry>, Error> {
        let below = after.unwrap_or(NEWEST);
        Ok(self.core.audit_page(filter, below, limit).await?)
    }

    async fn trim_audit(&self, keep: usize) -> Result<(), Error> {
        Ok(self.core.drop_old_audit(keep).await?)
    }

    async fn mark_resource(&self, resource: &Resource) -> Result<Revision, Error> {
        let what = || format!("resource {}", resource.id);
        if self.core.replace(resource).await? {
            self.core.hints.tell(hints::of_resource(resource));
            return Ok(resource.revision.saturating_add(1));
        }
        match self.core.get_resource(&resource.id).await? {
            Some(_) => Err(Error::conflict(what())),
            None => Err(Error::missing(what())),
        }
    }

    async fn key_pairs(&self, after: Option<&str>, limit: usize) -> Result<Page<(NsrId, KeyPair)>, Error> {
        Ok(self.core.pair_page(after, limit).await?)
    }

    async fn reseal_key_pair(&self, nsr: &NsrId, from: &SealedText, to: &SealedText) -> Result<bool, Error> {
        Ok(self.core.reseal_pair(nsr, from, to).await?)
    }
}
