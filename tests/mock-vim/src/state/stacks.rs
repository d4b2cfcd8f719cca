//! Stacks: what a client asked for as a whole, and what is in it.
//!
//! ```text
//! CREATE_IN_PROGRESS ─► CREATE_COMPLETE │ CREATE_FAILED │ ROLLBACK_COMPLETE
//! anything but DELETE_… ─update─► UPDATE_IN_PROGRESS ─► UPDATE_COMPLETE │ UPDATE_FAILED │ ROLLBACK_COMPLETE
//! anything but DELETE_COMPLETE ─delete─► DELETE_IN_PROGRESS ─► DELETE_COMPLETE ─► purged │ DELETE_FAILED
//! ```
//!
//! An update while another one is under way takes over, as Heat's convergence engine has it. A stack that failed to be
//! deleted can be deleted again and not updated. Resources are the new ones from the moment of the request; those that
//! are being made say so.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use vimhost_hot::{Change, Content, Resource, StackName};

use super::table::Table;
use super::{Collection, Naming, State};
use crate::call::{Kind, Operation};
use crate::clock::UnixMillis;
use crate::elements::{Stack, StackPending, StackStatus};
use crate::faults::Armed;
use crate::refusal::Refusal;

/// How many deleted stacks are still shown by their ids.
const DELETED_SHOWN: usize = 1000;

/// What a stack is made from, and what is in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Blueprint {
    content: Content,
    expanded: vimhost_hot::Stack,
    /// The serial number before what is under way: what is newer is being made.
    since: u64,
    /// Both as they were, to come back to.
    before: Option<(Content, vimhost_hot::Stack)>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewStack {
    name: String,
    token: Option<String>,
    #[serde(default)]
    metadata: Value,
    template: String,
    #[serde(default)]
    files: BTreeMap<String, String>,
    #[serde(default)]
    parameters: Map<String, Value>,
    environment: Option<Map<String, Value>>,
    rollback_on_failure: Option<bool>,
    timeout_minutes: Option<u32>,
}

/// The body of an update.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EditStack {
    operation: Option<String>,
    template: Option<String>,
    #[serde(default)]
    files: BTreeMap<String, String>,
    #[serde(default)]
    parameters: Map<String, Value>,
    environment: Option<Map<String, Value>>,
    rollback_on_failure: Option<bool>,
    timeout_minutes: Option<u32>,
}

/// How an update treats what it does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It stays.
    Partial,
    /// It goes.
    Full,
}

/// How far a deletion is when it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deletion {
    /// Over.
    Done,
    /// Begun.
    Begun,
}

/// The content, as it is shown.
#[derive(Debug, Serialize)]
pub(crate) struct ShownContent {
    #[serde(flatten)]
    content: Content,
    rollback_on_failure: Option<bool>,
    timeout_minutes: Option<u32>,
}

impl State {
    /// A stack by its id, also when it is deleted; or one that exists, by its name.
    pub(crate) fn stack(&self, id_or_name: &str) -> Result<&Arc<Stack>, Refusal> {
        let deleted = || {
            self.deleted_stacks
                .iter()
                .rev()
                .find(|stack| stack.meta.id == id_or_name)
        };
        let named = || self.stacks.named(id_or_name).find(|stack| stack.exists());
        let found = self.stacks.get(id_or_name).or_else(named).or_else(deleted);
        found.ok_or_else(|| no_stack(id_or_name))
    }

    /// One that exists, by id or name.
    fn existing(&self, id_or_name: &str) -> Result<&Arc<Stack>, Refusal> {
        let found = self.stack(id_or_name)?;
        if found.exists() {
            Ok(found)
        } else {
            Err(no_stack(id_or_name))
        }
    }

    /// Template, files, parameters and environment of a stack that exists.
    pub(crate) fn stack_content(&self, id: &str) -> Result<ShownContent, Refusal> {
        let stack = self.existing(id)?;
        let blueprint = self.blueprints.get(&stack.meta.id).ok_or_else(|| no_stack(id))?;
        Ok(ShownContent {
            content: blueprint.content.clone(),
            rollback_on_failure: stack.rollback_on_failure,
            timeout_minutes: stack.timeout_minutes,
        })
    }

