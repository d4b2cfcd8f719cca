//! Settings from flags, environment and file, with the real binary.

use std::process::{Command, Output};

use serde_json::Value;
use vimhost_tests::{Host, Setup, binary, plugin_dir};

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
fn variables_of_ng_ro_are_taken_or_named_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let (data, plugins) = (dir.path().join("data"), plugin_dir().unwrap());
    let arguments = [
        "--data-dir",
        data.to_str().unwrap(),
        "--plugin-dir",
        plugins.to_str().unwrap(),
        "-o",
        "json",
    ];
    // What OSM's own deployment gives its RO, and two of ours.
    let environment = [
        ("OSMRO_DATABASE_DRIVER", "mongo"),
        ("OSMRO_DATABASE_URI", "mongodb://mongo:27017/?replicaSet=rs0"),
        ("OSMRO_DATABASE_COMMONKEY", "osmcommonkey"),
        ("OSMRO_LOG_LEVEL", "DEBUG"),
        ("OSMRO_MESSAGE_DRIVER", "kafka"),
        ("OSMRO_MESSAGE_PORT", "9092"),
        ("OSMRO_PERIOD_REFRESH_ACTIVE", "60"),
        ("OSMRO_SERVER_SOCKET_PORT", "9998"),
        ("OSMRO_SERVER_SSL_CERTIFICATE", "/etc/cert.pem"),
        ("VIMHOST_NG_RO_LISTEN", "127.0.0.1:9090"),
        ("VIMHOST_OSM_DATABASE_NAME", "osm2"),
    ];
    let output = check(&arguments, &environment);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    for (key, value, source) in [
        ("osm-database-uri", "***", "environment OSMRO_DATABASE_URI"),
        ("osm-commonkey", "***", "environment OSMRO_DATABASE_COMMONKEY"),
        ("osm-database-name", "osm2", "environment VIMHOST_OSM_DATABASE_NAME"),
        ("log", "debug", "environment OSMRO_LOG_LEVEL"),
        ("idle-period", "60", "environment OSMRO_PERIOD_REFRESH_ACTIVE"),
        ("ng-ro-listen", "127.0.0.1:9090", "environment VIMHOST_NG_RO_LISTEN"),
    ] {
        assert_eq!(setting(&report, key), (Value::from(value), source.to_owned()), "{key}");
    }
    let findings = report["findings"].as_array().unwrap();
    let texts: Vec<&str> = findings
        .iter()
        .map(|finding| finding["text"].as_str().unwrap())
        .collect();
    assert_eq!(
        texts,
        [
            "OSMRO_DATABASE_DRIVER has no effect: OSM's database is MongoDB",
            "OSMRO_MESSAGE_DRIVER has no effect: the database is followed; there is no message bus",
            "OSMRO_MESSAGE_PORT has no effect: the database is followed; there is no message bus",
            "OSMRO_SERVER_SOCKET_PORT has no effect: `ng-ro-listen` is said by environment VIMHOST_NG_RO_LISTEN",
            "OSMRO_SERVER_SSL_CERTIFICATE has no effect: NG-RO's interface has no TLS here; a proxy before it may end TLS",
        ]
    );
    assert!(findings.iter().all(|finding| finding["level"] == "warn"));
    assert!(!String::from_utf8_lossy(&output.stdout).contains("osmcommonkey"));

    // A host says once which of them are of no use to it, and a value that is wrong stops it.
    let output = check(&arguments, &[("OSMRO_SERVER_SOCKET_PORT", "many")]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("OSMRO_SERVER_SOCKET_PORT: not a port from 1 to 65535"),
        "{text}"
    );
    let mut setup = Setup::new(&data);
    for (name, value) in [("OSMRO_MESSAGE_HOST", "kafka"), ("OSMRO_SERVER_NS_THREADS", "10")] {
        setup.environment.push((name.to_owned(), value.to_owned()));
    }
    let log = Host::start(&setup).unwrap().stop().unwrap();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("variables of NG-RO")).collect();
    assert_eq!(told.len(), 1, "{log}");
    assert!(told[0].contains("OSMRO_MESSAGE_HOST, OSMRO_SERVER_NS_THREADS"), "{log}");
    assert!(!log.contains("WARN"), "{log}");
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
