use serde_json::json;
use tempfile::TempDir;
use vimhost_model::vnf::{OperationState, VnfInstance, VnfLcmOpOcc};
use vimhost_store::InstanceWrite;
use vimhost_store_sqlite::{Options, SqliteStore};

use super::*;
use crate::sample::{TOP, VNFD_ID, package};

fn open(dir: &TempDir) -> (Arc<SqliteStore>, Packages) {
    let store = Arc::new(SqliteStore::open(dir.path().join("x.db"), Options::default()).unwrap());
    (Arc::clone(&store), Packages::new(store))
}

async fn uploaded(packages: &Packages, id: &VnfPkgId, archive: Vec<u8>) -> Result<VnfPackage, Error> {
    packages.upload::<Error>(id, async { Ok(archive.into()) }).await
}

async fn created(packages: &Packages) -> VnfPkgId {
    packages.create(Map::new()).await.unwrap().package.id
}

#[tokio::test]
async fn a_package_is_onboarded_enabled_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, packages) = open(&dir);
    let id = created(&packages).await;
    let early = packages.content(&id).await;
    assert!(matches!(early, Err(Error::Conflict(_))), "{early:?}");

    // Larger than one part, and not to be packed smaller.
    let noise: String = (0..1_500_000_u32)
        .map(|n| char::from(b'!' + n.wrapping_mul(2_654_435_761).to_be_bytes()[0] % 90))
        .collect();
    let archive = package(&[("Files/noise", noise.as_str())]);
    let done = uploaded(&packages, &id, archive.clone()).await.unwrap();
    assert!(done.is_usable());
    let shown = packages.show(&id).await.unwrap();
    assert_eq!(shown.package, done);
    assert_eq!(shown.usage, PackageUsageState::NotInUse);
    assert_eq!(shown.package.vnfd.unwrap().id.as_str(), VNFD_ID);
    assert_eq!(packages.content(&id).await.unwrap(), archive);
    assert_eq!(packages.artifact(&id, "Files/images/vdu1.img").await.unwrap(), "image");

    let again = uploaded(&packages, &id, archive).await;
    assert!(matches!(again, Err(Error::Conflict(_))), "{again:?}");
    let plain = packages.vnfd(&id, false).await;
    assert!(matches!(plain, Err(Error::NotAcceptable(_))), "{plain:?}");
    let VnfdContent::Zip(zip) = packages.vnfd(&id, true).await.unwrap() else {
        panic!("no archive")
    };
    let zip = Archive::read(&zip).unwrap();
    assert_eq!(zip.file("Definitions/top.yaml"), Some(TOP.as_bytes()));
    assert_eq!(zip.file("Scripts/start.py"), None);
}

#[tokio::test]
async fn what_is_refused_is_told_and_may_be_uploaded_again() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, packages) = open(&dir);
    let id = created(&packages).await;
    let refused = uploaded(&packages, &id, b"no zip".to_vec()).await.unwrap();
    assert_eq!(refused.onboarding_state, PackageOnboardingState::Created);
    assert_eq!(refused.onboarding_failure.unwrap().status, 400);
    let bad = package(&[("Definitions/df_simple.yaml", "a: [")]);
    let refused = uploaded(&packages, &id, bad).await.unwrap();
    assert!(refused.onboarding_failure.unwrap().detail.contains("df_simple.yaml"));
    assert_eq!(packages.show(&id).await.unwrap().package.vnfd, None);
    let bad = package(&[("Files/images/vdu1.img", "another")]);
    let refused = uploaded(&packages, &id, bad).await.unwrap();
    let told = refused.onboarding_failure.unwrap().detail;
    assert!(told.contains("sha-256 digest that the VNFD says"), "{told}");
    // Whatever an archive has for names, what is told of it is short and one line.
    let bad = package(&[(format!("a\n{}", "x".repeat(20_000)).as_str(), "")]);
    let refused = uploaded(&packages, &id, bad).await.unwrap();
    let told = refused.onboarding_failure.unwrap().detail;
    assert_eq!(told.chars().count(), LONGEST_REFUSAL);
    assert!(!told.contains('\n'));

    let done = uploaded(&packages, &id, package(&[])).await.unwrap();
    assert_eq!(
        (done.onboarding_failure, done.onboarding_state),
        (None, PackageOnboardingState::Onboarded)
    );
}