    /// Resources of a stack, or of one nested in it by its id.
    pub(crate) fn resources_of(&self, id: &str, depth: u8) -> Result<Vec<Resource>, Refusal> {
        let id = self.existing(id).map_or(id, |stack| stack.meta.id.as_str());
        let mut blueprints = self.blueprints.values();
        let found = blueprints.find_map(|blueprint| blueprint.expanded.resources_of(id, depth));
        found
            .map(|found| found.into_iter().cloned().collect())
            .ok_or_else(|| no_stack(id))
    }

    /// All resources of all stacks, by the stack's id.
    pub(crate) fn stack_resources(&self) -> BTreeMap<String, Vec<Resource>> {
        let all = self.blueprints.iter();
        all.map(|(id, blueprint)| (id.clone(), blueprint.expanded.resources().to_vec()))
            .collect()
    }

    /// Lets the next update replace a resource of a stack or of a nested one, which is named by its id.
    pub(crate) fn mark_unhealthy(&mut self, id: &str, resource: &str, reason: &str) -> Result<(), Refusal> {
        let wanted = self.existing(id).map_or(id, |stack| stack.meta.id.as_str()).to_owned();
        let holder = self
            .blueprints
            .iter()
            .find(|(_, blueprint)| blueprint.expanded.resources_of(&wanted, 0).is_some());
        let holder = holder.map(|(holder, _)| holder.clone()).ok_or_else(|| no_stack(id))?;
        let stack = self.existing(&holder)?;
        if stack.status.is_in_progress() {
            return Err(Refusal::Conflict(format!(
                "the resources of stack {} are locked while it is {}",
                stack.meta.name,
                stack.status.as_str()
            )));
        }
        if let Some(blueprint) = self.blueprints.get_mut(&holder) {
            Arc::make_mut(blueprint)
                .expanded
                .mark_unhealthy(&wanted, resource, reason)
                .map_err(|_| Refusal::NotFound {
                    kind: Kind::Stacks,
                    id: format!("{id} resource {resource}"),
                })?;
        }
        // A mark changes no element and is in the state file all the same.
        self.revision += 1;
        Ok(())
    }

    /// Begins an update.
    pub(crate) fn edit_stack(
        &mut self,
        id: &str,
        edit: EditStack,
        mode: Mode,
        faults: &mut Armed,
        now: UnixMillis,
    ) -> Result<Arc<Stack>, Refusal> {
        let stack = Arc::clone(self.existing(id)?);
        if matches!(stack.status, StackStatus::DeleteInProgress | StackStatus::DeleteFailed) {
            return Err(Refusal::Conflict(format!(
                "stack {} cannot be updated while it is {}",
                stack.meta.name,
                stack.status.as_str()
            )));
        }
        let old = self
            .blueprints
            .get(&stack.meta.id)
            .cloned()
            .ok_or_else(|| no_stack(id))?;
        let change = Change {
            template: edit.template,
            files: edit.files,
            parameters: edit.parameters,
            environment: edit.environment,
        };
        let content = match mode {
            Mode::Partial => old.content.patched(change),
            Mode::Full => change
                .full()
                .ok_or_else(|| Refusal::BadRequest("No template specified".to_owned()))?,
        };
        let mut expanded = old.expanded.update(&content, now.0).map_err(refused)?;
        let since = old.expanded.serial();
        expanded.making(since);
        let blueprint = Blueprint {
            content,
            expanded,
            since,
            before: Some((old.content.clone(), old.expanded.clone())),
        };
        self.blueprints.insert(stack.meta.id.clone(), Arc::new(blueprint));
        let pending = StackPending {
            due: now.plus_millis(faults.script().stack_delay_ms),
            failure: faults.stack_fault(&stack.meta.name, Operation::Update),
            purge_delay_ms: 0,
        };
        let (operation, rollback, timeout) = (edit.operation, edit.rollback_on_failure, edit.timeout_minutes);
        let begun = self.begin_stack(&stack, StackStatus::UpdateInProgress, pending, now, |stack| {
            stack.operation = operation;
            stack.rollback_on_failure = rollback.or(stack.rollback_on_failure);
            stack.timeout_minutes = timeout.or(stack.timeout_minutes);
        });
        Ok(begun.unwrap_or(stack))
    }

