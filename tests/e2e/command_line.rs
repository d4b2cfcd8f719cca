//! The command line, as a person uses it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use mock_vim::Faults;
use serde_json::{Value, json};
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
async fn with_output_json_stdout_is_one_document_and_nothing_else() {
    let vim = start_vim(Faults::default()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let host = Host::start(&Setup::new(dir.path())).unwrap();
    host.add_vim("mock", &vim.url()).await.unwrap();
    let document = |arguments: &[&str]| -> Value {
        let output = vimhost(&host, &[arguments, &["-o", "json"]].concat(), "");
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        assert!(!text(&output.stdout).contains(PASSWORD), "{arguments:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    };

    let checked = document(&["vim", "check", "mock"]);
    let wanted = json!({"state": "ENABLED", "vim_version": "mock VIM, v1", "origins": [], "warnings": []});
    assert_eq!(checked, wanted);
    let listed = document(&["vim", "list"]);
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed:#}");
    let account = &listed[0];
    assert_eq!(account["id"], "mock");
    assert_eq!(account["target"], "vim:mock");
    assert_eq!(account["vim_type"], "mock");
    assert_eq!(account["state"], "ENABLED", "as the check has found it");
    assert_eq!(account["credentials"], json!(["password"]), "names, and no more");

    let file = example("router.yaml");
    let plan = document(&["plan", &file]);
    assert_eq!(plan["nsr_id"], "router");
    let changes = plan["changes"].as_array().unwrap();
    assert_eq!(plan["tasks"], changes.len(), "{plan:#}");
    let kinds = |kind: &str| changes.iter().filter(|change| change["kind"] == kind).count();
    assert_eq!(
        (kinds("net"), kinds("image"), kinds("flavor"), kinds("vdu")),
        (3, 1, 1, 1)
    );
    for change in changes {
        assert_eq!(change["change"], "create", "{change:#}");
        assert_eq!(change["target"], "vim:mock");
        assert!(!change["reason"].as_str().unwrap().is_empty(), "{change:#}");
    }

    let done = document(&["deploy", &file, "--wait"]);
    assert_eq!(done["nsr_id"], "router");
    assert_eq!((&done["kind"], &done["status"]), (&json!("deploy"), &json!("DONE")));
    assert_eq!(
        (&done["done"], &done["total"]),
        (&plan["tasks"], &plan["tasks"]),
        "as planned"
    );
    assert_eq!(done["failures"], json!([]));
    let tasks = done["tasks"].as_array().unwrap();
    let vm = tasks.iter().find(|task| task["item"] == "vdu").unwrap();
    assert_eq!(vm["status"], "DONE");
    assert_eq!(vm["vim_id"], vim.inventory().servers[0].meta.id);
    let again = document(&["plan", &file]);
    assert_eq!(again["tasks"], 0);
    assert!(
        again["changes"]
            .as_array()
            .unwrap()
            .iter()
            .all(|change| change["change"] == "unchanged"),
        "{again:#}"
    );
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
    let faults = json!({"server_error": [{"name": "*", "message": "no valid host"}]});
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
    // Nothing is over before the signal.
    let vim = start_vim(Faults {
        build_delay_ms: 3_600_000,
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
