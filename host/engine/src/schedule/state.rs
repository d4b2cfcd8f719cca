//! What is in memory: who is worked on, who waits for whom, and what was written last.
//!
//! All of it can be made anew from the store. What it keeps of documents is only ever a hint: a write is decided by the revision,
//! and what somebody else changes (a committed action, another host) is dropped here before whoever works on it is woken.

use std::collections::{HashMap, HashSet};

use vimhost_model::{Item, Resource, ResourceId, TargetId, Timestamp, Until};

use crate::machine::{Event, Standing};

#[derive(Default)]
pub(super) struct State {
    pub(super) live: HashMap<ResourceId, Live>,
    /// Who is to be woken when an element moves.
    waiters: HashMap<ResourceId, HashMap<ResourceId, Until>>,
    /// The same the other way round: what a resource waits for.
    awaited: HashMap<ResourceId, HashSet<ResourceId>>,
    /// When a resource is looked at again, at the earliest.
    pub(super) wakes: HashMap<ResourceId, Timestamp>,
    /// Documents of resources that are not settled, as this host wrote them last.
    pub(super) kept: HashMap<ResourceId, Resource>,
    /// How elements stand that others may wait for or use, as this host wrote them last, with their accounts: those that are
    /// usable, and those that somebody works on. Read by everybody who needs them, so that a service of many VMs does not read
    /// its network from the store once for each.
    standings: HashMap<ResourceId, (TargetId, Standing)>,
}

/// A resource that is worked on.
#[derive(Default)]
pub(super) struct Live {
    /// Events that came meanwhile.
    pub(super) events: Vec<Event>,
    /// It is to be looked at again.
    pub(super) again: bool,
    /// Somebody else has changed the document.
    pub(super) stale: bool,
}

impl State {
    /// How a needed element stands, where that is known. Unless it is known to be usable, the resource is woken from now on when it
    /// moves.
    pub(super) fn standing_or_register(
        &mut self,
        waiter: &Resource,
        on: &ResourceId,
        until: Until,
    ) -> Option<Standing> {
        let known = self.standings.get(on).filter(|(target, _)| *target == waiter.target);
        let known = known.map(|(_, standing)| standing);
        if until == Until::Created
            && let Some(standing) = known.filter(|standing| standing.is_usable())
        {
            return Some(standing.clone());
        }
        // Known to be waited for is known for certain: its next move wakes whoever is registered. What else may be said of it is
        // for the document to say.
        let awaited = known.filter(|standing| standing.is_awaited(until)).cloned();
        self.waiters
            .entry(on.clone())
            .or_default()
            .insert(waiter.id.clone(), until);
        self.awaited.entry(waiter.id.clone()).or_default().insert(on.clone());
        awaited
    }

    /// A resource was made by a committed action. What is known of it from elsewhere, because it was taken up at the same time, is
    /// newer.
    pub(super) fn made(&mut self, resource: &Resource) {
        let id = &resource.id;
        if self.live.contains_key(id) || self.kept.contains_key(id) || self.standings.contains_key(id) {
            return;
        }
        self.note(resource, Standing::of(resource));
        self.kept.insert(resource.id.clone(), resource.clone());
    }

    fn note(&mut self, resource: &Resource, standing: Standing) {
        // Nothing is made from the id of a VM.
        let usable = standing.is_usable() && resource.item != Item::Vdu;
        let awaited = [Until::Created, Until::Deleted]
            .into_iter()
            .any(|until| standing.is_awaited(until));
        if usable || awaited {
            self.standings
                .insert(resource.id.clone(), (resource.target.clone(), standing));
        } else {
            self.standings.remove(&resource.id);
        }
    }

    /// A resource does not wait for an element after all, or any more.
    pub(super) fn unregister(&mut self, waiter: &ResourceId, on: &ResourceId) {
        if let Some(waiters) = self.waiters.get_mut(on) {
            waiters.remove(waiter);
            if waiters.is_empty() {
                self.waiters.remove(on);
            }
        }
        self.stop_awaiting(waiter, on);
    }

    /// True when the resource waits for something else still.
    fn stop_awaiting(&mut self, waiter: &ResourceId, on: &ResourceId) -> bool {
        let Some(awaited) = self.awaited.get_mut(waiter) else {
            return false;
        };
        awaited.remove(on);
        let more = !awaited.is_empty();
        if !more {
            self.awaited.remove(waiter);
        }
        more
    }

    pub(super) fn awaits(&self, waiter: &ResourceId, on: &ResourceId) -> bool {
        self.awaited.get(waiter).is_some_and(|awaited| awaited.contains(on))
    }