    /// Begins a deletion, and ends it when it takes no time.
    pub(crate) fn delete_stack(&mut self, id: &str, faults: &mut Armed, now: UnixMillis) -> Result<Deletion, Refusal> {
        let stack = Arc::clone(self.existing(id)?);
        if stack.status == StackStatus::DeleteInProgress {
            return Ok(Deletion::Begun);
        }
        let (delay, purge_delay_ms) = (
            faults.script().stack_delete_delay_ms,
            faults.script().stack_purge_delay_ms,
        );
        let pending = StackPending {
            due: now.plus_millis(delay),
            failure: faults.stack_fault(&stack.meta.name, Operation::Delete),
            purge_delay_ms,
        };
        let fails = pending.failure.is_some();
        self.begin_stack(&stack, StackStatus::DeleteInProgress, pending, now, |_| {});
        if delay > 0 || fails {
            return Ok(Deletion::Begun);
        }
        self.advance(now);
        Ok(Deletion::Done)
    }

    /// Ends what stacks are in the middle of, now and not at the time that it was due: a stack tells when it was changed.
    pub(crate) fn end_stacks(&mut self, now: UnixMillis) {
        let all = self.stacks.iter();
        let busy: Vec<Arc<Stack>> = all.filter(|stack| stack.status.is_in_progress()).cloned().collect();
        for stack in busy {
            if let Some(pending) = stack.pending.clone() {
                self.finish_stack(&stack, StackPending { due: now, ..pending });
            }
        }
        // A deleted one is purged in its turn.
        self.advance(now);
    }

    fn begin_stack(
        &mut self,
        stack: &Stack,
        status: StackStatus,
        pending: StackPending,
        now: UnixMillis,
        change: impl FnOnce(&mut Stack),
    ) -> Option<Arc<Stack>> {
        self.due.insert((pending.due, stack.meta.number));
        self.update::<Stack>(&stack.meta.id, |stack| {
            stack.status = status;
            stack.reason = None;
            // Later than the last one, however quickly it came: it tells an old end from a new one.
            let earliest = stack.updated_at.map_or(now, |before| before.plus_millis(1));
            stack.updated_at = Some(now.max(earliest));
            stack.pending = Some(pending);
            change(stack);
        })
    }

    /// Ends what a stack was in the middle of.
    pub(super) fn finish_stack(&mut self, stack: &Stack, pending: StackPending) {
        let id = stack.meta.id.as_str();
        let rolled_back = pending.failure.is_some() && stack.rollback_on_failure == Some(true);
        let status = match (stack.status, &pending.failure) {
            (StackStatus::CreateInProgress, None) => StackStatus::CreateComplete,
            (StackStatus::UpdateInProgress, None) => StackStatus::UpdateComplete,
            (StackStatus::CreateInProgress | StackStatus::UpdateInProgress, Some(_)) if rolled_back => {
                StackStatus::RollbackComplete
            }
            (StackStatus::CreateInProgress, Some(_)) => StackStatus::CreateFailed,
            (StackStatus::UpdateInProgress, Some(_)) => StackStatus::UpdateFailed,
            (StackStatus::DeleteInProgress, Some(_)) => StackStatus::DeleteFailed,
            (StackStatus::DeleteInProgress, None) => {
                self.bury(stack, &pending);
                return;
            }
            (StackStatus::DeleteComplete, _) => {
                let _ = self.remove::<Stack>(id);
                return;
            }
            (
                StackStatus::CreateComplete
                | StackStatus::CreateFailed
                | StackStatus::UpdateComplete
                | StackStatus::UpdateFailed
                | StackStatus::DeleteFailed
                | StackStatus::RollbackComplete,
                _,
            ) => stack.status,
        };
        if let Some(blueprint) = self.blueprints.get_mut(id) {
            let blueprint = Arc::make_mut(blueprint);
            blueprint.end(status, pending.failure.as_deref());
        }
        let reason = pending.failure.map(|message| {
            let action = stack.status.as_str().split('_').next().unwrap_or_default();
            format!("Resource {action} failed: ResourceInError: {message}")
        });
        self.update::<Stack>(id, |stack| {
            stack.status = status;
            stack.reason = reason;
            stack.pending = None;
        });
    }

