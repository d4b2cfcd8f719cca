//! VNF instances, and what is done to them.

pub(super) mod data;
mod lists;

use std::sync::Arc;

use serde_json::json;
use tokio::task::JoinSet;
use vimhost_model::vnf::{EventKind, LcmEvent, OperationState, ProblemDetails};
use vimhost_model::{Timestamp, VnfInstanceId, VnfLcmOpOccId};

use super::concurrency::wait_for;
use super::sample::{NOW, account, claim, id, minutes, target};
use super::{Subject, every_page};
use crate::{Change, Error, InstanceWrite, ListQuery, Store};

use self::data::{
    DONE, begin, begun, end_with, enter, entered, instance, instantiated, is_conflict, is_fenced, is_missing, object,
    op_occ, read, with_account,
};
pub use self::lists::{
    a_package_is_in_use_while_an_instance_is_of_it, an_entry_of_a_list_is_the_document_in_two_parts,
    instances_are_found_by_their_account, instances_are_listed_by_id_a_page_at_a_time,
    occurrences_are_listed_by_id_a_page_at_a_time,
};

/// With what is vimhost's own; a second one of the id is refused.
pub async fn an_instance_is_added_once_and_comes_back_whole(subject: &mut dyn Subject) {
    {
        let store = subject.store();
        assert_eq!(store.vnf_instance(&id("i")).await.unwrap(), None);
        store.add_vnf_instance(&instantiated("i", "a"), &[]).await.unwrap();
        store.add_vnf_instance(&instance("plain"), &[]).await.unwrap();
        let taken = store.add_vnf_instance(&instance("i"), &[]).await;
        assert!(is_conflict(&taken), "{taken:?}");
    }
    subject.reopen().await;
    for mut expected in [instantiated("i", "a"), instance("plain")] {
        expected.own.revision = 1;
        let kept = subject.store().vnf_instance(&expected.id).await.unwrap();
        assert_eq!(kept, Some(expected));
    }
}

/// Not while an operation has it, not when somebody changed it. What was done to it stays.
pub async fn an_instance_is_deleted_while_it_is_free_at_the_revision_it_was_read_at(subject: &mut dyn Subject) {
    let store = subject.store();
    let nobody = store.delete_vnf_instance(&id("i"), 1, &[]).await;
    assert!(is_missing(&nobody), "{nobody:?}");
    let mut done = begun(&*store, "i", None).await;
    let locked = read(&*store, "i").await.own.revision;
    let refused = store.delete_vnf_instance(&id("i"), locked, &[]).await;
    assert!(is_conflict(&refused), "{refused:?}");

    enter(&*store, &mut done, &DONE, InstanceWrite::Release).await;
    let free = read(&*store, "i").await.own.revision;
    for stale in [1, free + 1] {
        let refused = store.delete_vnf_instance(&id("i"), stale, &[]).await;
        assert!(is_conflict(&refused), "{refused:?}");
    }
    store.delete_vnf_instance(&id("i"), free, &[]).await.unwrap();
    assert_eq!(store.vnf_instance(&id("i")).await.unwrap(), None);
    assert_eq!(store.op_occ(&id("i")).await.unwrap(), Some(done));
    let again = store.delete_vnf_instance(&id("i"), free, &[]).await;
    assert!(is_missing(&again), "{again:?}");
}

/// The occurrence is there as accepted, its instance is locked by it; both also after a restart.
pub async fn an_operation_is_accepted_and_locks_its_instance(subject: &mut dyn Subject) {
    let mut accepted = op_occ("o", "i", Some("a"));
    {
        let store = subject.store();
        store.add_vnf_instance(&instantiated("i", "a"), &[]).await.unwrap();
        let before = read(&*store, "i").await.own.revision;
        with_account(&*store, &accepted).await;
        store.begin_operation(&accepted, before, &[]).await.unwrap();
        for revision in [before, read(&*store, "i").await.own.revision] {
            let second = store
                .begin_operation(&op_occ("second", "i", Some("a")), revision, &[])
                .await;
            assert!(is_conflict(&second), "{second:?}");
        }
        assert_eq!(store.op_occ(&id("second")).await.unwrap(), None);
    }
    subject.reopen().await;
    let store = subject.store();
    accepted.own.revision = 1;
    assert_eq!(store.op_occ(&id("o")).await.unwrap(), Some(accepted));
    let locked = read(&*store, "i").await;
    let mut expected = instantiated("i", "a");
    expected.own.operation = Some(id("o"));
    expected.own.revision = locked.own.revision;
    assert_eq!(locked, expected);
}

