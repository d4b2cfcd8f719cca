//! Acceptance of actions: as a whole or not at all.

use serde_json::json;
use vimhost_model::{Collection, FieldPath, Item, ItemList, RecordChange, TaskAction, TaskStatus};

use super::sample::{accept, commit, create, header, id, resource, task, vnfr};
use super::{Subject, every_page};
use crate::{Committed, Error, ResourceUpdate, Store};

fn mark(record: &str) -> RecordChange {
    let mut change = RecordChange::to_record(Collection::Vnfrs, id(record));
    change.set.push((FieldPath::keys(["marked"]), json!(true)));
    change
}

/// Header, resources, tasks, record changes, texts and planning revision appear together and survive a restart.
pub async fn an_action_is_committed_as_a_whole(subject: &mut dyn Subject) {
    let store = subject.store();
    assert_eq!(store.service_revision(&id("ns")).await.unwrap(), 0);
    store
        .put_record(Collection::Vnfrs, &id("ns-vnf"), vnfr("ns", &["a"]), None)
        .await
        .unwrap();
    let net = resource("net", "a", vec![create("ns", "act", 0, Item::Net)]);
    let mut vm = resource("vm", "a", vec![create("ns", "act", 1, Item::Vdu)]);
    vm.uses = vec![id("net")];
    let mut whole = commit("ns", "act", 0, vec![net.clone(), vm.clone()]);
    whole.record_changes = vec![mark("ns-vnf")];
    whole.texts = vec![
        ("digest".to_owned(), "#cloud-config".repeat(1000)),
        ("other".to_owned(), String::new()),
    ];
    assert_eq!(store.commit_action(whole).await.unwrap(), Committed::Accepted);
    drop(store);
    subject.reopen().await;

    let store = subject.store();
    assert_eq!(store.service_revision(&id("ns")).await.unwrap(), 1);
    let kept = store.action(&id("ns"), &id("act")).await.unwrap();
    assert_eq!(kept, Some(header("ns", "act", 2)));
    assert_eq!(store.action(&id("other"), &id("act")).await.unwrap(), None);
    let resources = store.resources_of_action(&id("ns"), &id("act")).await.unwrap();
    assert_eq!(resources.len(), 2);
    for mut expected in [net, vm] {
        let found = store.resource(&expected.id).await.unwrap().unwrap();
        expected.revision = crate::FIRST_REVISION;
        assert_eq!(found, expected);
        assert!(resources.contains(&found));
    }
    let record = store.record(Collection::Vnfrs, &id("ns-vnf")).await.unwrap().unwrap();
    assert_eq!(record.document["marked"], true);
    assert_eq!(
        store.text(&"digest".to_owned()).await.unwrap(),
        Some("#cloud-config".repeat(1000))
    );
    assert_eq!(store.text(&"other".to_owned()).await.unwrap(), Some(String::new()));
    assert_eq!(store.text(&"none".to_owned()).await.unwrap(), None);
}

/// The second one answers the header of the first and changes nothing, whatever it holds.
pub async fn the_same_action_twice_is_one_action(subject: &mut dyn Subject) {
    let store = subject.store();
    let net = resource("net", "a", vec![create("ns", "act", 0, Item::Net)]);
    store.commit_action(commit("ns", "act", 0, vec![net])).await.unwrap();
    let other = resource("other", "a", vec![create("ns", "act", 0, Item::Net)]);
    let mut again = commit("ns", "act", 0, vec![other]);
    again.updates = vec![ResourceUpdate {
        resource: id("nobody"),
        expected: 7,
        tasks: Vec::new(),
        uses: Vec::new(),
    }];
    assert_eq!(
        store.commit_action(again).await.unwrap(),
        Committed::Exists(header("ns", "act", 1))
    );
    assert_eq!(store.resource(&id("other")).await.unwrap(), None);
    assert_eq!(store.service_revision(&id("ns")).await.unwrap(), 1);
    // Another service may use the same id.
    let theirs = resource("theirs", "a", vec![create("ns2", "act", 0, Item::Net)]);
    assert_eq!(
        store
            .commit_action(commit("ns2", "act", 0, vec![theirs]))
            .await
            .unwrap(),
        Committed::Accepted
    );
}

