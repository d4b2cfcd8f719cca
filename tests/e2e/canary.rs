//! Secrets stay where they belong: neither the password nor the VIM's token is in a log, a plain file, an answer of the admin
//! interface or of NG-RO's, the metrics, or what commands print.
//!
//! That neither is in the memory of a connector is tested where a guest can be told to look: `host/runtime/tests/egress.rs`.

use std::path::Path;
use std::time::Duration;

use mock_vim::{Config, Credentials, Server};
use serde_json::{Value, json};
use vimhost_tests::{Host, Lcm, Setup, wait_until};

use crate::command_line::vimhost;

const CANARY: &str = "canary-8d1f2c77-password";

/// What a command prints, for people and as JSON; whether it ends well is not asked.
fn printed(host: &Host, arguments: &[&str], stdin: &str) -> [Value; 2] {
    ["text", "json"].map(|form| {
        let output = vimhost(host, &[arguments, &["-o", form]].concat(), stdin);
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(!out.is_empty() || !err.is_empty(), "{arguments:?} prints nothing");
        Value::from(format!("{out}{err}"))
    })
}

/// Whether a file, or one below a directory, holds a text.
pub(crate) fn holds(path: &Path, needle: &str) -> bool {
    if path.is_dir() {
        return std::fs::read_dir(path)
            .unwrap()
            .any(|entry| holds(&entry.unwrap().path(), needle));
    }
    let bytes = std::fs::read(path).unwrap();
    bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_password_and_the_token_are_in_no_log_answer_output_or_plain_file() {
    let credentials = Credentials {
        user: "mock".into(),
        password: CANARY.into(),
        tenant: "mock".into(),
    };
    let vim_dir = tempfile::tempdir().unwrap();
    let state_file = vim_dir.path().join("vim.json");
    let vim = Server::start(Config {
        credentials,
        state_file: Some(state_file.clone()),
        ..Config::default()
    })
    .await
    .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut setup = Setup::new(dir.path());
    // Everything that could print a request; the compiler's own trace would be gigabytes.
    setup.log =
        "info,vimhost=trace,vimhost_api=trace,vimhost_engine=trace,vimhost_runtime=trace,vimhost_store_sqlite=trace,\
                 hyper=trace,hyper_util=trace,rustls=trace,wasmtime_wasi_http=trace"
            .to_owned();
    let host = Host::start(&setup).unwrap();
    let mut answers = Vec::new();
    let account = json!({"id": "mock", "name": "mock", "vim_type": "mock", "url": vim.url(), "user": "mock", "tenant": "mock",
        "credentials": {"password": CANARY}});
    answers.push(host.admin_ok("POST", "/v1/vims", Some(account)).await.unwrap());
    let service = json!({"name": "s", "vim": "mock", "networks": {"data": {}},
        "flavours": {"f": {"vcpus": 1, "memory-mb": 1, "disk-gb": 1}},
        "vms": {"vm": {"image": "cirros034", "flavour": "f", "interfaces": [{"network": "data"}]}}});
    for (method, path, body) in [
        ("POST", "/v1/vims/mock/check", Some(json!({}))),
        ("GET", "/v1/vims/mock", None),
        ("GET", "/v1/vims", None),
        ("PUT", "/v1/network-services/s", Some(service)),
        ("POST", "/v1/network-services/s/deploy", Some(json!({}))),
    ] {
        answers.push(host.admin_ok(method, path, body).await.unwrap());
    }
    let action = answers.last().unwrap()["action_id"].as_str().unwrap().to_owned();
    let path = format!("/v1/network-services/s/actions/{action}");
    wait_until("the deploy", Duration::from_secs(60), async || {
        Ok(host.admin_ok("GET", &path, None).await?["status"] == "DONE")
    })
    .await
    .unwrap();
    answers.push(host.admin_ok("GET", &path, None).await.unwrap());
    answers.push(host.admin_ok("GET", "/v1/network-services/s", None).await.unwrap());
    // A wrong password is refused without being repeated.
    let (status, refused) = host
        .admin(
            "POST",
            "/v1/vims",
            Some(
                json!({"id": "wrong", "name": "wrong", "vim_type": "mock", "url": vim.url(), "user": "mock",
            "tenant": "mock", "credentials": {"password": "canary-wrong"}}),
            ),
        )
        .await
        .unwrap();
    assert_eq!(status, 201, "{refused}");
    let (status, refused) = host
        .admin("POST", "/v1/vims/wrong/check", Some(json!({})))
        .await
        .unwrap();
    assert!(status >= 400, "{refused}");
    answers.push(refused);

    let lcm = Lcm::new(&host);
    for path in ["s", &format!("s/{action}"), &format!("s/{action}/viminfo")] {
        let (status, answer) = lcm.call("GET", &format!("ns/v1/deploy/{path}"), None).await.unwrap();
        assert_eq!(status, 200, "{path}: {answer}");
        answers.push(answer);
    }
    let page = host.metrics_page().await.unwrap();
    assert!(page.contains("vimhost_egress_requests_total"), "{page}");
    answers.push(page.into());
    let url = vim.url();
    let mut add = vec!["vim", "add", "typed", "--type", "mock", "--url", &url, "--user", "mock"];
    add.extend(["--tenant", "mock", "--password-stdin"]);
    let added = printed(&host, &add, &format!("{CANARY}\n"));
    assert!(added[0].to_string().contains("account typed works"), "{}", added[0]);
    answers.extend(added);
    for command in [
        &["status"][..],
        &["status", "s"],
        &["status", "s", &action],
        &["vim", "list"],
        &["vim", "show", "mock"],
        &["vim", "check", "mock"],
        &["vim", "check", "wrong"],
        &["plugin", "show", "mock"],
    ] {
        answers.extend(printed(&host, command, ""));
    }

    let log = host.stop().unwrap();
    // The tokens that the VIM handed out, as its own file holds them.
    let state: Value = serde_json::from_slice(&std::fs::read(state_file).unwrap()).unwrap();
    let tokens: Vec<String> = state["sessions"].as_object().unwrap().keys().cloned().collect();
    assert!(!tokens.is_empty(), "the host logged in");
    for secret in [CANARY, "canary-wrong"]
        .into_iter()
        .chain(tokens.iter().map(String::as_str))
    {
        assert!(!log.contains(secret), "in the log");
        assert!(
            !answers.iter().any(|answer| answer.to_string().contains(secret)),
            "in an answer"
        );
        assert!(!holds(dir.path(), secret), "in a plain file");
    }
    vim.stop().await.unwrap();
}
