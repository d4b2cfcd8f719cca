//! What is to be done next with a resource.

use std::collections::HashMap;

use serde_json::Value;
use vimhost_connector::{DeleteRequest, ElementKind};
use vimhost_model::{IllegalMove, Item, ResourceId, Task, TaskAction, TaskStatus, Until, VimId, VimStatus};

use super::ports::{Location, Port};
use super::standing::{Creation, Deletion};
use super::{Effect, Machine, Request, inject, record, request, service};
use crate::retry;

/// Why a task that was cancelled has failed. NG-RO has no state of its own for it, and its clients know only these.
pub(crate) const CANCELLED: &str = "cancelled by request";

/// What a task's dependencies allow.
enum Ready {
    /// All there.
    Yes(Needed),
    /// Not yet.
    Wait(Vec<ResourceId>),
    /// Never, and why.
    Never(String),
}

/// Whether it is a task's turn.
enum Turn {
    /// It is.
    Now(Needed),
    /// It has the floor, and waits.
    Later,
    /// It never comes: the task has failed.
    Never,
}

/// What a task needs of other elements.
#[derive(Default)]
struct Needed {
    /// Their ids by reference.
    ids: HashMap<String, VimId>,
    /// Interfaces of VMs that it joins.
    ports: Vec<Port>,
}

