//! What the host is told: by flags, environment, a file, and defaults; the earlier of these wins. In the environment our own name wins
//! over one that other programs honour too, and that over NG-RO's (`ng_ro`).
//!
//! Every setting is one row of the table below, which makes the flag, the name in the environment, the key of the file, the
//! default, the help text and the row in `docs/configuration.md` (a test compares them). A value is read by the same function
//! wherever it stands.

mod check;
mod file;
mod ng_ro;
mod value;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroUsize};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::ArgMatches;
use clap::parser::ValueSource;
use vimhost_api::admin::TokenDigest;
use vimhost_model::{AddressRange, Secret};

pub use check::{ENVIRONMENT, findings, run as check_config};
use file::{File, Problem};
use ng_ro::Environment;
pub use ng_ro::Unused;
pub use value::{HttpUrl, LogFilter, Name, Value};

/// One row of the table, for documentation and checks.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Key in the file.
    pub key: &'static str,
    /// Flag, without dashes.
    pub flag: &'static str,
    /// Name in the environment.
    pub env: &'static str,
    /// A name in the environment that other programs honour too; ours wins.
    pub common_env: Option<&'static str>,
    /// Default as text.
    pub default: &'static str,
    /// What it does.
    pub help: &'static [&'static str],
}

impl Setting {
    /// Every name in the environment, the stronger first.
    pub fn environment(&self) -> impl Iterator<Item = &'static str> {
        let of_ng_ro = ng_ro::names(self.key).iter().copied();
        std::iter::once(self.env).chain(self.common_env).chain(of_ng_ro)
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The command line.
    Flag,
    /// The environment, by which name.
    Environment(&'static str),
    /// The file, at which place.
    File(String),
    /// Nobody said anything.
    Default,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag => f.write_str("flag"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::File(place) => f.write_str(place),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A setting as it is in force.
#[derive(Debug, Clone)]
pub struct Effective {
    /// Key in the file.
    pub key: &'static str,
    /// Its value as it may be shown; none when it is not set.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: Source,
}

/// All settings, and where each comes from.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// What is in force.
    pub settings: Settings,
    /// The same as texts with their origins, in the table's order.
    pub effective: Vec<Effective>,
    /// Variables of NG-RO that are set and change nothing.
    pub unused: Vec<Unused>,
}

macro_rules! settings {
    ($(
        $(#[doc = $help:literal])+
        $field:ident: $kind:ident $type:ty, $key:literal, $flag:literal, $env:literal $(or $common:literal)?, $place:literal, $default:literal;
    )*) => {
        /// Settings of the host on the command line and in the environment.
        #[derive(Debug, Default, clap::Args)]
        pub struct Given {
            /// File with settings (YAML); flags and environment win over it.
            #[arg(long, env = "VIMHOST_CONFIG", value_name = "FILE")]
            pub config: Option<PathBuf>,
            $(
                #[arg(long = $flag, env = $env, value_name = $place, hide_env_values = true, help = help_text(&[$($help),+], $default),
                      value_parser = <$type as Value>::read, num_args = settings!(@args $kind),
                      value_delimiter = settings!(@delimiter $kind), require_equals = settings!(@switch $kind))]
                #[arg(default_missing_value = settings!(@missing $kind))]
                // Written out, since clap looks at the type as it stands. One value too many is a problem that is named later.
                pub $field: Option<Vec<$type>>,
            )*
        }

        /// Settings of the host as they are in force.
        #[derive(Debug, Clone)]
        pub struct Settings {
            $( $(#[doc = $help])+ pub $field: settings!(@held $kind $type), )*
        }

        /// The table.
        pub const TABLE: &[Setting] = &[$(Setting {
            key: $key,
            flag: $flag,
            env: $env,
            common_env: settings!(@common $($common)?),
            default: $default,
            help: &[$($help),+],
        }),*];

        impl Given {
            fn look(&self, look: &mut Look<'_>) -> Option<Settings> {
                $(
                    let places = Places { id: stringify!($field), key: $key, env: $env, common_env: settings!(@common $($common)?) };
                    let $field = settings!(@look $kind look, self.$field, places, $default);
                )*
                Some(Settings { $($field: $field?,)* })
            }
        }
    };
    (@held list $type:ty) => { Vec<$type> };
    (@held optional $type:ty) => { Option<$type> };
    (@held $kind:ident $type:ty) => { $type };
    (@args switch) => { 0..=1 };
    (@args $kind:ident) => { 1 };
    (@delimiter list) => { Some(',') };
    (@delimiter $kind:ident) => { None::<char> };
    (@switch switch) => { true };
    (@switch $kind:ident) => { false };
    (@missing switch) => { Some("true") };
    (@missing $kind:ident) => { None::<&str> };
    (@common) => { None };
    (@common $name:literal) => { Some($name) };
    (@look list $look:ident, $given:expr, $places:ident, $default:literal) => {
        $look.list($given.as_deref(), $places)
    };
    (@look optional $look:ident, $given:expr, $places:ident, $default:literal) => {
        $look.optional($given.as_deref(), $places)
    };
    (@look $kind:ident $look:ident, $given:expr, $places:ident, $default:literal) => {
        $look.value($given.as_deref(), $places, $default)
    };
}

settings! {
    /// Directory of the database, the keys and the compiled connectors; made when missing.
    data_dir: optional PathBuf, "data-dir", "data-dir", "VIMHOST_DATA_DIR", "DIR", "`$XDG_STATE_HOME/vimhost`, else `~/.local/state/vimhost`";
    /// Directory of the connectors (*.wasm).
    plugin_dir: optional PathBuf, "plugin-dir", "plugin-dir", "VIMHOST_PLUGIN_DIR", "DIR", "`plugins` beside the binary or above it, else `/usr/lib/vimhost/plugins`";
    /// MongoDB instead of the file in the data directory (mongodb://…). A replica set may serve several hosts, a standalone
    /// serves one. It may hold a password, so the environment is the better place for it.
    mongodb_uri: optional Secret, "mongodb-uri", "mongodb-uri", "VIMHOST_MONGODB_URI", "URI", "";
    /// Its database.
    mongodb_database: value Name, "mongodb-database", "mongodb-database", "VIMHOST_MONGODB_DATABASE", "NAME", "vimhost";
    /// OSM's own database (mongodb://…): its VIM, WIM and SDN accounts are vimhost's then. It may hold a password, so the environment
    /// is the better place for it.
    osm_database_uri: optional Secret, "osm-database-uri", "osm-database-uri", "VIMHOST_OSM_DATABASE_URI", "URI", "";
    /// Its database.
    osm_database_name: value Name, "osm-database-name", "osm-database-name", "VIMHOST_OSM_DATABASE_NAME", "NAME", "osm";
    /// File with the key that OSM's components encrypt secrets of accounts with.
    osm_commonkey_file: optional PathBuf, "osm-commonkey-file", "osm-commonkey-file", "VIMHOST_OSM_COMMONKEY_FILE", "FILE", "";
    /// That key itself; a file is the better place for it.
    osm_commonkey: optional Secret, "osm-commonkey", "osm-commonkey", "VIMHOST_OSM_COMMONKEY", "KEY", "";
    /// Name of this host in leases and logs, where hosts share a database.
    host_name: optional Name, "host-name", "host-name", "VIMHOST_HOST_NAME", "NAME", "`the machine's name`";
    /// Directory of the keys that seal secrets. Hosts that share a database share the keys.
    seal_keys: optional PathBuf, "seal-keys", "seal-keys", "VIMHOST_SEAL_KEYS", "DIR", "`the data directory`";
    /// Address of NG-RO's interface.
    ng_ro_listen: value SocketAddr, "ng-ro-listen", "ng-ro-listen", "VIMHOST_NG_RO_LISTEN", "ADDRESS", "127.0.0.1:9090";
    /// Who may use NG-RO's interface, which knows no credentials. Repeatable; loopback when none is given.
    ng_ro_sources: list AddressRange, "ng-ro-sources", "ng-ro-source", "VIMHOST_NG_RO_SOURCES", "CIDR", "";
    /// Address of the admin interface.
    admin_listen: value SocketAddr, "admin-listen", "admin-listen", "VIMHOST_ADMIN_LISTEN", "ADDRESS", "127.0.0.1:9191";
    /// Token of the admin interface as `admin:<SHA-256>` (or `operator:`, `viewer:`), hexadecimal. Repeatable; without one
    /// only loopback is served.
    admin_tokens: list TokenDigest, "admin-tokens", "admin-token", "VIMHOST_ADMIN_TOKENS", "ROLE:DIGEST", "";
    /// Address that serves metrics and probes to whoever reaches it; without one they are on the admin interface only.
    metrics_listen: optional SocketAddr, "metrics-listen", "metrics-listen", "VIMHOST_METRICS_LISTEN", "ADDRESS", "";
    /// Address of the VNF LCM interface (SOL003). Elsewhere than on loopback it needs `vnf-lcm-auth-url`.
    vnf_lcm_listen: value SocketAddr, "vnf-lcm-listen", "vnf-lcm-listen", "VIMHOST_VNF_LCM_LISTEN", "ADDRESS", "127.0.0.1:9890";
    /// Base of the links in answers and notifications of the VNF LCM interface, as its clients reach it.
    vnf_lcm_endpoint: optional HttpUrl, "vnf-lcm-endpoint", "vnf-lcm-endpoint", "VIMHOST_VNF_LCM_ENDPOINT", "URL", "`the address it listens on`";
    /// Keystone (https://…/v3) that validates the tokens of clients of the VNF LCM interface; without one nobody is asked for a token.
    vnf_lcm_auth_url: optional HttpUrl, "vnf-lcm-auth-url", "vnf-lcm-auth-url", "VIMHOST_VNF_LCM_AUTH_URL", "URL", "";
    /// Authorities that Keystone's certificate is trusted by, as PEM, instead of the public ones.
    vnf_lcm_auth_ca: optional PathBuf, "vnf-lcm-auth-ca", "vnf-lcm-auth-ca", "VIMHOST_VNF_LCM_AUTH_CA", "FILE", "";
    /// Roles of which a token has to have one, by their names in Keystone. Repeatable; every token of that Keystone, of whatever project, may
    /// use the VNF LCM interface when none is given.
    vnf_lcm_auth_roles: list Name, "vnf-lcm-auth-roles", "vnf-lcm-auth-role", "VIMHOST_VNF_LCM_AUTH_ROLES", "ROLE", "";
    /// How long a valid token is not asked about again, in seconds; 0 asks each time.
    vnf_lcm_auth_cache: value u64, "vnf-lcm-auth-cache", "vnf-lcm-auth-cache", "VIMHOST_VNF_LCM_AUTH_CACHE", "SECONDS", "300";
    /// VNF instances of a page of a list; 0: lists have no pages.
    vnf_lcm_instances_page: value usize, "vnf-lcm-instances-page", "vnf-lcm-instances-page", "VIMHOST_VNF_LCM_INSTANCES_PAGE", "N", "0";
    /// Operation occurrences of a page of a list; 0: lists have no pages.
    vnf_lcm_op_occs_page: value usize, "vnf-lcm-op-occs-page", "vnf-lcm-op-occs-page", "VIMHOST_VNF_LCM_OP_OCCS_PAGE", "N", "0";
    /// Subscriptions of a page of a list; 0: lists have no pages.
    vnf_lcm_subscriptions_page: value usize, "vnf-lcm-subscriptions-page", "vnf-lcm-subscriptions-page", "VIMHOST_VNF_LCM_SUBSCRIPTIONS_PAGE", "N", "0";
    /// Longest list of the VNF LCM interface in bytes: a longer one without pages is refused.
    vnf_lcm_max_content_length: value NonZeroUsize, "vnf-lcm-max-content-length", "vnf-lcm-max-content-length", "VIMHOST_VNF_LCM_MAX_CONTENT_LENGTH", "BYTES", "1000000";
    /// VIM account of VNF instances whose clients name no VIM.
    vnf_lcm_default_vim: optional Name, "vnf-lcm-default-vim", "vnf-lcm-default-vim", "VIMHOST_VNF_LCM_DEFAULT_VIM", "ID", "";
    /// How long a VIM may take for a stack of a VNF instance, in minutes.
    vnf_lcm_stack_timeout_minutes: value u64, "vnf-lcm-stack-timeout-minutes", "vnf-lcm-stack-timeout-minutes", "VIMHOST_VNF_LCM_STACK_TIMEOUT_MINUTES", "MINUTES", "20";
    /// A stack that cannot be made is removed by the VIM at once. It is easier to see why while it is there.
    vnf_lcm_rollback_on_failure: switch bool, "vnf-lcm-rollback-on-failure", "vnf-lcm-rollback-on-failure", "VIMHOST_VNF_LCM_ROLLBACK_ON_FAILURE", "BOOL", "false";
    /// A new subscription's callback is tried before it is accepted.
    vnf_lcm_test_notification: switch bool, "vnf-lcm-test-notification", "vnf-lcm-test-notification", "VIMHOST_VNF_LCM_TEST_NOTIFICATION", "BOOL", "true";
    /// Where callbacks of subscriptions may be, as ranges of addresses. Repeatable; everywhere but on this host when none is given, there
    /// too while the interface listens on loopback.
    vnf_lcm_callback_addresses: list AddressRange, "vnf-lcm-callback-addresses", "vnf-lcm-callback-address", "VIMHOST_VNF_LCM_CALLBACK_ADDRESSES", "CIDR", "";
    /// Connector calls in flight per account.
    calls_per_account: value NonZeroUsize, "calls-per-account", "calls-per-account", "VIMHOST_CALLS_PER_ACCOUNT", "N", "32";
    /// Connector calls that may begin in a second per account; 0: as many as there are.
    calls_per_second: value u32, "calls-per-second", "calls-per-second", "VIMHOST_CALLS_PER_SECOND", "N", "0";
    /// How often idle elements are observed, in seconds; 0 never.
    idle_period: value u64, "idle-period", "idle-period", "VIMHOST_IDLE_PERIOD", "SECONDS", "60";
    /// Where VMs may be that SSH keys are let into, as ranges of addresses. Repeatable; everywhere but on this host when none
    /// is given.
    ssh_addresses: list AddressRange, "ssh-addresses", "ssh-address", "VIMHOST_SSH_ADDRESSES", "CIDR", "";
    /// Port of the SSH servers of VMs.
    ssh_port: value NonZeroU16, "ssh-port", "ssh-port", "VIMHOST_SSH_PORT", "PORT", "22";
    /// Which lines are logged, by target and level: `info,vimhost_runtime=debug`.
    log: value LogFilter, "log", "log", "VIMHOST_LOG" or "RUST_LOG", "FILTER", "info";
    /// Log lines as JSON.
    log_json: switch bool, "log-json", "log-json", "VIMHOST_LOG_JSON", "BOOL", "false";
    /// Collector that traces are sent to (OTLP over HTTP); without one there are none.
    otlp_endpoint: optional HttpUrl, "otlp-endpoint", "otlp-endpoint", "VIMHOST_OTLP_ENDPOINT" or "OTEL_EXPORTER_OTLP_ENDPOINT", "URL", "";
}

/// The help of a flag: what the table says, and the default.
fn help_text(lines: &[&str], default: &str) -> String {
    let text: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
    let text = text.join(" ");
    if default.is_empty() {
        text
    } else {
        format!("{text} [default: {}]", default.replace('`', ""))
    }
}

/// Where a setting may stand.
struct Places {
    /// Name of the argument.
    id: &'static str,
    key: &'static str,
    env: &'static str,
    common_env: Option<&'static str>,
}

/// The look for every setting in turn.
struct Look<'a> {
    matches: &'a ArgMatches,
    environment: &'a Environment,
    file: &'a File,
    effective: Vec<Effective>,
    problems: Vec<Problem>,
    /// NG-RO's names that were used.
    used: BTreeSet<&'static str>,
}

impl Look<'_> {
    /// What was said about a setting, by the place that wins. None: nothing.
    fn said<T: Value>(&mut self, given: Option<&[T]>, places: &Places) -> Option<(Vec<T>, Source)> {
        if let Some(values) = given {
            let source = match self.matches.value_source(places.id) {
                Some(ValueSource::EnvVariable) => Source::Environment(places.env),
                Some(_) | None => Source::Flag,
            };
            return Some((values.to_vec(), source));
        }
        let environment = self.environment;
        let common = places
            .common_env
            .and_then(|name| Some((name, environment.get(name).filter(|text| !text.is_empty())?)));
        if let Some((name, text)) = common {
            return Some(self.read(std::slice::from_ref(text), Source::Environment(name), name));
        }
        if let Some(said) = ng_ro::said(places.key, environment) {
            self.used.extend(said.names);
            let source = Source::Environment(said.label);
            return Some(match said.text {
                Ok(text) => self.read(&[text], source, said.label),
                Err(what) => {
                    let place = said.label.to_owned();
                    self.problems.push(Problem { place, what });
                    (vec![], source)
                }
            });
        }
        let file = self.file;
        let entry = file.entry(places.key)?;
        let place = file.place(entry.line);
        let named = format!("{place}: {}", places.key);
        Some(self.read(&entry.values, Source::File(place), &named))
    }

    /// Reads texts that stand at a place.
    fn read<T: Value>(&mut self, texts: &[String], source: Source, place: &str) -> (Vec<T>, Source) {
        let mut values = vec![];
        for text in texts {
            match T::read(text) {
                Ok(value) => values.push(value),
                Err(what) => self.problems.push(Problem {
                    place: place.to_owned(),
                    what,
                }),
            }
        }
        (values, source)
    }

    fn one<T: Value>(&mut self, given: Option<&[T]>, places: &Places) -> Option<(T, Source)> {
        let (mut values, source) = self.said(given, places)?;
        if values.len() > 1 {
            self.problems.push(Problem {
                place: format!("{source}: {}", places.key),
                what: "it has one value, not a list".to_owned(),
            });
        }
        values.pop().map(|value| (value, source))
    }

    fn note(&mut self, places: &Places, value: Option<String>, source: Source) {
        self.effective.push(Effective {
            key: places.key,
            value,
            source,
        });
    }

    fn list<T: Value>(&mut self, given: Option<&[T]>, places: Places) -> Option<Vec<T>> {
        let (values, source) = self.said(given, &places).unwrap_or((vec![], Source::Default));
        let shown: Vec<String> = values.iter().map(Value::shown).collect();
        self.note(&places, (!shown.is_empty()).then(|| shown.join(", ")), source);
        Some(values)
    }

    #[expect(
        clippy::option_option,
        reason = "the outer one is whether all went well, the inner one the setting"
    )]
    fn optional<T: Value>(&mut self, given: Option<&[T]>, places: Places) -> Option<Option<T>> {
        let said = self.one(given, &places);
        let (value, source) = said.map_or((None, Source::Default), |(value, source)| (Some(value), source));
        self.note(&places, value.as_ref().map(Value::shown), source);
        Some(value)
    }

    fn value<T: Value>(&mut self, given: Option<&[T]>, places: Places, default: &str) -> Option<T> {
        let (value, source) = match self.one(given, &places) {
            Some((value, source)) => (value, source),
            None => match T::read(default) {
                Ok(value) => (value, Source::Default),
                Err(what) => {
                    self.problems.push(Problem {
                        place: format!("default of {}", places.key),
                        what,
                    });
                    return None;
                }
            },
        };
        self.note(&places, Some(value.shown()), source);
        Some(value)
    }

    /// What was found, once all of it is known.
    fn resolved(mut self, mut settings: Settings) -> Resolved {
        // A file with the key is a name of ours, so it wins over NG-RO's for the key itself.
        if settings.osm_commonkey_file.is_some() {
            let own = |row: &&mut Effective| row.key == "osm-commonkey";
            let by_ng_ro = |row: &&mut Effective| match row.source {
                Source::Environment(name) => self.used.contains(name),
                Source::Flag | Source::File(_) | Source::Default => false,
            };
            if let Some(row) = self.effective.iter_mut().find(own).filter(by_ng_ro) {
                (row.value, row.source) = (None, Source::Default);
                settings.osm_commonkey = None;
                self.used.retain(|name| !ng_ro::names("osm-commonkey").contains(name));
            }
        }
        let effective = self.effective;
        let winner = |key: &'static str| {
            let source_of = |key: &str| effective.iter().find(|row| row.key == key).map(|row| &row.source);
            let other = if key == "osm-commonkey" && settings.osm_commonkey_file.is_some() {
                "osm-commonkey-file"
            } else {
                key
            };
            match source_of(other) {
                None | Some(Source::Default) => format!("it says nothing of `{key}` alone"),
                Some(source) => format!("`{other}` is said by {source}"),
            }
        };
        let unused = ng_ro::unused(self.environment, &self.used, winner);
        Resolved {
            settings,
            effective,
            unused,
        }
    }
}

