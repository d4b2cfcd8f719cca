//! What a person types.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::settings::Given;

/// A resource orchestrator for network functions virtualisation, with sandboxed VIM connectors.
#[derive(Debug, Parser)]
#[command(name = "vimhost", version, arg_required_else_help = true, after_help = EXAMPLES)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "Examples:
  vimhost serve                                      start the host
  vimhost doctor                                     what is wrong with this machine or installation
  vimhost vim add lab --type mock --url http://127.0.0.1:9500 --user mock --tenant mock --password-stdin
  vimhost plan web.yaml                              what a deploy would do
  vimhost deploy web.yaml --wait                     do it, and show progress
  vimhost status web                                 how it stands
  vimhost terminate web --wait                       delete everything of it

Exit codes: 0 done, 1 not done, or a check failed (the text says why), 2 wrong usage, 3 the action ended in FAILED.";

/// Options of every client command.
#[derive(Debug, Args)]
pub struct Global {
    /// Admin interface of the host.
    #[arg(
        long,
        global = true,
        env = "VIMHOST_SERVER",
        default_value = "http://127.0.0.1:9191",
        value_name = "URL"
    )]
    pub server: String,
    /// Bearer token, where the host asks for one.
    #[arg(
        long,
        global = true,
        env = "VIMHOST_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    pub token: Option<String>,
    /// Form of the answer.
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Text)]
    pub output: Format,
}

/// Form of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the host.
    Serve(Box<Given>),
    /// Show the host's settings and where each comes from, and check them without starting.
    CheckConfig(Box<Given>),
    /// Check this machine and installation, and say what mends what is wrong.
    Doctor(Box<Given>),
    /// Take over what NG-RO made, from OSM's database. NG-RO and every vimhost are stopped meanwhile.
    ImportNgRo(Box<ImportNgRo>),
    /// Accounts of VIMs, and with --kind of WIMs and SDN controllers.
    Vim(VimOptions),
    /// Show what deploying a network service would do; changes nothing, neither in a VIM nor at the host.
    Plan {
        /// The network service (YAML; docs/network-service.md explains it).
        file: PathBuf,
    },
    /// Bring a network service to what its file says.
    Deploy {
        /// The network service (YAML; docs/network-service.md explains it).
        file: PathBuf,
        /// Wait for the end and show progress.
        #[arg(long)]
        wait: bool,
    },
    /// Delete everything of a network service from the VIMs.
    Terminate {
        /// Its name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        /// Wait for the end and show progress.
        #[arg(long)]
        wait: bool,
    },
    /// Forget a terminated network service.
    Remove {
        /// Its name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
    /// List network services, or show how one of them, or one of its actions, stands.
    Status {
        /// Name of a network service; without it all are listed.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: Option<String>,
        /// One action of it: its tasks, and what holds them up.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        action: Option<String>,
    },
    /// Which host drives which account.
    #[command(subcommand)]
    Lease(LeaseCommand),
    /// Cancel what has not begun of an action; what has begun goes on.
    Cancel {
        /// Name of the network service.
        name: String,
        /// The action.
        action: String,
    },
    /// Tokens of the admin interface.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Keys that seal secrets at rest.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Who changed what: the audit log, newest first.
    Audit(AuditOptions),
    /// Connectors.
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// List the connectors the host knows, as `plugin list` does.
    Plugins,
    /// Start a small VIM for tries and tests.
    MockVim(MockVimOptions),
    /// Render templates of user data that the host sends. Hidden: it is what the host starts for itself, in a process of its own because
    /// a template may end it, and speaks a protocol that is no interface.
    #[command(hide = true)]
    RenderTemplates {
        /// The bounds of its memory are set.
        #[arg(long)]
        bounded: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum LeaseCommand {
    /// List them.
    List,
}

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token and print it. The first one ends the service of loopback without a token.
    Add {
        /// Who or what uses it.
        name: String,
        /// What its bearer may do: viewer, operator or admin.
        #[arg(long, default_value = "viewer")]
        role: vimhost_model::Role,
        /// Days after which it is no longer taken; without it, it has no end.
        #[arg(
            long,
            value_name = "N",
            allow_negative_numbers = true,
            value_parser = clap::value_parser!(u64).range(1..=3660)
        )]
        days: Option<u64>,
    },
    /// List tokens, ended ones too.
    List,
    /// Revoke a token.
    Rm {
        /// Its id.
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// List the connectors the host knows.
    List,
    /// Show a connector: state, digest, what it asks for and where credentials go.
    Show {
        /// Its name, or that of its file without the ending.
        name: String,
    },
    /// Upload a component into the host's plugin directory; it replaces the one of its name once it is verified.
    Load {
        /// The component (*.wasm).
        file: PathBuf,
        /// Name in the plugin directory; that of the file unless given.
        #[arg(long)]
        name: Option<String>,
    },
    /// Take up the file of a name in the plugin directory, or all that are new or changed.
    Reload {
        /// Name of the file without the ending.
        name: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// List the keys of the host, and how many secrets are sealed with each.
    List,
    /// Make another key the one that seals, and seal every secret anew.
    Rotate {
        /// An older key of the host; a new one is made without it.
        #[arg(long, value_name = "ID")]
        to: Option<String>,
    },
    /// Make the first key in a directory, for hosts that are to share a database. Needs no host.
    New {
        /// Directory of the keys; must not hold one.
        dir: PathBuf,
    },
    /// Remove an older key for good; refused while anything is sealed with it.
    Rm {
        /// Its id.
        id: String,
    },
}

#[derive(Debug, Args)]
pub struct AuditOptions {
    /// Of this one only: a token's id, configured-…, or loopback.
    #[arg(long)]
    pub who: Option<String>,
    /// Of this operation only (docs/admin-endpoints.md lists them).
    #[arg(long)]
    pub operation: Option<String>,
    /// Not older than this (2030-01-31T12:00:00Z).
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Most entries.
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub limit: u16,
}

#[derive(Debug, Args)]
pub struct VimOptions {
    /// What kind of accounts: of VIMs, WAN infrastructure managers or SDN controllers.
    #[arg(long, global = true, value_enum, default_value_t = AccountKind::Vim)]
    pub kind: AccountKind,
    #[command(subcommand)]
    pub command: VimCommand,
}

/// A kind of account; an id is unique within its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AccountKind {
    /// VIM.
    Vim,
    /// WAN infrastructure manager.
    Wim,
    /// SDN controller.
    Sdn,
}

