//! Many at once, and what listeners hear.

use std::time::Duration;

use tokio::task::JoinSet;
use vimhost_model::Item;

use super::Subject;
use super::sample::{accept, account, claim, commit, create, id, made, resource, target};
use crate::{Change, Error};

/// None is lost, none waits for another's conflict.
pub async fn distinct_resources_are_saved_side_by_side(subject: &mut dyn Subject) {
    let store = subject.store();
    let new = |n| resource(&format!("r-{n}"), "a", vec![create("ns", "act", n, Item::Net)]);
    let all = accept(&*store, "ns", "act", (0..50).map(new).collect()).await;
    let claim = claim(&*store, "a").await;
    let mut saves = JoinSet::new();
    for resource in all.clone() {
        let (store, claim) = (subject.store(), claim.clone());
        saves.spawn(async move {
            let vim_id = format!("vim-{}", resource.id);
            let mut resource = made(resource, &vim_id);
            for _ in 0..5 {
                resource.revision = store.save_resource(&claim, &resource, &[], &[]).await.unwrap();
                // Whoever was answered sees what it wrote.
                let read = store.resource(&resource.id).await.unwrap();
                assert_eq!(read.as_ref(), Some(&resource));
            }
        });
    }
    while let Some(saved) = saves.join_next().await {
        saved.unwrap();
    }
    for before in all {
        let after = store.resource(&before.id).await.unwrap().unwrap();
        assert_eq!(after.revision, before.revision + 5);
    }
}

/// The other one is told to read again.
pub async fn of_two_saves_of_one_revision_one_wins(subject: &mut dyn Subject) {
    let store = subject.store();
    let net = resource("net", "a", vec![create("ns", "act", 0, Item::Net)]);
    let mut net = accept(&*store, "ns", "act", vec![net]).await.remove(0);
    let claim = claim(&*store, "a").await;
    for round in 0..20 {
        let save = |vim_id: String| {
            let (store, claim, net) = (subject.store(), claim.clone(), net.clone());
            tokio::spawn(async move {
                let saved = made(net, &vim_id);
                (store.save_resource(&claim, &saved, &[], &[]).await, vim_id)
            })
        };
        let (one, two) = (save(format!("one-{round}")), save(format!("two-{round}")));
        let (one, two) = (one.await.unwrap(), two.await.unwrap());
        let (winner, loser) = if one.0.is_ok() { (one, two) } else { (two, one) };
        assert_eq!(winner.0.unwrap(), net.revision + 1);
        assert!(matches!(loser.0, Err(Error::Conflict { .. })), "{:?}", loser.0);
        net = store.resource(&id("net")).await.unwrap().unwrap();
        assert_eq!(net.vim.vim_id, Some(id(&winner.1)));
    }
}

/// Two requests for one service are planned one after the other.
pub async fn of_many_commits_on_one_plan_one_wins(subject: &mut dyn Subject) {
    let mut commits = JoinSet::new();
    for n in 0..10 {
        let store = subject.store();
        commits.spawn(async move {
            let action = format!("act-{n}");
            let net = resource(&format!("net-{n}"), "a", vec![create("ns", &action, 0, Item::Net)]);
            store.commit_action(commit("ns", &action, 0, vec![net])).await
        });
    }
    let mut accepted = 0;
    while let Some(outcome) = commits.join_next().await {
        match outcome.unwrap() {
            Ok(_) => accepted += 1,
            Err(error) => assert!(matches!(error, Error::Conflict { .. }), "{error:?}"),
        }
    }
    assert_eq!(accepted, 1);
    let store = subject.store();
    assert_eq!(store.resources_of(&id("ns")).await.unwrap().len(), 1);
    assert_eq!(store.service_revision(&id("ns")).await.unwrap(), 1);
}

/// One hint per kind of change; a listener gets those from when it began to listen.
pub async fn changes_are_told(subject: &mut dyn Subject) {
    let store = subject.store();
    let mut changes = store.changes();
    store.put_account(account("a"), None).await.unwrap();
    let net = resource("net", "a", vec![create("ns", "act", 0, Item::Net)]);
    let net = accept(&*store, "ns", "act", vec![net]).await.remove(0);
    let mut late = store.changes();
    let claim = claim(&*store, "a").await;
    store.save_resource(&claim, &net, &[], &[]).await.unwrap();
    store.delete_account(&target("a"), 1).await.unwrap();
    store.put_account(account("a"), None).await.unwrap();

    let action = Change::Action(id("ns"), id("act"));
    let moved = Change::Resource(target("a"), id("net"));
    let edited = Change::Account(target("a"));
    for expected in [edited.clone(), action.clone(), moved.clone()] {
        wait_for(&mut changes, &expected).await;
    }
    wait_for(&mut late, &moved).await;
    wait_for(&mut late, &edited).await;
    let mut later = store.changes();
    let over = resource("over", "a", Vec::from([finished()]));
    accept(&*store, "ns3", "act", vec![over]).await;
    store.forget_service(&id("ns3")).await.unwrap();
    wait_for(&mut later, &Change::Forgotten(id("ns3"))).await;
}

/// A listener may begin while a write is under way: it sees the write, or is told of it.
pub async fn who_listens_and_then_looks_misses_nothing(subject: &mut dyn Subject) {
    let store = subject.store();
    let net = resource("net", "a", vec![create("ns", "act", 0, Item::Net)]);
    let mut net = accept(&*store, "ns", "act", vec![net]).await.remove(0);
    let claim = claim(&*store, "a").await;
    for _ in 0..100 {
        let (writer, saved, of) = (subject.store(), net.clone(), claim.clone());
        let saving = tokio::spawn(async move { writer.save_resource(&of, &saved, &[], &[]).await });
        tokio::task::yield_now().await;
        let mut changes = store.changes();
        let seen = store.resource(&net.id).await.unwrap().unwrap().revision;
        if seen == net.revision {
            wait_for(&mut changes, &Change::Resource(target("a"), id("net"))).await;
        }
        net.revision = saving.await.unwrap().unwrap();
    }
}

fn finished() -> vimhost_model::Task {
    let mut task = create("ns3", "act", 0, Item::Net);
    task.status = vimhost_model::TaskStatus::Finished;
    task
}

pub(super) async fn wait_for(changes: &mut tokio::sync::broadcast::Receiver<Change>, expected: &Change) {
    let found = async { while changes.recv().await.unwrap() != *expected {} };
    // Change streams of a replicated store may take a second; how long the write takes that is told depends on the disk.
    let waited = tokio::time::timeout(Duration::from_secs(60), found).await;
    assert!(waited.is_ok(), "no hint of {expected:?}");
}

/// Also when it is empty.
pub async fn a_healthy_store_answers_a_ping(subject: &mut dyn Subject) {
    subject.store().ping().await.unwrap();
    subject.store().ping().await.unwrap();
}
