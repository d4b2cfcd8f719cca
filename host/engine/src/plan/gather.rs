//! Reads what a plan is made from.

use std::collections::HashMap;

use serde_json::{Map, Value};
use vimhost_model::{ActionId, Collection, ItemList, NsrId, Record, RecordId, Resource, ResourceId, TargetId};

use super::{Comparison, Facts, Plan, plan, plan_operation};
use crate::derive::Field;
use crate::operation::Operation;
use crate::wanted::{DeployRequest, WantedItem};
use crate::{Engine, Error, removal};

/// Whether a plan can do without the record of the service.
enum NsRecord {
    Needed,
    /// The service may be new: then this document stands for its record.
    OrThis(Value),
    /// Whatever is there is to go. Nobody but us knows of it when somebody has removed the record, and a client takes the answer that
    /// there is no such service for the end of a terminate.
    MayBeGone,
}

impl Engine {
    /// Reads the facts and plans.
    pub(crate) async fn prepare(
        &self,
        nsr: &NsrId,
        action_id: &ActionId,
        request: &DeployRequest,
        comparison: Comparison,
    ) -> Result<Plan, Error> {
        let wants_nothing = request.wanted.vnfs.is_empty() && all_items(request).next().is_none();
        let record = if wants_nothing {
            NsRecord::MayBeGone
        } else {
            NsRecord::Needed
        };
        let facts = self.facts(nsr, record).await?;
        self.prepare_with(facts, action_id, request, comparison).await
    }

    /// Plans a service that may not exist yet: then these records stand for those it would have.
    pub(crate) async fn prepare_new(
        &self,
        nsr: &NsrId,
        (record, vnfr): (Value, Record),
        request: &DeployRequest,
    ) -> Result<Plan, Error> {
        let mut facts = self.facts(nsr, NsRecord::OrThis(record)).await?;
        if facts.vnfrs.is_empty() {
            facts.vnfrs.push(vnfr);
        }
        self.prepare_with(facts, &ActionId::random(), request, Comparison::Parameters)
            .await
    }

    async fn prepare_with(
        &self,
        mut facts: Facts,
        action_id: &ActionId,
        request: &DeployRequest,
        comparison: Comparison,
    ) -> Result<Plan, Error> {
        refuse_chains(&facts, request)?;
        let targets = all_items(request).flat_map(|item| item.targets.iter().map(|(target, _)| target.clone()));
        let accounts = self.check_targets(targets.collect()).await?;
        let from_request = request.wanted.vnfs.iter().filter_map(|vnf| vnf.document.get("vnfd-id"));
        self.add_descriptors(&mut facts, from_request.cloned().collect())
            .await?;
        self.add_shared(&mut facts, request).await?;
        if wants_key(request) {
            facts.public_key = Some(self.public_key(&facts.nsr_id).await?);
        }
        // Templates of a request may take seconds to fail: that is no work for the threads that serve others.
        let (wanted, action_id) = (request.wanted.clone(), action_id.clone());
        let installation = self.installation.clone();
        let planned = tokio::task::spawn_blocking(move || {
            // The id is the token its element carries in the VIM: an audit knows by the letters whose it is.
            let mut new_id = || ResourceId::ordered_with(&installation);
            plan(&facts, &wanted, &action_id, comparison, &mut new_id)
        });
        let plan = planned
            .await
            .map_err(|error| crate::accounts::internal("planning", error))??;
        Ok(Plan { accounts, ..plan })
    }

    /// Reads the facts and plans an operation.
    pub(crate) async fn prepare_operation(
        &self,
        nsr: &NsrId,
        action_id: &ActionId,
        operation: &Operation,
    ) -> Result<Plan, Error> {
        let mut facts = self.facts(nsr, NsRecord::Needed).await?;
        match operation {
            Operation::VerticalScale { .. } => self.add_descriptors(&mut facts, Vec::new()).await?,
            Operation::Recreate { cloud_init_content, .. } if !cloud_init_content.is_empty() => {
                facts.public_key = Some(self.public_key(nsr).await?);
            }
            Operation::InjectKey(injection) => {
                let seal = |password| self.seal_password(nsr, action_id, password);
                facts.sealed_password = injection.password.as_ref().map(seal).transpose()?;
            }
            Operation::Recreate { .. } | Operation::Power(..) | Operation::Console(_) | Operation::Migrate { .. } => {}
        }
        let (operation, action_id) = (operation.clone(), action_id.clone());
        let installation = self.installation.clone();
        let planned = tokio::task::spawn_blocking(move || {
            let mut new_id = || ResourceId::ordered_with(&installation);
            plan_operation(&facts, &operation, &action_id, &mut new_id)
        });
        let plan = planned
            .await
            .map_err(|error| crate::accounts::internal("planning", error))??;
        let targets = plan.resources().map(|(target, _, _)| target.clone());
        let accounts = self.check_targets(targets.collect()).await?;
        Ok(Plan { accounts, ..plan })
    }

