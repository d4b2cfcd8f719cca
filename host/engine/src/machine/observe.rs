//! What the poller's sight of an element makes of it.

use serde_json::Value;
use vimhost_connector::{ElementStatus, InterfaceObservation, Observation, ServerObservation};
use vimhost_model::{IllegalMove, InterfaceInfo, Task, TaskAction, TaskStatus, VimId, VimState, VimStatus};

use super::{Effect, Machine, Sight};
use crate::retry;

/// An element that was just made and is not shown yet is looked for this often before it counts as gone: VIMs answer lists from
/// caches and replicas that lag by seconds. With the pauses of [`retry::observation_pause`] this is about eight seconds.
pub(super) const SIGHTS_BEFORE_GONE: u32 = 13;

/// How long a failed element rests before it is observed again; it can recover: NG-RO's period for errors. No element rests longer: those of
/// [`retry::observation_pause`] are looked at after some seconds.
pub(crate) const FAILED_PAUSE: std::time::Duration = std::time::Duration::from_secs(600);

impl Machine<'_> {
    /// Takes a sight in. A sight of another id than the present one is of an element that is no longer ours.
    pub(super) fn observed(&mut self, sight: Sight) -> Result<(), IllegalMove> {
        match sight {
            Sight::Present(observation) if self.resource.vim.vim_id.as_ref() == Some(&observation.id) => {
                if let Some(deletion) = self.deletion_under_way() {
                    self.still_there(deletion, observation.status);
                    return Ok(());
                }
                self.present(&observation)
            }
            Sight::Gone(id) if self.resource.vim.vim_id.as_ref() == Some(&id) => {
                if let Some(deletion) = self.deletion_under_way() {
                    self.ask_again(deletion);
                    return Ok(());
                }
                self.gone()
            }
            Sight::Present(_) | Sight::Gone(_) => Ok(()),
        }
    }

    /// The deletion that has begun, if nobody wants the element any more: what is seen of it then is the deletion's own doing.
    fn deletion_under_way(&self) -> Option<usize> {
        if self.resource.live_creates().next().is_some() {
            return None;
        }
        let begun = |task: &Task| task.action == TaskAction::Delete && task.status == TaskStatus::Build;
        self.resource.tasks.iter().position(begun)
    }

    /// Whether the VIM has accepted the deletion, so that a sight of the element is what it waits for.
    fn awaits_sight(&self, deletion: usize) -> bool {
        self.resource.tasks.get(deletion).is_some_and(|task| task.accepted)
    }

    /// An element on its way out is looked at until it is gone, or the VIM has failed to delete it.
    fn still_there(&mut self, deletion: usize, seen: ElementStatus) {
        if !self.awaits_sight(deletion) {
            return;
        }
        if seen == ElementStatus::Error {
            self.ask_again(deletion);
            return;
        }
        self.resource.observed_unchanged = self.resource.observed_unchanged.saturating_add(1);
        let pause = retry::observation_pause(self.resource.observed_unchanged);
        self.resource.observe_at = Some(self.around.now.plus(pause));
        self.effects.push(Effect::Observe);
    }

    /// The connector sees to what is left.
    fn ask_again(&mut self, deletion: usize) {
        if !self.awaits_sight(deletion) {
            return;
        }
        if let Some(task) = self.resource.tasks.get_mut(deletion) {
            task.accepted = false;
            task.not_before = None;
        }
        self.resource.observe_at = None;
        self.effects.push(Effect::LookAgain);
    }

    fn present(&mut self, observation: &Observation) -> Result<(), IllegalMove> {
        let management = self
            .resource
            .live_creates()
            .next()
            .map(|task| (task.mgmt_vnf_interface, task.mgmt_vdu_interface))
            .unwrap_or_default();
        let vim = &mut self.resource.vim;
        let known_status = vim.vim_status;
        if observation.name.is_some() {
            vim.vim_name.clone_from(&observation.name);
        }
        vim.vim_status = Some(observation.status.vim_status());
        vim.vim_details = Some(details(&observation.details));
        vim.vim_message = message(observation);
        if let Some(server) = &observation.server {
            show_server(vim, server, management);
            // A VM that is being rebuilt or moved need not show all of them.
            if observation.status != ElementStatus::Build {
                tell_lost_interfaces(vim);
            }
        }
        let unchanged = known_status == vim.vim_status;
        for index in 0..self.resource.tasks.len() {
            self.move_creation(index, observation.status, observation)?;
        }
        if !self.end_commands(observation)? {
            self.next_sight(unchanged);
        }
        Ok(())
    }

    /// Moves one creation by what was seen.
    fn move_creation(
        &mut self,
        index: usize,
        seen: ElementStatus,
        observation: &Observation,
    ) -> Result<(), IllegalMove> {
        let live = |task: &&mut Task| {
            task.action == TaskAction::Create
                && matches!(task.status, TaskStatus::Build | TaskStatus::Done | TaskStatus::Failed)
        };
        let Some(task) = self.resource.tasks.get_mut(index).filter(live) else {
            return Ok(());
        };
        let to = match (task.status, seen) {
            (_, ElementStatus::Active) => TaskStatus::Done,
            // Being rebooted or migrated is not being made: what is in service stays so.
            (from, ElementStatus::Build) => from,
            (_, ElementStatus::Error) => TaskStatus::Failed,
            // A VM that somebody stopped or paused is as somebody wants it (NG-RO D29); one that never came up has failed.
            (TaskStatus::Done, _) => TaskStatus::Done,
            (_, _) => TaskStatus::Failed,
        };
        if to == task.status {
            return Ok(());
        }
        task.move_to(to)?;
        task.message = (to == TaskStatus::Failed).then(|| {
            message(observation).unwrap_or_else(|| format!("VIM status reported {}", observation.status_text))
        });
        self.effects.push(Effect::LookAgain);
        Ok(())
    }

    fn gone(&mut self) -> Result<(), IllegalMove> {
        let building = self
            .resource
            .live_creates()
            .any(|task| task.status == TaskStatus::Build);
        if building && self.resource.observed_unchanged < SIGHTS_BEFORE_GONE {
            self.next_sight(true);
            return Ok(());
        }
        let vim = &mut self.resource.vim;
        vim.vim_status = Some(VimStatus::Deleted);
        vim.vim_message = Some("Deleted externally".to_owned());
        vim.vim_id = None;
        vim.vim_name = None;
        vim.interfaces.clear();
        self.resource.observe_at = None;
        for task in &mut self.resource.tasks {
            let live = matches!(task.status, TaskStatus::Build | TaskStatus::Done | TaskStatus::Failed);
            if task.action == TaskAction::Create && live {
                task.move_to(TaskStatus::Failed)?;
                task.message = Some("Deleted externally".to_owned());
            }
        }
        self.fail_commands_that_await_a_sight("Deleted externally")?;
        self.effects.push(Effect::LookAgain);
        Ok(())
    }

    /// When the element is looked at next, beside the idle ones.
    fn next_sight(&mut self, unchanged: bool) {
        let building = self
            .resource
            .live_creates()
            .any(|task| task.status == TaskStatus::Build);
        let failed = self
            .resource
            .live_creates()
            .any(|task| task.status == TaskStatus::Failed);
        self.resource.observed_unchanged = if unchanged && building {
            self.resource.observed_unchanged.saturating_add(1)
        } else {
            0
        };
        self.resource.observe_at = if building {
            Some(
                self.around
                    .now
                    .plus(retry::observation_pause(self.resource.observed_unchanged)),
            )
        } else if failed {
            Some(self.around.now.plus(FAILED_PAUSE))
        } else {
            None
        };
        if self.resource.observe_at.is_some() {
            self.effects.push(Effect::Observe);
        }
    }
}

