//! The command line, as a person uses it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use mock_vim::Faults;
use serde_json::Value;
use vimhost_tests::{Host, PASSWORD, Setup, binary, start_vim};

/// Runs a command against a host.
pub(crate) fn vimhost(host: &Host, arguments: &[&str], stdin: &str) -> Output {
    let mut child = Command::new(binary().unwrap())
        .args(arguments)
        .env("VIMHOST_SERVER", &host.admin)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that reads no stdin may be over before this is written.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn example(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs/examples")
        .join(name)
        .to_str()
        .unwrap()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_of_the_documentation_deploy_and_terminate() {
    let vim = start_vim(Faults {
        build_delay_ms: 100,
        ..Faults::default()
    })
    .await
    .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let host = Host::start(&Setup::new(dir.path())).unwrap();
    let url = vim.url();
    let add = [
        "vim",
        "add",
        "mock",
        "--type",
        "mock",
        "--url",
        &url,
        "--user",
        "mock",
        "--tenant",
        "mock",
        "--password-stdin",
    ];
    let added = vimhost(&host, &add, &format!("{PASSWORD}\n"));
    assert!(added.status.success(), "{}", text(&added.stderr));
    assert!(
        text(&added.stdout).contains("account mock works"),
        "{}",
        text(&added.stdout)
    );
    let listed = vimhost(&host, &["vim", "list"], "");
    assert!(text(&listed.stdout).contains("ENABLED"), "{}", text(&listed.stdout));

    for (file, name, vms) in [
        ("web.yaml", "web", 2),
        ("database.yaml", "database", 2),
        ("router.yaml", "router", 1),
    ] {
        let file = example(file);
        let plan = vimhost(&host, &["plan", &file], "");
        assert!(plan.status.success(), "{}", text(&plan.stderr));
        assert!(text(&plan.stdout).contains("0 to delete"), "{}", text(&plan.stdout));
        assert_eq!(vim.inventory().created(), 0, "a plan touches nothing");
        let planned = vimhost(&host, &["status", name], "");
        assert!(
            text(&planned.stderr).contains("not found"),
            "a plan keeps nothing: {}",
            text(&planned.stdout)
        );
        let deploy = vimhost(&host, &["deploy", &file, "--wait"], "");
        assert!(deploy.status.success(), "{}", text(&deploy.stderr));
        assert!(
            text(&deploy.stderr).contains("DONE"),
            "progress is shown: {}",
            text(&deploy.stderr)
        );
        assert_eq!(vim.inventory().servers.len(), vms);
        let again = vimhost(&host, &["plan", &file], "");
        assert!(
            text(&again.stdout).contains("0 to create, 0 to delete, 0 changed"),
            "{}",
            text(&again.stdout)
        );
        let status = vimhost(&host, &["status", name, "-o", "json"], "");
        let status: Value = serde_json::from_slice(&status.stdout).unwrap();
        assert_eq!(status["vnfrs"][0]["vdur"].as_array().unwrap().len(), vms);
        let end = vimhost(&host, &["terminate", name, "--wait"], "");
        assert!(end.status.success(), "{}", text(&end.stderr));
        let kept = if name == "database" { 2 } else { 0 };
        assert_eq!(
            vim.inventory().created(),
            kept,
            "only volumes that were to be kept are left: {:#?}",
            vim.inventory()
        );
        let removed = vimhost(&host, &["remove", name], "");
        assert!(removed.status.success(), "{}", text(&removed.stderr));
        if kept > 0 {
            // They are somebody's data; the next example starts from an empty VIM.
            host.http.post(format!("{url}/admin/reset")).send().await.unwrap();
        }
    }
    vim.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_name_the_next_step_and_a_failed_action_has_an_exit_code() {
    let vim = start_vim(Faults::default()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let host = Host::start(&Setup::new(dir.path())).unwrap();
    let nobody = Command::new(binary().unwrap())
        .args(["status", "--server", "http://127.0.0.1:9"])
        .output()
        .unwrap();
    assert_eq!(nobody.status.code(), Some(1));
    assert!(
        text(&nobody.stderr).contains("vimhost serve"),
        "{}",
        text(&nobody.stderr)
    );
    let missing = vimhost(&host, &["deploy", &example("web.yaml")], "");
    assert!(
        text(&missing.stderr).contains("account 'mock' not found; `vimhost vim list`"),
        "{}",
        text(&missing.stderr)
    );
    let wrong = vimhost(
        &host,
        &["vim", "add", "x", "--type", "mars", "--url", "http://127.0.0.1:1"],
        "",
    );
    assert!(
        text(&wrong.stderr).contains("no plugin serves VIM type 'mars'"),
        "{}",
        text(&wrong.stderr)
    );

    let no_url = vimhost(&host, &["vim", "add", "x", "--type", "mock", "--url", "not a url"], "");
    assert!(text(&no_url.stderr).contains("https://"), "{}", text(&no_url.stderr));
    let nothing = vimhost(&host, &["vim", "allow", "x"], "");
    assert!(text(&nothing.stderr).contains("--address"), "{}", text(&nothing.stderr));

    host.add_vim("mock", &vim.url()).await.unwrap();
    let faults = serde_json::json!({"server_error": [{"name": "*", "message": "no valid host"}]});
    vim.set_faults(serde_json::from_value(faults).unwrap()).unwrap();
    let failed = vimhost(&host, &["deploy", &example("router.yaml"), "--wait"], "");
    assert_eq!(failed.status.code(), Some(3), "{}", text(&failed.stderr));
    assert!(
        text(&failed.stderr).contains("no valid host"),
        "{}",
        text(&failed.stderr)
    );
    vim.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stops_following_an_action_is_told_how_to_see_it_again() {
    let vim = start_vim(Faults {
        build_delay_ms: 5_000,
        ..Faults::default()
    })
    .await
    .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let host = Host::start(&Setup::new(dir.path())).unwrap();
    host.add_vim("mock", &vim.url()).await.unwrap();
    let mut child = Command::new(binary().unwrap())
        .args(["deploy", &example("router.yaml"), "--wait"])
        .env("VIMHOST_SERVER", &host.admin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
    // It follows the action now, so it listens to signals too.
    told.find(|line| line.as_ref().unwrap().starts_with("BUILD"))
        .unwrap()
        .unwrap();
    let signal = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(signal.unwrap().success());
    let rest: Vec<String> = told.map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{rest:?}");
    let last = rest.last().unwrap();
    assert!(
        last.contains("goes on") && last.contains("vimhost status router "),
        "{rest:?}"
    );
    vim.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_without_progress_says_where_the_reason_stands() {
    let vim = start_vim(Faults::default()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let host = Host::start(&Setup::new(dir.path())).unwrap();
    host.add_vim("mock", &vim.url()).await.unwrap();
    vim.stop().await.unwrap();
    let mut child = Command::new(binary().unwrap())
        .args(["deploy", &example("router.yaml"), "--wait"])
        .env("VIMHOST_SERVER", &host.admin)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
    let hint = told
        .find(|line| line.as_ref().unwrap().contains("no progress"))
        .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let hint = hint.unwrap();
    let action = hint
        .split_whitespace()
        .skip_while(|word| *word != "router")
        .nth(1)
        .unwrap();
    let status = vimhost(&host, &["status", "router", action.trim_end_matches('`')], "");
    assert!(
        text(&status.stdout).contains("cannot be reached"),
        "{hint}: {}",
        text(&status.stdout)
    );
}
