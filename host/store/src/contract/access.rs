//! Tokens, the audit log, and sealed texts under a new key.

use vimhost_model::{AccessToken, AuditEntry, AuditId, Item, Role};

use super::sample::{NOW, accept, claim, create, id, minutes, resource};
use super::{Subject, every_page};
use crate::{AuditFilter, Error, KeyPair, SealedText, Store};

fn token(name: &str) -> AccessToken {
    AccessToken {
        id: id(name),
        name: format!("token {name}"),
        role: Role::Operator,
        digest: "0f".repeat(32),
        created_at: NOW,
        created_by: "loopback".to_owned(),
        expires_at: Some(minutes(5)),
        revoked_at: None,
    }
}

fn entry(who: &str, operation: &str) -> AuditEntry {
    AuditEntry {
        id: AuditId::ordered_with("audit"),
        at: NOW,
        who: who.to_owned(),
        role: Role::Admin,
        method: "POST".to_owned(),
        operation: operation.to_owned(),
        target: "/v1/vims".to_owned(),
        request_id: "r".to_owned(),
        status: None,
    }
}

/// Known under its id; a second one of the id is refused.
pub async fn a_token_is_added_once_and_found_by_its_id(subject: &mut dyn Subject) {
    {
        let store = subject.store();
        assert_eq!(store.token(&id("a")).await.unwrap(), None);
        store.add_token(&token("a")).await.unwrap();
        let taken = store
            .add_token(&AccessToken {
                role: Role::Admin,
                ..token("a")
            })
            .await;
        assert!(matches!(taken, Err(Error::Conflict { .. })), "{taken:?}");
    }
    subject.reopen().await;
    assert_eq!(subject.store().token(&id("a")).await.unwrap(), Some(token("a")));
}

/// The first time stays.
pub async fn a_token_is_revoked_for_good(subject: &mut dyn Subject) {
    let store = subject.store();
    let nobody = store.revoke_token(&id("a"), NOW).await;
    assert!(matches!(nobody, Err(Error::Missing { .. })), "{nobody:?}");
    store.add_token(&token("a")).await.unwrap();
    let revoked = AccessToken {
        revoked_at: Some(minutes(1)),
        ..token("a")
    };
    assert_eq!(store.revoke_token(&id("a"), minutes(1)).await.unwrap(), revoked);
    assert_eq!(store.revoke_token(&id("a"), minutes(2)).await.unwrap(), revoked);
    assert_eq!(store.token(&id("a")).await.unwrap(), Some(revoked));
}

/// By id, disjoint, to the end; revoked ones too.
pub async fn tokens_are_listed_a_page_at_a_time(subject: &mut dyn Subject) {
    let store = subject.store();
    for name in ["c", "a", "b"] {
        store.add_token(&token(name)).await.unwrap();
    }
    store.revoke_token(&id("b"), NOW).await.unwrap();
    let first = store.tokens(None, 2).await.unwrap();
    let names = |page: &crate::Page<AccessToken>| page.entries.iter().map(|t| t.id.to_string()).collect::<Vec<_>>();
    assert_eq!(names(&first), ["a", "b"]);
    assert_eq!(first.entries[1].revoked_at, Some(NOW));
    let second = store.tokens(first.next.as_deref(), 2).await.unwrap();
    assert_eq!((names(&second), second.next), (vec!["c".to_owned()], None));
}

/// The second write of an id takes the place of the first.
pub async fn an_audit_entry_is_begun_and_ended(subject: &mut dyn Subject) {
    let begun = entry("loopback", "addAccount");
    let ended = AuditEntry {
        status: Some(201),
        target: "/v1/vims/lab".to_owned(),
        ..begun.clone()
    };
    {
        let store = subject.store();
        store.write_audit(&begun).await.unwrap();
        let listed = store.audit(&AuditFilter::default(), None, 10).await.unwrap();
        assert_eq!(listed.entries, [begun]);
        store.write_audit(&ended).await.unwrap();
        store.write_audit(&ended).await.unwrap();
    }
    subject.reopen().await;
    let listed = subject.store().audit(&AuditFilter::default(), None, 10).await.unwrap();
    assert_eq!((listed.entries, listed.next), (vec![ended], None));
}

async fn pages(store: &dyn Store, filter: &AuditFilter) -> Vec<AuditEntry> {
    let read = async |after: Option<String>, limit| store.audit(filter, after.as_deref(), limit).await;
    every_page(2, read).await
}