/// The others are told to look again, and leave nothing behind.
pub async fn of_many_operations_on_one_instance_one_begins(subject: &mut dyn Subject) {
    let store = subject.store();
    store.add_vnf_instance(&instance("i"), &[]).await.unwrap();
    let revision = read(&*store, "i").await.own.revision;
    let mut begins = JoinSet::new();
    for n in 0..10 {
        let store = subject.store();
        begins.spawn(async move {
            let op_occ = op_occ(&format!("o-{n}"), "i", None);
            (store.begin_operation(&op_occ, revision, &[]).await, op_occ.id)
        });
    }
    let mut won = Vec::new();
    while let Some(outcome) = begins.join_next().await {
        let (begun, op_occ) = outcome.unwrap();
        match begun {
            Ok(()) => won.push(op_occ),
            Err(error) => assert!(matches!(error, Error::Conflict { .. }), "{error:?}"),
        }
    }
    let [winner] = <[VnfLcmOpOccId; 1]>::try_from(won).unwrap();
    assert_eq!(read(&*store, "i").await.own.operation.as_ref(), Some(&winner));
    let kept = store.op_occs(&ListQuery::default(), None, 100).await.unwrap();
    let kept: Vec<&str> = kept.entries.iter().map(|entry| entry.id.as_str()).collect();
    assert_eq!(kept, [winner.as_str()]);
}

/// It was decided on what is no more.
pub async fn an_operation_on_an_instance_that_was_changed_is_refused(subject: &mut dyn Subject) {
    let store = subject.store();
    let nobody = store.begin_operation(&op_occ("o", "i", None), 1, &[]).await;
    assert!(is_missing(&nobody), "{nobody:?}");
    store.add_vnf_instance(&instance("i"), &[]).await.unwrap();
    let old = read(&*store, "i").await.own.revision;
    let mut first = begin(&*store, &op_occ("first", "i", None)).await;
    end_with(&*store, &mut first, |instance| {
        instance.metadata = Some(object(json!({"changed": true})));
    })
    .await;

    let stale = store.begin_operation(&op_occ("o", "i", None), old, &[]).await;
    assert!(is_conflict(&stale), "{stale:?}");
    assert_eq!(store.op_occ(&id("o")).await.unwrap(), None);
    let now = read(&*store, "i").await;
    assert_eq!(now.own.operation, None);
    assert!(now.own.revision > old);
    // Nor does one take the id of another.
    let taken = store
        .begin_operation(&op_occ("first", "i", None), now.own.revision, &[])
        .await;
    assert!(is_conflict(&taken), "{taken:?}");
    assert_eq!(read(&*store, "i").await, now);
    begin(&*store, &op_occ("o", "i", None)).await;
}

/// From the mark on, also where operations were accepted there before; without it they are accepted again, and not when the account is gone.
pub async fn an_operation_on_an_account_that_is_removed_is_refused(subject: &mut dyn Subject) {
    let store = subject.store();
    let mut before = begun(&*store, "i", Some("a")).await;
    enter(&*store, &mut before, &DONE, InstanceWrite::Release).await;
    store.add_vnf_instance(&instance("fresh"), &[]).await.unwrap();
    let mut cloud = store.account(&target("a")).await.unwrap().unwrap();
    let refused = async || {
        for name in ["i", "fresh"] {
            let free = read(&*store, name).await;
            let next = op_occ(&format!("next-{name}"), name, Some("a"));
            let refused = store.begin_operation(&next, free.own.revision, &[]).await;
            assert!(is_conflict(&refused), "{name}: {refused:?}");
            assert_eq!(store.op_occ(&next.id).await.unwrap(), None);
            assert_eq!(read(&*store, name).await, free);
        }
    };
    cloud.removing = true;
    cloud.revision = store.put_account(cloud.clone(), Some(cloud.revision)).await.unwrap();
    refused().await;
    // What is on no account or on another one is no business of this one.
    let mut elsewhere = begun(&*store, "elsewhere", Some("b")).await;
    enter(&*store, &mut elsewhere, &DONE, InstanceWrite::Release).await;
    begun(&*store, "nowhere", None).await;

    cloud.removing = false;
    cloud.revision = store.put_account(cloud.clone(), Some(cloud.revision)).await.unwrap();
    let mut again = begin(&*store, &op_occ("again", "i", Some("a"))).await;
    enter(&*store, &mut again, &DONE, InstanceWrite::Release).await;
    cloud.removing = true;
    let marked = store.put_account(cloud.clone(), Some(cloud.revision)).await.unwrap();
    store.delete_account(&target("a"), marked).await.unwrap();
    refused().await;
}

