//! The way out: origins, addresses, credentials.
#![expect(clippy::unwrap_used, reason = "what fails in a test's helper fails the test")]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::vim::{KNOWN, Vim};
use support::{Host, PASSWORD, account, config_of};
use vimhost_connector::{Connectors as _, Error, ErrorKind, Outcome};
use vimhost_model::{Grants, Secret, VimAccount};
use vimhost_runtime::{Allocation, Limits, RuntimeConfig};

/// Runs a `check` that makes these requests.
async fn perform(host: &Host, account: &VimAccount, requests: Value) -> Result<Vec<String>, Error> {
    let mut account = account.clone();
    account.config = json!({ "requests": requests }).as_object().unwrap().clone();
    Ok(host.open(&account).await.check().await?.warnings)
}

async fn refused(host: &Host, account: &VimAccount, request: Value) -> String {
    let error = perform(host, account, json!([request])).await.unwrap_err();
    assert!(!error.message.contains(PASSWORD), "{error}");
    error.message
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ungranted_origin_is_refused_with_the_command_that_grants_it() {
    let (host, own, other) = (
        Host::new(Limits::default()).await,
        Vim::start().await,
        Vim::start().await,
    );
    let mut vim = account(&own.url, json!({}));
    assert_eq!(
        perform(&host, &vim, json!([{ "url": own.url }])).await.unwrap(),
        ["200 {}"]
    );

    let message = refused(&host, &vim, json!({ "url": other.url })).await;
    assert!(message.contains("HttpRequestDenied"), "{message}");
    assert!(
        message.contains(&format!("vimhost vim allow vim-1 --origin {}", other.url)),
        "{message}"
    );
    assert!(other.seen().is_empty());

    vim.grants.origins.push(other.url.parse().unwrap());
    assert_eq!(
        perform(&host, &vim, json!([{ "url": other.url }])).await.unwrap(),
        ["200 {}"]
    );
    vim.grants = Grants {
        same_host_any_port: true,
        ..Grants::default()
    };
    assert_eq!(
        perform(&host, &vim, json!([{ "url": other.url }])).await.unwrap(),
        ["200 {}"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_are_checked_after_the_name() {
    let host = Host::new(Limits::default()).await;
    let own = Vim::start().await;
    let by_name = own.url.replace("127.0.0.1", "localhost");
    let mut vim = account(&by_name, json!({}));
    let message = refused(&host, &vim, json!({ "url": by_name })).await;
    assert!(message.contains("DestinationIpProhibited"), "{message}");
    assert!(
        message.contains("vimhost vim allow vim-1 --address 127.0.0.1/32") || message.contains("--address ::1/128"),
        "{message}"
    );
    assert!(own.seen().is_empty());
    vim.grants.addresses.push("127.0.0.0/8".parse().unwrap());
    assert_eq!(
        perform(&host, &vim, json!([{ "url": by_name }])).await.unwrap(),
        ["200 {}"]
    );

    for never in [
        "http://169.254.169.254/latest",
        "http://[::ffff:169.254.169.254]/",
        "http://0.0.0.0:9/",
    ] {
        let mut vim = account(never, json!({}));
        vim.grants.addresses.push("0.0.0.0/0".parse().unwrap());
        let message = refused(&host, &vim, json!({ "url": never })).await;
        assert!(message.contains("is never dialled"), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_outlive_instances_and_not_accounts() {
    let (host, own) = (Host::new(Limits::default()).await, Vim::start().await);
    let vim = account(&own.url, json!({}));
    // Another configuration is another account content: `perform` uses the same one each time.
    let requests = json!([{ "url": own.url }, { "url": own.url }]);
    let calls = 5;
    for _ in 0..calls {
        perform(&host, &vim, requests.clone()).await.unwrap();
    }
    let seen = own.seen();
    let used: BTreeSet<usize> = seen.iter().map(|seen| seen.connection).collect();
    // Mostly it is one. A guest that has its answer may ask again before the client's own task has put the connection back, and the
    // client then begins another one; an instance that kept its connections to itself would need one for each call at least.
    assert!(used.len() < calls, "{used:?}");

    host.runtime.close(&vim.target).await;
    perform(&host, &vim, requests).await.unwrap();
    let later = own.seen().split_off(seen.len());
    assert_eq!(later.len(), 2);
    assert!(
        later.iter().all(|seen| !used.contains(&seen.connection)),
        "{used:?}, then {later:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_is_put_in_at_each_declared_place() {
    let (host, own) = (Host::new(Limits::default()).await, Vim::start().await);
    let vim = account(&own.url, json!({}));
    let login = json!({
        "url": format!("{}/v3/auth/tokens", own.url), "method": "POST", "show": "token",
        "headers": { "content-type": "application/json" },
        "body": "{\"auth\": {\"password\": \"{password}\", \"n\": 1}}",
    });
    let answers = perform(
        &host,
        &vim,
        json!([login, { "url": own.url, "headers": { "x-auth-token": "{token}" } }]),
    )
    .await
    .unwrap();
    let seen = own.seen();
    let body: Value = serde_json::from_str(&seen[0].body).unwrap();
    assert_eq!(body, json!({ "auth": { "password": PASSWORD, "n": 1 } }));
    assert_eq!(seen[0].header("content-length"), seen[0].body.len().to_string());
    assert_eq!(
        seen[1].header("x-auth-token"),
        "gAAAA-token-1",
        "the token was put in for its handle"
    );
    assert!(
        answers[1].starts_with("vhcred-") && answers[1].len() == 39,
        "the guest saw a handle: {answers:?}"
    );

    perform(
        &host,
        &vim,
        json!([
            { "url": format!("{}/key", own.url), "headers": { "x-api-key": "Key {password}" } },
            { "url": format!("{}/basic", own.url), "headers": { "authorization": "Basic user:{password}" } },
            { "url": format!("{}/form", own.url), "method": "POST", "body": "user=u&password={password}",
              "headers": { "content-type": "application/x-www-form-urlencoded" } },
        ]),
    )
    .await
    .unwrap();
    let seen = own.seen();
    assert_eq!(seen[2].header("x-api-key"), format!("Key {PASSWORD}"));
    use base64::Engine as _;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("user:{PASSWORD}"));
    assert_eq!(seen[3].header("authorization"), format!("Basic {pair}"));
    assert_eq!(seen[4].body, "user=u&password=s3cret%2F%22canary%22");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handle_anywhere_else_refuses_the_request() {
    let (host, own, other) = (
        Host::new(Limits::default()).await,
        Vim::start().await,
        Vim::start().await,
    );
    let mut vim = account(&own.url, json!({}));
    vim.grants.origins.push(other.url.parse().unwrap());
    let json_type = json!({ "content-type": "application/json" });
    let post = |url: &str, body: &str| json!({ "url": url, "method": "POST", "headers": json_type, "body": body });
    let login = format!("{}/v3/auth/tokens", own.url);
    let right = "{\"auth\": {\"password\": \"{password}\"}}";
    let cases = [
        (json!({ "url": format!("{}/x?p={{password}}", own.url) }), "in its URL"),
        (
            json!({ "url": own.url, "headers": { "x-other": "{password}" } }),
            "in its header 'x-other'",
        ),
        (
            json!({ "url": format!("{}/key", own.url), "headers": { "x-api-key": "{password}" } }),
            "in its header 'x-api-key'",
        ),
        (
            post(&login, "{\"name\": \"{password}\"}"),
            "at '/name' of its JSON body",
        ),
        (
            post(&login, "{\"auth\": {\"password\": \"x{password}\"}}"),
            "at '/auth/password' of its JSON body",
        ),
        (post(&login, "{\"{password}\": 1}"), "as a key of its JSON body"),
        (post(&login, "no json {password}"), "neither JSON nor a form"),
        // An escaped handle at the declared place does not make the raw one elsewhere pass.
        (
            post(
                &login,
                "{\"name\": \"{password}\", \"auth\": {\"password\": \"\\u0076hcred-00000000000000000000000000000000\"}}",
            ),
            "credential handle",
        ),
        (
            post(&format!("{}/v3/servers", own.url), right),
            "at '/auth/password' of its JSON body",
        ),
        (post(&format!("{}/x/%2e%2e/auth/tokens", own.url), right), "dots"),
        (
            post(&format!("{}/v3/auth/tokens", other.url), right),
            "for this method, path and origin",
        ),
        (
            json!({ "url": own.url, "headers": { "x-auth-token": "vhcred-00000000000000000000000000000000" } }),
            "unknown or was dropped",
        ),
    ];
    for (request, expected) in cases {
        let message = refused(&host, &vim, request).await;
        assert!(
            message.contains(expected) && message.contains("HttpRequestDenied"),
            "{message}"
        );
    }
    assert!(own.seen().is_empty() && other.seen().is_empty(), "nothing was sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_holds_a_secret_is_refused() {
    let (host, own) = (Host::new(Limits::default()).await, Vim::start().await);
    let vim = account(&own.url, json!({}));
    let at = |path: &str| {
        json!({
            "url": format!("{}{path}", own.url), "method": "POST", "body": "{\"auth\": {\"password\": \"{password}\"}}",
        })
    };
    for path in [
        "/echo/auth/tokens",
        "/pieces/auth/tokens",
        "/echo-header/auth/tokens",
        // The guest and the error would be told how an answer is packed.
        "/echo-coding/auth/tokens",
    ] {
        let message = refused(&host, &vim, at(path)).await;
        assert!(message.contains("holds a secret of the account"), "{path}: {message}");
        assert!(
            !message.contains("HttpRequestDenied"),
            "{path}: it was sent, and may have been done: {message}"
        );
    }
    let mut plain = vim.clone();
    let password = "canary-of-letters-only";
    plain.credentials.insert("password".into(), Secret::new(password));
    let message = refused(&host, &plain, at("/echo-name/auth/tokens")).await;
    assert!(
        message.contains("the name of a header") && !message.contains(password),
        "{message}"
    );
    let login = json!({
        "url": format!("{}/v3/auth/tokens", own.url), "method": "POST", "body": "{\"auth\": {\"password\": \"{password}\"}}",
    });
    let echo = json!({ "url": format!("{}/echo-token", own.url), "headers": { "x-auth-token": "{token}" } });
    let error = perform(&host, &vim, json!([login, echo])).await.unwrap_err();
    assert!(
        error.message.contains("holds a secret of the account"),
        "a token is a secret too: {error}"
    );
    assert!(!error.message.contains("gAAAA"), "{error}");
}

/// Runs a `check` at the end of which the guest searches all of its memory, what was freed included; answers how often each needle
/// stands there, and the answers to its requests. Needles are handed over masked: in clear the test itself would put them there.
async fn search(host: &Host, account: &VimAccount, config: Value, needles: &[&str]) -> (Vec<usize>, Vec<String>) {
    const MASK: u8 = 0xa5;
    let masked = needles.iter().map(|needle| needle.bytes().map(|byte| byte ^ MASK));
    let masked: Vec<Vec<u8>> = masked.map(Iterator::collect).collect();
    let mut account = account.clone();
    account.config = config.as_object().unwrap().clone();
    let search = json!({ "mask": MASK, "needles": masked });
    account.config.insert("search".to_owned(), search);
    let report = host.open(&account).await.check().await.unwrap();
    let hits = serde_json::from_str(&report.vim_version.unwrap()).unwrap();
    (hits, report.warnings)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_handle_stands_for_is_nowhere_in_the_memory_of_the_guest() {
    const PLANTED: &str = "planted in clear";
    // Both calls run in the only slot of the pool.
    let config = RuntimeConfig {
        slots: 1,
        ..config_of(Limits::default())
    };
    let (host, own) = (Host::with(config).await, Vim::start().await);
    assert_eq!(host.runtime.allocation(), Allocation::Pooled);
    let vim = account(&own.url, json!({}));
    let login = |path: &str| {
        json!({
            "url": format!("{{url}}{path}"), "method": "POST", "body": "{\"auth\": {\"password\": \"{password}\"}}", "anyway": true,
        })
    };
    let basic = json!({ "authorization": "Basic user:{password}" });
    let token = json!({ "x-auth-token": "{token}" });
    let served = [
        login("/v3/auth/tokens"),
        json!({ "url": "{url}/servers", "headers": token }),
        json!({ "url": "{url}/key", "headers": { "x-api-key": "Key {password}" } }),
        json!({ "url": "{url}/basic", "headers": basic }),
        json!({ "url": "{url}/form", "method": "POST", "body": "user=u&password={password}",
                "headers": { "content-type": "application/x-www-form-urlencoded" } }),
        json!({ "url": "{url}/known" }),
    ];
    let echoed = [
        login("/echo/auth/tokens"),
        login("/pieces/auth/tokens"),
        login("/echo-header/auth/tokens"),
        login("/echo-coding/auth/tokens"),
        json!({ "url": "{url}/basic?echo", "headers": basic, "anyway": true }),
        json!({ "url": "{url}/echo-token", "headers": token, "anyway": true }),
    ];
    use base64::Engine as _;
    let base64 = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let (alone, pair, packed_token) = (
        base64(PASSWORD),
        base64(&format!("user:{PASSWORD}")),
        base64("gAAAA-token-1"),
    );
    // Whole, in pieces, and in every form in which it is sent or comes back.
    let secrets = [
        PASSWORD,
        "s3cret",
        "canary",
        r#"s3cret/\"canary\""#,
        "s3cret%2F%22canary%22",
        &alone,
        &pair,
        "gAAAA-token",
        &packed_token,
    ];
    let needles = [&secrets[..], &["vhcred-", KNOWN, PLANTED]].concat();

    let requests: Vec<&Value> = served.iter().chain(&echoed).collect();
    let config = json!({ "requests": requests, "planted": PLANTED });
    let (hits, answers) = search(&host, &vim, config, &needles).await;
    let seen = own.seen();
    assert_eq!(seen[1].header("x-auth-token"), "gAAAA-token-1");
    assert_eq!(seen[3].header("authorization"), format!("Basic {pair}"));
    assert_eq!((seen.len(), answers.len()), (requests.len(), requests.len()));
    let given = answers.iter().filter(|answer| answer.starts_with("200 "));
    assert_eq!(given.count(), served.len(), "echoes are refused: {answers:?}");
    let (hidden, found) = hits.split_at(secrets.len());
    assert!(hidden.iter().all(|hits| *hits == 0), "{secrets:?}: {hidden:?}");
    // The search finds what is there: handles of password and token, what a VIM answered, what the account says.
    assert!(found[0] >= 2 && found[1] >= 1 && found[2] >= 1, "{found:?}");

    // Nor is anything of one call in the memory of the next.
    let (hits, _) = search(&host, &vim, json!({}), &needles).await;
    let (handles, others) = (hits[secrets.len()], hits.iter().filter(|hits| **hits > 0).count());
    assert!(handles >= 1 && others == 1, "the password's handle alone: {hits:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_when_too_little_is_left_of_the_lease() {
    let limits = Limits {
        send_margin: Duration::from_secs(30),
        ..Limits::default()
    };
    let (host, own) = (Host::new(limits).await, Vim::start().await);
    let vim = account(&own.url, json!({}));
    // Set before there is a connector.
    for left in [0, 29] {
        let until = Instant::now() + Duration::from_secs(left);
        host.runtime.set_send_deadline(&vim.target, Some(until));
        let error = perform(&host, &vim, json!([{ "url": own.url }])).await.unwrap_err();
        assert!(
            error
                .message
                .contains("the time in which this host may send for the account is over"),
            "{error}"
        );
        // Worth repeating, by whoever holds the account then.
        assert_eq!((error.kind, error.outcome), (ErrorKind::Timeout, Outcome::Known));
    }
    assert!(own.seen().is_empty());
    // Every connector of the account sees it, and an edited account is the same account.
    let mut edited = vim.clone();
    edited.name = "renamed".into();
    assert!(perform(&host, &edited, json!([{ "url": own.url }])).await.is_err());
    for until in [Some(Instant::now() + Duration::from_secs(600)), None] {
        host.runtime.set_send_deadline(&vim.target, until);
        assert!(perform(&host, &vim, json!([{ "url": own.url }])).await.is_ok());
    }
    assert_eq!(own.seen().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_under_way_ends_with_the_lease_and_a_heartbeat_prolongs_it() {
    // Long enough that a machine that stands still for a moment sends the request and the heartbeat within it.
    const FIRST: Duration = Duration::from_secs(5);
    let (host, own) = (Host::new(Limits::default()).await, Vim::start().await);
    let vim = account(
        &own.url,
        json!({ "requests": [{ "url": format!("{}/silent", own.url) }] }),
    );
    let lease = |time: Duration| Some(Instant::now() + time);
    let connector = host.open(&vim).await;
    host.runtime.set_send_deadline(&vim.target, lease(FIRST));
    let begun = Instant::now();
    let waiting = tokio::spawn(async move { connector.check().await });
    while own.seen().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(30), "the VIM is asked nothing");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The heartbeat comes, and once the first lease is over the request still waits.
    host.runtime.set_send_deadline(&vim.target, lease(FIRST * 120));
    let over = FIRST + Duration::from_millis(100);
    tokio::time::sleep(over.saturating_sub(begun.elapsed())).await;
    assert!(!waiting.is_finished());
    // The account is given up.
    host.runtime.set_send_deadline(&vim.target, lease(Duration::ZERO));
    let error = tokio::time::timeout(Duration::from_secs(30), waiting)
        .await
        .expect("it ends at once, not when the VIM's time is over")
        .unwrap()
        .unwrap_err();
    assert!(error.message.contains("ended before an answer came"), "{error}");
    assert_eq!(
        (error.kind, error.outcome),
        (ErrorKind::Timeout, Outcome::Unknown),
        "the VIM has it"
    );
}

/// So a hundred calls do not log in a hundred times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_calls_that_would_obtain_a_value_one_does_and_when_it_fails_another() {
    let host = Host::new(Limits::default()).await;
    let connector = host.misbehaving("obtain").await;
    let began = Instant::now();
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let connector = Arc::clone(&connector);
            tokio::spawn(async move { connector.check().await })
        })
        .collect();
    let mut answers = vec![];
    for call in calls {
        answers.push(match call.await.unwrap() {
            Ok(report) => report.vim_version.unwrap(),
            Err(error) => error.message,
        });
    }
    let count = |word: &str| answers.iter().filter(|answer| answer.contains(word)).count();
    let told = (
        count("nothing was obtained"),
        count("given"),
        answers.iter().filter(|answer| *answer == "obtained").count(),
    );
    assert_eq!(told, (1, 8, 1), "{answers:?}");
    // Nobody waits for a call that has ended.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handles_and_cache_belong_to_the_account_as_it_is() {
    let host = Host::new(Limits::default()).await;
    let seen = |account: VimAccount| {
        let runtime = Arc::clone(&host.runtime);
        async move {
            runtime
                .open(&account)
                .await
                .unwrap()
                .check()
                .await
                .unwrap()
                .vim_version
                .unwrap()
        }
    };
    let caching = account("http://127.0.0.1:9", json!({ "misbehaviour": "cache" }));
    assert_eq!(seen(caching.clone()).await, "0");
    assert_eq!(seen(caching.clone()).await, "1");
    let mut edited = caching.clone();
    edited.name = "renamed".into();
    assert_eq!(seen(edited).await, "0", "an edited account begins anew");
    let handles = account("http://127.0.0.1:9", json!({ "misbehaviour": "handle" }));
    let first = seen(handles.clone()).await;
    assert_eq!(first, seen(handles.clone()).await, "a handle survives calls");
    host.runtime.close(&handles.target).await;
    assert_ne!(first, seen(handles).await);
}
