//! `vimhost plan | deploy | terminate | remove | status | plugins`

use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use serde_json::{Value, json};

use crate::cli::Global;
use crate::client::{Client, encode};
use crate::output::{head, print, row, table, text};
use crate::progress;

fn path(name: &str) -> String {
    format!("/v1/network-services/{}", encode(name))
}

/// Longest name of a network service; the host says what else a name may be.
const MAX_NAME: usize = 63;

/// Reads a network service's file.
fn read(file: &Path) -> anyhow::Result<(String, Value)> {
    let content = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    parsed(&content).with_context(|| format!("{} is no network service", file.display()))
}

fn parsed(content: &str) -> anyhow::Result<(String, Value)> {
    let document: Value = serde_saphyr::from_str(content).map_err(|error| {
        // The library's own words are for programmers.
        anyhow!(error.render_with_formatter(&serde_saphyr::UserMessageFormatter))
    })?;
    match &document {
        Value::Object(map) if !map.is_empty() => {}
        Value::Null | Value::Object(_) => bail!("it is empty"),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            bail!("it is no map that begins like 'name: web'")
        }
    }
    let name = match document.get("name") {
        Some(Value::String(name)) => name.clone(),
        Some(_) => bail!("its 'name' is no text; put it into quotes"),
        None => bail!("it has no 'name'"),
    };
    // It becomes part of a URL.
    if name.is_empty() || name.len() > MAX_NAME {
        bail!("its 'name' has {} letters; 1 to {MAX_NAME} are allowed", name.len());
    }
    Ok((name, document))
}

/// Shows what a deploy would do.
pub async fn plan(global: &Global, file: &Path) -> anyhow::Result<()> {
    let client = Client::new(global)?;
    let (name, document) = read(file)?;
    let plan = client.post(&format!("{}/plan", path(&name)), document).await?;
    print(global, &plan, plan_text)
}

fn plan_text(plan: &Value) -> String {
    let changes: Vec<&Value> = plan
        .get("changes")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .collect();
    let mut rows = Vec::new();
    let mut counts = [0usize; 4];
    for change in &changes {
        let (sign, slot) = match text(change, "change").as_str() {
            "create" => ("+", 0),
            "delete" => ("-", 1),
            "changed" | "update" => ("~", 2),
            _ => (" ", 3),
        };
        if let Some(count) = counts.get_mut(slot) {
            *count += 1;
        }
        let mut reason = text(change, "reason");
        if let Some(fields) = change.get("fields").and_then(Value::as_array) {
            let fields: Vec<&str> = fields.iter().filter_map(Value::as_str).collect();
            reason = format!("{reason}: {}", fields.join(", "));
        }
        rows.push(vec![
            sign.to_owned(),
            text(change, "kind"),
            short(&text(change, "item")),
            text(change, "target"),
            reason,
        ]);
    }
    let [create, delete, changed, unchanged] = counts;
    format!(
        "{}{create} to create, {delete} to delete, {changed} changed, {unchanged} unchanged\n",
        table(&rows)
    )
}

/// An item without its record: `vdur.web-0` of `vnfrs:web-vnf:vdur.web-0`.
fn short(item: &str) -> String {
    item.rsplit_once(':').map_or(item, |(_, item)| item).to_owned()
}

/// Deploys a network service.
pub async fn deploy(global: &Global, file: &Path, wait: bool) -> anyhow::Result<()> {
    let client = Client::new(global)?;
    let (name, document) = read(file)?;
    client.put(&path(&name), document).await?;
    let accepted = client.post(&format!("{}/deploy", path(&name)), json!({})).await?;
    follow(global, &client, &name, &accepted, wait).await
}

/// Terminates a network service.
pub async fn terminate(global: &Global, name: &str, wait: bool) -> anyhow::Result<()> {
    let client = Client::new(global)?;
    let accepted = client.post(&format!("{}/terminate", path(name)), json!({})).await?;
    follow(global, &client, name, &accepted, wait).await
}

async fn follow(global: &Global, client: &Client, name: &str, accepted: &Value, wait: bool) -> anyhow::Result<()> {
    let action = text(accepted, "action_id");
    if !wait {
        return print(global, accepted, |_| {
            format!("action {action} accepted; `vimhost status {name} {action}` shows how it stands\n")
        });
    }
    eprintln!("action {action} accepted");
    tokio::select! {
        ended = progress::watch(client, name, &action) => ended?,
        _ = tokio::signal::ctrl_c() => {
            eprintln!();
            bail!("not followed any more; the action goes on: {}", progress::next_step(name, &action));
        }
    }
    let view = client
        .get(&format!("{}/actions/{}", path(name), encode(&action)))
        .await?;
    print(global, &view, |_| format!("{name}: done\n"))
}

/// Forgets a terminated service.
pub async fn remove(global: &Global, name: &str) -> anyhow::Result<()> {
    Client::new(global)?.delete(&path(name)).await?;
    eprintln!("network service {name} removed");
    Ok(())
}

