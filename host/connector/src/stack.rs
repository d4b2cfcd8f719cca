//! Stacks (`stacks`).

use serde_json::{Map, Value};
use vimhost_model::VimId;

/// A stack by what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StackRef {
    /// Name.
    pub name: String,
    /// Id.
    pub id: Option<VimId>,
}

/// Template and parameters.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StackContent {
    /// Template text.
    pub template: Option<String>,
    /// Files the template refers to.
    pub files: Vec<(String, String)>,
    /// Parameters.
    pub parameters: Map<String, Value>,
    /// Environment document; none in an update: the stored one stays.
    pub environment: Option<Map<String, Value>>,
    /// The VIM undoes what failed; none: the VIM's default.
    pub rollback_on_failure: Option<bool>,
    /// The VIM's own time limit.
    pub timeout_minutes: Option<u32>,
}

/// A stack to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct StackRequest {
    /// Name.
    pub name: String,
    /// Content.
    pub content: StackContent,
}

/// How an update is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateMode {
    /// Given parts override.
    Partial,
    /// Everything is replaced.
    Full,
}

/// What a stack did last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StackAction {
    /// Create.
    Create,
    /// Update.
    Update,
    /// Delete.
    Delete,
    /// Roll back.
    Rollback,
    /// Anything else.
    Other,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StackProgress {
    /// Under way.
    InProgress,
    /// Done.
    Complete,
    /// Failed.
    Failed,
}

/// A stack as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackObservation {
    /// Which.
    pub stack: StackRef,
    /// Last action.
    pub action: StackAction,
    /// Progress.
    pub progress: StackProgress,
    /// The VIM's word.
    pub status_text: String,
    /// Why.
    pub reason: Option<String>,
    /// When changed last.
    pub updated: Option<String>,
}

/// Answer to one observation of stacks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObservedStacks {
    /// What changed.
    pub changed: Vec<StackObservation>,
    /// What is gone.
    pub gone: Vec<StackRef>,
    /// For the next time.
    pub cursor: Option<Vec<u8>>,
    /// Call again at once.
    pub more: bool,
}

/// One resource of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackResource {
    /// Name in the template.
    pub name: String,
    /// Type.
    pub resource_type: String,
    /// Id in the VIM.
    pub physical_id: Option<VimId>,
    /// Status word.
    pub status_text: String,
    /// Why.
    pub reason: Option<String>,
    /// Resource that holds its nested stack.
    pub parent: Option<String>,
    /// The stack it is in.
    pub stack: StackRef,
    /// Resources that need it.
    pub required_by: Vec<String>,
    /// Creation time.
    pub created: Option<String>,
}
