//! Limits of the operating system, its kernel and its clock.

use std::time::{Duration, SystemTime};

use rustix::process::{Resource, getrlimit};
use vimhost_runtime::Runtime;

use super::Check;

/// Below this not even the listeners' connections and the store's files fit.
const LEAST_FILES: u64 = 1024;
/// 512 connections on each of two listeners, kept-alive connections to some hundred VIM endpoints, and room.
const ENOUGH_FILES: u64 = 4096;

/// What the pool reserves: 128 slots of 4 GiB and their guards, never touched until used.
const POOL: u64 = 640 << 30;

/// A binary made later than now says that the clock stands in the past; builders' clocks differ by less.
const SKEW: Duration = Duration::from_secs(24 * 3600);

pub(super) fn checks() -> Vec<Check> {
    let binary = std::env::current_exe()
        .and_then(std::fs::metadata)
        .and_then(|data| data.modified())
        .ok();
    let now = SystemTime::now();
    vec![
        open_files(getrlimit(Resource::Nofile).current),
        address_space(getrlimit(Resource::As).current),
        page_scan(Runtime::machine_scans_pages()),
        clock(now, binary),
    ]
}

fn open_files(limit: Option<u64>) -> Check {
    let name = "open files";
    let remedy = format!("`ulimit -n {ENOUGH_FILES}`, or LimitNOFILE={ENOUGH_FILES} in the service's unit");
    match limit {
        None => Check::ok(name, "no limit"),
        Some(limit) if limit < LEAST_FILES => {
            Check::fail(name, format!("at most {limit}, which connections use up"), remedy)
        }
        Some(limit) if limit < ENOUGH_FILES => Check::warn(name, format!("at most {limit}"), remedy),
        Some(limit) => Check::ok(name, format!("at most {limit}")),
    }
}

fn address_space(limit: Option<u64>) -> Check {
    let name = "address space";
    match limit {
        Some(limit) if limit < POOL => Check::warn(
            name,
            format!(
                "at most {} GiB, the instance pool reserves {} GiB",
                limit >> 30,
                POOL >> 30
            ),
            "`ulimit -v unlimited`, or LimitAS=infinity in the service's unit; until then calls allocate on demand",
        ),
        Some(_) | None => Check::ok(name, "enough for the instance pool"),
    }
}

fn page_scan(available: bool) -> Check {
    let name = "page scan";
    if available {
        Check::ok(name, "the kernel has PAGEMAP_SCAN")
    } else {
        Check::warn(
            name,
            "the kernel has no PAGEMAP_SCAN, so each call resets more memory than it used",
            "Linux 6.7 or newer; everything works without it",
        )
    }
}

fn clock(now: SystemTime, binary: Option<SystemTime>) -> Check {
    let name = "clock";
    let early = binary.and_then(|made| made.duration_since(now).ok());
    match early.filter(|early| *early > SKEW) {
        Some(early) => Check::fail(
            name,
            format!("{} days before this binary was made", early.as_secs() / 86_400),
            "set the clock, by NTP for instance: certificates and leases are judged by it",
        ),
        None => Check::ok(name, "not before this binary was made"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn each_limit_has_its_verdicts() {
        let files = |limit| open_files(limit).verdict;
        assert_eq!(
            [files(Some(200)), files(Some(1024)), files(Some(4096)), files(None)],
            [Verdict::Fail, Verdict::Warn, Verdict::Ok, Verdict::Ok]
        );
        let space = |limit| address_space(limit).verdict;
        assert_eq!(
            [space(Some(64 << 30)), space(Some(1 << 40)), space(None)],
            [Verdict::Warn, Verdict::Ok, Verdict::Ok]
        );
        assert_eq!(
            [page_scan(false).verdict, page_scan(true).verdict],
            [Verdict::Warn, Verdict::Ok]
        );
    }

    #[test]
    fn a_clock_before_the_binary_was_made_fails() {
        let made = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        assert_eq!(clock(SystemTime::UNIX_EPOCH, Some(made)).verdict, Verdict::Fail);
        assert_eq!(clock(made - Duration::from_secs(3600), Some(made)).verdict, Verdict::Ok);
        assert_eq!(clock(SystemTime::UNIX_EPOCH, None).verdict, Verdict::Ok);
    }
}
