//! Lists of VNF instances and of operation occurrences.
//!
//! Both are kept as lists show them, in two texts beside what queries ask for, so that a page is read and sent without being parsed.

use mongodb::bson::{Document, doc};
use vimhost_model::vnf::VnfInstance;
use vimhost_model::{TargetId, VnfLcmOpOccId};
use vimhost_store::{Error, ListQuery, Listed, Page};

use crate::fault::{Outcome, parse};
use crate::fields::text_of;
use crate::paging::{cut, rows};
use crate::shapes::{self, Query};
use crate::store::Core;
use crate::vnf_settle::instance_of;

/// The fields of a list; those a query asks for come along, for an entry that was found by its id.
fn fields(whole: bool, of: &str) -> Document {
    let mut fields = doc! {"head": 1, "state": 1, of: 1};
    if whole {
        fields.insert("rest", 1);
    }
    fields
}

fn listed(document: &Document) -> Listed {
    Listed {
        id: text_of(document, "_id").to_owned(),
        head: text_of(document, "head").to_owned(),
        rest: text_of(document, "rest").to_owned(),
    }
}

/// Whether an entry that was found by its id is what a query asks for.
fn matches(document: &Document, query: &ListQuery, of: &str, after: Option<&str>) -> bool {
    let id = text_of(document, "_id");
    after.is_none_or(|after| id > after)
        && query.of.as_deref().is_none_or(|wanted| text_of(document, of) == wanted)
        && (query.states.is_empty() || query.states.iter().any(|state| text_of(document, "state") == state))
}

impl Core {
    async fn page(&self, find: &Query, limit: usize) -> Outcome<Page<Listed>> {
        let found = self
            .with_instances_settled(|| self.db.all(find.clone(), rows(limit)))
            .await?;
        let entries = found.iter().map(listed).collect();
        Ok(cut(entries, limit, |entry: &Listed| entry.id.clone()))
    }

    /// A page with the one entry of an id, or without.
    async fn page_of_one(
        &self,
        find: &Query,
        query: &ListQuery,
        of: &str,
        after: Option<&str>,
    ) -> Outcome<Page<Listed>> {
        let found = self.with_instances_settled(|| self.db.first(find.clone())).await?;
        let found = found.filter(|found| matches(found, query, of, after));
        Ok(Page {
            entries: found.iter().map(listed).collect(),
            next: None,
        })
    }

    pub(crate) async fn instance_page(
        &self,
        query: &ListQuery,
        after: Option<&str>,
        limit: usize,
    ) -> Outcome<Page<Listed>> {
        let wanted = fields(query.whole, "vnfd");
        if let Some(id) = &query.id {
            return self
                .page_of_one(&shapes::vnf_instance(id).only(wanted), query, "vnfd", after)
                .await;
        }
        let from = after.unwrap_or_default();
        let find = match (query.of.as_deref(), query.states.as_slice()) {
            (None, []) => shapes::vnf_instances_after(from),
            (Some(vnfd), []) => shapes::vnf_instances_of(vnfd, from),
            (None, states) => shapes::vnf_instances_in(states, from),
            (Some(vnfd), states) => shapes::vnf_instances_of_in(vnfd, states, from),
        };
        self.page(&find.only(wanted), limit).await
    }

    pub(crate) async fn op_occ_page(
        &self,
        query: &ListQuery,
        after: Option<&str>,
        limit: usize,
    ) -> Outcome<Page<Listed>> {
        let wanted = fields(query.whole, "instance");
        if let Some(id) = &query.id {
            return self
                .page_of_one(&shapes::op_occ(id).only(wanted), query, "instance", after)
                .await;
        }
        let from = after.unwrap_or_default();
        let find = match (query.of.as_deref(), query.states.as_slice()) {
            (None, []) => shapes::op_occs_after(from),
            (Some(instance), []) => shapes::op_occs_of(instance, from),
            (None, states) => shapes::op_occs_in(states, from),
            (Some(instance), states) => shapes::op_occs_of_in(instance, states, from),
        };
        self.page(&find.only(wanted), limit).await
    }

    pub(crate) async fn any_of_package(&self, package: &str) -> Outcome<bool> {
        let find = || self.db.all(shapes::vnf_instances_of_package(package), 1);
        Ok(!self.with_instances_settled(find).await?.is_empty())
    }

    pub(crate) async fn instances_on(
        &self,
        target: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Outcome<Page<VnfInstance>> {
        let find = || {
            self.db
                .all(shapes::vnf_instances_on(target, after.unwrap_or_default()), rows(limit))
        };
        let found = self.with_instances_settled(find).await?;
        let instances = found.iter().map(instance_of).collect::<Outcome<Vec<_>>>()?;
        Ok(cut(instances, limit, |instance| instance.id.to_string()))
    }

    /// Occurrences that run on an account; empty: without one.
    pub(crate) async fn running_page(
        &self,
        target: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Outcome<Page<VnfLcmOpOccId>> {
        let found = self
            .operations_on(target, after.unwrap_or_default(), rows(limit))
            .await?;
        let currents = found
            .iter()
            .filter_map(|document| document.get_document("current").ok());
        let ids = currents.map(|current| parse("an operation occurrence", text_of(current, "id")));
        let ids = ids.collect::<Result<Vec<VnfLcmOpOccId>, Error>>()?;
        Ok(cut(ids, limit, VnfLcmOpOccId::to_string))
    }

    pub(crate) async fn targets_of_operations(&self) -> Outcome<Vec<TargetId>> {
        let mut targets = Vec::new();
        let mut after = String::new();
        while let Some(found) = self.db.first(shapes::target_with_op_occs(&after)).await? {
            let on = found.get_document("current").map(|current| text_of(current, "on"));
            on.unwrap_or_default().clone_into(&mut after);
            targets.push(parse("an operation occurrence", &after)?);
        }
        Ok(targets)
    }
}