impl Machine<'_> {
    /// Decides what is next: at most one call, or what is waited for.
    pub(super) fn look(&mut self) -> Result<(), IllegalMove> {
        self.give_up_what_is_cancelled()?;
        let _floor = self.look_at_deletions()? || self.look_at_creations()? || self.look_at_commands()?;
        // Whoever has the floor: an element that is to be observed is, after a restart too.
        if self.resource.observe_at.is_some() {
            self.effects.push(Effect::Observe);
        }
        Ok(())
    }

    /// Gives up the tasks that somebody has cancelled and that have not begun; the others go on. A look comes between two calls, so
    /// none is under way now. What has an element or has announced one has begun, and so has a deletion or a command that was tried.
    fn give_up_what_is_cancelled(&mut self) -> Result<(), IllegalMove> {
        let announced = self.resource.has_announced();
        for index in 0..self.resource.tasks.len() {
            let Some(task) = self.resource.tasks.get_mut(index).filter(|task| task.cancel_asked) else {
                continue;
            };
            task.cancel_asked = false;
            let begun = match task.action {
                TaskAction::Create => self.resource.vim.vim_id.is_none() && announced,
                TaskAction::Update | TaskAction::Delete | TaskAction::Exec => task.accepted || task.attempt > 0,
            };
            if task.status != TaskStatus::Scheduled || begun {
                continue;
            }
            // The record of a VM that was to be made anew speaks of the one before it.
            let of_nobody_else = self.resource.vim.vim_id.is_none() && !is_made_anew(task);
            if of_nobody_else {
                self.fail(index, CANCELLED.to_owned())?;
            } else if let Some(task) = self.resource.tasks.get_mut(index) {
                // The element is as it was, for whoever else holds it too.
                task.move_to(TaskStatus::Failed)?;
                task.message = Some(CANCELLED.to_owned());
                task.not_before = None;
                inject::forget_password(task);
            }
        }
        Ok(())
    }

    /// True when a deletion has the floor.
    fn look_at_deletions(&mut self) -> Result<bool, IllegalMove> {
        while let Some(index) = self.first_open(TaskAction::Delete) {
            self.end_creations_before(index)?;
            let held = self.resource.live_creates().next().is_some();
            if !held && self.is_to_be_kept() {
                // From here on it is as if somebody else had made it.
                self.resource.vim.created = false;
                self.resource.journal.clear();
            }
            if held || !self.resource.may_exist() {
                self.supersede(index, held)?;
                continue;
            }
            match self.turn(index)? {
                Turn::Now(_) => {}
                Turn::Later => return Ok(true),
                Turn::Never => continue,
            }
            self.give_up_sight(index);
            let hold = self
                .resource
                .tasks
                .get(index)
                .map(request::held_volumes)
                .unwrap_or_default();
            let Some(kind) = ElementKind::of_item(self.resource.item) else {
                self.fail(index, format!("item '{}' cannot be deleted", self.resource.item))?;
                continue;
            };
            let request = DeleteRequest {
                kind,
                id: self.resource.vim.vim_id.clone(),
                hold,
            };
            self.call(index, Request::Delete(request));
            return Ok(true);
        }
        Ok(false)
    }

    /// True when a creation has the floor.
    fn look_at_creations(&mut self) -> Result<bool, IllegalMove> {
        loop {
            let next = self.resource.tasks.iter().position(|task| {
                task.action == TaskAction::Create
                    && (task.status == TaskStatus::Scheduled
                        || (task.status == TaskStatus::Build && self.resource.vim.vim_id.is_none()))
            });
            let Some(index) = next else { return Ok(false) };
            if self.share_with_another(index)? {
                continue;
            }
            let needed = match self.turn(index)? {
                Turn::Now(needed) => needed,
                Turn::Later => return Ok(true),
                Turn::Never => continue,
            };
            let Some(mut task) = self.resource.tasks.get(index).cloned() else {
                return Ok(false);
            };
            if let Some(params) = &mut task.params {
                crate::plan::put_texts_back(params, self.around.texts);
            }
            if task
                .params
                .as_ref()
                .is_some_and(|params| !crate::plan::text_digests(params).is_empty())
            {
                // A VM without its user data would look healthy and be of no use.
                self.fail(
                    index,
                    "a large text of its parameters is missing in the store".to_owned(),
                )?;
                continue;
            }
            if task.item == Item::SdnNet {
                if self.look_at_service(index, &task, &needed.ports)? {
                    return Ok(true);
                }
                continue;
            }
            if let Some(given) = request::given(&task) {
                self.use_found(index, given)?;
                continue;
            }
            // What an earlier try began is found by its token, not by a search for somebody else's element.
            let searching =
                request::is_searched(&task) && self.resource.journal.is_empty() && task.status == TaskStatus::Scheduled;
            let request = if searching {
                request::find(&task, self.around.config).map(Request::Find)
            } else {
                request::create(&task, self.around.config, &needed.ids).map(Request::Create)
            };
            match request {
                Ok(request) => {
                    self.call(index, request);
                    return Ok(true);
                }
                Err(message) => self.fail(index, message)?,
            }
        }
    }

    /// True when a command has the floor. Commands of one element come one after the other, in the order they were asked for.
    fn look_at_commands(&mut self) -> Result<bool, IllegalMove> {
        while let Some(index) = self.next_command() {
            let of_an_element = ElementKind::of_item(self.resource.item).is_some();
            if of_an_element && self.resource.live_creates().next().is_none() {
                let what = if self.resource.item == Item::Vdu {
                    "VM"
                } else {
                    "element"
                };
                self.fail(index, format!("the {what} was deleted meanwhile"))?;
                continue;
            }
            // A VM that is being made takes no commands; the sight that ends its making looks again. And one that has happened is
            // over with the next sight.
            let making = self
                .resource
                .live_creates()
                .any(|task| task.status == TaskStatus::Build);
            if making || self.resource.tasks.get(index).is_some_and(|task| task.accepted) {
                return Ok(true);
            }
            let needed = match self.turn(index)? {
                Turn::Now(needed) => needed,
                Turn::Later => return Ok(true),
                Turn::Never => continue,
            };
            if self.resource.tasks.get(index).is_some_and(inject::is_injection) {
                if self.look_at_injection(index)? {
                    return Ok(true);
                }
                continue;
            }
            if self.resource.tasks.get(index).is_some_and(service::is_edit) {
                if self.look_at_edit(index, &needed.ports)? {
                    return Ok(true);
                }
                continue;
            }
            let Some(task) = self.resource.tasks.get_mut(index) else {
                return Ok(false);
            };
            request::put_flavour(task, &needed.ids);
            match request::operate(task, self.resource.vim.vim_id.as_ref()) {
                Ok(request) => {
                    self.call(index, Request::Operate(request));
                    return Ok(true);
                }
                Err(message) => self.fail(index, message)?,
            }
        }
        Ok(false)
    }

    /// Whether the element is a volume that outlives its service, and is made.
    fn is_to_be_kept(&self) -> bool {
        let creation = self
            .resource
            .tasks
            .iter()
            .rfind(|task| task.action == TaskAction::Create);
        let params = creation.and_then(|task| task.params.as_ref());
        self.resource.item == Item::SharedVolume
            && self.resource.vim.vim_id.is_some()
            && params.and_then(|params| params.get("keep")) == Some(&Value::Bool(true))
    }

    fn first_open(&self, action: TaskAction) -> Option<usize> {
        self.resource
            .tasks
            .iter()
            .position(|task| task.action == action && task.status.is_open())
    }

    /// The command that is next. A key injection rests for half a minute between two tries, so what comes after it goes before it then.
    fn next_command(&self) -> Option<usize> {
        let open = |action: TaskAction| {
            let tasks = self.resource.tasks.iter().enumerate();
            tasks.filter(move |(_, task)| task.action == action && task.status.is_open())
        };
        let awake = |action: TaskAction| open(action).find(|(_, task)| !self.rests(task));
        let first_to_wake = || open(TaskAction::Exec).min_by_key(|(_, task)| task.not_before);
        let next = awake(TaskAction::Exec)
            .or_else(|| awake(TaskAction::Update))
            .or_else(first_to_wake);
        next.map(|(index, _)| index)
    }

    /// A deletion ends the creations it is about: those before it that write to the same item.
    fn end_creations_before(&mut self, deletion: usize) -> Result<(), IllegalMove> {
        let Some(item) = self.resource.tasks.get(deletion).map(|task| task.target_record.clone()) else {
            return Ok(());
        };
        for task in self.resource.tasks.iter_mut().take(deletion) {
            if task.action == TaskAction::Create && task.target_record == item && task.status != TaskStatus::Finished {
                task.move_to(TaskStatus::Finished)?;
                task.not_before = None;
                task.connector_state = None;
            }
        }
        let accepted = self.resource.tasks.get(deletion).is_some_and(|task| task.accepted);
        if !accepted && self.resource.live_creates().next().is_none() {
            self.resource.observe_at = None;
        }
        Ok(())
    }

    /// A deletion that was accepted is asked for again: its element is not looked at any more.
    fn give_up_sight(&mut self, index: usize) {
        if let Some(task) = self.resource.tasks.get_mut(index).filter(|task| task.accepted) {
            task.accepted = false;
            self.resource.observe_at = None;
        }
    }

    /// There is nothing to delete: somebody else holds the element, or it was only found, or never made.
    fn supersede(&mut self, index: usize, held: bool) -> Result<(), IllegalMove> {
        if !held {
            self.resource.vim.vim_status = Some(VimStatus::Deleted);
            self.resource.vim.vim_id = None;
            self.resource.observe_at = None;
        }
        let begun = self
            .resource
            .tasks
            .get(index)
            .is_some_and(|task| task.status == TaskStatus::Build);
        let to = if begun {
            TaskStatus::Finished
        } else {
            TaskStatus::Superseded
        };
        self.end_deletion(index, to)
    }

    /// A deletion is over: its record is cleared, unless the element is made anew under the same item. The record then speaks of the
    /// new one already.
    pub(super) fn end_deletion(&mut self, index: usize, to: TaskStatus) -> Result<(), IllegalMove> {
        let target = self.resource.target.clone();
        let Some(task) = self.resource.tasks.get_mut(index) else {
            return Ok(());
        };
        task.move_to(to)?;
        task.message = None;
        task.not_before = None;
        task.connector_state = None;
        task.accepted = false;
        let item = task.target_record.clone();
        let deletions = self
            .resource
            .tasks
            .iter()
            .skip(index)
            .filter(|task| task.action == TaskAction::Delete);
        if !deletions.filter(|task| task.target_record == item).any(is_replacement) {
            self.records.push(record::cleared(&item, &target));
        }
        Ok(())
    }

    /// A second holder takes over what the first one made, as in NG-RO. True when there is such an element.
    ///
    /// The first one may have given it up meanwhile: the element is ours all the same, so it is neither made nor looked for again.
    fn share_with_another(&mut self, index: usize) -> Result<bool, IllegalMove> {
        if self.resource.vim.vim_id.is_none() {
            return Ok(false);
        }
        let of_another = self
            .resource
            .live_creates()
            .find(|task| matches!(task.status, TaskStatus::Build | TaskStatus::Done))
            .map(|task| task.status);
        let observed = super::answer::is_observed(self.resource.item);
        let in_service = !observed || self.resource.vim.vim_status == Some(VimStatus::Active);
        let state = of_another.unwrap_or(if in_service {
            TaskStatus::Done
        } else {
            TaskStatus::Build
        });
        let Some(task) = self.resource.tasks.get_mut(index) else {
            return Ok(false);
        };
        if task.status != TaskStatus::Scheduled {
            return Ok(false);
        }
        task.move_to(state)?;
        task.message = None;
        task.not_before = None;
        if state == TaskStatus::Build && self.resource.observe_at.is_none() {
            self.resource.observe_at = Some(self.around.now);
        }
        self.records.extend(record::everything(&self.resource, index));
        Ok(true)
    }

    /// Whether it is a task's turn. What it waits for is asked for, and one whose turn never comes is given up.
    fn turn(&mut self, index: usize) -> Result<Turn, IllegalMove> {
        let needed = match self.readiness(index) {
            Ready::Yes(needed) => needed,
            Ready::Wait(on) => {
                self.effects.push(Effect::Wait(on));
                return Ok(Turn::Later);
            }
            Ready::Never(message) => {
                self.fail(index, message)?;
                return Ok(Turn::Never);
            }
        };
        Ok(if self.too_early(index) {
            Turn::Later
        } else {
            Turn::Now(needed)
        })
    }

    /// Whether what a task depends on is there, or gone.
    fn readiness(&self, index: usize) -> Ready {
        let Some(task) = self.resource.tasks.get(index) else {
            return Ready::Yes(Needed::default());
        };
        let mut needed = Needed::default();
        let mut waiting = Vec::new();
        for dependency in &task.depends_on {
            let other = self.around.others.get(&dependency.resource);
            let never = |verb: &str, why: &str| {
                let item = other.map(|other| other.item);
                Ready::Never(depends_on_failed(task, item, verb, &dependency.reference, why))
            };
            match dependency.until {
                Until::Created => match other.map(|other| &other.creation) {
                    Some(Creation::Usable(id)) => {
                        needed.ids.insert(dependency.reference.clone(), id.clone());
                    }
                    Some(Creation::Awaited) => waiting.push(dependency.resource.clone()),
                    Some(Creation::Failed(why)) => return never("create", why),
                    Some(Creation::Over) | None => {
                        return Ready::Never(format!("Cannot get depending task {}", dependency.reference));
                    }
                },
                Until::Deleted => match other.map(|other| &other.deletion) {
                    Some(Deletion::Awaited) => waiting.push(dependency.resource.clone()),
                    Some(Deletion::Failed(why)) => return never("delete", why),
                    Some(Deletion::Clear) | None => {}
                },
                Until::Located => match other.map(|other| &other.location) {
                    Some(Location::Known(ports)) => {
                        let used = |port: &&Port| dependency.interfaces.contains(&port.interface);
                        needed.ports.extend(ports.iter().filter(used).cloned());
                    }
                    Some(Location::Awaited) => waiting.push(dependency.resource.clone()),
                    Some(Location::Failed(why)) => return never("create", why),
                    // A VM that was given up meanwhile has nothing to be joined.
                    Some(Location::Over) | None => {}
                },
            }
        }
        if waiting.is_empty() {
            Ready::Yes(needed)
        } else {
            Ready::Wait(waiting)
        }
    }

    /// True when the task's pause is not over; the wake-up is asked for.
    fn too_early(&mut self, index: usize) -> bool {
        let resting = self.resource.tasks.get(index).filter(|task| self.is_resting(task));
        let Some(at) = resting.and_then(|task| task.not_before) else {
            return false;
        };
        self.effects.push(Effect::WakeAt(at));
        true
    }

    /// Whether a task's pause is not over.
    pub(super) fn is_resting(&self, task: &Task) -> bool {
        let left = task.not_before.map(|at| at.left(self.around.now, retry::LONGEST_PAUSE));
        left.is_some_and(|left| !left.is_zero())
    }

    /// Asks for a call. The task keeps its state until the answer: a host that dies now asks again, with the same token and the
    /// journal that the call left.
    pub(super) fn call(&mut self, index: usize, request: Request) {
        if let Some(task) = self.resource.tasks.get(index) {
            self.effects.push(Effect::Call(task.id.clone(), Box::new(request)));
        }
    }

    /// A task is given up.
    pub(super) fn fail(&mut self, index: usize, message: String) -> Result<(), IllegalMove> {
        let Some(task) = self.resource.tasks.get_mut(index) else {
            return Ok(());
        };
        task.move_to(TaskStatus::Failed)?;
        task.message = Some(message.clone());
        task.not_before = None;
        task.connector_state = None;
        task.accepted = false;
        inject::forget_password(task);
        self.end_operation(index);
        let Some(task) = self.resource.tasks.get(index) else {
            return Ok(());
        };
        // A failed command says nothing about the VM itself (NG-RO D34).
        if matches!(task.action, TaskAction::Create | TaskAction::Delete) {
            self.resource.vim.vim_status = Some(VimStatus::VimError);
            self.resource.vim.vim_message = Some(message);
        } else {
            // Whatever came of it is for the VIM to show.
            self.look_at_the_element();
        }
        if let Some(task) = self
            .resource
            .tasks
            .get(index)
            .filter(|task| task.action == TaskAction::Delete)
        {
            self.records.push(record::failed(&self.resource, &task.target_record));
        }
        Ok(())
    }
}

