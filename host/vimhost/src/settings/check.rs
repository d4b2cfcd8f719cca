//! `vimhost check-config`: the settings in force, and what can be found wrong with them without starting.
//!
//! It touches nothing and opens no port: a host may be running with the very same settings.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use clap::ArgMatches;
use serde_json::{Value, json};

use super::{Effective, Given, Resolved, Settings, Source, TABLE};
use crate::cli::Global;
use crate::output::{head, print, table};

/// What stands for a setting where a variable is none.
pub const ENVIRONMENT: &str = "environment";

/// What was found about a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The setting.
    pub key: &'static str,
    /// The host would not start, or not as it was meant; otherwise it only may surprise.
    pub fails: bool,
    /// What is wrong and what mends it.
    pub text: String,
}

fn fails(key: &'static str, text: String) -> Finding {
    Finding { key, fails: true, text }
}

fn warns(key: &'static str, text: String) -> Finding {
    Finding {
        key,
        fails: false,
        text,
    }
}

/// Shows and checks the settings. False when something is wrong.
pub fn run(global: &Global, given: &Given, matches: &ArgMatches) -> anyhow::Result<bool> {
    let (rows, problems) = match given.resolve(matches) {
        Ok(resolved) => (shown(&resolved), findings(&resolved)),
        Err(problems) => {
            let lines = problems.iter().map(|problem| fails("", problem.to_string()));
            (vec![], lines.collect())
        }
    };
    let good = !problems.iter().any(|finding| finding.fails);
    let report = json!({
        "ok": good,
        "settings": rows.iter().map(described).collect::<Vec<_>>(),
        "findings": problems.iter().map(|finding| {
            json!({"key": finding.key, "level": level(finding), "text": finding.text})
        }).collect::<Vec<_>>(),
    });
    print(global, &report, |_| text(&rows, &problems))?;
    Ok(good)
}

/// A setting with all its names, for programs.
fn described([key, value, source]: &[Value; 3]) -> Value {
    let setting = TABLE.iter().find(|setting| *key == setting.key);
    let environment = setting.map(|setting| setting.environment().collect::<Vec<_>>());
    json!({
        "key": key, "value": value, "source": source,
        "flag": setting.map(|setting| format!("--{}", setting.flag)), "environment": environment,
        "default": setting.map(|setting| setting.default),
        "help": setting.map(|setting| setting.help.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")),
    })
}

fn level(finding: &Finding) -> &'static str {
    if finding.fails { "fail" } else { "warn" }
}

fn text(rows: &[[Value; 3]], problems: &[Finding]) -> String {
    let cell = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let mut lines = vec![head(&["SETTING", "VALUE", "FROM"])];
    lines.extend(rows.iter().map(|row| row.iter().map(cell).collect()));
    let mut text = if rows.is_empty() { String::new() } else { table(&lines) };
    for finding in problems {
        let key = if finding.key.is_empty() {
            String::new()
        } else {
            format!("{}: ", finding.key)
        };
        text.push_str(&format!("{} {key}{}\n", level(finding), finding.text));
    }
    if !problems.iter().any(|finding| finding.fails) {
        text.push_str("the settings can be used\n");
    }
    text
}

/// Key, value and origin of each, those that are found out at start included.
fn shown(resolved: &Resolved) -> Vec<[Value; 3]> {
    resolved
        .effective
        .iter()
        .map(|row| {
            let found = match row.key {
                "data-dir" => resolved.settings.data_dir().ok(),
                "plugin-dir" => resolved.settings.plugin_dir().ok(),
                "seal-keys" => resolved.settings.data_dir().ok(),
                _ => None,
            };
            let found = match row.key {
                "host-name" => resolved.settings.host_name().ok(),
                _ => found.map(|dir| dir.display().to_string()),
            };
            let value = row.value.clone().or(found);
            [json!(row.key), json!(value), json!(row.source.to_string())]
        })
        .collect()
}

/// What is wrong with settings that can each be read.
pub fn findings(resolved: &Resolved) -> Vec<Finding> {
    let settings = &resolved.settings;
    let mut found: Vec<Finding> = resolved.effective.iter().filter_map(open_secret).collect();
    match settings.data_dir() {
        Ok(dir) => found.extend(data_dir(&dir)),
        Err(error) => found.push(fails("data-dir", format!("{error:#}"))),
    }
    match settings.plugin_dir() {
        Ok(dir) => found.extend(plugin_dir(&dir)),
        Err(error) => found.push(fails("plugin-dir", format!("{error:#}"))),
    }
    let mut listeners = vec![
        ("ng-ro-listen", settings.ng_ro_listen),
        ("admin-listen", settings.admin_listen),
        ("vnf-lcm-listen", settings.vnf_lcm_listen),
    ];
    listeners.extend(settings.metrics_listen.map(|address| ("metrics-listen", address)));
    for (index, (key, address)) in listeners.iter().enumerate() {
        // Port 0 is another one each time.
        let taken = listeners
            .iter()
            .take(index)
            .find(|(_, other)| other == address && address.port() != 0);
        if let Some((other, _)) = taken {
            found.push(fails(key, format!("{address} is the address of {other} too")));
        }
    }
    if !settings.ng_ro_listen.ip().is_loopback() && settings.ng_ro_sources.is_empty() {
        let text = "nobody but loopback is served although it listens elsewhere; --ng-ro-source names who may connect";
        found.push(warns("ng-ro-sources", text.to_owned()));
    }
    if let Some(range) = settings.ng_ro_sources.iter().find(|range| range.prefix_len() == 0) {
        found.push(warns(
            "ng-ro-sources",
            format!("{range} lets everybody drive the host without credentials"),
        ));
    }
    if !settings.admin_listen.ip().is_loopback() && settings.admin_tokens.is_empty() {
        let text =
            "without a token nobody but loopback is served although it listens elsewhere; --admin-token adds one";
        found.push(warns("admin-tokens", text.to_owned()));
    }
    found.extend(vnf_lcm(settings));
    found.extend(osm(settings));
    found.extend(resolved.unused.iter().map(|unused| {
        let text = format!("{} has no effect: {}", unused.name, unused.reason);
        warns(ENVIRONMENT, text)
    }));
    found
}

