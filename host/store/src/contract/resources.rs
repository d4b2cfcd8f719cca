//! Saving resources, and what a host takes up at start.

use serde_json::json;
use vimhost_model::{Collection, FieldPath, Item, ItemList, RecordChange, TaskStatus};

use super::sample::{NOW, accept, claim, create, id, made, resource, target, vnfr};
use super::{Subject, every_page};
use crate::{Error, JournalWrite};

fn status(vm: &str, status: &str) -> RecordChange {
    let mut change = RecordChange::to_record(Collection::Vnfrs, id("ns-vnf"));
    change.item = Some((ItemList::Vdur, id(vm)));
    change.set = vec![(FieldPath::keys(["status"]), json!(status))];
    change
}

/// The answer is the next revision, the document is what was saved.
pub async fn a_save_changes_resource_and_records_in_one(subject: &mut dyn Subject) {
    let store = subject.store();
    store
        .put_record(Collection::Vnfrs, &id("ns-vnf"), vnfr("ns", &["a", "b"]), None)
        .await
        .unwrap();
    let vm = resource("vm", "a", vec![create("ns", "act", 0, Item::Vdu)]);
    let vm = accept(&*store, "ns", "act", vec![vm]).await.remove(0);
    let claim = claim(&*store, "a").await;
    let mut vm = made(vm, "vim-vm");
    vm.observed_unchanged = 3;
    vm.tasks[0].connector_state = Some(vec![0, 255]);
    let revision = store
        .save_resource(&claim, &vm, &[status("a", "ACTIVE"), status("b", "DOWN")], &[])
        .await
        .unwrap();
    assert_eq!(revision, vm.revision + 1);
    drop(store);
    subject.reopen().await;
    let store = subject.store();
    vm.revision = revision;
    assert_eq!(store.resource(&vm.id).await.unwrap(), Some(vm));
    let record = store.record(Collection::Vnfrs, &id("ns-vnf")).await.unwrap().unwrap();
    assert_eq!(record.document["vdur"][0]["status"], "ACTIVE");
    assert_eq!(record.document["vdur"][1]["status"], "DOWN");
}

/// Neither the resource nor the records.
pub async fn a_save_on_an_old_revision_changes_nothing(subject: &mut dyn Subject) {
    let store = subject.store();
    store
        .put_record(Collection::Vnfrs, &id("ns-vnf"), vnfr("ns", &["a"]), None)
        .await
        .unwrap();
    let vm = resource("vm", "a", vec![create("ns", "act", 0, Item::Vdu)]);
    let old = accept(&*store, "ns", "act", vec![vm]).await.remove(0);
    let claim = claim(&*store, "a").await;
    let mut kept = made(old.clone(), "vim-vm");
    kept.revision = store
        .save_resource(&claim, &kept, &[status("a", "ACTIVE")], &[])
        .await
        .unwrap();
    for stale in [old.clone(), made(old, "other")] {
        let refused = store.save_resource(&claim, &stale, &[status("a", "ERROR")], &[]).await;
        assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
    }
    assert_eq!(store.resource(&kept.id).await.unwrap().as_ref(), Some(&kept));
    let record = store.record(Collection::Vnfrs, &id("ns-vnf")).await.unwrap().unwrap();
    assert_eq!(record.document["vdur"][0]["status"], "ACTIVE");
}

/// Saving does not make a resource.
pub async fn a_save_of_a_missing_resource_is_refused(subject: &mut dyn Subject) {
    let store = subject.store();
    let claim = claim(&*store, "a").await;
    let vm = resource("vm", "a", vec![create("ns", "act", 0, Item::Vdu)]);
    let refused = store.save_resource(&claim, &vm, &[], &[]).await;
    assert!(matches!(refused, Err(Error::Missing { .. })), "{refused:?}");
    assert_eq!(store.resource(&id("vm")).await.unwrap(), None);
}

