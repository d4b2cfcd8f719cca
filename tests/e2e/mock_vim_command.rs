//! `vimhost mock-vim`, as a person starts it beside a host.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use reqwest::Method;
use serde_json::{Value, json};
use vimhost_tests::{PASSWORD, VimUser, binary};

/// A mock VIM as a child process. Killed when dropped.
struct Program {
    child: Child,
    url: String,
}

impl Program {
    /// Starts it on a free port and waits until it is ready.
    fn start(state: &Path, arguments: &[&str]) -> Self {
        let child = Command::new(binary().unwrap())
            .args(["mock-vim", "--listen", "127.0.0.1:0", "--state"])
            .arg(state)
            .args(arguments)
            .env("VIMHOST_MOCK_PASSWORD", PASSWORD)
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut program = Self {
            child,
            url: String::new(),
        };
        let mut told = BufReader::new(program.child.stdout.take().unwrap()).lines();
        let mut line = || told.next().expect("it ended before it was ready").unwrap();
        program.url = line().strip_prefix("mock-vim ").unwrap().to_owned();
        assert_eq!(line(), "ready");
        program
    }

    /// Kills it as a crash would.
    fn kill(&mut self) {
        // Already gone is what was wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_outlives_a_kill_and_the_script_is_followed() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("vim.json");
    let script = json!({
        "build_delay_ms": 10,
        "fail": [{"kind": "networks", "operation": "create", "nth": 2, "status": 503, "message": "not today"}],
    })
    .to_string();
    let arguments = ["--faults", &script, "--latency", "1", "--build-delay", "700"];
    let network = |name: &str| json!({"name": name, "token": format!("token-of-{name}")});

    let mut first = Program::start(&state, &arguments);
    let user = VimUser::log_in_at(first.url.clone()).await.unwrap();
    let kept = user.make("networks", &network("kept")).await.unwrap();
    first.kill();

    let second = Program::start(&state, &arguments);
    let user = VimUser::log_in_at(second.url.clone()).await.unwrap();
    let path = format!("networks/{kept}");
    let found = user.expect(200, Method::GET, &path, None).await.unwrap();
    assert_eq!(found["name"], "kept");
    assert_eq!(found["token"], "token-of-kept");

    // Counted from the start of the process: the script is not part of the state.
    user.make("networks", &network("made")).await.unwrap();
    let refused = user
        .expect(503, Method::POST, "networks", Some(&network("refused")))
        .await
        .unwrap();
    assert_eq!(refused["error"]["message"], "not today");
    let names: Vec<Value> = user.expect(200, Method::GET, "networks", None).await.unwrap()["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|network| network["preset"] == false)
        .map(|network| network["name"].clone())
        .collect();
    assert_eq!(names, ["kept", "made"], "what was refused was not made");

    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = http.get(format!("{}/admin/faults", second.url)).send().await.unwrap();
    let in_force: Value = answer.json().await.unwrap();
    assert_eq!(in_force["latency_ms"], 1);
    assert_eq!(in_force["build_delay_ms"], 10, "the script goes before the option");
    assert_eq!(in_force["stack_delay_ms"], 700);
}