/// Who may use the VNF LCM interface, and where it says that it is.
fn vnf_lcm(settings: &Settings) -> Vec<Finding> {
    let mut found = vec![];
    if let Err(error) = crate::vnf_lcm::authentication(settings) {
        let key = match (&settings.vnf_lcm_auth_url, &settings.vnf_lcm_auth_ca) {
            (None, _) if !settings.vnf_lcm_auth_roles.is_empty() => "vnf-lcm-auth-roles",
            (None, _) | (Some(_), None) => "vnf-lcm-auth-url",
            (Some(_), Some(_)) => "vnf-lcm-auth-ca",
        };
        found.push(fails(key, format!("{error:#}")));
    }
    if settings.vnf_lcm_auth_url.is_none() && settings.vnf_lcm_auth_ca.is_some() {
        let text = "it is not used without --vnf-lcm-auth-url, which names Keystone";
        found.push(warns("vnf-lcm-auth-ca", text.to_owned()));
    }
    if settings.vnf_lcm_endpoint.is_none() && settings.vnf_lcm_listen.ip().is_unspecified() {
        let text = "links in answers name loopback, since it listens on every address; --vnf-lcm-endpoint says how clients reach it";
        found.push(warns("vnf-lcm-endpoint", text.to_owned()));
    }
    if let Err(error) = crate::vnf_lcm::default_vim(settings) {
        found.push(fails("vnf-lcm-default-vim", format!("{error:#}")));
    }
    found
}

/// What OSM's accounts are read with.
fn osm(settings: &Settings) -> Vec<Finding> {
    let mut found = vec![];
    let (file, key) = (&settings.osm_commonkey_file, &settings.osm_commonkey);
    if settings.osm_database_uri.is_none() {
        if file.is_some() || key.is_some() {
            let text = "it is not used without --osm-database-uri, which names OSM's database";
            let given = if file.is_some() {
                "osm-commonkey-file"
            } else {
                "osm-commonkey"
            };
            found.push(warns(given, text.to_owned()));
        }
        return found;
    }
    if let Err(error) = settings.osm_common_key() {
        found.push(fails("osm-commonkey-file", format!("{error:#}")));
    } else if file.is_none() && key.is_none() {
        let text =
            "without the common key of OSM's components, accounts whose secrets they encrypt with it are refused";
        found.push(warns("osm-commonkey-file", text.to_owned()));
    }
    let mode = file
        .as_ref()
        .and_then(|file| Some((file, std::fs::metadata(file).ok()?.permissions().mode() & 0o777)));
    if let Some((file, mode)) = mode.filter(|(_, mode)| mode & 0o077 != 0) {
        let file = file.display();
        let text = format!("{file} holds a key and has mode {mode:03o}; `chmod 600 {file}` mends it");
        found.push(warns("osm-commonkey-file", text));
    }
    found
}

/// Settings that may hold a secret in clear.
const SECRET: &[&str] = &["mongodb-uri", "osm-database-uri", "osm-commonkey"];

/// A secret in a file that others may read.
fn open_secret(row: &Effective) -> Option<Finding> {
    let Source::File(place) = &row.source else { return None };
    if !SECRET.contains(&row.key) {
        return None;
    }
    let (file, _) = place.rsplit_once(':')?;
    let mode = std::fs::metadata(file).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then(|| {
        let text = format!("{file} may hold a password and has mode {mode:03o}; `chmod 600 {file}` mends it");
        warns(row.key, text)
    })
}

fn data_dir(dir: &Path) -> Option<Finding> {
    match std::fs::metadata(dir) {
        Ok(data) if !data.is_dir() => Some(fails("data-dir", format!("{} is no directory", dir.display()))),
        Ok(data) if data.permissions().mode() & 0o077 != 0 => Some(warns(
            "data-dir",
            format!(
                "{} has mode {:03o}, so others may look into it; `chmod 700 {}` mends it",
                dir.display(),
                data.permissions().mode() & 0o777,
                dir.display()
            ),
        )),
        Ok(_) => None,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let above = dir.ancestors().skip(1).find(|above| above.exists());
            let writable = above.is_some_and(|above| {
                rustix::fs::access(above, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).is_ok()
            });
            let text = format!("{} does not exist and cannot be made by this user", dir.display());
            (!writable).then(|| fails("data-dir", text))
        }
        Err(error) => Some(fails("data-dir", format!("cannot look at {}: {error}", dir.display()))),
    }
}

