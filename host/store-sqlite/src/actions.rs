//! Planning and acceptance of actions.

use rusqlite::Connection;
use vimhost_model::{ActionHeader, Item, JournalEntry, NsrId, RecordChange, Resource, ResourceId, Revision};
use vimhost_store::{
    ActionCommit, Committed, Error, KeyPair, LeftOut, Page, ResourceUpdate, SealedText, TextDigest, made_under,
};

use crate::connection::{all, first, run};
use crate::fault::{Fault, Outcome, decode, encode, from_sql};
use crate::resources::{self, Prepared};
use crate::{accounts, records, sql};
use vimhost_store::paging::{cut, rows};

pub(crate) fn service_revision(connection: &Connection, nsr: &str) -> Outcome<Revision> {
    let revision = first(connection, sql::SERVICE_REVISION, [nsr], |row| row.get::<_, i64>(0))?;
    revision.map_or(Ok(0), from_sql)
}

pub(crate) fn get(connection: &Connection, nsr: &str, action: &str) -> Outcome<Option<ActionHeader>> {
    first(connection, sql::ACTION_GET, (nsr, action), |row| {
        row.get::<_, String>(0)
    })?
    .map(|text| Ok(decode("an action", &text)?))
    .transpose()
}

/// Newest first; the cursor is the row's key, which grows with each commit.
pub(crate) fn page(
    connection: &Connection,
    nsr: Option<&NsrId>,
    after: Option<&str>,
    limit: usize,
) -> Outcome<Page<ActionHeader>> {
    let below: i64 = match after {
        None => i64::MAX,
        Some(after) => after
            .parse()
            .map_err(|_| Error::missing(format!("page '{after}' of the actions")))?,
    };
    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?));
    let found = match nsr {
        Some(nsr) => all(
            connection,
            sql::ACTION_PAGE_OF_SERVICE,
            (below, rows(limit), nsr.as_str()),
            row,
        )?,
        None => all(connection, sql::ACTION_PAGE, (below, rows(limit)), row)?,
    };
    let page = cut(found, limit, |(key, _)| key.to_string());
    let headers = page
        .entries
        .iter()
        .map(|(_, text)| Ok(decode("an action", text)?))
        .collect::<Outcome<Vec<_>>>()?;
    Ok(Page {
        entries: headers,
        next: page.next,
    })
}

pub(crate) fn text(connection: &Connection, digest: &str) -> Outcome<Option<String>> {
    first(connection, sql::TEXT_GET, [digest], |row| row.get(0))
}

pub(crate) fn key_pair(connection: &Connection, nsr: &str) -> Outcome<Option<KeyPair>> {
    first(connection, sql::KEY_PAIR_GET, [nsr], |row| {
        Ok(KeyPair {
            public_key: row.get(0)?,
            private_key: SealedText(row.get(1)?),
        })
    })
}

pub(crate) fn keep_key_pair(connection: &Connection, nsr: &str, pair: &KeyPair) -> Outcome<KeyPair> {
    run(
        connection,
        sql::KEY_PAIR_KEEP,
        (nsr, &pair.public_key, &pair.private_key.0),
    )?;
    key_pair(connection, nsr)?.ok_or_else(|| Error::corrupt("a key pair", "it is not there after it was kept").into())
}

/// What the commit's updates start from, read before it is queued so that the writer parses no resource.
pub(crate) enum Basis {
    /// The action is there already.
    Exists(ActionHeader),
    /// The resources to be updated, in the order of the updates.
    Resources(Vec<Resource>),
}

pub(crate) fn basis(connection: &Connection, header: &ActionHeader, updates: &[ResourceUpdate]) -> Outcome<Basis> {
    if let Some(header) = get(connection, header.nsr_id.as_str(), header.id.as_str())? {
        return Ok(Basis::Exists(header));
    }
    let resources = updates
        .iter()
        .map(|update| {
            let found = resources::get(connection, update.resource.as_str())?;
            Ok(found
                .filter(|resource| resource.revision == update.expected)
                .ok_or_else(|| Error::conflict(format!("resource {}", update.resource)))?)
        })
        .collect::<Outcome<Vec<_>>>()?;
    Ok(Basis::Resources(resources))
}

/// An element that a commit makes under a common id.
struct Shared {
    target: String,
    item: Item,
    common_id: String,
}