/// A document of the VIM as records hold it: YAML in flow style, of which JSON is a part.
pub(super) fn details(details: &Value) -> String {
    details.to_string()
}

/// What is wrong with an element, if anything.
fn message(observation: &Observation) -> Option<String> {
    match observation.status {
        ElementStatus::Error => Some(
            observation
                .message
                .clone()
                .unwrap_or_else(|| format!("VIM status reported {}", observation.status_text)),
        ),
        ElementStatus::Other => Some(format!("VIM status reported {}", observation.status_text)),
        ElementStatus::Active
        | ElementStatus::Build
        | ElementStatus::Paused
        | ElementStatus::Suspended
        | ElementStatus::Inactive
        | ElementStatus::Down => observation.message.clone(),
    }
}

/// Interfaces in request order, management flags put on.
fn show_server(vim: &mut VimState, server: &ServerObservation, (vnf, vdu): (Option<usize>, Option<usize>)) {
    let mut interfaces: Vec<Option<InterfaceInfo>> = if vim.interfaces_vim_ids.is_empty() {
        server
            .interfaces
            .iter()
            .map(|interface| Some(shown(interface)))
            .collect()
    } else {
        let find = |id: &Option<VimId>| {
            server
                .interfaces
                .iter()
                .find(|interface| Some(&interface.id) == id.as_ref())
        };
        vim.interfaces_vim_ids.iter().map(|id| find(id).map(shown)).collect()
    };
    if let Some(Some(interface)) = vnf.and_then(|index| interfaces.get_mut(index)) {
        interface.mgmt_vnf_interface = true;
    }
    if let Some(Some(interface)) = interfaces.get_mut(vdu.or(vnf).unwrap_or(0)) {
        interface.mgmt_vdu_interface = true;
    }
    if interfaces.iter().any(Option::is_some) {
        back_up(vim, &interfaces);
    }
    vim.interfaces = interfaces;
    vim.volumes.clone_from(&server.volumes);
    // A VIM that leaves one out for once has not taken it away.
    if server.image.is_some() {
        vim.image.clone_from(&server.image);
    }
    if server.flavour.is_some() {
        vim.flavour.clone_from(&server.flavour);
    }
}

