//! The two traits the engine drives connectors through.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use serde::Serialize;
use utoipa::ToSchema;
use vimhost_model::{Origin, TargetId, VimAccount};

use crate::{
    Call, CreateRequest, Created, DeleteRequest, DeleteStep, Descriptor, ElementKind, Error, ErrorKind, FindRequest,
    Found, Observed, ObservedStacks, OperateRequest, Operated, OwnedPage, StackContent, StackObservation, StackRef,
    StackRequest, StackResource, Step, UpdateMode,
};
use vimhost_model::VimId;

/// Which interfaces of the contract a plugin exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, ToSchema)]
pub struct Capabilities {
    /// `infrastructure`
    pub infrastructure: bool,
    /// `operations`
    pub operations: bool,
    /// `stacks`
    pub stacks: bool,
    /// `connectivity`
    pub connectivity: bool,
}

/// An origin that `check` proposes to grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProposedOrigin {
    /// The origin.
    #[schema(value_type = String)]
    pub origin: Origin,
    /// What for.
    pub purpose: String,
}

/// Result of a check that passed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, ToSchema)]
pub struct CheckReport {
    /// Product and version.
    pub vim_version: Option<String>,
    /// Origins the operator should grant.
    pub origins: Vec<ProposedOrigin>,
    /// What will not work.
    pub warnings: Vec<String>,
}

/// A connector bound to one account: a VIM as the engine sees it.
///
/// Cheap to clone behind its `Arc`; a call that fails leaves nothing behind in it. Every method has a default that answers
/// "unsupported", which is also what a plugin without the interface answers.
#[async_trait]
pub trait Connector: Send + Sync {
    /// Tries the account. Changes nothing in the VIM.
    ///
    /// # Errors
    /// What the VIM said, or that it could not be reached.
    async fn check(&self) -> Result<CheckReport, Error>;

    /// Looks for existing elements.
    ///
    /// # Errors
    /// An empty list is an answer, not an error.
    async fn find(&self, request: FindRequest) -> Result<Vec<Found>, Error>;

    /// Makes an element.
    ///
    /// # Errors
    /// The journal then holds what may exist.
    async fn create(&self, call: Call, request: CreateRequest) -> Result<Step<Created>, Error>;

    /// Deletes an element; not existing is success.
    ///
    /// # Errors
    /// The journal then holds what may still exist.
    async fn delete(&self, call: Call, request: DeleteRequest) -> Result<DeleteStep, Error>;

    /// Observes many elements of a kind at once.
    ///
    /// # Errors
    /// Nothing is known then; it never means that something is gone.
    async fn observe(&self, kind: ElementKind, ids: &[VimId], cursor: Option<Vec<u8>>) -> Result<Observed, Error>;

    /// Performs an operation on an element.
    ///
    /// # Errors
    /// What the VIM said.
    async fn operate(&self, call: Call, request: OperateRequest) -> Result<Step<Operated>, Error>;

    /// Lists elements that carry our tokens, a page at a time.
    ///
    /// # Errors
    /// The page was not read.
    async fn list_owned(&self, kind: ElementKind, prefix: &str, cursor: Option<Vec<u8>>) -> Result<OwnedPage, Error>;

    /// Makes a stack.
    ///
    /// # Errors
    /// As for [`Connector::create`].
    async fn create_stack(&self, _call: Call, _request: StackRequest) -> Result<Step<Created>, Error> {
        Err(no_stacks())
    }

    /// Changes a stack.
    ///
    /// # Errors
    /// What the VIM said.
    async fn update_stack(
        &self,
        _call: Call,
        _stack: StackRef,
        _mode: UpdateMode,
        _content: StackContent,
    ) -> Result<Step<()>, Error> {
        Err(no_stacks())
    }

    /// Finds a stack by name.
    ///
    /// # Errors
    /// What the VIM said.
    async fn find_stack(&self, _name: &str) -> Result<Option<StackObservation>, Error> {
        Err(no_stacks())
    }

    /// Observes many stacks at once.
    ///
    /// # Errors
    /// Nothing is known then.
    async fn observe_stacks(&self, _stacks: &[StackRef], _cursor: Option<Vec<u8>>) -> Result<ObservedStacks, Error> {
        Err(no_stacks())
    }

    /// Lists resources of a stack.
    ///
    /// # Errors
    /// What the VIM said.
    async fn stack_resources(&self, _stack: &StackRef, _depth: u8) -> Result<Vec<StackResource>, Error> {
        Err(no_stacks())
    }

    /// Reads what the VIM stored for a stack.
    ///
    /// # Errors
    /// What the VIM said.
    async fn stack_content(&self, _stack: &StackRef) -> Result<StackContent, Error> {
        Err(no_stacks())
    }