/// Those with open tasks, and those to be observed; not the idle ones.
pub async fn unsettled_resources_are_found_also_after_a_restart(subject: &mut dyn Subject) {
    let store = subject.store();
    let new = |name: &str, account: &str, n| resource(name, account, vec![create("ns", "act", n, Item::Net)]);
    let resources = vec![
        new("d-open", "a", 0),
        new("a-building", "a", 1),
        new("c-observed", "a", 2),
        new("b-idle", "a", 3),
        new("failed", "quiet", 4),
        new("elsewhere", "b", 5),
    ];
    let mut resources = accept(&*store, "ns", "act", resources).await;
    let on_a = claim(&*store, "a").await;
    let on_quiet = claim(&*store, "quiet").await;
    resources[1].tasks[0].status = TaskStatus::Build;
    resources[2] = made(resources[2].clone(), "x");
    resources[2].observe_at = Some(NOW);
    resources[3] = made(resources[3].clone(), "y");
    resources[4].tasks[0].status = TaskStatus::Failed;
    for saved in &resources[1..4] {
        store.save_resource(&on_a, saved, &[], &[]).await.unwrap();
    }
    store.save_resource(&on_quiet, &resources[4], &[], &[]).await.unwrap();
    let begin = JournalWrite::Begin {
        kind: "net".to_owned(),
        token: "t".to_owned(),
        at: vimhost_model::Timestamp(1000),
    };
    store.write_journal(&on_a, &id("a-building"), &[begin]).await.unwrap();
    drop(store);

    for restarted in [false, true] {
        if restarted {
            subject.reopen().await;
        }
        let store = subject.store();
        let page = store.unsettled(&target("a"), None, 2).await.unwrap();
        let mut found = page.entries;
        let page = store.unsettled(&target("a"), page.next.as_deref(), 2).await.unwrap();
        assert_eq!(page.next, None);
        found.extend(page.entries);
        let names: Vec<_> = found.iter().map(|resource| resource.id.as_str()).collect();
        assert_eq!(names, ["a-building", "c-observed", "d-open"]);
        assert_eq!(found[0].journal.len(), 1);
        let none = store.unsettled(&target("quiet"), None, 2).await.unwrap();
        assert_eq!((none.entries, none.next), (Vec::new(), None));
        let mut targets = store.targets_with_work().await.unwrap();
        targets.sort();
        assert_eq!(targets, [target("a"), target("b")]);
    }
}

/// By target and kind; only those with an id whose CREATE is DONE.
pub async fn live_elements_are_listed_a_page_at_a_time(subject: &mut dyn Subject) {
    let store = subject.store();
    let new = |name: &str, n, item| resource(name, "a", vec![create("ns", "act", n, item)]);
    let names = ["e", "a", "c", "b", "d"];
    let mut resources: Vec<_> = (0..).zip(names).map(|(n, name)| new(name, n, Item::Vdu)).collect();
    resources.push(new("net", 9, Item::Net));
    resources.push(new("new", 10, Item::Vdu));
    let claim = claim(&*store, "a").await;
    for resource in accept(&*store, "ns", "act", resources).await {
        if resource.id == id("new") {
            continue;
        }
        let vim_id = format!("vim-{}", resource.id);
        let mut resource = made(resource, &vim_id);
        if resource.id == id("d") {
            resource.tasks[0].status = TaskStatus::Build;
        }
        store.save_resource(&claim, &resource, &[], &[]).await.unwrap();
    }
    let read =
        async |after: Option<String>, limit| store.elements(&target("a"), Item::Vdu, after.as_deref(), limit).await;
    let found = every_page(3, read).await;
    for element in &found {
        assert_eq!(element.vim_id.as_str(), format!("vim-{}", element.resource));
    }
    let found: Vec<&str> = found.iter().map(|element| element.resource.as_str()).collect();
    assert_eq!(found, ["a", "b", "c", "e"]);
    let nets = store.elements(&target("a"), Item::Net, None, 3).await.unwrap();
    assert_eq!(nets.entries.len(), 1);
    let other = store.elements(&target("b"), Item::Vdu, None, 3).await.unwrap();
    assert_eq!(other.entries, []);
}

