//! What is in memory: who is worked on, who waits for whom, and what was written last.
//!
//! All of it can be made anew from the store. What it keeps of documents is only ever a hint: a write is decided by the revision,
//! and what somebody else changes (a committed action, another host) is dropped here before whoever works on it is woken.

use std::collections::{HashMap, HashSet};

use vimhost_model::{Item, Resource, ResourceId, TargetId, Timestamp, Until};

use crate::machine::{Creation, Event, Standing};

#[derive(Default)]
pub(super) struct State {
    pub(super) live: HashMap<ResourceId, Live>,
    /// Who is to be woken when an element moves.
    pub(super) waiters: HashMap<ResourceId, HashMap<ResourceId, Until>>,
    /// The same the other way round: what a resource waits for.
    awaited: HashMap<ResourceId, HashSet<ResourceId>>,
    /// When a resource is looked at again, at the earliest.
    pub(super) wakes: HashMap<ResourceId, Timestamp>,
    /// Documents of resources that are not settled, as this host wrote them last.
    pub(super) kept: HashMap<ResourceId, Resource>,
    /// Elements that others may use, as this host wrote them last, by account.
    usable: HashMap<ResourceId, (TargetId, Standing)>,
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
    /// How a needed element stands when it is known to be usable; else the resource is woken from now on when it moves.
    pub(super) fn usable_or_register(&mut self, waiter: &Resource, on: &ResourceId, until: Until) -> Option<Standing> {
        let known = self.usable.get(on).filter(|(target, _)| *target == waiter.target);
        if until == Until::Created
            && let Some((_, standing)) = known
        {
            return Some(standing.clone());
        }
        self.waiters
            .entry(on.clone())
            .or_default()
            .insert(waiter.id.clone(), until);
        self.awaited.entry(waiter.id.clone()).or_default().insert(on.clone());
        None
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
        let usable = matches!(standing.creation, Creation::Usable(_));
        let mut woken = Vec::new();
        for (waiter, until) in self.waiters.remove(&resource.id).unwrap_or_default() {
            let waits_on = self.stop_awaiting(&waiter, &resource.id);
            if !(waits_on && usable && until == Until::Created) {
                woken.push(waiter);
            }
        }
        // Nothing is made from the id of a VM.
        if usable && resource.item != Item::Vdu {
            self.usable
                .insert(resource.id.clone(), (resource.target.clone(), standing));
        } else {
            self.usable.remove(&resource.id);
        }
        woken
    }

    /// Somebody else has changed a document.
    pub(super) fn changed(&mut self, id: &ResourceId) {
        self.kept.remove(id);
        if let Some(live) = self.live.get_mut(id) {
            live.stale = true;
        }
    }

    /// Another host may drive the account.
    pub(super) fn forget_account(&mut self, target: &TargetId) {
        self.kept.retain(|_, resource| resource.target != *target);
        self.usable.retain(|_, (of, _)| of != target);
    }
}
