//! Tokens, the audit log, seal keys and plugins, as a person uses them.

use std::process::{Command, Output};

use mock_vim::Faults;
use serde_json::Value;
use vimhost_tests::{Host, Setup, binary, plugin_dir, start_vim};

fn vimhost(host: &Host, token: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary().unwrap());
    command.args(arguments).env("VIMHOST_SERVER", &host.admin);
    if !token.is_empty() {
        command.env("VIMHOST_TOKEN", token);
    }
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_makes_tokens_reads_the_audit_log_and_rotates_the_key() {
    let vim = start_vim(Faults::default()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let host = Host::start(&Setup::new(dir.path())).unwrap();
    host.add_vim("mock", &vim.url()).await.unwrap();
    let made = vimhost(&host, "", &["token", "add", "boss", "--role", "admin"]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let boss = text(&made.stdout).trim().to_owned();
    assert!(boss.starts_with("vimhost_") && !text(&made.stderr).contains(&boss));
    let made = vimhost(&host, &boss, &["token", "add", "guest", "--days", "1"]);
    let guest = text(&made.stdout).trim().to_owned();

    let nobody = vimhost(&host, "", &["vim", "list"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(
        text(&nobody.stderr).contains("VIMHOST_TOKEN"),
        "{}",
        text(&nobody.stderr)
    );
    let refused = vimhost(&host, &guest, &["vim", "rm", "mock"]);
    assert!(
        text(&refused.stderr).contains("role 'admin'"),
        "{}",
        text(&refused.stderr)
    );
    let tokens = json(&vimhost(&host, &boss, &["token", "list", "-o", "json"]));
    assert_eq!(tokens["items"].as_array().unwrap().len(), 2);

    let keys = json(&vimhost(&host, &boss, &["key", "list", "-o", "json"]));
    let old = keys["items"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(keys["items"][0]["secrets"], 1);
    let rotated = json(&vimhost(&host, &boss, &["key", "rotate", "-o", "json"]));
    assert_eq!(rotated["accounts"], 1);
    let checked = vimhost(&host, &boss, &["vim", "check", "mock"]);
    assert!(checked.status.success(), "{}", text(&checked.stderr));

    let audit = json(&vimhost(&host, &boss, &["audit", "-o", "json"]));
    let operations: Vec<&str> = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["operation"].as_str().unwrap())
        .collect();
    assert_eq!(
        operations,
        [
            "checkAccount",
            "rotateKeys",
            "removeAccount",
            "addToken",
            "addToken",
            "addAccount"
        ]
    );
    assert_eq!(
        (&audit["items"][2]["status"], &audit["items"][2]["role"]),
        (&403.into(), &"viewer".into())
    );

    // A start with the older key beside the present one, and one without it.
    host.stop().unwrap();
    let host = Host::start(&Setup::new(dir.path())).unwrap();
    let checked = vimhost(&host, &boss, &["vim", "check", "mock"]);
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    let removed = vimhost(&host, &boss, &["key", "rm", &old]);
    assert!(removed.status.success(), "{}", text(&removed.stderr));
    host.stop().unwrap();
    let host = Host::start(&Setup::new(dir.path())).unwrap();
    let checked = vimhost(&host, &boss, &["vim", "check", "mock"]);
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    vim.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_is_uploaded_while_the_host_runs_and_a_bad_one_leaves_the_old_one_serving() {
    let vim = start_vim(Faults::default()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let plugins = dir.path().join("plugins");
    std::fs::create_dir(&plugins).unwrap();
    let component = plugin_dir().unwrap().join("mock.wasm");
    let mock = plugins.join("mock.wasm");
    std::fs::copy(&component, &mock).unwrap();
    let mut setup = Setup::new(dir.path().join("data").as_path());
    setup.plugin_dir = Some(plugins.clone());
    let host = Host::start(&setup).unwrap();
    host.add_vim("mock", &vim.url()).await.unwrap();
    let shown = json(&vimhost(&host, "", &["plugin", "show", "mock", "-o", "json"]));
    assert_eq!(
        (&shown["items"][0]["state"], shown["items"].as_array().unwrap().len()),
        (&"ready".into(), 1)
    );
    assert_eq!(shown["items"][0]["descriptor"]["credentials"][0]["name"], "password");

    let bad = dir.path().join("mock.wasm");
    std::fs::write(&bad, b"\0asm\x01\0\0\0").unwrap();
    let refused = vimhost(&host, "", &["plugin", "load", bad.to_str().unwrap()]);
    assert!(
        text(&refused.stderr).contains("not a component"),
        "{}",
        text(&refused.stderr)
    );
    assert_eq!(std::fs::read(&mock).unwrap(), std::fs::read(&component).unwrap());
    host.admin_ok("POST", "/v1/vims/mock/check", Some(serde_json::json!({})))
        .await
        .unwrap();

    // The same component with a section of a person's notes has another digest and replaces the first.
    let mut changed = std::fs::read(&component).unwrap();
    changed.extend_from_slice(b"\0\x05\x04note");
    let next = dir.path().join("next.wasm");
    std::fs::write(&next, &changed).unwrap();
    let loaded = vimhost(&host, "", &["plugin", "load", next.to_str().unwrap(), "--name", "mock"]);
    assert!(
        text(&loaded.stdout).contains("ready"),
        "{}{}",
        text(&loaded.stdout),
        text(&loaded.stderr)
    );
    assert_eq!(std::fs::read(&mock).unwrap(), changed);
    host.admin_ok("POST", "/v1/vims/mock/check", Some(serde_json::json!({})))
        .await
        .unwrap();

    std::fs::copy(&component, &mock).unwrap();
    let reloaded = vimhost(&host, "", &["plugin", "reload", "mock"]);
    assert!(text(&reloaded.stdout).contains("ready"), "{}", text(&reloaded.stderr));
    let missing = vimhost(&host, "", &["plugin", "reload", "nothing"]);
    assert!(
        text(&missing.stderr).contains("nothing.wasm"),
        "{}",
        text(&missing.stderr)
    );
    vim.stop().await.unwrap();
}
