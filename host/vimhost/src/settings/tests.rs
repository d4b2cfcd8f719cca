//! The table against its places and its page.

use clap::{Args as _, Command, FromArgMatches as _};

use super::*;

/// The settings of a command line, an environment of other programs, and a file.
fn resolved(arguments: &[&str], common: &[(&str, &str)], file: Option<&str>) -> Result<Resolved, Vec<Problem>> {
    let dir = tempfile::tempdir().unwrap();
    let mut arguments: Vec<String> = ["serve"]
        .iter()
        .chain(arguments)
        .map(|word| (*word).to_owned())
        .collect();
    if let Some(text) = file {
        let path = dir.path().join("vimhost.yaml");
        std::fs::write(&path, text).unwrap();
        arguments.push(format!("--config={}", path.display()));
    }
    let matches = Given::augment_args(Command::new("serve"))
        .try_get_matches_from(arguments)
        .unwrap();
    let given = Given::from_arg_matches(&matches).unwrap();
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    given.resolve_with(&matches, &common.iter().map(owned).collect())
}

fn of<'r>(resolved: &'r Resolved, key: &str) -> (Option<&'r str>, String) {
    let row = resolved.effective.iter().find(|row| row.key == key).unwrap();
    (row.value.as_deref(), row.source.to_string())
}

#[test]
fn every_default_is_a_value() {
    let resolved = resolved(&[], &[], None).unwrap();
    assert_eq!(resolved.effective.len(), TABLE.len());
    assert!(resolved.effective.iter().all(|row| row.source == Source::Default));
    assert_eq!(resolved.settings.admin_listen.port(), 9191);
    assert_eq!(resolved.settings.calls_per_account.get(), 32);
    assert!(!resolved.settings.log_json);
    assert!(resolved.settings.otlp_endpoint.is_none());
}

#[test]
fn a_flag_wins_over_the_environment_of_all_programs_over_the_file_over_the_default() {
    let file = "log: warn\nidle-period: 5\nlog-json: yes\nng-ro-sources: [10.0.0.0/8]\n";
    let resolved = resolved(
        &["--idle-period", "7", "--ng-ro-source=::1/128"],
        &[("RUST_LOG", "debug")],
        Some(file),
    )
    .unwrap();
    assert_eq!(of(&resolved, "idle-period"), (Some("7"), "flag".to_owned()));
    assert_eq!(of(&resolved, "ng-ro-sources"), (Some("::1/128"), "flag".to_owned()));
    assert_eq!(of(&resolved, "log"), (Some("debug"), "environment RUST_LOG".to_owned()));
    let (value, source) = of(&resolved, "log-json");
    assert!(value == Some("true") && source.ends_with("vimhost.yaml:3"), "{source}");
    assert_eq!(of(&resolved, "calls-per-account"), (Some("32"), "default".to_owned()));
}

#[test]
fn names_of_ng_ro_win_over_the_file_and_no_others() {
    let environment = [
        ("OSMRO_LOG_LEVEL", "ERROR"),
        ("RUST_LOG", "debug"),
        ("OSMRO_SERVER_SOCKET_HOST", "0.0.0.0"),
        ("OSMRO_SERVER_SOCKET_PORT", "9998"),
        ("OSMRO_PERIOD_REFRESH_ACTIVE", "-1"),
        ("OSMRO_DATABASE_HOST", "mongo"),
        ("OSMRO_DATABASE_COMMONKEY", "'swordfish'"),
        ("OSMRO_STORAGE_DRIVER", "local"),
    ];
    let file = "idle-period: 5\nosm-database-name: ours\n";
    let arguments = ["--osm-database-uri", "mongodb://elsewhere"];
    let resolved = resolved(&arguments, &environment, Some(file)).unwrap();
    assert_eq!(of(&resolved, "log"), (Some("debug"), "environment RUST_LOG".to_owned()));
    let both = "environment OSMRO_SERVER_SOCKET_HOST, OSMRO_SERVER_SOCKET_PORT".to_owned();
    assert_eq!(of(&resolved, "ng-ro-listen"), (Some("0.0.0.0:9998"), both));
    let (idle, by) = of(&resolved, "idle-period");
    assert_eq!((idle, &*by), (Some("0"), "environment OSMRO_PERIOD_REFRESH_ACTIVE"));
    assert_eq!(of(&resolved, "osm-database-uri").1, "flag");
    let uri = resolved.settings.osm_database_uri.as_ref().unwrap();
    assert_eq!(uri.expose(), "mongodb://elsewhere");
    let key = resolved.settings.osm_commonkey.as_ref().unwrap();
    assert_eq!(key.expose(), "swordfish");
    let unused: Vec<String> = resolved
        .unused
        .iter()
        .map(|unused| format!("{}: {}", unused.name, unused.reason))
        .collect();
    assert_eq!(
        unused,
        [
            "OSMRO_DATABASE_HOST: `osm-database-uri` is said by flag",
            "OSMRO_LOG_LEVEL: `log` is said by environment RUST_LOG",
            "OSMRO_STORAGE_DRIVER: packages are not read; templates come with the requests",
        ]
    );
    assert!(!format!("{resolved:?}").contains("swordfish"));
}