#[tokio::test]
async fn what_a_client_says_of_a_package_does_not_grow_without_end() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, packages) = open(&dir);
    let of = |key: &str| Map::from_iter([(key.to_owned(), json!("x".repeat(150 << 10)))]);
    let id = packages.create(of("a")).await.unwrap().package.id;
    let change = |data: Map<String, Value>| PackageModification {
        operational_state: None,
        user_defined_data: Some(data),
    };
    let refused = packages.update(&id, change(of("b"))).await;
    assert!(matches!(refused, Err(Error::UserData)), "{refused:?}");
    packages.update(&id, change(of("a"))).await.unwrap();
    let much = Map::from_iter([("a".to_owned(), json!("x".repeat(300 << 10)))]);
    let refused = packages.create(much).await;
    assert!(matches!(refused, Err(Error::UserData)), "{refused:?}");
}

#[tokio::test]
async fn a_vnfd_is_onboarded_once() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, packages) = open(&dir);
    let (one, two) = (created(&packages).await, created(&packages).await);
    uploaded(&packages, &one, package(&[])).await.unwrap();
    let refused = uploaded(&packages, &two, package(&[])).await.unwrap();
    let failure = refused.onboarding_failure.unwrap();
    assert_eq!(failure.status, 409);
    assert!(
        failure.detail.contains(one.as_str()) && failure.detail.contains(VNFD_ID),
        "{failure:?}"
    );
}

#[tokio::test]
async fn an_upload_that_broke_off_leaves_a_package_that_can_be_uploaded_to() {
    let dir = tempfile::tempdir().unwrap();
    let (store, packages) = open(&dir);
    let id = created(&packages).await;
    let broken = packages.upload::<Error>(&id, async { Err(Error::TooLarge) }).await;
    assert!(matches!(broken, Err(Error::TooLarge)), "{broken:?}");
    let left = packages.show(&id).await.unwrap().package;
    assert_eq!(left.onboarding_state, PackageOnboardingState::Created);

    // A host that died in the middle.
    use vimhost_store::VnfPackages as _;
    for state in [PackageOnboardingState::Uploading, PackageOnboardingState::Processing] {
        let mut left = packages.show(&id).await.unwrap().package;
        left.onboarding_state = state;
        store.put_vnf_package(&left, left.revision).await.unwrap();
        store
            .put_archive_part(&id, 0, Bytes::from_static(b"half"))
            .await
            .unwrap();
        let refused = uploaded(&packages, &id, b"no zip".to_vec()).await.unwrap();
        assert!(refused.onboarding_failure.is_some());
    }
    let archive = package(&[]);
    uploaded(&packages, &id, archive.clone()).await.unwrap();
    assert_eq!(packages.content(&id).await.unwrap(), archive);
}

#[tokio::test]
async fn two_uploads_to_one_package_are_not_mixed() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, packages) = open(&dir);
    let id = created(&packages).await;
    let during = packages
        .upload::<Error>(&id, async {
            let second = uploaded(&packages, &id, package(&[])).await;
            assert!(matches!(second, Err(Error::Conflict(_))), "{second:?}");
            Ok(package(&[]).into())
        })
        .await
        .unwrap();
    assert!(during.is_usable());

    // Another host takes the package over while this one receives.
    let id = created(&packages).await;
    let other = Packages::new(Arc::clone(&packages.store));
    let renamed = TOP.replace(VNFD_ID, "other-vnfd");
    let overtaken = packages
        .upload::<Error>(&id, async {
            let archive = package(&[("Definitions/top.yaml", renamed.as_str())]);
            uploaded(&other, &id, archive).await.unwrap();
            Ok(package(&[]).into())
        })
        .await;
    assert!(matches!(overtaken, Err(Error::Conflict(_))), "{overtaken:?}");
    let shown = packages.show(&id).await.unwrap().package;
    assert_eq!(shown.vnfd.unwrap().id.as_str(), "other-vnfd");
}

