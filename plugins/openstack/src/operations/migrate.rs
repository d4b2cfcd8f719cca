//! Moving a server to another host: live when it runs, cold when it is stopped.
//!
//! Whether there is room is for Nova and Placement to say; the figures that OSM's own connector compared are gone from Nova
//! (O10). The host is checked before, since Nova tells of a wrong one only in records that one has to look for.

use serde::Deserialize;
use serde_json::{Value, json};
use vimhost_keystone::{Api, Microversion, time};
use vimhost_sdk::prelude::*;
use vimhost_sdk::{clock, warn};

use super::resize::confirm;
use super::{Asking, act, announced, ask_once, asked, busy, look, noted, operated, wait, why_not};
use crate::calendar;
use crate::compute::{Server, nova, nova_at, nova_with};
use crate::vim::Vim;

/// Journal kind. What is noted with it is the host the server was on.
const MIGRATE: &str = "migrate";

/// From here on a host that is named is checked by the scheduler and not forced.
const LIVE: Microversion = Microversion::new(2, 30);

/// Up to here a live migration says whether a disk may be overcommitted, and whether it copies disks is not for Nova to find out.
const LIVE_OF_OLD: Microversion = Microversion::new(2, 24);

/// From here on a migration's record says of which type it is.
const RECORDS: Microversion = Microversion::new(2, 23);

/// From here on a cold migration can name a host.
const COLD_TO_HOST: Microversion = Microversion::new(2, 56);

/// Moves a server, to `host` or where Nova chooses.
pub(crate) fn migrate(vim: &Vim, call: &Call, id: &str, host: Option<&str>) -> Result<OperateStep, Error> {
    let nova = nova(vim)?;
    let server = look(&nova, id)?;
    if busy(&server) {
        return wait(call, &server);
    }
    if asked(call, MIGRATE) {
        return moved(vim, &nova, call, &server);
    }
    // By a try whose answer was lost; it may have come about since.
    let tried = call.entry(MIGRATE, call.operation());
    if tried.is_some() && server.status() == "VERIFY_RESIZE" {
        return confirm(&nova, call, id);
    }
    if host.is_some() && server.host() == host {
        if tried.is_some() {
            return Ok(operated(&server));
        }
        return Err(Error::bad_request(format!(
            "Unable to migrate instance '{id}' to the same host '{}'",
            host.unwrap_or_default()
        )));
    }
    let live = match server.status() {
        "ACTIVE" | "PAUSED" => true,
        "SHUTOFF" => false,
        status => {
            return Err(Error::conflict(format!(
                "server {id} is in status {status}; it is migrated when it is ACTIVE, PAUSED or SHUTOFF"
            )));
        }
    };
    if let Some(host) = host {
        check_host(&nova, &server, host)?;
    }
    let (speaking, word, body) = if live {
        live_migration(vim, host)?
    } else {
        cold_migration(vim, host)?
    };
    let before = match tried {
        Some(entry) => left_since(vim, id, entry.age_ms)?,
        None => None,
    };
    let asking = Asking {
        kind: MIGRATE,
        note: before.as_deref().or(server.host()).unwrap_or("unknown"),
        action: word,
    };
    ask_once(call, &nova, id, &asking, || act(&speaking, id, "migrating", &body))?;
    wait(call, &look(&nova, id)?)
}

fn live_migration<'v>(vim: &'v Vim, host: Option<&str>) -> Result<(Api<'v>, &'static str, Value), Failure> {
    let newest = nova_at(vim, LIVE)?;
    let (nova, body) = if newest.supports(LIVE.major, LIVE.minor) {
        (newest, json!({"host": host, "block_migration": "auto"}))
    } else {
        let body = json!({"host": host, "block_migration": true, "disk_over_commit": false});
        (nova_at(vim, LIVE_OF_OLD)?, body)
    };
    Ok((nova, "live-migration", json!({ "os-migrateLive": body })))
}

fn cold_migration<'v>(vim: &'v Vim, host: Option<&str>) -> Result<(Api<'v>, &'static str, Value), Failure> {
    Ok(match host {
        Some(host) => (
            nova_with(
                vim,
                COLD_TO_HOST,
                "migrating a stopped server to a host of one's choice",
            )?,
            "migrate",
            json!({"migrate": {"host": host}}),
        ),
        None => (nova(vim)?, "migrate", json!({ "migrate": null })),
    })
}