impl AccountKind {
    /// The collection of the admin interface.
    pub fn path(self) -> &'static str {
        match self {
            Self::Vim => "/v1/vims",
            Self::Wim => "/v1/wims",
            Self::Sdn => "/v1/sdns",
        }
    }

    /// What selects it on the command line; nothing for VIMs.
    pub fn option(self) -> &'static str {
        match self {
            Self::Vim => "",
            Self::Wim => "--kind wim ",
            Self::Sdn => "--kind sdn ",
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum VimCommand {
    /// Add an account, and check it.
    Add(Box<VimAdd>),
    /// List accounts.
    List,
    /// Show an account.
    Show {
        /// Its id.
        id: String,
    },
    /// Try an account: plugin, network, login.
    Check {
        /// Its id.
        id: String,
    },
    /// Compare what an account has of ours with the records: what nobody owns, and what is gone.
    #[command(after_help = AUDIT_HELP)]
    Audit(VimAudit),
    /// Grant an account's connector access, or approve its rules.
    Allow(VimAllow),
    /// Remove an account.
    Rm {
        /// Its id.
        id: String,
    },
}

/// See docs/takeover-of-ng-ro.md.
#[derive(Debug, Args)]
pub struct ImportNgRo {
    /// Show what would be done; write nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Leave a network service as it is, by its id. Repeatable.
    #[arg(long, value_name = "NSR")]
    pub except: Vec<vimhost_model::NsrId>,
    /// Document of NG-RO whose unfinished creation has made nothing in the VIM, by its id: somebody has looked. Repeatable.
    #[arg(long, value_name = "DOCUMENT")]
    pub not_made: Vec<String>,
    #[command(flatten)]
    pub given: Given,
}

#[derive(Debug, Args)]
pub struct VimAdd {
    /// Its name; also its id unless --id is given, and the name of the cloud with --from-clouds-yaml.
    pub name: String,
    /// Its id.
    #[arg(long)]
    pub id: Option<String>,
    /// Take the account from this clouds.yaml of OpenStack, and a secure.yaml beside it. Other options go before what it says.
    #[arg(long, value_name = "FILE")]
    pub from_clouds_yaml: Option<PathBuf>,
    /// VIM type, which chooses the connector; openstack with --from-clouds-yaml.
    #[arg(long = "type", value_name = "TYPE", required_unless_present = "from_clouds_yaml")]
    pub vim_type: Option<String>,
    /// URL, for OpenStack the Keystone URL.
    #[arg(long, required_unless_present = "from_clouds_yaml")]
    pub url: Option<String>,
    /// User name.
    #[arg(long)]
    pub user: Option<String>,
    /// Project or tenant.
    #[arg(long)]
    pub tenant: Option<String>,
    /// Read the password from the first line of stdin.
    #[arg(long, conflicts_with = "password_file")]
    pub password_stdin: bool,
    /// Read the password from the first line of a file.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// A setting of the connector; the value is JSON, or text where it is none. Repeatable.
    #[arg(long = "config", value_name = "KEY=VALUE")]
    pub config: Vec<String>,
    /// PEM file of the certificate authorities that sign the VIM's certificate.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Do not verify the VIM's TLS certificate.
    #[arg(long)]
    pub insecure: bool,
    #[command(flatten)]
    pub grants: GrantOptions,
    /// Do not check it.
    #[arg(long)]
    pub no_check: bool,
}

const AUDIT_HELP: &str = "\
Everything a connector makes carries a mark of the host that asked for it. The audit lists what carries one, kind by kind, and
compares it with the records of all network services. It changes nothing, may be run at any time, on any host, and finishes also where
the account may not see everything.

  orphan      the mark is this host's, and no record owns the element. It costs money and nobody will delete it: look at it, then
              delete it at the VIM by its id. Volumes that were to outlive their VM are listed too once its record has ended.
  missing     a record names the element, and the VIM says that it does not exist: somebody deleted it behind the host's back.
              Recreate it, or terminate the service.
  not-seen    elements of this kind could not be looked at, or not all of them; the reason says what mends it.
  of-another  the mark is another vimhost's: a colleague's on the same project, or that of a host whose database was lost.

Elements that are being made or deleted are owned by whoever does it and are not listed.

Examples:
  vimhost vim audit lab                       a table, and what was looked at
  vimhost vim audit lab --others              also what another vimhost has made
  vimhost vim audit lab -o json | jq -r '.findings[] | select(.verdict == \"orphan\") | .kind + \" \" + .id'

Exit codes: 0 all is owned and was looked at, 1 there is an orphan, something missing or not seen (or the audit could not be made: the
text on stderr says why), 2 wrong usage. What another vimhost has made does not count.";

#[derive(Debug, Args)]
pub struct VimAudit {
    /// Account id.
    pub id: String,
    /// List what carries the mark of another vimhost too; without it they are counted. JSON has them always.
    #[arg(long)]
    pub others: bool,
}

#[derive(Debug, Args)]
pub struct VimAllow {
    /// Account id.
    pub id: String,
    #[command(flatten)]
    pub grants: GrantOptions,
    /// Approve the credential and egress rules of the connector as it is loaded.
    #[arg(long)]
    pub rules: bool,
}

/// What a connector may reach beside the origin of the account's URL.
#[derive(Debug, Args)]
pub struct GrantOptions {
    /// Origin it may reach (https://nova.example:8774). Repeatable.
    #[arg(long = "origin", value_name = "ORIGIN")]
    pub origins: Vec<String>,
    /// Loopback or private addresses it may reach (10.1.0.0/16, 127.0.0.1). Repeatable.
    #[arg(long = "address", value_name = "CIDR")]
    pub addresses: Vec<String>,
    /// Hosts it may reach by the end of their name (.cloud.example). Repeatable.
    #[arg(long = "domain-suffix", value_name = "SUFFIX")]
    pub domain_suffixes: Vec<String>,
    /// Any port of the host in the account's URL.
    #[arg(long)]
    pub same_host_any_port: bool,
}

#[derive(Debug, Args)]
pub struct MockVimOptions {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:9500")]
    pub listen: std::net::SocketAddr,
    /// Keep the state in this file over restarts.
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// User name.
    #[arg(long, default_value = "mock")]
    pub user: String,
    /// Password.
    #[arg(long, default_value = "mock", env = "VIMHOST_MOCK_PASSWORD", hide_env_values = true)]
    pub password: String,
    /// Tenant.
    #[arg(long, default_value = "mock")]
    pub tenant: String,
    /// Each request takes this long, in milliseconds; latency_ms of --faults goes before it.
    #[arg(long, default_value_t = 0, value_name = "MS")]
    pub latency: u64,
    /// A VM builds this long, and so does a stack, in milliseconds; build_delay_ms and stack_delay_ms of --faults go before it.
    #[arg(long, default_value_t = 0, value_name = "MS")]
    pub build_delay: u64,
    /// Faults as a JSON document (see the mock VIM's README). What it says counts; the options above fill in where it is silent.
    #[arg(long, value_name = "JSON")]
    pub faults: Option<String>,
}