    /// Reads what is known of a service.
    async fn facts(&self, nsr: &NsrId, needed: NsRecord) -> Result<Facts, Error> {
        let doing = "reading a network service for planning";
        let of_store = |error| Error::of_store(doing, error);
        // The revision first: whatever is committed after it makes the commit fail.
        let base = self.store.plan_base(nsr).await.map_err(of_store)?;
        let record_id: RecordId = nsr.retype().map_err(|error| Error::shape("", error.to_string()))?;
        let record = self.record(Collection::Nsrs, &record_id).await?;
        let vnfrs = self.store.vnfrs_of(nsr).await.map_err(of_store)?;
        let resources = self.store.resources_of(nsr).await.map_err(of_store)?;
        let record = match (record, needed) {
            (Some(record), _) => record,
            (None, NsRecord::OrThis(document)) => Record {
                id: record_id,
                document,
                revision: 0,
            },
            (None, NsRecord::MayBeGone) if !resources.is_empty() => {
                tracing::warn!(
                    nsr_id = %nsr,
                    "the record of a network service is gone; what was made for it is terminated without"
                );
                Record {
                    id: record_id,
                    document: Value::Object(Map::new()),
                    revision: 0,
                }
            }
            (None, NsRecord::Needed | NsRecord::MayBeGone) => return Err(Error::not_found("network service", nsr)),
        };
        Ok(Facts {
            nsr_id: nsr.clone(),
            base,
            nsr: record,
            vnfrs,
            vnfds: HashMap::new(),
            resources,
            shared: Vec::new(),
            public_key: None,
            templates: self.templates.clone(),
            sealed_password: None,
            now: self.clock.now(),
        })
    }

    /// Every account a request is about exists, and is to stay: a task for one that does not could never run. Answers each once.
    async fn check_targets(&self, mut targets: Vec<TargetId>) -> Result<Vec<TargetId>, Error> {
        targets.sort();
        targets.dedup();
        for target in &targets {
            let known = self
                .store
                .account(target)
                .await
                .map_err(|error| Error::of_store("reading an account", error))?;
            match known {
                None => return Err(Error::not_found("account", target)),
                Some(account) if account.removing => return Err(removal::in_the_way(target)),
                Some(_) => {}
            }
        }
        Ok(targets)
    }

    async fn add_descriptors(&self, facts: &mut Facts, from_request: Vec<Value>) -> Result<(), Error> {
        let from_records = facts
            .vnfrs
            .iter()
            .map(|vnfr| &vnfr.document)
            .filter_map(|document| document.get("vnfd-id"));
        let mut ids: Vec<String> = from_records
            .chain(&from_request)
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        ids.sort();
        ids.dedup();
        for id in ids {
            let Ok(record_id) = RecordId::new(id.clone()) else {
                continue;
            };
            if let Some(vnfd) = self.record(Collection::Vnfds, &record_id).await? {
                facts.vnfds.insert(id, vnfd.document);
            }
        }
        Ok(())
    }

    async fn add_shared(&self, facts: &mut Facts, request: &DeployRequest) -> Result<(), Error> {
        let wanted = &request.wanted;
        let of_ns = wanted.ns.iter().map(|(list, items)| (*list, items));
        let of_vnfs = wanted
            .vnfs
            .iter()
            .flat_map(|vnf| [(ItemList::Vld, &vnf.vld), (ItemList::Vdur, &vnf.vdur)]);
        // All that the planner would share: the store refuses to make what it finds there to be joined.
        let lists: Vec<(ItemList, &Vec<WantedItem>)> = of_ns.chain(of_vnfs).collect();
        for (list, items) in lists {
            for item in items {
                let Some(common_id) = &item.common_id else { continue };
                for (target, info) in &item.targets {
                    let kind = super::derivation::kind_of(list, target, info);
                    let shared = self
                        .store
                        .shared_resource(target, kind, common_id)
                        .await
                        .map_err(|error| Error::of_store("looking for a shared element", error))?;
                    facts.shared.extend(shared);
                }
            }
        }
        Ok(())
    }
}

/// Service function chains stand in no request of LCM: NG-RO (release 15 and later) reads them from the descriptor in the record. No VIM
/// connector makes them, and a service without its chains would look healthy. One that was deployed by somebody who knew nothing of
/// chains is not stranded: it is scaled as it is.
fn refuse_chains(facts: &Facts, request: &DeployRequest) -> Result<(), Error> {
    let chains = facts.nsr.document.pointer("/nsd/vnffgd").and_then(Value::as_array);
    let described = chains.is_some_and(|chains| !chains.is_empty());
    let is_ours = |resource: &Resource| resource.live_creates().any(|task| task.nsr_id == facts.nsr_id);
    if !described || all_items(request).next().is_none() || facts.resources.iter().any(is_ours) {
        return Ok(());
    }
    let reason = "service function chains ('vnffgd' of the descriptor) are not served: no VIM connector makes them";
    let reason = reason.to_owned();
    Err(Error::Unprocessable { reason })
}

fn all_items(request: &DeployRequest) -> impl Iterator<Item = &WantedItem> {
    let wanted = &request.wanted;
    wanted
        .ns
        .iter()
        .flat_map(|(_, items)| items)
        .chain(wanted.vnfs.iter().flat_map(|vnf| vnf.vld.iter().chain(&vnf.vdur)))
}

/// Whether a VM is to let the service's key in, by the measure of its derivation: flags of descriptors come as texts and numbers too.
fn wants_key(request: &DeployRequest) -> bool {
    request.wanted.vnfs.iter().flat_map(|vnf| &vnf.vdur).any(|vdur| {
        let item = Field::new(vdur.path.as_str(), &vdur.document);
        item.is_set("ssh-access-required").unwrap_or(false)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_is_made_whenever_the_derivation_of_a_vm_asks_for_it() {
        for (flag, wanted) in [
            (json!(true), true),
            (json!("true"), true),
            (json!("yes"), true),
            (json!(1), true),
            (json!(false), false),
            (json!("False"), false),
            (json!(0), false),
            (Value::Null, false),
        ] {
            let vdur = json!({"id": "v", "ssh-access-required": flag});
            let body = json!({"vnf": [{"_id": "1b6a4eb3-4fbf-415e-985c-4aeb3161eec0", "vdur": [{"id": "w"}, vdur]}]});
            assert_eq!(wants_key(&DeployRequest::parse(body).unwrap()), wanted, "{flag}");
        }
    }
}
