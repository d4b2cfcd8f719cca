//! The data directory, the keys, the database, and the disk they are on.

use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{Access, access, statvfs};
use vimhost_engine::check_secrets;
use vimhost_model::{AccountState, TargetKind};
use vimhost_store::StoredAccount;
use vimhost_store::seal::{IfMissing, KeyRing};
use vimhost_store_mongo::Topology;
use vimhost_store_sqlite::{Inspection, inspect};

use super::Check;

/// Below this the store cannot even write its log (16 MiB) and a compiled connector.
const LEAST_SPACE: u64 = 64 << 20;
/// Thousands of VMs with their histories take some hundred megabytes.
const ENOUGH_SPACE: u64 = 1 << 30;

/// A file from the future, by more than clocks of one machine differ.
const SKEW: Duration = Duration::from_secs(300);

/// The data directory; false when there is none yet, so nothing is in it.
fn data_dir(dir: &Path) -> (Vec<Check>, bool) {
    let data = match std::fs::metadata(dir) {
        Ok(data) => data,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let check = Check::ok(
                "data directory",
                format!("{} is made at the first start", dir.display()),
            );
            return (vec![check], false);
        }
        Err(error) => {
            let remedy = "run this as the user that runs the host";
            let check = Check::fail("data directory", format!("{}: {error}", dir.display()), remedy);
            return (vec![check], false);
        }
    };
    (vec![directory(dir, &data), space(dir)], true)
}

/// The data directory and the database in it; the seal keys are in `keys`.
pub(super) fn checks(dir: &Path, keys: &Path) -> Vec<Check> {
    let (mut checks, there) = data_dir(dir);
    if !there {
        return checks;
    }
    let database = dir.join("vimhost.db");
    if !database.exists() {
        checks.push(Check::ok("database", "is made at the first start"));
        return checks;
    }
    checks.extend(written(&database));
    match inspect(&database) {
        Ok(seen) => {
            checks.push(whole(&database, &seen));
            checks.push(seal_key(keys, &seen.accounts));
            checks.extend(accounts(&seen.accounts));
        }
        Err(error) => checks.push(Check::fail(
            "database",
            error_text(&error),
            "run this as the user that runs the host; a file that is damaged is put back from a backup",
        )),
    }
    checks
}

/// The data directory, and a database on a server.
pub(super) async fn checks_with_mongo(dir: &Path, keys: &Path, options: &vimhost_store_mongo::Options) -> Vec<Check> {
    let (mut checks, _) = data_dir(dir);
    let name = "database";
    match vimhost_store_mongo::inspect(options).await {
        Ok(seen) => {
            let kind = match seen.topology {
                Topology::ReplicaSet => "a replica set, which several hosts may share",
                Topology::Standalone => "a standalone server, which one host may use",
            };
            let state = seen.schema.map_or_else(
                || "empty until the first start".to_owned(),
                |schema| format!("schema {schema}"),
            );
            checks.push(Check::ok(name, format!("{} on {kind}, {state}", options.database)));
            if seen.topology == Topology::ReplicaSet || seen.schema.is_some() {
                checks.push(seal_key(keys, &seen.accounts));
                checks.extend(accounts(&seen.accounts));
            }
        }
        Err(error) => checks.push(Check::fail(
            name,
            error_text(&error),
            "see that the server runs and --mongodb-uri names it, with its user where it asks for one",
        )),
    }
    checks
}

fn directory(dir: &Path, data: &Metadata) -> Check {
    let name = "data directory";
    if !data.is_dir() {
        return Check::fail(
            name,
            format!("{} is no directory", dir.display()),
            "give another --data-dir",
        );
    }
    if access(dir, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK).is_err() {
        let seen = format!(
            "{} belongs to user {} and cannot be written by this one",
            dir.display(),
            data.uid()
        );
        return Check::fail(name, seen, format!("run as that user, or `chown -R` {}", dir.display()));
    }
    let mode = data.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let seen = format!("{} has mode {mode:03o}: others may look into it", dir.display());
        return Check::warn(name, seen, format!("chmod 700 {}", dir.display()));
    }
    Check::ok(name, dir.display().to_string())
}

