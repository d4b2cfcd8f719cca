//! NG-RO's names in the environment, `OSMRO_<SECTION>_<KEY>`, for a host that takes its place in a deployment of OSM.
//!
//! A name that means the same as a setting is taken, after our own names and before the file. The others are told with the reason
//! why they have no effect: whoever sets one expects something of it. Values are YAML scalars, as for NG-RO.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The environment of the process.
pub type Environment = BTreeMap<String, String>;

const PREFIX: &str = "OSMRO_";

/// NG-RO counts shorter periods as this one, in seconds, except the one that means never.
const SHORTEST_REFRESH: i64 = 60;

/// The port of NG-RO, and of MongoDB.
const NG_RO_PORT: u16 = 9090;
const MONGODB_PORT: u16 = 27017;

const DATABASE_HOST: &str = "OSMRO_DATABASE_HOST";
const DATABASE_PORT: &str = "OSMRO_DATABASE_PORT";
const SOCKET_HOST: &str = "OSMRO_SERVER_SOCKET_HOST";
const SOCKET_PORT: &str = "OSMRO_SERVER_SOCKET_PORT";

/// A variable of NG-RO that is set and changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unused {
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// What NG-RO's names say about a setting.
pub(super) struct Said {
    /// Who says it, for people.
    pub(super) label: &'static str,
    /// The names that were used.
    pub(super) names: &'static [&'static str],
    /// As our own name would have it, or what is wrong.
    pub(super) text: Result<String, String>,
}

/// How a setting is said by NG-RO's names.
struct Rule {
    key: &'static str,
    names: &'static [&'static str],
    read: fn(&Environment) -> Option<Said>,
}

const RULES: &[Rule] = &[
    Rule {
        key: "osm-database-uri",
        names: &["OSMRO_DATABASE_URI", DATABASE_HOST, DATABASE_PORT],
        read: database_uri,
    },
    Rule {
        key: "osm-database-name",
        names: &["OSMRO_DATABASE_NAME"],
        read: |environment| first_of(environment, &["OSMRO_DATABASE_NAME"], as_it_is),
    },
    Rule {
        key: "osm-commonkey",
        names: COMMON_KEY,
        read: |environment| first_of(environment, COMMON_KEY, as_it_is),
    },
    Rule {
        key: "ng-ro-listen",
        names: &[SOCKET_HOST, SOCKET_PORT],
        read: listen,
    },
    Rule {
        key: "idle-period",
        names: &["OSMRO_PERIOD_REFRESH_ACTIVE"],
        read: |environment| first_of(environment, &["OSMRO_PERIOD_REFRESH_ACTIVE"], refresh_period),
    },
    Rule {
        key: "log",
        names: &["OSMRO_LOG_LEVEL"],
        read: |environment| first_of(environment, &["OSMRO_LOG_LEVEL"], log_level),
    },
];

/// OSM's database library takes the second one where the first is missing.
const COMMON_KEY: &[&str] = &["OSMRO_DATABASE_COMMONKEY", "OSMRO_DATABASE_MASTERPASSWORD"];

/// How the names begin that have no effect, and why; the first that fits counts. The table of `docs/configuration.md`.
pub(super) const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("OSMRO_DATABASE_DRIVER", "OSM's database is MongoDB"),
    ("OSMRO_DATABASE_LOGLEVEL", "`log` says it"),
    ("OSMRO_DATABASE_LOGFILE", "`log` says it"),
    ("OSMRO_DATABASE_REPLICASET", "the URI says it (`?replicaSet=…`)"),
    (
        "OSMRO_DATABASE_USER",
        "NG-RO ignores it too; the URI has user and password",
    ),
    (
        "OSMRO_DATABASE_PASSWORD",
        "NG-RO ignores it too; the URI has user and password",
    ),
    ("OSMRO_MESSAGE_", "the database is followed; there is no message bus"),
    (
        "OSMRO_STORAGE_",
        "packages are not read; templates come with the requests",
    ),
    (
        "OSMRO_SERVER_SSL_",
        "NG-RO's interface has no TLS here; a proxy before it may end TLS",
    ),
    ("OSMRO_SERVER_THREAD_POOL", "a request needs no thread"),
    (
        "OSMRO_SERVER_NS_THREADS",
        "a VIM needs no thread; `calls-per-account` bounds the calls",
    ),
    ("OSMRO_SERVER_ENABLE_TEST", "the URLs below `/test` are never served"),
    (
        "OSMRO_TASK_",
        "tasks are not locked; a host drives an account by a lease",
    ),
    (
        "OSMRO_PERIOD_REFRESH_BUILD",
        "what changes is looked at in growing intervals",
    ),
    (
        "OSMRO_PERIOD_REFRESH_ERROR",
        "what failed is made anew by the next deploy",
    ),
    ("OSMRO_PERIOD_REFRESH_IMAGE", "images and flavours are not watched"),
    ("OSMRO_PERIOD_QUEUE_SIZE", "there are no queues of workers"),
    (
        "OSMRO_LOG_",
        "the log goes to the standard error output; `log` and `log-json` say how",
    ),
    (
        "OSMRO_AUTH_",
        "the interface knows no credentials; `ng-ro-sources` says who may connect",
    ),
    (
        "OSMRO_AUTHENTICATION_",
        "the interface knows no credentials; `ng-ro-sources` says who may connect",
    ),
    ("OSMRO_STATIC_", "there are no pages"),
    ("OSMRO_TOOLS_", "it is of NG-RO's web server"),
    ("OSMRO_TEST_", "it is of NG-RO's web server"),
    ("OSMRO_SERVER_", "it is of NG-RO's web server"),
    ("OSMRO_", "vimhost does not know it"),
];

