//! What is kept of an operation's plan and progress (`own.work`), and of an instance's stack (`own.stack`).
//!
//! The form is the engine's alone. It is typed and versioned by its words: a host that is older than what it reads leaves the operation as
//! it is and says so.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use vimhost_connector::{StackContent, StackRef};
use vimhost_model::vnf::{ExtManagedVirtualLinkData, ExtVirtualLinkData, UserDataScript};
use vimhost_model::{JournalEntry, JournalStatus, TargetId, Timestamp, VimId, VnfLcmOpOccId};

use super::journal::STACK;

/// What a stack is made of. Without a template the VIM keeps the one it has.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Content {
    /// Template text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Nested files by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// Parameters.
    #[serde(default)]
    pub parameters: Map<String, Value>,
}

impl Content {
    /// The form connectors take.
    pub(crate) fn to_stack(&self, rollback_on_failure: Option<bool>, timeout_minutes: u32) -> StackContent {
        let files = self.files.iter();
        StackContent {
            template: self.template.clone(),
            files: files.map(|(name, text)| (name.clone(), text.clone())).collect(),
            parameters: self.parameters.clone(),
            environment: None,
            rollback_on_failure,
            timeout_minutes: Some(timeout_minutes),
        }
    }
}

/// What a MODIFY_INFO does beside what its request says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Moved {
    /// The account that the stack is driven with afterwards.
    pub target: TargetId,
}

/// One thing to be done. The steps of a plan are done in order, each at most once as far as the VIM shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(crate) enum Step {
    /// Waits; of a graceful termination.
    Pause {
        /// How long.
        seconds: u32,
    },
    /// Has the next update replace or drop a resource.
    Mark {
        /// Name of the (nested) stack.
        stack: String,
        /// Its id.
        #[serde(default)]
        stack_id: Option<VimId>,
        /// Name of the resource in it.
        resource: String,
        /// Why.
        reason: String,
    },
    /// Marks members of groups that are not among those named: what a scale out has made.
    MarkNew {
        /// Physical ids of the members that stay.
        known: BTreeSet<String>,
    },
    /// Makes the stack.
    Create {
        /// Of this.
        content: Content,
    },
    /// Changes the stack.
    Update {
        /// To this.
        content: Content,
    },
    /// Deletes the stack.
    Delete,
    /// Reads what there is.
    Resources,
}

/// How far the step at hand is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "kebab-case")]
pub(crate) enum Phase {
    /// The call is to be made, again if it was made before.
    Begin,
    /// Nothing before that time.
    Resting {
        /// Then.
        until: Timestamp,
    },
    /// The VIM works on it.
    Waiting {
        /// Given up then.
        deadline: Timestamp,
    },
}

/// The stack as the operation knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StackNow {
    /// Name.
    pub name: String,
    /// Id, on disk right after the VIM's answer.
    #[serde(default)]
    pub id: Option<VimId>,
    /// Token it carries.
    pub token: String,
    /// How many stacks of this token's operation came before.
    #[serde(default)]
    pub generation: u32,
}

impl StackNow {
    /// How it is addressed.
    pub(crate) fn reference(&self) -> StackRef {
        StackRef {
            name: self.name.clone(),
            id: self.id.clone(),
        }
    }
}

/// The token of a stack that an operation makes: of the form that audits know.
pub(crate) fn stack_token(installation: &str, op_occ: &VnfLcmOpOccId, generation: u32) -> String {
    match generation {
        0 => format!("{installation}-{op_occ}"),
        more => format!("{installation}-{op_occ}-g{more}"),
    }
}

/// What an operation was to do before it was undone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Forward {
    /// [`Work::steps`]
    pub steps: Vec<Step>,
    /// [`Work::recreate`]
    #[serde(default)]
    pub recreate: Option<Content>,
}

/// A plan and its progress.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Work {
    /// What is to be done.
    pub steps: Vec<Step>,
    /// Index of the step at hand.
    #[serde(default)]
    pub at: usize,
    /// How far it is.
    pub phase: Phase,
    /// The stack.
    pub stack: StackNow,
    /// Its name was looked up in this step.
    #[serde(default)]
    pub looked_up: bool,
    /// A stack that is gone is made anew of this: only where the operation was to make it.
    #[serde(default)]
    pub recreate: Option<Content>,
    /// What the instance's record of its stack becomes.
    pub after: Kept,
    /// Steps that undo it; none: it cannot be undone.
    #[serde(default)]
    pub undo: Option<Vec<Step>>,
    /// While it is undone: the way forward, for a retry when undoing failed.
    #[serde(default)]
    pub forward: Option<Forward>,
    /// Failed tries of the call at hand.
    #[serde(default)]
    pub failed: u32,
    /// Why the step at hand has failed at the VIM, which undoes it by itself and shows something else when that is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What the connector left for its next call.
    #[serde(default)]
    pub state: Option<Vec<u8>>,
    /// What calls have announced.
    #[serde(default)]
    pub journal: Vec<JournalEntry>,
    /// Number of the last entry.
    #[serde(default)]
    pub last_entry: u64,
}

