//! VNF instances and what is done to them.

mod lists;
mod stored;

use async_trait::async_trait;
use rusqlite::{Connection, Row};
use vimhost_model::vnf::{LcmEvent, VnfInstance, VnfLcmOpOcc};
use vimhost_model::{Revision, TargetId, VnfInstanceId, VnfLcmOpOccId, VnfPkgId};
use vimhost_store::paging::{cut, rows};
use vimhost_store::{Change, Claim, Error, InstanceWrite, ListQuery, Listed, Page, VnfLcm};

use crate::connection::{all, first, run};
use crate::fault::{Outcome, parse, to_sql};
use crate::store::{SMALL, SqliteStore};
use crate::writer::Done;
use crate::{accounts, leases, sql};

use self::lists::{INSTANCES, OP_OCCS, list};
use self::stored::{
    Effect, Events, PreparedInstance, PreparedOpOcc, instance_changed, instance_of, op_occ_of, stored_row,
};

fn running(connection: &Connection, target: Option<&str>, after: &str, limit: usize) -> Outcome<Page<VnfLcmOpOccId>> {
    let rows = rows(limit);
    let id = |row: &Row<'_>| row.get::<_, String>(0);
    let found = match target {
        Some(target) => all(connection, sql::OP_OCC_RUNNING, (target, after, rows), id)?,
        None => all(connection, sql::OP_OCC_RUNNING_NOWHERE, (after, rows), id)?,
    };
    let found = found.iter().map(|id| parse("an operation occurrence", id));
    let ids = found.collect::<Result<Vec<VnfLcmOpOccId>, Error>>()?;
    Ok(cut(ids, limit, VnfLcmOpOccId::to_string))
}

fn targets(connection: &Connection) -> Outcome<Vec<TargetId>> {
    // One seek per target, however many occurrences run on it.
    let mut targets = Vec::new();
    let mut after = String::new();
    while let Some(target) = first(connection, sql::OP_OCC_NEXT_TARGET, [&after], |row| row.get(0))? {
        after = target;
        targets.push(parse("an operation occurrence", &after)?);
    }
    Ok(targets)
}

#[async_trait]
impl VnfLcm for SqliteStore {
    async fn add_vnf_instance(&self, instance: &VnfInstance, events: &[LcmEvent]) -> Result<(), Error> {
        let (instance, events) = (PreparedInstance::of(instance)?, Events::of(events)?);
        let bytes = instance.bytes().saturating_add(events.bytes());
        self.write(bytes, move |connection| {
            instance.insert(connection)?;
            events.write(connection)?;
            Ok(Done {
                answer: (),
                hints: events.hints(None),
            })
        })
        .await
    }

    async fn vnf_instance(&self, id: &VnfInstanceId) -> Result<Option<VnfInstance>, Error> {
        let id = id.clone();
        self.read(move |connection| {
            first(connection, sql::VNF_INSTANCE_GET, [id.as_str()], stored_row)?
                .map(instance_of)
                .transpose()
        })
        .await
    }

    async fn delete_vnf_instance(
        &self,
        id: &VnfInstanceId,
        expected: Revision,
        events: &[LcmEvent],
    ) -> Result<(), Error> {
        let (id, events) = (id.clone(), Events::of(events)?);
        self.write(SMALL.saturating_add(events.bytes()), move |connection| {
            let values = (id.as_str(), to_sql(expected)?);
            let deleted = run(connection, sql::VNF_INSTANCE_DELETE, values)?;
            instance_changed(connection, deleted, id.as_str())?;
            events.write(connection)?;
            Ok(Done {
                answer: (),
                hints: events.hints(None),
            })
        })
        .await
    }

    async fn vnf_instances(&self, query: &ListQuery, after: Option<&str>, limit: usize) -> Result<Page<Listed>, Error> {
        let (query, after) = (query.clone(), after.unwrap_or_default().to_owned());
        self.read(move |connection| list(connection, &INSTANCES, &query, &after, limit))
            .await
    }