#[tokio::test]
async fn only_a_disabled_package_is_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, packages) = open(&dir);
    let id = created(&packages).await;
    let disable = PackageModification {
        operational_state: Some(PackageOperationalState::Disabled),
        user_defined_data: Some(Map::from_iter([("a".to_owned(), json!(1)), ("b".to_owned(), json!(2))])),
    };
    let early = packages.update(&id, disable.clone()).await;
    assert!(matches!(early, Err(Error::Conflict(_))), "{early:?}");
    uploaded(&packages, &id, package(&[])).await.unwrap();
    let enabled = packages.delete(&id).await;
    assert!(matches!(enabled, Err(Error::Conflict(_))), "{enabled:?}");

    let disabled = packages.update(&id, disable.clone()).await.unwrap();
    assert!(!disabled.is_usable());
    let again = packages.update(&id, disable).await;
    assert!(matches!(again, Err(Error::Conflict(_))), "{again:?}");
    let forget = PackageModification {
        user_defined_data: Some(Map::from_iter([("a".to_owned(), json!(null))])),
        ..PackageModification::default()
    };
    let changed = packages.update(&id, forget).await.unwrap();
    assert_eq!(Value::Object(changed.user_defined_data), json!({"b": 2}));

    packages.delete(&id).await.unwrap();
    let gone = packages.show(&id).await;
    assert!(matches!(gone, Err(Error::NotFound(_))), "{gone:?}");
    assert_eq!(packages.list(None, 10).await.unwrap().entries, []);
}

/// An operation on a new instance, accepted just now, that brings it to the package of the samples.
fn bringing(operation: &str, name: &str) -> (VnfInstance, VnfLcmOpOcc) {
    let instance = json!({
        "id": name, "vnfdId": "other", "vnfProvider": "p", "vnfProductName": "n", "vnfSoftwareVersion": "1", "vnfdVersion": "1",
        "instantiationState": "INSTANTIATED", "_vimhost": {"package": "other"}});
    let op_occ = json!({
        "id": format!("op-{name}"), "operationState": "STARTING", "stateEnteredTime": "2026-01-01T00:00:00.000Z",
        "startTime": "2026-01-01T00:00:00.000Z", "vnfInstanceId": name, "operation": operation,
        "isAutomaticInvocation": false, "isCancelPending": false, "operationParams": {"vnfdId": VNFD_ID}, "_vimhost": {}});
    (
        serde_json::from_value(instance).unwrap(),
        serde_json::from_value(op_occ).unwrap(),
    )
}

#[tokio::test]
async fn a_package_is_in_use_from_when_an_operation_that_needs_it_is_accepted_until_that_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let (store, packages) = open(&dir);
    let store: Arc<dyn Store> = store;
    let id = created(&packages).await;
    uploaded(&packages, &id, package(&[])).await.unwrap();
    let disable = PackageModification {
        operational_state: Some(PackageOperationalState::Disabled),
        user_defined_data: None,
    };
    packages.update(&id, disable).await.unwrap();
    for (operation, name) in [("CHANGE_VNFPKG", "one"), ("MODIFY_INFO", "two")] {
        let (instance, mut op_occ) = bringing(operation, name);
        store.add_vnf_instance(&instance, &[]).await.unwrap();
        store.begin_operation(&op_occ, 1, &[]).await.unwrap();
        op_occ.own.revision = 1;
        for state in [
            None,
            Some(OperationState::Processing),
            Some(OperationState::FailedTemp),
            Some(OperationState::RollingBack),
        ] {
            if let Some(state) = state {
                op_occ.enter(state, now()).unwrap();
                let saved = store.save_op_occ(None, &op_occ, InstanceWrite::None, &[]).await;
                op_occ.own.revision = saved.unwrap();
            }
            let refused = packages.delete(&id).await;
            assert!(
                matches!(&refused, Err(Error::Conflict(why)) if why.contains("in use")),
                "{operation} {state:?}: {refused:?}"
            );
            let listed = packages.list(None, 10).await.unwrap().entries;
            assert_eq!(listed[0].usage, PackageUsageState::InUse, "{operation} {state:?}");
        }
        op_occ.enter(OperationState::RolledBack, now()).unwrap();
        let over = store.save_op_occ(None, &op_occ, InstanceWrite::Release, &[]).await;
        over.unwrap();
        assert_eq!(packages.show(&id).await.unwrap().usage, PackageUsageState::NotInUse);
    }
    packages.delete(&id).await.unwrap();
}
