//! Answers as tables or JSON.

use std::io::Write as _;

use serde_json::Value;

use crate::cli::{Format, Global};

/// Prints a value as JSON, or lets the caller print it for people.
pub fn print(global: &Global, value: &Value, text: impl FnOnce(&Value) -> String) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match global.output {
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(value)?)?,
        Format::Text => write!(out, "{}", text(value))?,
    }
    Ok(())
}

/// A table with aligned columns; the first row is the head.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    rows.iter()
        .map(|row| {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            format!("{}\n", cells.join("  ").trim_end())
        })
        .collect()
}

/// A field of a JSON map as text; empty when absent.
pub fn text(value: &Value, key: &str) -> String {
    match value.get(key) {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => String::new(),
        Some(other) => other.to_string(),
    }
}

/// A row of fields.
pub fn row(value: &Value, keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| text(value, key)).collect()
}

/// The head of a table.
pub fn head(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = vec![head(&["ID", "NAME"]), head(&["longer", "x"])];
        assert_eq!(table(&rows), "ID      NAME\nlonger  x\n");
    }
}
