//! Settings from flags, environment and file, with the real binary.

use std::process::{Command, Output};

use serde_json::Value;
use vimhost_tests::{binary, plugin_dir};

fn check(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(binary().unwrap())
        .arg("check-config")
        .args(arguments)
        .env_remove("RUST_LOG")
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

fn setting(report: &Value, key: &str) -> (Value, String) {
    let row = report["settings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["key"] == key)
        .unwrap();
    (row["value"].clone(), row["source"].as_str().unwrap().to_owned())
}

#[test]
fn each_place_wins_over_the_next_and_the_report_says_which() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("vimhost.yaml");
    let token = "viewer:".to_owned() + &"ab".repeat(32);
    let text =
        format!("idle-period: 5\ncalls-per-account: 7\nadmin-listen: 127.0.0.1:1\nadmin-tokens: [\"{token}\"]\n");
    std::fs::write(&file, text).unwrap();
    let (file, data) = (file.to_str().unwrap(), dir.path().join("data"));
    let plugins = plugin_dir().unwrap();
    let environment = [
        ("VIMHOST_CONFIG", file),
        ("VIMHOST_IDLE_PERIOD", "6"),
        ("VIMHOST_CALLS_PER_ACCOUNT", "8"),
        ("VIMHOST_LOG_JSON", "1"),
        ("VIMHOST_PLUGIN_DIR", plugins.to_str().unwrap()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318"),
    ];
    let arguments = [
        "--calls-per-account",
        "9",
        "--data-dir",
        data.to_str().unwrap(),
        "-o",
        "json",
    ];
    let output = check(&arguments, &environment);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    for (key, value, source) in [
        ("calls-per-account", "9", "flag"),
        ("idle-period", "6", "environment VIMHOST_IDLE_PERIOD"),
        ("admin-listen", "127.0.0.1:1", &format!("{file}:3")),
        ("log-json", "true", "environment VIMHOST_LOG_JSON"),
        (
            "otlp-endpoint",
            "http://127.0.0.1:4318/",
            "environment OTEL_EXPORTER_OTLP_ENDPOINT",
        ),
        ("ng-ro-listen", "127.0.0.1:9090", "default"),
        ("admin-tokens", "***", &format!("{file}:4")),
    ] {
        assert_eq!(setting(&report, key), (Value::from(value), source.to_owned()), "{key}");
    }
    assert!(!String::from_utf8_lossy(&output.stdout).contains("abab"));
    assert!(!data.exists(), "a check touches nothing");
}

#[test]
fn a_wrong_file_is_exit_code_1_and_named_with_line_and_key_also_by_the_host() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("vimhost.yaml");
    std::fs::write(&file, "log-json: true\nadmin-lisen: 127.0.0.1:1\n").unwrap();
    let file = file.to_str().unwrap();
    let wanted = format!("{file}:2: unknown setting 'admin-lisen'; did you mean 'admin-listen'?");
    let output = check(&["--config", file], &[]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(&wanted), "{text}");
    let output = Command::new(binary().unwrap())
        .args(["serve", "--config", file])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains(&wanted), "{text}");
}