/// Made, or announced in a journal; those that were never begun do not keep anything from going.
pub async fn users_of_an_element_are_those_that_may_exist(subject: &mut dyn Subject) {
    let store = subject.store();
    let using = |name: &str, n| {
        let mut user = resource(name, "a", vec![create("ns", "act", n, Item::Vdu)]);
        user.uses = vec![id("net"), id("image")];
        user
    };
    let net = resource("net", "a", vec![create("ns", "act", 0, Item::Net)]);
    let all = vec![net, using("made", 1), using("announced", 2), using("planned", 3)];
    let all = accept(&*store, "ns", "act", all).await;
    let claim = claim(&*store, "a").await;
    let mut user = made(all[1].clone(), "vim-vm");
    user.revision = store.save_resource(&claim, &user, &[], &[]).await.unwrap();
    let begin = JournalWrite::Begin {
        kind: "server".to_owned(),
        token: "t".to_owned(),
        at: vimhost_model::Timestamp(1000),
    };
    let entry = store.write_journal(&claim, &id("announced"), &[begin]).await.unwrap();
    let sorted = |mut users: Vec<vimhost_model::ResourceId>| {
        users.sort();
        users
    };
    for used in ["net", "image"] {
        let users = store.users_of(&id(used)).await.unwrap();
        assert_eq!(sorted(users), [id("announced"), id("made")]);
    }
    let forget = JournalWrite::Forget {
        entry: entry.unwrap().id,
    };
    store.write_journal(&claim, &id("announced"), &[forget]).await.unwrap();
    user.vim.vim_id = None;
    user.vim.created = false;
    store.save_resource(&claim, &user, &[], &[]).await.unwrap();
    assert_eq!(store.users_of(&id("net")).await.unwrap(), []);
    assert_eq!(store.users_of(&id("made")).await.unwrap(), []);
}

/// One that was made, and one that failed with something announced; not one that failed without.
pub async fn a_target_holds_elements_until_the_last_is_gone(subject: &mut dyn Subject) {
    let store = subject.store();
    let new = |name: &str, n| resource(name, "a", vec![create("ns", "act", n, Item::Vdu)]);
    let mut all = accept(
        &*store,
        "ns",
        "act",
        vec![new("made", 0), new("begun", 1), new("failed", 2)],
    )
    .await;
    let claim = claim(&*store, "a").await;
    assert!(!store.holds_elements(&target("a")).await.unwrap());

    all[2].tasks[0].status = TaskStatus::Failed;
    store.save_resource(&claim, &all[2], &[], &[]).await.unwrap();
    assert!(!store.holds_elements(&target("a")).await.unwrap());

    let mut begun = all[1].clone();
    let begin = JournalWrite::Begin {
        kind: "server".to_owned(),
        token: "t".to_owned(),
        at: vimhost_model::Timestamp(1000),
    };
    begun
        .journal
        .extend(store.write_journal(&claim, &begun.id, &[begin]).await.unwrap());
    begun.tasks[0].status = TaskStatus::Failed;
    begun.revision = store.save_resource(&claim, &begun, &[], &[]).await.unwrap();
    assert!(store.holds_elements(&target("a")).await.unwrap());
    assert!(!store.holds_elements(&target("b")).await.unwrap());
    begun.journal.clear();
    store
        .save_resource(&claim, &begun, &[], &[JournalWrite::Drop { entry: 1 }])
        .await
        .unwrap();
    assert!(!store.holds_elements(&target("a")).await.unwrap());

    store
        .save_resource(&claim, &made(all[0].clone(), "vim-vm"), &[], &[])
        .await
        .unwrap();
    assert!(store.holds_elements(&target("a")).await.unwrap());
}