/// Keeps what was seen of each interface last: a VM that is made anew asks for the addresses of one whose port is gone, too.
fn back_up(vim: &mut VimState, interfaces: &[Option<InterfaceInfo>]) {
    let backup = &mut vim.interfaces_backup;
    // Without the order of the request a place in the list says nothing about which interface it is.
    if vim.interfaces_vim_ids.is_empty() {
        interfaces.clone_into(backup);
        return;
    }
    backup.resize(interfaces.len(), None);
    for (kept, seen) in backup.iter_mut().zip(interfaces) {
        if seen.is_some() {
            kept.clone_from(seen);
        }
    }
}

/// Tells of interfaces that were there and are not any more, in the words of NG-RO's monitor. The next sight that shows them
/// takes it back.
fn tell_lost_interfaces(vim: &mut VimState) {
    let lost = |(index, id): (usize, &Option<VimId>)| {
        let id = id.as_ref()?;
        // One that was never seen is on its way.
        vim.interfaces_backup.get(index)?.as_ref()?;
        let gone = vim.interfaces.get(index)?.is_none();
        gone.then(|| format!("Interface {id} deleted externally."))
    };
    let lost: Vec<String> = vim.interfaces_vim_ids.iter().enumerate().filter_map(lost).collect();
    if !lost.is_empty() {
        let said: Vec<String> = vim.vim_message.take().into_iter().chain(lost).collect();
        vim.vim_message = Some(said.join(" "));
    }
}

fn shown(interface: &InterfaceObservation) -> InterfaceInfo {
    InterfaceInfo {
        vim_interface_id: Some(interface.id.to_string()),
        vim_net_id: interface.network.as_ref().map(ToString::to_string),
        mac_address: interface.mac_address.clone(),
        ip_address: Some(interface.ip_addresses.join(";")),
        compute_node: interface.compute_node.clone(),
        pci: interface.pci.clone(),
        vlan: interface.vlan,
        vim_info: Some(details(&interface.details)),
        mgmt_vnf_interface: false,
        mgmt_vdu_interface: false,
    }
}
