//! `vimhost doctor` on installations that are well and ill.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use mock_vim::Faults;
use serde_json::Value;
use vimhost_tests::{Host, Setup, binary, plugin_dir, start_vim};

/// Runs it; answers the exit code and verdict, what was seen and remedy by name of the check.
fn doctor(data_dir: &Path, arguments: &[&str], limits: &str) -> (i32, Vec<(String, String, String)>) {
    let script = format!("{limits} exec \"$@\"");
    let output = Command::new("sh")
        .args(["-c", &script, "sh"])
        .arg(binary().unwrap())
        .args(["doctor", "-o", "json", "--data-dir"])
        .arg(data_dir)
        .arg("--plugin-dir")
        .arg(plugin_dir().unwrap())
        .args(arguments)
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let checks = report["checks"].as_array().unwrap().iter();
    let text = |check: &Value, key: &str| check[key].as_str().unwrap_or_default().to_owned();
    let checks: Vec<_> = checks
        .map(|check| {
            (
                text(check, "name"),
                text(check, "verdict"),
                text(check, "seen") + " → " + &text(check, "remedy"),
            )
        })
        .collect();
    assert_eq!(report["ok"], checks.iter().all(|(_, verdict, _)| verdict != "fail"));
    assert_eq!(output.status.code() == Some(0), report["ok"] == true);
    (output.status.code().unwrap(), checks)
}

fn verdict(checks: &[(String, String, String)], name: &str) -> String {
    let found = checks.iter().find(|check| check.0 == name);
    found.unwrap_or_else(|| panic!("{name}: {checks:#?}")).1.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_host_is_well_and_its_addresses_are_its_own() {
    let vim = start_vim(Faults::default()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut host = Host::start(&Setup::new(dir.path())).unwrap();
    host.add_vim("mock", &vim.url()).await.unwrap();
    let address = |url: &str| url.trim_start_matches("http://").trim_end_matches("/ro").to_owned();
    let (ng_ro, admin, vnf_lcm) = (address(&host.ng_ro), address(&host.admin), address(&host.vnf_lcm));
    let own = [
        "--ng-ro-listen",
        &ng_ro,
        "--admin-listen",
        &admin,
        "--vnf-lcm-listen",
        &vnf_lcm,
    ];
    let (code, checks) = doctor(dir.path(), &own, "");
    assert_eq!(code, 0, "{checks:#?}");
    for name in [
        "database",
        "seal key",
        "compiled images",
        "plugins",
        "NG-RO listener",
        "VNF LCM listener",
        "admin listener",
        "host",
    ] {
        assert_eq!(verdict(&checks, name), "ok", "{checks:#?}");
    }
    assert!(
        checks
            .iter()
            .any(|(name, _, text)| name == "host" && text.contains("ready")),
        "{checks:#?}"
    );
    assert!(
        checks
            .iter()
            .any(|(_, _, text)| text.contains("opens the credentials of 1 accounts")),
        "{checks:#?}"
    );

    // It left the host as it was: another account can still be added and a host started on the data.
    host.add_vim("second", &vim.url()).await.unwrap();
    host.kill();
    let (code, checks) = doctor(dir.path(), &own, "");
    assert!(code == 0 && verdict(&checks, "admin listener") == "ok", "{checks:#?}");
    drop(Host::start(&Setup::new(dir.path())).unwrap());
    vim.stop().await.unwrap();
}

#[test]
fn a_tight_machine_and_a_taken_address_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    taken.set_nonblocking(true).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let arguments = ["--admin-listen", &address, "--ng-ro-listen", "127.0.0.1:0"];
    // 64 GiB of address space: the pool reserves ten times as much.
    let (code, checks) = doctor(dir.path(), &arguments, "ulimit -n 200; ulimit -v 67108864;");
    assert_eq!(code, 1);
    for (name, wanted) in [
        ("open files", "fail"),
        ("address space", "warn"),
        ("instance pool", "warn"),
        ("admin listener", "fail"),
        ("NG-RO listener", "ok"),
        ("plugins", "ok"),
    ] {
        assert_eq!(verdict(&checks, name), wanted, "{name}: {checks:#?}");
    }
}

#[test]
fn wrong_settings_do_not_keep_the_machine_from_being_checked() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("vimhost.yaml");
    std::fs::write(&file, "nonsense: 1\n").unwrap();
    let (code, checks) = doctor(dir.path(), &["--config", file.to_str().unwrap()], "");
    assert_eq!(code, 1);
    assert_eq!(verdict(&checks, "settings"), "fail");
    assert_eq!(verdict(&checks, "clock"), "ok");
}
