//! `wharf rows`: every command and flag as JSON, for the compatibility table.

use serde_json::{Value, json};

use crate::commands::handler;
use crate::error::Result;
use crate::session::print_bytes;
use crate::tables::commands;

/// Prints the rows.
pub(crate) fn run() -> Result<i32> {
    let rows: Vec<Value> = commands()
        .map(|command| {
            let flags: Vec<Value> = command
                .flags()
                .map(|flag| {
                    json!({
                        "name": flag.long,
                        "short": flag.short.to_string().trim(),
                        "type": flag.kind.word(),
                        "hidden": flag.hidden,
                    })
                })
                .collect();
            json!({
                "command": command.paths[0],
                "aliases": command.paths[1..],
                "built": handler(command.paths[0]).is_some(),
                "flags": flags,
            })
        })
        .collect();
    print_bytes(format!("{}\n", Value::Array(rows)).as_bytes())?;
    Ok(0)
}