/// Shows all services, one, or one action.
pub async fn status(global: &Global, name: Option<&str>, action: Option<&str>) -> anyhow::Result<()> {
    let client = Client::new(global)?;
    match (name, action) {
        (None, _) => {
            let services = Value::Array(client.list("/v1/network-services").await?);
            print(global, &services, |services| {
                let mut rows = vec![head(&["ID", "NAME"])];
                rows.extend(
                    services
                        .as_array()
                        .into_iter()
                        .flatten()
                        .map(|service| row(service, &["id", "name"])),
                );
                table(&rows)
            })
        }
        (Some(name), None) => {
            let mut service = client.get(&path(name)).await?;
            let actions = client.list(&format!("{}/actions", path(name))).await?;
            if let Some(map) = service.as_object_mut() {
                map.insert("actions".to_owned(), Value::Array(actions));
            }
            print(global, &service, service_text)
        }
        (Some(name), Some(action)) => {
            let view = client
                .get(&format!("{}/actions/{}", path(name), encode(action)))
                .await?;
            print(global, &view, action_text)
        }
    }
}

fn service_text(service: &Value) -> String {
    let mut rows = vec![head(&[
        "KIND", "ID", "TARGET", "STATUS", "VIM ID", "ADDRESS", "MESSAGE",
    ])];
    let vnfrs = service.get("vnfrs").and_then(Value::as_array).into_iter().flatten();
    for record in service.get("nsr").into_iter().chain(vnfrs) {
        for (list, kind) in [
            ("vld", "network"),
            ("image", "image"),
            ("flavor", "flavour"),
            ("affinity-or-anti-affinity-group", "group"),
            ("vdur", "vm"),
        ] {
            for item in record.get(list).and_then(Value::as_array).into_iter().flatten() {
                for (target, info) in item.get("vim_info").and_then(Value::as_object).into_iter().flatten() {
                    rows.push(vec![
                        kind.to_owned(),
                        text(item, "id"),
                        target.clone(),
                        text(info, "vim_status"),
                        text(info, "vim_id"),
                        text(item, "ip-address"),
                        text(info, "vim_message"),
                    ]);
                }
            }
        }
    }
    let mut actions = vec![head(&["ACTION", "KIND", "TASKS", "ACCEPTED"])];
    actions.extend(
        service
            .get("actions")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|a| row(a, &["id", "kind", "tasks", "created_at"])),
    );
    let name = text(service, "id");
    format!(
        "{}\n{}\n`vimhost status {name} ACTION` shows the tasks of an action and what holds them up\n",
        table(&rows),
        table(&actions)
    )
}

fn action_text(action: &Value) -> String {
    let mut rows = vec![head(&["TASK", "ACTION", "ITEM", "ELEMENT", "STATUS", "MESSAGE"])];
    for task in action.get("tasks").and_then(Value::as_array).into_iter().flatten() {
        rows.push(row(task, &["id", "action", "item", "element", "status", "message"]));
    }
    format!(
        "{} {}/{}\n{}",
        text(action, "status"),
        text(action, "done"),
        text(action, "total"),
        table(&rows)
    )
}

/// Cancels what has not begun of an action.
pub async fn cancel(global: &Global, name: &str, action: &str) -> anyhow::Result<()> {
    let path = format!(
        "/v1/network-services/{}/actions/{}/cancel",
        encode(name),
        encode(action)
    );
    let told = Client::new(global)?.post(&path, serde_json::json!({})).await?;
    print(global, &told, |told| {
        let mut rows = vec![head(&["TASK", "NOW"])];
        for (key, now) in [
            ("cancelled", "cancelled"),
            ("going_on", "begun, goes on"),
            ("undecided", "a call is under way and decides"),
        ] {
            for task in told.get(key).and_then(Value::as_array).into_iter().flatten() {
                rows.push(vec![task.as_str().unwrap_or_default().to_owned(), now.to_owned()]);
            }
        }
        if rows.len() == 1 {
            return format!("nothing of action {action} is left to cancel; it is over\n");
        }
        table(&rows)
    })
}

/// Which host drives which account.
pub async fn leases(global: &Global) -> anyhow::Result<()> {
    let leases = Client::new(global)?.get("/v1/leases").await?;
    print(global, &leases, |leases| {
        let mut rows = vec![head(&["ACCOUNT", "HOST", "FENCE", "ENDS"])];
        for lease in leases.get("items").unwrap_or(leases).as_array().into_iter().flatten() {
            rows.push(vec![
                text(lease, "target"),
                text(lease, "host"),
                text(lease, "fence"),
                text(lease, "expires_at"),
            ]);
        }
        table(&rows)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_network_service_is_told_so_in_words_of_the_file() {
        for (content, said) in [
            ("", "empty"),
            ("# nothing yet", "empty"),
            ("just text", "no map"),
            ("[1, 2]", "no map"),
            ("vim: lab", "no 'name'"),
            ("name: 12", "quotes"),
            ("name: ''", "0 letters"),
            ("name: a\nname: b", "duplicate mapping key `name`"),
            ("name: a\n---\nname: b", "only single YAML document"),
            ("a: [1", "line"),
        ] {
            let told = format!("{:#}", parsed(content).unwrap_err());
            assert!(told.contains(said), "{content:?}: {told}");
            assert!(!told.contains("Options"), "{told}");
        }
        let long = format!("name: {}", "x".repeat(1 << 20));
        assert!(parsed(&long).unwrap_err().to_string().len() < 100);
        assert_eq!(parsed("name: web\nvim: lab").unwrap().0, "web");
    }
}
