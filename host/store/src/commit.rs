//! The one write that accepts a request.

use vimhost_model::{ActionHeader, RecordChange, Resource, ResourceId, Revision, TargetId, Task};

/// SHA-256 of a large text, hexadecimal. Large texts (user data, templates) are kept once and referred to by digest, so that a
/// resource document stays small.
pub type TextDigest = String;

/// More tasks for a resource that exists.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceUpdate {
    /// The resource.
    pub resource: ResourceId,
    /// The revision the decision was made on.
    pub expected: Revision,
    /// Tasks to append.
    pub tasks: Vec<Task>,
    /// Elements it uses from now on, beside those it used.
    pub uses: Vec<ResourceId>,
}

/// A planned action, to be accepted as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionCommit {
    /// The header.
    pub header: ActionHeader,
    /// Planning revision of the service that the plan was made on ([`crate::Store::plan_base`]); serialises planning.
    pub service_revision: Revision,
    /// The life of the service that the plan was made in: in another one it is refused. None: whichever it is in.
    pub service_life: Option<String>,
    /// Accounts the plan has found there. Where one is gone or being removed by now, the commit is refused.
    pub accounts: Vec<TargetId>,
    /// New resources, with their tasks and the journal entries they take over from an element before them, numbered from 1.
    pub new_resources: Vec<Resource>,
    /// Tasks for resources that exist.
    pub updates: Vec<ResourceUpdate>,
    /// Changes to the service's records.
    pub record_changes: Vec<RecordChange>,
    /// Large texts the tasks refer to.
    pub texts: Vec<(TextDigest, String)>,
}

/// What a plan of a service stands on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlanBase {
    /// Planning revision ([`crate::Store::service_revision`]).
    pub revision: Revision,
    /// Tells the service from one of the same id that was forgotten, whose revisions began at 0 as well. None before the first action,
    /// and from a store that does not tell.
    pub life: Option<String>,
}

/// What became of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// The action is on disk and its tasks may run.
    Accepted,
    /// The service has an action of that id already; its header. Nothing was changed.
    Exists(ActionHeader),
}
