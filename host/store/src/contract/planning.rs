//! What planning reads.

use vimhost_model::{Item, TaskStatus, VimStatus};

use super::Subject;
use super::sample::{accept, claim, create, id, made, resource, target};
use crate::{JournalWrite, KeyPair, SealedText};

/// Each resource once, with its journal, however many of its tasks belong there.
pub async fn resources_are_found_by_service_and_by_action(subject: &mut dyn Subject) {
    let store = subject.store();
    let two_tasks = vec![create("ns", "act-1", 0, Item::Net), create("ns", "act-1", 1, Item::Net)];
    let net = resource("net", "a", two_tasks);
    let vm = resource("vm", "b", vec![create("ns", "act-1", 2, Item::Vdu)]);
    accept(&*store, "ns", "act-1", vec![net, vm]).await;
    let other = resource("other", "a", vec![create("ns", "act-2", 0, Item::Net)]);
    accept(&*store, "ns", "act-2", vec![other]).await;
    let foreign = resource("foreign", "a", vec![create("ns2", "act-1", 0, Item::Net)]);
    accept(&*store, "ns2", "act-1", vec![foreign]).await;
    let claim = claim(&*store, "b").await;
    let begin = JournalWrite::Begin {
        kind: "server".to_owned(),
        token: "vm".to_owned(),
        at: vimhost_model::Timestamp(1000),
    };
    store.write_journal(&claim, &id("vm"), &[begin]).await.unwrap();

    let names = |resources: &[vimhost_model::Resource]| {
        let mut names: Vec<_> = resources.iter().map(|resource| resource.id.to_string()).collect();
        names.sort();
        names
    };
    let of_service = store.resources_of(&id("ns")).await.unwrap();
    assert_eq!(names(&of_service), ["net", "other", "vm"]);
    let vm = of_service.iter().find(|resource| resource.id == id("vm")).unwrap();
    assert_eq!(vm.journal.len(), 1);
    let of_action = store.resources_of_action(&id("ns"), &id("act-1")).await.unwrap();
    assert_eq!(names(&of_action), ["net", "vm"]);
    assert_eq!(store.resources_of(&id("nobody")).await.unwrap(), []);
    assert_eq!(store.resources_of_action(&id("ns2"), &id("act-2")).await.unwrap(), []);
}

/// By target, kind and common id, while a CREATE of it is live and the element is not known to be gone.
pub async fn a_shared_resource_is_found_while_it_is_held(subject: &mut dyn Subject) {
    let store = subject.store();
    let mut task = create("ns", "act", 0, Item::Net);
    task.common_id = Some("shared".to_owned());
    let net = resource("net", "a", vec![task]);
    let mut net = accept(&*store, "ns", "act", vec![net]).await.remove(0);
    let claim = claim(&*store, "a").await;
    let found = |item, account: &'static str, common_id: &'static str| {
        let store = subject.store();
        async move {
            let found = store.shared_resource(&target(account), item, common_id).await.unwrap();
            found.map(|resource| resource.id.to_string())
        }
    };
    assert_eq!(found(Item::Net, "a", "shared").await.as_deref(), Some("net"));
    assert_eq!(found(Item::Vdu, "a", "shared").await, None);
    assert_eq!(found(Item::Net, "b", "shared").await, None);
    assert_eq!(found(Item::Net, "a", "other").await, None);

    net = made(net, "vim-net");
    net.revision = store.save_resource(&claim, &net, &[], &[]).await.unwrap();
    assert_eq!(found(Item::Net, "a", "shared").await.as_deref(), Some("net"));
    net.vim.vim_status = Some(VimStatus::Deleted);
    net.revision = store.save_resource(&claim, &net, &[], &[]).await.unwrap();
    assert_eq!(found(Item::Net, "a", "shared").await, None);
    net.vim.vim_status = Some(VimStatus::Active);
    net.revision = store.save_resource(&claim, &net, &[], &[]).await.unwrap();
    assert_eq!(found(Item::Net, "a", "shared").await.as_deref(), Some("net"));
    net.tasks[0].status = TaskStatus::Finished;
    store.save_resource(&claim, &net, &[], &[]).await.unwrap();
    assert_eq!(found(Item::Net, "a", "shared").await, None);
}

/// Two planners that both make one get the same.
pub async fn the_first_key_pair_is_kept(subject: &mut dyn Subject) {
    let store = subject.store();
    let pair = |name: &str| KeyPair {
        public_key: format!("ssh-ed25519 {name}"),
        private_key: SealedText(format!("v1.key.{name}")),
    };
    assert_eq!(store.key_pair(&id("ns")).await.unwrap(), None);
    assert_eq!(
        store.keep_key_pair(&id("ns"), pair("first")).await.unwrap(),
        pair("first")
    );
    assert_eq!(
        store.keep_key_pair(&id("ns"), pair("second")).await.unwrap(),
        pair("first")
    );
    assert_eq!(store.key_pair(&id("ns")).await.unwrap(), Some(pair("first")));
    assert_eq!(store.key_pair(&id("other")).await.unwrap(), None);
}
