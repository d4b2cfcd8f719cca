//! Accounts.

use vimhost_model::{Item, TargetId};

use super::sample::{account, commit, create, id, resource, target};
use super::{Subject, every_page};
use crate::{Committed, Error, StoredAccount};

/// Put, get, replace, delete; each at the right revision only.
pub async fn an_account_is_replaced_only_at_the_revision_it_was_read_at(subject: &mut dyn Subject) {
    let store = subject.store();
    let cloud = account("a");
    assert_eq!(store.account(&cloud.target).await.unwrap(), None);
    let absent = store.put_account(cloud.clone(), Some(1)).await;
    assert!(matches!(absent, Err(Error::Conflict { .. })), "{absent:?}");

    let first = store.put_account(cloud.clone(), None).await.unwrap();
    let read = store.account(&cloud.target).await.unwrap().unwrap();
    assert_eq!(read.revision, first);
    assert_eq!(read.credentials, cloud.credentials);
    assert_eq!(read.config, cloud.config);
    let again = store.put_account(cloud.clone(), None).await;
    assert!(matches!(again, Err(Error::Conflict { .. })), "{again:?}");

    let mut edited = read.clone();
    edited.name = "renamed".to_owned();
    let second = store.put_account(edited.clone(), Some(first)).await.unwrap();
    assert!(second > first);
    let stale = store.put_account(read, Some(first)).await;
    assert!(matches!(stale, Err(Error::Conflict { .. })), "{stale:?}");
    let read = store.account(&cloud.target).await.unwrap().unwrap();
    assert_eq!((read.name.as_str(), read.revision), ("renamed", second));

    let stale = store.delete_account(&cloud.target, first).await;
    assert!(matches!(stale, Err(Error::Conflict { .. })), "{stale:?}");
    store.delete_account(&cloud.target, second).await.unwrap();
    assert_eq!(store.account(&cloud.target).await.unwrap(), None);
    let gone = store.delete_account(&cloud.target, second).await;
    assert!(matches!(gone, Err(Error::Missing { .. })), "{gone:?}");
}

/// From the mark on; without it commits are accepted again, and not when the account is gone.
pub async fn nothing_is_planned_on_an_account_that_is_removed(subject: &mut dyn Subject) {
    let store = subject.store();
    let mut cloud = account("a");
    cloud.revision = store.put_account(cloud.clone(), None).await.unwrap();
    store.put_account(account("b"), None).await.unwrap();
    let on = |nsr: &str, names: &[&str]| {
        let net = resource(nsr, names[0], vec![create(nsr, "act", 0, Item::Net)]);
        let mut commit = commit(nsr, "act", 0, vec![net]);
        commit.accounts = names.iter().map(|name| target(name)).collect();
        commit
    };
    let refused = async |nsr: &str| {
        let refused = store.commit_action(on(nsr, &["a", "b"])).await;
        assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
        assert_eq!(store.service_revision(&id(nsr)).await.unwrap(), 0);
        assert_eq!(store.resource(&id(nsr)).await.unwrap(), None);
    };
    store.commit_action(on("ns1", &["a", "b"])).await.unwrap();
    cloud.removing = true;
    cloud.revision = store.put_account(cloud.clone(), Some(cloud.revision)).await.unwrap();
    assert_eq!(store.account(&target("a")).await.unwrap(), Some(cloud.clone()));
    refused("ns2").await;
    store.commit_action(on("ns3", &["b"])).await.unwrap();
    // The first one sent again is answered as before.
    let again = store.commit_action(on("ns1", &["a", "b"])).await.unwrap();
    assert!(matches!(again, Committed::Exists(_)), "{again:?}");

    cloud.removing = false;
    cloud.revision = store.put_account(cloud.clone(), Some(cloud.revision)).await.unwrap();
    store.commit_action(on("ns4", &["a", "b"])).await.unwrap();
    store.delete_account(&target("a"), cloud.revision).await.unwrap();
    refused("ns5").await;
}

/// The action is there when the account was marked, or it never is.
pub async fn of_an_action_and_the_removal_of_its_account_one_is_refused(subject: &mut dyn Subject) {
    for round in 0..20 {
        let store = subject.store();
        let name = format!("a-{round}");
        store.put_account(account(&name), None).await.unwrap();
        let net = resource(&name, &name, vec![create(&name, "act", 0, Item::Net)]);
        let mut commit = commit(&name, "act", 0, vec![net]);
        commit.accounts = vec![target(&name)];
        let committing = tokio::spawn(async move { store.commit_action(commit).await });
        let store = subject.store();
        let marked = StoredAccount {
            removing: true,
            ..account(&name)
        };
        let marked = store.put_account(marked, Some(1)).await.unwrap();
        let busy = store.unsettled(&target(&name), None, 1).await.unwrap();
        if busy.entries.is_empty() {
            store.delete_account(&target(&name), marked).await.unwrap();
        }
        let committed = committing.await.unwrap();
        assert_eq!(
            committed.is_ok(),
            !busy.entries.is_empty(),
            "round {round}: {committed:?}"
        );
    }
}

/// Pages are disjoint, in order, and end.
pub async fn accounts_are_listed_by_target_a_page_at_a_time(subject: &mut dyn Subject) {
    let store = subject.store();
    for name in ["c", "a", "e", "b", "d"] {
        store.put_account(account(name), None).await.unwrap();
    }
    let read = async |after: Option<String>, limit| store.accounts(after.as_deref(), limit).await;
    let found = every_page(2, read).await;
    let names: Vec<TargetId> = found.into_iter().map(|account| account.target).collect();
    assert_eq!(names, ["a", "b", "c", "d", "e"].map(target));
    let whole = store.accounts(None, 5).await.unwrap();
    assert_eq!((whole.entries.len(), whole.next), (5, None));
}

/// Five letters, the same whenever they are asked for.
pub async fn an_installation_keeps_its_letters(subject: &mut dyn Subject) {
    let letters = subject.store().installation().await.unwrap();
    assert!(
        letters.len() == 5 && letters.bytes().all(|b| b.is_ascii_lowercase()),
        "{letters:?}"
    );
    subject.reopen().await;
    assert_eq!(subject.store().installation().await.unwrap(), letters);
}
