//! The log itself: which lines are in it can be said anew, and the last ones are those that say why a host ended.

use std::time::Duration;

use serde_json::Value;
use vimhost_tests::{Host, Setup, wait_until};

const LIMIT: Duration = Duration::from_secs(60);

/// Waits until the log has a text so many times.
async fn logged(host: &Host, text: &str, times: usize) {
    wait_until(text, LIMIT, async || Ok(host.log().matches(text).count() == times))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_takes_the_filter_of_the_file_and_a_file_that_is_wrong_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("vimhost.yaml");
    let say = |filter: &str| std::fs::write(&file, format!("log: {filter}\n")).unwrap();
    say("info");
    let mut setup = Setup::new(&dir.path().join("data"));
    // The environment would win over the file.
    setup.log = String::new();
    setup.arguments = vec!["--config".to_owned(), file.to_str().unwrap().to_owned()];
    let host = Host::start(&setup).unwrap();
    host.admin_ok("GET", "/v1/vims", None).await.unwrap();

    say("info,vimhost_api=debug");
    host.hang_up().unwrap();
    logged(&host, "the filter of the log was read again", 1).await;
    assert!(!host.log().contains("DEBUG"), "{}", host.log());
    host.admin_ok("GET", "/v1/vims", None).await.unwrap();
    wait_until("a line with details", LIMIT, async || Ok(host.log().contains("DEBUG")))
        .await
        .unwrap();

    say("vimhost=loud");
    host.hang_up().unwrap();
    logged(&host, "settings cannot be read again", 1).await;
    let details = || host.log().matches("DEBUG").count();
    let before = details();
    host.admin_ok("GET", "/v1/vims", None).await.unwrap();
    wait_until("another such line", LIMIT, async || Ok(details() > before))
        .await
        .unwrap();

    let log = host.stop().unwrap();
    let last = log.lines().last().unwrap();
    assert!(last.contains("stopped"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_cannot_go_on_says_why_at_the_end_and_that_somebody_has_to_act() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut setup = Setup::new(dir.path());
    setup.arguments = vec![
        "--metrics-listen".to_owned(),
        taken.local_addr().unwrap().to_string(),
        "--log-json".to_owned(),
    ];
    let Err(ended) = Host::start(&setup) else {
        panic!("it listens where somebody else does");
    };
    let ended = ended.to_string();
    let line = ended.lines().find(|line| line.contains("vimhost::critical"));
    let line = line.unwrap_or_else(|| panic!("no such line: {ended}"));
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["level"], "ERROR", "{line}");
    assert_eq!(line["fields"]["critical"], true);
    let error = line["fields"]["error"].as_str().unwrap();
    assert!(error.contains("cannot listen on"), "{ended}");
    assert!(line["fields"]["error.chain"].is_string(), "{ended}");
}
