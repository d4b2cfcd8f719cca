//! `vimhost vim audit`: what an account has of ours, beside what the records say.

use std::io::{IsTerminal as _, Write as _};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::cli::{AccountKind, Global, VimAudit};
use crate::client::Client;
use crate::events::Events;
use crate::output::{head, print, row, table, text};
use crate::vim::path;

/// What an audit has told, whole.
#[derive(Default)]
struct Told {
    looked_at: u64,
    findings: Vec<Value>,
}

/// Audits an account. False: something is nobody's, missing, or could not be looked at.
pub async fn run(global: &Global, client: &Client, kind: AccountKind, options: &VimAudit) -> anyhow::Result<bool> {
    let told = listen(client, &format!("{}/audit", path(kind, &options.id))).await?;
    let is_fine = ["orphan", "missing", "not-seen"]
        .iter()
        .all(|verdict| told.count(verdict) == 0);
    let whole = json!({"account": options.id, "looked_at": told.looked_at, "findings": told.findings});
    print(global, &whole, |_| told.for_people(options.others))?;
    Ok(is_fine)
}

async fn listen(client: &Client, path: &str) -> anyhow::Result<Told> {
    let mut events = Events::of(client.events(path).await?);
    let mut told = Told::default();
    let progress = Progress::default();
    while let Some(event) = events.next().await.context("the audit is not complete")? {
        match event.name.as_str() {
            "page" => {
                told.add(&event.data);
                progress.show(&told, &text(&event.data, "kind"));
            }
            "end" => {
                progress.clear();
                return Ok(told);
            }
            "failed" => bail!("the audit is not complete: {}", text(&event.data, "reason")),
            // Of a newer host.
            _ => {}
        }
    }
    bail!("the host stopped telling; the audit is not complete")
}

impl Told {
    fn add(&mut self, page: &Value) {
        let looked_at = page.get("looked_at").and_then(Value::as_u64).unwrap_or(0);
        self.looked_at = self.looked_at.saturating_add(looked_at);
        let findings = page.get("findings").and_then(Value::as_array);
        self.findings.extend(findings.into_iter().flatten().cloned());
    }

    fn count(&self, verdict: &str) -> usize {
        self.of(verdict).count()
    }

    fn of<'t>(&'t self, verdict: &'t str) -> impl Iterator<Item = &'t Value> + 't {
        self.findings
            .iter()
            .filter(move |finding| finding.get("verdict").and_then(Value::as_str) == Some(verdict))
    }

    /// What matters most comes first.
    fn for_people(&self, others: bool) -> String {
        let mut verdicts = vec!["orphan", "missing", "not-seen"];
        if others {
            verdicts.push("of-another");
        }
        let mut rows = vec![head(&["VERDICT", "KIND", "ID", "NAME", "SERVICES", "REASON"])];
        for finding in verdicts.iter().flat_map(|verdict| self.of(verdict)) {
            let mut cells = row(finding, &["verdict", "kind", "id", "name", "services", "reason"]);
            if let (Some(cell), Some(services)) = (cells.get_mut(4), finding.get("services").and_then(Value::as_array))
            {
                *cell = services.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",");
            }
            rows.push(cells);
        }
        let listed = if rows.len() > 1 { table(&rows) } else { String::new() };
        let of_another = match (self.count("of-another"), others) {
            (0, _) => String::new(),
            (count, true) => format!("; {count} of another vimhost"),
            (count, false) => format!("; {count} of another vimhost (--others lists them)"),
        };
        format!(
            "{listed}{} elements and records looked at: {} orphans, {} missing, {} kinds not wholly seen{of_another}\n",
            self.looked_at,
            self.count("orphan"),
            self.count("missing"),
            self.count("not-seen"),
        )
    }
}

/// A line that is overwritten, where somebody sees it.
struct Progress {
    is_seen: bool,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            is_seen: std::io::stderr().is_terminal(),
        }
    }
}

impl Progress {
    fn show(&self, told: &Told, kind: &str) {
        self.write(&format!("{} looked at, last of kind {kind}", told.looked_at));
    }

    fn clear(&self) {
        self.write("");
    }

    fn write(&self, line: &str) {
        if self.is_seen {
            let mut err = std::io::stderr().lock();
            // A terminal that went away is no reason to stop.
            let _ = write!(err, "\r{line}\x1b[K").and_then(|()| err.flush());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Told {
        let mut told = Told::default();
        told.add(&json!({"kind": "server", "looked_at": 3, "findings": [
            {"verdict": "of-another", "kind": "server", "id": "s-9", "name": "theirs", "services": [], "reason": "a"},
            {"verdict": "missing", "kind": "server", "id": "s-1", "name": "web", "services": ["shop", "bar"], "reason": "b"},
            {"verdict": "orphan", "kind": "server", "id": "s-2", "name": null, "services": [], "reason": "c"},
        ]}));
        told.add(&json!({"kind": "port", "looked_at": 4, "findings": []}));
        told
    }

    #[test]
    fn what_matters_most_comes_first_and_others_are_counted() {
        assert_eq!(
            told().for_people(false),
            "VERDICT  KIND    ID   NAME  SERVICES  REASON\n\
             orphan   server  s-2                  c\n\
             missing  server  s-1  web   shop,bar  b\n\
             7 elements and records looked at: 1 orphans, 1 missing, 0 kinds not wholly seen; \
             1 of another vimhost (--others lists them)\n"
        );
        assert!(told().for_people(true).contains("of-another  server  s-9"));
    }

    #[test]
    fn an_audit_that_found_nothing_is_one_line() {
        assert_eq!(
            Told::default().for_people(false),
            "0 elements and records looked at: 0 orphans, 0 missing, 0 kinds not wholly seen\n"
        );
    }
}
