//! What guests write, and what nobody may write.
//!
//! A file of its own: it installs the subscriber of the whole process.
#![expect(clippy::unwrap_used, reason = "what fails in a test's helper fails the test")]

mod support;

use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::json;
use support::vim::Vim;
use support::{Host, PASSWORD, account};
use tracing_subscriber::fmt::MakeWriter;
use vimhost_runtime::Limits;

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_of_guests_are_bounded_and_cannot_forge_and_secrets_stay_out() {
    let captured = Captured::default();
    tracing_subscriber::fmt()
        // The compiler's own traces are megabytes.
        .with_env_filter("trace,cranelift_codegen=warn,regalloc2=warn,wasmtime=warn,wasmtime_environ=warn,wasmtime_internal_cranelift=warn")
        .with_writer(captured.clone())
        .with_ansi(false)
        .init();
    let host = Host::new(Limits::default()).await;
    captured.take();

    host.misbehaving("forge-log").await.check().await.unwrap();
    let log = captured.take();
    let line = log.lines().find(|line| line.contains("plugin line")).unwrap();
    assert!(
        line.contains("WARN") && line.contains("first\\\\nsecond\\\\u{1b}[31m"),
        "{line}"
    );
    assert!(
        line.contains("plugin=\"misbehave\"") && line.contains("account=\"vim-1\""),
        "{line}"
    );

    host.misbehaving("flood-log").await.check().await.unwrap();
    let log = captured.take();
    let written = log.lines().filter(|line| line.contains(" text=")).count();
    assert!((100..=400).contains(&written), "{written} lines");
    let reports: Vec<_> = log
        .lines()
        .filter(|line| line.contains("plugin lines suppressed"))
        .collect();
    assert_eq!(reports.len(), 1);
    assert!(
        reports[0].contains(&format!("suppressed={}", 1_000 - written)),
        "{}",
        reports[0]
    );

    let vim = Vim::start().await;
    let login = |path: &str| json!({ "url": format!("{}{path}", vim.url), "method": "POST", "body": "{\"auth\": {\"password\": \"{password}\"}}" });
    let requests = json!([login("/v3/auth/tokens"), { "url": vim.url, "headers": { "x-auth-token": "{token}" } }, login("/echo/auth/tokens")]);
    let connector = host.open(&account(&vim.url, json!({ "requests": requests }))).await;
    connector.check().await.unwrap_err();
    assert_eq!(
        vim.last().body,
        serde_json::to_string(&json!({ "auth": { "password": PASSWORD } })).unwrap()
    );
    let log = captured.take();
    for secret in [PASSWORD, "canary", "gAAAA-token"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}