/// The operation is there when the account was marked, or it never is.
pub async fn of_an_operation_and_the_removal_of_its_account_one_is_refused(subject: &mut dyn Subject) {
    for round in 0..20 {
        let store = subject.store();
        let (name, vnf) = (format!("a-{round}"), format!("i-{round}"));
        store.put_account(account(&name), None).await.unwrap();
        store.add_vnf_instance(&instance(&vnf), &[]).await.unwrap();
        let op_occ = op_occ(&vnf, &vnf, Some(&name));
        let beginning = tokio::spawn(async move { store.begin_operation(&op_occ, 1, &[]).await });
        let store = subject.store();
        let marked = crate::StoredAccount {
            removing: true,
            ..account(&name)
        };
        let marked = store.put_account(marked, Some(1)).await.unwrap();
        let running = store.running_op_occs(Some(&target(&name)), None, 1).await.unwrap();
        if running.entries.is_empty() {
            store.delete_account(&target(&name), marked).await.unwrap();
        }
        let begun = beginning.await.unwrap();
        assert_eq!(begun.is_ok(), !running.entries.is_empty(), "round {round}: {begun:?}");
    }
}

/// Reads until the operation is over: whoever sees the end sees the instance free and replaced, and the other way round.
async fn see_the_end(store: Arc<dyn Store>, instance: VnfInstanceId, op_occ: VnfLcmOpOccId, name: String) {
    loop {
        let before = store.vnf_instance(&instance).await.unwrap().unwrap();
        let seen = store.op_occ(&op_occ).await.unwrap().unwrap();
        let after = store.vnf_instance(&instance).await.unwrap().unwrap();
        for read in [&before, &after] {
            let replaced = read.vnf_instance_name.as_ref() == Some(&name);
            assert_eq!(replaced, read.own.operation.is_none());
        }
        let over = seen.operation_state == OperationState::Completed;
        assert!(
            over || before.own.operation.is_some(),
            "the instance is free before the end"
        );
        assert!(
            !over || after.own.operation.is_none(),
            "the instance is locked after the end"
        );
        if over {
            return;
        }
    }
}

/// Nobody sees one without the other.
pub async fn the_end_the_release_and_the_changed_instance_are_seen_together(subject: &mut dyn Subject) {
    let store = subject.store();
    store.add_vnf_instance(&instance("i"), &[]).await.unwrap();
    for round in 0..10 {
        let occurrence = op_occ(&format!("o-{round}"), "i", None);
        let mut occurrence = begin(&*store, &occurrence).await;
        enter(&*store, &mut occurrence, &DONE[..1], InstanceWrite::None).await;
        let mut changed = read(&*store, "i").await;
        let name = format!("round {round}");
        changed.vnf_instance_name = Some(name.clone());
        changed.own.operation = None;
        let reader = tokio::spawn(see_the_end(
            subject.store(),
            changed.id.clone(),
            occurrence.id.clone(),
            name,
        ));
        tokio::task::yield_now().await;
        let replace = InstanceWrite::Replace(Box::new(changed));
        enter(&*store, &mut occurrence, &DONE[1..], replace).await;
        reader.await.unwrap();
    }
}

