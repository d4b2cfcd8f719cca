//! VNF packages and their archives.

use bytes::Bytes;
use serde_json::{Map, json};
use vimhost_model::VnfdId;
use vimhost_model::vnf::{PackageOnboardingState, PackageOperationalState, VnfPackage, Vnfd};

use super::sample::{NOW, id};
use super::{Subject, every_page};
use crate::Error;

/// A package nothing was uploaded to.
fn package(name: &str) -> VnfPackage {
    VnfPackage {
        id: id(name),
        onboarding_state: PackageOnboardingState::Created,
        operational_state: PackageOperationalState::Disabled,
        user_defined_data: Map::from_iter([("owner".to_owned(), json!("lab"))]),
        onboarding_failure: None,
        vnfd: None,
        checksum: None,
        size: 0,
        additional_artifacts: Vec::new(),
        software_images: Vec::new(),
        created_at: NOW,
        revision: 0,
    }
}

/// The same, onboarded with a VNFD.
fn onboarded(package: &VnfPackage, vnfd: &VnfdId) -> VnfPackage {
    VnfPackage {
        onboarding_state: PackageOnboardingState::Onboarded,
        operational_state: PackageOperationalState::Enabled,
        vnfd: Some(Vnfd {
            id: vnfd.clone(),
            provider: "Company".to_owned(),
            product_name: "Sample".to_owned(),
            software_version: "1.0".to_owned(),
            version: "1.0".to_owned(),
            vnfm_info: vec!["Tacker".to_owned()],
            flavours: [].into(),
            configurable_properties: Map::new(),
            extensions: Map::new(),
            metadata: Map::new(),
            user_data_scripts: [].into(),
        }),
        checksum: Some("00ff".to_owned()),
        size: 3,
        ..package.clone()
    }
}

/// Made, read, replaced and removed, each at the right revision only.
pub async fn a_vnf_package_is_replaced_only_at_the_revision_it_was_read_at(subject: &mut dyn Subject) {
    let store = subject.store();
    let made = package("a");
    assert_eq!(store.vnf_package(&made.id).await.unwrap(), None);
    let absent = store.put_vnf_package(&made, 3).await;
    assert!(matches!(absent, Err(Error::Conflict { .. })), "{absent:?}");
    let first = store.put_vnf_package(&made, 0).await.unwrap();
    let again = store.put_vnf_package(&made, 0).await;
    assert!(matches!(again, Err(Error::Conflict { .. })), "{again:?}");

    let read = store.vnf_package(&made.id).await.unwrap().unwrap();
    assert_eq!(read.revision, first);
    assert_eq!(read.user_defined_data, made.user_defined_data);
    let mut edited = read.clone();
    edited.onboarding_state = PackageOnboardingState::Uploading;
    let second = store.put_vnf_package(&edited, first).await.unwrap();
    assert!(second > first);
    let stale = store.put_vnf_package(&read, first).await;
    assert!(matches!(stale, Err(Error::Conflict { .. })), "{stale:?}");

    drop(store);
    subject.reopen().await;
    let store = subject.store();
    let read = store.vnf_package(&made.id).await.unwrap().unwrap();
    assert_eq!(
        (read.revision, read.onboarding_state),
        (second, PackageOnboardingState::Uploading)
    );
    let stale = store.delete_vnf_package(&made.id, first).await;
    assert!(matches!(stale, Err(Error::Conflict { .. })), "{stale:?}");
    store.delete_vnf_package(&made.id, second).await.unwrap();
    assert_eq!(store.vnf_package(&made.id).await.unwrap(), None);
    let gone = store.delete_vnf_package(&made.id, second).await;
    assert!(matches!(gone, Err(Error::Missing { .. })), "{gone:?}");
}