/// The environment of this process, as far as it is text.
pub(super) fn environment() -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// NG-RO's names for a setting, the stronger first.
pub(super) fn names(key: &str) -> &'static [&'static str] {
    RULES.iter().find(|rule| rule.key == key).map_or(&[], |rule| rule.names)
}

/// What NG-RO's names say about a setting.
pub(super) fn said(key: &str, environment: &Environment) -> Option<Said> {
    let rule = RULES.iter().find(|rule| rule.key == key)?;
    (rule.read)(environment)
}

/// The variables that are set and changed nothing. `winner` tells who said a setting instead.
pub(super) fn unused(
    environment: &Environment,
    used: &BTreeSet<&'static str>,
    winner: impl Fn(&'static str) -> String,
) -> Vec<Unused> {
    let set = environment
        .iter()
        .filter(|(name, value)| name.starts_with(PREFIX) && !value.is_empty() && !used.contains(name.as_str()));
    set.map(|(name, _)| {
        let rule = RULES.iter().find(|rule| rule.names.contains(&name.as_str()));
        let reason = match rule {
            Some(rule) => winner(rule.key),
            None => reason_of(name).to_owned(),
        };
        Unused {
            name: name.clone(),
            reason,
        }
    })
    .collect()
}

fn reason_of(name: &str) -> &'static str {
    let row = WITHOUT_EFFECT.iter().find(|(beginning, _)| name.starts_with(beginning));
    row.map_or("", |(_, reason)| reason)
}

/// A value as NG-RO reads it, none where that is nothing. Of YAML only scalars are known: no setting that is taken has another form.
fn given(environment: &Environment, name: &str) -> Option<Result<String, String>> {
    scalar(environment.get(name)?).transpose()
}

fn scalar(text: &str) -> Result<Option<String>, String> {
    let text = text.trim();
    if text.starts_with(['\'', '"']) {
        let quoted = serde_saphyr::from_str::<String>(text);
        // The library's own words would show the text, which may be a key.
        let quoted = quoted.map_err(|_| "it begins with a quote and is no quoted text".to_owned())?;
        return Ok(Some(quoted).filter(|text| !text.is_empty()));
    }
    let comment = if text.starts_with('#') {
        Some(0)
    } else {
        text.find(" #")
    };
    let plain = comment.and_then(|at| text.get(..at)).unwrap_or(text).trim_end();
    Ok(match plain {
        "" | "~" | "null" | "Null" | "NULL" => None,
        plain => Some(plain.to_owned()),
    })
}

fn first_of(
    environment: &Environment,
    names: &'static [&'static str],
    translate: fn(&str) -> Result<String, String>,
) -> Option<Said> {
    names.iter().find_map(|name| {
        let text = given(environment, name)?;
        Some(Said {
            label: name,
            names: std::slice::from_ref(name),
            text: text.and_then(|text| translate(&text)),
        })
    })
}