/// What became of a migration that Nova took.
fn moved(vim: &Vim, nova: &Api<'_>, call: &Call, server: &Server) -> Result<OperateStep, Error> {
    if server.status() == "VERIFY_RESIZE" {
        return confirm(nova, call, server.id());
    }
    let record = record(vim, server.id())?;
    let told = record.as_ref().map(|record| record.status.as_str());
    // The record is written before the server rests, but it is the record that says how it went.
    let under_way = [
        "accepted",
        "queued",
        "preparing",
        "running",
        "pre-migrating",
        "migrating",
        "post-migrating",
        "confirming",
    ];
    if told.is_some_and(|told| under_way.contains(&told)) {
        return wait(call, server);
    }
    let failed = told.is_some_and(|told| matches!(told, "failed" | "error" | "cancelled" | "reverted"));
    let before = noted(call, MIGRATE);
    let elsewhere = server.host().is_some() && server.host() != before;
    if server.status() != "ERROR" && elsewhere {
        return Ok(operated(server));
    }
    // Where hosts are not shown the record alone tells.
    if server.status() != "ERROR" && server.host().is_none() && !failed {
        return Ok(operated(server));
    }
    let word = if record.as_ref().is_some_and(|record| record.live()) {
        "live-migration"
    } else {
        "migrate"
    };
    let error = why_not(nova, server, word);
    Err(match told.filter(|_| failed) {
        Some(told) => error.while_doing(&format!("Migration Failed, its record says {told}")),
        None => error.while_doing("Migration Failed"),
    })
}

#[derive(Debug, Deserialize)]
struct Migration {
    id: u64,
    status: String,
    #[serde(default)]
    migration_type: Option<String>,
    #[serde(default)]
    source_compute: Option<String>,
    #[serde(default)]
    created_at: Option<String>,
}

impl Migration {
    fn live(&self) -> bool {
        self.migration_type.as_deref() == Some("live-migration")
    }
}

/// The newest migration of a server; none where it is not shown.
fn record(vim: &Vim, id: &str) -> Result<Option<Migration>, Failure> {
    records(vim, id).map(|(record, _)| record)
}

/// The host from which a migration of this span has taken a server; none where there was none in it, or it is not shown.
fn left_since(vim: &Vim, id: &str, age_ms: u64) -> Result<Option<String>, Failure> {
    let (record, at) = records(vim, id)?;
    let is_of_span = |record: &Migration| {
        let created = record.created_at.as_deref().and_then(time::epoch_seconds);
        created.is_some_and(|created| created >= announced(at, age_ms))
    };
    Ok(record.filter(is_of_span).and_then(|record| record.source_compute))
}

/// The newest migration of a server, and the time at Nova.
fn records(vim: &Vim, id: &str) -> Result<(Option<Migration>, u64), Failure> {
    #[derive(Deserialize)]
    struct Listed {
        migrations: Vec<Migration>,
    }
    let nova = nova_at(vim, RECORDS)?;
    let request = nova
        .get(["os-migrations"])
        .query("instance_uuid", id)
        .doing(format!("looking at the migrations of server {id}"));
    let response = match nova.send(request) {
        Ok(response) => response,
        Err(failure) if failure.status == Some(403) => return Ok((None, clock::now().as_secs())),
        Err(failure) => return Err(failure),
    };
    let at = response.header("date").and_then(calendar::of_http);
    let newest = response
        .json::<Listed>()?
        .migrations
        .into_iter()
        .max_by_key(|migration| migration.id);
    Ok((newest, at.unwrap_or_else(|| clock::now().as_secs())))
}

/// Whether a server can be moved to a host: it exists, serves, and lies in the server's zone.
fn check_host(nova: &Api<'_>, server: &Server, host: &str) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Compute {
        host: String,
        #[serde(default)]
        zone: Option<String>,
        #[serde(default)]
        state: Option<String>,
        #[serde(default)]
        status: Option<String>,
    }
    #[derive(Deserialize)]
    struct Listed {
        services: Vec<Compute>,
    }
    let request = nova
        .get(["os-services"])
        .query("binary", "nova-compute")
        .query("host", host)
        .doing(format!("looking at compute host {host}"));
    let listed: Listed = match nova.read(request) {
        Ok(listed) => listed,
        Err(failure) if failure.status == Some(403) => {
            warn!(
                "compute hosts are not shown to this user; Nova alone checks the host",
                host = host
            );
            return Ok(());
        }
        Err(failure) => return Err(failure),
    };
    let id = server.id();
    let Some(compute) = listed.services.iter().find(|compute| compute.host == host) else {
        let message = format!("Unable to migrate instance '{id}': there is no compute host '{host}'");
        return Err(Error::not_found(message).into());
    };
    let is = |told: &Option<String>, wanted: &str| told.as_deref().is_none_or(|told| told == wanted);
    if !is(&compute.state, "up") || !is(&compute.status, "enabled") {
        return Err(Error::conflict(format!(
            "Unable to migrate instance '{id}' to host '{host}', which is {} and {}",
            compute.state.as_deref().unwrap_or("in no known state"),
            compute.status.as_deref().unwrap_or("of no known status"),
        ))
        .into());
    }
    match (server.zone(), compute.zone.as_deref()) {
        (Some(from), Some(to)) if from != to => Err(Error::conflict(format!(
            "Unable to migrate instance '{id}' to a different availability zone: it is in '{from}', and host '{host}' is in '{to}'"
        ))
        .into()),
        (Some(_), _) | (None, _) => Ok(()),
    }
}
