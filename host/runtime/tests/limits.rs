//! A limit fails the call that reaches it, names itself, and nothing else happens.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails in a test's helper fails the test"
)]

mod support;

use std::time::{Duration, Instant};

use serde_json::json;
use support::Host;
use support::vim::Vim;
use vimhost_connector::{ErrorKind, Outcome, PluginState};
use vimhost_runtime::Limits;

/// What shows that a call ended by a limit of one or two seconds, and not by none. Busy machines get the rest.
const SOON: Duration = Duration::from_secs(40);

/// The failure of a misbehaviour; afterwards the same host still serves.
async fn failure(host: &Host, how: &str) -> String {
    let error = host.misbehaving(how).await.check().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Plugin, "{how}: {error}");
    assert_eq!(error.outcome, Outcome::Known, "{how}: nothing was sent");
    let digest: String = host.plugin().digest.chars().take(12).collect();
    let version = env!("CARGO_PKG_VERSION");
    let prefix = format!("plugin misbehave {version} (digest {digest}), check: ");
    let reason = error
        .message
        .strip_prefix(&prefix)
        .unwrap_or_else(|| panic!("{error}"))
        .to_owned();
    assert!(
        host.misbehaving("").await.check().await.is_ok(),
        "the host goes on after {how}"
    );
    reason
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn computing_is_bounded_also_for_a_guest_that_only_calls_the_host() {
    // Wall time stands for computing: the call that is served afterwards has the same limit, also where its thread stands still.
    let host = Host::new(Limits {
        host_calls: u64::MAX,
        compute: Duration::from_secs(1),
        ..Limits::default()
    })
    .await;
    for how in ["spin", "spin-clock"] {
        let begun = Instant::now();
        assert_eq!(failure(&host, how).await, "compute time limit of 1s exceeded");
        assert!(begun.elapsed() < SOON, "{how} ran {:?}", begun.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_calls_are_bounded() {
    let host = Host::new(Limits {
        host_calls: 1_000,
        ..Limits::default()
    })
    .await;
    assert_eq!(failure(&host, "spin-clock").await, "limit of 1000 host calls exceeded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wall_time_is_bounded_for_sleepers_and_spinners() {
    let host = Host::new(Limits {
        wall: Duration::from_secs(2),
        compute: Duration::from_secs(60),
        ..Limits::default()
    })
    .await;
    for how in ["sleep", "spin"] {
        let begun = Instant::now();
        assert_eq!(failure(&host, how).await, "wall time limit of 2s exceeded");
        assert!(begun.elapsed() < SOON, "{how} ran {:?}", begun.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_bounded_and_named() {
    let host = Host::new(Limits {
        memory: 16 << 20,
        ..Limits::default()
    })
    .await;
    let reason = failure(&host, "allocate").await;
    assert!(
        reason.starts_with("memory limit of 16 MiB exceeded; last words: memory allocation of "),
        "{reason}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_a_guest_are_named_with_its_last_words() {
    let host = Host::new(Limits::default()).await;
    let reason = failure(&host, "panic").await;
    assert!(reason.starts_with("it panicked or aborted; last words: "), "{reason}");
    assert!(reason.contains("these are the last words of a guest"), "{reason}");
    assert!(!reason.contains("RUST_BACKTRACE") && !reason.contains('\n'), "{reason}");
    let reason = failure(&host, "recurse").await;
    assert!(reason.contains("recursion") || reason.contains("stack"), "{reason}");
    assert_eq!(failure(&host, "exit").await, "it called exit");
    let reason = failure(&host, "random").await;
    assert!(reason.contains("random") || reason.contains("1048576"), "{reason}");
    let reason = failure(&host, "handles").await;
    assert!(
        reason.contains("table has no free keys") || reason.contains("full"),
        "{reason}"
    );
    let reason = failure(&host, "socket").await;
    assert!(
        reason.contains("wasi:sockets/") && reason.contains("is not available to plugins"),
        "{reason}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_flood_is_kept() {
    let host = Host::new(Limits::default()).await;
    let reason = failure(&host, "flood-output").await;
    assert!(reason.ends_with("after the flood"), "{reason}");
    assert!(reason.len() < 4_096, "{}", reason.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_finds_no_files_environment_or_arguments() {
    let host = Host::new(Limits::default()).await;
    let report = host.misbehaving("files").await.check().await.unwrap();
    assert_eq!(report.vim_version.as_deref(), Some("false 0 0"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_and_bodies_are_bounded() {
    let vim = Vim::start().await;
    let small = Limits {
        request_body: 64 << 10,
        response_body: 1 << 20,
        requests: 3,
        ..Limits::default()
    };
    // Each short time only for what never comes: what does come may take longer on a busy machine.
    let short = Duration::from_millis(300);
    let host = Host::new(small.clone()).await;
    let no_head = Host::new(Limits {
        first_byte: short,
        ..small.clone()
    })
    .await;
    let no_body = Host::new(Limits {
        between_bytes: short,
        ..small
    })
    .await;
    let get = |path: &str| json!({ "url": format!("{}{path}", vim.url) });
    let cases = [
        (
            &host,
            json!([get("/large")]),
            "its answer is larger than the limit of 1048576 bytes",
        ),
        // Without a length it is noticed in the body, whose errors reach the guest through a function of ours.
        (
            &host,
            json!([get("/large-pieces")]),
            "HttpResponseBodySize(Some(1048576))",
        ),
        (
            &host,
            json!([{ "url": vim.url, "method": "POST", "size": 100_000 }]),
            "its body is larger than the limit of 65536 bytes",
        ),
        (
            &host,
            json!([get("/"), get("/"), get("/"), get("/")]),
            "limit of 3 requests of one call exceeded",
        ),
        (&no_head, json!([get("/silent")]), "no answer within 300ms"),
        (&no_body, json!([get("/stalled")]), "nothing of its body came for 300ms"),
        (&host, json!([get("/packed")]), "its answer is packed (gzip)"),
    ];
    for (host, requests, expected) in cases {
        let connector = host
            .open(&support::account(&vim.url, json!({ "requests": requests })))
            .await;
        let error = connector.check().await.unwrap_err();
        assert!(error.message.contains(expected), "{error}");
        assert_ne!(error.kind, ErrorKind::Plugin, "the guest reported it: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_beyond_the_slots_wait_and_a_spinner_starves_nobody() {
    let host = Host::new(Limits {
        // Of the others none computes for so long, not even one whose thread stands still for a moment.
        compute: Duration::from_secs(2),
        ..Limits::default()
    })
    .await;
    let spinner = host.misbehaving("spin").await;
    let spinning: Vec<_> = (0..4)
        .map(|_| {
            let spinner = std::sync::Arc::clone(&spinner);
            tokio::spawn(async move { spinner.check().await })
        })
        .collect();
    let quick = host.misbehaving("").await;
    let calls: Vec<_> = (0..64)
        .map(|_| {
            let quick = std::sync::Arc::clone(&quick);
            tokio::spawn(async move { quick.check().await })
        })
        .collect();
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
    for spinner in spinning {
        assert!(spinner.await.unwrap().is_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_proposes_only_what_is_not_granted_yet() {
    let host = Host::new(Limits::default()).await;
    let report = host.misbehaving("needs").await.check().await.unwrap();
    let proposed: Vec<_> = report.origins.iter().map(|found| found.origin.as_str()).collect();
    assert_eq!(proposed, ["https://compute.example:8774"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rubbish_is_refused_with_the_field() {
    let host = Host::new(Limits::default()).await;
    let error = host.misbehaving("proposed").await.check().await.unwrap_err();
    assert!(error.message.contains("check: answered rubbish: origins: "), "{error}");
    let networks = vimhost_connector::FindRequest::Networks(vimhost_connector::Filter::default());
    let error = host.misbehaving("").await.find(networks).await.unwrap_err();
    assert!(
        error
            .message
            .contains("find-networks: answered rubbish: details is not JSON"),
        "{error}"
    );
    let connector = host.connector(json!({ "observe": "others" })).await;
    let asked = [vimhost_model::VimId::new("a").unwrap()];
    let error = connector
        .observe(vimhost_connector::ElementKind::Server, &asked, None)
        .await
        .unwrap_err();
    assert!(error.message.contains("which was not asked for"), "{error}");
}

/// With the guest, which is left alone for so long after three faults.
async fn quarantining(first: Duration) -> Host {
    Host::with(vimhost_runtime::RuntimeConfig {
        quarantine: vimhost_runtime::Quarantine {
            faults: 3,
            first,
            longest: Duration::from_secs(600),
        },
        ..support::config_of(Limits::default())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_only_fails_is_left_alone_until_a_call_finds_it_mended() {
    // So long that no machine stands still for it: what comes meanwhile is refused.
    let host = quarantining(Duration::from_secs(600)).await;
    let (good, bad) = (host.misbehaving("").await, host.misbehaving("panic").await);
    for _ in 0..2 {
        assert_eq!(bad.check().await.unwrap_err().kind, ErrorKind::Plugin);
    }
    good.check().await.unwrap();
    for _ in 0..3 {
        assert_eq!(bad.check().await.unwrap_err().kind, ErrorKind::Plugin);
    }
    let refused = good.check().await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::RateLimited, "{refused}");
    assert!(
        refused
            .message
            .contains("quarantine: 3 calls in a row failed by its fault"),
        "{refused}"
    );
    let PluginState::Quarantined(reason) = host.plugin().state else {
        panic!("{:?}", host.plugin())
    };
    assert!(reason.contains("these are the last words of a guest"), "{reason}");

    // So short that its end is seen.
    let first = Duration::from_millis(500);
    let host = quarantining(first).await;
    let (good, bad) = (host.misbehaving("").await, host.misbehaving("panic").await);
    let begun = Instant::now();
    for _ in 0..3 {
        assert_eq!(bad.check().await.unwrap_err().kind, ErrorKind::Plugin);
    }
    let over = async {
        while let Err(refused) = good.check().await {
            assert_eq!(refused.kind, ErrorKind::RateLimited, "{refused}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), over)
        .await
        .expect("the quarantine ends");
    assert!(begun.elapsed() >= first, "left alone for {:?}", begun.elapsed());
    assert_eq!(host.plugin().state, PluginState::Ready);
}