fn plugin_dir(dir: &Path) -> Option<Finding> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => return Some(fails("plugin-dir", format!("cannot read {}: {error}", dir.display()))),
    };
    let is_component = |entry: std::fs::DirEntry| entry.path().extension().is_some_and(|end| end == "wasm");
    let any = entries.flatten().any(is_component);
    (!any).then(|| {
        let text = format!(
            "no connector (*.wasm) in {}: build them with `cargo xtask plugins`",
            dir.display()
        );
        fails("plugin-dir", text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Args as _, Command, FromArgMatches as _};

    fn found(arguments: &[&str]) -> Vec<(&'static str, bool)> {
        let matches = Given::augment_args(Command::new("serve"))
            .try_get_matches_from([&["serve"], arguments].concat())
            .unwrap();
        let given = Given::from_arg_matches(&matches).unwrap();
        let resolved = given.resolve(&matches).unwrap();
        findings(&resolved)
            .into_iter()
            .map(|finding| (finding.key, finding.fails))
            .collect()
    }

    #[test]
    fn each_thing_that_can_be_seen_without_a_start_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        std::fs::create_dir(path("plugins")).unwrap();
        std::fs::create_dir(path("empty")).unwrap();
        std::fs::write(path("plugins/x.wasm"), "").unwrap();
        std::fs::write(path("file"), "").unwrap();
        let (new, plugins) = (path("new/data"), path("plugins"));
        let good = ["--data-dir", &new, "--plugin-dir", &plugins];
        assert_eq!(found(&good), []);
        let with = |more: &[&str]| found(&[&good, more].concat());
        assert_eq!(with(&["--admin-listen", "127.0.0.1:9090"]), [("admin-listen", true)]);
        assert_eq!(
            with(&["--metrics-listen", "127.0.0.1:9191"]),
            [("metrics-listen", true)]
        );
        assert_eq!(
            with(&["--vnf-lcm-listen", "192.0.2.1:9890"]),
            [("vnf-lcm-auth-url", true)]
        );
        assert_eq!(with(&["--vnf-lcm-auth-ca", "/none"]), [("vnf-lcm-auth-ca", false)]);
        assert_eq!(with(&["--vnf-lcm-auth-role", "admin"]), [("vnf-lcm-auth-roles", true)]);
        let keystone = [
            "--vnf-lcm-listen",
            "0.0.0.0:9890",
            "--vnf-lcm-auth-url",
            "https://k.example/v3",
        ];
        assert_eq!(with(&keystone), [("vnf-lcm-endpoint", false)]);
        assert_eq!(with(&["--ng-ro-listen", "0.0.0.0:9090"]), [("ng-ro-sources", false)]);
        assert_eq!(with(&["--ng-ro-source", "0.0.0.0/0"]), [("ng-ro-sources", false)]);
        assert_eq!(with(&["--admin-listen", "0.0.0.0:9191"]), [("admin-tokens", false)]);

        let config = path("vimhost.yaml");
        std::fs::write(&config, "mongodb-uri: mongodb://me:swordfish@127.0.0.1/\n").unwrap();
        std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(with(&["--config", &config]), [("mongodb-uri", false)]);
        std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(with(&["--config", &config]), []);

        std::fs::write(&config, "osm-database-uri: mongodb://me:swordfish@127.0.0.1/\n").unwrap();
        let key = path("commonkey");
        let osm = |key: &str| with(&["--config", &config, "--osm-commonkey-file", key]);
        assert_eq!(osm(&key), [("osm-commonkey-file", true)]);
        std::fs::write(&key, "osmcommonkey\n").unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(osm(&key), []);
        assert_eq!(
            with(&[
                "--config",
                &config,
                "--osm-commonkey-file",
                &key,
                "--osm-commonkey",
                "x"
            ]),
            [("osm-commonkey-file", true)]
        );
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(osm(&key), [("osm-commonkey-file", false)]);
        assert_eq!(with(&["--config", &config]), [("osm-commonkey-file", false)]);
        assert_eq!(with(&["--osm-commonkey", "x"]), [("osm-commonkey", false)]);

        let (file, empty, nothing) = (path("file"), path("empty"), path("nothing"));
        assert_eq!(
            found(&["--data-dir", &file, "--plugin-dir", &plugins]),
            [("data-dir", true)]
        );
        assert_eq!(
            found(&["--data-dir", &new, "--plugin-dir", &empty]),
            [("plugin-dir", true)]
        );
        assert_eq!(
            found(&["--data-dir", &new, "--plugin-dir", &nothing]),
            [("plugin-dir", true)]
        );
        std::fs::set_permissions(&empty, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(
            found(&["--data-dir", &empty, "--plugin-dir", &plugins]),
            [("data-dir", false)]
        );
    }
}