    /// An element was written down and stands otherwise than before. Answers who is to be woken: everybody who waits for it,
    /// except those for whom it has become usable and who wait for more.
    pub(super) fn moved(&mut self, resource: &Resource, standing: Standing) -> Vec<ResourceId> {
        let mut woken = Vec::new();
        for (waiter, until) in self.waiters.remove(&resource.id).unwrap_or_default() {
            // A service that joins many VMs would otherwise read them all whenever one of them has come a step further.
            if until == Until::Located && standing.is_awaited(until) {
                self.waiters
                    .entry(resource.id.clone())
                    .or_default()
                    .insert(waiter, until);
                continue;
            }
            let waits_on = self.stop_awaiting(&waiter, &resource.id);
            if !(waits_on && until != Until::Deleted && standing.is_there(until)) {
                woken.push(waiter);
            }
        }
        self.note(resource, standing);
        woken
    }

    /// A document is gone. Answers who waited for it: they find that there is nothing to wait for.
    pub(super) fn gone(&mut self, id: &ResourceId) -> Vec<ResourceId> {
        self.kept.remove(id);
        self.standings.remove(id);
        for on in self.awaited.remove(id).unwrap_or_default() {
            self.unregister(id, &on);
        }
        let waiters: Vec<_> = self.waiters.remove(id).unwrap_or_default().into_keys().collect();
        for waiter in &waiters {
            self.stop_awaiting(waiter, id);
        }
        waiters
    }

    /// Somebody else has changed a document.
    pub(super) fn changed(&mut self, id: &ResourceId) {
        self.kept.remove(id);
        if self
            .standings
            .get(id)
            .is_some_and(|(_, standing)| !standing.is_usable())
        {
            self.standings.remove(id);
        }
        if let Some(live) = self.live.get_mut(id) {
            live.stale = true;
        }
    }

    /// What is known of a resource is older than what is stored. Answers who waits for it; they go on waiting.
    pub(super) fn overtaken(&mut self, id: &ResourceId) -> Vec<ResourceId> {
        self.standings.remove(id);
        self.waiters_of(id)
    }

    /// Who waits for a resource; they go on waiting.
    pub(super) fn waiters_of(&self, on: &ResourceId) -> Vec<ResourceId> {
        let waiters = self.waiters.get(on).into_iter().flat_map(HashMap::keys);
        waiters.cloned().collect()
    }

    /// Everybody who waits for another resource.
    pub(super) fn all_waiters(&self) -> Vec<ResourceId> {
        self.awaited.keys().cloned().collect()
    }

    /// Whether a document is kept in memory as it is stored.
    pub(super) fn has(&self, stored: &Resource) -> bool {
        let kept = |kept: &Resource| kept.revision == stored.revision;
        self.kept.get(&stored.id).is_some_and(kept)
    }

    /// Whether somebody else has changed the document since this was asked or the round began; told once.
    pub(super) fn take_change(&mut self, id: &ResourceId) -> bool {
        self.live
            .get_mut(id)
            .is_some_and(|live| std::mem::take(&mut live.stale))
    }

