//! Prints what stops each misbehaviour, after how long, and what another connector notices of it.
//!
//! ```text
//! cargo run --release -p vimhost-runtime --example hostile [table.json]
//! ```
//!
//! One thread runs the guests, both the one that misbehaves and the one that only wants to be served. The limits are the defaults,
//! apart from wall time, which is shortened so that nobody waits two minutes for a line.

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Duration;

use serde_json::json;
use support::hostile::{Latency, Row, Stage};
use vimhost_runtime::Limits;

/// So that enough calls of the bystander meet each misbehaviour for a percentile.
const AT_LEAST: Duration = Duration::from_secs(2);

/// What is shown of a reason.
const SHOWN: usize = 150;

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

fn shown(row: &Row) -> String {
    // The beginning says who and where; the table is about why.
    let reason = match row.stopped_by.split_once("; the host refused: ") {
        Some((_, reason)) => reason,
        None => row
            .stopped_by
            .split_once("), ")
            .map_or(&*row.stopped_by, |(_, reason)| reason),
    };
    let short: String = reason.chars().take(SHOWN).collect();
    short.replace('|', "\\|")
}

fn of(latency: Latency) -> String {
    format!("{} of {} calls", ms(latency.p99), latency.calls)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let stage = Stage::new(Limits {
        wall: Duration::from_secs(8),
        ..Limits::default()
    })
    .await;
    let alone = stage.undisturbed().await;
    println!("other connector undisturbed: p99 {}\n", of(alone));
    println!("| misbehaviour | what stopped it | after | other connector's p99 meanwhile | its longest call |");
    println!("| --- | --- | --- | --- | --- |");
    let mut rows = vec![];
    for case in stage.cases() {
        let row = stage.run(&case, AT_LEAST).await;
        println!(
            "| {} | {} | {} | {} | {} |",
            row.name,
            shown(&row),
            ms(row.after),
            ms(row.meanwhile.p99),
            ms(row.meanwhile.longest)
        );
        rows.push(json!({
            "misbehaviour": row.name,
            "stopped_by": row.stopped_by,
            "as_expected": row.stopped_by.contains(&case.expected),
            "after_ms": row.after.as_secs_f64() * 1e3,
            "limit_ms": row.within.as_secs_f64() * 1e3,
            "others_p99_ms": row.meanwhile.p99.as_secs_f64() * 1e3,
            "others_longest_ms": row.meanwhile.longest.as_secs_f64() * 1e3,
            "others_calls": row.meanwhile.calls,
        }));
    }
    let whole = stage.finish().await;
    println!(
        "\nevery one of the other connector's {} calls succeeded, the longest in {}",
        whole.calls,
        ms(whole.longest)
    );
    if let Some(file) = std::env::args().nth(1) {
        let table = json!({ "undisturbed_p99_ms": alone.p99.as_secs_f64() * 1e3, "rows": rows });
        std::fs::write(file, serde_json::to_string_pretty(&table)?)?;
    }
    Ok(())
}