/// Each filter alone, both, and none.
pub async fn audit_entries_are_listed_newest_first_by_who_and_what(subject: &mut dyn Subject) {
    let store = subject.store();
    let mut all = Vec::new();
    for number in 0..9 {
        let entry = entry(["ann", "bob"][number % 2], ["add", "edit", "remove"][number % 3]);
        store.write_audit(&entry).await.unwrap();
        all.insert(0, entry);
    }
    for who in [None, Some("ann"), Some("carol")] {
        for operation in [None, Some("edit")] {
            let expected: Vec<AuditEntry> = all
                .iter()
                .filter(|entry| who.is_none_or(|who| entry.who == who))
                .filter(|entry| operation.is_none_or(|operation| entry.operation == operation))
                .cloned()
                .collect();
            let filter = AuditFilter {
                who: who.map(str::to_owned),
                operation: operation.map(str::to_owned),
            };
            assert_eq!(pages(&*store, &filter).await, expected, "{filter:?}");
        }
    }
}

/// The oldest go, however often it is asked.
pub async fn the_audit_log_is_trimmed_to_the_newest(subject: &mut dyn Subject) {
    let store = subject.store();
    store.trim_audit(3).await.unwrap();
    let mut newest = Vec::new();
    for _ in 0..7 {
        let entry = entry("ann", "add");
        store.write_audit(&entry).await.unwrap();
        newest.insert(0, entry);
    }
    newest.truncate(3);
    for _ in 0..2 {
        store.trim_audit(3).await.unwrap();
        assert_eq!(pages(&*store, &AuditFilter::default()).await, newest);
    }
}

/// By compare-and-set on the sealed text.
pub async fn key_pairs_are_listed_and_sealed_anew(subject: &mut dyn Subject) {
    let store = subject.store();
    let pair = |text: &str| KeyPair {
        public_key: "ssh-ed25519 x".to_owned(),
        private_key: SealedText(text.to_owned()),
    };
    for nsr in ["c", "a", "b"] {
        store.keep_key_pair(&id(nsr), pair("old")).await.unwrap();
    }
    let first = store.key_pairs(None, 2).await.unwrap();
    assert_eq!(first.entries, [(id("a"), pair("old")), (id("b"), pair("old"))]);
    let second = store.key_pairs(first.next.as_deref(), 2).await.unwrap();
    assert_eq!((second.entries, second.next), (vec![(id("c"), pair("old"))], None));

    let (old, new) = (SealedText("old".to_owned()), SealedText("new".to_owned()));
    assert!(store.reseal_key_pair(&id("a"), &old, &new).await.unwrap());
    assert!(!store.reseal_key_pair(&id("a"), &old, &new).await.unwrap());
    assert!(!store.reseal_key_pair(&id("nobody"), &old, &new).await.unwrap());
    assert_eq!(store.key_pair(&id("a")).await.unwrap(), Some(pair("new")));
    assert_eq!(store.key_pair(&id("b")).await.unwrap(), Some(pair("old")));
}

/// By compare-and-set, whoever drives the account; a save on the revision before is refused then.
pub async fn a_resource_is_marked_at_its_revision_without_a_claim(subject: &mut dyn Subject) {
    let store = subject.store();
    let nobody = store
        .mark_resource(&resource("x", "a", vec![create("ns", "a1", 0, Item::Vdu)]))
        .await;
    assert!(matches!(nobody, Err(Error::Missing { .. })), "{nobody:?}");
    let new = resource("r", "a", vec![create("ns", "a1", 0, Item::Vdu)]);
    let [read] = accept(&*store, "ns", "a1", vec![new]).await.try_into().unwrap();
    let driver = claim(&*store, "a").await;
    let mut marked = read.clone();
    marked.tasks[0].cancel_asked = true;
    let revision = store.mark_resource(&marked).await.unwrap();
    assert!(revision > read.revision);
    let stale = store.mark_resource(&marked).await;
    assert!(matches!(stale, Err(Error::Conflict { .. })), "{stale:?}");
    let stale = store.save_resource(&driver, &read, &[], &[]).await;
    assert!(matches!(stale, Err(Error::Conflict { .. })), "{stale:?}");
    let now = store.resource(&id("r")).await.unwrap().unwrap();
    assert_eq!((now.revision, now.tasks[0].cancel_asked), (revision, true));
}