#[test]
fn a_file_with_the_common_key_wins_over_ng_ros_name_for_it() {
    let environment = [("OSMRO_DATABASE_COMMONKEY", "swordfish"), ("OSMRO_DATABASE_PORT", "1")];
    let resolved = resolved(&["--osm-commonkey-file", "/etc/key"], &environment, None).unwrap();
    assert!(resolved.settings.osm_commonkey.is_none());
    assert_eq!(of(&resolved, "osm-commonkey"), (None, "default".to_owned()));
    let reasons: Vec<&str> = resolved.unused.iter().map(|unused| &*unused.reason).collect();
    assert_eq!(
        reasons,
        [
            "`osm-commonkey-file` is said by flag",
            "it says nothing of `osm-database-uri` alone"
        ]
    );
}

#[test]
fn a_wrong_value_of_ng_ros_is_named() {
    let problems = resolved(&[], &[("OSMRO_SERVER_SOCKET_PORT", "many")], None).unwrap_err();
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["OSMRO_SERVER_SOCKET_PORT: not a port from 1 to 65535"]);
}

#[test]
fn every_wrong_value_of_a_file_is_named_with_line_and_key() {
    let file = "admin-listen: nowhere\nlog: [info, debug]\nadmin-tokens:\n  - admin:00\nidle-period: -1\n";
    let problems = resolved(&[], &[], Some(file)).unwrap_err();
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    for (line, words) in [
        (1, "admin-listen: not an address"),
        (2, "log: it has one value"),
        (3, "admin-tokens: a token's digest is"),
        (5, "idle-period: not a whole number"),
    ] {
        let named = format!("vimhost.yaml:{line}: {words}");
        assert!(texts.iter().any(|text| text.contains(&named)), "{named}: {texts:#?}");
    }
    assert_eq!(texts.len(), 4, "{texts:#?}");
}

#[test]
fn a_switch_stands_alone_or_with_its_value() {
    assert!(resolved(&["--log-json"], &[], None).unwrap().settings.log_json);
    let off = resolved(&["--log-json=false"], &[], Some("log-json: true")).unwrap();
    assert!(!off.settings.log_json);
}

#[test]
fn a_token_is_never_shown() {
    let token = format!("viewer:{}", "ab".repeat(32));
    let resolved = resolved(&["--admin-token", &token], &[], None).unwrap();
    assert_eq!(of(&resolved, "admin-tokens").0, Some("***"));
    assert!(!format!("{resolved:?}").contains("abab"));
}

/// The table of the page, as it has to be.
fn page_table() -> String {
    let mut rows = String::new();
    for setting in TABLE {
        let names: Vec<String> = setting.environment().map(|name| format!("`{name}`")).collect();
        let default = match setting.default {
            "" => "none".to_owned(),
            text if text.contains('`') => text.to_owned(),
            text => format!("`{text}`"),
        };
        let help: Vec<&str> = setting.help.iter().map(|line| line.trim()).collect();
        rows.push_str(&format!(
            "| `{}` | `--{}` | {} | {default} | {} |\n",
            setting.key,
            setting.flag,
            names.join(", "),
            help.join(" ")
        ));
    }
    rows
}

#[test]
fn the_page_has_every_setting_as_it_is_and_no_other() {
    let page = include_str!("../../../../docs/configuration.md");
    let (start, end) = ("| --- | --- | --- | --- | --- |\n", "\n\n");
    let written = page.split_once(start).and_then(|(_, rest)| rest.split_once(end));
    let written = written.map(|(table, _)| format!("{table}\n")).unwrap_or_default();
    assert_eq!(
        written,
        page_table(),
        "the table of docs/configuration.md has to be:\n{}",
        page_table()
    );
}

#[test]
fn the_page_names_every_variable_of_every_command() {
    use clap::CommandFactory as _;
    fn variables(command: &Command, found: &mut Vec<String>) {
        for argument in command.get_arguments() {
            found.extend(argument.get_env().map(|name| name.to_string_lossy().into_owned()));
        }
        command.get_subcommands().for_each(|command| variables(command, found));
    }
    let mut found = vec![];
    variables(&crate::cli::Cli::command(), &mut found);
    assert!(found.len() > TABLE.len());
    let page = include_str!("../../../../docs/configuration.md");
    for name in found {
        assert!(
            page.contains(&format!("`{name}`")),
            "docs/configuration.md does not name {name}"
        );
    }
}