impl Given {
    /// Puts flags, environment, file and defaults together.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn resolve(&self, matches: &ArgMatches) -> Result<Resolved, Vec<Problem>> {
        self.resolve_with(matches, &ng_ro::environment())
    }

    fn resolve_with(&self, matches: &ArgMatches, environment: &Environment) -> Result<Resolved, Vec<Problem>> {
        let names: Vec<&str> = TABLE.iter().map(|setting| setting.key).collect();
        let file = match &self.config {
            Some(path) => File::read(path, &names)?,
            None => File::default(),
        };
        let mut look = Look {
            matches,
            environment,
            file: &file,
            effective: vec![],
            problems: vec![],
            used: BTreeSet::new(),
        };
        match self.look(&mut look) {
            Some(settings) if look.problems.is_empty() => Ok(look.resolved(settings)),
            Some(_) | None => Err(look.problems),
        }
    }
}

/// Problems as one error, a line each.
pub fn refused(problems: &[Problem]) -> anyhow::Error {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    anyhow::anyhow!(
        "{}\n`vimhost check-config` shows the settings in force",
        lines.join("\n")
    )
}

impl Settings {
    /// The data directory: as told, else where programs of this user keep their state.
    pub fn data_dir(&self) -> anyhow::Result<PathBuf> {
        if let Some(dir) = &self.data_dir {
            return Ok(dir.clone());
        }
        let base = std::env::var_os("XDG_STATE_HOME")
            .map(PathBuf::from)
            .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state")))
            .context("neither XDG_STATE_HOME nor HOME is set: give --data-dir")?;
        Ok(base.join("vimhost"))
    }

