//! `vimhost vim …`

use std::io::BufRead as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};

use crate::cli::{AccountKind, Global, GrantOptions, VimAdd, VimAllow, VimCommand, VimOptions};
use crate::client::{Client, encode};
use crate::clouds::{self, Described};
use crate::output::{head, print, row, table, text};
use crate::vim_audit;

/// The type of accounts out of a `clouds.yaml`.
const OPENSTACK: &str = "openstack";

/// Runs a command. False: it compared an account with its records, and something is not as it should be.
pub async fn run(global: &Global, options: VimOptions) -> anyhow::Result<bool> {
    let client = Client::new(global)?;
    let kind = options.kind;
    match options.command {
        VimCommand::Add(options) => add(global, &client, kind, *options).await?,
        VimCommand::List => list(global, &client, kind).await?,
        VimCommand::Show { id } => show(global, &client.get(&path(kind, &id)).await?)?,
        VimCommand::Check { id } => check(global, &client, kind, &id).await?,
        VimCommand::Audit(options) => return vim_audit::run(global, &client, kind, &options).await,
        VimCommand::Allow(options) => allow(global, &client, kind, options).await?,
        VimCommand::Rm { id } => {
            client.delete(&path(kind, &id)).await?;
            eprintln!("account {id} removed");
        }
    }
    Ok(true)
}

/// An account's path.
pub fn path(kind: AccountKind, id: &str) -> String {
    format!("{}/{}", kind.path(), encode(id))
}

async fn add(global: &Global, client: &Client, kind: AccountKind, options: VimAdd) -> anyhow::Result<()> {
    let from = match &options.from_clouds_yaml {
        Some(file) => clouds::read(file, &options.name)?,
        None => Described::default(),
    };
    let password = match (&options.password_file, options.password_stdin) {
        (Some(file), _) => Some(first_line_of(file)?),
        (None, true) => {
            let mut line = String::new();
            std::io::stdin()
                .lock()
                .read_line(&mut line)
                .context("cannot read the password from stdin")?;
            Some(line.trim_end_matches(['\r', '\n']).to_owned())
        }
        (None, false) => None,
    };
    let ca = match &options.ca_file {
        Some(file) => Some(std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?),
        None => from.ca_certificates,
    };
    let mut config = from.config;
    config.extend(config_of(&options.config)?);
    let mut credentials = Map::new();
    if let Some((name, secret)) = from.credential {
        credentials.insert(name.to_owned(), json!(secret.expose()));
    }
    if let Some(password) = password {
        credentials.insert("password".to_owned(), json!(password));
    }
    let url = options.url.unwrap_or(from.url);
    // Without its value, which may hold a password and may come out of a file.
    url::Url::parse(&url).context("the account's URL is none like https://keystone.example:5000/v3")?;
    let body = json!({
        "id": options.id.as_deref().unwrap_or(&options.name), "name": options.name,
        "vim_type": options.vim_type.as_deref().unwrap_or(OPENSTACK), "url": url,
        "user": options.user.or(from.user), "tenant": options.tenant.or(from.tenant), "config": config,
        "credentials": credentials, "ca_certificates": ca, "insecure_tls": options.insecure || (from.insecure && options.ca_file.is_none()),
        "grants": merged(&json!({}), &options.grants),
    });
    let account = client.post(kind.path(), body).await?;
    let id = text(&account, "id");
    if options.no_check {
        return show(global, &account);
    }
    check(global, client, kind, &id).await.with_context(|| {
        let option = kind.option();
        format!(
            "account {id} was added and does not work yet; `vimhost vim {option}check {id}` tries again, \
             `vimhost vim {option}rm {id}` removes it, to add it otherwise"
        )
    })
}

fn first_line_of(file: &Path) -> anyhow::Result<String> {
    let content = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    content
        .lines()
        .next()
        .map(str::to_owned)
        .with_context(|| format!("{} is empty", file.display()))
}

fn config_of(settings: &[String]) -> anyhow::Result<Map<String, Value>> {
    settings
        .iter()
        .map(|setting| {
            let Some((key, value)) = setting.split_once('=').filter(|(key, _)| !key.is_empty()) else {
                bail!("--config {setting}: not KEY=VALUE")
            };
            let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
            Ok((key.to_owned(), value))
        })
        .collect()
}