/// Only the lock is gone.
pub async fn a_released_instance_is_otherwise_as_it_was(subject: &mut dyn Subject) {
    let store = subject.store();
    store.add_vnf_instance(&instantiated("i", "a"), &[]).await.unwrap();
    let mut occurrence = begin(&*store, &op_occ("o", "i", Some("a"))).await;
    enter(&*store, &mut occurrence, &DONE[..1], InstanceWrite::None).await;
    let mut expected = read(&*store, "i").await;
    assert_eq!(expected.own.operation, Some(id("o")));
    enter(&*store, &mut occurrence, &DONE[1..], InstanceWrite::Release).await;
    let free = read(&*store, "i").await;
    assert!(free.own.revision > expected.own.revision);
    expected.own.operation = None;
    expected.own.revision = free.own.revision;
    assert_eq!(free, expected);
}

/// An operation may change its instance and go on: it stays locked.
pub async fn an_instance_is_replaced_under_its_lock(subject: &mut dyn Subject) {
    let store = subject.store();
    let mut occurrence = begun(&*store, "i", Some("a")).await;
    let mut changed = instantiated("i", "a");
    changed.own.operation = Some(occurrence.id.clone());
    changed.own.revision = read(&*store, "i").await.own.revision;
    let write = InstanceWrite::Replace(Box::new(changed.clone()));
    enter(&*store, &mut occurrence, &DONE[..1], write.clone()).await;
    let kept = read(&*store, "i").await;
    assert!(kept.own.revision > changed.own.revision);
    // What was read before is old: neither is written.
    let mut late = occurrence.clone();
    late.enter(OperationState::Completed, NOW).unwrap();
    let refused = store.save_op_occ(None, &late, write, &[]).await;
    assert!(is_conflict(&refused), "{refused:?}");
    assert_eq!(store.op_occ(&id("i")).await.unwrap(), Some(occurrence));
    changed.own.revision = kept.own.revision;
    assert_eq!(kept, changed);
    assert_eq!(read(&*store, "i").await, changed);
}

/// Neither the occurrence nor the instance.
pub async fn an_occurrence_is_saved_at_the_revision_it_was_read_at(subject: &mut dyn Subject) {
    let store = subject.store();
    let old = begun(&*store, "i", None).await;
    let mut kept = old.clone();
    kept.enter(OperationState::Processing, minutes(1)).unwrap();
    kept.error = Some(ProblemDetails::titled(500, "Stack", "no quota"));
    kept.changed_info = Some(object(json!({"vnfInstanceName": "n"})));
    kept.own.attempt = 2;
    kept.own.work = json!({"steps": ["create"], "journal": {"stack": null}});
    kept.own.revision = store.save_op_occ(None, &kept, InstanceWrite::None, &[]).await.unwrap();
    assert_eq!(kept.own.revision, old.own.revision + 1);

    let locked = read(&*store, "i").await;
    let mut ended = old.clone();
    ended.enter(OperationState::RolledBack, NOW).unwrap();
    for stale in [&old, &ended] {
        let refused = store.save_op_occ(None, stale, InstanceWrite::Release, &[]).await;
        assert!(is_conflict(&refused), "{refused:?}");
    }
    let unknown = op_occ("unknown", "i", None);
    let nobody = store.save_op_occ(None, &unknown, InstanceWrite::Release, &[]).await;
    assert!(is_missing(&nobody), "{nobody:?}");
    assert_eq!(store.op_occ(&unknown.id).await.unwrap(), None);
    assert_eq!(read(&*store, "i").await, locked);
    drop(store);
    subject.reopen().await;
    assert_eq!(subject.store().op_occ(&id("i")).await.unwrap(), Some(kept));
}

