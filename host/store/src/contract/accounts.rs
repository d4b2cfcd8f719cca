//! Accounts.

use vimhost_model::TargetId;

use super::sample::{account, target};
use super::{Subject, every_page};
use crate::Error;

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