/// A commit as its rows.
pub(crate) struct PreparedCommit {
    header: ActionHeader,
    header_text: String,
    service_revision: Revision,
    accounts: Vec<String>,
    new_resources: Vec<(Prepared, Vec<JournalEntry>)>,
    shared: Vec<Shared>,
    updated: Vec<Prepared>,
    /// The resources of `updated`: those the plan knew.
    known: Vec<ResourceId>,
    record_changes: Vec<RecordChange>,
    texts: Vec<(TextDigest, String)>,
}

impl PreparedCommit {
    pub(crate) fn of(commit: ActionCommit, basis: Vec<Resource>) -> Result<Self, Error> {
        let mut updated: Vec<Resource> = basis;
        for (resource, update) in updated.iter_mut().zip(commit.updates) {
            resource.tasks.extend(update.tasks);
            for used in update.uses {
                if !resource.uses.contains(&used) {
                    resource.uses.push(used);
                }
            }
            resource.modified_at = commit.header.created_at;
        }
        let shared = commit.new_resources.iter().flat_map(|resource| {
            made_under(resource).into_iter().map(move |common_id| Shared {
                target: resource.target.to_string(),
                item: resource.item,
                common_id: common_id.to_owned(),
            })
        });
        Ok(Self {
            shared: shared.collect(),
            known: updated.iter().map(|resource| resource.id.clone()).collect(),
            header_text: encode("an action", &commit.header)?,
            header: commit.header,
            service_revision: commit.service_revision,
            accounts: commit.accounts.iter().map(ToString::to_string).collect(),
            new_resources: commit
                .new_resources
                .into_iter()
                .map(|resource| Ok((Prepared::of(&resource)?, resource.journal)))
                .collect::<Result<_, Error>>()?,
            updated: updated.iter().map(Prepared::of).collect::<Result<_, _>>()?,
            record_changes: commit.record_changes,
            texts: commit.texts,
        })
    }

    /// Size of its documents.
    pub(crate) fn bytes(&self) -> usize {
        let new = self.new_resources.iter().map(|(resource, _)| resource);
        let resources = new.chain(&self.updated).map(Prepared::bytes);
        let texts = self.texts.iter().map(|(_, text)| text.len());
        resources
            .chain(texts)
            .fold(self.header_text.len(), usize::saturating_add)
    }
}

/// Accepts an action.
pub(crate) fn commit(connection: &Connection, commit: &PreparedCommit, left_out: &LeftOut) -> Outcome<Committed> {
    let nsr = commit.header.nsr_id.as_str();
    if let Some(header) = get(connection, nsr, commit.header.id.as_str())? {
        return Ok(Committed::Exists(header));
    }
    if service_revision(connection, nsr)? != commit.service_revision {
        return Err(Error::conflict(format!("the plan of service {nsr}")).into());
    }
    for target in &commit.accounts {
        accounts::stays(connection, target)?;
    }
    // Another service may have been planned at the same time, and have come first.
    for Shared {
        target,
        item,
        common_id,
    } in &commit.shared
    {
        let to_join = resources::to_join(connection, target, *item, common_id)?;
        if to_join.iter().any(|other| !commit.known.contains(&other.id)) {
            return Err(Error::conflict(format!("what is shared as '{common_id}' on {target}")).into());
        }
    }
    run(connection, sql::SERVICE_TOUCH, [nsr])?;
    run(
        connection,
        sql::ACTION_INSERT,
        (nsr, commit.header.id.as_str(), &commit.header_text),
    )?;
    for (resource, journal) in &commit.new_resources {
        resources::insert(connection, resource, journal)?;
    }
    for resource in &commit.updated {
        resources::replace(connection, resource).map_err(|fault| match fault {
            // Dropped since it was planned with: plan again.
            Fault::Refused(Error::Missing { what }) => Error::Conflict { what }.into(),
            fault @ (Fault::Refused(_) | Fault::Sqlite(_)) => fault,
        })?;
    }
    for change in &commit.record_changes {
        records::change(connection, change, left_out)?;
    }
    for (digest, text) in &commit.texts {
        run(connection, sql::TEXT_PUT, (digest, text))?;
        run(connection, sql::TEXT_SERVICE_PUT, (nsr, digest))?;
    }
    Ok(Committed::Accepted)
}