/// Whoever drives the account now writes; what a client decides needs no claim.
pub async fn an_occurrence_is_not_saved_under_an_old_claim(subject: &mut dyn Subject) {
    let store = subject.store();
    let mut occurrence = begun(&*store, "i", Some("a")).await;
    let old = claim(&*store, "a").await;
    occurrence.enter(OperationState::Processing, NOW).unwrap();
    occurrence.own.revision = store
        .save_op_occ(Some(&old), &occurrence, InstanceWrite::None, &[])
        .await
        .unwrap();
    let new = store
        .claim_account(&target("a"), &id("two"), minutes(2), minutes(3))
        .await
        .unwrap();
    let elsewhere = claim(&*store, "b").await;
    let locked = read(&*store, "i").await;
    let mut ended = occurrence.clone();
    ended.enter(OperationState::Completed, NOW).unwrap();
    for over in [&old, &elsewhere] {
        let refused = store.save_op_occ(Some(over), &ended, InstanceWrite::Release, &[]).await;
        assert!(is_fenced(&refused), "{refused:?}");
    }
    assert_eq!(store.op_occ(&id("i")).await.unwrap().as_ref(), Some(&occurrence));
    assert_eq!(read(&*store, "i").await, locked);

    occurrence.enter(OperationState::FailedTemp, NOW).unwrap();
    occurrence.own.revision = store
        .save_op_occ(Some(&new), &occurrence, InstanceWrite::None, &[])
        .await
        .unwrap();
    enter(
        &*store,
        &mut occurrence,
        &[OperationState::Failed],
        InstanceWrite::Release,
    )
    .await;
    assert_eq!(read(&*store, "i").await.own.operation, None);
}

async fn running(store: &dyn Store, account: Option<&str>) -> Vec<String> {
    let account = account.map(target);
    let read = async |after: Option<String>, limit| {
        let after = after.as_deref();
        store.running_op_occs(account.as_ref(), after, limit).await
    };
    let found = every_page(2, read).await;
    for id in &found {
        let op_occ = store.op_occ(id).await.unwrap().unwrap();
        assert!(op_occ.operation_state.is_running(), "{op_occ:?}");
    }
    found.iter().map(ToString::to_string).collect()
}

/// By account and without one; not when they are over, nor while a client is to decide.
pub async fn running_occurrences_are_found_also_after_a_restart(subject: &mut dyn Subject) {
    use OperationState::{FailedTemp, Processing, RolledBack, RollingBack};
    let store = subject.store();
    for name in ["d", "b", "a", "c", "over", "failed", "undone", "undoing"] {
        begun(&*store, name, Some("busy")).await;
    }
    begun(&*store, "elsewhere", Some("other")).await;
    begun(&*store, "quiet", Some("quiet")).await;
    begun(&*store, "nowhere", None).await;
    let moves: [(&str, &[OperationState], InstanceWrite); 7] = [
        ("b", &[Processing], InstanceWrite::None),
        ("over", &DONE, InstanceWrite::Release),
        ("failed", &[Processing, FailedTemp], InstanceWrite::None),
        ("undone", &[RolledBack], InstanceWrite::Release),
        ("undoing", &[Processing, FailedTemp, RollingBack], InstanceWrite::None),
        ("c", &[Processing, FailedTemp, Processing], InstanceWrite::None),
        ("quiet", &DONE, InstanceWrite::Release),
    ];
    for (name, states, last) in moves {
        let mut occurrence = store.op_occ(&id(name)).await.unwrap().unwrap();
        enter(&*store, &mut occurrence, states, last).await;
    }
    drop(store);
    for restarted in [false, true] {
        if restarted {
            subject.reopen().await;
        }
        let store = subject.store();
        assert_eq!(running(&*store, Some("busy")).await, ["a", "b", "c", "d", "undoing"]);
        assert_eq!(running(&*store, Some("other")).await, ["elsewhere"]);
        assert_eq!(running(&*store, None).await, ["nowhere"]);
        assert!(running(&*store, Some("quiet")).await.is_empty());
        let mut targets = store.targets_with_op_occs().await.unwrap();
        targets.sort();
        assert_eq!(targets, [target("busy"), target("other")]);
    }
}