    /// Marks a resource so that the next update replaces it.
    ///
    /// # Errors
    /// What the VIM said.
    async fn mark_unhealthy(
        &self,
        _call: Call,
        _stack: &StackRef,
        _resource: &str,
        _reason: &str,
    ) -> Result<Step<()>, Error> {
        Err(no_stacks())
    }

    /// Deletes a stack.
    ///
    /// # Errors
    /// What the VIM said.
    async fn delete_stack(&self, _call: Call, _stack: StackRef) -> Result<DeleteStep, Error> {
        Err(no_stacks())
    }
}

fn no_stacks() -> Error {
    Error::new(ErrorKind::Unsupported, "the plugin has no stacks interface")
}

/// Life of a plugin in the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case", tag = "state", content = "reason")]
pub enum PluginState {
    /// A file was seen.
    Discovered,
    /// It is a component, with known imports and exports.
    Verified,
    /// Machine code exists.
    Compiled,
    /// It serves calls.
    Ready,
    /// Replaced; running calls end.
    Draining,
    /// Gone.
    Retired,
    /// Cannot be used, and why.
    Failed(String),
    /// Not used for a while, and why.
    Quarantined(String),
}

/// A plugin as the host knows it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PluginInfo {
    /// File it came from.
    pub file: String,
    /// SHA-256 of the component, hexadecimal.
    pub digest: String,
    /// State.
    #[serde(flatten)]
    pub state: PluginState,
    /// Who it says it is; absent until it was asked.
    pub descriptor: Option<Descriptor>,
    /// What it exports.
    pub capabilities: Capabilities,
    /// Digest of its credential and egress rules: what an operator approves.
    pub rules_digest: Option<String>,
}

/// Why an account has no connector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// No plugin serves the type.
    #[error("no plugin serves VIM type '{vim_type}'; loaded are: {known}")]
    NoPlugin {
        /// The type asked for.
        vim_type: String,
        /// Types that are served, comma-separated.
        known: String,
    },
    /// The plugin that serves it cannot be used.
    #[error("plugin '{plugin}' for VIM type '{vim_type}' cannot be used: {reason}")]
    Unusable {
        /// The plugin.
        plugin: String,
        /// The type.
        vim_type: String,
        /// Why.
        reason: String,
    },
    /// The account does not fit the plugin.
    #[error("account does not fit plugin '{plugin}': {reason}")]
    Account {
        /// The plugin.
        plugin: String,
        /// Why.
        reason: String,
    },
}

/// Why a plugin was not taken up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InstallError {
    /// It is none, or cannot be used. What served before serves on.
    #[error("the component cannot be used: {0}")]
    Unusable(String),
    /// There is no such file.
    #[error("there is no file {0}")]
    Missing(String),
    /// The file could not be read or written.
    #[error("the plugin directory cannot be used: {0}")]
    Host(String),
    /// This host has no plugin directory.
    #[error("this host takes up no plugins while it runs")]
    NotOffered,
}

/// Makes connectors for accounts.
#[async_trait]
pub trait Connectors: Send + Sync {
    /// The connector of an account. Does not contact the VIM.
    ///
    /// # Errors
    /// When no usable plugin serves the account's type, or the account does not fit it.
    async fn open(&self, account: &VimAccount) -> Result<Arc<dyn Connector>, LoadError>;

    /// Forgets what is kept for an account: connections, cache, handles. For edited and deleted accounts.
    async fn close(&self, target: &TargetId);

    /// Until when requests may be sent for an account: the end of the lease on it, set anew at each heartbeat. By account and not
    /// by connector, so that it is in force before the first connector is opened and survives an edited account. Shortly before
    /// that time requests are refused, and at that time those that wait for an answer are broken off; such calls fail with
    /// [`ErrorKind::Timeout`]. None: no lease is in use.
    fn set_send_deadline(&self, target: &TargetId, until: Option<Instant>);

    /// The tokio runtime on which connectors are called without a change of threads, if there is one. What does little else than
    /// calling them belongs there: two changes of threads take longer than a call. Nothing else does, since guests compute there.
    fn executor(&self) -> Option<tokio::runtime::Handle> {
        None
    }

    /// Every plugin the host knows, usable or not.
    fn plugins(&self) -> Vec<PluginInfo>;

    /// Keeps a component under a name in the plugin directory and takes it up. Calls that run end on the one it replaces.
    ///
    /// # Errors
    /// When it cannot be used; the one that serves then stays.
    async fn install(&self, _name: &str, _component: Vec<u8>) -> Result<PluginInfo, InstallError> {
        Err(InstallError::NotOffered)
    }

    /// Takes up what is in the plugin directory: the file of a name, or all that are new or changed.
    ///
    /// # Errors
    /// When there is no such file, or it cannot be used.
    async fn reload(&self, _name: Option<&str>) -> Result<Vec<PluginInfo>, InstallError> {
        Err(InstallError::NotOffered)
    }
}