    /// Another host may drive the account.
    pub(super) fn forget_account(&mut self, target: &TargetId) {
        self.kept.retain(|_, resource| resource.target != *target);
        self.standings.retain(|_, (of, _)| of != target);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vimhost_model::{TaskAction, TaskStatus};
    use vimhost_store::contract::sample::{create, id, made, resource};

    fn vm() -> Resource {
        resource("vm", "a", vec![create("ns", "act", 0, Item::Vdu)])
    }

    fn net(name: &str) -> Resource {
        made(resource(name, "a", vec![create("ns", "act", 1, Item::Net)]), "vim-net")
    }

    fn standing(resource: &Resource) -> Standing {
        Standing::of(resource)
    }

    #[test]
    fn the_last_of_what_is_waited_for_wakes() {
        let mut state = State::default();
        for on in ["x", "y"] {
            assert!(state.standing_or_register(&vm(), &id(on), Until::Created).is_none());
        }
        assert!(state.moved(&net("x"), standing(&net("x"))).is_empty());
        assert_eq!(state.moved(&net("y"), standing(&net("y"))), [id("vm")]);
        // Both are known now; an element of another account is not.
        assert!(state.standing_or_register(&vm(), &id("x"), Until::Created).is_some());
        let elsewhere = resource("vm2", "b", vec![create("ns", "act", 0, Item::Vdu)]);
        assert!(
            state
                .standing_or_register(&elsewhere, &id("x"), Until::Created)
                .is_none()
        );
    }

    #[test]
    fn what_failed_or_is_gone_wakes_at_once() {
        let mut state = State::default();
        for on in ["x", "y", "z"] {
            state.standing_or_register(&vm(), &id(on), Until::Created);
        }
        let mut failed = resource("x", "a", vec![create("ns", "act", 1, Item::Net)]);
        failed.tasks[0].status = TaskStatus::Failed;
        assert_eq!(state.moved(&failed, standing(&failed)), [id("vm")]);
        assert_eq!(state.gone(&id("y")), [id("vm")]);
        assert_eq!(state.moved(&net("z"), standing(&net("z"))), [id("vm")]);
    }

    #[test]
    fn who_waits_for_a_deletion_is_woken_by_each_move() {
        let mut state = State::default();
        let mut network = net("net");
        network.tasks[0].action = TaskAction::Create;
        for on in ["x", "y"] {
            state.standing_or_register(&network, &id(on), Until::Deleted);
        }
        assert_eq!(state.moved(&vm(), standing(&vm())), [] as [ResourceId; 0]);
        assert_eq!(state.moved(&net("x"), standing(&net("x"))), [id("net")]);
    }

    #[test]
    fn who_waits_for_where_vms_are_is_woken_by_the_last_of_them() {
        let located = |name: &str, pci: Option<&str>| {
            let mut vm = made(resource(name, "a", vec![create("ns", "act", 0, Item::Vdu)]), name);
            vm.tasks[0].params = Some(serde_json::json!({"net_list": [{"net_id": "n", "type": "SR-IOV"}]}));
            vm.tasks[0].status = TaskStatus::Build;
            vm.vim.interfaces = vec![Some(vimhost_model::InterfaceInfo {
                compute_node: Some("compute1".to_owned()),
                pci: pci.map(str::to_owned),
                ..vimhost_model::InterfaceInfo::default()
            })];
            vm
        };
        let service = resource("service", "w", vec![create("ns", "act", 2, Item::SdnNet)]);
        let mut state = State::default();
        for on in ["x", "y"] {
            assert!(state.standing_or_register(&service, &id(on), Until::Located).is_none());
        }
        for (vm, woken) in [
            (located("x", None), vec![]),
            (located("y", Some("0000:af:10.1")), vec![]),
            (located("x", Some("0000:af:10.2")), vec![id("service")]),
        ] {
            assert_eq!(state.moved(&vm, standing(&vm)), woken, "{}", vm.id);
        }
    }

    #[test]
    fn what_is_not_waited_for_after_all_does_not_hold_up_the_rest() {
        let mut state = State::default();
        for on in ["x", "y"] {
            state.standing_or_register(&vm(), &id(on), Until::Created);
        }
        state.unregister(&id("vm"), &id("y"));
        assert_eq!(state.moved(&net("x"), standing(&net("x"))), [id("vm")]);
    }

    #[test]
    fn what_is_worked_on_is_known_to_be_waited_for_until_it_moves_or_somebody_else_changes_it() {
        let planned = || resource("net", "a", vec![create("ns", "act", 1, Item::Net)]);
        let known = |state: &mut State| state.standing_or_register(&vm(), &id("net"), Until::Created);
        let mut state = State::default();
        assert_eq!(known(&mut state), None);
        state.made(&planned());
        assert_eq!(known(&mut state), Some(standing(&planned())));
        assert!(state.awaits(&id("vm"), &id("net")), "its next move wakes");
        assert_eq!(
            state.standing_or_register(&vm(), &id("net"), Until::Deleted),
            None,
            "whether anything stands in the way is for the document to say"
        );
        state.changed(&id("net"));
        assert_eq!(known(&mut state), None);
        state.made(&planned());
        assert_eq!(state.overtaken(&id("net")), [id("vm")]);
        assert_eq!(known(&mut state), None);
        assert_eq!(state.moved(&net("net"), standing(&net("net"))), [id("vm")]);
        assert_eq!(known(&mut state), Some(standing(&net("net"))));
        // It was made, taken up and has moved before its making was told.
        state.made(&planned());
        assert_eq!(known(&mut state), Some(standing(&net("net"))));
        assert!(
            state.kept.contains_key(&id("net")),
            "from the first telling, which nothing has taken"
        );
    }

    #[test]
    fn nothing_of_an_account_that_was_lost_is_trusted() {
        let mut state = State::default();
        state.moved(&net("x"), standing(&net("x")));
        state.kept.insert(id("vm"), vm());
        state.forget_account(&vm().target);
        assert!(state.kept.is_empty());
        assert!(state.standing_or_register(&vm(), &id("x"), Until::Created).is_none());
    }
}
