//! `vimhost plugin …`

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::cli::{Global, PluginCommand};
use crate::client::{Client, encode};
use crate::output::{head, print, table, text};

/// Runs a command.
pub async fn run(global: &Global, command: PluginCommand) -> anyhow::Result<()> {
    let client = Client::new(global)?;
    match command {
        PluginCommand::List => print(global, &client.get("/v1/plugins").await?, listing),
        PluginCommand::Show { name } => {
            let shown = client.get(&format!("/v1/plugins/{}", encode(&name))).await?;
            print(global, &shown, |shown| {
                let items = shown.get("items").and_then(Value::as_array);
                items.into_iter().flatten().map(details).collect::<Vec<_>>().join("\n")
            })
        }
        PluginCommand::Load { file, name } => {
            let stem = file.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
            let name = name.or(stem).context("the file has no name; give one by --name")?;
            let component = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let path = format!("/v1/plugins/{}", encode(&name));
            let loaded = client.upload(&path, "application/octet-stream", component).await?;
            print(global, &loaded, |loaded| listing(&json!({"items": [loaded]})))
        }
        PluginCommand::Reload { name } => {
            let path = match &name {
                Some(name) => format!("/v1/plugins/{}/reload", encode(name)),
                None => "/v1/plugins".to_owned(),
            };
            print(global, &client.post(&path, json!({})).await?, listing)
        }
    }
}

fn listing(plugins: &Value) -> String {
    let mut rows = vec![head(&["NAME", "VERSION", "STATE", "VIM TYPES", "FILE", "REASON"])];
    for plugin in plugins.get("items").and_then(Value::as_array).into_iter().flatten() {
        let descriptor = plugin.get("descriptor").cloned().unwrap_or(Value::Null);
        rows.push(vec![
            text(&descriptor, "name"),
            text(&descriptor, "version"),
            text(plugin, "state"),
            text(&descriptor, "vim_types"),
            text(plugin, "file"),
            text(plugin, "reason"),
        ]);
    }
    table(&rows)
}

fn details(plugin: &Value) -> String {
    let descriptor = plugin.get("descriptor").cloned().unwrap_or(Value::Null);
    let of = |value: &Value, keys: &[&str]| {
        keys.iter()
            .map(|key| vec![(*key).to_owned(), text(value, key)])
            .collect::<Vec<_>>()
    };
    let mut rows = of(&descriptor, &["name", "version", "description", "vim_types"]);
    rows.extend(of(
        plugin,
        &["state", "reason", "file", "digest", "rules_digest", "capabilities"],
    ));
    rows.extend(of(
        &descriptor,
        &["credentials", "answer_credentials", "egress", "config_schema"],
    ));
    table(&rows)
}
