//! `vimhost token …`, `vimhost key …` and `vimhost audit`

use serde_json::json;

use crate::cli::{AuditOptions, Global, KeyCommand, TokenCommand};
use crate::client::{Client, encode};
use crate::output::{head, print, row, table, text};

const SECONDS_PER_DAY: u64 = 86_400;

/// Runs a command about tokens.
pub async fn token(global: &Global, command: TokenCommand) -> anyhow::Result<()> {
    let client = Client::new(global)?;
    match command {
        TokenCommand::Add { name, role, days } => {
            let lifetime = days.map(|days| days.saturating_mul(SECONDS_PER_DAY));
            let new = json!({"name": name, "role": role.as_str(), "lifetime_seconds": lifetime});
            let made = client.post("/v1/tokens", new).await?;
            // The secret alone on stdout, so that it can be caught; it is shown by no other command.
            print(global, &made, |made| format!("{}\n", text(made, "secret")))?;
            eprintln!(
                "token {} of role {role} for {name}; keep it now, it is not shown again. It is given by --token or VIMHOST_TOKEN",
                text(&made, "id")
            );
            Ok(())
        }
        TokenCommand::List => {
            let tokens = json!({"items": client.list("/v1/tokens").await?});
            print(global, &tokens, |tokens| {
                let keys = ["id", "name", "role", "state", "created_at", "created_by", "expires_at"];
                let mut rows = vec![head(&["ID", "NAME", "ROLE", "STATE", "MADE", "BY", "ENDS"])];
                let items = tokens.get("items").and_then(serde_json::Value::as_array);
                rows.extend(items.into_iter().flatten().map(|token| row(token, &keys)));
                table(&rows)
            })
        }
        TokenCommand::Rm { id } => {
            client.delete(&format!("/v1/tokens/{}", encode(&id))).await?;
            eprintln!("token {id} is revoked");
            Ok(())
        }
    }
}

/// Runs a command about seal keys.
pub async fn key(global: &Global, command: KeyCommand) -> anyhow::Result<()> {
    let client = Client::new(global)?;
    match command {
        KeyCommand::List => {
            let keys = client.get("/v1/keys").await?;
            print(global, &keys, |keys| {
                let mut rows = vec![head(&["KEY", "PRESENT", "SECRETS"])];
                let items = keys.get("items").and_then(serde_json::Value::as_array);
                rows.extend(
                    items
                        .into_iter()
                        .flatten()
                        .map(|key| row(key, &["id", "present", "secrets"])),
                );
                table(&rows)
            })
        }
        KeyCommand::Rotate { to } => {
            let done = client.post("/v1/keys/rotate", json!({"key": to})).await?;
            print(global, &done, |done| {
                format!(
                    "key {} seals; sealed anew: secrets of {} accounts, {} key pairs, {} subscriptions\n",
                    text(done, "key"),
                    text(done, "accounts"),
                    text(done, "key_pairs"),
                    text(done, "subscriptions")
                )
            })?;
            eprintln!("older keys stay until `vimhost key rm`; back up the key files of the host's data directory now");
            Ok(())
        }
        KeyCommand::New { dir } => crate::store::new_key(&dir),
        KeyCommand::Rm { id } => {
            client.delete(&format!("/v1/keys/{}", encode(&id))).await?;
            eprintln!("seal key {id} is removed");
            Ok(())
        }
    }
}

/// Lists the audit log, newest first.
pub async fn audit(global: &Global, options: AuditOptions) -> anyhow::Result<()> {
    let client = Client::new(global)?;
    let asked = [
        ("who", &options.who),
        ("operation", &options.operation),
        ("since", &options.since),
    ];
    let asked = asked
        .into_iter()
        .filter_map(|(name, value)| Some(format!("&{name}={}", encode(value.as_ref()?))))
        .collect::<String>();
    let page = client.get(&format!("/v1/audit?limit={}{asked}", options.limit)).await?;
    print(global, &page, |page| {
        let keys = ["at", "who", "role", "operation", "target", "status", "request_id"];
        let mut rows = vec![head(&["AT", "WHO", "ROLE", "OPERATION", "TARGET", "STATUS", "REQUEST"])];
        let items = page.get("items").and_then(serde_json::Value::as_array);
        rows.extend(items.into_iter().flatten().map(|entry| row(entry, &keys)));
        table(&rows)
    })
}
