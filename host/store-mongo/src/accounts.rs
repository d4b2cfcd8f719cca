//! Accounts.

use mongodb::bson::{Document, doc};
use vimhost_model::{Revision, TargetId};
use vimhost_store::{Error, Page, StoredAccount};

use crate::db::Statement;
use crate::fault::{Fault, Outcome, decode, encode, from_db, to_db};
use crate::fields::{number_of, text_of};
use crate::paging::{cut, rows};
use crate::shapes::{self, ACCOUNTS};
use crate::store::{Core, unique};

fn what(target: &str) -> String {
    format!("account {target}")
}

/// An account as it is kept.
pub(crate) fn account(document: &Document) -> Outcome<StoredAccount> {
    let mut account: StoredAccount = decode("an account", text_of(document, "doc"))?;
    account.revision = from_db(number_of(document, "rev"))?;
    Ok(account)
}

impl Core {
    pub(crate) async fn get_account(&self, target: &TargetId) -> Outcome<Option<StoredAccount>> {
        let found = self.db.first(shapes::account(&target.to_string())).await?;
        found.as_ref().map(account).transpose()
    }

    pub(crate) async fn account_page(&self, after: Option<&str>, limit: usize) -> Outcome<Page<StoredAccount>> {
        let found = self
            .db
            .all(shapes::accounts_after(after.unwrap_or("")), rows(limit))
            .await?;
        let accounts = found.iter().map(account).collect::<Outcome<Vec<_>>>()?;
        Ok(cut(accounts, limit, |account| account.target.to_string()))
    }

    pub(crate) async fn write_account(&self, account: &StoredAccount, expected: Option<Revision>) -> Outcome<Revision> {
        let revision = self.put_account(account, expected).await?;
        if account.removing {
            self.end_acceptance(&account.target.to_string()).await?;
        }
        Ok(revision)
    }

    async fn put_account(&self, account: &StoredAccount, expected: Option<Revision>) -> Outcome<Revision> {
        let target = account.target.to_string();
        let text = encode("an account", account)?;
        let wrote = unique();
        let (written, rev) = match expected {
            None => {
                let mut new = doc! {"_id": &target, "rev": 1_i64, "doc": text, "wrote": &wrote};
                if account.removing {
                    new.insert("removing", true);
                }
                (self.db.insert(ACCOUNTS, new).await.map(|()| true), 1)
            }
            Some(expected) => {
                let expected = to_db(expected)?;
                let next = expected.saturating_add(1);
                let mut set = doc! {"rev": next, "doc": text, "wrote": &wrote};
                let update = if account.removing {
                    set.insert("removing", true);
                    doc! {"$set": set}
                } else {
                    doc! {"$set": set, "$unset": {"removing": ""}}
                };
                let replace = Statement::of(shapes::account_at(&target, expected), update);
                (self.db.update(replace).await, next)
            }
        };
        match written {
            Ok(true) => from_db(rev),
            Ok(false) | Err(Fault::Duplicate(_)) => Err(Error::conflict(what(&target)).into()),
            Err(fault) if fault.is_lost() => {
                // The id of the write tells whether it was done.
                let found = self.db.first(shapes::account(&target)).await?;
                match found {
                    Some(found) if text_of(&found, "wrote") == wrote => from_db(rev),
                    _ => Err(fault),
                }
            }
            Err(fault) => Err(fault),
        }
    }

    pub(crate) async fn remove_account(&self, target: &TargetId, expected: Revision) -> Outcome<()> {
        let text = target.to_string();
        if self.db.delete(shapes::account_at(&text, to_db(expected)?)).await? {
            return Ok(());
        }
        let found = self.db.first(shapes::account(&text)).await?;
        Err(match found {
            Some(_) => Error::conflict(what(&text)),
            None => Error::missing(what(&text)),
        }
        .into())
    }

    /// Refuses when one of these accounts is not there or being removed.
    pub(crate) async fn accounts_stay(&self, targets: &[String]) -> Outcome<()> {
        if targets.is_empty() {
            return Ok(());
        }
        let staying = self.db.all(shapes::accounts_staying(targets), 0).await?;
        let stays = |target: &&String| staying.iter().any(|account| text_of(account, "_id") == target.as_str());
        match targets.iter().find(|target| !stays(target)) {
            None => Ok(()),
            Some(target) => Err(Error::conflict(what(target)).into()),
        }
    }

    /// Has everything that is about to be accepted on an account that was marked accepted or refused. Whoever accepts looks at the account
    /// after preparing: either it sees the mark, or what it has prepared is found here.
    async fn end_acceptance(&self, target: &str) -> Outcome<()> {
        let closed = doc! {"$unset": {"open": "", "numbering": ""}};
        self.db
            .update_all(shapes::vnf_instances_claimed(target), closed)
            .await?;
        let mut ended = Vec::new();
        for document in self.db.all(shapes::resources_reserved_on(target), 0).await? {
            let Ok(pending) = document.get_document("pending") else {
                continue;
            };
            let commit = text_of(pending, "commit").to_owned();
            if !ended.contains(&commit) {
                self.ended(pending).await?;
                ended.push(commit);
            }
        }
        Ok(())
    }
}
