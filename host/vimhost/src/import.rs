//! `vimhost import-ng-ro`: takes over what NG-RO made (docs/takeover-of-ng-ro.md).
//!
//! It works on the database itself, while no host does: a host has no part in it, and a dry run makes nothing, not even the collections
//! that a host makes when it first opens a database.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::ArgMatches;
use vimhost_engine::SystemClock;
use vimhost_model::HostId;
use vimhost_osm::ng_ro::{Choices, HOST, Left, Plan, Report, Takeover};
use vimhost_osm::{Database as _, MongoDatabase};
use vimhost_store::Store;
use vimhost_store_mongo::{MongoStore, Options, Topology};

use crate::cli::{Global, ImportNgRo};
use crate::output::{head, print, table};
use crate::settings::{self, Settings};

/// Documents that are named when NG-RO was at work meanwhile.
const NAMED: usize = 5;

/// Takes over, or shows what would be done. False when something stands in the way, which is told.
pub async fn run(global: &Global, options: &ImportNgRo, matches: &ArgMatches) -> anyhow::Result<bool> {
    let resolved = options
        .given
        .resolve(matches)
        .map_err(|problems| settings::refused(&problems))?;
    let settings = resolved.settings;
    let (database, store) = databases(&settings).await?;
    check_database(&database, &settings).await?;
    let marks = database.marks_of_ng_ro().await?;
    let left = database.left_by_ng_ro().await?;
    if left.documents.is_empty() {
        bail!(
            "database '{}' has nothing of NG-RO (ro_tasks is empty or not there): is --mongodb-database the name of OSM's?",
            settings.mongodb_database.as_str()
        );
    }
    let choices = Choices {
        except: options.except.iter().cloned().collect(),
        not_made: options.not_made.iter().cloned().collect(),
    };
    check_choices(&choices, &left)?;
    let looked_at = MongoStore::look(&store).await.context("cannot look at the database")?;
    let shared = looked_at
        .as_ref()
        .is_none_or(|store| store.topology() == Topology::ReplicaSet);
    let look = Takeover {
        store: looked_at.map(|store| Arc::new(store) as Arc<dyn Store>),
        shared,
        clock: Arc::new(SystemClock),
        choices,
    };
    let planned = look.plan(&left).await?;
    let mut report = planned.report;
    if options.dry_run || !report.obstacles.is_empty() {
        show(global, &report)?;
        return Ok(report.obstacles.is_empty());
    }
    let Takeover {
        store: looked_at,
        choices,
        ..
    } = look;
    drop(looked_at);
    let at_work = changed(&marks, &database.marks_of_ng_ro().await?);
    if !at_work.is_empty() {
        bail!(
            "NG-RO is at work, on documents {}: stop every process of it, and try again; nothing is written",
            at_work.join(", ")
        );
    }
    let done = carry_out(store, &left, choices).await?;
    let at_work = changed(&marks, &database.marks_of_ng_ro().await?);
    report = done.report;
    show(global, &report)?;
    if !at_work.is_empty() {
        bail!(
            "NG-RO was at work meanwhile, on documents {}: what it did is not taken over; stop it, and see docs/takeover-of-ng-ro.md before a host is \
             started",
            at_work.join(", ")
        );
    }
    Ok(report.obstacles.is_empty())
}

/// OSM's database, and how vimhost's part of it is opened: they are the same.
async fn databases(settings: &Settings) -> anyhow::Result<(MongoDatabase, Options)> {
    let Some(uri) = &settings.mongodb_uri else {
        bail!(
            "vimhost's database is a file, and NG-RO's documents are in OSM's MongoDB: give VIMHOST_MONGODB_URI and --mongodb-database, as the hosts \
             will have them"
        );
    };
    let name = settings.mongodb_database.as_str();
    let database = MongoDatabase::new(uri, name)
        .await
        .context("--mongodb-uri is not understood")?;
    Ok((database, Options::new(uri.expose(), name, HostId::new(HOST)?)))
}

/// Whether it is OSM's.
async fn check_database(database: &MongoDatabase, settings: &Settings) -> anyhow::Result<()> {
    if database.version().await?.is_none() {
        bail!(
            "database '{}' is not OSM's: it has no document 'version' in 'admin'; OSM's own is usually called 'osm' (--mongodb-database)",
            settings.mongodb_database.as_str()
        );
    }
    Ok(())
}

/// A name that was mistyped would leave out nothing, or something else.
fn check_choices(choices: &Choices, left: &Left) -> anyhow::Result<()> {
    let documents: BTreeSet<&str> = left
        .documents
        .iter()
        .filter_map(|raw| raw.document.get("_id")?.as_str())
        .collect();
    if let Some(unknown) = choices.not_made.iter().find(|id| !documents.contains(id.as_str())) {
        bail!("--not-made {unknown}: NG-RO has no such document");
    }
    let tasks = left
        .documents
        .iter()
        .filter_map(|raw| raw.document.get("tasks")?.as_array());
    let services: BTreeSet<&str> = tasks
        .flatten()
        .filter_map(|task| task.get("nsr_id")?.as_str())
        .collect();
    if let Some(unknown) = choices.except.iter().find(|nsr| !services.contains(nsr.as_str())) {
        bail!("--except {unknown}: NG-RO has no document of such a service");
    }
    Ok(())
}

/// Opens the store for writing, plans anew on what is there then, and writes.
async fn carry_out(options: Options, left: &Left, choices: Choices) -> anyhow::Result<Plan> {
    let store = Arc::new(MongoStore::open(options).await.context("cannot open the database")?);
    let takeover = Takeover {
        store: Some(store.clone()),
        shared: store.topology() == Topology::ReplicaSet,
        clock: Arc::new(SystemClock),
        choices,
    };
    let written = write(&takeover, store.as_ref(), left).await;
    store.close().await;
    written
}

