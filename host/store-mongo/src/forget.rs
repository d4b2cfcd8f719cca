//! Forgetting a service.
//!
//! `todo: "forget"` on the service's document decides; from then on nothing is planned for it. Then resources, headers, key pair
//! and texts go, and the document last. Each step can be done again.

use mongodb::bson::doc;
use vimhost_model::{NsrId, Resource};
use vimhost_store::{Change, Error, Fate};

use crate::db::Statement;
use crate::decisions::of_service;
use crate::fault::{Outcome, parse, to_db};
use crate::fields::text_of;
use crate::shapes;
use crate::store::Core;

/// How often a resource that is being changed is looked at again.
const TRIES: usize = 20;

/// What was forgotten.
#[derive(Debug, Default)]
pub(crate) struct Forgotten {
    pub(crate) changed: bool,
    pub(crate) hints: Vec<Change>,
}

impl Core {
    pub(crate) async fn forget(&self, nsr: &NsrId) -> Outcome<Forgotten> {
        let decision = of_service(nsr.as_str());
        let known = self.settled_service(nsr.as_str()).await?.rev > 0;
        let decide = Statement::of(shapes::idle_decision(&decision), doc! {"$set": {"todo": "forget"}});
        if known && !self.db.update(decide).await? {
            // Somebody plans for it at this moment; what is planned is forgotten with the rest.
            return Err(Error::conflict(format!("service {nsr}")).into());
        }
        let mut forgotten = self.complete_forgetting(nsr.as_str()).await?;
        forgotten.changed |= known;
        if forgotten.changed {
            forgotten.hints.push(Change::Forgotten(nsr.clone()));
        }
        Ok(forgotten)
    }

    pub(crate) async fn complete_forgetting(&self, nsr: &str) -> Outcome<Forgotten> {
        let mut forgotten = Forgotten::default();
        let mut kept = false;
        let id: NsrId = parse("a service", nsr)?;
        let documents = self.db.all(shapes::resources_of(nsr), 0).await?;
        for resource in self.resources_in(&documents).await? {
            match self.forget_resource(&id, resource).await? {
                Some(hint) => {
                    forgotten.changed = true;
                    forgotten.hints.push(hint);
                }
                None => kept = true,
            }
        }
        let headers = self.db.delete_all(shapes::headers_of(nsr)).await?;
        let pair = self.db.delete(shapes::key_pair(nsr)).await?;
        forgotten.changed |= headers > 0 || pair;
        if !kept {
            forgotten.changed |= self.drop_texts(nsr).await?;
        }
        self.db.delete(shapes::forgetting(&of_service(nsr))).await?;
        Ok(forgotten)
    }

    /// None when it stays as it is.
    async fn forget_resource(&self, nsr: &NsrId, mut resource: Resource) -> Outcome<Option<Change>> {
        let id = resource.id.clone();
        let hint = Change::Resource(resource.target.clone(), id.clone());
        for _ in 0..TRIES {
            let done = match Fate::of(&resource, nsr) {
                Fate::Stays => return Ok(None),
                Fate::Loses => {
                    resource.tasks.retain(|task| task.nsr_id != *nsr);
                    self.replace(&resource).await?
                }
                Fate::Goes => {
                    let rev = to_db(resource.revision)?;
                    self.db.delete(shapes::resource_ended(id.as_str(), rev)).await?
                }
            };
            if done {
                return Ok(Some(hint));
            }
            match self.current(id.as_str()).await? {
                Some(now) if now.tasks.iter().any(|task| task.nsr_id == *nsr) => resource = now,
                _ => return Ok(Some(hint)),
            }
        }
        Err(Error::conflict(format!("resource {id}")).into())
    }

    /// Drops the texts that only this service refers to.
    async fn drop_texts(&self, nsr: &str) -> Outcome<bool> {
        let found = self.db.all(shapes::texts_of(nsr).only(doc! {"_id": 1}), 0).await?;
        if found.is_empty() {
            return Ok(false);
        }
        let digests: Vec<_> = found
            .iter()
            .map(|document| text_of(document, "_id").to_owned())
            .collect();
        self.db
            .update_all(shapes::texts_of(nsr), doc! {"$pull": {"services": nsr}})
            .await?;
        self.db.delete_all(shapes::texts_unused(&digests)).await?;
        Ok(true)
    }
}
