//! Network services without OSM: a short YAML document instead of NS, VNF and package records.
//!
//! A [`ServiceSpec`] is translated into the same wanted items and records that a deploy request of LCM carries, so planning,
//! tasks and results are the same whoever asks. The service's name is its id; its VMs belong to one VNF record.

mod check;
mod spec;

use serde::Serialize;
use serde_json::{Value, json};
use vimhost_model::{Collection, NsrId, Record, RecordId, Revision, TargetId};

use crate::plan::Plan;
use crate::wanted::{DeployRequest, digest_of};
use crate::{Engine, Error};

pub use spec::ServiceSpec;

/// A service as it is shown.
#[derive(Debug, Clone, Serialize)]
pub struct ServiceView {
    /// Its id.
    pub id: NsrId,
    /// Its name.
    pub name: String,
    /// The document it was made from, for services made here.
    pub spec: Option<ServiceSpec>,
    /// The NS record.
    pub nsr: Value,
    /// The VNF records.
    pub vnfrs: Vec<Value>,
    /// Revision of the NS record, for `If-Match`.
    pub revision: Revision,
}

/// How often replacing a document is tried while results of running tasks land in its record.
const PUT_TRIES: usize = 20;

/// The key of the NS record that holds the document.
pub const SPEC_KEY: &str = "vimhost-spec";

impl Engine {
    /// What a deploy of a document would do, also of one that nobody has kept; touches nothing.
    ///
    /// # Errors
    /// When an account it names does not exist, when a service of that id exists that was not made here, and what a deploy of it
    /// would be refused for.
    pub async fn plan_service(&self, spec: &ServiceSpec) -> Result<Plan, Error> {
        let vims = spec.networks.values().filter_map(|network| network.vim.as_ref());
        let vims = vims.chain(spec.vms.values().filter_map(|vm| vm.vim.as_ref()));
        for vim in std::iter::once(&spec.vim).chain(vims) {
            self.account(&TargetId::vim(vim.clone())).await?;
        }
        let nsr_id = spec.id()?;
        let record_id = nsr_id
            .retype()
            .map_err(|error| Error::shape("name", error.to_string()))?;
        let record = self.record(Collection::Nsrs, &record_id).await?;
        if record.is_some_and(|record| record.document.get(SPEC_KEY).is_none()) {
            return Err(not_made_here(&nsr_id));
        }
        let vnfr = Record {
            id: spec.vnf_id()?,
            document: Value::Object(spec.vnfr_document()?),
            revision: 0,
        };
        self.prepare_new(&nsr_id, (nsr_document(spec)?, vnfr), &request_of(spec)?)
            .await
    }

    /// Keeps a document: makes the service's records, or replaces the document of an existing service. Deploys nothing.
    ///
    /// # Errors
    /// As for [`Engine::plan_service`]: a document that cannot be deployed does not take the place of one that was.
    pub async fn put_service(&self, spec: &ServiceSpec) -> Result<ServiceView, Error> {
        self.plan_service(spec).await?;
        let nsr_id = spec.id()?;
        let record_id = nsr_id
            .retype()
            .map_err(|error| Error::shape("name", error.to_string()))?;
        let vnf_id = spec.vnf_id()?;
        let spec_value = document_of(spec)?;
        // Somebody's result can land in the record while its document is replaced, so replacing is repeated on what is read anew.
        for _ in 0..PUT_TRIES {
            let Some(record) = self.record(Collection::Nsrs, &record_id).await? else {
                let nsr = nsr_document(spec)?;
                let vnfr = Value::Object(spec.vnfr_document()?);
                self.store
                    .put_records(vec![
                        (Collection::Nsrs, record_id, nsr),
                        (Collection::Vnfrs, vnf_id, vnfr),
                    ])
                    .await
                    .map_err(|error| Error::of_store("writing a service", error))?;
                return self.service(&nsr_id).await;
            };
            let mut nsr = record.document;
            match nsr.as_object_mut().and_then(|map| map.get_mut(SPEC_KEY)) {
                Some(kept) => *kept = spec_value.clone(),
                None => return Err(not_made_here(&nsr_id)),
            }
            match self
                .store
                .put_record(Collection::Nsrs, &record_id, nsr, Some(record.revision))
                .await
            {
                Ok(_) => return self.service(&nsr_id).await,
                Err(vimhost_store::Error::Conflict { .. }) => {}
                Err(error) => return Err(Error::of_store("writing a service", error)),
            }
        }
        Err(Error::Unavailable {
            reason: format!("network service '{nsr_id}' is being changed; try again"),
        })
    }