/// Planning of one service is serialised by its planning revision.
pub async fn a_commit_on_an_old_plan_of_the_service_changes_nothing(subject: &mut dyn Subject) {
    let store = subject.store();
    let net = resource("net", "a", vec![create("ns", "act-1", 0, Item::Net)]);
    store.commit_action(commit("ns", "act-1", 0, vec![net])).await.unwrap();
    for revision in [0, 2] {
        let late = resource("late", "a", vec![create("ns", "act-2", 0, Item::Net)]);
        let mut late = commit("ns", "act-2", revision, vec![late]);
        late.texts = vec![("late".to_owned(), "text".to_owned())];
        let refused = store.commit_action(late).await;
        assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
    }
    assert_eq!(store.resource(&id("late")).await.unwrap(), None);
    assert_eq!(store.action(&id("ns"), &id("act-2")).await.unwrap(), None);
    assert_eq!(store.text(&"late".to_owned()).await.unwrap(), None);
    assert_eq!(store.service_revision(&id("ns")).await.unwrap(), 1);
}

async fn assert_untouched(store: &dyn Store, action: &str, before: &[vimhost_model::Resource]) {
    assert_eq!(store.action(&id("ns"), &id(action)).await.unwrap(), None);
    assert_eq!(store.resource(&id("new")).await.unwrap(), None);
    assert_eq!(store.text(&"new".to_owned()).await.unwrap(), None);
    assert_eq!(store.service_revision(&id("ns")).await.unwrap(), 1);
    assert_eq!(store.resources_of_action(&id("ns"), &id(action)).await.unwrap(), []);
    for resource in before {
        assert_eq!(store.resource(&resource.id).await.unwrap().as_ref(), Some(resource));
    }
    let record = store.record(Collection::Vnfrs, &id("ns-vnf")).await.unwrap().unwrap();
    assert_eq!(record.document, vnfr("ns", &["a"]));
}

async fn three_nets(store: &dyn Store) -> Vec<vimhost_model::Resource> {
    store
        .put_record(Collection::Vnfrs, &id("ns-vnf"), vnfr("ns", &["a"]), None)
        .await
        .unwrap();
    let net = |n| resource(&format!("net-{n}"), "a", vec![create("ns", "act-1", n, Item::Net)]);
    accept(store, "ns", "act-1", (0..3).map(net).collect()).await
}

fn deletions(action: &str, resources: &[vimhost_model::Resource]) -> crate::ActionCommit {
    let new = resource("new", "a", vec![create("ns", action, 9, Item::Net)]);
    let mut deletions = commit("ns", action, 1, vec![new]);
    deletions.record_changes = vec![mark("ns-vnf")];
    deletions.texts = vec![("new".to_owned(), "text".to_owned())];
    for (n, resource) in (0..).zip(resources) {
        deletions.updates.push(ResourceUpdate {
            resource: resource.id.clone(),
            expected: resource.revision,
            tasks: vec![task("ns", action, n, TaskAction::Delete, Item::Net)],
            uses: Vec::new(),
        });
    }
    deletions
}

/// One of several resources was changed since the plan was made.
pub async fn a_commit_on_one_old_resource_changes_nothing(subject: &mut dyn Subject) {
    let store = subject.store();
    let nets = three_nets(&*store).await;
    for stale in 0..3 {
        let mut commit = deletions("act-2", &nets);
        commit.updates[stale].expected += 1;
        let refused = store.commit_action(commit).await;
        assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
        assert_untouched(&*store, "act-2", &nets).await;
    }
    assert_eq!(
        store.commit_action(deletions("act-2", &nets)).await.unwrap(),
        Committed::Accepted
    );
    for net in &nets {
        let found = store.resource(&net.id).await.unwrap().unwrap();
        assert!(found.revision > net.revision);
        assert_eq!(found.tasks.len(), 2);
    }
}

/// One of several resources was dropped since, or a new one has an id that is taken.
pub async fn a_commit_on_a_missing_or_doubled_resource_changes_nothing(subject: &mut dyn Subject) {
    let store = subject.store();
    let nets = three_nets(&*store).await;
    let mut missing = deletions("act-2", &nets);
    missing.updates[1].resource = id("nobody");
    let refused = store.commit_action(missing).await;
    assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
    assert_untouched(&*store, "act-2", &nets).await;

    let mut doubled = deletions("act-2", &nets);
    doubled
        .new_resources
        .push(resource("net-2", "a", vec![create("ns", "act-2", 8, Item::Net)]));
    let refused = store.commit_action(doubled).await;
    assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
    assert_untouched(&*store, "act-2", &nets).await;
}