fn space(dir: &Path) -> Check {
    match statvfs(dir) {
        Ok(disk) => space_left(disk.f_bavail.saturating_mul(disk.f_frsize)),
        Err(error) => Check::warn("disk space", format!("cannot be asked for: {error}"), "look by `df`"),
    }
}

fn space_left(bytes: u64) -> Check {
    let name = "disk space";
    let seen = format!("{} MiB left", bytes >> 20);
    let remedy = "make room on the disk of the data directory";
    match bytes {
        0..LEAST_SPACE => Check::fail(name, seen, remedy),
        LEAST_SPACE..ENOUGH_SPACE => Check::warn(name, seen, remedy),
        _ => Check::ok(name, seen),
    }
}

/// Whether the database was written in the future: then the clock was ahead, or is behind now.
fn written(database: &Path) -> Option<Check> {
    let modified = std::fs::metadata(database).and_then(|data| data.modified()).ok()?;
    let ahead = modified.duration_since(SystemTime::now()).ok()?;
    (ahead > SKEW).then(|| {
        Check::fail(
            "clock",
            format!("the database was written {} s in the future", ahead.as_secs()),
            "set the clock, by NTP for instance: times of actions and leases are judged by it",
        )
    })
}

fn whole(database: &Path, seen: &Inspection) -> Check {
    let name = "database";
    if let Some(first) = seen.faults.first() {
        return Check::fail(
            name,
            format!("{} is damaged: {first}", database.display()),
            "stop the host, keep a copy, and put a backup in its place",
        );
    }
    let mode = std::fs::metadata(database).map_or(0o600, |data| data.permissions().mode() & 0o777);
    if mode & 0o077 != 0 {
        let seen = format!("{} has mode {mode:03o}: others may read it", database.display());
        return Check::warn(name, seen, format!("chmod 600 {}", database.display()));
    }
    Check::ok(name, format!("whole, schema {} of {}", seen.schema, seen.known))
}

fn seal_key(dir: &Path, accounts: &[StoredAccount]) -> Check {
    let name = "seal key";
    let ring = match KeyRing::of_dir(dir, IfMissing::Refuse) {
        Ok(ring) => ring,
        Err(error) => {
            let remedy = format!(
                "put the key of this database back at {} with mode 600; without it no stored credential opens. A database that never \
                 had one gets it by `vimhost key new`",
                dir.join("seal.key").display()
            );
            return Check::fail(name, error_text(&error), remedy);
        }
    };
    let closed = accounts.iter().find_map(|account| {
        let error = check_secrets(account, &ring).err()?;
        Some((account.target.to_string(), error))
    });
    match closed {
        Some((target, error)) => Check::fail(
            name,
            format!("does not open the credentials of {target}: {error}"),
            "put the key back they were sealed with, or enter the credentials anew",
        ),
        None => Check::ok(name, format!("opens the credentials of {} accounts", accounts.len())),
    }
}

/// What the last check of each account found. Nobody is asked here: the credentials are the host's, and so is the way to the VIM.
fn accounts(accounts: &[StoredAccount]) -> Vec<Check> {
    accounts.iter().flat_map(account).collect()
}

fn account(account: &StoredAccount) -> Vec<Check> {
    let (name, target) = ("account", &account.target);
    let kind = match target.kind {
        TargetKind::Vim => String::new(),
        other @ (TargetKind::Wim | TargetKind::Sdn) => format!("--kind {} ", other.as_str()),
    };
    let remedy = format!(
        "mend what it says; `vimhost vim {kind}check {}` tries again",
        target.account
    );
    let failed = match &account.state {
        AccountState::Error(reason) => {
            let seen = format!("{target} did not work when it was tried last: {reason}");
            Some(Check::fail(name, seen, remedy.as_str()))
        }
        AccountState::Processing | AccountState::Enabled => None,
    };
    let warned = account.warnings.iter().map(|warning| {
        let seen = format!("{target} worked when it was tried last, with a warning: {warning}");
        Check::warn(name, seen, remedy.as_str())
    });
    failed.into_iter().chain(warned).collect()
}

