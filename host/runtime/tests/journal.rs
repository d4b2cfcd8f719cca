//! Creating: journal before request, outcome after a failure.

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::vim::Vim;
use support::{Host, Notes, account, call};
use vimhost_connector::{Connectors as _, CreateRequest, Created, Error, ErrorKind, NetworkRequest, Outcome, Step};
use vimhost_model::{JournalEntry, JournalStatus};
use vimhost_runtime::Limits;

async fn create(
    host: &Host,
    vim: &Vim,
    journal: &Arc<Notes>,
    steps: Value,
    path: &str,
) -> Result<Step<Created>, Error> {
    let requests = json!([{ "url": format!("{}{path}", vim.url), "method": "POST" }]);
    let connector = host
        .open(&account(&vim.url, json!({ "steps": steps, "requests": requests })))
        .await;
    let request = CreateRequest::Network(NetworkRequest {
        name: "net".into(),
        kind: None,
        shared: false,
        ip_profile: None,
        provider: None,
    });
    connector.create(call(journal, vec![]), request).await
}

/// Waits for no answer: for a VIM that never gives one. What does answer may take longer on a busy machine.
async fn hurried() -> Host {
    Host::new(Limits {
        first_byte: Duration::from_millis(200),
        ..Limits::default()
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_is_written_before_the_request_and_closed_after_it() {
    let (host, vim, journal) = (
        Host::new(Limits::default()).await,
        Vim::start().await,
        Arc::new(Notes::default()),
    );
    let step = create(&host, &vim, &journal, json!(["begin", "request", "commit"]), "/")
        .await
        .unwrap();
    let Step::Done(created) = step else { panic!("{step:?}") };
    assert_eq!((created.id.as_str(), created.name.as_deref()), ("net-1", Some("net")));
    assert_eq!(journal.events(), ["begin network res-1", "commit 1 net-1"]);
    assert_eq!(vim.seen().len(), 1);
    assert_eq!(vim.last().header("content-length"), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_outcome_of_a_trap_is_unknown_while_something_may_have_been_made() {
    let (host, hurried) = (Host::new(Limits::default()).await, hurried().await);
    let (vim, journal) = (Vim::start().await, Arc::new(Notes::default()));
    let cases = [
        (json!(["panic"]), "/", Outcome::Known),
        (json!(["begin", "panic"]), "/", Outcome::Unknown),
        (json!(["begin", "request", "panic"]), "/", Outcome::Unknown),
        (json!(["begin", "request", "commit", "panic"]), "/", Outcome::Known),
        (json!(["begin", "forget", "panic"]), "/", Outcome::Known),
    ];
    for (steps, path, expected) in cases {
        let error = create(&host, &vim, &journal, steps.clone(), path).await.unwrap_err();
        assert_eq!(
            (error.kind, error.outcome),
            (ErrorKind::Plugin, expected),
            "{steps}: {error}"
        );
        assert!(error.message.contains("create-network: it panicked"), "{error}");
        assert!(error.message.contains("in the middle of a creation"), "{error}");
    }
    // Reported by the guest itself: its journal says what exists.
    let error = create(&hurried, &vim, &journal, json!(["begin", "request"]), "/silent")
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.outcome),
        (ErrorKind::Unreachable, Outcome::Known),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_without_an_answer_leaves_the_outcome_of_a_trap_open() {
    let (host, hurried) = (Host::new(Limits::default()).await, hurried().await);
    let (vim, journal) = (Vim::start().await, Arc::new(Notes::default()));
    let steps = json!(["request-anyway", "panic"]);
    let error = create(&hurried, &vim, &journal, steps.clone(), "/silent")
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.outcome),
        (ErrorKind::Plugin, Outcome::Unknown),
        "{error}"
    );
    let error = create(&host, &vim, &journal, steps, "/").await.unwrap_err();
    assert_eq!(
        (error.kind, error.outcome),
        (ErrorKind::Plugin, Outcome::Known),
        "it was answered: {error}"
    );
}

/// Else the next call would make it a second time, and nobody would ever delete the first one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_announced_stays_so_when_the_lease_ends_with_the_request_under_way() {
    let host = Host::new(Limits::default()).await;
    for steps in [
        json!(["begin", "request-or-forget"]),
        // A guest that takes no answer for no.
        json!(["begin", "request-anyway", "forget"]),
    ] {
        let (vim, journal) = (Vim::start().await, Arc::new(Notes::default()));
        let own = account(&vim.url, json!({})).target;
        let making = create(&host, &vim, &journal, steps.clone(), "/silent");
        let ending = async {
            let begun = Instant::now();
            while vim.seen().is_empty() {
                assert!(begun.elapsed() < Duration::from_secs(60), "the VIM is asked nothing");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            host.runtime.set_send_deadline(&own, Some(Instant::now()));
        };
        let (made, ()) = tokio::join!(making, ending);
        let error = made.unwrap_err();
        assert_eq!(
            (error.kind, error.outcome),
            (ErrorKind::Timeout, Outcome::Unknown),
            "{steps}: {error}"
        );
        assert_eq!(journal.events(), ["begin network res-1"], "{steps}");
        host.runtime.set_send_deadline(&own, None);
    }
    // What was not sent at all is taken back.
    let (vim, journal) = (Vim::start().await, Arc::new(Notes::default()));
    let own = account(&vim.url, json!({})).target;
    host.runtime.set_send_deadline(&own, Some(Instant::now()));
    let error = create(&host, &vim, &journal, json!(["begin", "request-or-forget"]), "/")
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Timeout, "{error}");
    assert_eq!(journal.events(), ["begin network res-1", "forget 1"]);
    assert!(vim.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_without_the_journal() {
    let (host, vim) = (Host::new(Limits::default()).await, Vim::start().await);
    let broken = Arc::new(Notes {
        broken: true,
        ..Notes::default()
    });
    let error = create(&host, &vim, &broken, json!(["begin", "request"]), "/")
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.outcome),
        (ErrorKind::Internal, Outcome::Known),
        "{error}"
    );
    assert!(
        error.message.contains("cannot write the journal: the disk is full"),
        "{error}"
    );
    // A guest that overlooks the failure sends nothing and does not succeed.
    for steps in [json!(["begin-anyway"]), json!(["begin-anyway", "request"])] {
        let error = create(&host, &vim, &broken, steps, "/").await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Internal, "{error}");
    }
    assert!(vim.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_are_bounded_and_belong_to_the_call() {
    let (host, vim, journal) = (
        Host::new(Limits::default()).await,
        Vim::start().await,
        Arc::new(Notes::default()),
    );
    let error = create(&host, &vim, &journal, json!(["begin-foreign"]), "/")
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Plugin);
    assert!(error.message.contains("token 'somebody-elses' is neither"), "{error}");
    let error = create(&host, &vim, &journal, json!(["begin-many"]), "/")
        .await
        .unwrap_err();
    assert!(
        error.message.contains("the journal of the task is full: 256 entries"),
        "{error}"
    );
    let connector = host.misbehaving("journal").await;
    let report = connector.check().await.unwrap();
    assert!(
        report.vim_version.unwrap().contains("no journal outside"),
        "and a check has none"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pending_state_and_open_entries_reach_the_next_call() {
    let (host, vim, journal) = (
        Host::new(Limits::default()).await,
        Vim::start().await,
        Arc::new(Notes::default()),
    );
    let step = create(&host, &vim, &journal, json!(["pending"]), "/").await.unwrap();
    let Step::Pending(pending) = step else {
        panic!("{step:?}")
    };
    assert_eq!((pending.state, pending.again_in.as_secs()), (Some(vec![1]), 2));

    let open = JournalEntry {
        id: 7,
        kind: "network".into(),
        token: "res-1".into(),
        status: JournalStatus::Begun,
        element: None,
        begun_at: vimhost_model::Timestamp(0),
    };
    let connector = host.open(&account(&vim.url, json!({ "steps": ["commit"] }))).await;
    let request = || {
        CreateRequest::Network(NetworkRequest {
            name: "net".into(),
            kind: None,
            shared: false,
            ip_profile: None,
            provider: None,
        })
    };
    connector
        .create(call(&journal, vec![open.clone()]), request())
        .await
        .unwrap();
    assert_eq!(journal.events(), ["commit 7 net-1"]);
    let connector = host.open(&account(&vim.url, json!({ "steps": ["panic"] }))).await;
    let error = connector
        .create(call(&journal, vec![open]), request())
        .await
        .unwrap_err();
    assert_eq!(
        error.outcome,
        Outcome::Unknown,
        "an entry of an earlier call is still open"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operation_announces_under_its_own_token_and_no_other_call_does() {
    let (host, vim) = (Host::new(Limits::default()).await, Vim::start().await);
    let connector = host
        .open(&account(&vim.url, json!({ "steps": ["begin-operation", "commit"] })))
        .await;
    for (operation, allowed) in [(None, false), (Some("res-1.op-2"), false), (Some("res-1.op-1"), true)] {
        let journal = Arc::new(Notes::default());
        let call = vimhost_connector::Call {
            operation: operation.map(str::to_owned),
            ..call(&journal, vec![])
        };
        let request = CreateRequest::Network(NetworkRequest {
            name: "net".into(),
            kind: None,
            shared: false,
            ip_profile: None,
            provider: None,
        });
        let answer = connector.create(call, request).await;
        assert_eq!(answer.is_ok(), allowed, "{operation:?}: {answer:?}");
        assert_eq!(journal.events().is_empty(), !allowed, "{operation:?}");
    }
}