    /// The name of this host among those that share a database.
    pub fn host_name(&self) -> anyhow::Result<String> {
        if let Some(name) = &self.host_name {
            return Ok(name.as_str().to_owned());
        }
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname")
            .context("cannot find out the name of this machine: give --host-name")?;
        Ok(name.trim().to_owned())
    }

    /// The key that OSM's components share: as told, or from its file; none when neither is given.
    pub fn osm_common_key(&self) -> anyhow::Result<Option<Secret>> {
        let Some(file) = &self.osm_commonkey_file else {
            return Ok(self.osm_commonkey.clone());
        };
        if self.osm_commonkey.is_some() {
            bail!(
                "the common key is given by a file and in clear (--osm-commonkey or its environment); one of them is enough"
            );
        }
        let text = std::fs::read_to_string(file)
            .map(Secret::new)
            .with_context(|| format!("cannot read the common key in {}", file.display()))?;
        // An editor ends the line.
        let key = text.expose().trim_end_matches(['\r', '\n']);
        if key.is_empty() {
            bail!("{} holds no key", file.display());
        }
        Ok(Some(Secret::new(key)))
    }

    /// The plugin directory: as told, else beside the binary, else where a package puts it.
    pub fn plugin_dir(&self) -> anyhow::Result<PathBuf> {
        if let Some(dir) = &self.plugin_dir {
            if !dir.is_dir() {
                bail!("plugin directory {} does not exist", dir.display());
            }
            return Ok(dir.clone());
        }
        let binary = std::env::current_exe().context("cannot find out where this binary is")?;
        let beside = binary.parent().map(|dir| dir.join("plugins"));
        let above = binary
            .parent()
            .and_then(|dir| dir.parent())
            .map(|dir| dir.join("plugins"));
        [beside, above, Some(PathBuf::from("/usr/lib/vimhost/plugins"))]
            .into_iter()
            .flatten()
            .find(|dir| dir.is_dir())
            .context("no plugin directory found: build the connectors with `cargo xtask plugins`, or give --plugin-dir")
    }
}

#[cfg(test)]
mod tests;