impl Work {
    /// A plan at its beginning.
    pub(crate) fn new(steps: Vec<Step>, stack: StackNow, after: Kept) -> Self {
        Self {
            steps,
            at: 0,
            phase: Phase::Begin,
            stack,
            looked_up: false,
            recreate: None,
            after,
            undo: None,
            forward: None,
            failed: 0,
            cause: None,
            state: None,
            journal: Vec::new(),
            last_entry: 0,
        }
    }

    /// The step at hand; none when all are done.
    pub(crate) fn step(&self) -> Option<&Step> {
        self.steps.get(self.at)
    }

    /// Whether there is a stack, or may be one: of a creation whose answer was lost only the journal tells.
    pub(crate) fn may_have_stack(&self) -> bool {
        self.stack.id.is_some() || self.journal.iter().any(|entry| entry.kind == STACK)
    }

    /// Creations whose answer was never seen: what they were to make may still appear.
    pub(crate) fn begun(&self) -> Vec<JournalEntry> {
        let begun = |entry: &&JournalEntry| entry.kind == STACK && entry.status == JournalStatus::Begun;
        self.journal.iter().filter(begun).cloned().collect()
    }

    /// Takes over what an operation had begun that was given up: so its deletion waits until nothing of it can appear any more.
    pub(crate) fn take_over(&mut self, begun: Vec<JournalEntry>) {
        self.last_entry = begun.iter().map(|entry| entry.id).max().unwrap_or_default();
        self.journal = begun;
    }

    /// The step at hand is done.
    pub(crate) fn advance(&mut self) {
        self.at = self.at.saturating_add(1);
        self.restart();
    }

    /// The step at hand is begun anew, with nothing of earlier tries.
    pub(crate) fn restart(&mut self) {
        self.phase = Phase::Begin;
        self.looked_up = false;
        self.failed = 0;
        self.cause = None;
        self.state = None;
    }
}

/// What is kept of an instance's stack beside SOL003's attributes, so that nothing has to be read back from the VIM.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub(crate) struct Kept {
    /// Id of the stack, while there is one.
    #[serde(default)]
    pub id: Option<VimId>,
    /// Token it carries.
    #[serde(default)]
    pub token: String,
    /// [`Work::begun`] of an operation that was given up; empty once the stack's id is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub begun: Vec<JournalEntry>,
    /// Flavour it was made of.
    #[serde(default)]
    pub flavour: String,
    /// Base template of the flavour.
    #[serde(default)]
    pub template: String,
    /// Nested files.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// How the template is used.
    #[serde(default)]
    pub script: Script,
    /// How many members each VDU has; with [`Script::Standard`] their numbers.
    #[serde(default)]
    pub members: BTreeMap<String, Vec<u32>>,
    /// The parameter `nfv` as sent last.
    #[serde(default)]
    pub nfv: Map<String, Value>,
    /// What clients merged over it.
    #[serde(default)]
    pub nfv_of_client: Value,
    /// Level by aspect.
    #[serde(default)]
    pub levels: BTreeMap<String, u32>,
    /// External networks.
    #[serde(default)]
    pub ext_links: Vec<ExtVirtualLinkData>,
    /// Internal networks that the client provides.
    #[serde(default)]
    pub ext_managed: Vec<ExtManagedVirtualLinkData>,
}

/// Which of the two stock scripts makes parameters and template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Script {
    /// Groups with `desired_capacity`.
    #[default]
    Default,
    /// A resource for each VM.
    Standard,
}

impl Script {
    /// The script of a package; none for one that is not built in.
    pub(crate) fn of(script: UserDataScript) -> Option<Self> {
        match script {
            UserDataScript::Default => Some(Self::Default),
            UserDataScript::Standard => Some(Self::Standard),
            UserDataScript::Unknown => None,
        }
    }

    /// The class that requests name it by.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Default => "DefaultUserData",
            Self::Standard => "StandardUserData",
        }
    }
}

impl Kept {
    /// Whether there is or may be a stack. Of an instance that is not instantiated it is what an operation left that was given up.
    pub(crate) fn may_have_stack(&self) -> bool {
        self.id.is_some() || !self.token.is_empty()
    }

    /// As it is kept with an instance; null where there is none.
    pub(crate) fn read(value: &Value) -> Result<Self, serde_json::Error> {
        if value.is_null() {
            return Ok(Self::default());
        }
        Self::deserialize(value)
    }
}