/// In the order of the changes; a refused change tells nothing.
pub async fn events_are_pending_with_the_change_they_tell_of(subject: &mut dyn Subject) {
    let told = instance("i");
    let created = LcmEvent::of(&told, NOW, EventKind::IdentifierCreation);
    let deleted = LcmEvent::of(&told, minutes(9), EventKind::IdentifierDeletion);
    let mut occurrence = op_occ("o", "i", None);
    let mut expected = vec![created.clone(), entered(&told, &occurrence)];
    {
        let store = subject.store();
        let of_accepted = expected[1..].to_vec();
        store.add_vnf_instance(&told, &expected[..1]).await.unwrap();
        let again = store.add_vnf_instance(&told, &[created]).await;
        assert!(is_conflict(&again), "{again:?}");
        let early = store.begin_operation(&occurrence, 7, &of_accepted).await;
        assert!(is_conflict(&early), "{early:?}");
        store.begin_operation(&occurrence, 1, &of_accepted).await.unwrap();
        occurrence.own.revision = 1;
        for (number, state) in DONE.into_iter().enumerate() {
            let mut stale = occurrence.clone();
            stale.own.revision += 1;
            occurrence.enter(state, minutes(1)).unwrap();
            let entered = entered(&told, &occurrence);
            let refused = store
                .save_op_occ(None, &stale, InstanceWrite::Release, std::slice::from_ref(&entered))
                .await;
            assert!(is_conflict(&refused), "{refused:?}");
            let write = [InstanceWrite::None, InstanceWrite::Release][number].clone();
            occurrence.own.revision = store
                .save_op_occ(None, &occurrence, write, std::slice::from_ref(&entered))
                .await
                .unwrap();
            expected.push(entered);
        }
        let free = read(&*store, "i").await.own.revision;
        let refused = store
            .delete_vnf_instance(&id("i"), free + 1, std::slice::from_ref(&deleted))
            .await;
        assert!(is_conflict(&refused), "{refused:?}");
        let both = [deleted.clone(), deleted.clone()];
        store.delete_vnf_instance(&id("i"), free, &both).await.unwrap();
        expected.extend(both);
    }
    subject.reopen().await;
    let pending = subject.store().pending_events(100).await.unwrap();
    let numbers: Vec<_> = pending.iter().map(|pending| pending.number.clone()).collect();
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    let events: Vec<_> = pending.into_iter().map(|pending| pending.event.unwrap()).collect();
    assert_eq!(events, expected);
}

/// An occurrence that was accepted or moved, and that there are events.
pub async fn operations_and_their_events_are_told(subject: &mut dyn Subject) {
    let store = subject.store();
    let told = instance("i");
    let mut changes = store.changes();
    let created = LcmEvent::of(&told, NOW, EventKind::IdentifierCreation);
    store.add_vnf_instance(&told, &[created]).await.unwrap();
    wait_for(&mut changes, &Change::Events).await;

    let here = Change::OpOcc(Some(target("a")), id("o"));
    let mut occurrence = begin(&*store, &op_occ("o", "i", Some("a"))).await;
    wait_for(&mut changes, &here).await;
    let (mut changes, mut of_events) = (store.changes(), store.changes());
    occurrence.enter(OperationState::RolledBack, NOW).unwrap();
    let events = [entered(&told, &occurrence)];
    store
        .save_op_occ(None, &occurrence, InstanceWrite::Release, &events)
        .await
        .unwrap();
    wait_for(&mut changes, &here).await;
    wait_for(&mut of_events, &Change::Events).await;
    begin(&*store, &op_occ("nowhere", "i", None)).await;
    wait_for(&mut changes, &Change::OpOcc(None, id("nowhere"))).await;
}

/// Whoever takes up what runs hears of it, and of those behind it.
pub async fn an_occurrence_that_cannot_be_read_is_found_among_those_that_run(subject: &mut dyn Subject) {
    let store = subject.store();
    // A date in a year of five digits is written and not read again.
    let mut unreadable = op_occ("a", "a", Some("busy"));
    unreadable.start_time = Timestamp(1_000_000_000_000_000);
    store.add_vnf_instance(&instance("a"), &[]).await.unwrap();
    with_account(&*store, &unreadable).await;
    store.begin_operation(&unreadable, 1, &[]).await.unwrap();
    begun(&*store, "b", Some("busy")).await;
    let read = store.op_occ(&id("a")).await;
    assert!(matches!(read, Err(Error::Corrupt { .. })), "{read:?}");
    let found = store.running_op_occs(Some(&target("busy")), None, 9).await.unwrap();
    let expected: Vec<VnfLcmOpOccId> = vec![id("a"), id("b")];
    assert_eq!((found.entries, found.next), (expected, None));
}