impl Machine<'_> {
    /// The element is observed at once, if there is one that can be.
    pub(super) fn look_at_the_element(&mut self) {
        let there = self.resource.vim.vim_id.is_some() && self.resource.live_creates().next().is_some();
        if there && super::answer::is_observed(self.resource.item) {
            self.resource.observed_unchanged = 0;
            self.resource.observe_at = Some(self.around.now);
        }
    }
}

/// Whether a deletion makes room for a new element of the same item (see [`crate::plan::REPLACED`]).
fn is_replacement(task: &Task) -> bool {
    task.params
        .as_ref()
        .and_then(|params| params.get(crate::plan::REPLACED))
        .is_some()
}

/// Whether a creation is of a VM that takes the place of another one.
fn is_made_anew(task: &Task) -> bool {
    let params = task.params.as_ref().filter(|_| task.action == TaskAction::Create);
    params.and_then(|params| params.get(crate::plan::TAKEN_OVER)).is_some()
}

/// The text of NG-RO (`ns_thread.py`), its parenthesis balanced.
pub(super) fn depends_on_failed(task: &Task, item: Option<Item>, verb: &str, reference: &str, why: &str) -> String {
    let action = task.action.as_str().to_lowercase();
    let item = item.map_or("element", Item::as_str);
    format!(
        "Cannot {action} {} because depends on failed {verb} {item} (id={reference}): {why}",
        task.item
    )
}