    async fn package_in_use(&self, package: &VnfPkgId) -> Result<bool, Error> {
        let package = package.clone();
        self.read(move |connection| {
            let found = first(connection, sql::VNF_INSTANCE_OF_PACKAGE, [package.as_str()], |_| Ok(()))?;
            Ok(found.is_some())
        })
        .await
    }

    async fn vnf_instances_on(
        &self,
        target: &TargetId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<VnfInstance>, Error> {
        let (target, after) = (target.to_string(), after.unwrap_or_default().to_owned());
        self.read(move |connection| {
            let values = (target, after, rows(limit));
            let found = all(connection, sql::VNF_INSTANCE_ON_TARGET, values, stored_row)?;
            let instances = found.into_iter().map(instance_of).collect::<Outcome<Vec<_>>>()?;
            Ok(cut(instances, limit, |instance| instance.id.to_string()))
        })
        .await
    }

    async fn begin_operation(
        &self,
        op_occ: &VnfLcmOpOcc,
        instance_revision: Revision,
        events: &[LcmEvent],
    ) -> Result<(), Error> {
        let events = Events::of(events)?;
        let hints = events.hints(Some(Change::OpOcc(op_occ.own.target.clone(), op_occ.id.clone())));
        let target = op_occ.own.target.as_ref().map(ToString::to_string);
        let op_occ = PreparedOpOcc::of(op_occ)?;
        let bytes = op_occ.bytes().saturating_add(events.bytes());
        self.write(bytes, move |connection| {
            let values = (&op_occ.instance, to_sql(instance_revision)?, &op_occ.id);
            let locked = run(connection, sql::VNF_INSTANCE_LOCK, values)?;
            instance_changed(connection, locked, &op_occ.instance)?;
            if let Some(target) = &target {
                accounts::stays(connection, target)?;
            }
            op_occ.insert(connection)?;
            events.write(connection)?;
            Ok(Done { answer: (), hints })
        })
        .await
    }

    async fn op_occ(&self, id: &VnfLcmOpOccId) -> Result<Option<VnfLcmOpOcc>, Error> {
        let id = id.clone();
        self.read(move |connection| {
            first(connection, sql::OP_OCC_GET, [id.as_str()], stored_row)?
                .map(op_occ_of)
                .transpose()
        })
        .await
    }

    async fn op_occs(&self, query: &ListQuery, after: Option<&str>, limit: usize) -> Result<Page<Listed>, Error> {
        let (query, after) = (query.clone(), after.unwrap_or_default().to_owned());
        self.read(move |connection| list(connection, &OP_OCCS, &query, &after, limit))
            .await
    }

    async fn save_op_occ(
        &self,
        claim: Option<&Claim>,
        op_occ: &VnfLcmOpOcc,
        instance: InstanceWrite,
        events: &[LcmEvent],
    ) -> Result<Revision, Error> {
        // A claim is a right to its own account only.
        let claim = claim.cloned();
        if let Some(claim) = &claim
            && op_occ.own.target.as_ref() != Some(&claim.target)
        {
            return Err(leases::fenced(op_occ.own.target.as_ref().unwrap_or(&claim.target)));
        }
        let (effect, events) = (Effect::of(instance)?, Events::of(events)?);
        let hints = events.hints(Some(Change::OpOcc(op_occ.own.target.clone(), op_occ.id.clone())));
        let op_occ = PreparedOpOcc::of(op_occ)?;
        let bytes = op_occ.bytes().saturating_add(effect.bytes());
        self.write(bytes.saturating_add(events.bytes()), move |connection| {
            if let Some(claim) = &claim {
                leases::check(connection, claim, &claim.target.to_string())?;
            }
            let answer = op_occ.save(connection)?;
            effect.apply(connection, &op_occ)?;
            events.write(connection)?;
            Ok(Done { answer, hints })
        })
        .await
    }

    async fn running_op_occs(
        &self,
        target: Option<&TargetId>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<VnfLcmOpOccId>, Error> {
        let (target, after) = (target.map(ToString::to_string), after.unwrap_or_default().to_owned());
        self.read(move |connection| running(connection, target.as_deref(), &after, limit))
            .await
    }

    async fn targets_with_op_occs(&self) -> Result<Vec<TargetId>, Error> {
        self.read(targets).await
    }
}
