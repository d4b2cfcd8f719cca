//! Trying an account: log in, find Heat, list a stack.
//!
//! An origin that is not granted yet is proposed and what lies behind it stays untried.

use serde_json::Value;
use vimhost_keystone::Service;
use vimhost_sdk::prelude::*;

use crate::vim::Vim;

pub(crate) fn check(vim: &Vim) -> Result<CheckReport, Error> {
    let mut report = CheckReport {
        vim_version: Some("Heat".to_owned()),
        ..CheckReport::default()
    };
    let heat = vim.heat()?;
    let origin = heat.origin();
    report.origins.push(ProposedOrigin {
        origin: origin.clone(),
        purpose: Service::Orchestration.word().to_owned(),
    });
    let access = vim.cloud.access();
    let scope = vim.cloud.scope()?;
    let regions = scope.catalogue.regions(Service::Orchestration, access.interface);
    if vim.settings.heat_endpoint.is_none() && access.region.is_none() && regions.len() > 1 {
        let regions: Vec<&str> = regions.into_iter().collect();
        report.warnings.push(format!(
            "{} is in several regions ({}); the first of the catalogue is used, `region_name` chooses",
            Service::Orchestration.word(),
            regions.join(", ")
        ));
    }
    let looked = vim.send(&[], |heat, path| {
        heat.get(path.iter().copied())
            .query("limit", "1")
            .doing("looking at the stacks")
    });
    match looked {
        Ok(_) => {}
        Err(failure) if failure.error.kind == ErrorKind::NotGranted => {
            report.warnings.push(format!(
                "{} at {origin} was not tried: the account does not grant this origin yet",
                Service::Orchestration.word()
            ));
            return Ok(report);
        }
        Err(failure) => return Err(failure.into()),
    }
    // Many clouds' policies keep it from users, which does not matter to anything else.
    let request = heat.get(["build_info"]).doing("asking for Heat's build");
    if let Ok(told) = heat.read::<Value>(request) {
        let revision = told.pointer("/engine/revision").and_then(Value::as_str);
        if let Some(revision) = revision.filter(|revision| !revision.is_empty() && *revision != "unknown") {
            report.vim_version = Some(format!("Heat (build {revision})"));
        }
    }
    Ok(report)
}
