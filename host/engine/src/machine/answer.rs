//! What an answer makes of a task.

use std::time::Duration;

use vimhost_connector::{Created, DeleteStep, Error as CallError, ErrorKind, Found, Pending, Step, is_of_operation};
use vimhost_model::{IllegalMove, Item, Task, TaskAction, TaskId, TaskStatus, VimStatus};

use super::{Answer, Effect, Machine, Request, request};
use crate::retry;

/// A connector that asks to be called again at once is called this much later: below it, one that never ends its work would
/// keep a core busy.
const SHORTEST_PENDING: Duration = Duration::from_millis(10);

/// A connector cannot put a task off for longer: whatever it waits for is worth a look every ten minutes. Not longer than
/// [`retry::LONGEST_PAUSE`].
const LONGEST_PENDING: Duration = Duration::from_secs(600);

/// How long a deletion rests that the VIM has accepted and nothing can be seen of.
const UNSEEN_PENDING: Duration = Duration::from_secs(1);

impl Machine<'_> {
    /// Takes an answer in. An answer to a task that is over by now changes nothing.
    pub(super) fn answered(&mut self, id: &TaskId, answer: Answer) -> Result<(), IllegalMove> {
        let Some(index) = self
            .resource
            .tasks
            .iter()
            .position(|task| task.id == *id && self.awaits_answer(task))
        else {
            return Ok(());
        };
        match answer {
            Answer::Found(Ok(found)) => self.found(index, found)?,
            // What is looked for by its id and does not exist was not found.
            Answer::Found(Err(error)) if error.kind == ErrorKind::NotFound => self.found(index, Vec::new())?,
            Answer::Created(Ok(Step::Done(created))) => self.created(index, created)?,
            Answer::Deleted(Ok(DeleteStep::Done)) => self.deleted(index, "DELETED")?,
            Answer::Deleted(Ok(DeleteStep::Accepted)) => self.accepted(index)?,
            // With children in the journal it says only that one of them is not there; the rest would be left behind.
            Answer::Deleted(Err(error)) if error.kind == ErrorKind::NotFound && self.resource.journal.is_empty() => {
                self.deleted(index, "already deleted")?;
            }
            Answer::Operated(Ok(Step::Done(operated))) => self.operated(index, &operated)?,
            Answer::Injected(Ok(())) => self.end_command(index)?,
            Answer::Injected(Err(error)) => self.not_injected(index, &error)?,
            Answer::Found(Err(error))
            | Answer::Created(Err(error))
            | Answer::Deleted(Err(error))
            | Answer::Operated(Err(error)) => self.failed_call(index, &error)?,
            Answer::Created(Ok(Step::Pending(pending)))
            | Answer::Deleted(Ok(DeleteStep::Pending(pending)))
            | Answer::Operated(Ok(Step::Pending(pending))) => self.pending(index, pending)?,
        }
        // Whatever the answer was, another task of the resource may have waited for it.
        if !self
            .effects
            .iter()
            .any(|effect| matches!(effect, Effect::Call(..) | Effect::WakeAt(_)))
        {
            self.effects.push(Effect::LookAgain);
        }
        Ok(())
    }

    /// Whether a call of the task can be outstanding. A creation in BUILD that has its id waits for observation only, so an answer
    /// that comes twice is taken once.
    fn awaits_answer(&self, task: &Task) -> bool {
        let made =
            task.action == TaskAction::Create && task.status == TaskStatus::Build && self.resource.vim.vim_id.is_some();
        let happened = task.accepted && matches!(task.action, TaskAction::Exec | TaskAction::Update);
        task.status.is_open() && !made && !happened
    }

    /// The search of a creation is over.
    fn found(&mut self, index: usize, found: Vec<Found>) -> Result<(), IllegalMove> {
        let Some(task) = self.resource.tasks.get(index) else {
            return Ok(());
        };
        let id = task.id.clone();
        let by_name = request::is_flavour_by_name(task);
        let what = if self.resource.item == Item::Net {
            "network"
        } else if self.resource.item == Item::Image {
            "image"
        } else if by_name {
            "flavor"
        } else {
            "element"
        };
        let criteria = criteria(task);
        let mut found = found.into_iter();
        match (found.next(), found.next()) {
            (Some(one), Some(other)) if by_name || matches!(self.resource.item, Item::Net | Item::Image) => self.fail(
                index,
                format!(
                    "More than one {what} found with this criteria: '{criteria}': {} and {} among them; name one by its id, or give \
                     the others other names",
                    one.id, other.id
                ),
            ),
            (Some(only), _) => self.use_found(index, only),
            (None, _) => match request::create_when_not_found(task, self.around.config) {
                Some(Ok(request)) => {
                    self.effects.push(Effect::Call(id, Box::new(Request::Create(request))));
                    Ok(())
                }
                Some(Err(message)) => self.fail(index, message),
                None => {
                    let what = capitalised(what);
                    self.fail(
                        index,
                        format!(
                            "{what} not found with this criteria: '{criteria}'; the VIM has none that the account's project sees: make \
                             it there, or name another one"
                        ),
                    )
                }
            },
        }
    }

    /// An element of somebody else is used: it is never deleted.
    pub(super) fn use_found(&mut self, index: usize, found: Found) -> Result<(), IllegalMove> {
        let observed = is_observed(self.resource.item);
        let active = found.status_text.as_deref() == Some("ACTIVE");
        let vim = &mut self.resource.vim;
        vim.created = false;
        vim.vim_id = Some(found.id);
        vim.vim_name = found.name;
        vim.vim_message = None;
        let to = if observed {
            vim.vim_details = Some(super::observe::details(&found.details));
            vim.vim_status = Some(if active { VimStatus::Active } else { VimStatus::Build });
            if active { TaskStatus::Done } else { TaskStatus::Build }
        } else {
            vim.vim_status = Some(VimStatus::Done);
            TaskStatus::Done
        };
        self.made(index, to)
    }

    /// The VIM has accepted everything.
    fn created(&mut self, index: usize, created: Created) -> Result<(), IllegalMove> {
        let vim = &mut self.resource.vim;
        vim.created = true;
        vim.vim_id = Some(created.id);
        vim.vim_name = created.name;
        vim.vim_message = None;
        vim.interfaces_vim_ids = created.interfaces;
        let item = self.resource.item;
        vim.vim_status = Some(status_when_made(item));
        if item == Item::SdnNet {
            self.joined(index);
        }
        let observed = is_observed(item);
        self.made(index, if observed { TaskStatus::Build } else { TaskStatus::Done })
    }

    fn made(&mut self, index: usize, to: TaskStatus) -> Result<(), IllegalMove> {
        let now = self.around.now;
        if let Some(task) = self.resource.tasks.get_mut(index) {
            task.move_to(to)?;
            settle(task);
        }
        self.resource.observed_unchanged = 0;
        self.resource.observe_at = (to == TaskStatus::Build).then_some(now);
        Ok(())
    }

    fn deleted(&mut self, index: usize, message: &str) -> Result<(), IllegalMove> {
        let vim = &mut self.resource.vim;
        vim.created = false;
        vim.vim_id = None;
        vim.vim_status = Some(VimStatus::Deleted);
        vim.vim_message = Some(message.to_owned());
        vim.interfaces_vim_ids.clear();
        self.resource.journal.clear();
        self.resource.observe_at = None;
        self.end_deletion(index, TaskStatus::Finished)
    }

    /// The VIM deletes the element in its own time: it is observed with the others until it is gone.
    fn accepted(&mut self, index: usize) -> Result<(), IllegalMove> {
        let token = self.resource.token();
        let journalled = self.resource.journal.iter().find(|entry| entry.token == token);
        let known = journalled.and_then(|entry| entry.element.clone());
        let vim = &mut self.resource.vim;
        if vim.vim_id.is_none() {
            vim.created = known.is_some();
            vim.vim_id = known;
        }
        let observed = self.resource.vim.vim_id.is_some() && is_observed(self.resource.item);
        if !observed {
            // Nothing can be seen of it: the call itself has to ask.
            let pending = Pending {
                reason: "the VIM is deleting it".to_owned(),
                again_in: UNSEEN_PENDING,
                state: None,
            };
            return self.pending(index, pending);
        }
        let now = self.around.now;
        if let Some(task) = self.resource.tasks.get_mut(index) {
            task.move_to(TaskStatus::Build)?;
            settle(task);
            task.accepted = true;
            // Should the connector never show it: asked again then.
            task.not_before = Some(now.plus(LONGEST_PENDING));
        }
        self.resource.observed_unchanged = 0;
        self.resource.observe_at = Some(now.plus(retry::observation_pause(0)));
        self.effects.push(Effect::Observe);
        Ok(())
    }

    /// What an operation announced for itself ends with it, so that the next one of its kind is not taken for its repetition.
    pub(super) fn end_operation(&mut self, index: usize) {
        let Some(task) = self.resource.tasks.get(index) else {
            return;
        };
        if let Some(operation) = request::operation(&self.resource.token(), task) {
            self.resource
                .journal
                .retain(|entry| !is_of_operation(&entry.token, &operation));
        }
    }

    fn pending(&mut self, index: usize, pending: Pending) -> Result<(), IllegalMove> {
        let at = self
            .around
            .now
            .plus(pending.again_in.clamp(SHORTEST_PENDING, LONGEST_PENDING));
        if let Some(task) = self.resource.tasks.get_mut(index) {
            task.move_to(TaskStatus::Build)?;
            task.attempt = 0;
            task.accepted = false;
            task.not_before = Some(at);
            task.connector_state = pending.state;
        }
        self.effects.push(Effect::WakeAt(at));
        Ok(())
    }

    /// The call failed: again later, or never.
    fn failed_call(&mut self, index: usize, error: &CallError) -> Result<(), IllegalMove> {
        let Some(task) = self.resource.tasks.get_mut(index) else {
            return Ok(());
        };
        let deleting = task.action == TaskAction::Delete;
        let Some(pause) = retry::pause(task.action, error, task.attempt) else {
            let message = if deleting {
                format!("Error while deleting: {}", error.message)
            } else {
                error.message.clone()
            };
            return self.fail(index, message);
        };
        let at = self.around.now.plus(pause);
        task.attempt = task.attempt.saturating_add(1);
        task.not_before = Some(at);
        task.message = Some(error.message.clone());
        self.effects.push(Effect::WakeAt(at));
        Ok(())
    }
}

/// A task made progress: what its failed tries left is dropped.
pub(super) fn settle(task: &mut Task) {
    task.message = None;
    task.attempt = 0;
    task.not_before = None;
    task.connector_state = None;
    task.accepted = false;
}

/// Whether there is a state to observe; images, flavours and groups are there or not, as in NG-RO.
pub(super) fn is_observed(item: Item) -> bool {
    matches!(item, Item::Net | Item::Vdu | Item::SdnNet | Item::Stack)
}

/// The status word of an element that was just made.
fn status_when_made(item: Item) -> VimStatus {
    if item == Item::SharedVolume {
        // The word of release 14, which was the first to have them.
        VimStatus::Active
    } else if is_observed(item) {
        VimStatus::Build
    } else {
        VimStatus::Done
    }
}

/// The search as NG-RO prints it in its messages.
fn criteria(task: &Task) -> String {
    task.find_params.as_ref().map(ToString::to_string).unwrap_or_default()
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}