/// Grants with more added.
fn merged(grants: &Value, more: &GrantOptions) -> Value {
    let mut grants = grants.as_object().cloned().unwrap_or_default();
    for (key, added) in [
        ("origins", &more.origins),
        ("addresses", &more.addresses),
        ("domain_suffixes", &more.domain_suffixes),
    ] {
        let list = grants.entry(key).or_insert_with(|| json!([]));
        for entry in added {
            // A single address is a range of one.
            let entry = match (key, entry.parse::<std::net::IpAddr>()) {
                ("addresses", Ok(address)) => format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 }),
                _ => entry.clone(),
            };
            if let Some(list) = list.as_array_mut().filter(|list| !list.contains(&json!(entry))) {
                list.push(json!(entry));
            }
        }
    }
    if more.same_host_any_port {
        grants.insert("same_host_any_port".to_owned(), json!(true));
    }
    Value::Object(grants)
}

async fn list(global: &Global, client: &Client, kind: AccountKind) -> anyhow::Result<()> {
    let accounts = Value::Array(client.list(kind.path()).await?);
    print(global, &accounts, |accounts| {
        let mut rows = vec![head(&["ID", "NAME", "TYPE", "URL", "STATE", "DETAIL"])];
        rows.extend(
            accounts
                .as_array()
                .into_iter()
                .flatten()
                .map(|a| row(a, &["id", "name", "vim_type", "url", "state", "detail"])),
        );
        table(&rows)
    })
}

fn show(global: &Global, account: &Value) -> anyhow::Result<()> {
    print(global, account, |account| {
        let keys = [
            "id",
            "target",
            "source",
            "name",
            "vim_type",
            "url",
            "user",
            "tenant",
            "config",
            "credentials",
            "grants",
            "state",
            "detail",
        ];
        let warnings = account.get("warnings").and_then(Value::as_array).into_iter().flatten();
        let warnings = warnings.filter_map(|warning| Some(vec!["warning".to_owned(), warning.as_str()?.to_owned()]));
        let rows: Vec<Vec<String>> = keys
            .iter()
            .map(|key| vec![(*key).to_owned(), text(account, key)])
            .filter(|row| row.last().is_some_and(|value| !value.is_empty()))
            .chain(warnings)
            .collect();
        table(&rows)
    })
}

async fn check(global: &Global, client: &Client, kind: AccountKind, id: &str) -> anyhow::Result<()> {
    let report = client.post(&format!("{}/check", path(kind, id)), json!({})).await?;
    print(global, &report, |report| {
        let mut lines = format!("account {id} works");
        if let Some(version) = report.get("vim_version").and_then(Value::as_str) {
            lines.push_str(&format!(": {version}"));
        }
        lines.push('\n');
        for origin in report.get("origins").and_then(Value::as_array).into_iter().flatten() {
            lines.push_str(&format!(
                "the VIM names {} for {}; to grant it: vimhost vim {}allow {id} --origin {}\n",
                text(origin, "origin"),
                text(origin, "purpose"),
                kind.option(),
                text(origin, "origin")
            ));
        }
        for warning in report.get("warnings").and_then(Value::as_array).into_iter().flatten() {
            lines.push_str(&format!("warning: {}\n", warning.as_str().unwrap_or_default()));
        }
        lines
    })
}

async fn allow(global: &Global, client: &Client, kind: AccountKind, options: VimAllow) -> anyhow::Result<()> {
    let nothing = options.grants.origins.is_empty()
        && options.grants.addresses.is_empty()
        && options.grants.domain_suffixes.is_empty()
        && !options.grants.same_host_any_port;
    if nothing && !options.rules {
        bail!("nothing to grant: give --origin, --address, --domain-suffix, --same-host-any-port or --rules");
    }
    let account = client.get(&path(kind, &options.id)).await?;
    let grants = merged(account.get("grants").unwrap_or(&Value::Null), &options.grants);
    let edited = client
        .patch(
            &path(kind, &options.id),
            json!({"grants": grants, "approve_rules": options.rules}),
        )
        .await?;
    show(global, &edited)
}