    /// The stack is gone: it is shown by its id, and its name is taken until it is purged.
    fn bury(&mut self, stack: &Stack, pending: &StackPending) {
        let id = &stack.meta.id;
        self.blueprints.remove(id);
        let purge = pending.due.plus_millis(pending.purge_delay_ms);
        let buried = self.update::<Stack>(id, |stack| {
            stack.status = StackStatus::DeleteComplete;
            stack.pending = Some(StackPending {
                due: purge,
                failure: None,
                purge_delay_ms: 0,
            });
        });
        if let Some(buried) = buried {
            if self.deleted_stacks.len() >= DELETED_SHOWN {
                self.deleted_stacks.pop_front();
            }
            self.due.insert((purge, buried.meta.number));
            let mut shown = Stack::clone(&buried);
            shown.pending = None;
            self.deleted_stacks.push_back(Arc::new(shown));
        }
    }
}

impl Stack {
    fn exists(&self) -> bool {
        self.status != StackStatus::DeleteComplete
    }
}

impl Blueprint {
    fn end(&mut self, status: StackStatus, failure: Option<&str>) {
        let before = self.before.take();
        match status {
            StackStatus::RollbackComplete => {
                // A creation that is undone leaves the stack with nothing in it.
                if let Some((content, expanded)) = before {
                    (self.content, self.expanded) = (content, expanded);
                }
            }
            StackStatus::CreateFailed | StackStatus::UpdateFailed => {
                self.expanded.failed(self.since, failure.unwrap_or_default());
            }
            StackStatus::CreateComplete | StackStatus::UpdateComplete => self.expanded.made(self.since),
            StackStatus::CreateInProgress
            | StackStatus::UpdateInProgress
            | StackStatus::DeleteInProgress
            | StackStatus::DeleteComplete
            | StackStatus::DeleteFailed => {}
        }
    }
}

fn no_stack(id: &str) -> Refusal {
    Refusal::NotFound {
        kind: Kind::Stacks,
        id: id.to_owned(),
    }
}

fn refused(error: vimhost_hot::Error) -> Refusal {
    Refusal::BadRequest(error.to_string())
}

impl Collection for Stack {
    type New = NewStack;

    fn create(state: &mut State, new: NewStack, faults: &mut Armed, now: UnixMillis) -> Result<Arc<Self>, Refusal> {
        state.admit::<Self>(faults)?;
        // Of those not purged, whatever their state.
        if state.stacks.named(&new.name).next().is_some() {
            return Err(Refusal::Conflict(format!("The Stack ({}) already exists.", new.name)));
        }
        let content = Content {
            template: new.template,
            files: new.files,
            parameters: new.parameters,
            environment: new.environment.unwrap_or_default(),
        };
        let meta = state.meta(
            Naming {
                name: new.name,
                token: new.token,
                metadata: new.metadata,
            },
            now,
        );
        let name = StackName {
            name: meta.name.clone(),
            id: meta.id.clone(),
        };
        let empty = Content {
            template: "heat_template_version: 2013-05-23\n".to_owned(),
            ..Content::default()
        };
        let nothing = vimhost_hot::Stack::create(name.clone(), &empty, now.0).map_err(refused)?;
        let mut expanded = vimhost_hot::Stack::create(name, &content, now.0).map_err(refused)?;
        expanded.making(0);
        let due = now.plus_millis(faults.script().stack_delay_ms);
        let pending = StackPending {
            due,
            failure: faults.stack_fault(&meta.name, Operation::Create),
            purge_delay_ms: 0,
        };
        let blueprint = Blueprint {
            before: Some((content.clone(), nothing)),
            content,
            expanded,
            since: 0,
        };
        state.due.insert((due, meta.number));
        state.blueprints.insert(meta.id.clone(), Arc::new(blueprint));
        Ok(state.stacks.insert(Self {
            meta,
            status: StackStatus::CreateInProgress,
            reason: None,
            updated_at: None,
            operation: None,
            rollback_on_failure: new.rollback_on_failure,
            timeout_minutes: new.timeout_minutes,
            pending: Some(pending),
        }))
    }

    /// At once and without a trace; clients come by [`State::delete_stack`].
    fn delete(state: &mut State, id: &str) -> Result<(), Refusal> {
        state.blueprints.remove(id);
        state.remove::<Self>(id).map(drop)
    }

    fn table(state: &State) -> &Table<Self> {
        &state.stacks
    }

    fn table_mut(state: &mut State) -> &mut Table<Self> {
        &mut state.stacks
    }
}
