//! Ways into a cloud: an account as `clouds.yaml` has it, by password and by application credential.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use vimhost_openstack_tests::{Cloud, Inventory, cloud};
use vimhost_tests::{Host, Setup, binary};

use crate::requests::{act, vms};
use crate::service::{ACCOUNT, assert_as_before, turn};

/// Adds a cloud of a file as a person would, and deploys on it; answers the host's log.
async fn deployed(cloud: &Cloud, file: &Path, name: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let host = Host::start(&Setup::new(dir.path())).unwrap();
    let mut add = Command::new(binary().unwrap());
    add.args(["vim", "add", name, "--id", ACCOUNT, "--from-clouds-yaml"])
        .arg(file)
        .env("VIMHOST_SERVER", &host.admin);
    let grants = cloud.account(ACCOUNT).unwrap().body["grants"].clone();
    for (option, key) in [("--origin", "origins"), ("--address", "addresses")] {
        for granted in grants[key].as_array().unwrap() {
            add.args([option, granted.as_str().unwrap()]);
        }
    }
    let added = add.output().unwrap();
    let said = [added.stdout, added.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    assert!(added.status.success(), "{said:?}");
    assert!(said[0].contains(&format!("account {ACCOUNT} works")), "{said:?}");

    let service = format!("accounts-{}", std::process::id());
    act(&host, &service, "deploy", Some(vms(&service, 1))).await;
    act(&host, &service, "terminate", None).await;
    host.stop().unwrap()
}

/// An application credential of the cloud's user, until this is dropped.
struct Credential<'c> {
    cloud: &'c Cloud,
    id: String,
    secret: String,
}

impl<'c> Credential<'c> {
    fn new(cloud: &'c Cloud) -> Self {
        let name = format!("accounts-{}", std::process::id());
        let made = cloud
            .openstack(&["application", "credential", "create", &name])
            .unwrap();
        // Newer clients write the names of columns as titles.
        let text = |keys: [&str; 2]| {
            let told = keys.iter().find_map(|key| made.get(*key).and_then(Value::as_str));
            told.unwrap().to_owned()
        };
        Self {
            cloud,
            id: text(["id", "ID"]),
            secret: text(["secret", "Secret"]),
        }
    }
}

impl Drop for Credential<'_> {
    fn drop(&mut self) {
        let delete = ["application", "credential", "delete", &self.id];
        if let Err(error) = self.cloud.openstack_do(&delete) {
            eprintln!("the user keeps an application credential of this test: {error:#}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an OpenStack; `cargo xtask test --lab` has one"]
async fn an_account_of_clouds_yaml_deploys_by_password_and_by_application_credential() {
    let _turn = turn().await;
    let cloud = cloud();
    let before = Inventory::of(cloud).unwrap();
    let log = deployed(cloud, &cloud.file, &cloud.name).await;
    assert!(!log.contains(&cloud.password), "the password is in the log");

    let credential = Credential::new(cloud);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("clouds.yaml");
    let clouds = json!({"clouds": {"by-credential": {
        "auth_type": "v3applicationcredential", "region_name": cloud.region,
        "auth": {
            "auth_url": cloud.auth_url, "application_credential_id": credential.id,
            "application_credential_secret": credential.secret,
        },
    }}});
    // JSON is YAML.
    std::fs::write(&file, clouds.to_string()).unwrap();
    let log = deployed(cloud, &file, "by-credential").await;
    assert!(!log.contains(&credential.secret), "the secret is in the log");
    drop(credential);
    assert_as_before(cloud, &before, 0).await;
}