/// Tasks come after those that are there, uses are merged, and nothing else of the resource changes.
pub async fn tasks_and_uses_are_added_to_what_exists(subject: &mut dyn Subject) {
    let store = subject.store();
    let mut vm = resource("vm", "a", vec![create("ns", "act-1", 0, Item::Vdu)]);
    vm.uses = vec![id("net-1"), id("net-2")];
    let before = accept(&*store, "ns", "act-1", vec![vm]).await.remove(0);
    let mut more = commit("ns", "act-2", 1, Vec::new());
    more.updates = vec![ResourceUpdate {
        resource: id("vm"),
        expected: before.revision,
        tasks: vec![
            task("ns", "act-2", 0, TaskAction::Exec, Item::Update),
            task("ns", "act-2", 1, TaskAction::Delete, Item::Vdu),
        ],
        uses: vec![id("net-2"), id("net-3")],
    }];
    store.commit_action(more).await.unwrap();
    let after = store.resource(&id("vm")).await.unwrap().unwrap();
    assert_eq!(after.revision, before.revision + 1);
    let mut expected = before;
    expected.revision = after.revision;
    expected.modified_at = after.modified_at;
    expected
        .tasks
        .push(task("ns", "act-2", 0, TaskAction::Exec, Item::Update));
    expected
        .tasks
        .push(task("ns", "act-2", 1, TaskAction::Delete, Item::Vdu));
    expected.uses.push(id("net-3"));
    assert_eq!(after, expected);
    assert!(after.tasks.iter().all(|task| task.status == TaskStatus::Scheduled));
    assert_eq!(
        store.resources_of_action(&id("ns"), &id("act-2")).await.unwrap(),
        std::slice::from_ref(&after)
    );
    assert_eq!(
        store.resources_of_action(&id("ns"), &id("act-1")).await.unwrap(),
        [after]
    );
}

/// The rest of the commit is made.
pub async fn changes_of_a_missing_record_are_left_out_of_a_commit(subject: &mut dyn Subject) {
    let store = subject.store();
    store
        .put_record(Collection::Vnfrs, &id("ns-vnf"), vnfr("ns", &["a"]), None)
        .await
        .unwrap();
    let net = resource("net", "a", vec![create("ns", "act", 0, Item::Net)]);
    let mut whole = commit("ns", "act", 0, vec![net]);
    let mut insert = RecordChange::to_record(Collection::Vnfrs, id("nobody"));
    insert.item = Some((ItemList::Vdur, id("a")));
    insert.insert = Some(json!({"id": "a"}));
    whole.record_changes = vec![mark("nobody"), insert, mark("ns-vnf")];
    assert_eq!(store.commit_action(whole).await.unwrap(), Committed::Accepted);
    assert_eq!(store.record(Collection::Vnfrs, &id("nobody")).await.unwrap(), None);
    let record = store.record(Collection::Vnfrs, &id("ns-vnf")).await.unwrap().unwrap();
    assert_eq!(record.document["marked"], true);
    assert!(store.resource(&id("net")).await.unwrap().is_some());
}

/// Of one service, or of all.
pub async fn actions_are_listed_newest_first_a_page_at_a_time(subject: &mut dyn Subject) {
    let store = subject.store();
    for n in 0..7_i64 {
        let nsr = if n % 2 == 0 { "even" } else { "odd" };
        let action = format!("act-{n}");
        let net = resource(&format!("net-{n}"), "a", vec![create(nsr, &action, 0, Item::Net)]);
        let revision = store.service_revision(&id(nsr)).await.unwrap();
        let mut commit = commit(nsr, &action, revision, vec![net]);
        commit.header.created_at.0 += n;
        store.commit_action(commit).await.unwrap();
    }
    for (nsr, expected) in [
        (Some(id("even")), vec!["act-6", "act-4", "act-2", "act-0"]),
        (Some(id("odd")), vec!["act-5", "act-3", "act-1"]),
        (Some(id("nobody")), vec![]),
        (
            None,
            vec!["act-6", "act-5", "act-4", "act-3", "act-2", "act-1", "act-0"],
        ),
    ] {
        let read = async |after: Option<String>, limit| store.actions(nsr.as_ref(), after.as_deref(), limit).await;
        let found = every_page(3, read).await;
        let found: Vec<String> = found.into_iter().map(|header| header.id.to_string()).collect();
        assert_eq!(found, expected);
    }
}
