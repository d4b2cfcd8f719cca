//! `vimhost doctor`: what is wrong with this machine or installation, and what mends it.
//!
//! It changes nothing, may run beside a host that is at work, and goes on after a check that failed, so that one run tells all.
//! What a check decides on is looked up first and then judged by a function of its own, so that each verdict can be tested
//! without a machine that is so.

mod files;
mod listeners;
mod machine;
mod osm;
mod plugins;

use clap::ArgMatches;
use serde::Serialize;
use serde_json::json;

use crate::cli::Global;
use crate::output::{print, table};
use crate::settings::{ENVIRONMENT, Given, findings};
use crate::store;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// The host works, not as well as it could.
    Warn,
    /// The host does not start, or not all of it works.
    Fail,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Name, stable for programs.
    name: &'static str,
    verdict: Verdict,
    /// What was seen.
    seen: String,
    /// What mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Check {
    fn ok(name: &'static str, seen: impl Into<String>) -> Self {
        Self {
            name,
            verdict: Verdict::Ok,
            seen: seen.into(),
            remedy: None,
        }
    }

    fn warn(name: &'static str, seen: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Warn,
            remedy: Some(remedy.into()),
            ..Self::ok(name, seen)
        }
    }

    fn fail(name: &'static str, seen: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Fail,
            ..Self::warn(name, seen, remedy)
        }
    }
}

/// Makes every check and shows the outcome. False when one failed.
pub async fn run(global: &Global, given: &Given, matches: &ArgMatches) -> anyhow::Result<bool> {
    let checks = examine(given, matches).await;
    let good = checks.iter().all(|check| check.verdict != Verdict::Fail);
    print(global, &json!({"ok": good, "checks": checks}), |_| text(&checks))?;
    Ok(good)
}

fn text(checks: &[Check]) -> String {
    let mut rows = vec![];
    for check in checks {
        let word = match check.verdict {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail => "FAIL",
        };
        rows.push(vec![word.to_owned(), check.name.to_owned(), check.seen.clone()]);
        if let Some(remedy) = &check.remedy {
            rows.push(vec![String::new(), String::new(), format!("→ {remedy}")]);
        }
    }
    table(&rows)
}

async fn examine(given: &Given, matches: &ArgMatches) -> Vec<Check> {
    let resolved = match given.resolve(matches) {
        Ok(resolved) => resolved,
        Err(problems) => {
            let mut checks: Vec<Check> = problems
                .iter()
                .map(|problem| {
                    Check::fail(
                        "settings",
                        problem.to_string(),
                        "mend the value; docs/configuration.md has them all",
                    )
                })
                .collect();
            // What does not depend on settings is still worth knowing.
            checks.extend(machine::checks());
            return checks;
        }
    };
    let settings = &resolved.settings;
    let mut checks: Vec<Check> = findings(&resolved)
        .into_iter()
        .map(|finding| {
            let remedy = match finding.key {
                ENVIRONMENT => "leave it or take it out; docs/configuration.md has its counterpart".to_owned(),
                key => format!("set {key} otherwise; docs/configuration.md"),
            };
            if finding.fails {
                Check::fail("settings", format!("{}: {}", finding.key, finding.text), remedy)
            } else {
                Check::warn("settings", format!("{}: {}", finding.key, finding.text), remedy)
            }
        })
        .collect();
    if checks.is_empty() {
        checks.push(Check::ok("settings", "can be used"));
    }
    let data_dir = settings.data_dir();
    match &data_dir {
        Ok(dir) => {
            let keys = settings.seal_keys.as_deref().unwrap_or(dir);
            match store::mongo_options(settings) {
                Ok(Some(options)) => checks.extend(files::checks_with_mongo(dir, keys, &options).await),
                Ok(None) => checks.extend(files::checks(dir, keys)),
                Err(error) => checks.push(Check::fail("settings", format!("{error:#}"), "give --host-name")),
            }
        }
        Err(error) => checks.push(Check::fail("data directory", format!("{error:#}"), "give --data-dir")),
    }
    match settings.plugin_dir() {
        Ok(dir) => checks.extend(plugins::checks(&dir, data_dir.as_deref().ok()).await),
        Err(error) => checks.push(Check::fail("plugins", format!("{error:#}"), "give --plugin-dir")),
    }
    checks.extend(osm::checks(settings).await);
    checks.extend(machine::checks());
    checks.extend(listeners::checks(settings).await);
    checks
}
