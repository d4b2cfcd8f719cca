//! A connector that misbehaves fails its own task with the reason; the rest goes on.

use std::time::Duration;

use mock_vim::Faults;
use serde_json::{Value, json};
use vimhost_tests::{Host, PASSWORD, Setup, plugin_dir, start_vim, wait_until};

/// Connectors of the build, and the guest that misbehaves.
pub(super) fn plugins_with_the_guest(dir: &std::path::Path) {
    let plugins = plugin_dir().unwrap();
    let guest = plugins.parent().unwrap().join("guests/misbehave.wasm");
    assert!(
        guest.is_file(),
        "{} is missing: run `cargo xtask plugins`",
        guest.display()
    );
    std::fs::copy(plugins.join("mock.wasm"), dir.join("mock.wasm")).unwrap();
    std::fs::copy(guest, dir.join("misbehave.wasm")).unwrap();
    std::fs::write(dir.join("rubbish.wasm"), b"this is no component").unwrap();
}

/// A network service of one network.
pub(super) fn service(name: &str, vim: &str) -> Value {
    json!({"name": name, "vim": vim, "networks": {"data": {}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_that_misbehaves_fails_its_own_task_and_the_rest_goes_on() {
    let vim = start_vim(Faults::default()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let plugins = tempfile::tempdir().unwrap();
    plugins_with_the_guest(plugins.path());
    let mut setup = Setup::new(dir.path());
    setup.plugin_dir = Some(plugins.path().to_owned());
    let host = Host::start(&setup).unwrap();
    let listed = host.admin_ok("GET", "/v1/plugins", None).await.unwrap();
    let rubbish = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|p| p["file"].as_str().unwrap().contains("rubbish"))
        .unwrap();
    assert_eq!(rubbish["state"], "failed", "{rubbish}");
    host.add_vim("good", &vim.url()).await.unwrap();
    for (misbehaviour, config, needle) in [
        ("spin", json!({"steps": ["spin"]}), "comput"),
        ("allocate", json!({"steps": ["allocate"]}), "memory"),
        ("panic", json!({"steps": ["panic"]}), "in the middle of a creation"),
        ("exit", json!({"steps": ["exit"]}), "it called exit"),
        ("rubbish", json!({"steps": ["rubbish"]}), "answered rubbish: "),
        (
            "journal",
            json!({"steps": ["begin-many"]}),
            "the journal of the task is full",
        ),
        (
            "handle-in-a-header",
            json!({"steps": ["request"], "requests": [{"url": "{url}/", "headers": {"x-name": "{password}"}}]}),
            "in its header 'x-name'",
        ),
        (
            "dial-ungranted",
            json!({"steps": ["request"], "requests": [{"url": "http://ungranted.example/"}]}),
            "vimhost vim allow dial-ungranted --origin http://ungranted.example",
        ),
    ] {
        let account = json!({"id": misbehaviour, "name": misbehaviour, "vim_type": "misbehave", "url": "http://127.0.0.1:1",
                             "config": config, "credentials": {"password": PASSWORD}});
        host.admin_ok("POST", "/v1/vims", Some(account)).await.unwrap();
        let path = format!("/v1/network-services/{misbehaviour}");
        host.admin_ok("PUT", &path, Some(service(misbehaviour, misbehaviour)))
            .await
            .unwrap();
        let bad = host
            .admin_ok("POST", &format!("{path}/deploy"), Some(json!({})))
            .await
            .unwrap();
        // Meanwhile the good one works.
        let good = format!("good-{misbehaviour}");
        host.admin_ok(
            "PUT",
            &format!("/v1/network-services/{good}"),
            Some(service(&good, "good")),
        )
        .await
        .unwrap();
        let deployed = host
            .admin_ok("POST", &format!("/v1/network-services/{good}/deploy"), Some(json!({})))
            .await
            .unwrap();
        for (name, accepted, status) in [(good.as_str(), &deployed, "DONE"), (misbehaviour, &bad, "FAILED")] {
            let action = accepted["action_id"].as_str().unwrap();
            let path = format!("/v1/network-services/{name}/actions/{action}");
            wait_until(&format!("{name} {status}"), Duration::from_secs(60), async || {
                Ok(host.admin_ok("GET", &path, None).await?["status"] == status)
            })
            .await
            .unwrap();
            let view = host.admin_ok("GET", &path, None).await.unwrap();
            if status == "FAILED" {
                assert!(
                    view["failures"][0].as_str().unwrap().contains(needle),
                    "{misbehaviour}: {view:#}"
                );
            }
        }
    }
    vim.stop().await.unwrap();
}
