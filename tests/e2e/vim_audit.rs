//! `vimhost vim audit`: elements that nobody owns, elements that are gone, two hosts on one VIM.

use std::process::{Command, Output};
use std::time::Duration;

use mock_vim::Faults;
use serde_json::{Value, json};
use vimhost_tests::{Host, Setup, VimUser, binary, start_vim, wait_until};

const LIMIT: Duration = Duration::from_secs(60);

/// What follows the letters of an installation in the token of an element that was never planned.
const STRANGER: &str = "0192f0c1-7a3b-7c4d-8e5f-0123456789ab";

/// A host that does not look at idle elements, so that only the audit finds what was deleted.
fn host(data_dir: &std::path::Path) -> Host {
    let setup = Setup {
        arguments: vec!["--idle-period".to_owned(), "0".to_owned()],
        ..Setup::new(data_dir)
    };
    Host::start(&setup).unwrap()
}

async fn deploy(host: &Host, name: &str) {
    let service = json!({
        "name": name, "vim": "mock",
        "networks": {"mgmt": {"existing": "mgmt"}, "inner": {}},
        "flavours": {"small": {"vcpus": 1, "memory-mb": 512, "disk-gb": 5}},
        "vms": {"vm": {"count": 2, "image": "ubuntu18.04", "flavour": "small",
                       "interfaces": [{"network": "mgmt", "management": true}, {"network": "inner"}]}},
    });
    let place = format!("/v1/network-services/{name}");
    host.admin_ok("PUT", &place, Some(service)).await.unwrap();
    let action = host
        .admin_ok("POST", &format!("{place}/deploy"), Some(json!({})))
        .await
        .unwrap();
    let path = format!("{place}/actions/{}", action["action_id"].as_str().unwrap());
    wait_until("the deployment", LIMIT, async || {
        Ok(host.admin_ok("GET", &path, None).await?["status"] == "DONE")
    })
    .await
    .unwrap();
}

fn audit(host: &Host, more: &[&str]) -> Output {
    Command::new(binary().unwrap())
        .args([&["vim", "audit"][..], more].concat())
        .env("VIMHOST_SERVER", &host.admin)
        .output()
        .unwrap()
}

/// Exit code and findings.
fn findings(host: &Host, account: &str) -> (i32, Vec<Value>) {
    let output = audit(host, &[account, "-o", "json"]);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
    });
    (
        output.status.code().unwrap(),
        told["findings"].as_array().unwrap().clone(),
    )
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_finds_what_nobody_owns_and_what_is_gone_and_nothing_else() {
    let vim = start_vim(Faults::default()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let host = host(dir.path());
    host.add_vim("mock", &vim.url()).await.unwrap();
    deploy(&host, "web").await;

    let lists = || vim.requests().of("GET servers list 200");
    let before = lists();
    let clean = audit(&host, &["mock"]);
    assert_eq!(clean.status.code(), Some(0), "{}", text(&clean));
    assert!(
        text(&clean).contains("0 orphans, 0 missing, 0 kinds"),
        "{}",
        text(&clean)
    );
    assert_eq!(
        lists() - before,
        1,
        "a page of servers is one request, however many are on it"
    );

    let user = VimUser::log_in(&vim).await.unwrap();
    let servers = vim.inventory().servers;
    let letters = servers[0].meta.token.clone().unwrap();
    let letters = letters.split('-').next().unwrap();
    let lost = json!({"name": "lost", "token": format!("{letters}-{STRANGER}")});
    let id = user.make("networks", &lost).await.unwrap();
    let (code, found) = findings(&host, "mock");
    assert_eq!((code, found.len()), (1, 1), "{found:#?}");
    assert_eq!(
        (&found[0]["verdict"], &found[0]["kind"], &found[0]["id"]),
        (&json!("orphan"), &json!("network"), &json!(id))
    );
    let shown = text(&audit(&host, &["mock"]));
    assert!(
        shown.contains(&id) && shown.contains("no record has its mark"),
        "{shown}"
    );

    user.delete("networks", &id).await.unwrap();
    user.delete("servers", &servers[0].meta.id).await.unwrap();
    let (code, found) = findings(&host, "mock");
    assert_eq!((code, found.len()), (1, 1), "{found:#?}");
    assert_eq!(
        (&found[0]["verdict"], &found[0]["id"], &found[0]["services"]),
        (&json!("missing"), &json!(servers[0].meta.id), &json!(["web"]))
    );
    vim.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hosts_on_one_vim_know_whose_is_what_and_what_a_lost_database_leaves() {
    let vim = start_vim(Faults::default()).await.unwrap();
    let (one_dir, two_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, two) = (host(one_dir.path()), host(two_dir.path()));
    for host in [&one, &two] {
        host.add_vim("mock", &vim.url()).await.unwrap();
    }
    deploy(&one, "web").await;
    let made = vim.inventory().created();
    for (host, expected) in [(&one, 0), (&two, made)] {
        let (code, found) = findings(host, "mock");
        let of_another = found.iter().filter(|finding| finding["verdict"] == "of-another");
        assert_eq!(
            (code, found.len(), of_another.count()),
            (0, expected, expected),
            "{found:#?}"
        );
    }
    // What the first host has made is what a host without its database finds, by the names that it gave.
    let shown = text(&audit(&two, &["mock", "--others"]));
    assert!(shown.contains("of-another  server"), "{shown}");
    let counted = text(&audit(&two, &["mock"]));
    assert!(
        counted.contains(&format!("{made} of another vimhost (--others lists them)")),
        "{counted}"
    );
    vim.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_looked_at_is_told_and_is_no_success() {
    let dir = tempfile::tempdir().unwrap();
    let host = host(dir.path());
    let alone = json!({"id": "alone", "name": "alone", "vim_type": "mock", "url": "mock:"});
    host.admin_ok("POST", "/v1/vims", Some(alone)).await.unwrap();
    let (code, found) = findings(&host, "alone");
    assert_eq!(code, 1);
    assert!(
        !found.is_empty() && found.iter().all(|finding| finding["verdict"] == "not-seen"),
        "{found:#?}"
    );
    let reason = found[0]["reason"].as_str().unwrap();
    assert!(reason.contains("keeps nothing that could be listed"), "{reason}");
    let nobody = audit(&host, &["nobody"]);
    assert_eq!(nobody.status.code(), Some(1));
    let said = String::from_utf8_lossy(&nobody.stderr);
    assert!(said.contains("account 'nobody' not found"), "{said}");
}
