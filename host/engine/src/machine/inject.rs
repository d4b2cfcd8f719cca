//! Key injections: commands that the host carries out itself, by a login on the VM.
//!
//! Nothing in the VIM tells when a VM lets anybody in, so a try that failed is no failure yet: the task stays in BUILD, counts, and
//! is tried again after a fixed pause, a fixed number of times. What cannot pass ends it at once. The other commands to the VM do
//! not wait meanwhile. A try that nobody heard the end of is made again: what is let in already is not added twice.

use std::net::IpAddr;

use serde_json::Value;
use vimhost_connector::InjectionError;
use vimhost_model::{ActionId, IllegalMove, Item, NsrId, Task, TaskAction, TaskStatus, VimState};
use vimhost_store::SealedText;

use super::{Creation, Effect, Machine, Standing, look};
use crate::plan::PASSWORD;
use crate::retry;

/// A key to be let into a VM. Its secrets are sealed or elsewhere: whoever serves it gets them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InjectRequest {
    /// The service, whose key pair lets in.
    pub nsr_id: NsrId,
    /// The action, for which the password is sealed.
    pub action_id: ActionId,
    /// Where the VM is.
    pub address: IpAddr,
    /// Whom to log in as.
    pub user: String,
    /// The key.
    pub key: String,
    /// A password.
    pub password: Option<SealedText>,
}

/// Whether a task is a key injection: NG-RO has no item of its own for it.
pub(crate) fn is_injection(task: &Task) -> bool {
    task.action == TaskAction::Exec && task.item == Item::Vdu
}

/// Takes the password out of a task that needs it no more.
pub(super) fn forget_password(task: &mut Task) {
    if is_injection(task)
        && let Some(password) = task.params.as_mut().and_then(|params| params.get_mut(PASSWORD))
    {
        *password = Value::Null;
    }
}

impl Machine<'_> {
    /// Asks for an injection, or counts a try that cannot be made yet. True when the task has the floor.
    pub(super) fn look_at_injection(&mut self, index: usize) -> Result<bool, IllegalMove> {
        let Some(task) = self.resource.tasks.get(index) else {
            return Ok(false);
        };
        let creation = Standing::of(&self.resource).creation;
        if let Creation::Failed(why) = creation
            && self.resource.vim.vim_id.is_none()
        {
            let reference = task.target_record.to_string();
            let message = look::depends_on_failed(task, Some(Item::Vdu), "create", &reference, &why);
            self.fail(index, message)?;
            return Ok(false);
        }
        match request(task, &self.resource.vim) {
            Ok(request) => {
                self.effects.push(Effect::Inject(task.id.clone(), Box::new(request)));
                Ok(true)
            }
            Err(error) => {
                self.not_injected(index, &error)?;
                Ok(self.resource.tasks.get(index).is_some_and(|task| task.status.is_open()))
            }
        }
    }

    /// A try has failed: again later, or never.
    pub(super) fn not_injected(&mut self, index: usize, error: &InjectionError) -> Result<(), IllegalMove> {
        let Some(task) = self.resource.tasks.get_mut(index) else {
            return Ok(());
        };
        task.attempt = task.attempt.saturating_add(1);
        // NG-RO's words (`vimconn.py`).
        let message = format!("Cannot inject ssh key in VM: '{error}'");
        let pause = match error {
            InjectionError::Passing(_) => retry::injection_pause(task.attempt),
            InjectionError::Lasting(_) => None,
        };
        let Some(pause) = pause else {
            return self.fail(index, message);
        };
        let at = self.around.now.plus(pause);
        task.move_to(TaskStatus::Build)?;
        task.not_before = Some(at);
        task.message = Some(message);
        self.effects.push(Effect::WakeAt(at));
        Ok(())
    }

    /// Whether a task rests between two tries.
    pub(super) fn rests(&self, task: &Task) -> bool {
        is_injection(task) && self.is_resting(task)
    }
}

fn request(task: &Task, vim: &VimState) -> Result<InjectRequest, InjectionError> {
    let params = task.params.as_ref().unwrap_or(&Value::Null);
    let text = |key: &str| params.get(key).and_then(Value::as_str);
    let needed = |key: &str| {
        let lacking = || InjectionError::Lasting(format!("the task has no '{key}'"));
        text(key).map(str::to_owned).ok_or_else(lacking)
    };
    let recorded = text("ip_address").or_else(|| management_address(vim));
    let address = recorded.ok_or_else(|| InjectionError::Passing("the VM has no address yet".to_owned()))?;
    // Several addresses of one interface stand in one text, the first one first.
    let first = address.split(';').next().unwrap_or_default().trim();
    let unreadable = |_| InjectionError::Lasting(format!("'{first}' is not an address"));
    Ok(InjectRequest {
        nsr_id: task.nsr_id.clone(),
        action_id: task.action_id.clone(),
        address: first.parse().map_err(unreadable)?,
        user: needed("user")?,
        key: needed("key")?,
        password: text(PASSWORD).map(|sealed| SealedText(sealed.to_owned())),
    })
}

/// What the VDU's record will show as its address.
fn management_address(vim: &VimState) -> Option<&str> {
    let management = vim
        .interfaces
        .iter()
        .flatten()
        .find(|interface| interface.mgmt_vdu_interface);
    management?.ip_address.as_deref().filter(|address| !address.is_empty())
}