    /// A service with its records.
    ///
    /// # Errors
    /// When there is none.
    pub async fn service(&self, nsr: &NsrId) -> Result<ServiceView, Error> {
        let record_id = nsr.retype().map_err(|error| Error::shape("", error.to_string()))?;
        let record = self
            .record(Collection::Nsrs, &record_id)
            .await?
            .ok_or_else(|| Error::not_found("network service", nsr))?;
        let vnfrs = self
            .store
            .vnfrs_of(nsr)
            .await
            .map_err(|error| Error::of_store("reading VNF records", error))?;
        let spec = record
            .document
            .get(SPEC_KEY)
            .and_then(|value| serde_json::from_value(value.clone()).ok());
        let name = record
            .document
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        Ok(ServiceView {
            id: nsr.clone(),
            name,
            spec,
            nsr: record.document,
            vnfrs: vnfrs.into_iter().map(|vnfr| vnfr.document).collect(),
            revision: record.revision,
        })
    }

    /// The deploy request of a service's document.
    ///
    /// # Errors
    /// When there is no such service, or it was not made here.
    pub async fn service_request(&self, nsr: &NsrId) -> Result<DeployRequest, Error> {
        let view = self.service(nsr).await?;
        let spec = view.spec.ok_or_else(|| Error::Conflict {
            reason: format!("network service '{nsr}' was not made here; deploy it as NG-RO does"),
        })?;
        request_of(&spec)
    }

    /// Removes a service's records and history. Refused while something of it may exist.
    ///
    /// # Errors
    /// When there is none, or it is not terminated.
    pub async fn remove_service(&self, nsr: &NsrId) -> Result<(), Error> {
        let view = self.service(nsr).await?;
        let resources = self
            .store
            .resources_of(nsr)
            .await
            .map_err(|error| Error::of_store("reading resources", error))?;
        let left = resources
            .iter()
            .filter(|resource| {
                let held = resource.holders().any(|holder| holder.nsr_id == *nsr);
                // What a failed deletion left is still this service's business, unless somebody else has it.
                let left = resource.may_exist() && resource.live_creates().next().is_none();
                held || left || resource.has_open_tasks()
            })
            .count();
        if left > 0 {
            return Err(Error::Conflict {
                reason: format!("network service '{nsr}' still has {left} elements; terminate it first"),
            });
        }
        self.forget(nsr).await?;
        for vnfr in view.vnfrs {
            if let Some(id) = vnfr
                .get("_id")
                .and_then(Value::as_str)
                .and_then(|id| RecordId::new(id).ok())
            {
                self.store
                    .delete_record(Collection::Vnfrs, &id)
                    .await
                    .map_err(|error| Error::of_store("removing a VNF record", error))?;
            }
        }
        let record_id = nsr.retype().map_err(|error| Error::shape("", error.to_string()))?;
        self.store
            .delete_record(Collection::Nsrs, &record_id)
            .await
            .map_err(|error| Error::of_store("removing a service record", error))?;
        Ok(())
    }
}

/// The deploy request of a document.
fn request_of(spec: &ServiceSpec) -> Result<DeployRequest, Error> {
    Ok(DeployRequest {
        action_id: None,
        digest: digest_of(&serde_json::to_value(spec).unwrap_or_default()),
        wanted: spec.wanted()?,
    })
}

/// The NS record of a new service.
fn nsr_document(spec: &ServiceSpec) -> Result<Value, Error> {
    Ok(json!({
        "_id": spec.name, "id": spec.name, "name": spec.name, "constituent-vnfr-ref": [spec.vnf_id()?],
        SPEC_KEY: document_of(spec)?,
    }))
}

fn document_of(spec: &ServiceSpec) -> Result<Value, Error> {
    serde_json::to_value(spec).map_err(|error| crate::accounts::internal("writing a service", error))
}

fn not_made_here(nsr: &NsrId) -> Error {
    Error::Conflict {
        reason: format!("network service '{nsr}' exists and was not made here; choose another name"),
    }
}
