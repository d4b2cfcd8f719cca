//! The command line's own words.

#![expect(clippy::unwrap_used, reason = "what fails in a test's helper fails the test")]

use std::process::Command;

fn vimhost(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_vimhost"))
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn help_shows_commands_to_copy_and_the_exit_codes() {
    let (code, out, _) = vimhost(&["--help"]);
    assert_eq!(code, 0);
    for needle in [
        "vimhost deploy web.yaml --wait",
        "Exit codes:",
        "mock-vim",
        "VIMHOST_SERVER",
    ] {
        assert!(out.contains(needle), "{needle}: {out}");
    }
}

#[test]
fn every_option_of_every_command_says_what_it_does() {
    for command in [
        &["serve"][..],
        &["vim", "add"],
        &["vim", "allow"],
        &["vim", "audit"],
        &["token", "add"],
        &["audit"],
        &["key", "rotate"],
        &["plugin", "load"],
        &["cancel"],
        &["deploy"],
        &["mock-vim"],
        &["import-ng-ro"],
    ] {
        let (code, out, _) = vimhost(&[command, &["--help"]].concat());
        assert_eq!(code, 0, "{command:?}");
        let lines: Vec<&str> = out.lines().collect();
        for (index, line) in lines
            .iter()
            .enumerate()
            .filter(|(_, line)| line.trim_start().starts_with("--"))
        {
            let said =
                line.trim().split("  ").count() > 1 || lines.get(index + 1).is_some_and(|next| !next.trim().is_empty());
            assert!(said, "{command:?}: {line}");
        }
    }
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let (code, _, err) = vimhost(&["deploy"]);
    assert_eq!(code, 2);
    assert!(err.contains("<FILE>"), "{err}");
}

#[test]
fn a_host_without_connectors_says_how_to_get_them() {
    let dir = tempfile::tempdir().unwrap();
    let (data, plugins) = (dir.path().join("data"), dir.path().join("plugins"));
    std::fs::create_dir(&plugins).unwrap();
    let (code, _, err) = vimhost(&[
        "serve",
        "--ng-ro-listen",
        "127.0.0.1:0",
        "--admin-listen",
        "127.0.0.1:0",
        "--vnf-lcm-listen",
        "127.0.0.1:0",
        "--data-dir",
        data.to_str().unwrap(),
        "--plugin-dir",
        plugins.to_str().unwrap(),
    ]);
    assert_eq!(code, 1);
    assert!(err.contains("cargo xtask plugins"), "{err}");
}
