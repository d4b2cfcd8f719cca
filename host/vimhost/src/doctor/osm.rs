//! OSM's database, where the settings name one: can it be reached, is it OSM's, can its accounts be read with the common key?

use vimhost_osm::{DatabaseError, Inspection, inspect};

use super::Check;
use crate::osm::Osm;
use crate::settings::Settings;

const NAME: &str = "osm accounts";

/// The checks; none where OSM's accounts are not followed.
pub async fn checks(settings: &Settings) -> Vec<Check> {
    let osm = match Osm::of(settings).await {
        Ok(Some(osm)) => osm,
        Ok(None) => return vec![],
        Err(error) => {
            let remedy = "mend --osm-database-uri or --osm-commonkey-file; docs/configuration.md";
            return vec![Check::fail(NAME, format!("{error:#}"), remedy)];
        }
    };
    let seen = inspect(osm.database(), osm.common_key()).await;
    vec![verdict(seen)]
}

fn verdict(seen: Result<Inspection, DatabaseError>) -> Check {
    let seen = match seen {
        Ok(seen) => seen,
        Err(error) => {
            let remedy = "start the server, or mend --osm-database-uri; the host starts without it and tries again";
            return Check::warn(NAME, error.to_string(), remedy);
        }
    };
    if !seen.is_osms {
        let remedy = "give the name of OSM's database with --osm-database-name, or wait until its NBI has started";
        return Check::warn(NAME, "the document 'version' in 'admin' is missing", remedy);
    }
    match seen.unreadable.first() {
        None => Check::ok(NAME, format!("{} can be read", seen.readable)),
        Some((target, reason)) => Check::fail(
            NAME,
            format!(
                "{} can be read, {} cannot; the first is {target}: {reason}",
                seen.readable,
                seen.unreadable.len()
            ),
            "mend the account in OSM, or give the common key of its components with --osm-commonkey-file",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn seen(is_osms: bool, unreadable: &[&str]) -> Result<Inspection, DatabaseError> {
        let unreadable = unreadable
            .iter()
            .map(|id| (id.parse().unwrap(), "vim_url: is missing".to_owned()));
        Ok(Inspection {
            is_osms,
            readable: 3,
            unreadable: unreadable.collect(),
        })
    }

    #[test]
    fn each_state_of_osms_database_has_its_verdict() {
        assert_eq!(verdict(seen(true, &[])).verdict, Verdict::Ok);
        assert_eq!(verdict(seen(false, &[])).verdict, Verdict::Warn);
        let wrong = verdict(seen(true, &["vim:a"]));
        assert_eq!(wrong.verdict, Verdict::Fail);
        assert!(wrong.seen.contains("vim:a: vim_url: is missing"), "{}", wrong.seen);
        let reason = "away".to_owned();
        assert_eq!(verdict(Err(DatabaseError { reason })).verdict, Verdict::Warn);
    }
}