/// A VNFD leads to its package while that is onboarded, and no second one can have it.
pub async fn a_vnfd_is_of_one_onboarded_package(subject: &mut dyn Subject) {
    let store = subject.store();
    let vnfd: VnfdId = id("vnfd-1");
    let (one, two) = (package("a"), package("b"));
    assert_eq!(store.vnf_package_of(&vnfd).await.unwrap(), None);
    let one_rev = store.put_vnf_package(&one, 0).await.unwrap();
    let two_rev = store.put_vnf_package(&two, 0).await.unwrap();

    let mut described = onboarded(&two, &vnfd);
    described.onboarding_state = PackageOnboardingState::Processing;
    let two_rev = store.put_vnf_package(&described, two_rev).await.unwrap();
    assert_eq!(store.vnf_package_of(&vnfd).await.unwrap(), None, "it is not onboarded");

    let one_rev = store.put_vnf_package(&onboarded(&one, &vnfd), one_rev).await.unwrap();
    let found = store.vnf_package_of(&vnfd).await.unwrap().unwrap();
    assert_eq!((&found.id, found.revision), (&one.id, one_rev));
    assert_eq!(found.vnfd, onboarded(&one, &vnfd).vnfd);

    let second = store.put_vnf_package(&onboarded(&two, &vnfd), two_rev).await;
    assert!(matches!(second, Err(Error::Conflict { .. })), "{second:?}");
    let unchanged = store.vnf_package(&two.id).await.unwrap().unwrap();
    assert_eq!(
        (unchanged.revision, unchanged.onboarding_state),
        (two_rev, PackageOnboardingState::Processing)
    );

    // The same package may be written again with the VNFD it has.
    let mut disabled = onboarded(&one, &vnfd);
    disabled.operational_state = PackageOperationalState::Disabled;
    let one_rev = store.put_vnf_package(&disabled, one_rev).await.unwrap();
    store.delete_vnf_package(&one.id, one_rev).await.unwrap();
    assert_eq!(store.vnf_package_of(&vnfd).await.unwrap(), None);
    store.put_vnf_package(&onboarded(&two, &vnfd), two_rev).await.unwrap();
    assert_eq!(store.vnf_package_of(&vnfd).await.unwrap().unwrap().id, two.id);
}

/// Pages are disjoint, in order, and end.
pub async fn vnf_packages_are_listed_a_page_at_a_time(subject: &mut dyn Subject) {
    let store = subject.store();
    for name in ["c", "a", "e", "b", "d"] {
        store.put_vnf_package(&package(name), 0).await.unwrap();
    }
    let read = async |after: Option<String>, limit| store.vnf_packages(after.as_deref(), limit).await;
    let found = every_page(2, read).await;
    let names: Vec<&str> = found.iter().map(|package| package.id.as_str()).collect();
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
    let whole = store.vnf_packages(None, 5).await.unwrap();
    assert_eq!((whole.entries.len(), whole.next), (5, None));
}

/// Parts come back byte for byte, can be replaced, and go with their package and no other.
pub async fn parts_of_an_archive_live_as_long_as_their_package(subject: &mut dyn Subject) {
    let store = subject.store();
    let (one, two) = (package("a"), package("b"));
    let one_rev = store.put_vnf_package(&one, 0).await.unwrap();
    store.put_vnf_package(&two, 0).await.unwrap();
    assert_eq!(store.archive_part(&one.id, 0).await.unwrap(), None);

    let large: Bytes = (0..1_048_576_u32)
        .map(|n| n.to_le_bytes()[0])
        .collect::<Vec<u8>>()
        .into();
    store.put_archive_part(&one.id, 0, large.clone()).await.unwrap();
    store
        .put_archive_part(&one.id, 1, Bytes::from_static(&[0, 255, 0]))
        .await
        .unwrap();
    store
        .put_archive_part(&one.id, 1, Bytes::from_static(b"again"))
        .await
        .unwrap();
    store
        .put_archive_part(&two.id, 0, Bytes::from_static(b"other"))
        .await
        .unwrap();
    drop(store);
    subject.reopen().await;
    let store = subject.store();
    assert_eq!(store.archive_part(&one.id, 0).await.unwrap(), Some(large));
    assert_eq!(
        store.archive_part(&one.id, 1).await.unwrap(),
        Some(Bytes::from_static(b"again"))
    );
    assert_eq!(store.archive_part(&one.id, 2).await.unwrap(), None);

    store.delete_vnf_package(&one.id, one_rev).await.unwrap();
    assert_eq!(store.archive_part(&one.id, 0).await.unwrap(), None);
    assert_eq!(store.archive_part(&one.id, 1).await.unwrap(), None);
    assert_eq!(
        store.archive_part(&two.id, 0).await.unwrap(),
        Some(Bytes::from_static(b"other"))
    );
}
