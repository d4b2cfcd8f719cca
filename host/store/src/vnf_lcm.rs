//! VNF instances and their operation occurrences.

use async_trait::async_trait;
use serde_json::{Map, Value};
use vimhost_model::vnf::{LcmEvent, VnfInstance, VnfLcmOpOcc};
use vimhost_model::{Revision, TargetId, VnfInstanceId, VnfLcmOpOccId};

use crate::{Claim, Error, Page};

/// An entry of a list in two texts of JSON objects, so that what is sent as it is stored is not parsed: `head` has the attributes that every
/// list shows, `rest` those that are left out unless they are asked for (`DEFAULT_EXCLUDED`). What is vimhost's own is in neither.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Id, by which lists are ordered.
    pub id: String,
    /// An object.
    pub head: String,
    /// An object; `{}` where there is nothing. Empty when the query did not ask for it.
    pub rest: String,
}

impl Listed {
    /// The entry of a document, whole.
    #[must_use]
    pub fn of(id: impl Into<String>, document: Value, excluded: &[&str]) -> Self {
        let Split { head, rest, own: _ } = split(document, excluded);
        Self {
            id: id.into(),
            head: Value::Object(head).to_string(),
            rest: Value::Object(rest).to_string(),
        }
    }
}

/// The attribute under which stands what is vimhost's own.
const OWN: &str = "_vimhost";

/// The attributes of a document by who asks for them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Split {
    /// What every list shows.
    pub head: Map<String, Value>,
    /// What a list leaves out unless it is asked for.
    pub rest: Map<String, Value>,
    /// What is vimhost's own.
    pub own: Map<String, Value>,
}

/// Splits the serialised form of an instance or an occurrence. A value that is no object has no attributes.
#[must_use]
pub fn split(document: Value, excluded: &[&str]) -> Split {
    let mut split = Split::default();
    let Value::Object(attributes) = document else {
        return split;
    };
    for (name, value) in attributes {
        if name == OWN {
            if let Value::Object(own) = value {
                split.own = own;
            }
        } else if excluded.contains(&name.as_str()) {
            split.rest.insert(name, value);
        } else {
            split.head.insert(name, value);
        }
    }
    split
}

impl Split {
    /// The way back: the document.
    #[must_use]
    pub fn join(self) -> Value {
        let Self { mut head, rest, own } = self;
        head.extend(rest);
        head.insert(OWN.to_owned(), Value::Object(own));
        Value::Object(head)
    }
}

/// What of a list is wanted. The store finds by what it has an index for; the rest of a filter is its caller's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListQuery {
    /// Only the entry of this id.
    pub id: Option<String>,
    /// Only entries of this VNFD (instances), or of this instance (occurrences).
    pub of: Option<String>,
    /// Only entries in one of these states; empty: in any.
    pub states: Vec<String>,
    /// `rest` is wanted.
    pub whole: bool,
}

/// What an operation does to its instance, in the step that ends or begins something.
#[derive(Debug, Clone, PartialEq)]
pub enum InstanceWrite {
    /// Nothing.
    None,
    /// The instance stays as it is and is free for other operations.
    Release,
    /// The instance becomes this (`own.operation` says whether it stays locked). `own.revision` is the one it was read at.
    Replace(Box<VnfInstance>),
}

/// The part of a store that holds VNF instances and what is done to them.
///
/// An occurrence locks its instance from when it is accepted until it is over, FAILED_TEMP included. Accepting and locking are one step, so
/// are the last state and the release: nobody ever sees one without the other. Events are written with the change they tell of.
#[async_trait]
pub trait VnfLcm {
    /// Adds an instance (revision 0 becomes 1).
    ///
    /// # Errors
    /// [`Error::Conflict`] when there is one of that id.
    async fn add_vnf_instance(&self, instance: &VnfInstance, events: &[LcmEvent]) -> Result<(), Error>;

    /// An instance.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn vnf_instance(&self, id: &VnfInstanceId) -> Result<Option<VnfInstance>, Error>;