async fn write(takeover: &Takeover, store: &MongoStore, left: &Left) -> anyhow::Result<Plan> {
    let mut planned = takeover.plan(left).await?;
    if !planned.report.obstacles.is_empty() {
        return Ok(planned);
    }
    let terminal = std::io::stderr().is_terminal();
    let mut told = 0;
    let mut progress = |done: usize, all: usize| {
        // On a terminal each service, elsewhere each tenth of them.
        if terminal {
            eprint!("\r{done} of {all} services");
            if done == all {
                eprintln!();
            }
            // What cannot be shown is no reason to stop.
            let _ = std::io::stderr().flush();
        } else if done == all || done >= told {
            eprintln!("{done} of {all} services");
            told = done.saturating_add((all / 10).max(1));
        }
    };
    takeover
        .carry_out(store, &mut planned, &mut progress)
        .await
        .context("broken off; what is written is kept, and the same command goes on with the rest")?;
    Ok(planned)
}

/// Documents that NG-RO has touched between two looks; the first few.
fn changed(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let ids: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    ids.into_iter()
        .filter(|id| before.get(*id) != after.get(*id))
        .take(NAMED)
        .cloned()
        .collect()
}

fn show(global: &Global, report: &Report) -> anyhow::Result<()> {
    let value = serde_json::to_value(report)?;
    print(global, &value, |_| text(report))
}

fn text(report: &Report) -> String {
    let mut out = String::new();
    let mut line = |text: &str| {
        out.push_str(text);
        out.push('\n');
    };
    line(&format!(
        "{} documents of NG-RO{}",
        report.documents,
        if report.dry_run { "; nothing is written" } else { "" }
    ));
    let names = ["KIND", "MADE", "FOUND", "TO MAKE", "TO DELETE", "ABSENT", "COMMANDS"];
    let mut rows = vec![head(&names)];
    for (kind, count) in &report.elements {
        let counts = [
            count.made,
            count.found,
            count.to_make,
            count.to_delete,
            count.absent,
            count.commands,
        ];
        let counts = counts.iter().map(ToString::to_string);
        rows.push(std::iter::once((*kind).to_owned()).chain(counts).collect());
    }
    line("");
    line(table(&rows).trim_end());
    let mut rows = vec![head(&["SERVICE", "NAME", "STATE", "ACTIONS", "RESOURCES", "GOING ON"])];
    for service in &report.services {
        rows.push(vec![
            service.id.to_string(),
            service.name.clone(),
            service.state.as_str().to_owned(),
            service.actions.to_string(),
            service.resources.to_string(),
            service.going_on.to_string(),
        ]);
    }
    line("");
    line(table(&rows).trim_end());
    let of_services = report.services.iter().flat_map(|service| {
        service
            .warnings
            .iter()
            .map(move |warning| format!("{}: {warning}", service.id))
    });
    let warnings: Vec<String> = report.warnings.iter().cloned().chain(of_services).collect();
    if !warnings.is_empty() {
        line("");
        for warning in warnings {
            line(&format!("warning: {warning}"));
        }
    }
    if !report.obstacles.is_empty() {
        line("");
        for obstacle in &report.obstacles {
            line(&format!("in the way: {}", obstacle.what));
            line(&format!("  → {}", obstacle.remedy));
        }
        line("nothing is written while something is in the way");
    }
    out
}

#[cfg(test)]
mod tests {
    use vimhost_osm::ng_ro::{Elements, Obstacle, ServiceReport, State};

    use super::*;

    fn report() -> Report {
        let made = Elements {
            made: 2,
            ..Elements::default()
        };
        Report {
            dry_run: true,
            documents: 3,
            elements: [("vdu", made)].into(),
            services: vec![ServiceReport {
                id: "ns".parse().unwrap(),
                name: "web".to_owned(),
                state: State::ToTakeOver,
                actions: 1,
                resources: 2,
                going_on: 0,
                warnings: vec!["its key pair is RSA".to_owned()],
            }],
            warnings: vec!["no account vim:a".to_owned()],
            obstacles: Vec::new(),
        }
    }

    #[test]
    fn the_plan_is_shown_with_each_warning_and_what_is_in_the_way_with_its_remedy() {
        let mut report = report();
        let shown = text(&report);
        assert!(
            shown.starts_with("3 documents of NG-RO; nothing is written\n"),
            "{shown}"
        );
        for line in [
            "vdu   2",
            "ns       web   to be taken over",
            "warning: no account vim:a",
            "warning: ns: its key pair is RSA",
        ] {
            assert!(shown.contains(line), "{line}: {shown}");
        }
        report.obstacles.push(Obstacle {
            what: "a lock".to_owned(),
            remedy: "wait".to_owned(),
            services: Vec::new(),
        });
        assert!(
            text(&report).contains("in the way: a lock\n  → wait\n"),
            "{}",
            text(&report)
        );
    }

    #[test]
    fn documents_that_came_went_or_changed_are_told() {
        let map = |marks: &[(&str, &str)]| -> BTreeMap<String, String> {
            marks
                .iter()
                .map(|(id, mark)| ((*id).to_owned(), (*mark).to_owned()))
                .collect()
        };
        let before = map(&[("a", "1"), ("b", "1"), ("c", "1")]);
        let after = map(&[("a", "1"), ("b", "2"), ("d", "1")]);
        assert_eq!(changed(&before, &after), ["b", "c", "d"]);
        assert!(changed(&before, &before).is_empty());
    }
}