/// An error with its causes.
fn error_text(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;
    use vimhost_model::Secret;
    use vimhost_store::Store as _;
    use vimhost_store::seal::SealKey;
    use vimhost_store_sqlite::{Options, SqliteStore};

    fn verdicts(dir: &Path) -> Vec<(&'static str, Verdict)> {
        checks(dir, dir)
            .into_iter()
            .map(|check| (check.name, check.verdict))
            .collect()
    }

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// A data directory with a database of one account whose secret is sealed.
    async fn installation(dir: &Path) {
        set_mode(dir, 0o700);
        let ring = KeyRing::of_dir(dir, IfMissing::Create).unwrap();
        let store = SqliteStore::open(dir.join("vimhost.db"), Options::default()).unwrap();
        let mut account = vimhost_store::contract::sample::account("lab");
        account.credentials.clear();
        let context = format!("account:{}:password", account.target);
        let sealed = ring.seal(&Secret::new("swordfish".to_owned()), &context).unwrap();
        account.credentials.insert("password".to_owned(), sealed);
        store.put_account(account, None).await.unwrap();
    }

    #[test]
    fn an_account_that_does_not_work_is_named_with_its_reason() {
        let mut broken = vimhost_store::contract::sample::account("lab");
        let working = vimhost_store::contract::sample::account("other");
        broken.state = AccountState::Error("Keystone answered 401 (check user, password, project)".to_owned());
        let checks = accounts(&[broken, working]);
        assert_eq!(checks.len(), 1, "{checks:#?}");
        assert_eq!(checks[0].verdict, Verdict::Fail);
        assert!(
            checks[0].seen.contains("vim:lab") && checks[0].seen.contains("401"),
            "{checks:#?}"
        );
        assert!(
            checks[0]
                .remedy
                .as_deref()
                .is_some_and(|remedy| remedy.contains("`vimhost vim check lab`"))
        );
    }

    #[test]
    fn an_account_that_works_is_named_with_what_its_check_warned_of() {
        let mut warned = vimhost_store::contract::sample::account("lab");
        warned.state = AccountState::Enabled;
        warned.warnings = vec!["the project's quota of servers is used up (10 of 10)".to_owned()];
        let checks = accounts(&[warned]);
        assert_eq!(checks.len(), 1, "{checks:#?}");
        assert_eq!(checks[0].verdict, Verdict::Warn);
        assert!(checks[0].seen.contains("servers is used up"), "{checks:#?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_good_installation_has_no_complaint_and_each_fault_has_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        assert_eq!(checks(&dir.join("new"), dir)[0].verdict, Verdict::Ok);
        installation(dir).await;
        let good = verdicts(dir);
        assert!(
            good.iter()
                .all(|(name, verdict)| *verdict == Verdict::Ok || *name == "disk space"),
            "{:#?}",
            checks(dir, dir)
        );
        let names: Vec<_> = good.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["data directory", "disk space", "database", "seal key"]);

        let found = |name: &'static str, verdict| {
            assert!(
                verdicts(dir).contains(&(name, verdict)),
                "{name}: {:#?}",
                checks(dir, dir)
            );
        };
        set_mode(dir, 0o755);
        found("data directory", Verdict::Warn);
        set_mode(dir, 0o700);
        set_mode(&dir.join("vimhost.db"), 0o644);
        found("database", Verdict::Warn);
        set_mode(&dir.join("vimhost.db"), 0o600);

        let key = dir.join("seal.key");
        set_mode(&key, 0o644);
        found("seal key", Verdict::Fail);
        std::fs::remove_file(&key).unwrap();
        found("seal key", Verdict::Fail);
        SealKey::load(&key, IfMissing::Create).unwrap();
        found("seal key", Verdict::Fail);

        let future = SystemTime::UNIX_EPOCH + Duration::from_secs(20_000_000_000);
        let file = std::fs::File::options()
            .write(true)
            .open(dir.join("vimhost.db"))
            .unwrap();
        file.set_modified(future).unwrap();
        found("clock", Verdict::Fail);
        std::fs::write(dir.join("vimhost.db"), "no database").unwrap();
        found("database", Verdict::Fail);
        let file = dir.join("seal.key");
        assert_eq!(verdicts(&file)[0], ("data directory", Verdict::Fail));
    }

    #[test]
    fn a_full_disk_fails_and_a_nearly_full_one_warns() {
        let of = |bytes| space_left(bytes).verdict;
        assert_eq!(
            [of(1 << 20), of(1 << 29), of(1 << 40)],
            [Verdict::Fail, Verdict::Warn, Verdict::Ok]
        );
    }
}
