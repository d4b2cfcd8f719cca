//! What planning reads.

use tokio::task::JoinSet;
use vimhost_model::{Item, Task, TaskAction, TaskStatus, VimStatus};

use super::Subject;
use super::sample::{accept, claim, commit, create, id, made, resource, target, task};
use crate::{Committed, Error, FIRST_REVISION, JournalWrite, KeyPair, ResourceUpdate, SealedText};

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
    net.tasks[0].status = TaskStatus::Failed;
    net.revision = store.save_resource(&claim, &net, &[], &[]).await.unwrap();
    assert_eq!(found(Item::Net, "a", "shared").await, None);
    // One that failed does not hide one that did not.
    let mut anew = create("ns2", "act", 0, Item::Net);
    anew.common_id = Some("shared".to_owned());
    accept(&*store, "ns2", "act", vec![resource("anew", "a", vec![anew])]).await;
    assert_eq!(found(Item::Net, "a", "shared").await.as_deref(), Some("anew"));
    net.tasks[0].status = TaskStatus::Finished;
    store.save_resource(&claim, &net, &[], &[]).await.unwrap();
    assert_eq!(found(Item::Net, "a", "shared").await.as_deref(), Some("anew"));
}

/// A CREATE of a service's action under a common id.
fn shared(nsr: &str, action: &str, n: u32, common_id: &str) -> Task {
    Task {
        common_id: Some(common_id.to_owned()),
        ..create(nsr, action, n, Item::Net)
    }
}

/// Of two services that were planned from the same sight, the second is told to plan anew, and joins.
pub async fn a_shared_element_is_made_by_one_service_only(subject: &mut dyn Subject) {
    let store = subject.store();
    let of = |nsr: &str, account: &str, common_id: &str| {
        let net = resource(&format!("{nsr}-net"), account, vec![shared(nsr, "act", 0, common_id)]);
        let own = resource(&format!("{nsr}-own"), account, vec![create(nsr, "act", 1, Item::Net)]);
        commit(nsr, "act", 0, vec![own, net])
    };
    let (first, second) = (of("ns1", "a", "c"), of("ns2", "a", "c"));
    store.commit_action(first.clone()).await.unwrap();
    let refused = store.commit_action(second.clone()).await;
    assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
    assert_eq!(store.resources_of(&id("ns2")).await.unwrap(), []);
    assert_eq!(store.service_revision(&id("ns2")).await.unwrap(), 0);
    // The first one sent again is answered as before.
    let again = store.commit_action(first).await.unwrap();
    assert!(matches!(again, Committed::Exists(_)), "{again:?}");
    let mut joins = second;
    joins.new_resources.truncate(1);
    joins.updates = vec![ResourceUpdate {
        resource: id("ns1-net"),
        expected: FIRST_REVISION,
        tasks: vec![shared("ns2", "act", 0, "c")],
        uses: Vec::new(),
    }];
    store.commit_action(joins).await.unwrap();
    let held = store.resource(&id("ns1-net")).await.unwrap().unwrap();
    assert_eq!(held.holders().count(), 2);

    // Another id, another account and another kind are other elements.
    for (nsr, account, common_id) in [("ns3", "a", "d"), ("ns4", "b", "c")] {
        let other = store.commit_action(of(nsr, account, common_id)).await.unwrap();
        assert_eq!(other, Committed::Accepted, "{nsr}");
    }
    let mut image = shared("ns5", "act", 0, "c");
    image.item = Item::Image;
    let image = resource("ns5-image", "a", vec![image]);
    store.commit_action(commit("ns5", "act", 0, vec![image])).await.unwrap();
}

/// What failed or is gone is joined by nobody; what the commit itself gives up is replaced; what is taken over as made is there.
pub async fn an_element_that_nobody_would_join_is_in_no_ones_way(subject: &mut dyn Subject) {
    let store = subject.store();
    let new = |nsr: &str, action: &str| resource(&format!("{nsr}-{action}"), "a", vec![shared(nsr, action, 0, "c")]);
    let mut failed = accept(&*store, "ns1", "act", vec![new("ns1", "act")]).await.remove(0);
    let claim = claim(&*store, "a").await;
    failed.tasks[0].status = TaskStatus::Failed;
    store.save_resource(&claim, &failed, &[], &[]).await.unwrap();

    let mut gone = accept(&*store, "ns2", "act", vec![new("ns2", "act")]).await.remove(0);
    gone = made(gone, "vim-net");
    gone.vim.vim_status = Some(VimStatus::Deleted);
    store.save_resource(&claim, &gone, &[], &[]).await.unwrap();

    let old = accept(&*store, "ns3", "act", vec![new("ns3", "act")]).await.remove(0);
    let mut replaced = commit("ns3", "act-2", 1, vec![new("ns3", "act-2")]);
    replaced.updates = vec![ResourceUpdate {
        resource: old.id,
        expected: old.revision,
        tasks: vec![task("ns3", "act-2", 1, TaskAction::Delete, Item::Net)],
        uses: Vec::new(),
    }];
    store.commit_action(replaced).await.unwrap();

    let taken_over = made(new("ns4", "act"), "vim-other");
    accept(&*store, "ns4", "act", vec![taken_over]).await;
}

/// All at once: one makes it.
pub async fn of_many_services_that_share_an_element_one_makes_it(subject: &mut dyn Subject) {
    for round in 0..10 {
        let mut commits = JoinSet::new();
        for n in 0..4 {
            let store = subject.store();
            commits.spawn(async move {
                let nsr = format!("ns-{round}-{n}");
                // Two of them, in another order each time.
                let mut common_ids = [format!("c-{round}"), format!("d-{round}")];
                if n % 2 == 1 {
                    common_ids.reverse();
                }
                let nets = (0_u32..).zip(&common_ids);
                let nets = nets.map(|(at, common_id)| {
                    resource(&format!("{nsr}-{at}"), "a", vec![shared(&nsr, "act", at, common_id)])
                });
                store.commit_action(commit(&nsr, "act", 0, nets.collect())).await
            });
        }
        let mut accepted = 0;
        while let Some(outcome) = commits.join_next().await {
            match outcome.unwrap() {
                Ok(_) => accepted += 1,
                Err(error) => assert!(matches!(error, Error::Conflict { .. }), "{error:?}"),
            }
        }
        assert_eq!(accepted, 1, "round {round}");
    }
    let store = subject.store();
    let open = store.unsettled(&target("a"), None, 99).await.unwrap();
    assert_eq!(open.entries.len(), 20);
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
