//! What a connector may not reach is refused with the command that lets it; the command works as it is printed.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use mock_vim::Faults;
use serde_json::{Value, json};
use vimhost_tests::{Host, PASSWORD, Setup, binary, start_vim, wait_until};

use super::misbehaviour::{plugins_with_the_guest, service};

/// The command that a refusal ends with.
fn command_in(refusal: &str) -> &str {
    let (_, command) = refusal.split_once("to grant it: ").expect(refusal);
    // Another refusal of the same call may follow.
    command.split(';').next().unwrap_or(command)
}

/// Runs a line as somebody would who has copied it: in a shell that finds this build's `vimhost`.
fn in_a_shell(host: &Host, line: &str) -> Output {
    let binary = binary().unwrap();
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let here = binary.parent().unwrap().to_owned();
    let path = std::env::join_paths(std::iter::once(here).chain(std::env::split_paths(&inherited))).unwrap();
    Command::new("sh")
        .args(["-c", line])
        .env("PATH", path)
        .env("VIMHOST_SERVER", &host.admin)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Runs the command of a refusal, which has to do what it says.
fn grant(host: &Host, refusal: &str) {
    let command = command_in(refusal);
    let done = in_a_shell(host, command);
    assert!(
        done.status.success(),
        "{command}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// Deploys a service that the host keeps; answers the action when it is over.
async fn deployed(host: &Host, name: &str) -> Value {
    let path = format!("/v1/network-services/{name}");
    let accepted = host
        .admin_ok("POST", &format!("{path}/deploy"), Some(json!({})))
        .await
        .unwrap();
    let path = format!("{path}/actions/{}", accepted["action_id"].as_str().unwrap());
    wait_until(&format!("the end of {path}"), Duration::from_secs(60), async || {
        Ok(host.admin_ok("GET", &path, None).await?["status"] != "BUILD")
    })
    .await
    .unwrap();
    host.admin_ok("GET", &path, None).await.unwrap()
}

/// A host with the guest that makes the requests its account lists. It does not look at idle elements, whatever the time: requests are
/// counted.
fn host_with_the_guest(data: &std::path::Path, plugins: &std::path::Path) -> Host {
    plugins_with_the_guest(plugins);
    let mut setup = Setup::new(data);
    setup.plugin_dir = Some(plugins.to_owned());
    setup.arguments = vec!["--idle-period".to_owned(), "0".to_owned()];
    Host::start(&setup).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_in_a_refusal_grants_what_was_refused() {
    let vim = start_vim(Faults::default()).await.unwrap();
    let (data, plugins) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let host = host_with_the_guest(data.path(), plugins.path());
    // The account's URL is one origin, what the guest asks for is another.
    let elsewhere = json!({"steps": ["request", "begin", "commit"],
                           "requests": [{"url": format!("{}/v1/networks", vim.url())}]});
    // The origin is that of the account's URL, and its name leads to an address that was not granted.
    let by_name = vim.url().replace("127.0.0.1", "localhost");
    for (id, vim_type, url, config, option) in [
        ("elsewhere", "misbehave", "http://127.0.0.1:1", elsewhere, "--origin"),
        ("by-name", "mock", by_name.as_str(), json!({}), "--address"),
    ] {
        let asked = vim.requests().total;
        let account = json!({"id": id, "name": id, "vim_type": vim_type, "url": url, "user": "mock", "tenant": "mock",
                             "config": config, "credentials": {"password": PASSWORD}});
        host.admin_ok("POST", "/v1/vims", Some(account)).await.unwrap();
        host.admin_ok("PUT", &format!("/v1/network-services/{id}"), Some(service(id, id)))
            .await
            .unwrap();
        let refused = deployed(&host, id).await;
        assert_eq!(refused["status"], "FAILED", "{refused:#}");
        let refusal = refused["failures"][0].as_str().unwrap();
        let begin = format!("vimhost vim allow {id} {option} ");
        assert!(command_in(refusal).starts_with(&begin), "{refusal}");
        assert_eq!(vim.requests().total, asked, "{id}: what was refused was not sent");

        grant(&host, refusal);
        let done = deployed(&host, id).await;
        assert_eq!(done["status"], "DONE", "{done:#}");
        assert!(vim.requests().total > asked, "{id}: the VIM was reached");
    }
    vim.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_is_refused_names_the_command_for_its_kind_of_account() {
    let vim = start_vim(Faults::default()).await.unwrap();
    let (data, plugins) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let host = host_with_the_guest(data.path(), plugins.path());
    let requests = json!([{"url": format!("{}/v1/networks", vim.url())}]);
    // An id is unique within its kind, so the command has to name the kind to mean the right account.
    for kind in ["wim", "sdn", "vim"] {
        let account = json!({"id": "edge", "name": "edge", "vim_type": "misbehave", "url": "http://127.0.0.1:1",
                             "config": {"requests": requests}, "credentials": {"password": PASSWORD}});
        host.admin_ok("POST", &format!("/v1/{kind}s"), Some(account))
            .await
            .unwrap();
    }
    for kind in ["wim", "sdn", "vim"] {
        let path = format!("/v1/{kind}s/edge/check");
        let (status, problem) = host.admin("POST", &path, Some(json!({}))).await.unwrap();
        assert_eq!(status, 409, "{kind}: {problem}");
        grant(&host, problem["detail"].as_str().unwrap());
        let checked = host.admin_ok("POST", &path, Some(json!({}))).await.unwrap();
        assert_eq!(checked["state"], "ENABLED", "{kind}: {checked}");
    }
    vim.stop().await.unwrap();
}