    /// Removes an instance at a revision. Its occurrences stay.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it is locked or was changed, [`Error::Missing`] when there is none.
    async fn delete_vnf_instance(
        &self,
        id: &VnfInstanceId,
        expected: Revision,
        events: &[LcmEvent],
    ) -> Result<(), Error>;

    /// Instances by id, from after `after`.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn vnf_instances(&self, query: &ListQuery, after: Option<&str>, limit: usize) -> Result<Page<Listed>, Error>;

    /// Whether any instance is of a package. Which instances are on their way to it says [`crate::vnfds_on_their_way`].
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn package_in_use(&self, package: &vimhost_model::VnfPkgId) -> Result<bool, Error>;

    /// Instances whose stack is on an account, by id, from after `after`: for audits and for the removal of accounts.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn vnf_instances_on(
        &self,
        target: &TargetId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<VnfInstance>, Error>;

    /// Accepts an operation: the occurrence (revision 0 becomes 1) is there and its instance, read at `instance_revision`, is locked by it, or
    /// nothing of that.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the instance is locked or was changed, or the occurrence's account is not there or being removed,
    /// [`Error::Missing`] when the instance is gone.
    async fn begin_operation(
        &self,
        op_occ: &VnfLcmOpOcc,
        instance_revision: Revision,
        events: &[LcmEvent],
    ) -> Result<(), Error>;

    /// An occurrence.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn op_occ(&self, id: &VnfLcmOpOccId) -> Result<Option<VnfLcmOpOcc>, Error>;

    /// Occurrences by id, from after `after`.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn op_occs(&self, query: &ListQuery, after: Option<&str>, limit: usize) -> Result<Page<Listed>, Error>;

    /// Writes an occurrence at the revision it was read at, with what becomes of its instance and the events, all or nothing. Answers the new
    /// revision. `claim`: the right to drive its account; none for an occurrence without one, and for what a client decides (retry, rollback,
    /// fail) while nothing runs.
    ///
    /// # Errors
    /// [`Error::Conflict`] at another revision, [`Error::Missing`] when it is gone, [`Error::Fenced`] when the claim is over.
    async fn save_op_occ(
        &self,
        claim: Option<&Claim>,
        op_occ: &VnfLcmOpOcc,
        instance: InstanceWrite,
        events: &[LcmEvent],
    ) -> Result<Revision, Error>;

    /// Occurrences that run (STARTING, PROCESSING, ROLLING_BACK) on an account, or without one, by id, from after `after`: what a host takes
    /// up. Their ids only, so that one that cannot be read is not in the way of others.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn running_op_occs(
        &self,
        target: Option<&TargetId>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<VnfLcmOpOccId>, Error>;

    /// Accounts on which occurrences run.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn targets_with_op_occs(&self) -> Result<Vec<TargetId>, Error>;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_is_split_without_loss_and_what_is_our_own_is_in_no_list() {
        let document = json!({
            "id": "i", "vnfdId": "d", "metadata": {"a": 1}, "extensions": {}, "_vimhost": {"revision": 3, "stack": null},
        });
        let excluded = ["metadata", "extensions", "vimConnectionInfo"];
        let parts = split(document.clone(), &excluded);
        assert_eq!(Value::Object(parts.head.clone()), json!({"id": "i", "vnfdId": "d"}));
        assert_eq!(
            Value::Object(parts.rest.clone()),
            json!({"metadata": {"a": 1}, "extensions": {}})
        );
        assert_eq!(Value::Object(parts.own.clone()), json!({"revision": 3, "stack": null}));
        let listed = Listed::of("i", document.clone(), &excluded);
        assert_eq!(listed.head, Value::Object(parts.head.clone()).to_string());
        assert_eq!(listed.rest, Value::Object(parts.rest.clone()).to_string());
        assert_eq!(parts.join(), document);
    }

    #[test]
    fn nothing_is_left_out_of_a_document_without_such_attributes() {
        let listed = Listed::of("i", json!({"id": "i"}), &["metadata"]);
        assert_eq!((listed.head.as_str(), listed.rest.as_str()), (r#"{"id":"i"}"#, "{}"));
    }
}
