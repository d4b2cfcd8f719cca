//! Who drives an account.

use vimhost_model::{HostId, Item};

use super::Subject;
use super::sample::{NOW, accept, create, id, minutes, resource, target};
use crate::{Error, JournalWrite};

fn is_fenced<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::Fenced { .. }))
}

/// A second host is refused; the holder may claim again and renew.
pub async fn a_claim_is_granted_to_one_host(subject: &mut dyn Subject) {
    let store = subject.store();
    let (one, two): (HostId, HostId) = (id("one"), id("two"));
    let account = target("a");
    let claim = store.claim_account(&account, &one, NOW, minutes(1)).await.unwrap();
    assert_eq!(claim.target, account);
    assert!(is_fenced(&store.claim_account(&account, &two, NOW, minutes(1)).await));
    assert_eq!(
        store.claim_account(&account, &one, NOW, minutes(2)).await.unwrap(),
        claim
    );
    assert!(is_fenced(
        &store.claim_account(&account, &two, minutes(1), minutes(9)).await
    ));
    assert_eq!(
        store.renew_claims(&one, minutes(4)).await.unwrap(),
        std::slice::from_ref(&claim)
    );
    assert!(is_fenced(
        &store.claim_account(&account, &two, minutes(3), minutes(9)).await
    ));
    store.claim_account(&target("b"), &two, NOW, minutes(1)).await.unwrap();

    let leases = store.leases().await.unwrap();
    let of_a: Vec<_> = leases.iter().filter(|lease| lease.target == account).collect();
    assert_eq!(leases.len(), 2);
    assert_eq!((of_a[0].host.clone(), of_a[0].fence), (one, claim.fence));
    assert_eq!(of_a[0].expires_at, minutes(4));
}

/// After its end a claim goes to another host; the old one is over.
pub async fn an_ended_claim_is_taken_over_under_a_higher_number(subject: &mut dyn Subject) {
    let store = subject.store();
    let (one, two): (HostId, HostId) = (id("one"), id("two"));
    let account = target("a");
    let old = store.claim_account(&account, &one, NOW, minutes(1)).await.unwrap();
    let new = store
        .claim_account(&account, &two, minutes(2), minutes(3))
        .await
        .unwrap();
    assert!(new.fence > old.fence);
    assert_eq!(store.renew_claims(&one, minutes(9)).await.unwrap(), []);
    assert!(is_fenced(
        &store.claim_account(&account, &one, minutes(2), minutes(9)).await
    ));
    // Giving up what is over changes nothing.
    store.release_claim(&old).await.unwrap();
    assert_eq!(store.renew_claims(&two, minutes(4)).await.unwrap(), [new]);
    assert_eq!(store.leases().await.unwrap()[0].host, two);
}

/// The next owner needs not wait, and gets a higher number.
pub async fn a_claim_that_was_given_up_is_free(subject: &mut dyn Subject) {
    let store = subject.store();
    let account = target("a");
    let old = store
        .claim_account(&account, &id("one"), NOW, minutes(9))
        .await
        .unwrap();
    store.release_claim(&old).await.unwrap();
    store.release_claim(&old).await.unwrap();
    assert_eq!(store.leases().await.unwrap(), []);
    assert_eq!(store.renew_claims(&id("one"), minutes(9)).await.unwrap(), []);
    let new = store
        .claim_account(&account, &id("two"), NOW, minutes(9))
        .await
        .unwrap();
    assert!(new.fence > old.fence);
}

/// One renewal extends all claims of a host, late ones too while nobody has taken them, and no other host's.
pub async fn a_host_renews_all_its_claims_at_once(subject: &mut dyn Subject) {
    let store = subject.store();
    let (one, two): (HostId, HostId) = (id("one"), id("two"));
    let mut own = Vec::new();
    for account in ["a", "b", "c"] {
        own.push(
            store
                .claim_account(&target(account), &one, NOW, minutes(1))
                .await
                .unwrap(),
        );
    }
    store.claim_account(&target("d"), &two, NOW, minutes(1)).await.unwrap();
    let taken = store
        .claim_account(&target("b"), &two, minutes(2), minutes(3))
        .await
        .unwrap();
    own.remove(1);
    assert_eq!(store.renew_claims(&one, minutes(9)).await.unwrap(), own);
    let ends: Vec<_> = store
        .leases()
        .await
        .unwrap()
        .iter()
        .map(|lease| lease.expires_at)
        .collect();
    assert_eq!(ends, [minutes(9), minutes(3), minutes(9), minutes(1)]);
    assert_eq!(store.leases().await.unwrap()[1].fence, taken.fence);
}

/// Saves and journal writes carry the claim's number.
pub async fn writes_under_an_old_claim_are_refused(subject: &mut dyn Subject) {
    let store = subject.store();
    let account = target("a");
    let new = resource("r", "a", vec![create("ns", "act", 0, Item::Net)]);
    let mut saved = accept(&*store, "ns", "act", vec![new]).await.remove(0);
    let begin = |at| JournalWrite::Begin {
        kind: "net".to_owned(),
        token: "r".to_owned(),
        at: vimhost_model::Timestamp(at),
    };

    let old = store
        .claim_account(&account, &id("one"), NOW, minutes(1))
        .await
        .unwrap();
    saved.revision = store.save_resource(&old, &saved, &[], &[]).await.unwrap();
    store.write_journal(&old, &saved.id, &[begin(1000)]).await.unwrap();
    let new = store
        .claim_account(&account, &id("two"), minutes(2), minutes(3))
        .await
        .unwrap();
    assert!(is_fenced(&store.save_resource(&old, &saved, &[], &[]).await));
    assert!(is_fenced(&store.write_journal(&old, &saved.id, &[begin(2000)]).await));
    store.save_resource(&new, &saved, &[], &[]).await.unwrap();

    // A claim is no right to another account.
    let other = store
        .claim_account(&target("b"), &id("one"), NOW, minutes(1))
        .await
        .unwrap();
    assert!(is_fenced(&store.save_resource(&other, &saved, &[], &[]).await));
    assert!(is_fenced(&store.write_journal(&other, &saved.id, &[begin(2000)]).await));
    // Nor was what is begun begun anew.
    assert_eq!(store.journal(&saved.id).await.unwrap()[0].begun_at.0, 1000);
}