fn as_it_is(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

fn database_uri(environment: &Environment) -> Option<Said> {
    first_of(environment, &["OSMRO_DATABASE_URI"], as_it_is).or_else(|| {
        let host = given(environment, DATABASE_HOST)?;
        let port = given(environment, DATABASE_PORT);
        let names: &[&str] = if port.is_some() {
            &[DATABASE_HOST, DATABASE_PORT]
        } else {
            &[DATABASE_HOST]
        };
        Some(Said {
            label: DATABASE_HOST,
            names,
            text: host.and_then(|host| uri_of(&host, port)),
        })
    })
}

fn uri_of(host: &str, port: Option<Result<String, String>>) -> Result<String, String> {
    let port = match port {
        Some(port) => port_of(&port?)?,
        None => MONGODB_PORT,
    };
    let of_host = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
    if !host.chars().all(of_host) {
        return Err("not the name or address of a host".to_owned());
    }
    Ok(match host.parse::<IpAddr>() {
        Ok(address) => format!("mongodb://{}/", SocketAddr::new(address, port)),
        Err(_) => format!("mongodb://{host}:{port}/"),
    })
}

fn port_of(text: &str) -> Result<u16, String> {
    let port = text.parse::<u16>().ok().filter(|port| *port != 0);
    port.ok_or_else(|| "not a port from 1 to 65535".to_owned())
}

/// What is not said is as in the default of `ng-ro-listen`; NG-RO itself listens everywhere.
fn listen(environment: &Environment) -> Option<Said> {
    let (host, port) = (given(environment, SOCKET_HOST), given(environment, SOCKET_PORT));
    let (label, names): (&str, &[&str]) = match (&host, &port) {
        (None, None) => return None,
        (Some(_), None) => (SOCKET_HOST, &[SOCKET_HOST]),
        (None, Some(_)) => (SOCKET_PORT, &[SOCKET_PORT]),
        (Some(_), Some(_)) => (
            "OSMRO_SERVER_SOCKET_HOST, OSMRO_SERVER_SOCKET_PORT",
            &[SOCKET_HOST, SOCKET_PORT],
        ),
    };
    Some(Said {
        label,
        names,
        text: address_of(host, port),
    })
}

fn address_of(host: Option<Result<String, String>>, port: Option<Result<String, String>>) -> Result<String, String> {
    let host = match host {
        Some(host) => host?
            .parse::<IpAddr>()
            .map_err(|_| "not an IP address like 0.0.0.0 or ::".to_owned())?,
        None => IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let port = match port {
        Some(port) => port_of(&port?)?,
        None => NG_RO_PORT,
    };
    Ok(SocketAddr::new(host, port).to_string())
}

/// -1 means never, as our 0 does.
fn refresh_period(text: &str) -> Result<String, String> {
    let seconds: i64 = text
        .parse()
        .map_err(|_| "not a whole number of seconds, or -1".to_owned())?;
    Ok(if seconds == -1 {
        "0".to_owned()
    } else {
        seconds.max(SHORTEST_REFRESH).to_string()
    })
}

/// Names of Python's `logging`.
fn log_level(text: &str) -> Result<String, String> {
    let level = match text.to_ascii_uppercase().as_str() {
        "DEBUG" => "debug",
        "INFO" => "info",
        "WARNING" | "WARN" => "warn",
        "ERROR" | "CRITICAL" | "FATAL" => "error",
        _ => return Err("not a level like DEBUG, INFO, WARNING or ERROR".to_owned()),
    };
    Ok(level.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Environment {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        variables.iter().map(owned).collect()
    }

    fn text(key: &str, variables: &[(&str, &str)]) -> Option<Result<String, String>> {
        said(key, &of(variables)).map(|said| said.text)
    }

    fn value(key: &str, variables: &[(&str, &str)]) -> Option<String> {
        text(key, variables).map(|text| text.unwrap())
    }

    #[test]
    fn each_name_that_means_the_same_is_translated() {
        let (uri, listen) = ("osm-database-uri", "ng-ro-listen");
        for (key, variables, wanted) in [
            (
                uri,
                &[("OSMRO_DATABASE_URI", "mongodb://mongo:27017")][..],
                "mongodb://mongo:27017",
            ),
            (
                uri,
                &[("OSMRO_DATABASE_URI", "mongodb://a"), (DATABASE_HOST, "b")][..],
                "mongodb://a",
            ),
            (uri, &[(DATABASE_HOST, "mongo")][..], "mongodb://mongo:27017/"),
            (
                uri,
                &[(DATABASE_HOST, "::1"), (DATABASE_PORT, "'27018'")][..],
                "mongodb://[::1]:27018/",
            ),
            ("osm-database-name", &[("OSMRO_DATABASE_NAME", "\"osm\"")][..], "osm"),
            (
                "osm-commonkey",
                &[("OSMRO_DATABASE_COMMONKEY", "a key # of OSM")][..],
                "a key",
            ),
            ("osm-commonkey", &[("OSMRO_DATABASE_MASTERPASSWORD", "k#1")][..], "k#1"),
            (
                listen,
                &[(SOCKET_HOST, "0.0.0.0"), (SOCKET_PORT, "9998")][..],
                "0.0.0.0:9998",
            ),
            (listen, &[(SOCKET_HOST, "'::'")][..], "[::]:9090"),
            (listen, &[(SOCKET_PORT, "9998")][..], "127.0.0.1:9998"),
            ("idle-period", &[("OSMRO_PERIOD_REFRESH_ACTIVE", "-1")][..], "0"),
            ("idle-period", &[("OSMRO_PERIOD_REFRESH_ACTIVE", "5")][..], "60"),
            ("idle-period", &[("OSMRO_PERIOD_REFRESH_ACTIVE", "300")][..], "300"),
            ("log", &[("OSMRO_LOG_LEVEL", "DEBUG")][..], "debug"),
            ("log", &[("OSMRO_LOG_LEVEL", "\"CRITICAL\"")][..], "error"),
        ] {
            assert_eq!(value(key, variables).as_deref(), Some(wanted), "{variables:?}");
        }
        for nothing in ["", "  ", "~", "null", "''", "# nothing"] {
            assert_eq!(text("log", &[("OSMRO_LOG_LEVEL", nothing)]), None, "{nothing:?}");
        }
        assert_eq!(text(uri, &[(DATABASE_PORT, "27017")]), None);
        assert_eq!(text("admin-listen", &[(SOCKET_PORT, "9998")]), None);
    }

    #[test]
    fn a_wrong_value_is_told_and_never_shown() {
        for (key, name, wrong) in [
            ("osm-database-uri", DATABASE_HOST, "me:swordfish@db/x"),
            ("osm-commonkey", "OSMRO_DATABASE_COMMONKEY", "'swordfish"),
            ("ng-ro-listen", SOCKET_HOST, "swordfish.example"),
            ("ng-ro-listen", SOCKET_PORT, "0"),
            ("idle-period", "OSMRO_PERIOD_REFRESH_ACTIVE", "swordfish"),
            ("log", "OSMRO_LOG_LEVEL", "swordfish"),
        ] {
            let told = text(key, &[(name, wrong)]).unwrap().unwrap_err();
            assert!(!told.is_empty() && !told.contains("swordfish"), "{name}: {told}");
        }
    }

    #[test]
    fn what_is_set_and_not_used_is_named_with_its_reason() {
        let environment = of(&[
            ("OSMRO_DATABASE_URI", "mongodb://a"),
            ("OSMRO_DATABASE_DRIVER", "mongo"),
            ("OSMRO_LOG_LEVEL", "DEBUG"),
            ("OSMRO_LOG_FILE", "/var/log/ro.log"),
            ("OSMRO_NONSENSE", "1"),
            ("OSMRO_MESSAGE_HOST", ""),
            ("OSMLCM_LOG_LEVEL", "DEBUG"),
        ]);
        let used = BTreeSet::from(["OSMRO_DATABASE_URI"]);
        let unused = unused(&environment, &used, |key| format!("{key} is said otherwise"));
        let found: Vec<(&str, &str)> = unused.iter().map(|row| (&*row.name, &*row.reason)).collect();
        assert_eq!(
            found,
            [
                ("OSMRO_DATABASE_DRIVER", "OSM's database is MongoDB"),
                (
                    "OSMRO_LOG_FILE",
                    "the log goes to the standard error output; `log` and `log-json` say how"
                ),
                ("OSMRO_LOG_LEVEL", "log is said otherwise"),
                ("OSMRO_NONSENSE", "vimhost does not know it"),
            ]
        );
    }

    #[test]
    fn every_rule_is_of_a_setting_and_hides_no_row_without_effect() {
        for rule in RULES {
            assert!(
                super::super::TABLE.iter().any(|setting| setting.key == rule.key),
                "{}",
                rule.key
            );
            for name in rule.names {
                assert!(!WITHOUT_EFFECT.iter().any(|(beginning, _)| beginning == name), "{name}");
            }
        }
        let default = super::super::TABLE
            .iter()
            .find(|setting| setting.key == "ng-ro-listen")
            .unwrap()
            .default;
        assert_eq!(address_of(None, None).unwrap(), default);
        let page = include_str!("../../../../docs/configuration.md");
        for (beginning, reason) in WITHOUT_EFFECT {
            let row = format!(
                "`{beginning}{}` | {reason} |",
                if beginning.ends_with('_') { "…" } else { "" }
            );
            assert!(page.contains(&row), "docs/configuration.md lacks the row: {row}");
        }
    }
}
