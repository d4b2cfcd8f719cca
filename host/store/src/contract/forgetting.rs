//! Forgetting a service.

use vimhost_model::{Item, TaskAction, TaskStatus};

use super::Subject;
use super::sample::{accept, claim, commit, create, id, made, resource, target, task};
use crate::{JournalWrite, KeyPair, ResourceUpdate, SealedText, Store};

async fn keep_a_pair(store: &dyn Store) {
    let pair = KeyPair {
        public_key: "ssh-ed25519 x".to_owned(),
        private_key: SealedText("v1.key.x".to_owned()),
    };
    store.keep_key_pair(&id("ns"), pair).await.unwrap();
}

/// Tasks, resources, headers, key pair, planning revision; a second time there is nothing.
pub async fn a_forgotten_service_leaves_nothing_behind(subject: &mut dyn Subject) {
    let store = subject.store();
    keep_a_pair(&*store).await;
    let mut over = create("ns", "act", 0, Item::Net);
    over.status = TaskStatus::Finished;
    over.common_id = Some("shared".to_owned());
    let mut net = resource("net", "a", vec![over]);
    net.uses = vec![id("used")];
    accept(&*store, "ns", "act", vec![net]).await;
    let mut failed = create("ns2", "act", 0, Item::Net);
    failed.status = TaskStatus::Failed;
    accept(&*store, "ns2", "act", vec![resource("theirs", "a", vec![failed])]).await;

    assert!(store.forget_service(&id("ns")).await.unwrap());
    assert_eq!(store.resource(&id("net")).await.unwrap(), None);
    assert_eq!(store.resources_of(&id("ns")).await.unwrap(), []);
    assert_eq!(store.action(&id("ns"), &id("act")).await.unwrap(), None);
    assert_eq!(store.actions(Some(&id("ns")), None, 9).await.unwrap().entries, []);
    assert_eq!(store.key_pair(&id("ns")).await.unwrap(), None);
    assert_eq!(store.service_revision(&id("ns")).await.unwrap(), 0);
    assert!(!store.forget_service(&id("ns")).await.unwrap());

    assert!(store.resource(&id("theirs")).await.unwrap().is_some());
    assert!(store.action(&id("ns2"), &id("act")).await.unwrap().is_some());
    // The name is free again.
    let net = resource("net", "a", vec![create("ns", "act", 0, Item::Net)]);
    accept(&*store, "ns", "act", vec![net]).await;
}

/// Made by us, announced, or with work outstanding: nothing is orphaned silently.
pub async fn what_may_exist_is_not_forgotten(subject: &mut dyn Subject) {
    let store = subject.store();
    keep_a_pair(&*store).await;
    let new = |name: &str, n| resource(name, "a", vec![create("ns", "act", n, Item::Net)]);
    let all = vec![new("made", 0), new("announced", 1), new("open", 2), new("gone", 3)];
    let all = accept(&*store, "ns", "act", all).await;
    let claim = claim(&*store, "a").await;
    store
        .save_resource(&claim, &made(all[0].clone(), "vim-net"), &[], &[])
        .await
        .unwrap();
    let begin = JournalWrite::Begin {
        kind: "net".to_owned(),
        token: "t".to_owned(),
        at: vimhost_model::Timestamp(1000),
    };
    store.write_journal(&claim, &id("announced"), &[begin]).await.unwrap();
    for index in [1, 3] {
        let mut failed = all[index].clone();
        failed.tasks[0].status = TaskStatus::Failed;
        store.save_resource(&claim, &failed, &[], &[]).await.unwrap();
    }

    assert!(store.forget_service(&id("ns")).await.unwrap());
    assert_eq!(store.key_pair(&id("ns")).await.unwrap(), None);
    assert_eq!(store.action(&id("ns"), &id("act")).await.unwrap(), None);
    assert_eq!(store.resource(&id("gone")).await.unwrap(), None);
    for kept in ["made", "announced", "open"] {
        let resource = store.resource(&id(kept)).await.unwrap().unwrap();
        assert_eq!(resource.tasks.len(), 1, "{kept}");
    }
    assert_eq!(store.resources_of(&id("ns")).await.unwrap().len(), 3);
    let open = store.unsettled(&target("a"), None, 9).await.unwrap();
    assert_eq!(open.entries.len(), 1);
}

/// A shared element goes on for the others.
pub async fn what_others_hold_loses_only_the_tasks_of_the_service(subject: &mut dyn Subject) {
    let store = subject.store();
    let net = resource("net", "a", vec![create("ns", "act", 0, Item::Net)]);
    let net = accept(&*store, "ns", "act", vec![net]).await.remove(0);
    let claim = claim(&*store, "a").await;
    let revision = store
        .save_resource(&claim, &made(net, "vim-net"), &[], &[])
        .await
        .unwrap();
    let mut theirs = commit("ns2", "act", 0, Vec::new());
    theirs.updates = vec![ResourceUpdate {
        resource: id("net"),
        expected: revision,
        tasks: vec![create("ns2", "act", 0, Item::Net)],
        uses: Vec::new(),
    }];
    store.commit_action(theirs).await.unwrap();
    let mut ours = commit("ns", "act-2", 1, Vec::new());
    ours.updates = vec![ResourceUpdate {
        resource: id("net"),
        expected: revision + 1,
        tasks: vec![task("ns", "act-2", 0, TaskAction::Delete, Item::Net)],
        uses: Vec::new(),
    }];
    store.commit_action(ours).await.unwrap();

    assert!(store.forget_service(&id("ns")).await.unwrap());
    let left = store.resource(&id("net")).await.unwrap().unwrap();
    assert!(left.revision > revision + 2);
    assert_eq!(left.tasks.len(), 1);
    assert_eq!(left.tasks[0].nsr_id, id("ns2"));
    assert_eq!(left.vim.vim_id, Some(id("vim-net")));
    assert_eq!(store.resources_of(&id("ns")).await.unwrap(), []);
    assert_eq!(store.resources_of(&id("ns2")).await.unwrap(), [left]);
}
