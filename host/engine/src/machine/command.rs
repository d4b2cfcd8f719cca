//! Commands: what is done to an element that exists.
//!
//! A command that the VIM has carried out is not over yet: its client reads the record next, so the command ends with the first sight
//! that shows the element as the VIM answered. A sight may have been taken before the command, and lists lag; so what is seen is
//! compared with the answer, a bounded number of times.

use serde_json::{Map, Value, json};
use vimhost_connector::{Console, ElementStatus, Observation, Operated};
use vimhost_model::{FieldPath, IllegalMove, Item, RecordChange, Task, TaskAction, TaskStatus, VimId};

use super::observe::SIGHTS_BEFORE_GONE;
use super::{Effect, Machine, answer, inject, record, request, service};
use crate::retry;

/// Where the answer to a console command stands, in `viminfo` too.
pub const CONSOLE: &str = "vim_console_data";

const STATUS: &str = "vim_status";
const HOST: &str = "compute_node";
const FLAVOUR: &str = "flavor_id";

impl Machine<'_> {
    /// The VIM has done it.
    pub(super) fn operated(&mut self, index: usize, operated: &Operated) -> Result<(), IllegalMove> {
        let ours = self.resource.live_creates().next().is_some();
        let observed = ours && self.resource.vim.vim_id.is_some() && answer::is_observed(self.resource.item);
        let target = self.resource.target.clone();
        if self.resource.item == Item::SdnNet {
            self.joined(index);
        }
        let Some(task) = self.resource.tasks.get_mut(index) else {
            return Ok(());
        };
        task.result = Some(result(request::flavour_of(task), operated));
        if let Some(status) = operated.status.map(|status| status.vim_status()) {
            if ours {
                self.resource.vim.vim_status = Some(status);
            } else {
                self.records
                    .push(record::status_alone(&task.target_record, &target, status));
            }
        }
        if let Some(flavour) = request::flavour_of(task) {
            self.resource.vim.flavour = Some(flavour);
        }
        if operated.status == Some(ElementStatus::Error) {
            return self.fail(index, format!("VIM status reported {}", operated.status_text));
        }
        // Opening a console changes nothing.
        if !observed || task.item == Item::Console {
            return self.end_command(index);
        }
        task.move_to(TaskStatus::Build)?;
        answer::settle(task);
        task.accepted = true;
        self.look_at_the_element();
        Ok(())
    }

    /// Ends the commands whose outcome is seen. True when there are more to be seen; then the next look is set.
    pub(super) fn end_commands(&mut self, observation: &Observation) -> Result<bool, IllegalMove> {
        let mut awaited = false;
        for index in 0..self.resource.tasks.len() {
            let Some(task) = self.resource.tasks.get(index).filter(|task| awaits_sight(task)) else {
                continue;
            };
            // A service that was changed is in force when its VIM says so; until then it says that it is at it.
            if service::is_edit(task) && observation.status == ElementStatus::Build {
                awaited = true;
                continue;
            }
            if service::is_edit(task) && observation.status == ElementStatus::Error {
                let message = observation.message.clone();
                let message = message.unwrap_or_else(|| format!("VIM status reported {}", observation.status_text));
                self.fail(index, message)?;
                continue;
            }
            if shows(task.result.as_ref(), observation) || self.resource.observed_unchanged >= SIGHTS_BEFORE_GONE {
                self.end_command(index)?;
                self.effects.push(Effect::LookAgain);
            } else {
                awaited = true;
            }
        }
        if awaited {
            self.resource.observed_unchanged = self.resource.observed_unchanged.saturating_add(1);
            let pause = retry::observation_pause(self.resource.observed_unchanged);
            self.resource.observe_at = Some(self.around.now.plus(pause));
            self.effects.push(Effect::Observe);
        }
        Ok(awaited)
    }

    pub(super) fn end_command(&mut self, index: usize) -> Result<(), IllegalMove> {
        let Some(task) = self.resource.tasks.get_mut(index) else {
            return Ok(());
        };
        task.move_to(TaskStatus::Finished)?;
        answer::settle(task);
        inject::forget_password(task);
        if task.item == Item::VerticalScale
            && let Some(reference) = task.depends_on.first().map(|on| on.reference.clone())
        {
            self.made_with_flavour(&reference);
        }
        let Some(task) = self.resource.tasks.get(index) else {
            return Ok(());
        };
        let points_to = task
            .params
            .as_ref()
            .and_then(|params| params.get(crate::plan::NS_FLAVOUR));
        if let Some(flavour) = points_to {
            let mut change = RecordChange::to_item(&task.target_record);
            change.set.push((FieldPath::keys(["ns-flavor-id"]), flavour.clone()));
            self.records.push(change);
        }
        self.end_operation(index);
        Ok(())
    }

    /// What the VM was made with is compared with what is wanted of it: it has another flavour from now on.
    fn made_with_flavour(&mut self, reference: &str) {
        let live = |task: &&mut Task| task.action == TaskAction::Create && task.status != TaskStatus::Finished;
        for task in self.resource.tasks.iter_mut().filter(live) {
            if let Some(flavour) = task
                .params
                .as_mut()
                .and_then(|params| params.get_mut(crate::plan::FLAVOUR))
            {
                *flavour = Value::String(crate::derive::placeholder(reference));
            }
        }
    }

    /// What was done to an element that is gone has come to nothing.
    pub(super) fn fail_commands_that_await_a_sight(&mut self, why: &str) -> Result<(), IllegalMove> {
        for index in 0..self.resource.tasks.len() {
            if self.resource.tasks.get(index).is_some_and(awaits_sight) {
                self.fail(index, why.to_owned())?;
            }
        }
        Ok(())
    }
}

fn awaits_sight(task: &Task) -> bool {
    matches!(task.action, TaskAction::Exec | TaskAction::Update) && task.status == TaskStatus::Build && task.accepted
}

/// What the VIM answered, as it is kept with the task.
fn result(flavour: Option<VimId>, operated: &Operated) -> Value {
    let mut result = Map::new();
    if let Some(status) = operated.status {
        result.insert(STATUS.to_owned(), json!(status.vim_status().as_str()));
    }
    if let Some(host) = &operated.compute_node {
        result.insert(HOST.to_owned(), json!(host));
    }
    if let Some(flavour) = flavour {
        result.insert(FLAVOUR.to_owned(), json!(flavour));
    }
    if let Some(console) = &operated.console {
        result.insert(CONSOLE.to_owned(), console_data(console));
    }
    Value::Object(result)
}

/// NG-RO's map of a console, and the whole address for who would put it together from them.
fn console_data(console: &Console) -> Value {
    let Console {
        protocol,
        server,
        port,
        suffix,
    } = console;
    let url = format!("{protocol}://{server}:{port}/{}", suffix.trim_start_matches('/'));
    json!({"protocol": protocol, "server": server, "port": port, "suffix": suffix, "url": url})
}

/// Whether an element is seen as a command has left it, as far as both tell.
fn shows(result: Option<&Value>, observation: &Observation) -> bool {
    let said = |key: &str| result.and_then(|result| result.get(key)).and_then(Value::as_str);
    let agrees = |said: Option<&str>, seen: Option<&str>| said.is_none() || seen.is_none() || said == seen;
    let server = observation.server.as_ref();
    agrees(said(STATUS), Some(observation.status.vim_status().as_str()))
        && agrees(said(HOST), server.and_then(|server| server.compute_node.as_deref()))
        && agrees(
            said(FLAVOUR),
            server.and_then(|server| server.flavour.as_ref()).map(VimId::as_str),
        )
}
